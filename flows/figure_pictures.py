"""The pictures of a figure: their pixels, whether they may be dreamed on, and the line that credits each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.wiring import Environment, image_limits, open_catalog
from pipeline.errors import NotPermitted
from pipeline.own_paths import expanded

if TYPE_CHECKING:
    from pipeline.stylize import RgbImage

# A cat: fur, eyes and a quiet background, in the public domain.
_BUNDLED = "chelsea-07c5a8.jpg"


@dataclass(frozen=True)
class FigurePicture:
    """One picture of a figure.

    Attributes:
        pixels: Reduced to the size that the figure is drawn at.
        name: Of its file; None for the bundled photograph.
        credit: Title, author, source and licence, as far as they are known.
    """

    pixels: RgbImage
    name: str | None
    credit: str


def read_figure_picture(environment: Environment, path: Path | None, *, max_side: int) -> FigurePicture:
    """A picture for a figure; None for the bundled photograph.

    A file is taken to be the user's own, unless the workspace has a catalog that knows its pixels better.

    Raises:
        NotFound, ImageRejected: There is no such file, or it is no picture.
        NotPermitted: The catalog knows it under a licence that does not permit a dream, or as withdrawn.
    """
    from pipeline.fingerprints import pixel_sha256
    from pipeline.images import fit, read_picture

    file = expanded(path) if path is not None else _bundled_photograph()
    rgb = read_picture(file, limits=image_limits(environment))
    credit = _bundled_credit() if path is None else _credit(environment, path, pixel_sha256(rgb))
    return FigurePicture(fit(rgb, max_side), path.name if path is not None else None, credit)


def _credit(environment: Environment, path: Path, pixels: str) -> str:
    own = f"{path.name}, a file of its maker\u2019s own."
    # A look at a picture must not make a workspace.
    if not environment.values.catalog_url and not environment.workspace.exists():
        return own
    from pipeline.provenance.attribution import credit_original
    from pipeline.provenance.permission import Refusal, parts_of, permission_to_dream

    with open_catalog(environment) as catalog, catalog.read() as uow:
        item = uow.items.by_pixel_sha256(pixels)
        if item is None:
            return own
        if item.withdrawn_at is not None:
            raise NotPermitted(f"{path} is i{item.id}, which was withdrawn: {item.withdrawn_reason}")
        found = permission_to_dream(parts_of(uow, (item,)), environment.values.dream.responsibility)
        if isinstance(found, Refusal):
            raise NotPermitted(
                f"{path} is i{item.id}, which is not dreamed on: {found.line}; to take responsibility for it, say why "
                "in the setting dream.responsibility"
            )
        return credit_original(item, uow.sightings.of_item(item.id))


def _bundled_photograph() -> Path:
    from crawler.sample_site.photos import photo_path

    return photo_path(_BUNDLED)


def _bundled_credit() -> str:
    from crawler.sample_site.photos import load_photos

    photo = next(each for each in load_photos() if each.file == _BUNDLED)
    return f"\u201c{photo.title}\u201d by {photo.author}, {photo.source}, {photo.license_name} ({photo.license_url})."

"""What dreaming on files of the user's would take, before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.look import Look
from flows.wiring import Environment, image_limits, open_catalog
from pipeline.errors import ImageRejected, NotFound

if TYPE_CHECKING:
    from flows.renderer import DreamPlan
    from pipeline.provenance.derivation import RendererIdentity


def plan_files(
    environment: Environment, files: Sequence[Path], *, look: Look
) -> tuple[DreamPlan | None, Mapping[Path, str]]:
    """The plan, or None where no file can be read; and for each that cannot, why.

    The files are read, and taken nowhere; pictures that stand twice count once. What the workspace has of them
    already, if there is one, is taken into account.
    """
    from flows.renderer import look_renderer
    from pipeline.fingerprints import pixel_sha256
    from pipeline.images import fitted_size, read_picture

    renderer = look_renderer(environment, look)
    sizes: dict[str, tuple[int, int]] = {}
    refused: dict[Path, str] = {}
    for file in files:
        try:
            pixels = read_picture(file, limits=image_limits(environment))
        except (NotFound, ImageRejected) as error:
            refused[file] = str(error)
        else:
            height, width = pixels.shape[:2]
            sizes[pixel_sha256(pixels)] = fitted_size(height, width, renderer.identity.max_side)
    if not sizes:
        return None, refused
    wanted = _wanted(environment, sizes, renderer.identity)
    return renderer.plan(wanted, already=len(sizes) - len(wanted)), refused


def _wanted(
    environment: Environment, sizes: Mapping[str, tuple[int, int]], identity: RendererIdentity
) -> list[tuple[int, int]]:
    """The sizes, by pixel SHA-256, of those pictures that have no such dream yet and may have one."""
    # A plan must not make a workspace.
    if not environment.values.catalog_url and not environment.workspace.exists():
        return list(sizes.values())
    from pipeline.stylize import sizes_to_render

    responsibility = environment.values.dream.responsibility
    wanted: list[tuple[int, int]] = []
    with open_catalog(environment) as catalog:
        for digest, size in sizes.items():
            with catalog.read() as uow:
                item = uow.items.by_pixel_sha256(digest)
            if item is None or sizes_to_render(
                [item.id], identity=identity, catalog=catalog, responsibility=responsibility
            ):
                wanted.append(size)
    return wanted

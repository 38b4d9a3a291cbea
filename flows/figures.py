"""Figures: what looks make of pictures, drawn side by side; nothing enters a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.look import Look
from flows.progress import current_reporter
from flows.renderer import figure_renderer
from flows.wiring import Environment
from pipeline.stylize import RenderProgress, RenderRequest, RgbImage

_COLUMNS = 4

# A cat: fur, eyes and a quiet background, in the public domain.
_BUNDLED = "chelsea-07c5a8.jpg"


def draw_looks(
    environment: Environment, looks: Sequence[Look], *, file: Path | None, max_side: int, write_to: Path
) -> None:
    """One picture, and every look of it with its name.

    file: None for a bundled photograph.

    Raises:
        DreamError: A look cannot be rendered.
        PipelineError: The picture cannot be read, or the sheet not be written.
    """
    from pipeline.contact_sheet import check_sheet_path, labelled_sheet, write_sheet

    check_sheet_path(write_to)
    picture = _picture(file if file is not None else _bundled_photograph(), max_side)
    cells = [("original", picture)]
    for index, look in enumerate(looks):
        cells.append((look.name, _dreams(environment, look, [picture], done=index, of=len(looks))[0]))
    write_sheet(labelled_sheet(cells, columns=_COLUMNS, cell_side=max_side), write_to)


def draw_comparison(
    environment: Environment, looks: Sequence[Look], *, files: Sequence[Path], max_side: int, write_to: Path
) -> None:
    """A row for each picture: itself, then each look of it.

    Raises:
        DreamError: A look cannot be rendered.
        PipelineError: A picture cannot be read, or the figure not be written.
    """
    from pipeline.contact_sheet import check_sheet_path, contact_sheet, write_sheet

    check_sheet_path(write_to)
    pictures = [_picture(file, max_side) for file in files]
    rows: list[list[RgbImage]] = [[picture] for picture in pictures]
    total = len(looks) * len(pictures)
    for index, look in enumerate(looks):
        dreams = _dreams(environment, look, pictures, done=index * len(pictures), of=total)
        for row, dream in zip(rows, dreams, strict=True):
            row.append(dream)
    names = ["original", *(look.name for look in looks)]
    write_sheet(contact_sheet(rows, names=names, cell_side=max_side), write_to)


def _dreams(
    environment: Environment, look: Look, pictures: Sequence[RgbImage], *, done: int, of: int
) -> list[RgbImage]:
    """One look of every picture."""
    renderer = figure_renderer(environment, look)
    reporter = current_reporter()

    def report(progress: RenderProgress) -> None:
        reporter.step("dream", done + progress.done * len(pictures), of, look.name)

    def request(index: int, picture: RgbImage) -> RenderRequest:
        return RenderRequest(str(index), (picture.shape[0], picture.shape[1]), lambda: picture)

    found: dict[str, RgbImage] = {}
    for outcome in renderer.render_all([request(*each) for each in enumerate(pictures)], report):
        if outcome.image is None:
            raise outcome.error or AssertionError("an outcome is a picture or an error")
        found[outcome.key] = outcome.image
    return [found[str(index)] for index in range(len(pictures))]


def _picture(path: Path, max_side: int) -> RgbImage:
    from pipeline.images import fit, read_picture

    return fit(read_picture(path.expanduser()), max_side)


def _bundled_photograph() -> Path:
    from crawler.sample_site.photos import photo_path

    return photo_path(_BUNDLED)

"""Figures: what looks make of pictures, drawn side by side; nothing enters a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.figure_pictures import FigurePicture, read_figure_picture
from flows.look import Look
from flows.progress import current_reporter
from flows.renderer import DreamRenderer, figure_renderers
from flows.wiring import Environment, software_version
from pipeline.errors import ImageRejected, NotFound, NotPermitted
from pipeline.stylize import RenderProgress, RenderRequest, RgbImage

_COLUMNS = 4


@dataclass(frozen=True)
class Drawn:
    """What became of a figure.

    Attributes:
        dreams: How many dreams are in it.
        problems: A line for each picture that was left out and each dream that there is none of.
    """

    dreams: int
    problems: tuple[str, ...]


def draw_looks(
    environment: Environment, looks: Sequence[Look], *, file: Path | None, max_side: int, write_to: Path
) -> Drawn:
    """One picture, and every look of it with its name. A look that gives no dream leaves a blank cell.

    file: None for a bundled photograph.

    The file that is written credits the picture in its XMP.

    Raises:
        DreamError: A look does not fit its network, or weights cannot be had; before anything is drawn.
        PipelineError: The picture cannot be read or may not be dreamed on, or the sheet not be written.
    """
    from pipeline.contact_sheet import check_sheet_path, labelled_sheet, write_sheet

    check_sheet_path(write_to)
    picture = read_figure_picture(environment, file, max_side=max_side)
    columns, problems = _columns(environment, looks, [picture.pixels], names=[None])
    cells = [("original", picture.pixels)]
    cells += [(look.name, _cell(column[0], picture.pixels)) for look, column in zip(looks, columns, strict=True)]
    sheet = labelled_sheet(cells, columns=min(_COLUMNS, len(cells)), cell_side=max_side)
    write_sheet(sheet, write_to, xmp=_credits([picture]))
    return Drawn(_count(columns), tuple(problems))


def draw_comparison(
    environment: Environment, looks: Sequence[Look], *, files: Sequence[Path], max_side: int, write_to: Path
) -> Drawn:
    """A row for each picture: itself, then each look of it.

    A picture that cannot be read, or may not be dreamed on, is left out. The file that is written credits the others in
    its XMP.

    Raises:
        DreamError: A look does not fit its network, or weights cannot be had; before anything is drawn.
        PipelineError: No picture can be read and dreamed on, or the figure not be written.
    """
    from pipeline.contact_sheet import check_sheet_path, contact_sheet, write_sheet

    check_sheet_path(write_to)
    shown: list[FigurePicture] = []
    unread: list[NotFound | ImageRejected | NotPermitted] = []
    for file in files:
        try:
            shown.append(read_figure_picture(environment, file, max_side=max_side))
        except (NotFound, ImageRejected, NotPermitted) as error:
            unread.append(error)
    if not shown:
        raise unread[0]
    pictures = [each.pixels for each in shown]
    columns, problems = _columns(environment, looks, pictures, names=[each.name for each in shown])
    rows = [[picture, *(_cell(column[index], picture) for column in columns)] for index, picture in enumerate(pictures)]
    header = ["original", *(look.name for look in looks)]
    write_sheet(contact_sheet(rows, names=header, cell_side=max_side), write_to, xmp=_credits(shown))
    return Drawn(_count(columns), (*map(str, unread), *problems))


_Column = list[RgbImage | None]


def _columns(
    environment: Environment, looks: Sequence[Look], pictures: Sequence[RgbImage], *, names: Sequence[str | None]
) -> tuple[list[_Column], list[str]]:
    """For each look its dream of each picture, or None; and why there is none."""
    renderers = figure_renderers(environment, looks)
    # All of them before the first picture: a figure takes minutes.
    for renderer in renderers:
        renderer.check()
    columns: list[_Column] = []
    problems: list[str] = []
    total = len(looks) * len(pictures)
    for index, (look, renderer) in enumerate(zip(looks, renderers, strict=True)):
        column, errors = _dreams(renderer, look, pictures, done=index * len(pictures), of=total)
        columns.append(column)
        for place, error in errors.items():
            problems.append(f"{look.name}{f' of {names[place]}' if names[place] else ''}: {error}")
    return columns, problems


def _dreams(
    renderer: DreamRenderer, look: Look, pictures: Sequence[RgbImage], *, done: int, of: int
) -> tuple[_Column, dict[int, Exception]]:
    """One look of every picture, and what those met that have none."""
    reporter = current_reporter()

    def report(progress: RenderProgress) -> None:
        reporter.step("dream", done + progress.done * len(pictures), of, look.name)

    def request(index: int, picture: RgbImage) -> RenderRequest:
        return RenderRequest(str(index), (picture.shape[0], picture.shape[1]), lambda: picture)

    found: _Column = [None] * len(pictures)
    errors: dict[int, Exception] = {}
    for outcome in renderer.render_all([request(*each) for each in enumerate(pictures)], report):
        found[int(outcome.key)] = outcome.image
        if outcome.image is None:
            errors[int(outcome.key)] = outcome.error or AssertionError("an outcome is a picture or an error")
    return found, errors


def _cell(dream: RgbImage | None, picture: RgbImage) -> RgbImage:
    from pipeline.contact_sheet import blank_cell

    return dream if dream is not None else blank_cell(picture, "no dream")


def _count(columns: Sequence[_Column]) -> int:
    return sum(dream is not None for column in columns for dream in column)


def _credits(shown: Sequence[FigurePicture]) -> bytes:
    from pipeline.provenance.xmp import write_credit_xmp

    return write_credit_xmp([each.credit for each in shown], software=f"dreamcrawl {software_version()}")

"""A contact sheet: pictures in rows and columns, each column or cell with its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import UsageError, WorkspaceUnusable

RgbImage = NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_GAP = 8
_LINE = 30
_FONT_SIZE = 17
_INK = (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[RgbImage]], *, names: Sequence[str] | None = None, cell_side: int = 320
) -> RgbImage:
    """The rows as one picture, uint8 RGB on white.

    names: of the columns, above them.
    cell_side: the longer side of a cell, in pixels; pictures are shown whole, smaller ones at their own size.
    """
    columns = max(len(row) for row in rows)
    cells = [[_fitted(image, cell_side) for image in row] for row in rows]
    width = max(cell.width for row in cells for cell in row)
    heights = [max(cell.height for cell in row) for row in cells]
    header = _LINE if names else 0
    size = columns * (width + _GAP) + _GAP, header + sum(heights) + _GAP * (len(heights) + 1)
    sheet = Image.new("RGB", size, "white")
    for column, name in enumerate(names or ()):
        _write(sheet, name, _GAP + column * (width + _GAP), 7)
    top = header + _GAP
    for row, height in zip(cells, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (width + _GAP) + (width - cell.width) // 2, top))
        top += height + _GAP
    return np.asarray(sheet)


def labelled_sheet(images: Sequence[tuple[str, RgbImage]], *, columns: int, cell_side: int = 320) -> RgbImage:
    """Named pictures one after the other, so many in a row, each with its name above it."""
    cells = [_named(name, _fitted(image, cell_side)) for name, image in images]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    return contact_sheet(rows, cell_side=cell_side + _LINE)


def write_sheet(sheet: RgbImage, path: Path) -> None:
    """Saves the sheet in the format that the file's name says; whole or not at all.

    Raises:
        UsageError: Another format than PNG, JPEG or WebP.
        WorkspaceUnusable: The file cannot be written.
    """
    check_sheet_path(path)
    partial = path.with_name(f".tmp-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(partial, quality=90, format=_FORMATS[path.suffix.lower()])
        partial.replace(path)
    except OSError as error:
        raise WorkspaceUnusable(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def check_sheet_path(path: Path) -> None:
    """Sees that a sheet can have this name, before any work is done for it.

    Raises:
        UsageError: It cannot.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a sheet is written as PNG, JPEG or WebP: {path} should end in {', '.join(SUFFIXES)}")


_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def _named(name: str, cell: Image.Image) -> RgbImage:
    named = Image.new("RGB", (cell.width, cell.height + _LINE), "white")
    named.paste(cell, (0, _LINE))
    _write(named, name, 0, 7)
    return np.asarray(named)


def _fitted(image: RgbImage, side: int) -> Image.Image:
    picture = Image.fromarray(image)
    factor = side / max(picture.size)
    if factor >= 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _write(sheet: Image.Image, text: str, left: int, top: int) -> None:
    ImageDraw.Draw(sheet).text((left, top), text, fill=_INK, font=ImageFont.load_default(size=_FONT_SIZE))

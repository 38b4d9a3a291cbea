"""A contact sheet: pictures in rows and columns, each column or cell with its name."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from pipeline.errors import UsageError, WorkspaceUnusable
from pipeline.whole_files import write_whole

RgbImage = NDArray[np.uint8]

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_QUALITY = 90
# Pixels a side, by what the formats can hold.
_LONGEST_SIDE = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}

_GAP = 8
_LINE = 30
_ABOVE_NAME = 7
_FONT_SIZE = 17
_INK = (40, 40, 40)
_BLANK = 225
_MOST_LETTERS = 40


def contact_sheet(
    rows: Sequence[Sequence[RgbImage]], *, names: Sequence[str] | None = None, cell_side: int = 320
) -> RgbImage:
    """The rows as one picture, uint8 RGB on white; columns are of one width, and rows as high as their pictures.

    rows: one or more, with one or more pictures each; a row may be shorter than another.
    names: of the columns, above them; a long one widens the columns, and one of more than 40 letters is cut.
    cell_side: the longer side of a cell, in pixels; pictures are shown whole, smaller ones at their own size.
    """
    shown = [_shown(name) for name in names or ()]
    cells = [[_fitted(image, cell_side) for image in row] for row in rows]
    columns = max(len(shown), *(len(row) for row in cells))
    width = max([_width_of(name) for name in shown] + [cell.width for row in cells for cell in row])
    heights = [max(cell.height for cell in row) for row in cells]
    header = _LINE if shown else 0
    size = columns * (width + _GAP) + _GAP, header + sum(heights) + _GAP * (len(heights) + 1)
    sheet = Image.new("RGB", size, "white")
    for column, name in enumerate(shown):
        left = _GAP + column * (width + _GAP)
        _write(sheet, name, left + (width - _width_of(name)) // 2, _ABOVE_NAME)
    top = header + _GAP
    for row, height in zip(cells, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (width + _GAP) + (width - cell.width) // 2, top))
        top += height + _GAP
    return np.asarray(sheet)


def labelled_sheet(images: Sequence[tuple[str, RgbImage]], *, columns: int, cell_side: int = 320) -> RgbImage:
    """Named pictures one after the other, so many in a row, each with its name above it."""
    cells = [_named(_shown(name), _fitted(image, cell_side)) for name, image in images]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    # Cells have their size by now, and one may be wider than the side asked for, by its name.
    return contact_sheet(rows, cell_side=max(max(cell.shape) for cell in cells))


def blank_cell(like: RgbImage, words: str) -> RgbImage:
    """A light grey picture of the same size with a few words in it, for one that there is none of."""
    height, width = like.shape[:2]
    cell = Image.new("RGB", (width, height), (_BLANK, _BLANK, _BLANK))
    _write(cell, _shown(words), _GAP, _GAP)
    return np.asarray(cell)


def write_sheet(sheet: RgbImage, path: Path, *, xmp: bytes | None = None) -> None:
    """Saves the sheet in the format that the file's name says; whole or not at all.

    xmp: An XMP packet to embed, in UTF-8, of at most 64 KB.

    Raises:
        UsageError: Another format than PNG, JPEG or WebP, or a sheet larger than the format can hold.
        WorkspaceUnusable: The file cannot be written.
    """
    check_sheet_path(path)
    kind = _FORMATS[path.suffix.lower()]
    if max(sheet.shape) > _LONGEST_SIDE[kind]:
        raise UsageError(
            f"a sheet of {sheet.shape[1]} x {sheet.shape[0]} pixels is too large for {kind}, which ends at "
            f"{_LONGEST_SIDE[kind]} a side; write it as .png, or make it smaller with --max-side"
        )
    encoded = io.BytesIO()
    extra: dict[str, Any] = {} if xmp is None else {"xmp": xmp}
    if kind == "PNG" and xmp is not None:
        extra = {"pnginfo": PngImagePlugin.PngInfo()}
        extra["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8"))
    Image.fromarray(sheet).save(encoded, quality=_QUALITY, format=kind, **extra)
    _write_whole(path, encoded.getvalue())


def check_sheet_path(path: Path) -> None:
    """Sees that a sheet can be written there, before any work is done for it.

    Raises:
        UsageError: It cannot have this name.
        WorkspaceUnusable: The folder cannot be written.
    """
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"a sheet is written as PNG, JPEG or WebP: {path} should end in {', '.join(_FORMATS)}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise WorkspaceUnusable(f"{path} cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorkspaceUnusable(f"{path} cannot be written: the folder {folder} is read-only; choose another place")


def _write_whole(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise WorkspaceUnusable(f"{path} cannot be written: {error.strerror or error}") from error


def _named(name: str, cell: Image.Image) -> RgbImage:
    width = max(cell.width, _width_of(name))
    named = Image.new("RGB", (width, cell.height + _LINE), "white")
    named.paste(cell, ((width - cell.width) // 2, _LINE))
    _write(named, name, (width - _width_of(name)) // 2, _ABOVE_NAME)
    return np.asarray(named)


def _fitted(image: RgbImage, side: int) -> Image.Image:
    picture = Image.fromarray(image)
    factor = side / max(picture.size)
    if factor >= 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _shown(text: str) -> str:
    """The text on one line, without what cannot be drawn, and not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}\u2026"


def _write(sheet: Image.Image, text: str, left: int, top: int) -> None:
    ImageDraw.Draw(sheet).text((left, top), text, fill=_INK, font=_font())


def _width_of(text: str) -> int:
    return int(np.ceil(_font().getlength(text)))


@lru_cache(maxsize=1)
def _font() -> Any:
    return ImageFont.load_default(size=_FONT_SIZE)

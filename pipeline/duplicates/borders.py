"""Finds the picture within its uniform borders: white margins, black bars, the mat of a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; right and bottom lie outside."""

_TOLERANCE = 10  # grey levels; JPEG of quality 50 stays within it on flat areas
_OUTLIERS = 0.03  # share of a line that may differ: dust, and rings of a JPEG block that meets the picture
_LEAST_CUT = 0.03  # of the area; less is no border but a soft edge
_LEAST_SHARE = 0.2  # of width and height that must be left
_LEAST_PIXELS = 24


def content_box(luma: NDArray[np.uint8]) -> Box | None:
    """The box without uniform borders, or None when there are none worth cutting, or nothing would be left.

    luma: uint8, shape (height, width).
    A border is lines of one grey level along an edge. Each side may have another one, or none; lines first along top
    and bottom, then left and right, and all once more, as bars may lie within a margin.
    """
    height, width = luma.shape
    left, top, right, bottom = 0, 0, width, height
    for _ in range(2):
        for axis in (0, 1):
            part = luma[top:bottom, left:right]
            if min(part.shape) < _LEAST_PIXELS:
                return None
            lines = part if axis == 0 else part.T
            before, after = _uniform_lines(lines), _uniform_lines(lines[::-1])
            if before + after >= len(lines):
                return None
            if axis == 0:
                top, bottom = top + before, bottom - after
            else:
                left, right = left + before, right - after
    # The outermost line of the picture is blended with the border by whatever resized it.
    left, top = left + (left > 0), top + (top > 0)
    right, bottom = right - (right < width), bottom - (bottom < height)
    if (right - left) * (bottom - top) > (1 - _LEAST_CUT) * width * height:
        return None
    if right - left < max(_LEAST_PIXELS, _LEAST_SHARE * width):
        return None
    if bottom - top < max(_LEAST_PIXELS, _LEAST_SHARE * height):
        return None
    return left, top, right, bottom


def _uniform_lines(lines: NDArray[np.uint8]) -> int:
    """How many lines from the first on have one grey level, that of the first."""
    level = int(np.median(lines[0]))
    # Four lines, then all: most pictures have no border, and most of the work would be for nothing.
    for count in (4, len(lines)):
        differing = np.count_nonzero(np.abs(lines[:count].astype(np.int16) - level) > _TOLERANCE, axis=1)
        other = np.flatnonzero(differing > _OUTLIERS * lines.shape[1])
        if len(other):
            return int(other[0])
    return len(lines)

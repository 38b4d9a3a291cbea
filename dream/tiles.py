"""Tiles: how a picture too large to be computed at once is cut. Plain geometry, no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

# The total stride of the networks: a tile that begins on another phase would see another grid of cells.
PHASE = 32

SMALLEST_TILE = 128
"""Pixels; when memory is short, tiles shrink no further: their overlaps would be most of the work."""


@dataclass(frozen=True)
class TilePlan:
    """Equal tiles over a picture that is wrapped around its edges, as the roll before each step wraps it anyway.

    A tile is its core, which is all it contributes, and `overlap` pixels around it. The cores lie side by side and
    cover every pixel; where they reach over the edge, they go on at the other side, and what is covered twice counts
    once.

    Attributes:
        height, width: of the picture, in pixels.
        core_height, core_width: of a core, in pixels.
        overlap: pixels that a tile sees on each side of its core.
    """

    height: int
    width: int
    core_height: int
    core_width: int
    overlap: int

    @property
    def rows(self) -> int:
        """Tiles from top to bottom."""
        return math.ceil(self.height / self.core_height)

    @property
    def columns(self) -> int:
        """Tiles from left to right."""
        return math.ceil(self.width / self.core_width)

    @property
    def count(self) -> int:
        """All tiles."""
        return self.rows * self.columns

    @property
    def tile_pixels(self) -> int:
        """Pixels of one tile, its overlap included."""
        return (self.core_height + 2 * self.overlap) * (self.core_width + 2 * self.overlap)

    @property
    def computed_pixels(self) -> int:
        """Pixels that a step computes, which is what it costs."""
        return self.count * self.tile_pixels


def needs_tiles(height: int, width: int, tile_side: int) -> bool:
    """Whether a picture of this size is computed tile by tile: above (2 * tile_side)^2 pixels."""
    return height * width > (2 * tile_side) ** 2


def octave_tiles(size: tuple[int, int], *, tile_side: int, overlap: int) -> TilePlan | None:
    """The tiles of an octave of this (height, width), or None where it is computed at once."""
    if not needs_tiles(*size, tile_side):
        return None
    return plan_tiles(*size, tile_side=tile_side, overlap=overlap)


def smaller_tile_side(size: tuple[int, int], *, tile_side: int, overlap: int) -> int | None:
    """The side, halved until this (height, width) is cut smaller than it is now; None at the smallest tiles."""
    now = octave_tiles(size, tile_side=tile_side, overlap=overlap)
    side = tile_side // 2 // PHASE * PHASE
    while side >= SMALLEST_TILE:
        if octave_tiles(size, tile_side=side, overlap=min(overlap, side)) != now:
            return side
        side = side // 2 // PHASE * PHASE
    return None


def plan_tiles(height: int, width: int, *, tile_side: int, overlap: int) -> TilePlan:
    """Tiles with cores of at most `tile_side` pixels a side, as even as multiples of 32 pixels allow.

    overlap: rounded up to a multiple of 32, so that tiles begin on the same phase.
    """
    return TilePlan(
        height=height,
        width=width,
        core_height=_even_share(height, tile_side),
        core_width=_even_share(width, tile_side),
        overlap=_up(overlap),
    )


def _even_share(length: int, most: int) -> int:
    return min(_up(math.ceil(length / math.ceil(length / most))), max(PHASE, most // PHASE * PHASE))


def _up(length: int) -> int:
    return math.ceil(length / PHASE) * PHASE

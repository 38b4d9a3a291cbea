"""Octaves: the sizes at which one picture is dreamt on. Plain geometry, no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dream.recipes import ExponentOctaves, Octaves, PlannedOctaves, Recipe


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int

    @property
    def short_side(self) -> int:
        """The smaller of the two, in pixels."""
        return min(self)

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    def scaled(self, factor: float) -> Size:
        """Both sides times `factor`, truncated to whole pixels, each 1 or more."""
        return Size(max(1, int(self.height * factor)), max(1, int(self.width * factor)))


@dataclass(frozen=True)
class OctavePlan:
    """What is dreamt on, in order.

    Attributes:
        base: the size the dream comes back to after the last octave.
        sizes: one for each octave, the first first.
        steps: ascent steps in each octave.
    """

    base: Size
    sizes: tuple[Size, ...]
    steps: tuple[int, ...]

    @property
    def pixel_steps(self) -> int:
        """Sum over the octaves of pixels times steps: what the time a dream takes is in proportion to."""
        return sum(size.pixels * steps for size, steps in zip(self.sizes, self.steps, strict=True))


def plan_octaves(size: Size, recipe: Recipe, *, floor: int = 1) -> OctavePlan:
    """The octaves for a picture of this size.

    floor: pixels; octaves with a shorter side than this are left out, as the network could see nothing in them.
    Where that leaves none, the picture's own size is the one octave.
    """
    base = _capped(size, recipe.max_side and max(recipe.max_side, floor))
    sizes = tuple(octave for octave in _sizes(base, recipe.octaves) if octave.short_side >= floor) or (base,)
    return OctavePlan(base, sizes, _steps(recipe, len(sizes)))


def _capped(size: Size, max_side: int | None) -> Size:
    if max_side is None or max(size) <= max_side:
        return size
    factor = max_side / max(size)
    return Size(*(max(1, round(side * factor)) for side in size))


def _sizes(base: Size, octaves: Octaves) -> Sequence[Size]:
    match octaves:
        case ExponentOctaves(scale=scale, exponents=exponents):
            return [base.scaled(scale**exponent) for exponent in exponents]
        case PlannedOctaves():
            return _planned(base, octaves)


def _planned(base: Size, octaves: PlannedOctaves) -> list[Size]:
    """From the last octave downwards by `scale`, while the short side is `smallest_side` or more, `most` at most."""
    upscale = min(max(octaves.working_side / base.short_side, 1.0), octaves.max_upscale)
    last = base.short_side * upscale
    # The allowance keeps a ratio that is a whole power of the scale from losing its smallest octave to rounding.
    below = math.floor(math.log(max(last / octaves.smallest_side, 1.0), octaves.scale) + 1e-9)
    if octaves.most is not None:
        below = min(below, octaves.most - 1)
    factors = [upscale / octaves.scale**power for power in range(below, -1, -1)]
    return [Size(*(max(1, round(side * factor)) for side in base)) for factor in factors]


def _steps(recipe: Recipe, count: int) -> tuple[int, ...]:
    first, last = recipe.steps, recipe.steps if recipe.final_steps is None else recipe.final_steps
    if count == 1:
        return (last,)
    return tuple(round(first + (last - first) * index / (count - 1)) for index in range(count))

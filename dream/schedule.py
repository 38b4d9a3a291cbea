"""Planning the work on many pictures: what each costs, and which are climbed together. No TensorFlow here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dream.octaves import OctavePlan, Size, plan_octaves
from dream.recipes import Recipe
from dream.tiles import octave_tiles

# One multiplication and one addition for each MAC, forward, and as much again for the gradient of the pixels: the
# gradient of the weights is not computed.
OPERATIONS_PER_MAC = 4

# Pixels of a batch that are in work at once. A network holds some hundred float32 values a pixel between its forward
# and its backward pass, about 1 GiB for a million pixels.
_MOST_PIXELS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Work:
    """One picture to dream on.

    Attributes:
        index: its place among those asked for.
        size: in pixels.
        padded: the same, or larger where it is mirrored out so that the network can see something.
        plan: its octaves.
        costs: of each octave, in pixels times steps, overlaps of tiles included.
    """

    index: int
    size: Size
    padded: Size
    plan: OctavePlan
    costs: tuple[int, ...]

    @property
    def cost(self) -> int:
        """Of all octaves: what the time that it takes is in proportion to."""
        return sum(self.costs)


@dataclass(frozen=True)
class Cost:
    """What some dreams will take.

    Attributes:
        pictures: how many.
        pixel_steps: pixels times steps over all octaves, overlaps of tiles included.
        operations: floating-point operations.
    """

    pictures: int
    pixel_steps: int
    operations: float

    def seconds(self, operations_per_second: float) -> float:
        """How long that takes at a rate."""
        return self.operations / operations_per_second


def plan_work(index: int, size: tuple[int, int], recipe: Recipe, *, floor: int) -> Work:
    """The octaves of one picture.

    size: (height, width) in pixels. floor: the shortest side that the network and the objective can use; a picture
    with a shorter one is mirrored out to it.
    """
    height, width = size
    padded = _padded(Size(height, width), recipe.max_side, floor)
    plan = plan_octaves(padded, recipe, floor=floor)
    return Work(index, Size(height, width), padded, plan, octave_costs(plan, recipe))


def _padded(size: Size, max_side: int | None, floor: int) -> Size:
    """Mirrored out so far that the short side has `floor` pixels, also where the long one is cut down to `max_side`."""
    longest, most = max(size), max(size) if max_side is None else max(max_side, floor)
    shortest = math.ceil(floor * longest / most) if longest > most else floor
    return Size(max(size.height, shortest), max(size.width, shortest))


def octave_costs(plan: OctavePlan, recipe: Recipe) -> tuple[int, ...]:
    """Pixels times steps of each octave, where a tile's overlap counts as well: what time is in proportion to."""
    return tuple(_computed_pixels(size, recipe) * steps for size, steps in zip(plan.sizes, plan.steps, strict=True))


def _computed_pixels(size: Size, recipe: Recipe) -> int:
    tiles = octave_tiles(size, tile_side=recipe.tile_side, overlap=recipe.tile_overlap)
    return size.pixels if tiles is None else tiles.computed_pixels


def batches(work: Sequence[Work], *, most: int) -> Iterator[tuple[Work, ...]]:
    """The work in batches of pictures of one size, in the order of the first of each, at most `most` together.

    Pictures of different sizes never share a batch: padding one to the other would change what it dreams.
    """
    groups: dict[Size, list[Work]] = {}
    for one in work:
        groups.setdefault(one.size, []).append(one)
    ready: list[tuple[Work, ...]] = []
    for group in groups.values():
        largest = max(size.pixels for size in group[0].plan.sizes)
        count = max(1, min(most, _MOST_PIXELS_AT_ONCE // largest))
        ready.extend(tuple(group[start : start + count]) for start in range(0, len(group), count))
    yield from sorted(ready, key=lambda batch: batch[0].index)


def plan_cost(sizes: Sequence[tuple[int, int]], recipe: Recipe, *, floor: int, macs_per_pixel: float) -> Cost:
    """What dreaming on pictures of these sizes takes.

    macs_per_pixel: of the deepest layer that the objective needs, see `LayerInfo`.
    """
    steps = sum(plan_work(index, size, recipe, floor=floor).cost for index, size in enumerate(sizes))
    return Cost(len(sizes), steps, float(steps) * macs_per_pixel * OPERATIONS_PER_MAC)

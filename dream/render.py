"""Render: pictures, a recipe and a network in, dreams of the same size and the facts about them out. READ THIS FIRST.

A dream goes through octaves, sizes from small to large (`dream.octaves`). In each, the ascent (`dream.ascent`) takes
some steps that make the objective (`dream.objectives`) larger, and the result is carried to the next size.
TensorFlow loads with the first network, not with this module.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dream.colors import apply_colors
from dream.octaves import OctavePlan, Size, plan_octaves
from dream.recipes import ENGINE_VERSION, Clip, Recipe, ValueRange

if TYPE_CHECKING:
    from dream.networks.network import Network

__all__ = ["ENGINE_VERSION", "Rendering", "render"]

RgbArray = NDArray[np.uint8]
FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class Rendering:
    """Dreams, and for each what it took to make it.

    Attributes:
        images: uint8, each of the shape of its source.
        facts: JSON values: the octave sizes and steps, the seed and the digest of the shifts drawn from it, the
            objective and its value at the begin and end of each octave, the machine, versions, and seconds.
    """

    images: tuple[RgbArray, ...]
    facts: tuple[dict[str, Any], ...]


def render(
    images: Sequence[RgbArray],
    recipe: Recipe,
    network: Network,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Rendering:
    """Dreams on each of the images.

    images: uint8, shape (height, width, 3), RGB; never changed in place.
    on_progress: told the part of the work that is done, 0 to 1, about once a second; it may raise to stop.

    The pictures are worked on one by one, so that none depends on the others. The same image, recipe, weights,
    versions and machine give the same bytes. With a strength of 0, or no steps, the source comes back as it is.

    Raises:
        ImageUnusable: an array is not an RGB picture.
        RecipeError: the network lacks a layer or channel that the recipe names.
        DeadObjective: nothing in a picture moves the objective.
        DreamDiverged: the ascent left the finite numbers.
    """
    from dream.objectives import check_objective
    from dream.pixels import check_image

    check_objective(recipe.objective, network)
    sources = [check_image(image) for image in images]
    plans = [_plan(source, recipe, network) for source in sources]
    total = sum(plan.pixel_steps for plan in plans) or 1
    report = on_progress or _silent
    done = 0
    results: list[tuple[RgbArray, dict[str, Any]]] = []
    for source, plan in zip(sources, plans, strict=True):

        def on_work(work: int, *, before: int = done) -> None:
            report((before + work) / total)

        results.append(_render_one(source, recipe, network, plan=plan, on_work=on_work))
        done += plan.pixel_steps
    report(1.0)
    return Rendering(tuple(image for image, _ in results), tuple(facts for _, facts in results))


def _plan(source: RgbArray, recipe: Recipe, network: Network) -> OctavePlan:
    floor = network.card.smallest_side
    height, width = source.shape[:2]
    return plan_octaves(Size(max(height, floor), max(width, floor)), recipe, floor=floor)


def _render_one(
    source: RgbArray, recipe: Recipe, network: Network, *, plan: OctavePlan, on_work: Callable[[int], None]
) -> tuple[RgbArray, dict[str, Any]]:
    from dream.pixels import pad_to, to_float, to_uint8
    from dream.runtime import environment
    from dream.transforms import draw_shifts, shifts_digest

    started = time.monotonic()
    shifts = draw_shifts(recipe.seed, plan.steps, recipe.jitter)
    result, per_octave = source.copy(), _PerOctave([], [])
    if recipe.strength > 0 and plan.pixel_steps > 0:
        # Sides too short for the network are mirrored out for the dream and cut off after it.
        padded = pad_to(to_float(source), network.card.smallest_side)
        dreamt, per_octave = _climb_octaves(padded, recipe, network, plan=plan, shifts=shifts, on_work=on_work)
        full = apply_colors(_at_source_size(dreamt, padded, recipe, plan.base), padded, recipe.colors)
        blended = padded + np.float32(recipe.strength) * (full - padded)
        result = to_uint8(blended[:, : source.shape[0], : source.shape[1]])
    return result, {
        "engine_version": ENGINE_VERSION,
        "octave_sizes": [list(size) for size in plan.sizes],
        "octave_steps": list(plan.steps),
        "base_size": list(plan.base),
        "seed": recipe.seed,
        "jitter_sha256": shifts_digest(shifts),
        "objective": recipe.to_json()["objective"],
        "objective_values": per_octave.values,
        "clipped_fractions": per_octave.clipped,
        **environment(),
        "seconds": round(time.monotonic() - started, 3),
    }


@dataclass(frozen=True)
class _PerOctave:
    """Facts octave by octave: the objective before the first and the last step, and the part of values at a limit."""

    values: list[list[float]]
    clipped: list[float]


def _climb_octaves(
    source: FloatImage,
    recipe: Recipe,
    network: Network,
    *,
    plan: OctavePlan,
    shifts: Sequence[NDArray[np.int32]],
    on_work: Callable[[int], None],
) -> tuple[FloatImage, _PerOctave]:
    """The dream at the size of the last octave, float32, shape (1, height, width, 3)."""
    from dream.ascent import compile_ascent
    from dream.pixels import resize

    ascent = compile_ascent(network, recipe.objective, recipe.normalization, clip_each_step=recipe.clip is Clip.STEP)
    step_size = recipe.step_size / (2 if recipe.value_range is ValueRange.SYMMETRIC else 1)
    facts = _PerOctave([], [])
    images: Any = None
    held: Any = None
    done = 0
    for size, table in zip(plan.sizes, shifts, strict=True):
        octave_source = resize(source, size, recipe.resampling)
        images = octave_source if images is None else resize(images, size, recipe.resampling)
        if recipe.reinject_detail and held is not None:
            images = images + (octave_source - resize(held, size, recipe.resampling))
        held = octave_source

        def on_steps(steps: int, *, before: int = done, pixels: int = size.pixels) -> None:
            on_work(before + steps * pixels)

        climb = ascent.climb(images, table, step_size=step_size, on_steps=on_steps)
        done += len(table) * size.pixels
        images = climb.images
        facts.clipped.append(_clipped_fraction(np.asarray(images)))
        if recipe.clip is Clip.OCTAVE:
            images = np.clip(np.asarray(images), 0.0, 1.0)
        if len(climb.values):
            facts.values.append([float(climb.values[0, 0]), float(climb.values[-1, 0])])
    return np.asarray(images, dtype=np.float32), facts


def _at_source_size(dreamt: FloatImage, source: FloatImage, recipe: Recipe, base: Size) -> FloatImage:
    """The dream at the size of its source; where it was dreamt smaller, the change it makes is enlarged instead."""
    from dream.pixels import resize

    at_base: FloatImage = np.asarray(resize(dreamt, base, recipe.resampling))
    if source.shape[1:3] == base:
        return at_base
    change: FloatImage = at_base - np.asarray(resize(source, base, recipe.resampling))
    enlarged: FloatImage = np.asarray(resize(change, Size(*source.shape[1:3]), recipe.resampling))
    return source + enlarged


def _clipped_fraction(images: FloatImage) -> float:
    return round(float(np.mean((images <= 0.0) | (images >= 1.0))), 6)


def _silent(_fraction: float) -> None:
    return

"""What is on record of a dream, and what is said where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.climbers import Climber, FloatImages, Setting
from dream.errors import DeadObjective, DreamDiverged
from dream.octaves import OctavePlan, Size
from dream.recipes import ENGINE_VERSION, Recipe
from dream.runtime import environment
from dream.terms import ClassTerm, term_to_json
from dream.tiles import TilePlan, octave_tiles
from dream.transforms import draw_shifts, shifts_digest


def facts_of(setting: Setting, plan: OctavePlan, climber: Climber | None) -> dict[str, Any]:
    """What provenance records; without a climber, of a picture that is left as it is."""
    recipe = setting.recipe
    octaves = climber.octaves if climber else []
    tiles = [tiles_of(recipe, size, octave.tile_side) for size, octave in zip(plan.sizes, octaves, strict=False)]
    return {
        "engine_version": ENGINE_VERSION,
        "octave_sizes": [list(size) for size in plan.sizes],
        "octave_steps": list(plan.steps),
        "base_size": list(plan.base),
        "seed": recipe.seed,
        "jitter_sha256": shifts_digest(draw_shifts(recipe.seed, plan.steps, recipe.jitter)),
        "objective": [term_to_json(term) for term in setting.objective],
        "objective_values": [list(octave.values) for octave in octaves],
        "clipped_fractions": [octave.clipped for octave in octaves],
        "octave_seconds": list(climber.seconds) if climber else [],
        "tiles": [_tiles_fact(each) for each in tiles],
        # Smaller than the recipe's where memory was short.
        "tile_side": climber.tile_side if climber else recipe.tile_side,
        **environment(),
        "dtype": setting.variant.dtype,
        "profile": setting.profile,
        "variant": str(setting.variant),
        "device_name": setting.device or "default",
        "fold_difference": setting.network.body.fold_difference,
        "batch": min((octave.together for octave in octaves), default=1),
        "seconds": 0.0,
    }


def _tiles_fact(tiles: TilePlan | None) -> dict[str, int] | None:
    if tiles is None:
        return None
    return {
        "count": tiles.count,
        "core_height": tiles.core_height,
        "core_width": tiles.core_width,
        "overlap": tiles.overlap,
    }


def dead(setting: Setting) -> DeadObjective:
    """What is said of a picture in which nothing moves the objective."""
    return DeadObjective(
        f"nothing in this picture moves {_described(setting)}, so no step could be taken; choose a layer before "
        "its activation (in efficientnet_lite0 the names that end in _pre), other channels, or another preset"
    )


def diverged(values: NDArray[np.float32], slopes: NDArray[np.float32], setting: Setting) -> DreamDiverged:
    """What is said of a picture whose objective or slope is no longer a number.

    values, slopes: of each step.
    """
    step = int(np.argmin(np.isfinite(values) & np.isfinite(slopes))) + 1
    return DreamDiverged(
        f"{_described(setting)} is no longer a finite number at step {step}; "
        "use a smaller step_size, or clip after every step"
    )


def _described(setting: Setting) -> str:
    names = [f"class {term.index}" if isinstance(term, ClassTerm) else term.layer for term in setting.objective]
    return f"the objective ({', '.join(names)} of {setting.network.card.name})"


def clipped_fraction(image: FloatImages) -> float:
    """0 to 1, the part of the values that are at a limit."""
    return round(float(np.mean((image <= 0.0) | (image >= 1.0))), 6)


def tiles_of(recipe: Recipe, size: Size, tile_side: int) -> TilePlan | None:
    """The tiles of an octave in which no side is longer than this, if it needs some."""
    return octave_tiles(size, tile_side=tile_side, overlap=min(recipe.tile_overlap, tile_side))

"""Some pictures of one size through all their octaves, together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.ascent import compile_ascent
from dream.checkpoints import Checkpoint, Checkpoints
from dream.colors import apply_colors
from dream.errors import DeadObjective, DreamDiverged, DreamError
from dream.networks.network import Network
from dream.objectives import Objective, chosen_channels, picture_inputs, plane_inputs
from dream.octaves import OctavePlan, Size
from dream.pixels import pad_to, pixel_digest, resize, to_float, to_uint8
from dream.profiles import Variant
from dream.recipes import ENGINE_VERSION, Clip, Recipe
from dream.regions import Pictures, mask_plane
from dream.runtime import environment
from dream.starts import first_image
from dream.streams import TILE_STREAM, random_words
from dream.terms import ClassTerm, term_to_json
from dream.tiles import PHASE, TilePlan, needs_tiles, plan_tiles
from dream.transforms import draw_shifts, shifts_digest

RgbArray = NDArray[np.uint8]
FloatImages = NDArray[np.float32]

_logger = logging.getLogger(__name__)

_SMALLEST_TILE = 128


@dataclass(frozen=True)
class Setting:
    """What all pictures of a call have in common.

    Attributes:
        objective: resolved, see `dream.objectives.resolve`.
        pictures: guides and masks by their pixel SHA-256.
        device: name of a TensorFlow device, or None for its own choice.
    """

    recipe: Recipe
    network: Network
    objective: Objective
    pictures: Pictures
    variant: Variant
    profile: str
    device: str | None = None
    checkpoints: Checkpoints | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether the recipe leaves every picture as it is."""
        return self.recipe.strength == 0


@dataclass(frozen=True)
class Picture:
    """A source under its key: uint8, shape (height, width, 3)."""

    key: str
    source: RgbArray


@dataclass(frozen=True)
class Dream:
    """What became of one picture: its pixels and facts, or why there are none."""

    image: RgbArray | None
    facts: dict[str, Any]
    error: DreamError | None = None


@dataclass
class _PerOctave:
    """Facts octave by octave and picture by picture."""

    values: list[list[tuple[float, ...]]] = field(default_factory=list)
    clipped: list[list[float]] = field(default_factory=list)
    tiles: list[TilePlan | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def dream_together(
    pictures: Sequence[Picture], setting: Setting, *, plan: OctavePlan, on_work: Callable[[int], None]
) -> list[Dream]:
    """Dreams on pictures of one size, in step; none depends on the others.

    on_work: told the pixel-steps done so far for each of the pictures; it may raise to stop.

    Raises:
        OutOfMemory: they do not fit together, or one alone does not.
    """
    started = time.monotonic()
    recipe = setting.recipe
    if setting.changes_nothing or plan.pixel_steps == 0:
        return [Dream(picture.source.copy(), _facts(setting, plan, _PerOctave(), 0)) for picture in pictures]
    floor = min(plan.base) if min(pictures[0].source.shape[:2]) < min(plan.base) else 1
    sources = np.concatenate([pad_to(to_float(picture.source), floor) for picture in pictures])
    run = _Run(setting, pictures, plan, sources)
    dreamt, per_octave, errors = run.climb(on_work)
    dreams = []
    for index, picture in enumerate(pictures):
        facts = _facts(setting, plan, per_octave, index) | run.chosen(index)
        facts["batch"] = len(pictures)
        facts["seconds"] = round((time.monotonic() - started) / len(pictures), 3)
        if errors[index] is not None:
            dreams.append(Dream(None, facts, errors[index]))
            continue
        source = sources[index : index + 1]
        full = _at_source_size(dreamt[index : index + 1], run.first[index : index + 1], recipe, plan.base)
        full = apply_colors(full, source, recipe.colors)
        blended = source + np.float32(recipe.strength) * _room(setting, *source.shape[1:3]) * (full - source)
        height, width = picture.source.shape[:2]
        dreams.append(Dream(to_uint8(blended[:, :height, :width]), facts))
    return dreams


class _Run:
    """The octaves of one batch."""

    def __init__(self, setting: Setting, pictures: Sequence[Picture], plan: OctavePlan, sources: FloatImages) -> None:
        self._setting = setting
        self._pictures = pictures
        self._plan = plan
        self._shifts = draw_shifts(setting.recipe.seed, plan.steps, setting.recipe.jitter)
        firsts = [first_image(setting.recipe.start, source[None], setting.recipe.seed) for source in sources]
        self.first: FloatImages = np.concatenate(firsts)
        self._inputs = picture_inputs(setting.objective, setting.network, sources, setting.pictures)

    def chosen(self, index: int) -> dict[str, Any]:
        """The channels that terms have picked by this picture, if any have."""
        chosen = chosen_channels(self._setting.objective, self._inputs)
        return {"chosen_channels": {name: rows[index] for name, rows in chosen.items()}} if chosen else {}

    def climb(self, on_work: Callable[[int], None]) -> tuple[FloatImages, _PerOctave, list[DreamError | None]]:
        recipe, plan = self._setting.recipe, self._plan
        images, facts, done = self._resumed()
        errors: list[DreamError | None] = [None] * len(self._pictures)
        work = sum(size.pixels * steps for size, steps in list(zip(plan.sizes, plan.steps, strict=True))[:done])
        on_work(work)
        for octave in range(done, len(plan.sizes)):
            size = plan.sizes[octave]
            first = resize(self.first, size, recipe.resampling)
            if images is None:
                images = first
            else:
                images = resize(images, size, recipe.resampling)
                if recipe.reinject_detail:
                    held = resize(self.first, plan.sizes[octave - 1], recipe.resampling)
                    images = images + (first - resize(held, size, recipe.resampling))
            images = self._climb_octave(octave, np.asarray(images), facts, errors, work, on_work)
            work += size.pixels * plan.steps[octave]
            if octave + 1 < len(plan.sizes):
                self._save(octave + 1, images, facts, errors)
        assert images is not None
        return np.asarray(images, dtype=np.float32), facts, errors

    def _climb_octave(
        self,
        octave: int,
        images: FloatImages,
        facts: _PerOctave,
        errors: list[DreamError | None],
        work: int,
        on_work: Callable[[int], None],
    ) -> FloatImages:
        setting, recipe, size = self._setting, self._setting.recipe, self._plan.sizes[octave]
        started = time.monotonic()
        tiles, shifts = self._tiling(octave)
        ascent = compile_ascent(
            setting.network, recipe, setting.objective, variant=setting.variant, device=setting.device, tiles=tiles
        )
        climb = ascent.climb(
            images,
            shifts,
            inputs=self._inputs | plane_inputs(setting.objective, *size, setting.pictures),
            mask=None if recipe.mask is None else _room(setting, *size),
            on_steps=lambda steps: on_work(work + steps * size.pixels),
        )
        result: FloatImages = climb.images.numpy()
        for index, error in enumerate(errors):
            if error is None and not climb.finite[index]:
                errors[index] = _diverged(climb.values[:, index], climb.slopes[:, index], setting)
            elif error is None and climb.dead[index]:
                errors[index] = _dead(setting)
        ends = climb.values[[0, -1]] if len(climb.values) else climb.values
        facts.values.append([tuple(map(float, ends[:, index])) for index in range(len(errors))])
        facts.clipped.append([_clipped_fraction(image) for image in result])
        facts.tiles.append(tiles)
        facts.seconds.append(round(time.monotonic() - started, 3))
        return np.clip(result, 0.0, 1.0) if recipe.clip is Clip.OCTAVE else result

    def _tiling(self, octave: int) -> tuple[TilePlan | None, NDArray[np.int32]]:
        """The tiles of an octave, if it needs some, and its shifts: with tiles, wide enough to move every seam."""
        recipe, size, shifts = self._setting.recipe, self._plan.sizes[octave], self._shifts[octave]
        if not needs_tiles(*size, recipe.tile_side):
            return None, shifts
        tiles = plan_tiles(*size, tile_side=recipe.tile_side, overlap=recipe.tile_overlap)
        steps = self._plan.steps
        words = random_words(recipe.seed, TILE_STREAM, 2 * sum(steps)).reshape(-1, 2)
        words = words[sum(steps[:octave]) :][: len(shifts)]
        # By whole cells of the network, so that a recipe without jitter keeps its phase.
        cells = np.array([tiles.core_height, tiles.core_width]) // PHASE
        return tiles, (shifts + (words % cells.astype(np.uint64)).astype(np.int32) * PHASE).astype(np.int32)

    def _identity(self, picture: Picture) -> dict[str, Any]:
        setting = self._setting
        return {
            "engine_version": ENGINE_VERSION,
            "recipe": setting.recipe.digest(),
            "source": pixel_digest(picture.source),
            "weights": setting.network.card.weights_sha256,
            "variant": str(setting.variant),
        }

    def _resumed(self) -> tuple[Any, _PerOctave, int]:
        """Where an earlier run stopped, if it did so with all of these pictures after the same octave."""
        store, facts = self._setting.checkpoints, _PerOctave()
        if store is None:
            return None, facts, 0
        found = [store.load(picture.key, self._identity(picture)) for picture in self._pictures]
        if any(one is None for one in found) or len({one.octaves for one in found if one}) != 1:
            return None, facts, 0
        checkpoints = [one for one in found if one is not None]
        done = checkpoints[0].octaves
        facts.values = [[one.values[octave] for one in checkpoints] for octave in range(done)]
        facts.clipped = [[one.clipped[octave] for one in checkpoints] for octave in range(done)]
        facts.tiles = [self._tiling(octave)[0] for octave in range(done)]
        facts.seconds = [0.0] * done
        return np.concatenate([one.image for one in checkpoints]), facts, done

    def _save(self, done: int, images: FloatImages, facts: _PerOctave, errors: Sequence[DreamError | None]) -> None:
        store = self._setting.checkpoints
        if store is None:
            return
        for index, picture in enumerate(self._pictures):
            if errors[index] is not None:
                continue
            values = tuple(row[index] for row in facts.values)
            clipped = tuple(row[index] for row in facts.clipped)
            try:
                checkpoint = Checkpoint(done, images[index : index + 1], values, clipped)
                store.save(picture.key, checkpoint, self._identity(picture))
            except OSError as error:
                # Going on is better than stopping: a checkpoint only saves time.
                _logger.warning("the octaves done could not be kept: %s", error)


def _room(setting: Setting, height: int, width: int) -> FloatImages:
    """How far each pixel may move, shape (1, height, width, 1)."""
    if setting.recipe.mask is None:
        return np.ones((1, 1, 1, 1), np.float32)
    return mask_plane(setting.recipe.mask, height, width, setting.pictures)[None]


def _at_source_size(dreamt: FloatImages, first: FloatImages, recipe: Recipe, base: Size) -> FloatImages:
    """The dream at the size of its source; where it was dreamt smaller, the change it makes is enlarged instead."""
    at_base: FloatImages = np.asarray(resize(dreamt, base, recipe.resampling))
    if first.shape[1:3] == base:
        return at_base
    change: FloatImages = at_base - np.asarray(resize(first, base, recipe.resampling))
    enlarged: FloatImages = np.asarray(resize(change, Size(*first.shape[1:3]), recipe.resampling))
    return first + enlarged


def _facts(setting: Setting, plan: OctavePlan, per_octave: _PerOctave, index: int) -> dict[str, Any]:
    recipe = setting.recipe
    shifts = draw_shifts(recipe.seed, plan.steps, recipe.jitter)
    return {
        "engine_version": ENGINE_VERSION,
        "octave_sizes": [list(size) for size in plan.sizes],
        "octave_steps": list(plan.steps),
        "base_size": list(plan.base),
        "seed": recipe.seed,
        "jitter_sha256": shifts_digest(shifts),
        "objective": [term_to_json(term) for term in setting.objective],
        "objective_values": [list(row[index]) for row in per_octave.values],
        "clipped_fractions": [row[index] for row in per_octave.clipped],
        "octave_seconds": per_octave.seconds,
        "tiles": [_tiles_fact(tiles) for tiles in per_octave.tiles],
        **environment(),
        "dtype": setting.variant.dtype,
        "profile": setting.profile,
        "variant": str(setting.variant),
        "device_name": setting.device or "default",
        "fold_difference": setting.network.body.fold_difference,
        "batch": 1,
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


def _dead(setting: Setting) -> DeadObjective:
    return DeadObjective(
        f"nothing in this picture moves {_described(setting)}, so no step could be taken; choose a layer before "
        "its activation (in efficientnet_lite0 the names that end in _pre), other channels, or another preset"
    )


def _diverged(values: NDArray[np.float32], slopes: NDArray[np.float32], setting: Setting) -> DreamDiverged:
    step = int(np.argmin(np.isfinite(values) & np.isfinite(slopes))) + 1
    return DreamDiverged(
        f"{_described(setting)} is no longer a finite number at step {step}; "
        "use a smaller step_size, or clip after every step"
    )


def _described(setting: Setting) -> str:
    names = [f"class {term.index}" if isinstance(term, ClassTerm) else term.layer for term in setting.objective]
    return f"the objective ({', '.join(names)} of {setting.network.card.name})"


def _clipped_fraction(image: FloatImages) -> float:
    return round(float(np.mean((image <= 0.0) | (image >= 1.0))), 6)


def with_smaller_tiles(setting: Setting) -> Setting | None:
    """The same with tiles of half the side, or None where they are as small as they can be."""
    smaller = setting.recipe.tile_side // 2 // PHASE * PHASE
    if smaller < _SMALLEST_TILE:
        return None
    overlap = min(setting.recipe.tile_overlap, smaller)
    return replace(setting, recipe=setting.recipe.with_changes(tile_side=smaller, tile_overlap=overlap))

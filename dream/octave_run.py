"""Some pictures of one size through all their octaves, together."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.ascent import compile_ascent, memory_errors, on_device
from dream.checkpoints import Checkpoint, Checkpoints, OctaveRecord
from dream.colors import apply_colors
from dream.errors import DeadObjective, DeviceFailed, DreamDiverged, OutOfMemory, RecipeError
from dream.networks.network import Network
from dream.objectives import Objective, chosen_channels, picture_inputs, plane_inputs
from dream.octaves import OctavePlan, Size
from dream.pixels import pad_to, pixel_digest, resize, to_float, to_uint8
from dream.profiles import Variant
from dream.recipes import ENGINE_VERSION, Clip, Recipe
from dream.regions import ALL_SHOWN, Pictures, Shown, mask_plane
from dream.runtime import environment
from dream.schedule import Work
from dream.starts import first_image
from dream.streams import TILE_STREAM, random_words
from dream.terms import ClassTerm, term_to_json
from dream.tiles import PHASE, TilePlan, octave_tiles, smaller_tile_side
from dream.transforms import draw_shifts, shifts_digest

RgbArray = NDArray[np.uint8]
FloatImages = NDArray[np.float32]

_logger = logging.getLogger(__name__)


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
    error: Exception | None = None


@dataclass
class _Climber:
    """A picture on its way through the octaves; nothing of it depends on its company.

    Attributes:
        index: its place in the batch.
        source: the picture as float32, mirrored out where it is smaller than the network can use.
        first: what the ascent begins from.
        image: as the last octave that is done left it.
        tile_side: pixels; less than the recipe's where memory was short.
        octaves: on record, of those that are done.
        seconds: of each of them; 0 where another run did it.
    """

    index: int
    picture: Picture
    identity: Mapping[str, Any]
    source: FloatImages
    first: FloatImages
    image: FloatImages
    tile_side: int
    octaves: list[OctaveRecord] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    error: Exception | None = None


def dream_together(
    pictures: Sequence[Picture], setting: Setting, *, work: Work, on_work: Callable[[str, int], None]
) -> list[Dream]:
    """Dreams on pictures of one size, in step; none depends on the others.

    work: of any of them.
    on_work: told the key of a picture and how much of `work.cost` is done for it; it may raise to stop.

    Where memory runs out, fewer climb at once, then the picture is cut into smaller tiles. One for which it is not
    enough even then is a dream with an error.

    Raises:
        DeviceFailed: the device stopped working.
        OutOfMemory: the memory is not enough to begin.
        RecipeError: a region or the mask of the recipe holds nothing of a picture of this size.
    """
    with on_device(setting.device), _device_errors(setting.device), memory_errors():
        if setting.changes_nothing or work.plan.pixel_steps == 0:
            return [Dream(picture.source.copy(), _facts(setting, work.plan, None)) for picture in pictures]
        return _Run(setting, pictures, work, on_work).dreams()


class _Run:
    """The octaves of one batch."""

    def __init__(
        self, setting: Setting, pictures: Sequence[Picture], work: Work, on_work: Callable[[str, int], None]
    ) -> None:
        self._setting, self._work, self._plan, self._on_work = setting, work, work.plan, on_work
        self._started = time.monotonic()
        self._shown = work.size.height / work.padded.height, work.size.width / work.padded.width
        _check_room(setting, self._plan.base, self._shown)
        self._together = len(pictures)
        self._shifts = draw_shifts(setting.recipe.seed, self._plan.steps, setting.recipe.jitter)
        sources = [pad_to(to_float(picture.source), min(work.padded)) for picture in pictures]
        self._inputs = picture_inputs(
            setting.objective, setting.network, np.concatenate(sources), setting.pictures, shown=self._shown
        )
        self._climbers = [
            self._climber(index, picture, source)
            for index, (picture, source) in enumerate(zip(pictures, sources, strict=True))
        ]

    def _climber(self, index: int, picture: Picture, source: FloatImages) -> _Climber:
        """The picture where an earlier run left it, or at the beginning."""
        recipe, store = self._setting.recipe, self._setting.checkpoints
        first = first_image(recipe.start, source, recipe.seed)
        climber = _Climber(index, picture, {}, source, first, first, recipe.tile_side)
        if store is None:
            return climber
        climber.identity = _identity(self._setting, picture)
        found = store.load(picture.key, climber.identity, self._plan.sizes)
        if found is not None:
            climber.image = found.image
            climber.octaves = list(found.octaves)
            climber.seconds = [0.0] * len(found.octaves)
            climber.tile_side = found.octaves[-1].tile_side
        return climber

    def dreams(self) -> list[Dream]:
        """Climbs all octaves, and gives what came of each picture."""
        for climber in self._climbers:
            self._on_work(climber.picture.key, sum(self._work.costs[: len(climber.octaves)]))
        for octave in range(len(self._plan.sizes)):
            # Those that are further already, from another run, wait here for the others.
            self._climb(octave, [each for each in self._climbers if len(each.octaves) == octave and not each.error])
        seconds = round((time.monotonic() - self._started) / len(self._climbers), 3)
        return [self._dream(climber, seconds) for climber in self._climbers]

    def _climb(self, octave: int, climbers: Sequence[_Climber]) -> None:
        """One octave of these pictures: as many at once and in tiles as large as the memory allows."""
        waiting = list(climbers)
        while waiting:
            part = waiting[: self._together]
            try:
                self._climb_together(octave, part)
            except OutOfMemory as error:
                if len(part) > 1:
                    self._together = len(part) // 2
                    continue
                smaller = self._smaller_tile_side(octave, part[0])
                if smaller is not None:
                    part[0].tile_side = smaller
                    continue
                part[0].error = error
            del waiting[: len(part)]

    def _climb_together(self, octave: int, climbers: Sequence[_Climber]) -> None:
        setting, recipe, size = self._setting, self._setting.recipe, self._plan.sizes[octave]
        started = time.monotonic()
        tiles, shifts = self._tiling(octave, climbers[0].tile_side)
        ascent = compile_ascent(
            setting.network, recipe, setting.objective, variant=setting.variant, device=setting.device, tiles=tiles
        )
        places = [climber.index for climber in climbers]
        inputs = {name: self._rows(value, places) for name, value in self._inputs.items()}
        climb = ascent.climb(
            np.concatenate([self._entering(octave, climber) for climber in climbers]),
            shifts,
            inputs=inputs | plane_inputs(setting.objective, *size, setting.pictures, shown=self._shown),
            mask=None if recipe.mask is None else _room(setting, *size, shown=self._shown),
            on_steps=lambda steps: self._tell(octave, climbers, steps),
        )
        images: FloatImages = climb.images.numpy()
        seconds = round(time.monotonic() - started, 3)
        ends = climb.values[[0, -1]] if len(climb.values) else climb.values
        for row, climber in enumerate(climbers):
            if not climb.finite[row]:
                climber.error = _diverged(climb.values[:, row], climb.slopes[:, row], setting)
            elif climb.dead[row]:
                climber.error = _dead(setting)
            image = images[row : row + 1]
            climber.image = np.clip(image, 0.0, 1.0) if recipe.clip is Clip.OCTAVE else image
            climber.seconds.append(seconds)
            climber.octaves.append(
                OctaveRecord(
                    values=tuple(map(float, ends[:, row])),
                    clipped=_clipped_fraction(image),
                    tile_side=climber.tile_side,
                    together=len(climbers),
                )
            )
            self._keep(climber)

    def _rows(self, value: NDArray[np.float32], places: Sequence[int]) -> NDArray[np.float32]:
        """What these pictures need of an input; one row may serve all."""
        return value[list(places)] if len(value) == len(self._climbers) else value

    def _entering(self, octave: int, climber: _Climber) -> FloatImages:
        """The picture as it begins an octave, shape (1, height, width, 3)."""
        recipe, size = self._setting.recipe, self._plan.sizes[octave]
        first = resize(climber.first, size, recipe.resampling)
        if octave == 0:
            return np.asarray(first)
        image = resize(climber.image, size, recipe.resampling)
        if recipe.reinject_detail:
            held = resize(climber.first, self._plan.sizes[octave - 1], recipe.resampling)
            image = image + np.float32(recipe.reinject_detail) * (first - resize(held, size, recipe.resampling))
        return np.asarray(image)

    def _tell(self, octave: int, climbers: Sequence[_Climber], steps: int) -> None:
        costs = self._work.costs
        done = sum(costs[:octave]) + costs[octave] * steps // max(self._plan.steps[octave], 1)
        for climber in climbers:
            self._on_work(climber.picture.key, done)

    def _tiling(self, octave: int, tile_side: int) -> tuple[TilePlan | None, NDArray[np.int32]]:
        """The tiles of an octave, if it needs some, and its shifts: with tiles, wide enough to move every seam."""
        recipe, shifts = self._setting.recipe, self._shifts[octave]
        tiles = _tiles(recipe, self._plan.sizes[octave], tile_side)
        if tiles is None:
            return None, shifts
        steps = self._plan.steps
        words = random_words(recipe.seed, TILE_STREAM, 2 * sum(steps)).reshape(-1, 2)
        words = words[sum(steps[:octave]) :][: len(shifts)]
        # By whole cells of the network, so that a recipe without jitter keeps its phase.
        cells = np.array([tiles.core_height, tiles.core_width]) // PHASE
        return tiles, (shifts + (words % cells.astype(np.uint64)).astype(np.int32) * PHASE).astype(np.int32)

    def _smaller_tile_side(self, octave: int, climber: _Climber) -> int | None:
        overlap = self._setting.recipe.tile_overlap
        return smaller_tile_side(self._plan.sizes[octave], tile_side=climber.tile_side, overlap=overlap)

    def _keep(self, climber: _Climber) -> None:
        """Keeps what is done on disk; of a dream that can only fail again, nothing."""
        store, key = self._setting.checkpoints, climber.picture.key
        if store is None:
            return
        if climber.error is not None:
            store.forget(key)
        elif len(climber.octaves) < len(self._plan.sizes):
            try:
                store.save(key, Checkpoint(climber.image, tuple(climber.octaves)), climber.identity)
            except OSError as error:
                # Going on is better than stopping: a checkpoint only saves time.
                _logger.warning("the octaves done could not be kept: %s", error)

    def _dream(self, climber: _Climber, seconds: float) -> Dream:
        """The dream at the size of its source, in its colours and at its strength."""
        setting, recipe = self._setting, self._setting.recipe
        facts = _facts(setting, self._plan, climber) | self._chosen(climber.index)
        facts["seconds"] = seconds
        if climber.error is not None:
            return Dream(None, facts, climber.error)
        height, width = climber.picture.source.shape[:2]
        # What was mirrored out has done its part, and shall have none in the colours.
        source = climber.source[:, :height, :width]
        try:
            with memory_errors():
                full = _at_source_size(climber.image, climber.first, recipe, self._plan.base)[:, :height, :width]
                full = apply_colors(full, source, recipe.colors)
                room = _room(setting, height, width)
                blended = source + np.float32(recipe.strength) * room * (full - source)
        except OutOfMemory as error:
            return Dream(None, facts, error)
        return Dream(to_uint8(blended), facts)

    def _chosen(self, index: int) -> dict[str, Any]:
        """The channels that terms have picked by this picture, if any have."""
        chosen = chosen_channels(self._setting.objective, self._inputs)
        return {"chosen_channels": {name: rows[index] for name, rows in chosen.items()}} if chosen else {}


def _identity(setting: Setting, picture: Picture) -> dict[str, Any]:
    """All that the state between two octaves depends on."""
    return {
        "engine_version": ENGINE_VERSION,
        "recipe": setting.recipe.digest(),
        "source": pixel_digest(picture.source),
        "network": setting.network.card.name,
        "weights": setting.network.card.weights_sha256,
        # Not the variant: the profile `fast` may choose another one the next time, and is as good with both.
        "profile": setting.profile,
        "environment": environment(),
    }


def _tiles(recipe: Recipe, size: Size, tile_side: int) -> TilePlan | None:
    return octave_tiles(size, tile_side=tile_side, overlap=min(recipe.tile_overlap, tile_side))


@contextlib.contextmanager
def _device_errors(device: str | None) -> Iterator[None]:
    errors = tf.errors
    try:
        yield
    except (
        errors.InternalError,
        errors.UnavailableError,
        errors.AbortedError,
        errors.FailedPreconditionError,
        errors.UnknownError,
    ) as error:
        reason = (str(error.message).splitlines() or ["no reason given"])[0]
        raise DeviceFailed(
            f"{device or 'the device'} failed ({type(error).__name__}: {reason}); run again to go on after the "
            "octaves that are done, or leave this device out"
        ) from error


def _room(setting: Setting, height: int, width: int, *, shown: Shown = ALL_SHOWN) -> FloatImages:
    """How far each pixel may move, shape (1, height, width, 1)."""
    if setting.recipe.mask is None:
        return np.ones((1, 1, 1, 1), np.float32)
    return mask_plane(setting.recipe.mask, height, width, setting.pictures, shown=shown)[None]


def _check_room(setting: Setting, size: Size, shown: Shown) -> None:
    # In a small octave a small mask may well vanish; in the picture itself it may not.
    if not _room(setting, *size, shown=shown).any():
        raise RecipeError(
            f"the mask leaves nothing of a picture of {size.width} x {size.height} pixels to dream on; "
            "make it larger, or a mask picture lighter"
        )


def _at_source_size(dreamt: FloatImages, first: FloatImages, recipe: Recipe, base: Size) -> FloatImages:
    """The dream at the size of its source; where it was dreamt smaller, the change it makes is enlarged instead."""
    at_base: FloatImages = np.asarray(resize(dreamt, base, recipe.resampling))
    if first.shape[1:3] == base:
        return at_base
    change: FloatImages = at_base - np.asarray(resize(first, base, recipe.resampling))
    enlarged: FloatImages = np.asarray(resize(change, Size(*first.shape[1:3]), recipe.resampling))
    return first + enlarged


def _facts(setting: Setting, plan: OctavePlan, climber: _Climber | None) -> dict[str, Any]:
    """What provenance records; without a climber, of a picture that is left as it is."""
    recipe = setting.recipe
    octaves = climber.octaves if climber else []
    tiles = [_tiles(recipe, size, octave.tile_side) for size, octave in zip(plan.sizes, octaves, strict=False)]
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

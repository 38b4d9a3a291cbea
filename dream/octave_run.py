"""Some pictures of one size through all their octaves, together."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.ascent import compile_ascent, memory_errors, on_device
from dream.checkpoints import Checkpoint, OctaveRecord
from dream.climbers import Climber, Dream, FloatImages, Picture, Setting, identity_of
from dream.colors import apply_colors
from dream.dream_facts import clipped_fraction, dead, diverged, facts_of, tiles_of
from dream.errors import DeviceFailed, OutOfMemory, RecipeError
from dream.objectives import chosen_channels, picture_inputs, plane_inputs
from dream.octaves import Size
from dream.pixels import pad_to, resize, to_float, to_uint8
from dream.recipes import Clip, Recipe
from dream.regions import ALL_SHOWN, Shown, mask_plane
from dream.schedule import Work
from dream.starts import first_image
from dream.streams import TILE_STREAM, random_words
from dream.tiles import PHASE, TilePlan, smaller_tile_side
from dream.transforms import draw_shifts

_logger = logging.getLogger(__name__)


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
            return [Dream(picture.source.copy(), facts_of(setting, work.plan, None)) for picture in pictures]
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

    def _climber(self, index: int, picture: Picture, source: FloatImages) -> Climber:
        """The picture where an earlier run left it, or at the beginning."""
        recipe, store = self._setting.recipe, self._setting.checkpoints
        first = first_image(recipe.start, source, recipe.seed)
        climber = Climber(index, picture, {}, source, first, first, recipe.tile_side)
        if store is None:
            return climber
        climber.identity = identity_of(self._setting, picture)
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

    def _climb(self, octave: int, climbers: Sequence[Climber]) -> None:
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

    def _climb_together(self, octave: int, climbers: Sequence[Climber]) -> None:
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
                climber.error = diverged(climb.values[:, row], climb.slopes[:, row], setting)
            elif climb.dead[row]:
                climber.error = dead(setting)
            image = images[row : row + 1]
            climber.image = np.clip(image, 0.0, 1.0) if recipe.clip is Clip.OCTAVE else image
            climber.seconds.append(seconds)
            climber.octaves.append(
                OctaveRecord(
                    values=tuple(map(float, ends[:, row])),
                    clipped=clipped_fraction(image),
                    tile_side=climber.tile_side,
                    together=len(climbers),
                )
            )
            self._keep(climber)

    def _rows(self, value: NDArray[np.float32], places: Sequence[int]) -> NDArray[np.float32]:
        """What these pictures need of an input; one row may serve all."""
        return value[list(places)] if len(value) == len(self._climbers) else value

    def _entering(self, octave: int, climber: Climber) -> FloatImages:
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

    def _tell(self, octave: int, climbers: Sequence[Climber], steps: int) -> None:
        costs = self._work.costs
        done = sum(costs[:octave]) + costs[octave] * steps // max(self._plan.steps[octave], 1)
        for climber in climbers:
            self._on_work(climber.picture.key, done)

    def _tiling(self, octave: int, tile_side: int) -> tuple[TilePlan | None, NDArray[np.int32]]:
        """The tiles of an octave, if it needs some, and its shifts: with tiles, wide enough to move every seam."""
        recipe, shifts = self._setting.recipe, self._shifts[octave]
        tiles = tiles_of(recipe, self._plan.sizes[octave], tile_side)
        if tiles is None:
            return None, shifts
        steps = self._plan.steps
        words = random_words(recipe.seed, TILE_STREAM, 2 * sum(steps)).reshape(-1, 2)
        words = words[sum(steps[:octave]) :][: len(shifts)]
        # By whole cells of the network, so that a recipe without jitter keeps its phase.
        cells = np.array([tiles.core_height, tiles.core_width]) // PHASE
        return tiles, (shifts + (words % cells.astype(np.uint64)).astype(np.int32) * PHASE).astype(np.int32)

    def _smaller_tile_side(self, octave: int, climber: Climber) -> int | None:
        overlap = self._setting.recipe.tile_overlap
        return smaller_tile_side(self._plan.sizes[octave], tile_side=climber.tile_side, overlap=overlap)

    def _keep(self, climber: Climber) -> None:
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

    def _dream(self, climber: Climber, seconds: float) -> Dream:
        """The dream at the size of its source, in its colours and at its strength."""
        setting, recipe = self._setting, self._setting.recipe
        facts = facts_of(setting, self._plan, climber) | self._chosen(climber.index)
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

"""Many pictures: each dreamt on once, some together, on every device, none depending on the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.checkpoints import Checkpoints
from dream.climbers import Dream, Picture, Setting
from dream.devices import Crew
from dream.errors import DeviceFailed, DreamError, ImageUnusable, RecipeError
from dream.networks.network import Network
from dream.objectives import check_objective, resolve, smallest_side
from dream.octave_run import dream_together
from dream.pixels import check_image
from dream.probing import choose_variant
from dream.profiles import EXACT, Profile
from dream.progress import Progress, Tracker
from dream.recipes import Recipe
from dream.schedule import Work, batches, plan_work
from dream.turns import Turns

__all__ = ["Outcome", "Progress", "Request", "render_all"]

RgbArray = NDArray[np.uint8]

# One picture leaves cores idle at the end of every operation, and the parts of the step that are too small to share.
# Two keep two cores busy: benchmarks/dream_engine.py.
_SIDE_BY_SIDE = 2
# Of a batch in its largest octave; about 1 GiB between the forward and the backward pass of a network.
_MOST_PIXELS_BESIDE = 1_000_000


@dataclass(frozen=True)
class Request:
    """A picture to dream on.

    Attributes:
        key: names it among the others, and its checkpoint; letters, digits, - and _.
        size: (height, width) in pixels, known before the picture is loaded.
        load: gives the picture, uint8 (height, width, 3); called once, on another thread, shortly before it is needed.
    """

    key: str
    size: tuple[int, int]
    load: Callable[[], RgbArray]


@dataclass(frozen=True)
class Outcome:
    """What became of a request: the dream and the facts about it, or the error that its picture met."""

    key: str
    image: RgbArray | None
    facts: dict[str, Any] | None
    error: Exception | None = None


def render_all(
    requests: Sequence[Request],
    recipe: Recipe,
    network: Network,
    *,
    pictures: Mapping[str, RgbArray] | None = None,
    profile: str = Profile.EXACT,
    checkpoints: Path | None = None,
    devices: Sequence[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Outcome]:
    """Dreams on all of them, and gives each as it is done.

    pictures: guides and masks that the recipe names, by pixel SHA-256.
    profile: `exact` or `fast`, see `dream.profiles`.
    checkpoints: a folder in which octaves that are done are kept, so that a run that was killed goes on after them.
    devices: names of TensorFlow devices that share the work; None for every GPU, or the processor, on which pictures
        that are not large go side by side.
    on_progress: told about once a second, on the caller's thread; it may raise to stop.

    A picture that cannot be loaded or dreamt on is an outcome with an error; the others go on. Where memory runs out,
    fewer pictures climb together, then a picture is cut into smaller tiles; the facts say so. Where a device fails,
    another one does its work. Closing the iterator stops the work within about a second.

    Raises:
        RecipeError: the recipe does not fit the network, or a guide or mask is missing; before any work.
        DreamError: no such profile, or no such device.
        ValueError: two requests have the same key, or one has a key that cannot name a checkpoint.
    """
    setting, floor = _setting(recipe, network, pictures or {}, profile, checkpoints)
    _check_keys(requests, setting.checkpoints)
    names = _devices(devices, pictures=len(requests))
    work = [plan_work(index, request.size, recipe, floor=floor) for index, request in enumerate(requests)]
    if not work:
        return
    settings = [replace(setting, device=name) for name in names]
    if setting.profile == Profile.FAST:
        settings = [
            replace(one, variant=choose_variant(recipe, setting.objective, network, one.device)) for one in settings
        ]
    if setting.checkpoints is not None:
        setting.checkpoints.sweep()
    with ThreadPoolExecutor(len(settings), thread_name_prefix="load") as loader:
        try:
            yield from _Render(requests, work, settings, loader).run(on_progress)
        finally:
            # What was to be loaded ahead is not needed any more.
            loader.shutdown(wait=False, cancel_futures=True)


def _setting(
    recipe: Recipe, network: Network, pictures: Mapping[str, RgbArray], profile: str, checkpoints: Path | None
) -> tuple[Setting, int]:
    try:
        chosen = Profile(profile)
    except ValueError:
        raise DreamError(f"the profile must be one of {', '.join(Profile)}, got {profile!r}") from None
    check_objective(recipe.objective, network)
    missing = [digest for digest in recipe.picture_digests() if digest not in pictures]
    if missing:
        raise RecipeError(f"the recipe needs the picture {missing[0]} as a guide or mask, which was not given")
    setting = Setting(
        recipe=recipe,
        network=network,
        objective=resolve(recipe.objective, network, seed=recipe.seed),
        pictures=pictures,
        variant=EXACT,
        profile=chosen,
        checkpoints=Checkpoints(checkpoints) if checkpoints is not None else None,
    )
    return setting, smallest_side(recipe.objective, network)


def _check_keys(requests: Sequence[Request], checkpoints: Checkpoints | None) -> None:
    seen: set[str] = set()
    for request in requests:
        if request.key in seen:
            raise ValueError(f"two pictures have the key {request.key!r}; give each its own")
        seen.add(request.key)
        if checkpoints is not None:
            checkpoints.check_key(request.key)


def _devices(asked: Sequence[str] | None, *, pictures: int) -> tuple[str | None, ...]:
    """The devices asked for, each once; without any, all GPUs, or None for TensorFlow's choice, the processor.

    The processor stands there once for each of the pictures that it takes side by side.
    """
    import tensorflow as tf

    known = {device.name: device.name for device in tf.config.list_logical_devices()}
    if asked is None:
        beside = max(1, min(_SIDE_BY_SIDE, os.cpu_count() or 1, pictures))
        return tuple(name for name in known if ":GPU:" in name) or (None,) * beside
    # "/GPU:0" and "gpu:0" are short for "/device:GPU:0".
    short = {name.rpartition("device:")[2].upper(): name for name in known}
    found = dict.fromkeys(short.get(name.rpartition("device:")[2].strip("/").upper(), "") for name in asked)
    if not asked or "" in found:
        raise DreamError(f"there is no device {', '.join(asked) or 'given'} here; there are {', '.join(known)}")
    return tuple(found)


@dataclass(eq=False)
class _Batch:
    """Pictures of one size that one device takes together; their pixels, once their turn is near."""

    work: tuple[Work, ...]
    loaded: dict[int, Future[RgbArray]] = field(default_factory=dict)


class _Render:
    """One call of `render_all`: its batches, shared by the devices."""

    def __init__(
        self,
        requests: Sequence[Request],
        work: Sequence[Work],
        settings: Sequence[Setting],
        loader: ThreadPoolExecutor,
    ) -> None:
        self._requests, self._settings, self._loader = requests, settings, loader
        self._turns = Turns()
        most = max(setting.variant.batch for setting in settings)
        self._crew: Crew[_Batch, Outcome, Progress] = Crew(
            [_Batch(batch) for batch in batches(work, most=most)],
            devices=len(settings),
            do=self._do,
            prepare=self._load,
            parts=lambda batch: [_Batch((one,), batch.loaded) for one in batch.work],
            lost=self._lost,
        )
        self._tracker = Tracker({requests[one.index].key: one.cost for one in work}, self._crew.tell)

    def run(self, on_progress: Callable[[Progress], None] | None) -> Iterator[Outcome]:
        return self._crew.run(on_progress or _nobody)

    def _load(self, batch: _Batch) -> None:
        for one in batch.work:
            if one.index not in batch.loaded:
                batch.loaded[one.index] = self._loader.submit(self._requests[one.index].load)

    def _do(self, device: int, batch: _Batch) -> list[Outcome]:
        """The outcomes of one batch; a picture that cannot be loaded leaves it first."""
        setting = self._settings[device]
        outcomes: list[Outcome] = []
        pictures: list[Picture] = []
        kept: list[Work] = []
        for one in batch.work:
            key = self._requests[one.index].key
            try:
                source = _checked(batch.loaded[one.index].result(), one)
            except Exception as error:  # noqa: BLE001  # whatever loading meets, this picture alone is lost
                outcomes.append(self._failed(key, error))
            else:
                pictures.append(Picture(key, source))
                kept.append(one)
        together = setting.variant.batch
        for start in range(0, len(pictures), together):
            part = slice(start, start + together)
            with self._turn(kept[part], setting):
                outcomes += self._dream(pictures[part], kept[part], setting)
        for one in batch.work:
            # Done with: the pixels need not stay until the last picture.
            del batch.loaded[one.index]
        return outcomes

    def _turn(self, work: Sequence[Work], setting: Setting) -> AbstractContextManager[None]:
        """What is large has the processor, and the memory, to itself; devices with names have memory of their own."""
        if setting.device is not None:
            return nullcontext()
        pixels = sum(max((size.pixels for size in one.plan.sizes), default=0) for one in work)
        return self._turns.beside() if pixels <= _MOST_PIXELS_BESIDE else self._turns.alone()

    def _dream(self, pictures: Sequence[Picture], work: Sequence[Work], setting: Setting) -> list[Outcome]:
        try:
            dreams = dream_together(pictures, setting, work=work[0], on_work=self._tracker.reach)
        except DeviceFailed:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a picture meets, it shall not cost the others
            if len(pictures) > 1:
                # One by one, as it cannot be seen here whose error it is.
                singles = zip(pictures, work, strict=True)
                return [outcome for picture, one in singles for outcome in self._dream([picture], [one], setting)]
            dreams = [Dream(None, {}, error)]
        return [self._outcome(picture.key, dream) for picture, dream in zip(pictures, dreams, strict=True)]

    def _outcome(self, key: str, dream: Dream) -> Outcome:
        if dream.error is not None:
            return self._failed(key, dream.error)
        self._tracker.finish(key)
        return Outcome(key, dream.image, dream.facts)

    def _lost(self, batch: _Batch, error: DeviceFailed | None) -> list[Outcome]:
        lost = error or DeviceFailed("every device failed before this picture was reached; run again")
        return [self._failed(self._requests[one.index].key, lost) for one in batch.work]

    def _failed(self, key: str, error: Exception) -> Outcome:
        self._tracker.finish(key, failed=True)
        return Outcome(key, None, None, error)


def _nobody(_progress: Progress) -> None:
    """Hears what nobody wants to know."""


def _checked(image: RgbArray, work: Work) -> RgbArray:
    source = check_image(image)
    if source.shape[:2] != tuple(work.size):
        raise ImageUnusable(
            f"the picture is {source.shape[:2]} pixels high and wide, {tuple(work.size)} were announced"
        )
    return source

"""Many pictures: each dreamt on once, some together, on every device, none depending on the others."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.checkpoints import Checkpoints
from dream.errors import DreamError, ImageUnusable, OutOfMemory, RecipeError
from dream.networks.network import Network
from dream.objectives import check_objective, resolve, smallest_side
from dream.octave_run import Dream, Picture, Setting, dream_together, with_smaller_tiles
from dream.pixels import check_image
from dream.probing import choose_variant
from dream.profiles import EXACT, Profile
from dream.recipes import Recipe
from dream.schedule import Work, batches, plan_work

RgbArray = NDArray[np.uint8]

MOST_IN_BATCH = 4


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


@dataclass(frozen=True)
class Progress:
    """How far all the requests have come.

    Attributes:
        done: 0 to 1, weighted by pixels times steps.
        seconds_left: None until there is a rate to tell it from.
        key: of a picture at hand.
        fraction: 0 to 1, of that picture.
    """

    done: float
    seconds_left: float | None
    key: str
    fraction: float


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
    devices: names of TensorFlow devices that share the work; None for every GPU, or the processor.
    on_progress: told about once a second; it may raise to stop.

    A picture that cannot be loaded or dreamt on is an outcome with an error; the others go on. Where memory runs out,
    the batch is halved, then the picture is cut into smaller tiles; the facts say so.

    Raises:
        RecipeError: the recipe does not fit the network, or a guide or mask is missing; before any work.
        DreamError: no such profile.
    """
    setting, floor = _setting(recipe, network, pictures or {}, profile, checkpoints)
    work = [plan_work(index, request.size, recipe, floor=floor) for index, request in enumerate(requests)]
    names = tuple(devices) if devices is not None else _every_device()
    settings = [replace(setting, device=name) for name in names]
    if setting.profile == Profile.FAST and work:
        settings = [
            replace(one, variant=choose_variant(recipe, setting.objective, network, one.device)) for one in settings
        ]
    most = max(one.variant.batch for one in settings)
    ready = deque(batches(work, most=most))
    tracker = _Tracker(sum(one.cost for one in work), on_progress)
    if len(settings) == 1:
        yield from _on_one_device(ready, requests, settings[0], tracker)
    else:
        yield from _on_devices(ready, requests, settings, tracker)


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


def _every_device() -> tuple[str | None, ...]:
    import tensorflow as tf

    return tuple(device.name for device in tf.config.list_logical_devices("GPU")) or (None,)


_Batch = tuple[Work, ...]
_Loaded = list["Future[RgbArray]"]


def _on_one_device(
    ready: deque[_Batch], requests: Sequence[Request], setting: Setting, tracker: _Tracker
) -> Iterator[Outcome]:
    """Batch by batch, while the next one is being loaded."""
    with ThreadPoolExecutor(1, thread_name_prefix="load") as loader:
        ahead = _load(loader, ready[0], requests) if ready else []
        while ready:
            batch, loaded = ready.popleft(), ahead
            ahead = _load(loader, ready[0], requests) if ready else []
            yield from _dream_batch(batch, loaded, requests, setting, tracker)


def _on_devices(
    ready: deque[_Batch], requests: Sequence[Request], settings: Sequence[Setting], tracker: _Tracker
) -> Iterator[Outcome]:
    """One thread for each device, all taking batches from one heap; what a failing device had goes back on it."""
    outcomes: queue.Queue[Outcome | BaseException | None] = queue.Queue(maxsize=2 * MOST_IN_BATCH)
    stop = threading.Event()

    def work(setting: Setting) -> None:
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="load") as loader:
                while not stop.is_set() and _next_batch(ready, loader, requests, setting, tracker, outcomes.put):
                    pass
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread, which raises it
            outcomes.put(error)
        finally:
            outcomes.put(None)

    threads = [threading.Thread(target=work, args=(setting,), daemon=True) for setting in settings]
    for thread in threads:
        thread.start()
    try:
        living = len(threads)
        while living:
            outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is None:
                living -= 1
            else:
                yield outcome
        for one in (one for batch in ready for one in batch):
            lost = DreamError("every device failed before this picture was reached; run again")
            yield Outcome(requests[one.index].key, None, None, lost)
    finally:
        stop.set()


def _next_batch(
    ready: deque[_Batch],
    loader: ThreadPoolExecutor,
    requests: Sequence[Request],
    setting: Setting,
    tracker: _Tracker,
    give: Callable[[Outcome], None],
) -> bool:
    """Takes a batch and dreams on it; False when there is none left, or the device is gone."""
    try:
        batch = ready.popleft()
    except IndexError:
        return False
    outcomes: list[Outcome] = []
    try:
        outcomes.extend(_dream_batch(batch, _load(loader, batch, requests), requests, setting, tracker))
    except _device_errors():
        # The others do its work.
        ready.appendleft(batch)
        return False
    for outcome in outcomes:
        give(outcome)
    return True


def _device_errors() -> tuple[type[Exception], ...]:
    import tensorflow as tf

    errors = tf.errors
    return (errors.InternalError, errors.UnavailableError, errors.AbortedError, errors.FailedPreconditionError)


def _load(loader: ThreadPoolExecutor, batch: _Batch, requests: Sequence[Request]) -> _Loaded:
    return [loader.submit(requests[one.index].load) for one in batch]


def _dream_batch(
    batch: _Batch, loaded: _Loaded, requests: Sequence[Request], setting: Setting, tracker: _Tracker
) -> Iterator[Outcome]:
    """The outcomes of one batch; a picture that cannot be loaded leaves it first."""
    pictures: list[Picture] = []
    kept: list[Work] = []
    for one, future in zip(batch, loaded, strict=True):
        request = requests[one.index]
        try:
            source = _checked(future.result(), one)
        except Exception as error:  # noqa: BLE001  # whatever loading meets, this picture alone is lost
            tracker.finish(request.key, one.cost)
            yield Outcome(request.key, None, None, error)
            continue
        pictures.append(Picture(request.key, source))
        kept.append(one)
    if pictures:
        yield from _dream(pictures, kept, setting, tracker)


def _checked(image: RgbArray, work: Work) -> RgbArray:
    source = check_image(image)
    if source.shape[:2] != tuple(work.size):
        raise ImageUnusable(
            f"the picture is {source.shape[:2]} pixels high and wide, {tuple(work.size)} were announced"
        )
    return source


def _dream(pictures: list[Picture], work: list[Work], setting: Setting, tracker: _Tracker) -> Iterator[Outcome]:
    plan, count = work[0].plan, len(pictures)

    def on_work(pixel_steps: int) -> None:
        fraction = min(1.0, pixel_steps / plan.pixel_steps) if plan.pixel_steps else 1.0
        for picture, one in zip(pictures, work, strict=True):
            tracker.report(picture.key, fraction * one.cost, fraction)

    try:
        dreams = dream_together(pictures, setting, plan=plan, on_work=on_work)
    except OutOfMemory as error:
        if count > 1:
            middle = count // 2
            yield from _dream(pictures[:middle], work[:middle], setting, tracker)
            yield from _dream(pictures[middle:], work[middle:], setting, tracker)
            return
        smaller = with_smaller_tiles(setting)
        if smaller is not None:
            yield from _dream(pictures, work, smaller, tracker)
            return
        dreams = [Dream(None, {}, error)]
    for picture, one, dream in zip(pictures, work, dreams, strict=True):
        tracker.finish(picture.key, one.cost)
        facts = dream.facts if dream.error is None else None
        yield Outcome(picture.key, dream.image, facts, dream.error)


class _Tracker:
    """Adds up what is done over all pictures and threads, and tells it."""

    def __init__(self, total: int, tell: Callable[[Progress], None] | None) -> None:
        self._total = max(total, 1)
        self._tell = tell
        self._lock = threading.Lock()
        self._finished = 0.0
        self._at_hand: dict[str, float] = {}
        self._started = time.monotonic()
        # What was done when this run began is no measure of its rate.
        self._given: dict[str, float] = {}

    def report(self, key: str, work: float, fraction: float) -> None:
        with self._lock:
            self._given.setdefault(key, work)
            self._at_hand[key] = work
            progress = self._progress(key, fraction)
        if self._tell is not None:
            self._tell(progress)

    def finish(self, key: str, work: float) -> None:
        with self._lock:
            self._at_hand.pop(key, None)
            self._finished += work
            progress = self._progress(key, 1.0)
        if self._tell is not None:
            self._tell(progress)

    def _progress(self, key: str, fraction: float) -> Progress:
        done = self._finished + sum(self._at_hand.values())
        own = done - sum(self._given.values())
        seconds = time.monotonic() - self._started
        left = (self._total - done) * seconds / own if own > 0 and seconds > 0 else None
        return Progress(min(1.0, done / self._total), None if left is None else max(0.0, left), key, fraction)

"""How far a run over many pictures has come, and how long it will go on. No TensorFlow here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


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


class Tracker:
    """Adds up what is done over all pictures and threads, and tells it; it never goes back.

    A picture that is begun anew, on another device or with less memory, counts again only where it gets further.
    """

    def __init__(
        self,
        costs: Mapping[str, int],
        tell: Callable[[Progress], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """costs: of each picture by its key, in pixels times steps."""
        # One that costs nothing still has to be loaded and given back.
        self._costs = {key: max(cost, 1) for key, cost in costs.items()}
        self._total = max(sum(self._costs.values()), 1)
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._reached: dict[str, int] = {}
        self._done = 0
        # What an earlier run did, or an error left undone, is no measure of the rate.
        self._not_worked = 0
        self._started = clock()

    def reach(self, key: str, work: int) -> None:
        """So much of a picture's cost is done; what it begins with, another run has done."""
        with self._lock:
            if key not in self._reached:
                self._not_worked += min(work, self._costs[key])
            self._move(key, work)

    def finish(self, key: str, *, failed: bool = False) -> None:
        """Nothing is left to be done for this picture."""
        with self._lock:
            if failed:
                self._not_worked += self._costs[key] - self._reached.get(key, 0)
            self._move(key, self._costs[key])

    def _move(self, key: str, work: int) -> None:
        before, cost = self._reached.get(key, 0), self._costs[key]
        self._reached[key] = max(before, min(work, cost))
        self._done += self._reached[key] - before
        # Told while locked, so that no thread's older news comes after another's.
        self._tell(Progress(self._done / self._total, self._seconds_left(), key, self._reached[key] / cost))

    def _seconds_left(self) -> float | None:
        worked, seconds = self._done - self._not_worked, self._clock() - self._started
        if worked <= 0 or seconds <= 0:
            return None
        return (self._total - self._done) * seconds / worked

"""Devices that share work: a thread for each, all taking jobs from one heap. No TensorFlow here.

A job at which a device fails is left to another one. A device that fails several times in a row is taken for gone. A
job at which two devices have failed, or all that are left, is taken apart, and what cannot be taken apart is lost: one
bad picture stops neither a device nor the others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dream.errors import DeviceFailed

Job = TypeVar("Job")
Result = TypeVar("Result")
News = TypeVar("News")

# As many as a job and its first two parts take, when those alone are to blame.
_FAILURES_IN_A_ROW = 3
_DEVICES_TO_TRY = 2
# Results that wait for a slow consumer, and news that it has not heard yet; older news are dropped.
_MOST_WAITING = 4
_MOST_NEWS = 256


class Stopped(BaseException):
    """Nobody waits for the work at hand any more. No `Exception`: what catches those goes on with the work."""


@dataclass(eq=False)
class _Entry(Generic[Job]):
    """A job on the heap, and the devices that failed at it."""

    job: Job
    failed: set[int] = field(default_factory=set)
    error: DeviceFailed | None = None


class Crew(Generic[Job, Result, News]):
    """Some devices and the jobs that they share."""

    def __init__(
        self,
        jobs: Iterable[Job],
        *,
        devices: int,
        do: Callable[[int, Job], Sequence[Result]],
        prepare: Callable[[Job], None],
        parts: Callable[[Job], Sequence[Job]],
        lost: Callable[[Job, DeviceFailed | None], Sequence[Result]],
    ) -> None:
        """Nothing begins before `run`.

        do: one job on the device of this number, from 0; it calls `tell` now and then, raises DeviceFailed where the
            device is at fault, and anything else to stop everything.
        prepare: told, more than once and quickly, of a job whose turn is near.
        parts: what a job can be taken apart into; just one for a job that cannot.
        lost: the results of a job that no device could do, asked for on the caller's thread; without an error where
            none was left to try.
        """
        self._heap = deque(_Entry(job) for job in jobs)
        self._do, self._prepare, self._parts, self._lost = do, prepare, parts, lost
        self._changed = threading.Condition()
        self._living = set(range(devices))
        self._at_work = 0
        self._results: deque[Result] = deque()
        self._given_up: deque[_Entry[Job]] = deque()
        self._news: deque[News] = deque(maxlen=_MOST_NEWS)
        self._error: BaseException | None = None
        self._stopped = False

    def run(self, listen: Callable[[News], None]) -> Iterator[Result]:
        """The results as they come; every job's just once.

        listen: hears what is told, on the caller's thread; it may raise to stop.

        When the caller stops, by an error or by closing the iterator, the devices stop where they next tell something,
        and are waited for.
        """
        threads = [
            threading.Thread(target=self._serve, args=(device,), name=f"device-{device}", daemon=True)
            for device in sorted(self._living)
        ]
        try:
            for thread in threads:
                thread.start()
            while (message := self._next()) is not None:
                results, given_up, news = message
                for entry in given_up:
                    results.extend(self._lost(entry.job, entry.error))
                # Results first: a listener that stops everything shall not cost what is there.
                yield from results
                for one in news:
                    listen(one)
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            for thread in threads:
                if thread.is_alive():
                    thread.join()

    def _next(self) -> tuple[list[Result], list[_Entry[Job]], list[News]] | None:
        """What there is for the caller, as soon as there is something; None at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._results or self._given_up or self._news or self._error or not self._living
            )
            if self._error is not None:
                raise self._error
            if not (self._results or self._given_up or self._news):
                return None
            message = list(self._results), list(self._given_up), list(self._news)
            for told in (self._results, self._given_up, self._news):
                told.clear()
            self._changed.notify_all()
            return message

    def tell(self, news: News) -> None:
        """Lets the caller know something.

        Raises:
            Stopped: the caller does not want to know any more.
        """
        with self._changed:
            if self._stopped:
                raise Stopped
            self._news.append(news)
            self._changed.notify_all()

    def _serve(self, device: int) -> None:
        failures = 0
        try:
            while failures < _FAILURES_IN_A_ROW and (entry := self._take(device)) is not None:
                try:
                    results = self._do(device, entry.job)
                except DeviceFailed as error:
                    failures += 1
                    self._put_back(entry, device, error)
                else:
                    failures = 0
                    self._give(results)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread, which raises it
            with self._changed:
                self._error = error
        finally:
            with self._changed:
                self._living.discard(device)
                self._settle()

    def _take(self, device: int) -> _Entry[Job] | None:
        """The first job at which this device has not failed; None when no job can come any more."""
        with self._changed:
            while not self._stopped:
                entry = next((entry for entry in self._heap if device not in entry.failed), None)
                if entry is not None:
                    self._heap.remove(entry)
                    self._at_work += 1
                    for near in (entry, *list(self._heap)[: len(self._living)]):
                        self._prepare(near.job)
                    return entry
                # What another device has at hand may come back.
                if not self._heap and not self._at_work:
                    return None
                self._changed.wait()
            return None

    def _put_back(self, entry: _Entry[Job], device: int, error: DeviceFailed) -> None:
        with self._changed:
            entry.failed.add(device)
            entry.error = error
            self._heap.appendleft(entry)
            self._at_work -= 1
            self._settle()

    def _give(self, results: Sequence[Result]) -> None:
        with self._changed:
            self._results.extend(results)
            self._at_work -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._results) < _MOST_WAITING or self._stopped)

    def _settle(self) -> None:
        """Takes apart or gives up each job that no device shall try again, as it is."""
        for entry in list(self._heap):
            if self._living - entry.failed and len(entry.failed) < _DEVICES_TO_TRY:
                continue
            self._heap.remove(entry)
            parts = self._parts(entry.job) if self._living else ()
            if len(parts) > 1:
                self._heap.extendleft(_Entry(part) for part in reversed(parts))
            else:
                self._given_up.append(entry)
        self._changed.notify_all()

"""How a command reports what it is doing: a live bar on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_PLAIN_SECONDS = 5.0
_LEAST_DONE_FOR_ETA = 0.03


class Reporter(Protocol):
    """What stages call; `total` is None while it is not known."""

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """A stage has come to `done` of `total`."""

    def say(self, line: str) -> None:
        """One line for the user."""


class PlainReporter:
    """Lines on stderr, at most one every few seconds for each stage, and one when a stage ends."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Print when some time has passed or the stage is complete."""
        now = time.monotonic()
        started = self._started.setdefault(stage, now)
        finished = total is not None and done >= total
        if self._last.get(stage) == float("inf") or (
            not finished and now - self._last.get(stage, 0.0) < _PLAIN_SECONDS
        ):
            return
        self._last[stage] = float("inf") if finished else now
        count = f"{int(done)}" if total is None else f"{int(done)}/{int(total)}"
        left = _time_left(now - started, done, total)
        print(" ".join(filter(None, (f"{stage}: {count}", note, left))), file=sys.stderr, flush=True)  # noqa: T201 - plain progress is lines

    def say(self, line: str) -> None:
        """Print the line."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - plain progress is lines


def _time_left(elapsed: float, done: float, total: float | None) -> str:
    # Early figures are mostly start-up: a network that loads, a first page.
    if total is None or done >= total or done < total * _LEAST_DONE_FOR_ETA:
        return ""
    return f"(about {elapsed * (total - done) / done:.0f} s left)"


class SilentReporter:
    """Says nothing."""

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""


class _CountColumn(ProgressColumn):
    """`7/20`, or `7` while the total is not known; a picture half dreamed is not counted."""

    def render(self, task: Task) -> Text:
        count = f"{int(task.completed)}"
        return Text(count if task.total is None else f"{count}/{int(task.total)}")


class LiveReporter:
    """One bar for each stage, with time elapsed and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Move the stage's bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, note="")
        self._progress.update(self._tasks[stage], completed=done, total=total, note=note)

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False)


_reporter: ContextVar[Reporter | None] = ContextVar("dreamcrawl_reporter", default=None)


def current_reporter() -> Reporter:
    """The reporter of the running command; plain lines where none was set, as in a scheduled run's own process."""
    return _reporter.get() or PlainReporter()


@contextlib.contextmanager
def reporting(*, quiet: bool = False) -> Iterator[Reporter]:
    """Make a reporter fit for this terminal current for the block."""
    if quiet:
        with _current(SilentReporter()) as silent:
            yield silent
        return
    # A descriptor of its own: native libraries' chatter is kept off descriptor 2 while they load.
    with open(os.dup(2), "w", encoding="utf-8") as terminal:  # noqa: PTH123 - a descriptor has no path
        yield from _reporting_on(Console(file=terminal))


def _reporting_on(console: Console) -> Iterator[Reporter]:
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=28),
            _CountColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
        )
        with Progress(*columns, console=console) as progress, _current(LiveReporter(progress)) as live:
            yield live
    else:
        with _current(PlainReporter()) as plain:
            yield plain


@contextlib.contextmanager
def _current(reporter: Reporter) -> Iterator[Reporter]:
    token = _reporter.set(reporter)
    try:
        yield reporter
    finally:
        _reporter.reset(token)

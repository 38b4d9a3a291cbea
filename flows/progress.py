"""How a command reports what it is doing: a live view on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

_PLAIN_SECONDS = 5.0
_FASTEST = 9999.9  # a second; what goes faster was there already, or is over at once
_WIDE = 100  # columns of a terminal with room for long bars and notes
_LEAST_DONE_FOR_ETA = 0.03
# Drawing takes some milliseconds: at this pace about a hundredth of a core.
_DRAWN_PER_SECOND = 4


class Reporter(Protocol):
    """What stages call; `total` is None while it is not known."""

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """A stage has come to `done` of `total`."""

    def details(self, stage: str, lines: Sequence[str]) -> None:
        """What else there is to tell of a stage, in place of what was told before; only where there is room for it."""

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
        count = _count(done, total)
        left = _time_left(now - started, done, total)
        self.say(" ".join(filter(None, (f"{stage}:", count, note, left))))

    def details(self, stage: str, lines: Sequence[str]) -> None:
        """Nothing: lines that are printed do not go away again."""

    def say(self, line: str) -> None:
        """Print the line."""
        # In one piece, so that neither another process nor Ctrl-C comes between a line and its end.
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _time_left(elapsed: float, done: float, total: float | None) -> str:
    # Early figures are mostly start-up: a network that loads, a first page.
    if total is None or done >= total or done < total * _LEAST_DONE_FOR_ETA:
        return ""
    return f"(about {duration_text(elapsed * (total - done) / done)} left)"


def _count(done: float, total: float | None) -> str:
    """`7/20`; `7` while the total is not known, and nothing where nothing is counted."""
    if total is None:
        return f"{int(done)}" if done else ""
    return f"{int(done)}/{int(total)}"


class SilentReporter:
    """Says nothing."""

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Nothing."""

    def details(self, stage: str, lines: Sequence[str]) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""


class _CountColumn(ProgressColumn):
    """`7/20`, or `7` while the total is not known; a picture half dreamed is not counted."""

    def render(self, task: Task) -> Text:
        return Text(_count(task.completed, task.total or None))


class _RateColumn(ProgressColumn):
    """`3.2/s`, or `14/min` where it goes slowly; nothing before there is a pace."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed or task.completed < 1 or speed > _FASTEST:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.0f}/min", style="dim")


class _LeftColumn(ProgressColumn):
    """`about 12 min left`; nothing once a stage is over, or while there is no pace to go by."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = None if task.finished else task.time_remaining
        return Text("" if left is None else f"{duration_text(left)} left", style="cyan")


class LiveProgress(Progress):
    """The bars, with lines of details under them."""

    def __init__(self, console: Console) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=28 if console.width >= _WIDE else 12),
            _CountColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            _LeftColumn(),
            # What room the figures leave.
            TextColumn(
                "{task.fields[note]}",
                style="dim",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
        )
        self.details: dict[str, tuple[str, ...]] = {}
        super().__init__(*columns, console=console, refresh_per_second=_DRAWN_PER_SECOND, expand=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The table of bars, then the details, one line each."""
        yield from super().get_renderables()
        for lines in list(self.details.values()):
            for line in lines:
                yield Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis")


class LiveReporter:
    """One bar for each stage, with its pace, time elapsed and time left."""

    def __init__(self, progress: LiveProgress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._current: str | None = None

    def step(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Move the stage's bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, note="")
        if self._current not in (None, stage):
            self._end(self._tasks[self._current])
        self._current = stage
        # Details tell more than a note has room for.
        shown = "" if self._progress.details.get(stage) else note
        self._progress.update(self._tasks[stage], completed=done, total=total, note=shown)

    def _end(self, task_id: TaskID) -> None:
        # One stage follows another. What the former did not come to, as a crawl with fewer pictures than wanted, it
        # never will; a bar that waits for it would tell of time left for ever.
        task = next(task for task in self._progress.tasks if task.id == task_id)
        if not task.finished:
            self._progress.update(task_id, total=task.completed, note="")

    def details(self, stage: str, lines: Sequence[str]) -> None:
        """Show the lines under the bars."""
        # Names of hosts come from strangers, and a control character could drive the terminal.
        self._progress.details[stage] = tuple(
            "".join(char if char.isprintable() else " " for char in line) for line in lines
        )

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False)


_reporter: ContextVar[Reporter | None] = ContextVar("dreamcrawl_reporter", default=None)


def current_reporter() -> Reporter:
    """The reporter of the running command; plain lines where none was set, as in a scheduled run's own process."""
    return _reporter.get() or PlainReporter()


@contextlib.contextmanager
def reporting(*, quiet: bool = False) -> Iterator[Reporter]:
    """Make a reporter fit for this terminal current for the block.

    quiet: Where stderr is a file or a pipe, print nothing; a person at a terminal still sees the bars.
    """
    # A descriptor of its own: native libraries' chatter is kept off descriptor 2 while they load.
    with open(os.dup(2), "w", encoding="utf-8") as terminal:  # noqa: PTH123 - a descriptor has no path
        yield from _reporting_on(Console(file=terminal), quiet=quiet)


def _reporting_on(console: Console, *, quiet: bool) -> Iterator[Reporter]:
    if console.is_terminal:
        with LiveProgress(console) as progress, _current(LiveReporter(progress)) as live:
            yield live
    elif quiet:
        with _current(SilentReporter()) as silent:
            yield silent
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


def duration_text(seconds: float) -> str:
    """Such as `40 s`, `12 min` or `3.5 h`; never less than a second."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bytes_text(size: float) -> str:
    """Such as `74.2 kB`, in powers of 1000."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95 or unit == "GB":
            break
    return f"{size:.1f} {unit}"

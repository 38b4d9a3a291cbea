"""The parent's side of the child process: starts it, hears it, stops it, and makes sure that it is gone."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import crawler
from crawler.job import CrawlProgress, Job

START_SECONDS = 120.0
"""A child that has not begun after this long, on the busiest machine, will not."""

STOP_SECONDS = 15.0
"""A child that was told to stop, or has passed its deadline, is killed after this long."""

_LAST_LINES = 40


@dataclass
class ChildEnd:
    """How the child ended.

    Attributes:
        progress: The last that it told.
        start_error: Why the start page could not be had, or None.
        error_kind: Name of the error class that ended it before it began, or None.
        finished: Why the crawl ended, for an inbox that it left unsealed.
        was_stopped: Whether that was our doing.
        how: Its exit code or signal, for people.
        last_words: The end of its standard error.
        raise_after: What the caller is to raise once the inbox is in order.
    """

    progress: CrawlProgress = field(default_factory=CrawlProgress)
    start_error: str | None = None
    error_kind: str | None = None
    error_text: str = ""
    finished: str = "interrupted"
    was_stopped: bool = False
    how: str = ""
    last_words: str = ""
    raise_after: BaseException | None = None


def run_child(job: Job, *, on_progress: Callable[[CrawlProgress], None] | None = None) -> ChildEnd:
    """Run the job in a child process until it ends, its deadline has passed, or Ctrl-C is pressed."""
    end = ChildEnd()
    child = _Child(job)
    ended = False
    try:
        ended = _follow(child, end, on_progress=on_progress, deadline_seconds=job.request.deadline_seconds)
        if not ended:
            end.was_stopped, end.finished = True, "deadline"
    except BaseException as error:  # noqa: BLE001  # Ctrl-C, or the caller's progress function: the child comes first
        end.was_stopped = True
        end.raise_after = error
        try:
            child.stop()
            ended = _follow(child, end)
        except KeyboardInterrupt as second:
            end.raise_after = second
    finally:
        child.end(kill=not ended)
    end.how, end.last_words = child.how, child.last_words
    return end


def _follow(
    child: _Child,
    end: ChildEnd,
    *,
    on_progress: Callable[[CrawlProgress], None] | None = None,
    deadline_seconds: float | None = None,
) -> bool:
    """Take the child's events; whether it came to its end. Without a deadline it was told to stop already."""
    kill_at = time.monotonic() + (STOP_SECONDS if deadline_seconds is None else START_SECONDS)
    while time.monotonic() < kill_at:
        try:
            event = child.events.get(timeout=min(1.0, kill_at - time.monotonic()))
        except (queue.Empty, ValueError):  # a time limit that has just passed is negative
            continue
        if event is None:
            return True
        match event.pop("event", None):
            case "started" if deadline_seconds is not None:
                kill_at = time.monotonic() + deadline_seconds + STOP_SECONDS
            case "progress":
                values = {f.name: event[f.name] for f in fields(CrawlProgress)}
                end.progress = CrawlProgress(**{**values, "hosts": tuple(values["hosts"])})
                if on_progress is not None:
                    on_progress(end.progress)
            case "end":
                end.start_error = event["start_error"]
            case "error":
                end.error_kind, end.error_text = event["kind"], event["text"]
    return False


class _Child:
    """The process with its three pipes."""

    def __init__(self, job: Job) -> None:
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        # A session of its own: Ctrl-C on the terminal is ours to pass on, as a request to stop.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "crawler.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=self._hear, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._collect, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._send(json.dumps(job.to_json()).encode("ascii") + b"\n")

    @property
    def how(self) -> str:
        """Exit code or signal."""
        code = self._process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    @property
    def last_words(self) -> str:
        """The end of standard error."""
        return "\n".join(self._lines)

    def stop(self) -> None:
        """Ask it to end the crawl and seal the inbox."""
        self._send(b"stop\n")

    def end(self, *, kill: bool) -> None:
        """Make sure that it is gone, and with it the pipes and threads."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if kill:
            self._process.kill()
        try:
            self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(timeout=5.0)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _send(self, data: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None
        # A child that died says so by the end of its output.
        with contextlib.suppress(OSError):
            stream.write(data)
            stream.flush()

    def _hear(self, stream: IO[bytes]) -> None:
        for line in stream:
            with contextlib.suppress(ValueError):
                if isinstance(event := json.loads(line), dict):
                    self.events.put(event)
        self.events.put(None)

    def _collect(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.append(line.decode("utf-8", errors="replace").rstrip())


def _environment() -> dict[str, str]:
    """Ours, with the packages found where they are now; `-P` keeps the current folder out."""
    home = str(Path(crawler.__file__).resolve().parent.parent)
    former = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, former] if former else [home])}

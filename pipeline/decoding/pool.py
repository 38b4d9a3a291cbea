"""A small pool of worker processes: started when there is something to do, ended when they overrun, and replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pipeline
from pipeline.decoding.frames import FrameBroken, read_frame, write_frame
from pipeline.errors import PipelineError

START_SECONDS = 120.0
"""A worker that is not ready after this long, on the busiest machine, never will be."""

# A worker is replaced after so many calls, so that what a decoder leaks does not add up.
_CALLS_PER_WORKER = 1000
# All that a decoder needs to know of the world; no contact, no key, no proxy.
_PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)  # fmt: skip


class WorkersUnusable(PipelineError):
    """No worker process can be started."""


class CallOverrun(Exception):
    """A call took too long or too much memory, or brought its worker down; the text says which.

    Attributes:
        is_passing: Whether the same call may well succeed another day, as the machine itself ran out of memory.
    """

    def __init__(self, text: str, *, is_passing: bool = False) -> None:
        super().__init__(text)
        self.is_passing = is_passing


class WorkerPool:
    """Calls one function on many pieces of data, each in a worker process.

    One thread of this process speaks with each worker. Leaving the `with` block ends all of them, also in the middle of
    a call.
    """

    def __init__(self, task: str, *, seconds: float, memory_mb: int, workers: int) -> None:
        """Start nothing yet.

        Args:
            task: `module:function`; the function takes a mapping of JSON values and bytes, and gives a mapping of JSON
                values. What it raises fails the call.
            seconds: Most time for a call, by the clock on the wall.
            memory_mb: Most memory that a worker may take beyond what it has when it starts, in MiB, where the system
                can limit it (Linux, FreeBSD).
            workers: Most processes.
        """
        self._task = task
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._own = threading.local()
        self._mutex = threading.Lock()
        self._living: set[_Worker] = set()
        self._closed = False

    def submit(self, options: Mapping[str, Any], data: bytes) -> Future[dict[str, Any]]:
        """Call the function; the future's result is its answer.

        The future may raise:
            CallOverrun: The call was ended, or its worker died.
            WorkersUnusable: No worker can be started.
        """
        return self._threads.submit(self._call, options, data)

    def close(self) -> None:
        """End every worker. Calls that wait are cancelled."""
        with self._mutex:
            self._closed = True
            living = list(self._living)
        for worker in living:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in living:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, options: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None or not worker.is_usable:
            if worker is not None:
                self._discard(worker)
            worker = self._own.worker = self._start()
        return worker.call(options, data, seconds=self._seconds)

    def _start(self) -> _Worker:
        with self._mutex:
            if self._closed:
                raise WorkersUnusable("the workers were told to end")
            worker = _Worker(self._task, seconds=self._seconds, memory_mb=self._memory_mb)
            self._living.add(worker)
        try:
            worker.wait_until_ready()
        except WorkersUnusable:
            self._discard(worker)
            raise
        return worker

    def _discard(self, worker: _Worker) -> None:
        with self._mutex:
            self._living.discard(worker)
        worker.end()


class _Worker:
    """One process with its two pipes."""

    def __init__(self, task: str, *, seconds: float, memory_mb: int) -> None:
        self._memory_mb = memory_mb
        self._calls = 0
        self._is_broken = False
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own module; the task is named by our own code
                [sys.executable, "-P", "-m", "pipeline.decoding.worker", task, str(seconds), str(memory_mb)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what decoding libraries say to nobody in particular
                env=_environment(),
                # Ctrl-C on the terminal is for us: we end the workers.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise WorkersUnusable(f"no process can be started to decode pictures in: {error}") from error

    @property
    def is_usable(self) -> bool:
        """Whether it waits for a call."""
        return not self._is_broken and self._calls < _CALLS_PER_WORKER and self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until it has loaded what it needs.

        Raises:
            WorkersUnusable: It cannot.
        """
        try:
            answer, _ = self._exchange(None, b"", seconds=START_SECONDS)
        except CallOverrun as error:
            raise WorkersUnusable(f"the process to decode pictures in did not start: {error}") from error
        if "failed" in answer:
            raise WorkersUnusable(f"the process to decode pictures in did not start: {answer['failed']}")

    def call(self, options: Mapping[str, Any], data: bytes, *, seconds: float) -> dict[str, Any]:
        """One call.

        Raises:
            CallOverrun: It was ended, or died.
        """
        self._calls += 1
        answer, _ = self._exchange(options, data, seconds=seconds)
        match answer:
            case {"value": dict(value)}:
                return value
            case {"out_of_memory": {"by_limit": bool(by_limit)}}:
                self._is_broken = True  # what is left of its memory may be in pieces
                if by_limit:
                    raise CallOverrun(f"it needs more than {self._memory_mb} MiB of memory")
                raise CallOverrun("there is not enough memory", is_passing=True)
            case {"failed": str(text)}:
                self._is_broken = True
                raise CallOverrun(f"the decoder failed: {text}")
        self._is_broken = True
        raise CallOverrun("the decoder answered what it was not asked")

    def kill(self) -> None:
        """End it now; whoever waits for it learns so by the end of its pipe."""
        self._process.kill()

    def end(self) -> None:
        """End it, and put away what it leaves."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # What was not sent yet cannot be, nor need be.
                with contextlib.suppress(OSError):
                    stream.close()

    def _exchange(
        self, options: Mapping[str, Any] | None, data: bytes, *, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Send a call, if there is one, and take the answer, all within the time."""
        to_worker, from_worker = self._process.stdin, self._process.stdout
        assert to_worker is not None
        assert from_worker is not None
        overran = threading.Event()

        def overrun() -> None:
            overran.set()
            self.kill()

        timer = threading.Timer(seconds, overrun)
        timer.daemon = True
        timer.start()
        try:
            if options is not None:
                write_frame(to_worker, options, data)
            return read_frame(from_worker, max_body_bytes=0)
        except (FrameBroken, OSError) as error:
            self._is_broken = True
            self._process.kill()
            code = self._process.wait()
            if overran.is_set():
                raise CallOverrun(f"it took longer than {seconds:g} seconds") from error
            raise CallOverrun(f"it brought the decoder down ({_how(code)})") from error
        finally:
            timer.cancel()


def _how(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _environment() -> dict[str, str]:
    """Little, with the packages found where they are now; `-P` keeps the current folder out."""
    home = str(Path(pipeline.__file__).resolve().parent.parent)
    former = os.environ.get("PYTHONPATH")
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "PYTHONPATH": os.pathsep.join([home, former] if former else [home]),
        # One worker is one thread: the pool decides how many cores are used.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }

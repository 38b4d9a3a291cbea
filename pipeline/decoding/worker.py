"""A worker process: `python -m pipeline.decoding.worker MODULE:FUNCTION SECONDS MEMORY_MB`.

It calls the function with what each frame on standard input holds, and answers with a frame on standard output:
`{"ready": true}` once, then `{"value": ...}` for each, or `{"out_of_memory": ...}` or `{"failed": ...}`. It ends with
its standard input, even in the middle of a call: a parent that is gone leaves nothing running.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.decoding.frames import FrameBroken, read_frame, write_frame

Task = Callable[[Mapping[str, Any], bytes], Mapping[str, Any]]
"""Options and bytes to a JSON object."""

# The parent ends a call that takes too long; should it be gone, the clock does, this much later.
_GRACE_SECONDS = 5.0
_MAX_BODY_BYTES = 2**31


def main(task_name: str, seconds: float, memory_mb: int) -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the frames
    try:
        task = _load(task_name)
    except Exception as error:  # noqa: BLE001  # the parent tells its user
        write_frame(answers, {"failed": repr(error)})
        return
    is_limited = limit_resources(memory_mb)
    calls: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
    threading.Thread(target=_read_calls, args=(sys.stdin.buffer, calls), daemon=True).start()
    write_frame(answers, {"ready": True})
    while True:
        options, data = calls.get()
        with contextlib.suppress(BrokenPipeError):
            write_frame(answers, _answer(task, options, data, seconds=seconds, is_limited=is_limited))


def limit_resources(memory_mb: int) -> bool:
    """Allow this process so much memory beyond what it has now, and no core dump; whether the system keeps to that."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        pages = 0
    # Without knowing what is mapped already, only what is asked for anew can be counted.
    kind = resource.RLIMIT_AS if pages else resource.RLIMIT_DATA
    most = pages * resource.getpagesize() + memory_mb * 2**20
    try:
        _soft, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(kind, (most, most))
    except (OSError, ValueError):
        return False
    return sys.platform.startswith(("linux", "freebsd"))


def _answer(
    task: Task, options: Mapping[str, Any], data: bytes, *, seconds: float, is_limited: bool
) -> Mapping[str, Any]:
    with _alarm(seconds + _GRACE_SECONDS):
        try:
            return {"value": dict(task(options, data))}
        except MemoryError:
            return {"out_of_memory": {"by_limit": is_limited}}
        except Exception as error:  # noqa: BLE001  # decoders raise anything on hostile bytes
            return {"failed": repr(error)[:300]}


@contextlib.contextmanager
def _alarm(seconds: float) -> Any:
    """Let the system end this process after so long, whatever a decoder does, or whoever holds Python's lock."""
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _read_calls(stream: BinaryIO, calls: queue.SimpleQueue[tuple[dict[str, Any], bytes]]) -> None:
    try:
        while True:
            calls.put(read_frame(stream, max_body_bytes=_MAX_BODY_BYTES))
    except BaseException:  # noqa: BLE001  # for want of memory too: without this thread nothing would end us
        os._exit(0)


def _load(name: str) -> Task:
    module, _, function = name.partition(":")
    task: Task = getattr(importlib.import_module(module), function)
    return task


if __name__ == "__main__":
    with contextlib.suppress(FrameBroken, KeyboardInterrupt):
        main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))

"""Which process is at work: an identity that outlives it, and whether it still lives."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_PROC = Path("/proc")
_STATE, _START_TIME = 0, 19  # fields after the name in /proc/<pid>/stat, see proc(5)


def this_process() -> str:
    """`host:pid:start time` of this process; the start time tells it from a later process with the same pid."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_time(os.getpid()) or 0}"


def is_alive(process: str) -> bool:
    """Whether the process that `this_process` named still runs.

    A process of another host counts as alive, because nobody here can tell; so does text of another form.
    """
    try:
        host, pid_text, started = process.rsplit(":", 2)
        pid = int(pid_text)
    except ValueError:
        return True
    if host != socket.gethostname():
        return True
    if pid == os.getpid():
        return started == str(_start_time(pid) or 0)
    if not _exists(pid):
        return False
    return started == "0" or started == (_start_time(pid) or started)


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    if (_PROC / "self" / "stat").exists():
        return _start_time(pid) is not None
    if sys.platform == "win32":
        return True  # os.kill(pid, 0) would send a signal there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it exists and belongs to somebody else
    return True


def _start_time(pid: int) -> str | None:
    """Clock ticks from boot to the start of a process; None when it is gone, dead and unreaped, or not knowable."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    if len(fields) <= _START_TIME or fields[_STATE] in ("Z", "X", "x"):
        return None
    return fields[_START_TIME]

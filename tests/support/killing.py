"""Kills processes with all that they started, as kill -9 and a machine that goes down do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

_GONE_SECONDS = 20.0


def kill_tree(pid: int) -> None:
    """Kill a child of this process and all that it started, at once, so that none of them can tidy up."""
    family = [pid, *descendants(pid)]
    for each in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    until = time.monotonic() + _GONE_SECONDS
    while any(is_alive(each) for each in family):
        assert time.monotonic() < until
        time.sleep(0.01)


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def is_alive(pid: int) -> bool:
    """Whether it runs; one that is dead and that nobody has asked about does not."""
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(status.strip()) and not status.strip().startswith("Z")

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.processes import is_alive, this_process

SAY = "from pipeline.catalog.processes import this_process; print(this_process(), flush=True); input()"


def _child() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_this_process_is_alive() -> None:
    assert is_alive(this_process())
    assert this_process() == this_process()
    assert this_process().split(":")[1] == str(os.getpid())


def test_another_process_is_alive_until_it_is_killed() -> None:
    process, identity = _child()

    assert is_alive(identity)
    process.kill()
    process.stdout.read()  # until it is gone; it is not reaped yet
    while is_alive(identity):
        assert process.returncode is None
    process.communicate()
    assert not is_alive(identity)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times are read from /proc")
def test_a_later_process_with_the_same_pid_is_another() -> None:
    host, pid, started = this_process().rsplit(":", 2)

    assert not is_alive(f"{host}:{pid}:{int(started) - 1}")
    assert not is_alive(f"{host}:1:{started}")


def test_a_process_elsewhere_counts_as_alive() -> None:
    assert is_alive("another-host:1:1")
    assert is_alive("")
    assert is_alive("not a process")


def test_a_pid_that_nobody_has_is_dead() -> None:
    assert not is_alive(f"{socket.gethostname()}:{2**22 + 1}:0")
    assert not is_alive(f"{socket.gethostname()}:-1:0")


def test_runs_of_dead_processes_are_marked_interrupted(tmp_path: Path) -> None:
    process, dead = _child()
    process.kill()
    process.communicate()
    start = {"keywords": [], "source": None, "parameters": {}, "version": "1"}
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.write() as uow:
        killed = uow.runs.start("run", process=dead, **start)
        living = uow.runs.start("run", process=this_process(), **start)
        ended = uow.runs.start("run", process=dead, **start)
        uow.runs.finish(ended, "done", {"accepted": 1})

        marked = uow.runs.mark_dead(is_alive)

        assert marked == [killed]
        assert [uow.runs.get(run).status for run in (killed, living, ended)] == ["interrupted", "running", "done"]
        assert uow.runs.get(killed).finished_at is not None
        assert uow.runs.mark_dead(is_alive) == []

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from flows.prefect_server import PrefectUnavailable, prefect_server

ROOT = Path(__file__).resolve().parents[2]

_PARENT = """
import sys
from pathlib import Path
from flows.prefect_environment import configure_prefect
from flows.prefect_server import prefect_server

home = Path(sys.argv[1])
configure_prefect(home=home, startup_timeout_seconds=200)
with prefect_server(home=home, api_url="", services=False, timeout_seconds=200, on_wait=lambda s: None) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def _children_of(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listing.stdout.split()]


def _is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the child in /proc")
def test_the_server_ends_when_its_parent_is_killed_and_writes_only_below_its_home(tmp_path: Path, prefect_home: Path):
    user_home = tmp_path / "user"
    user_home.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(prefect_home)],
        cwd=ROOT,
        env={**os.environ, "HOME": str(user_home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    url = parent.stdout.readline()
    assert url.startswith("http://127.0.0.1:")
    children = _children_of(parent.pid)
    assert children

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    deadline = time.monotonic() + 20
    while any(map(_is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_is_running, children))
    assert list(user_home.rglob("*")) == []


def test_a_named_server_that_does_not_answer_is_said_at_once(tmp_path: Path):
    with (
        pytest.raises(PrefectUnavailable, match="prefect server start"),
        prefect_server(
            home=tmp_path,
            api_url="http://127.0.0.1:9/api",
            services=False,
            timeout_seconds=5,
            on_wait=lambda _: None,
        ),
    ):
        pass


@pytest.mark.slow
def test_a_server_waits_for_another_that_is_starting_and_runs_no_file_of_the_folder_it_is_started_in(
    tmp_path: Path, prefect_home: Path
):
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('a file of somebody else was run')")
    parent_code = _PARENT.replace("lambda s: None", "lambda s: print('waits', flush=True)")
    with FileLock(prefect_home / "starting.lock"):
        parent = subprocess.Popen(
            [sys.executable, "-P", "-c", parent_code, str(prefect_home)],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout is not None
        assert parent.stdout.readline() == "waits\n"
        assert _children_of(parent.pid) == []

    rest, _ = parent.communicate("")

    assert [line[:17] for line in rest.splitlines() if line != "waits"] == ["http://127.0.0.1:"]

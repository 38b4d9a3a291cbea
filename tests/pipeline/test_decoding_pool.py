"""Worker processes that hang, overrun, crash and lie cost one call each, and leave nothing behind."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.decoding.frames import FrameBroken, read_frame, write_frame
from pipeline.decoding.pool import CallOverrun, WorkerPool, WorkersUnusable

TASK = "tests.support.decoding_tasks:run"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(TASK, seconds=30.0, memory_mb=256, workers=1) as pool:
        yield pool


def is_alive(pid: int) -> bool:
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(status.strip()) and not status.strip().startswith("Z")


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in found.split()]


def test_an_answer_comes_back_from_another_process(pool: WorkerPool) -> None:
    answer = pool.submit({"a": [1, None, "ü"]}, b"echo " + bytes(3_000_000)).result()

    assert answer["options"] == {"a": [1, None, "ü"]}
    assert answer["length"] == 3_000_005
    assert answer["pid"] != os.getpid()


def test_one_worker_serves_many_calls(pool: WorkerPool) -> None:
    assert len({pool.submit({}, b"echo").result()["pid"] for _ in range(5)}) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSEGV") or sys.platform == "win32", reason="how processes end on POSIX")
@pytest.mark.parametrize(
    ("what", "told"),
    [
        (b"segfault", "brought the decoder down (SIGSEGV)"),
        (b"exit", "brought the decoder down (exit code 3)"),
        (b"raise", 'the decoder failed: RuntimeError("a decoder\'s own error")'),
    ],
)
def test_a_call_that_brings_its_worker_down_fails_and_the_next_ones_do_not(
    pool: WorkerPool, what: bytes, told: str
) -> None:
    before = pool.submit({}, b"echo").result()["pid"]
    failing, following = pool.submit({}, what), pool.submit({}, b"echo")

    with pytest.raises(CallOverrun) as error:
        failing.result()
    assert told in str(error.value)
    assert following.result()["pid"] != before
    wait_until_gone([before])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a system that limits the memory of a process")
def test_a_call_that_takes_more_memory_than_allowed_is_ended(pool: WorkerPool) -> None:
    with pytest.raises(CallOverrun, match="more than 256 MiB") as error:
        pool.submit({}, b"allocate").result()

    assert not error.value.is_passing
    assert pool.submit({}, b"echo").result()["length"] == 4


@pytest.mark.parametrize("what", [b"sleep", b"hold"])
def test_a_call_that_hangs_is_ended_by_the_clock(what: bytes) -> None:
    with WorkerPool(TASK, seconds=0.3, memory_mb=256, workers=1) as pool:
        hanging, following = pool.submit({}, what), pool.submit({}, b"echo")

        with pytest.raises(CallOverrun, match=r"longer than 0\.3 seconds"):
            hanging.result()
        assert following.result()["length"] == 4


def test_what_a_library_prints_does_not_get_between_the_answers(pool: WorkerPool) -> None:
    assert pool.submit({}, b"print").result() == {"said": True}
    assert pool.submit({}, b"echo").result()["length"] == 4


def test_a_worker_knows_little_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DREAMCRAWL_CONTACT", "someone@example.org")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org")
    with WorkerPool(TASK, seconds=30.0, memory_mb=256, workers=1) as pool:
        world = pool.submit({}, b"world").result()

    assert not {"DREAMCRAWL_CONTACT", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "HOME"} & set(world["environment"])
    assert world["session"] != os.getsid(0)


def test_nothing_starts_before_there_is_something_to_do() -> None:
    before = set(children_of(os.getpid()))
    with WorkerPool(TASK, seconds=30.0, memory_mb=256, workers=2):
        assert set(children_of(os.getpid())) == before


def test_leaving_the_block_ends_workers_in_the_middle_of_a_call_and_cancels_the_rest() -> None:
    with WorkerPool(TASK, seconds=60.0, memory_mb=256, workers=1) as pool:
        pid = pool.submit({}, b"echo").result()["pid"]
        hanging, waiting = pool.submit({}, b"sleep"), pool.submit({}, b"echo")
        while not hanging.running():
            pass

    assert not is_alive(pid)
    assert isinstance(hanging.exception(), CallOverrun)
    assert waiting.cancelled()


@pytest.mark.parametrize("task", ["no.such.module:run", "tests.support.decoding_tasks:no_such"])
def test_a_pool_whose_workers_cannot_start_says_so(task: str) -> None:
    with (
        WorkerPool(task, seconds=30.0, memory_mb=256, workers=1) as pool,
        pytest.raises(WorkersUnusable, match=r"No module named|no_such"),
    ):
        pool.submit({}, b"echo").result()


PARENT = """
import sys
from pipeline.decoding.pool import WorkerPool
with WorkerPool("tests.support.decoding_tasks:run", seconds=600.0, memory_mb=256, workers=2) as pool:
    print(pool.submit({}, b"echo").result()["pid"], flush=True)
    futures = [pool.submit({}, b"sleep"), pool.submit({}, b"sleep")]
    while not all(future.running() for future in futures):
        pass
    print("hanging", flush=True)
    futures[0].result()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent_in_the_middle_of_a_call(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    first = int(parent.stdout.readline())
    assert parent.stdout.readline() == "hanging\n"
    workers = {first, *children_of(parent.pid)}

    # A signal between Python's last look for one and its wait for a lock is heeded when that wait is over, and one in a
    # finalizer is dropped; whoever presses Ctrl-C in such a moment presses it again.
    for _ in range(3):
        parent.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            parent.wait(timeout=20)
            break

    assert parent.returncode == -how
    wait_until_gone(list(workers))
    parent.stdout.close()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\2\0\0\0\0{",
        b"\0\0\0\2\0\0\0\0[]",
        b"\0\0\0\2\0\0\0\0xx",
        b"\0\0\0\2\0\0\0\1{}!",
        b"\xff\xff\xff\xff\0\0\0\0",
    ],
)
def test_what_is_no_frame_is_not_taken_for_one(data: bytes) -> None:
    with pytest.raises(FrameBroken):
        read_frame(io.BytesIO(data), max_body_bytes=0)


def test_a_frame_is_read_as_it_was_written() -> None:
    stream = io.BytesIO()
    write_frame(stream, {"a": "ü\0"}, b"\0\1")
    write_frame(stream, {})
    stream.seek(0)

    assert read_frame(stream, max_body_bytes=2) == ({"a": "ü\0"}, b"\0\1")
    assert read_frame(stream, max_body_bytes=2) == ({}, b"")

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dream.devices import Crew, Stopped
from dream.errors import DeviceFailed
from tests.support.dreaming import dream_all, pictures_of, small_recipe
from tests.support.tiny_network import tiny_network
from tests.support.two_devices import SIZES

ROOT = Path(__file__).resolve().parents[2]
GONE = DeviceFailed("gone")

Job = tuple[int, ...]


def crew(jobs: Sequence[Job], do: Callable[[int, Job], Sequence[Any]], *, devices: int = 2) -> Crew[Job, Any, str]:
    """A job is a tuple of numbers and can be taken apart into each of them; what is lost is a negative number."""
    return Crew(
        jobs,
        devices=devices,
        do=do,
        prepare=lambda _job: None,
        parts=lambda job: [(number,) for number in job],
        lost=lambda job, error: [(-number, error) for number in job],
    )


def run(crew: Crew[Job, Any, str]) -> list[Any]:
    return list(crew.run(lambda _news: None))


# The heap, without TensorFlow.


def test_each_job_is_done_once_whatever_the_number_of_devices():
    for devices in (1, 2, 5):
        results = run(crew([(1,), (2, 3), (4,)], lambda _device, job: job, devices=devices))

        assert sorted(results) == [1, 2, 3, 4]


def test_a_job_that_comes_back_is_done_by_a_device_that_had_nothing_left_to_take():
    taken, done = threading.Event(), threading.Event()

    def do(device: int, job: Job) -> Job:
        if device == 1:
            taken.set()
            done.wait(5)
            # The other device asks for more work meanwhile, and finds none.
            time.sleep(0.05)
            raise GONE
        taken.wait(5)
        done.set()
        return job

    for _ in range(5):
        taken.clear()
        done.clear()
        assert sorted(run(crew([(1,), (2,)], do))) == [1, 2]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_or_done_twice_however_devices_fail(seed: int):
    chance = random.Random(seed)
    jobs = [tuple(range(start, start + chance.randint(1, 3))) for start in range(10, 100, 3)]
    failures = {device: chance.choice([0.0, 0.1, 0.5, 1.0]) for device in range(chance.randint(1, 4))}
    lock = threading.Lock()

    def do(device: int, job: Job) -> Job:
        with lock:
            fails, pause = chance.random() < failures[device], chance.random() < 0.1
        if pause:
            time.sleep(0.001)
        if fails:
            raise GONE
        return job

    results = run(crew(jobs, do, devices=len(failures)))

    numbers = [result if isinstance(result, int) else -result[0] for result in results]
    assert Counter(numbers) == Counter(number for job in jobs for number in job)
    if 0.0 in failures.values() and set(failures.values()) <= {0.0, 1.0}:
        # A device that works does all that those that are gone could not.
        assert list(failures.values()).count(1.0) > 1 or all(isinstance(result, int) for result in results)


def test_a_job_that_breaks_devices_is_taken_apart_and_only_its_bad_part_is_lost():
    def do(_device: int, job: Job) -> Job:
        if 3 in job:
            raise GONE
        return job

    for devices in (1, 2, 4):
        results = run(crew([(1, 2, 3, 4), (5, 6), (7,), (8,)], do, devices=devices))

        assert [result for result in results if not isinstance(result, int)] == [(-3, GONE)]
        assert sorted(result for result in results if isinstance(result, int)) == [1, 2, 4, 5, 6, 7, 8]


def test_a_device_that_fails_again_and_again_gets_no_more_work():
    asked: list[int] = []

    def do(device: int, job: Job) -> Job:
        if device == 0:
            asked.append(job[0])
            raise GONE
        time.sleep(0.002)
        return job

    assert sorted(run(crew([(n,) for n in range(1, 30)], do))) == list(range(1, 30))
    assert len(asked) <= 3


def test_jobs_that_no_device_could_try_are_lost_without_an_error_of_their_own():
    def do(_device: int, _job: Job) -> Job:
        raise GONE

    results = run(crew([(n,) for n in range(1, 9)], do, devices=1))

    assert results == [(-1, GONE), (-2, GONE), (-3, GONE), *[(-n, None) for n in range(4, 9)]]


def test_an_error_that_is_not_of_the_device_stops_everything_and_reaches_the_caller():
    def do(_device: int, job: Job) -> Job:
        if job == (3,):
            raise ZeroDivisionError
        return job

    with pytest.raises(ZeroDivisionError):
        run(crew([(n,) for n in range(1, 50)], do))

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("device-")]


def test_results_wait_for_a_slow_caller_and_devices_wait_with_them():
    done: list[int] = []

    def do(_device: int, job: Job) -> Job:
        done.append(job[0])
        return job

    results = crew([(n,) for n in range(1, 200)], do).run(lambda _news: None)
    next(results)
    time.sleep(0.2)

    # What was handed out at once, as much again that waits, and one that each device holds.
    assert len(done) < 20
    results.close()
    assert len(done) < 20


def test_telling_stops_the_work_once_nobody_listens():
    stopped = threading.Event()

    def do(_device: int, job: Job) -> Job:
        try:
            while True:
                busy.tell("still at it")
                time.sleep(0.001)
        except Stopped:
            stopped.set()
            raise
        return job

    class Enough(Exception):
        pass

    def listen(_news: str) -> None:
        raise Enough

    busy = crew([(1,)], do, devices=1)
    with pytest.raises(Enough):
        list(busy.run(listen))

    assert stopped.is_set()


# Real devices: the processor split in two.


@pytest.fixture(scope="module")
def two_devices() -> dict[str, Any]:
    """What `tests/support/two_devices.py` found; one process for all, as TensorFlow takes seconds to start."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.two_devices"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def digests(outcomes: dict[str, Any]) -> dict[str, str]:
    return {key: outcome["digest"] for key, outcome in outcomes.items()}


def devices(outcomes: dict[str, Any]) -> set[str]:
    return {outcome["device"] for outcome in outcomes.values()}


def test_another_process_with_other_devices_gives_the_same_bytes(two_devices: dict[str, Any]):
    outcomes = dream_all(pictures_of(*SIZES), small_recipe(), tiny_network())

    here = {key: hashlib.sha256(outcome.image.tobytes()).hexdigest() for key, outcome in outcomes.items()}
    assert here == digests(two_devices["alone"])


def test_all_devices_work_and_the_dreams_are_those_of_one(two_devices: dict[str, Any]):
    assert devices(two_devices["both"]) == {"/device:CPU:0", "/device:CPU:1"}
    assert devices(two_devices["one"]) == {"/device:CPU:1"}
    assert len(set(digests(two_devices["alone"]).values())) == 10
    assert digests(two_devices["both"]) == digests(two_devices["one"]) == digests(two_devices["alone"])


def test_the_work_of_a_device_that_vanishes_is_done_by_the_other(two_devices: dict[str, Any]):
    # It did two thirds of a picture, then failed at three and was left alone.
    assert two_devices["calls"]["one gone"]["CPU:1"] == 4 + 3
    assert devices(two_devices["one gone"]) == {"/device:CPU:0"}
    assert digests(two_devices["one gone"]) == digests(two_devices["alone"])


def test_the_last_picture_of_a_device_that_vanishes_is_not_forgotten(two_devices: dict[str, Any]):
    late, alone = two_devices["late"], two_devices["alone"]

    assert digests(late) == {key: alone[key]["digest"] for key in ("p0", "p1")}
    assert two_devices["calls"]["late"]["CPU:1"] >= 1


def test_when_all_devices_are_gone_every_picture_left_has_an_error(two_devices: dict[str, Any]):
    found, alone = two_devices["all gone"], two_devices["alone"]

    dreams = {key for key, outcome in found.items() if outcome["digest"]}
    assert len(found) == 10
    # Each device took six calls for one picture, and broke in its second one.
    assert len(dreams) == 2
    assert all(found[key]["digest"] == alone[key]["digest"] for key in dreams)
    assert all("DeviceFailed" in found[key]["error"] for key in found if key not in dreams)
    assert any("the device is gone" in str(outcome["error"]) for outcome in found.values())
    assert any("run again" in str(outcome["error"]) for outcome in found.values())


def test_each_device_climbs_with_as_many_as_suit_it(two_devices: dict[str, Any]):
    found = two_devices["unlike"]

    assert len(found) == 16
    assert all(outcome["error"] is None for outcome in found.values())
    assert {(outcome["device"], outcome["batch"]) for outcome in found.values()} == {
        ("/device:CPU:0", 1),
        ("/device:CPU:1", 4),
    }


def test_a_listener_that_raises_stops_all_devices_at_once(two_devices: dict[str, Any]):
    assert two_devices["stopped"] == {"raised": True, "threads": []}


def test_a_caller_that_leaves_while_results_wait_leaves_no_thread_behind(two_devices: dict[str, Any]):
    assert two_devices["closed"] == {"first": True, "threads": []}


def test_progress_from_two_devices_never_goes_back_and_ends_at_one(two_devices: dict[str, Any]):
    told = two_devices["progress"]

    assert told == sorted(told)
    assert told[-1] == 1.0

from __future__ import annotations

import threading
import time

import pytest

from dream.turns import Turns


def test_small_work_goes_side_by_side():
    turns, both = Turns(), threading.Barrier(2, timeout=10)

    def work() -> None:
        with turns.beside():
            # Passed only when the other is inside as well.
            both.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not both.broken


def test_nothing_goes_on_beside_large_work_and_none_waits_for_ever():
    turns = Turns()
    inside: list[str] = []
    seen: list[list[str]] = []
    guard = threading.Lock()

    def work(kind: str) -> None:
        for _ in range(20):
            with turns.alone() if kind == "large" else turns.beside():
                with guard:
                    inside.append(kind)
                    seen.append(list(inside))
                time.sleep(0.001)
                with guard:
                    inside.remove(kind)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in ("small", "large", "small", "large", "small")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert not any(thread.is_alive() for thread in threads)
    assert len(seen) == 100
    assert all(company == ["large"] for company in seen if "large" in company)
    assert any(len(company) > 1 for company in seen)


def test_large_work_that_waits_goes_before_small_work_that_comes():
    turns = Turns()
    order: list[str] = []
    first_in, leave = threading.Event(), threading.Event()

    def first() -> None:
        with turns.beside():
            first_in.set()
            leave.wait(10)

    def large() -> None:
        with turns.alone():
            order.append("large")

    def late() -> None:
        with turns.beside():
            order.append("small")

    threads = [threading.Thread(target=first), threading.Thread(target=large), threading.Thread(target=late)]
    threads[0].start()
    first_in.wait(10)
    threads[1].start()
    while not turns._waiting:
        time.sleep(0.001)
    threads[2].start()
    time.sleep(0.05)
    leave.set()
    for thread in threads:
        thread.join(timeout=10)

    assert order == ["large", "small"]


def test_an_error_gives_the_turn_back():
    turns = Turns()
    for turn in (turns.alone, turns.beside):
        with pytest.raises(RuntimeError), turn():
            raise RuntimeError

    with turns.alone():
        pass

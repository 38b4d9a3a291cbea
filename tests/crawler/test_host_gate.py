from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime

import pytest

from crawler.host_gate import MAX_CRAWL_DELAY_SECONDS, HostGate, retry_after_seconds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str | None, expected: float | None) -> None:
    assert retry_after_seconds(value, now=NOW) == expected


async def _visit(gate: HostGate, starts: list[float], *, stay: float = 0.0) -> None:
    assert await gate.enter(lambda: 60.0) is None
    starts.append(time.monotonic())
    await asyncio.sleep(stay)
    gate.leave()


def _run(gate: HostGate, visitors: int, *, stay: float) -> list[float]:
    starts: list[float] = []

    async def all_of_them() -> None:
        await asyncio.gather(*(_visit(gate, starts, stay=stay) for _ in range(visitors)))

    asyncio.run(all_of_them())
    return starts


def test_requests_are_at_least_the_delay_apart() -> None:
    starts = _run(HostGate(0.05, 4), 6, stay=0.0)

    assert all(later - earlier >= 0.049 for earlier, later in itertools.pairwise(starts))


def test_no_more_than_the_allowed_number_is_inside() -> None:
    inside, most = 0, 0

    async def visit(gate: HostGate) -> None:
        nonlocal inside, most
        await gate.enter(lambda: 60.0)
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1
        gate.leave()

    async def all_of_them() -> None:
        gate = HostGate(0.0, 3)
        await asyncio.gather(*(visit(gate) for _ in range(12)))

    asyncio.run(all_of_them())
    assert most == 3


def test_a_pause_stops_those_who_wait_already() -> None:
    gate = HostGate(0.0, 1)
    starts: list[float] = []

    async def all_of_them() -> None:
        await gate.enter(lambda: 60.0)
        waiting = [asyncio.create_task(_visit(gate, starts)) for _ in range(3)]
        await asyncio.sleep(0.01)
        gate.pause(0.2)
        gate.leave()
        await asyncio.gather(*waiting)

    began = time.monotonic()
    asyncio.run(all_of_them())

    assert len(starts) == 3
    assert min(starts) - began >= 0.2


def test_a_pause_that_is_too_long_gives_no_turn_and_a_longer_one_stays() -> None:
    gate = HostGate(0.0, 1)
    gate.pause(600)
    gate.pause(5)

    left = asyncio.run(gate.enter(lambda: 60.0))

    assert left == pytest.approx(600, abs=1)


def test_a_crawl_delay_makes_it_one_at_a_time_but_never_faster_nor_endless() -> None:
    gate = HostGate(2.0, 4)

    gate.slow_down(1.0)
    assert (gate.delay_seconds, gate.concurrency) == (2.0, 1)
    gate.slow_down(10_000)
    assert gate.delay_seconds == MAX_CRAWL_DELAY_SECONDS

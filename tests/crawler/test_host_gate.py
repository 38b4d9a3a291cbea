"""The gate of one host, in a time of its own: waiting only moves the clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crawler.hosts.gate import MAX_COOLDOWNS, MAX_PAUSE_SECONDS, HostGate
from pipeline.catalog.host_rules import HostLimits, Standing
from pipeline.catalog.hosts import CoolDown, HostCall, HostLedger, KeepDelay, Succeeded
from pipeline.errors import Reason

BEGAN = 1_767_323_045.0  # 2026-01-02 03:04:05 UTC


class World:
    """A gate over budgets in memory; what it waits for passes at once."""

    def __init__(self, limits: HostLimits, ledger: HostLedger | None = None) -> None:
        self.now = BEGAN
        self.ledger = ledger or HostLedger(clock=lambda: self.now)
        self.gate = HostGate("example.org", limits, budgets=self, clock=lambda: self.now, process="p", wait=self._wait)
        self.entered: list[float] = []

    async def ask(self, call: HostCall) -> Standing:
        return self.ledger.do([call])[0]

    def tell(self, call: HostCall) -> None:
        self.ledger.do([call])

    async def _wait(self, event: asyncio.Event, seconds: float) -> Any:
        if not event.is_set():
            self.now += max(0.0, seconds)
        await asyncio.sleep(0)

    async def enter(self, most_seconds: float = 1000.0, *, priority: int = 0) -> str | Standing:
        answer = await self.gate.enter(lambda: most_seconds, priority=priority)
        if isinstance(answer, str):
            self.entered.append(self.now - BEGAN)
        return answer

    async def visit(self) -> None:
        lease = await self.enter()
        assert isinstance(lease, str)
        self.gate.leave(lease)

    def refuse(self, seconds: float | None) -> None:
        """What the middleware does with a 429."""
        self.gate.cooled(self.ledger.do([CoolDown("example.org", seconds)])[0])


def test_requests_are_exactly_the_delay_apart_when_many_wait() -> None:
    world = World(HostLimits(2.0, 4))

    async def all_of_them() -> None:
        await asyncio.gather(*(world.visit() for _ in range(5)))

    asyncio.run(all_of_them())

    assert world.entered == pytest.approx([0, 2, 4, 6, 8], abs=1e-6)
    assert world.gate.statistics.requests == 5
    assert world.gate.statistics.waited_seconds == pytest.approx(8, abs=1e-6)


def test_no_more_than_the_allowed_number_is_inside_and_the_important_come_first() -> None:
    world, order = World(HostLimits(0.0, 2)), []

    async def visit(name: str, priority: int) -> None:
        lease = await world.enter(priority=priority)
        assert isinstance(lease, str)
        order.append(name)
        assert world.gate.active <= 2
        await asyncio.sleep(0)
        world.gate.leave(lease)

    async def all_of_them() -> None:
        names = [("a", 0), ("b", 0), ("c", 0), ("page", 0), ("picture", 9), ("another", 9)]
        await asyncio.gather(*(visit(*name) for name in names))

    asyncio.run(all_of_them())

    assert order == ["a", "b", "c", "picture", "another", "page"]


def test_a_pause_is_waited_for_by_those_in_line_too() -> None:
    world = World(HostLimits(0.0, 1))

    async def all_of_them() -> None:
        lease = await world.enter()
        assert isinstance(lease, str)
        waiting = [asyncio.create_task(world.visit()) for _ in range(3)]
        await asyncio.sleep(0)
        world.refuse(60)
        world.gate.leave(lease)
        await asyncio.gather(*waiting)

    asyncio.run(all_of_them())

    assert world.entered[0] == 0
    assert min(world.entered[1:]) >= 60


@pytest.mark.parametrize(("pause", "most"), [(MAX_PAUSE_SECONDS + 1, 1000.0), (30.0, 29.0), (7200.0, 1000.0)])
def test_a_pause_that_is_too_long_parks_the_host_for_the_rest_of_the_crawl(pause: float, most: float) -> None:
    world = World(HostLimits(0.0, 1))
    world.refuse(pause)

    answers = [asyncio.run(world.enter(most)) for _ in range(2)]

    assert all(isinstance(answer, Standing) for answer in answers)
    assert world.gate.parked is answers[0] is answers[1]
    assert (answers[0].until, answers[0].reason) == (BEGAN + pause, Reason.TOO_MANY_REQUESTS)
    assert world.now == BEGAN


def test_a_host_that_only_ever_refuses_is_given_up_without_an_attempt_more_than_allowed() -> None:
    world = World(HostLimits(0.0, 1))

    async def refused_each_time() -> int:
        asked = 0
        while isinstance(lease := await world.enter(), str):
            asked += 1
            world.gate.leave(lease)
            world.refuse(1)
        return asked

    assert asyncio.run(refused_each_time()) == MAX_COOLDOWNS + 1
    assert world.gate.parked is not None


def test_guesses_that_grow_are_waited_for_up_to_the_longest_pause_in_all() -> None:
    world = World(HostLimits(0.0, 1))

    async def refused_each_time() -> None:
        while isinstance(lease := await world.enter(), str):
            world.gate.leave(lease)
            world.refuse(None)

    asyncio.run(refused_each_time())

    # 5 + 10 + 20 + 40 seconds are waited for; 80 more would be too many.
    assert world.entered == [0, 5, 15, 35, 75]


def test_a_success_begins_the_count_anew() -> None:
    world = World(HostLimits(0.0, 1))

    async def refused_every_other_time() -> None:
        for _ in range(3 * MAX_COOLDOWNS):
            await world.visit()
            world.refuse(30)
            await world.visit()
            world.gate.succeeded()
            world.tell(Succeeded("example.org"))

    asyncio.run(refused_every_other_time())

    assert world.gate.parked is None


def test_a_crawl_delay_makes_it_one_at_a_time() -> None:
    world = World(HostLimits(0.5, 4))
    world.tell(KeepDelay("example.org", 3.0))

    async def two() -> None:
        leases = [await world.enter(), asyncio.create_task(world.enter())]
        await asyncio.sleep(0)
        assert world.gate.active == 1
        world.gate.leave(leases[0])  # type: ignore[arg-type]  # a lease
        await leases[1]  # type: ignore[misc]  # a task

    asyncio.run(two())

    assert world.entered == pytest.approx([3, 6], abs=1e-6)


def test_a_closed_gate_lets_those_go_who_wait() -> None:
    world = World(HostLimits(0.0, 1))

    async def ends() -> list[str | Standing]:
        await world.enter()
        waiting = [asyncio.create_task(world.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        world.gate.close()
        return list(await asyncio.gather(*waiting))

    answers = asyncio.run(ends())

    assert [answer.reason for answer in answers if isinstance(answer, Standing)] == [None, None, None]


def test_two_crawls_in_one_ledger_share_the_places_and_the_delay() -> None:
    one = World(HostLimits(1.0, 1))
    other = World(HostLimits(1.0, 1), ledger=one.ledger)

    async def both() -> None:
        first = await one.enter()
        assert isinstance(first, str)
        second = asyncio.create_task(other.enter())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not second.done()
        one.now += 5
        one.gate.leave(first)
        assert isinstance(await second, str)

    asyncio.run(both())

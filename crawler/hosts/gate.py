"""The gate of one host: who may ask it now, who waits, and what it has said so far.

Scrapy has a delay and a concurrency per host too, but requests wait for them in a queue that nothing can stop when the
host asks for a pause. So Scrapy's are left open, and every request, redirects and robots.txt included, passes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from pipeline.catalog.host_rules import HostBudget, HostLimits, Standing
from pipeline.catalog.hosts import GiveBack, HostCall, Take

MAX_PAUSE_SECONDS = 120.0
"""A host that asks for a longer pause, at once or in a row, is not asked again in this crawl."""

MAX_COOLDOWNS = 5
"""Nor is one that refuses this often in a row."""


class Budgets(Protocol):
    """Where the budget of a host is kept: `crawler.hosts.budgets`."""

    async def ask(self, call: HostCall) -> Standing:
        """Carry out a call."""

    def tell(self, call: HostCall) -> None:
        """Carry out a call whose answer nobody waits for."""


@dataclass
class HostStatistics:
    """What a crawl did at one host.

    Attributes:
        bytes: Of the bodies that came.
        waited_seconds: How long the first in line waited for the host's delay or cool-down.
        status: Of the last answer; None before the first.
    """

    requests: int = 0
    answers: int = 0
    bytes: int = 0
    waited_seconds: float = 0.0
    status: int | None = None


class HostGate:
    """The gate of one host in one crawl.

    Attributes:
        budget: As last seen.
        parked: Set once the host is not asked again in this crawl: why, and until when.
    """

    _ids = itertools.count()

    def __init__(
        self,
        name: str,
        limits: HostLimits,
        *,
        budgets: Budgets,
        clock: Callable[[], float],
        process: str,
        wait: Callable[[asyncio.Event, float], Awaitable[Any]] | None = None,
    ) -> None:
        """A gate that nobody has passed.

        Args:
            name: As in `crawler.hosts.limits.host_key`.
            limits: What this crawl allows itself.
            budgets: Where the budget is kept.
            clock: Seconds since 1970.
            process: As `pipeline.catalog.processes` names this one; also makes the names of leases unique.
            wait: Waits for an event, for at most so many seconds.
        """
        self.name = name
        self.budget = HostBudget(name)
        self.statistics = HostStatistics()
        self.parked: Standing | None = None
        self._limits = limits
        self._budgets = budgets
        self._clock = clock
        self._process = process
        # A digest, as the names of hosts in a process's name may be long.
        self._leases = blake2b(process.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        self._wait = wait or _wait
        self._active = 0
        self._is_asking = False
        self._line: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waits_until = 0.0
        self._left = asyncio.Event()
        self._closed = asyncio.Event()
        # Since the last success.
        self._cooldowns = 0
        self._paused_seconds = 0.0

    @property
    def active(self) -> int:
        """Requests of this crawl that are under way."""
        return self._active

    @property
    def is_idle(self) -> bool:
        """Whether nobody is inside or in line."""
        return not (self._active or self._is_asking or self._line)

    @property
    def wait_seconds(self) -> float:
        """How long the first in line has still to wait, as far as it is known."""
        return max(0.0, self._waits_until - self._clock()) if self._is_asking else 0.0

    async def enter(self, most_seconds: Callable[[], float], *, priority: int = 0) -> str | Standing:
        """Wait for one's turn, which then must be given back by `leave`.

        Args:
            most_seconds: How long a pause may at most be waited for, asked whenever there is one.
            priority: Higher ones come first; equals in the order in which they came.

        Returns:
            The lease to give back; or how the host stands when it wants to be left alone for too long: no turn then.
        """
        if self._is_asking or self._line:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._line, (-priority, next(self._ids), turn))
            await turn
        self._is_asking = True
        try:
            return await self._turn(most_seconds)
        finally:
            self._call_next()

    def leave(self, lease: str) -> None:
        """Give one's turn back."""
        self._active -= 1
        self._left.set()
        self._budgets.tell(GiveBack(self.name, lease))

    def cooled(self, standing: Standing) -> None:
        """Told when the host asked to be left alone."""
        # Of several refusals at once only the first begins a cool-down.
        if standing.budget.cooldowns > self.budget.cooldowns:
            self._cooldowns += 1
        self.budget = standing.budget

    def succeeded(self) -> None:
        """Told when the host answered as it should."""
        self._cooldowns, self._paused_seconds = 0, 0.0

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed.set()
        self._left.set()

    async def _turn(self, most_seconds: Callable[[], float]) -> str | Standing:
        lease = f"{self._leases}:{next(self._ids)}"
        while self.parked is None and not self._closed.is_set():
            if self._active >= self._limits.concurrency:
                await self._wait_for_place(None)
                continue
            standing = await self._budgets.ask(Take(self.name, self._limits, lease, self._process))
            self.budget = standing.budget
            if standing.granted:
                self._active += 1
                self.statistics.requests += 1
                return lease
            seconds = standing.until - self._clock()
            if standing.reason is None and self.budget.next_at <= self._clock():
                await self._wait_for_place(max(seconds, 0.01))
                continue
            if standing.reason is not None:
                if self._is_too_long(seconds, most_seconds()):
                    self.parked = standing
                    break
                self._paused_seconds += max(seconds, 0.0)
            await self._wait_until(standing.until)
        return self.parked or Standing(self.budget)

    def _is_too_long(self, seconds: float, most_seconds: float) -> bool:
        return (
            seconds > most_seconds
            or self._paused_seconds + seconds > MAX_PAUSE_SECONDS
            or self._cooldowns > MAX_COOLDOWNS
        )

    async def _wait_until(self, moment: float) -> None:
        self._waits_until = moment
        began = self._clock()
        await self._wait(self._closed, moment - began)
        self.statistics.waited_seconds += max(0.0, self._clock() - began)

    async def _wait_for_place(self, seconds: float | None) -> None:
        self._left.clear()
        if self._closed.is_set():
            return
        if seconds is None:
            await self._left.wait()
        else:
            # A place may also be given back by another process, which tells nobody.
            await self._wait(self._left, seconds)

    def _call_next(self) -> None:
        while self._line:
            *_, turn = heapq.heappop(self._line)
            if not turn.done():
                turn.set_result(None)
                return  # still asking: the one that was called
        self._is_asking = False


async def _wait(event: asyncio.Event, seconds: float) -> None:
    if seconds <= 0:
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

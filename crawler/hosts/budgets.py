"""Between the gates of a crawl and the budgets of hosts: what is shared goes to the catalog, in a thread of its own.

A busy catalog must not hold up the network, so its work is done beside the event loop, in the order in which it was
asked for; what comes while it is busy is done together, in one transaction. Hosts that need no delay, which only one's
own machine does not, are kept in memory: but their cool-downs are read and written down as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pipeline.catalog.host_rules import Standing
from pipeline.catalog.hosts import CoolDown, HostCall, HostLedger, KeepDelay, Look, Seed, Succeeded

_TOLD_TO_ALL = (CoolDown, KeepDelay, Succeeded)

Then = Callable[[Standing], None]


class HostBudgets:
    """The budgets as one crawl uses them; for one event loop."""

    def __init__(self, ledger: HostLedger, *, on_trouble: Callable[[str], None]) -> None:
        """For a ledger.

        Args:
            ledger: Shared with other crawls, or not.
            on_trouble: Told one line when the ledger can no longer be used; the crawl then keeps budgets for itself.
        """
        self._ledger = ledger
        self._own = HostLedger(clock=ledger.clock)
        self._on_trouble = on_trouble
        self._shared: set[str] = set()
        self._seen: set[str] = set()
        self._pending: list[tuple[HostCall, Then | None]] = []
        self._worker: asyncio.Task[None] | None = None
        self._is_swept = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="host budgets")

    def share(self, host: str) -> None:
        """Keep the budget of a host in the ledger, request by request; otherwise only what is to outlast the crawl."""
        if self._ledger.is_shared:
            self._shared.add(host)

    async def ask(self, call: HostCall) -> Standing:
        """Carry out a call."""
        if call.host not in self._shared:
            await self._remember(call.host)
        if call.host not in self._shared:
            return self._own.do([call])[0]
        return await self._ask_ledger(call)

    def tell(self, call: HostCall, then: Then | None = None) -> None:
        """Carry out a call without waiting for it, but before any later one of the same host; `then` is told."""
        if call.host in self._shared:
            self._put(call, then)
            return
        standing = self._own.do([call])[0]
        if self._ledger.is_shared and isinstance(call, _TOLD_TO_ALL):
            self._put(call, None)
            if isinstance(call, KeepDelay) and call.seconds:
                self.share(call.host)
        if then is not None:
            then(standing)

    def close(self) -> None:
        """Write down what is left, once the event loop is no longer at work."""
        self._thread.shutdown()
        try:
            self._ledger.do([call for call, _ in self._pending])
            self._pending.clear()
            self._ledger.drop_leases()
        except Exception as error:  # noqa: BLE001  # the crawl is over
            # Leases run out by themselves.
            self._on_trouble(str(error))

    async def _remember(self, host: str) -> None:
        """What earlier crawls, or the crawl of another process, left of a host that is kept in memory."""
        if not self._ledger.is_shared or host in self._seen:
            return
        self._seen.add(host)
        budget = (await self._ask_ledger(Look(host))).budget
        if budget.delay_seconds:
            self.share(host)
        elif budget.cooldowns or budget.cooldown_until:
            self._own.do([Seed(budget)])

    async def _ask_ledger(self, call: HostCall) -> Standing:
        answer: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()

        def then(standing: Standing) -> None:
            if not answer.done():
                answer.set_result(standing)

        self._put(call, then)
        return await answer

    def _put(self, call: HostCall, then: Then | None) -> None:
        self._pending.append((call, then))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def _do(self, calls: list[HostCall]) -> list[Standing]:
        if not self._is_swept:
            self._is_swept = True
            self._ledger.drop_leases()  # of crawls that were killed
        return self._ledger.do(calls)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            calls = [call for call, _ in batch]
            try:
                # Shielded: an event loop that ends must not take back what is on its way to the catalog.
                standings = await asyncio.shield(loop.run_in_executor(self._thread, self._do, calls))
            except Exception as error:  # noqa: BLE001  # whatever it was: who waits for an answer must get one
                self._on_trouble(f"{error}; until the end of this crawl, other crawls do not see which hosts it asks")
                self._ledger = HostLedger(clock=self._ledger.clock)
                standings = self._ledger.do(calls)
            for (_, then), standing in zip(batch, standings, strict=True):
                if then is not None:
                    then(standing)
        self._worker = None

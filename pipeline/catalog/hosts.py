"""The budgets of hosts: kept in the catalog, shared by all crawls of one time and by later ones.

What a crawl does with them are calls, carried out several at once in one transaction that holds the catalog's write
lock; so no two processes can take the same moment, or the last free request of a day. Without a catalog the budgets
live in memory. Light to import: SQLAlchemy is loaded with the catalog.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from pipeline.catalog.host_rules import (
    LEASE_SECONDS,
    HostBudget,
    HostLimits,
    Standing,
    admit,
    cooled,
    succeeded,
    told_quota,
)
from pipeline.catalog.processes import is_alive, this_process
from pipeline.errors import Reason

if TYPE_CHECKING:
    from pipeline.catalog.engine import Catalog


class HostBook(Protocol):
    """Where budgets are written down: `repositories.hosts.Hosts`, or memory."""

    def get(self, name: str) -> HostBudget:
        """The budget of a host; of one that was never asked, an empty one."""

    def put(self, budget: HostBudget) -> None:
        """Keep a budget in place of the former one."""

    def under_way(self, name: str, *, now: float) -> int:
        """How many requests all crawls have under way at a host."""

    def lease(self, lease: str, name: str, *, process: str, expires_at: float) -> None:
        """Write down a request that goes out."""

    def give_back(self, lease: str) -> None:
        """A request is over."""


class HostCall(Protocol):
    """Something to be done with the budget of a host."""

    @property
    def host(self) -> str:
        """Its name, as in `HostBudget`."""

    def carry_out(self, book: HostBook, *, now: float) -> Standing:
        """Do it; gives how the host stands then."""


@dataclass(frozen=True)
class Look:
    """Read a budget."""

    host: str

    def carry_out(self, book: HostBook, *, now: float) -> Standing:  # noqa: ARG002  # the protocol's
        """See `HostCall`."""
        return Standing(book.get(self.host))


@dataclass(frozen=True)
class Seed:
    """Put a budget that was read elsewhere in place of the one kept."""

    budget: HostBudget

    @property
    def host(self) -> str:
        """See `HostCall`."""
        return self.budget.name

    def carry_out(self, book: HostBook, *, now: float) -> Standing:  # noqa: ARG002  # the protocol's
        """See `HostCall`."""
        book.put(self.budget)
        return Standing(self.budget)


@dataclass(frozen=True)
class Take:
    """Ask for a turn.

    Attributes:
        lease: Name for it, unique for ever, to give it back by.
        process: As `processes.this_process` names the one that asks.
    """

    host: str
    limits: HostLimits
    lease: str
    process: str = field(default_factory=this_process)

    def carry_out(self, book: HostBook, *, now: float) -> Standing:
        """See `HostCall`."""
        standing = admit(book.get(self.host), self.limits, under_way=book.under_way(self.host, now=now), now=now)
        if standing.granted:
            book.put(standing.budget)
            book.lease(self.lease, self.host, process=self.process, expires_at=now + LEASE_SECONDS)
        return standing


@dataclass(frozen=True)
class GiveBack:
    """A request is over; how the host stands is not looked at."""

    host: str
    lease: str

    def carry_out(self, book: HostBook, *, now: float) -> Standing:  # noqa: ARG002  # the protocol's
        """See `HostCall`."""
        book.give_back(self.lease)
        return Standing(HostBudget(self.host))


@dataclass(frozen=True)
class CoolDown:
    """Leave a host alone; see `host_rules.cooled`."""

    host: str
    seconds: float | None
    reason: Reason = Reason.TOO_MANY_REQUESTS
    is_refusal: bool = True

    def carry_out(self, book: HostBook, *, now: float) -> Standing:
        """See `HostCall`."""
        budget = cooled(book.get(self.host), self.seconds, self.reason, now=now, is_refusal=self.is_refusal)
        book.put(budget)
        return Standing(budget, until=budget.cooldown_until, reason=self.reason)


@dataclass(frozen=True)
class Succeeded:
    """A host answered as it should: guesses begin anew."""

    host: str

    def carry_out(self, book: HostBook, *, now: float) -> Standing:
        """See `HostCall`."""
        budget = succeeded(book.get(self.host), now=now)
        book.put(budget)
        return Standing(budget)


@dataclass(frozen=True)
class KeepDelay:
    """Crawl-delay, as just read; 0 for none."""

    host: str
    seconds: float

    def carry_out(self, book: HostBook, *, now: float) -> Standing:
        """See `HostCall`."""
        budget = book.get(self.host)
        # Whoever asked last did not know of it.
        next_at = max(budget.next_at, now + self.seconds) if self.seconds > budget.delay_seconds else budget.next_at
        budget = replace(budget, delay_seconds=self.seconds, next_at=next_at)
        book.put(budget)
        return Standing(budget)


@dataclass(frozen=True)
class KeepQuota:
    """How many requests a day a host allows, and how many it has counted, as it says itself."""

    host: str
    limit: int
    used: int

    def carry_out(self, book: HostBook, *, now: float) -> Standing:
        """See `HostCall`."""
        budget = told_quota(book.get(self.host), self.limit, self.used, now=now)
        book.put(budget)
        return Standing(budget)


@dataclass
class MemoryBook:
    """Budgets of one process."""

    budgets: dict[str, HostBudget] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    _active: dict[str, int] = field(default_factory=dict)

    def get(self, name: str) -> HostBudget:
        """See `HostBook`."""
        return self.budgets.get(name) or HostBudget(name)

    def put(self, budget: HostBudget) -> None:
        """See `HostBook`."""
        self.budgets[budget.name] = budget

    def under_way(self, name: str, *, now: float) -> int:  # noqa: ARG002  # leases of a living process do not expire
        """See `HostBook`."""
        return self._active.get(name, 0)

    def lease(self, lease: str, name: str, *, process: str, expires_at: float) -> None:  # noqa: ARG002  # the protocol's
        """See `HostBook`."""
        self.leases[lease] = name
        self._active[name] = self._active.get(name, 0) + 1

    def give_back(self, lease: str) -> None:
        """See `HostBook`."""
        if (name := self.leases.pop(lease, None)) is not None:
            self._active[name] -= 1


class HostLedger:
    """The budgets of hosts in a catalog, or, without one, in memory."""

    def __init__(self, catalog: Catalog | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """clock: Seconds since 1970."""
        self._catalog = catalog
        self._memory = MemoryBook()
        self.clock = clock

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the budgets."""
        return self._catalog is not None

    def do(self, calls: Sequence[HostCall]) -> list[Standing]:
        """Carry out calls in this order, all of them in one transaction; gives how each one's host stands then.

        Raises:
            CatalogBusy: Another process keeps the catalog locked.
            WorkspaceUnusable: The catalog cannot be written.
        """
        if self._catalog is None:
            return [call.carry_out(self._memory, now=self.clock()) for call in calls]
        with self._catalog.write() as uow:
            # The lock is held by now: a moment from before it could be one that another process has used.
            now = self.clock()
            return [call.carry_out(uow.hosts, now=now) for call in calls]

    def drop_leases(self) -> None:
        """Give back what processes that are gone, and this one, have not given back."""
        if self._catalog is None:
            return
        with self._catalog.read() as uow:
            processes = uow.hosts.lease_holders()
        gone = [process for process in processes if process == this_process() or not is_alive(process)]
        if gone:
            with self._catalog.write() as uow:
                uow.hosts.give_back_all(gone)

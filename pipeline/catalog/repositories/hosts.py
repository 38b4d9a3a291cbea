"""Hosts: the budgets and leases of `pipeline.catalog.hosts` as rows."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, select

from pipeline.catalog.host_rules import HostBudget
from pipeline.catalog.repositories.base import Repository, now
from pipeline.catalog.tables import HostLeaseRow, HostRow
from pipeline.catalog.upserts import insert_or_update, table_of
from pipeline.catalog.values import columns_of

_LEASE = table_of(HostLeaseRow)


class Hosts(Repository):
    """How hosts want to be asked, and the requests that are under way."""

    def get(self, name: str) -> HostBudget:
        """The budget of a host; of one that was never asked, an empty one."""
        return self._one(HostBudget, select(table_of(HostRow)).where(HostRow.name == name)) or HostBudget(name)

    def put(self, budget: HostBudget) -> None:
        """Keep a budget in place of the former one."""
        columns = {**columns_of(budget), "updated_at": now()}
        insert_or_update(self._session, HostRow, columns, unique=("name",), update=columns)

    def under_way(self, name: str, *, now: float) -> int:
        """How many requests all crawls have under way at a host; those that ran out are forgotten."""
        self._session.execute(delete(_LEASE).where(_LEASE.c.host == name, _LEASE.c.expires_at <= now))
        query = select(func.count()).select_from(_LEASE).where(_LEASE.c.host == name)
        return int(self._session.execute(query).scalar_one())

    def lease(self, lease: str, name: str, *, process: str, expires_at: float) -> None:
        """Write down a request that goes out."""
        columns = {"id": lease, "host": name, "process": process, "expires_at": expires_at}
        insert_or_update(self._session, HostLeaseRow, columns, unique=("id",), update=columns)

    def give_back(self, lease: str) -> None:
        """A request is over."""
        self._session.execute(delete(_LEASE).where(_LEASE.c.id == lease))

    def lease_holders(self) -> list[str]:
        """The processes with a request under way."""
        return [str(process) for process in self._session.execute(select(_LEASE.c.process).distinct()).scalars()]

    def give_back_all(self, processes: Iterable[str]) -> None:
        """All requests of these processes are over."""
        self._session.execute(delete(_LEASE).where(_LEASE.c.process.in_(list(processes))))

"""Runs: what was asked, how it went, and which items each run met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import case, func, insert, select, update

from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.tables import RunItemRow, RunRow
from pipeline.catalog.texts import storable
from pipeline.catalog.upserts import insert_many, table_of
from pipeline.catalog.values import Run

_RUN = table_of(RunRow)
_RUN_ITEM = table_of(RunItemRow)
RUNNING = "running"
INTERRUPTED = "interrupted"

# A run that meets an item several times keeps the strongest of its roles.
_ROLE_STRENGTH = {"accepted": 3, "near_duplicate": 2, "exact_duplicate": 1, "known": 0}


class Runs(Repository):
    """The runs of the catalog."""

    def start(
        self,
        kind: str,
        *,
        keywords: Sequence[str],
        source: str | None,
        parameters: Mapping[str, Any],
        process: str,
        version: str,
        flow_run_id: str | None = None,
        collection: str | None = None,
    ) -> int:
        """Record that a run begins; its id.

        process: As `pipeline.catalog.processes.this_process` gives it.
        """
        statement = insert(_RUN).values(
            kind=kind,
            status=RUNNING,
            process=process,
            keywords=list(keywords),
            source=source,
            parameters=dict(parameters),
            counters={},
            flow_run_id=flow_run_id,
            collection=collection,
            version=version,
            error=None,
            started_at=now(),
            finished_at=None,
        )
        return int(self._session.execute(statement.returning(_RUN.c.id)).scalar_one())

    def finish(self, run_id: int, status: str, counters: Mapping[str, Any], error: str | None = None) -> None:
        """Record that a run ended, and how."""
        # An error may quote what a site or a file says.
        said = None if error is None else storable(error)
        statement = update(_RUN).where(_RUN.c.id == run_id)
        self._session.execute(statement.values(status=status, counters=dict(counters), error=said, finished_at=now()))

    def update_counters(self, run_id: int, counters: Mapping[str, Any]) -> None:
        """Record how far a run has come."""
        self._session.execute(update(_RUN).where(_RUN.c.id == run_id).values(counters=dict(counters)))

    def get(self, run_id: int) -> Run | None:
        """One run, or None."""
        return self._one(Run, select(_RUN).where(_RUN.c.id == run_id))

    def list(self, limit: int = 50) -> list[Run]:
        """The latest runs, newest first."""
        return self._all(Run, select(_RUN).order_by(_RUN.c.id.desc()).limit(limit))

    def mark_dead(self, is_alive: Callable[[str], bool]) -> Sequence[int]:
        """Mark as interrupted each run said to be running whose process is gone; their ids."""
        if dead := self.dead(is_alive):
            self._session.execute(update(_RUN).where(_RUN.c.id.in_(dead)).values(status=INTERRUPTED, finished_at=now()))
        return dead

    def dead(self, is_alive: Callable[[str], bool]) -> Sequence[int]:
        """The ids of runs said to be running whose process is gone."""
        running = self._session.execute(select(_RUN.c.id, _RUN.c.process).where(_RUN.c.status == RUNNING))
        return [int(run_id) for run_id, process in running if not is_alive(process)]

    def add_items(self, run_id: int, met: Sequence[tuple[int, str]]) -> None:
        """Record that a run met items in this order, each as accepted, near_duplicate, exact_duplicate or known.

        Of an item that is met again, the first place in the run's order and the strongest role are kept.
        """
        if not met:
            return
        there: set[int] = set()
        for batch in chunks(dict.fromkeys(item_id for item_id, _ in met)):
            query = select(_RUN_ITEM.c.item_id).where(_RUN_ITEM.c.run_id == run_id, _RUN_ITEM.c.item_id.in_(batch))
            there.update(self._session.execute(query).scalars())
        # Asked once for all of them: it looks at the whole list of the run.
        last = select(func.max(_RUN_ITEM.c.position)).where(_RUN_ITEM.c.run_id == run_id)
        position = self._session.execute(last).scalar()
        position = -1 if position is None else int(position)
        rows = []
        for item_id, role in met:
            if item_id not in there:
                there.add(item_id)
                position += 1
            # The place of an item that is there stays, whatever is given.
            rows.append({"run_id": run_id, "item_id": item_id, "role": role, "position": max(position, 0)})
        insert_many(
            self._session.connection(), RunItemRow, rows, unique=("run_id", "item_id"), rules={"role": _stronger}
        )


def _stronger(there: Any, new: Any) -> Any:
    strength = case(_ROLE_STRENGTH, value=there.role, else_=-1)
    return case((strength < case(_ROLE_STRENGTH, value=new.role, else_=-1), new.role), else_=there.role)

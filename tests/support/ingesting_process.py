"""Run as a script: ingests in a process of its own, which tests kill, or start several of.

ingesting_process.py take ROOT INBOX...        ingest these, in order; print the reports as JSON
ingesting_process.py kill-everywhere ROOT      for each step of an ingest: kill there, ingest again, print a dump
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.search_index import is_in_step
from pipeline.images import ImageLimits
from pipeline.ingest import examining_task
from pipeline.ingest import ingest as ingest_module
from pipeline.ingest.examining import Examiner, Pending
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import IngestReport
from pipeline.store import Store
from tests.support import plain_sql

# What two ingests of the same inbox need not agree in.
_TIMES = {"created_at", "first_tried_at", "last_tried_at", "started_at", "finished_at", "found_at"}
_TIMES |= {"process", "seconds"}
# How FTS5 keeps its lists depends on how many transactions there were; that they are right is checked by itself.
_OF_FTS5 = ("search_fts_data", "search_fts_idx")


class ExaminerHere(Examiner):
    """Decodes in this very process, at once: for tests that ingest hundreds of times, and fork."""

    def begin(self, data: bytes) -> Pending:
        future: Future[dict[str, Any]] = Future()
        future.set_result(examining_task.run(self._options, data))
        return Pending(future)


def take(root: Path, inbox: Path, *, run_id: int | None, examiner: Examiner | None = None) -> IngestReport:
    with open_catalog(root / "catalog.sqlite3") as catalog:
        return ingest_inbox(
            inbox,
            catalog=catalog,
            store=Store(root / "store"),
            run_id=run_id,
            limits=ImageLimits(),
            near_distance=48,
            examiner=examiner,
        )


def dump(root: Path, report: IngestReport) -> dict[str, Any]:
    """Everything that an ingest leaves behind, without moments."""
    tables: dict[str, Any] = {}
    metadata = sa.MetaData()
    with plain_sql.connection_to(root / "catalog.sqlite3") as connection:
        metadata.reflect(connection)
        assert is_in_step(connection)
        places = _places(connection, metadata)
        for table in metadata.sorted_tables:
            if table.name.startswith(_OF_FTS5):
                continue
            rows = [
                {name: repr(_place(places, table.c[name], row[name])) for name in row if name not in _TIMES}
                for row in connection.execute(sa.select(table)).mappings()
            ]
            tables[table.name] = sorted(rows, key=repr)
    item_ids = tuple(places.get("item", {}).get(item_id, item_id) for item_id in report.item_ids)
    return {
        "report": {**dataclasses.asdict(report), "seconds": 0, "item_ids": item_ids},
        "tables": tables,
        "stored": sorted(Store(root / "store").digests()),
        "inboxes": sorted(path.name for path in (root / "inbox").iterdir()),
    }


def _places(connection: sa.Connection, metadata: sa.MetaData) -> dict[str, dict[int, int]]:
    """Table -> id -> its place among the ids: PostgreSQL gives none again that a killed process had taken."""
    if connection.dialect.name != "postgresql":
        return {}
    found = {}
    for table in metadata.sorted_tables:
        if "id" in table.c and isinstance(table.c.id.type, sa.Integer):
            ids = connection.execute(sa.select(table.c.id).order_by(table.c.id)).scalars()
            found[table.name] = {each: place for place, each in enumerate(ids, start=1)}
    return found


def _place(places: dict[str, dict[int, int]], column: sa.Column[Any], value: Any) -> Any:
    """A value; of an id, or what refers to one, its place."""
    keys = [column, *(key.column for key in column.foreign_keys)]
    ids = [places[key.table.name] for key in keys if key.name == "id" and key.table.name in places]
    return ids[0].get(value, value) if ids else value


class _Killer:
    """Counts the steps at which a kill would leave something different behind, and kills at one of them."""

    def __init__(self, at: int) -> None:
        self._left = at

    def step(self, *_details: object) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def install(self) -> None:
        put, write_file, discard, write = Store.put, Store._write, ingest_module.discard, Catalog.write

        def killing_put(store: Store, data: bytes) -> str:
            self.step()
            digest = put(store, data)
            self.step()  # the bytes are there, the row is not
            return digest

        def killing_write_file(target: Path, data: bytes) -> None:
            (target.parent).mkdir(parents=True, exist_ok=True)
            (target.parent / ".tmp-half").write_bytes(data[:10])
            self.step()  # half a file
            write_file(target, data)

        def killing_discard(path: Path) -> None:
            self.step()  # all rows are there, and so is the inbox
            discard(path)
            self.step()

        def killing_write(catalog: Catalog) -> Any:
            manager = write(catalog)
            original = manager.__exit__

            class Exit:
                def __enter__(inner) -> Any:  # noqa: N805  # two selves
                    return manager.__enter__()

                def __exit__(inner, *error: object) -> Any:  # noqa: N805  # two selves
                    self.step()  # before the commit
                    result = original(*error)
                    self.step()  # after it
                    return result

            return Exit()

        ingest_module.MOST_PICTURES = 2  # several transactions, and several pictures in one
        Store.put = killing_put  # type: ignore[method-assign]  # this process is made to be killed
        Store._write = staticmethod(killing_write_file)  # type: ignore[method-assign]  # the same
        Catalog.write = killing_write  # type: ignore[method-assign]  # the same
        ingest_module.discard = killing_discard


def kill_everywhere(template: Path) -> None:
    """One line of JSON per step: how the first ingest ended, and what was there after the second."""
    for at in range(1000):
        root = template.with_name(f"{template.name}-{at}")
        shutil.copytree(template, root)
        inbox = next((root / "inbox").iterdir())
        child = os.fork()
        if child == 0:
            _Killer(at).install()
            take(root, inbox, run_id=1, examiner=ExaminerHere())
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        if not killed and os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"the ingest killed at step {at} failed by itself")
        was_there = inbox.exists()
        report = take(root, inbox, run_id=1, examiner=ExaminerHere()) if was_there else IngestReport()
        print(json.dumps({"killed": killed, "was_there": was_there, "after": dump(root, report)}), flush=True)
        shutil.rmtree(root)
        if not killed:
            return


if __name__ == "__main__":
    command, folder, *inboxes = sys.argv[1:]
    if command == "take":
        for path in inboxes:
            print(json.dumps(dataclasses.asdict(take(Path(folder), Path(path), run_id=None))), flush=True)
    else:
        kill_everywhere(Path(folder))

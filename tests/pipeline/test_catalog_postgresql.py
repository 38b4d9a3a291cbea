"""What differs between the databases: the schema, the locks, the errors. The repositories' tests run on both."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import pipeline.catalog.engine as engine_module
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.ledger import Ledger
from pipeline.errors import CatalogBusy, CatalogTooNew, WorkspaceUnusable
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.store import Store
from tests.support.inboxes import failed, fetched, sealed_inbox
from tests.support.pictures import scene_file
from tests.support.postgres import Server, postgres_server
from tests.support.schema_drift import drift

pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install dreamcrawl[postgres]")
pytestmark = pytest.mark.slow
START = {"keywords": [], "source": None, "parameters": {}, "process": "host:1:1", "version": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def url(server: Server) -> str:
    return server.new_database()


def test_the_migrations_make_the_tables_that_the_code_describes(url: str) -> None:
    with open_catalog(url) as catalog, catalog.read() as uow:
        assert drift(uow.session.connection()) == []


def test_processes_that_open_and_write_at_once_lose_nothing(url: str) -> None:
    script = (
        "import sys\n"
        "from pipeline.catalog.engine import open_catalog\n"
        "with open_catalog(sys.argv[1]) as catalog:\n"
        "    for _ in range(20):\n"
        "        with catalog.write() as uow:\n"
        "            if uow.runs.get(1) is None:\n"
        "                uow.runs.start('run', keywords=[], source=None, parameters={}, process='h:1:1', version='1')\n"
        "            n = uow.runs.get(1).counters.get('n', 0)\n"
        "            uow.runs.update_counters(1, {'n': n + 1})\n"
    )

    processes = [subprocess.Popen([sys.executable, "-c", script, url]) for _ in range(3)]

    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    with open_catalog(url) as catalog, catalog.read() as uow:
        assert uow.runs.get(1).counters == {"n": 60}


def test_a_writer_that_waits_too_long_is_told_to_try_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 1.0)
    with open_catalog(url) as first, open_catalog(url) as second:
        with first.write(), pytest.raises(CatalogBusy, match="run the same command again"), second.write():
            pytest.fail("two writers at once")

        with second.write() as uow:
            assert uow.runs.start("run", **START) == 1


def test_a_reader_sees_one_moment_and_cannot_write(url: str) -> None:
    with open_catalog(url) as catalog:
        with catalog.read() as reader:
            before = reader.counts().runs
            thread = threading.Thread(target=lambda: _start_run(url))
            thread.start()
            thread.join()
            assert reader.counts().runs == before == 0

        with pytest.raises(WorkspaceUnusable, match="read-only"), catalog.read() as reader:
            reader.runs.start("run", **START)
        with catalog.read() as reader:
            assert reader.counts().runs == 1


def _start_run(url: str) -> None:
    with open_catalog(url) as catalog, catalog.write() as uow:
        uow.runs.start("run", **START)


def test_a_catalog_of_a_newer_version_is_left_alone(url: str) -> None:
    with open_catalog(url) as catalog, catalog.write() as uow:
        uow.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(CatalogTooNew, match="upgrade dreamcrawl"):
        open_catalog(url)


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(WorkspaceUnusable, match="cannot be reached") as caught:
        open_catalog("postgresql://user:secret@127.0.0.1:9/none")

    assert "secret" not in str(caught.value)


def test_ingest_keeps_each_picture_once_there_too(url: str, tmp_path: Path) -> None:
    rgb_file = scene_file(1, width=320, height=240)
    near_file = scene_file(1, "JPEG", width=320, height=240, quality=70)
    candidates = [
        (fetched("a.png", title="nul \0 and half a pair \ud800", keyword="mill"), rgb_file),
        (fetched("b.png"), rgb_file),
        (fetched("c.jpg"), near_file),
        (fetched("d.png"), b"text"),
        (failed("e.png"), None),
    ]
    with open_catalog(url) as catalog:
        with catalog.write() as uow:
            run_id = uow.runs.start("run", **START)
        inbox = sealed_inbox(tmp_path / "inbox", candidates)
        report = ingest_inbox(
            inbox,
            catalog=catalog,
            store=Store(tmp_path / "store"),
            run_id=run_id,
            limits=ImageLimits(),
            near_distance=48,
        )
        with catalog.read() as uow:
            near = uow.items.get(report.item_ids[0] + 1)
            assert near.near_duplicate_of_id == report.item_ids[0]
            assert {r.reason for r in uow.rejections.of_run(run_id)} == {"not_an_image", "timeout"}

    assert (report.accepted, report.exact_duplicates, report.near_duplicates, report.rejected) == (1, 1, 1, 1)
    with Ledger.open(url) as ledger:
        assert len(ledger.known(f"https://example.org/{name}" for name in ("a.png", "b.png", "e.png", "x"))) == 3

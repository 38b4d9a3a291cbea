from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

import pipeline.catalog.engine as engine_module
from pipeline.catalog.copying import copy_catalog
from pipeline.catalog.engine import Catalog, catalog_url, open_catalog
from pipeline.catalog.schema import HEAD, known_revisions
from pipeline.errors import CatalogBusy, CatalogTooNew, NotFound, SettingsInvalid, WorkspaceUnusable
from tests.support import plain_sql
from tests.support.schema_drift import drift

START = {"keywords": [], "source": None, "parameters": {}, "process": "host:1:1", "version": "1"}


def _start_run(catalog: Catalog) -> int:
    with catalog.write() as uow:
        return uow.runs.start("run", **START)


def _runs(catalog: Catalog) -> int:
    with catalog.read() as uow:
        return uow.counts().runs


def test_a_new_catalog_is_made_with_its_folder_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "workspace" / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        _start_run(catalog)

    with open_catalog(str(path), create=False) as catalog:
        assert _runs(catalog) == 1
    with open_catalog(f"sqlite:///{path}") as catalog:
        assert _runs(catalog) == 1


@pytest.mark.sqlite(reason="test_catalog_postgresql looks at its schema")
def test_the_migrations_make_the_tables_that_the_code_describes(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.read() as uow:
        assert drift(uow.session.connection()) == []
        made = uow.session.execute(text("SELECT sql FROM sqlite_master WHERE name = 'item'")).scalar_one()
        assert "ck_item_not_near_itself" in made
        assert "uq_item_pixel_sha256" in made


def test_the_newest_revision_is_the_one_the_code_expects() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(engine_module.__file__).with_name("migrations")))
    scripts = ScriptDirectory.from_config(config)

    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == known_revisions()


def test_every_migration_can_be_undone(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import inspect

    config = Config()
    config.set_main_option("script_location", str(Path(engine_module.__file__).with_name("migrations")))
    path = tmp_path / "catalog.sqlite3"
    open_catalog(path).close()
    with plain_sql.connection_to(path) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

        assert inspect(connection).get_table_names() == ["alembic_version"]
        assert inspect(connection).get_view_names() == []
        left = (
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            if plain_sql.on_postgresql()
            else "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        )
        assert connection.execute(text(left)).scalar_one() == 0


@pytest.mark.sqlite(reason="PRAGMAs")
def test_connections_are_set_up_for_readers_beside_a_writer(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.read() as uow:
        found = {
            name: uow.session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }

    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30_000}


@pytest.mark.sqlite(reason="PRAGMAs")
def test_what_is_restored_from_a_copy_has_room_for_readers_beside_a_writer(tmp_path: Path) -> None:
    path, copy = tmp_path / "catalog.sqlite3", tmp_path / "restored.sqlite3"
    with open_catalog(path) as catalog:
        _start_run(catalog)
    copy_catalog(path, copy)

    with open_catalog(copy) as catalog, catalog.read() as reader:
        assert reader.counts().runs == 1
        _start_run(catalog)
        assert reader.session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_an_error_undoes_the_whole_unit_of_work(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with suppress(ZeroDivisionError), catalog.write() as uow:
            uow.runs.start("run", **START)
            raise ZeroDivisionError

        assert _runs(catalog) == 0


def test_foreign_keys_hold(tmp_path: Path) -> None:
    from sqlalchemy.exc import IntegrityError

    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with pytest.raises(IntegrityError), catalog.write() as uow:
            uow.runs.add_items(7, [(8, "accepted")])
        assert _start_run(catalog) == 1


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with pytest.raises(WorkspaceUnusable, match="read-only"), catalog.read() as uow:
            uow.runs.start("run", **START)

        assert _start_run(catalog) == 1  # the same connection can write again


def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.read() as reader:
        before = reader.counts().runs
        _start_run(catalog)

        assert reader.counts().runs == before == 0
        assert _runs(catalog) == 1


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.write() as uow:
        uow.runs.start("run", **START)
        started = time.monotonic()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_runs, catalog).result(timeout=10) == 0
        assert time.monotonic() - started < 5


def test_a_writer_that_waits_too_long_is_told_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_catalog(path).close()
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 0.2)
    with open_catalog(path) as first, open_catalog(path) as second:
        with first.write(), pytest.raises(CatalogBusy, match="run the same command again"), second.write():
            pytest.fail("two writers at once")

        assert _start_run(second) == 1


def test_whoever_will_not_wait_long_is_told_soon(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as first, open_catalog(path) as second:
        with first.write():
            started = time.monotonic()
            with pytest.raises(CatalogBusy), second.write(wait_seconds=0.1):
                pytest.fail("two writers at once")
            assert time.monotonic() - started < 10

        assert _start_run(second) == 1


@pytest.mark.sqlite(reason="PRAGMAs")
def test_only_whoever_says_so_waits_less(tmp_path: Path) -> None:
    def waits(**how: float) -> int:
        with catalog.write(**how) as uow:
            return int(uow.session.execute(text("PRAGMA busy_timeout")).scalar_one())

    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        assert [waits(), waits(wait_seconds=0.5), waits()] == [30_000, 500, 30_000]


@pytest.mark.sqlite(reason="PostgreSQL has a queue")
def test_whoever_waits_comes_in_between_two_that_follow_at_once(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as busy, open_catalog(path) as other:
        locked, enough = threading.Event(), threading.Event()

        def write_on() -> None:
            while not enough.is_set():
                with busy.write():
                    locked.set()
                    time.sleep(0.5)

        thread = threading.Thread(target=write_on)
        thread.start()
        try:
            assert locked.wait(10)
            with other.write(wait_seconds=20) as uow:
                uow.runs.start("run", **START)
        finally:
            enough.set()
            thread.join()

        assert _runs(busy) == 1


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        order = []
        held = threading.Event()

        def first() -> None:
            with catalog.write() as uow:
                held.set()
                time.sleep(0.3)
                uow.runs.start("first", **START)
                order.append("first")

        thread = threading.Thread(target=first)
        thread.start()
        held.wait(10)
        with catalog.write() as uow:
            order.append("second")
            seen = [run.kind for run in uow.runs.list()]
        thread.join()

    assert order == ["first", "second"]
    assert seen == ["first"]


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pipeline.catalog.engine import open_catalog\n"
        "with open_catalog(sys.argv[1]) as catalog:\n"
        "    for _ in range(25):\n"
        "        with catalog.write() as uow:\n"
        "            run = uow.runs.get(1)\n"
        "            if run is None:\n"
        "                uow.runs.start('run', keywords=[], source=None, parameters={}, process='h:1:1', version='1')\n"
        "                run = uow.runs.get(1)\n"
        "            uow.runs.update_counters(1, {'n': run.counters.get('n', 0) + 1})\n"
    )
    path = tmp_path / "catalog.sqlite3"  # does not exist: all of them want to make it

    processes = [subprocess.Popen([sys.executable, "-W", "error", "-c", script, str(path)]) for _ in range(3)]
    codes = [process.wait(timeout=120) for process in processes]

    assert codes == [0, 0, 0]
    with open_catalog(path) as catalog, catalog.read() as uow:
        assert uow.counts().runs == 1
        assert uow.runs.get(1).counters == {"n": 75}


@pytest.mark.parametrize("after_seconds", [0.5, 0.8, 1.1])
def test_a_migration_that_is_killed_can_be_done_again(tmp_path: Path, after_seconds: float) -> None:
    path = tmp_path / "catalog.sqlite3"
    script = "import sys; from pipeline.catalog.engine import open_catalog; open_catalog(sys.argv[1]); print('done')"
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    time.sleep(after_seconds)
    process.kill()
    process.communicate()

    with open_catalog(path) as catalog:
        assert _start_run(catalog) == 1


@pytest.mark.sqlite(reason="it compares the bytes of the file")
def test_a_catalog_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    open_catalog(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(CatalogTooNew, match="upgrade dreamcrawl"):
        open_catalog(path)

    assert path.read_bytes() == before


@pytest.mark.sqlite(reason="it makes the file")
def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()

    with pytest.raises(WorkspaceUnusable, match="not a dreamcrawl catalog"):
        open_catalog(path)


@pytest.mark.sqlite(reason="it makes the file")
def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"a text file, and not a short one either" * 100)

    with pytest.raises(WorkspaceUnusable, match="not a SQLite database"):
        open_catalog(path)


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").mkdir()
    (tmp_path / "file").write_text("")

    with pytest.raises(WorkspaceUnusable, match="cannot be opened"):
        open_catalog(tmp_path / "catalog.sqlite3")
    with pytest.raises(WorkspaceUnusable, match="choose another workspace"):
        open_catalog(tmp_path / "file" / "catalog.sqlite3")


def test_a_missing_catalog_is_only_made_on_demand(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="dreamcrawl run"):
        open_catalog(tmp_path / "catalog.sqlite3", create=False)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "://", "nonsense://", "postgresql:", "postgres:/host/db"],
)
def test_addresses_of_other_databases_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsInvalid):
        open_catalog(url)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["postgresql://u@h/d", "postgres://u@h/d", "postgresql+psycopg://u@h/d"])
def test_all_ways_to_write_an_address_of_postgresql_mean_the_same(url: str) -> None:
    assert catalog_url(url).render_as_string() == "postgresql+psycopg://u@h/d"


def test_a_path_with_a_drive_letter_is_a_path() -> None:
    assert catalog_url("C:\\pictures\\catalog.sqlite3").get_backend_name() == "sqlite"


def test_without_the_driver_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed

    with pytest.raises(SettingsInvalid, match=re.escape("dreamcrawl[postgres]")):
        open_catalog("postgresql://user@127.0.0.1:9/none")


@pytest.mark.sqlite(reason="it limits how large a file may grow")
@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        _start_run(catalog)
    script = (
        "import resource, signal, sys\n"
        "from pipeline.catalog.engine import open_catalog\n"
        "from pipeline.errors import WorkspaceUnusable\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "catalog = open_catalog(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try:\n"
        "    with catalog.write() as uow:\n"
        "        for number in range(200):\n"
        "            uow.runs.update_counters(1, {'x': 'y' * 10_000})\n"
        "            uow.runs.start('run', keywords=['z' * 9_000], source='', parameters={}, process='', version='')\n"
        "except WorkspaceUnusable as error:\n"
        "    print(error)\n"
        "    sys.exit(3)\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True)

    assert done.returncode == 3, done.stderr
    with open_catalog(path) as catalog, catalog.read() as uow:
        assert uow.runs.get(1).counters == {}
        assert uow.counts().runs == 1

"""Whatever a database or its server refuses comes as an error of ours, with a way out and without secrets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.errors import (
    CatalogBusy,
    CatalogRefused,
    CatalogUnreachable,
    PipelineError,
    SettingsInvalid,
    WorkspaceUnusable,
)
from tests.support import plain_sql
from tests.support.postgres import OwnServer, own_server
from tests.support.small_disk import small_disk

COLLECTION: dict[str, Any] = {
    "name": "daily",
    "keywords": ["mill"],
    "source": "website=https://example.org/",
    "limit": 5,
    "preset": "carved",
    "network": None,
    "cron": "0 6 * * *",
    "timezone": "UTC",
}
END = "SELECT pg_terminate_backend(pg_backend_pid())"
START: dict[str, Any] = {"keywords": [], "source": None, "parameters": {}, "process": "h:1:1", "version": "1"}


def keep(catalog: Catalog, **changes: Any) -> None:
    with catalog.write() as uow:
        uow.collections.add(**{**COLLECTION, **changes})


def kept(catalog: Catalog) -> list[str]:
    with catalog.read() as uow:
        return [each.name for each in uow.collections.list()]


def in_words(error: PipelineError) -> str:
    """The text of an error that a user may see: one line, of our words and the server's, without SQL."""
    words = str(error)
    assert "\n" not in words
    assert len(words) < 700
    for word in ("Traceback", "psycopg", "sqlalche", "SELECT", "INSERT", "UPDATE", "secret"):
        assert word not in words
    return words


def told(kind: type[PipelineError], catalog: Catalog, work: Callable[[UnitOfWork], object]) -> str:
    """What is said of a unit of work that fails with this kind of error."""

    def write() -> None:
        with catalog.write() as uow:
            work(uow)

    with pytest.raises(kind) as caught:
        write()
    return in_words(caught.value)


def test_paths_and_schedules_may_be_long(tmp_path: Path) -> None:
    preset, cron = f"/{'folder/' * 80}tigers.toml", f"{','.join(map(str, range(60)))} 6 * * *"

    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        keep(catalog, preset=preset, cron=cron)

        with catalog.read() as uow:
            [collection] = uow.collections.list()
    assert (collection.preset, collection.cron) == (preset, cron)


@pytest.mark.parametrize("limit", [2**63, 10**30, -(10**30)])
def test_a_number_beyond_all_columns_is_refused_and_nothing_is_written(tmp_path: Path, limit: int) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:

        def work(uow: UnitOfWork) -> None:
            uow.runs.start("run", **START)
            uow.collections.add(**{**COLLECTION, "limit": limit})

        said = told(CatalogRefused, catalog, work)
        assert "nothing was changed" in said
        assert "out of range" in said
        with catalog.read() as uow:
            assert uow.counts().runs == 0
        keep(catalog)  # it goes on


@pytest.mark.parametrize("words", ["nul \0 inside", "half a pair \ud800"])
def test_an_error_of_odd_words_is_kept_with_its_run(tmp_path: Path, words: str) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with catalog.write() as uow:
            run_id = uow.runs.start("run", **START)
            uow.runs.finish(run_id, "failed", {"warnings": [words]}, error=words)

        with catalog.read() as uow:
            run = uow.runs.get(run_id)
    assert run is not None
    assert run.status == "failed"
    assert run.error in ("nul  inside", "half a pair ?")


def test_a_catalog_that_lost_a_table_says_so(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        plain_sql.change(path, "DROP TABLE collection")

        with pytest.raises(WorkspaceUnusable, match="restore it from a backup") as caught:
            keep(catalog)

    assert "collection" in in_words(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install dreamcrawl[postgres]")
    with own_server() as running:
        running.execute("CREATE ROLE needy LOGIN PASSWORD 'right'")
        running.execute("CREATE ROLE guest LOGIN")
        running.execute("CREATE ROLE lonely LOGIN CONNECTION LIMIT 1")
        running.ask_for_password("needy")
        yield running


@pytest.fixture
def url(server: OwnServer) -> str:
    return server.new_database()


def as_user(url: str, user: str) -> str:
    return url.replace("test@", f"{user}@")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said", "way_out"),
    [
        (("test@", "needy:secret@"), "password authentication failed", "right user and password"),
        (("test@", "needy@"), "no password", "password in catalog_url"),
        (("test@", "nobody@"), 'role "nobody" does not exist', "a user that the server has"),
        (("/postgres", "/nowhere"), 'database "nowhere" does not exist', "createdb"),
        (("/postgres", "/postgres?sslmode=bogus&sslpassword=secret"), "sslmode", "give that option another value"),
        (("/postgres", "/postgres?connect_timeout=soon"), "connect_timeout", "give that option another value"),
        (("/postgres", "/postgres?password=secret&nonsense=1"), "nonsense", "take that option out"),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_with_the_way_in(
    server: OwnServer, change: tuple[str, str], said: str, way_out: str
) -> None:
    with pytest.raises(CatalogUnreachable) as caught:
        open_catalog(server.url.replace(*change))

    words = in_words(caught.value)
    assert said in words
    assert way_out in words


@pytest.mark.parametrize("rest", ["127.0.0.1:9/d?port=abc", f"{'a' * 300}.example/d"])
def test_an_address_that_the_driver_can_make_nothing_of_is_a_wrong_setting(rest: str) -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install dreamcrawl[postgres]")

    with pytest.raises(SettingsInvalid, match=r"docs/catalog\.md") as caught:
        open_catalog(f"postgresql://me:secret@{rest}")

    in_words(caught.value)


@pytest.mark.slow
def test_a_server_without_room_for_another_asks_to_try_again(url: str) -> None:
    import psycopg

    again = "run the same command again"
    with psycopg.connect(as_user(url, "lonely")), pytest.raises(CatalogUnreachable, match=again) as caught:
        open_catalog(as_user(url, "lonely"))

    assert "too many connections" in in_words(caught.value)


@pytest.mark.slow
def test_rights_that_are_missing_are_asked_for(url: str) -> None:
    with pytest.raises(WorkspaceUnusable, match="grant the user the rights") as caught:
        open_catalog(as_user(url, "guest"))  # may make no tables
    in_words(caught.value)

    open_catalog(url).close()
    with pytest.raises(WorkspaceUnusable, match="grant the user the rights") as caught:
        open_catalog(as_user(url, "guest"))  # may read none

    in_words(caught.value)


@pytest.mark.slow
def test_a_database_with_room_for_one_script_only_is_refused_before_it_is_used(server: OwnServer) -> None:
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")

    with pytest.raises(WorkspaceUnusable, match="createdb --encoding UTF8") as caught:
        open_catalog(server.url.replace("/postgres", "/latin"))

    assert "LATIN1" in in_words(caught.value)


@pytest.mark.slow
def test_the_encoding_that_the_environment_names_is_not_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")

    with open_catalog(url) as catalog:
        keep(catalog, source="folder=/\u9ea6\u7530")

        with catalog.read() as uow:
            assert [each.source for each in uow.collections.list()] == ["folder=/\u9ea6\u7530"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [({"name": "n" * 65}, "too long"), ({"source": "a\0b"}, "NUL"), ({"limit": 2**31}, "out of range")],
)
def test_what_only_postgresql_cannot_keep_is_refused_and_nothing_is_written(
    url: str, changes: dict[str, Any], said: str
) -> None:
    with open_catalog(url) as catalog:
        with pytest.raises(CatalogRefused, match="nothing was changed") as caught:
            keep(catalog, **changes)

        assert said in in_words(caught.value)
        assert kept(catalog) == []
        keep(catalog)


@pytest.mark.slow
def test_a_connection_that_is_ended_undoes_its_work_and_the_next_one_is_made(url: str) -> None:
    with open_catalog(url) as catalog:

        def work(uow: UnitOfWork) -> None:
            uow.collections.add(**COLLECTION)
            uow.session.execute(text(END))

        assert "run the same command again" in told(CatalogUnreachable, catalog, work)
        assert kept(catalog) == []
        keep(catalog)
        assert kept(catalog) == ["daily"]


@pytest.mark.slow
def test_who_goes_on_after_a_lost_connection_is_told_again(url: str) -> None:
    with open_catalog(url) as catalog:

        def work(uow: UnitOfWork) -> None:
            with suppress(Exception):  # as somebody might who wants to go on with the next picture
                uow.session.execute(text(END))
            uow.runs.start("run", **START)

        told(CatalogUnreachable, catalog, work)
        assert kept(catalog) == []


@pytest.mark.slow
def test_a_statement_that_the_server_stops_is_no_fault_of_another_process(url: str) -> None:
    with open_catalog(url) as catalog:

        def work(uow: UnitOfWork) -> None:
            uow.session.execute(text("SET LOCAL statement_timeout = '50ms'"))
            uow.session.execute(text("SELECT pg_sleep(5)"))

        assert "statement_timeout" in told(CatalogBusy, catalog, work)
        keep(catalog)


@pytest.mark.slow
def test_a_server_that_stops_and_starts_again_costs_one_unit_of_work(server: OwnServer, url: str) -> None:
    with open_catalog(url) as catalog:
        keep(catalog)
        server.execute("CHECKPOINT")  # those of the tests do not wait for their disk

        def work(uow: UnitOfWork) -> None:
            uow.collections.add(**{**COLLECTION, "name": "weekly"})
            server.stop()
            uow.collections.list()

        try:
            told(CatalogUnreachable, catalog, work)
            with pytest.raises(CatalogUnreachable, match="see that the server runs"):
                kept(catalog)
            with pytest.raises(CatalogUnreachable, match="see that the server runs"):
                open_catalog(url)
        finally:
            server.start()

        assert kept(catalog) == ["daily"]


@pytest.mark.slow
def test_the_gallery_says_that_the_server_is_away_and_goes_on_when_it_is_back(
    server: OwnServer, url: str, tmp_path: Path
) -> None:
    from fastapi.testclient import TestClient

    from pipeline.browse.app import create_app
    from pipeline.store import Store

    with open_catalog(url) as catalog:
        server.execute("CHECKPOINT")
        app = create_app(catalog=catalog, store=Store(tmp_path / "store"), thumbnails=tmp_path / "thumbnails")
        client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        assert client.get("/").status_code == 200
        server.stop()
        try:
            pages = [client.get(address) for address in ("/", "/items/i1", "/api/items", "/runs")]
        finally:
            server.start()

        assert [page.status_code for page in pages] == [503] * 4
        assert all("see that the server runs" in page.text for page in pages)
        assert client.get("/").status_code == 200


@pytest.mark.slow
def test_a_database_that_is_dropped_is_missed(server: OwnServer, url: str) -> None:
    with open_catalog(url) as catalog:
        keep(catalog)
        server.drop(url.rpartition("/")[2])

        said = [told(CatalogUnreachable, catalog, lambda uow: uow.collections.list()) for _ in range(2)]

    assert "createdb" in said[-1]


@pytest.mark.slow
def test_a_full_disk_of_the_server_changes_nothing_and_says_so(server: OwnServer) -> None:
    with small_disk(server.folder / "disk", megabytes=32) as disk:
        space = disk.root / "space"
        space.mkdir()
        shutil.chown(space, user="postgres")
        server.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        server.execute("CREATE DATABASE small TABLESPACE small")
        try:
            with open_catalog(server.url.replace("/postgres", "/small")) as catalog:
                keep(catalog)
                disk.fill(free_bytes=0)

                def work(uow: UnitOfWork) -> None:
                    for number in range(2000):
                        uow.collections.add(**{**COLLECTION, "name": f"n{number}", "source": "x" * 2000})

                assert "make room" in told(WorkspaceUnusable, catalog, work)
                disk.make_room()
                assert kept(catalog) == ["daily"]
        finally:
            server.drop("small")
            server.execute("DROP TABLESPACE small")

"""A catalog of the first version, with rows, brought up to date: everything is still there, also after a kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

import pipeline.catalog.engine as engine_module
from pipeline.catalog.engine import catalog_url, make_engine, open_catalog
from pipeline.catalog.schema import HEAD, known_revisions
from pipeline.catalog.values import ItemFilter
from tests.support.schema_drift import drift

NOW = "'2025-01-02 03:04:05'"
# One row of each table of revision 0001, and more where rows hang together; texts that SQL could trip over.
ROWS = f"""
INSERT INTO run VALUES (1, 'run', 'done', 'h:1:1', '["mill"]', 'website=x', '{{}}', '{{"found": 2}}', NULL, NULL, '0', NULL, {NOW}, NULL);
INSERT INTO blob VALUES ('{"a" * 64}', 10, 'image/png', {NOW});
INSERT INTO blob VALUES ('{"b" * 64}', 11, 'image/png', {NOW});
INSERT INTO blob VALUES ('{"c" * 64}', 12, 'image/png', {NOW});
INSERT INTO item VALUES (1, '{"a" * 64}', '{"1" * 64}', 8, 6, 'PNG', 1, 'Mill ''at'' dusk', 'Jane', 'CC0-1.0', NULL, NULL, NULL, {NOW}, 1);
INSERT INTO item VALUES (2, '{"b" * 64}', '{"2" * 64}', 8, 6, 'PNG', 1, NULL, NULL, NULL, NULL, 1, 3, {NOW}, 1);
INSERT INTO sighting VALUES (1, 1, 1, '{"a" * 64}', 'first', 'website', 'x', 'https://a.example/1', 'https://a.example/', NULL, 'alt', 'a river', '["stone"]', NULL, NULL, NULL, NULL, NULL, NULL, '{{}}', {NOW}, {NOW});
INSERT INTO item_keyword VALUES (1, 'windmill', '["title"]', 0.5);
INSERT INTO run_item VALUES (1, 1, 'accepted', 0);
INSERT INTO "fetch" VALUES ('https://a.example/1', 'kept', NULL, NULL, 1, '{"a" * 64}', 200, '"e"', NULL, 1, {NOW}, {NOW});
INSERT INTO rejection VALUES (1, 1, 'https://a.example/2', NULL, 'crawl', 'robots', 'says no', {NOW});
INSERT INTO ingest_progress VALUES ('crawl-1', 0, 'accepted', 1, NULL, NULL);
INSERT INTO derivation VALUES (1, '{"d" * 64}', 1, 1, 'soft', 'net', '{{}}', '{"3" * 64}', '{"4" * 64}', '{"c" * 64}', '{"5" * 64}', 8, 6, 'd.png', '{{"inputs": [{{"pixel_sha256": "{"2" * 64}"}}]}}', '{"6" * 64}', 1.5, {NOW});
INSERT INTO collection VALUES (1, 'daily', '["mill"]', 'website=x', 5, 'soft', NULL, '0 6 * * *', 'UTC', {NOW});
"""  # noqa: E501 - rows as they are
TABLES = ("run", "blob", "item", "sighting", "item_keyword", "run_item", "fetch", "rejection", "ingest_progress")
TABLES += ("derivation", "collection")
# What later revisions added, with rows of their own.
LATER_ROWS = {
    "0002": f"""
        INSERT INTO host VALUES ('a.example', 1.5, 0, NULL, 0, 2, '2025-01-02', 3, 40, 5, {NOW});
        INSERT INTO host_lease VALUES ('l', 'a.example', 'h:1:1', 2.5);
        UPDATE item SET withdrawn_at = {NOW}, withdrawn_reason = 'noai' WHERE id = 2;
        UPDATE "fetch" SET source = 'website', source_id = 'p1', width = 8, height = 6""",
    "0003": f"""
        INSERT INTO fingerprint (item_id, algorithm, bits) VALUES (1, 'dct256-v1', CAST('{"x" * 32}' AS %BYTES%));
        INSERT INTO signature VALUES (1, 'dct256-v1', CAST('views' AS %BYTES%), TRUE);
        INSERT INTO duplicate_pair VALUES
            (1, 1, 2, 'near', 'edited', 7, 'dct256-v1', '{{"agreement": 1}}', {NOW}, 'same', 'ann', {NOW})""",
    "0004": f"""
        INSERT INTO item_tag VALUES (1, 'for print', {NOW});
        INSERT INTO item_rating VALUES (1, 5, {NOW});
        UPDATE blob SET removed_at = {NOW} WHERE size_bytes = 11""",
    "0005": "INSERT INTO feature (item_id, algorithm, vector) VALUES (1, 'lite0-pool-v1', CAST('v' AS %BYTES%))",
    "0006": "UPDATE run SET error = 'of revision 6'",
    "0007": "INSERT INTO derivation_input VALUES (1, 1)",
    "0008": "UPDATE run SET error = 'of revision 8'",
}
LATER_TABLES = {
    "0002": ("host", "host_lease"),
    "0003": ("fingerprint", "signature", "duplicate_pair"),
    "0004": ("item_tag", "item_rating"),
    "0005": ("feature",),
    "0007": ("derivation_input",),
}


@pytest.fixture
def first(address: str) -> str:
    """The address of a catalog as the first version made it."""
    engine = make_engine(catalog_url(address))
    upgraded(engine, "0001")
    with engine.begin() as connection:
        for statement in ROWS.strip().split(";\n"):
            connection.exec_driver_sql(statement.rstrip(";"))
    engine.dispose()
    return address


def upgraded(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(engine_module.__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def rows_of(engine: Engine, columns: dict[str, list[str]] | None = None) -> dict[str, list[Any]]:
    """Every row of the first version's tables; of the tables and columns named, or all there are."""
    with engine.connect() as connection:
        found = {}
        for table in columns or TABLES:
            names = columns[table] if columns else [each["name"] for each in inspect(connection).get_columns(table)]
            listed = ", ".join(f'"{name}"' for name in names)
            rows = connection.execute(text(f'SELECT {listed} FROM "{table}" ORDER BY 1'))
            found[table] = [tuple(str(value) for value in row) for row in rows]
        return found


def columns_of(engine: Engine, tables: Sequence[str] = TABLES) -> dict[str, list[str]]:
    with engine.connect() as connection:
        return {table: [each["name"] for each in inspect(connection).get_columns(table)] for table in tables}


def revision_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_catalog_of_the_first_version_keeps_every_row(first: str) -> None:
    engine = make_engine(catalog_url(first))
    columns, before = columns_of(engine), rows_of(engine)
    assert all(before.values())

    with open_catalog(first) as catalog:
        assert rows_of(engine, columns) == before
        assert revision_of(engine) == HEAD
        with catalog.read() as uow:
            assert drift(uow.session.connection()) == []
            for text_, ids in (("dusk mill", [1]), ("river stone windmill jane", [1]), ("boat", [])):
                assert [item.id for item in uow.items.list(ItemFilter(text=text_))] == ids
            assert uow.items.get(2).near_duplicate_of_id == 1
            inputs = uow.session.execute(text("SELECT derivation_id, item_id FROM derivation_input")).all()
            assert [tuple(each) for each in inputs] == [(1, 2)]
    engine.dispose()


@pytest.mark.parametrize("revision", sorted(known_revisions() - {HEAD, "0001"}))
def test_a_catalog_of_any_later_revision_keeps_what_that_one_added(first: str, revision: str) -> None:
    engine = make_engine(catalog_url(first))
    tables = list(TABLES)
    for number in sorted(each for each in known_revisions() if "0001" < each <= revision):
        upgraded(engine, number)
        with engine.begin() as connection:
            for statement in filter(None, LATER_ROWS.get(number, "").split(";\n")):
                kind = "bytea" if connection.dialect.name == "postgresql" else "BLOB"
                connection.exec_driver_sql(statement.strip().replace("%BYTES%", kind))
        tables += LATER_TABLES.get(number, ())
    columns = columns_of(engine, tables)
    before = rows_of(engine, columns)
    assert all(before.values())
    assert revision_of(engine) == revision

    with open_catalog(first) as catalog, catalog.read() as uow:
        assert rows_of(engine, columns) == before
        assert revision_of(engine) == HEAD
        assert drift(uow.session.connection()) == []
        assert [item.id for item in uow.items.list(ItemFilter(text="dusk mill"))] == [1]
        if revision >= "0004":
            assert [item.id for item in uow.items.list(ItemFilter(tag="for print"))] == [1]
    engine.dispose()


def test_a_migration_that_is_killed_has_changed_nothing_and_is_done_by_the_next_one(first: str) -> None:
    engine = make_engine(catalog_url(first))
    before = rows_of(engine)
    script = (
        "import os, signal, sys\n"
        "import pipeline.catalog.search_index as search_index\n"
        "search_index.refresh = lambda connection: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from pipeline.catalog.engine import open_catalog\n"
        "open_catalog(sys.argv[1])\n"
    )

    # Killed when every table has been made and filled, just before the commit.
    assert subprocess.run([sys.executable, "-c", script, first], check=False).returncode == -9
    assert revision_of(engine) == "0001"
    assert rows_of(engine) == before

    with open_catalog(first) as catalog, catalog.read() as uow:
        assert [item.id for item in uow.items.list(ItemFilter(text="dusk"))] == [1]
    engine.dispose()

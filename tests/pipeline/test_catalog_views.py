"""The views with plain names: what Datasette, psql or a spreadsheet shows of a catalog."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.tables import DerivationRow
from pipeline.store import Store
from tests.support.inverting import Workshop, picture

COLUMNS = {
    "pictures": "picture title creator licence licence_url width height format size_bytes keywords tags stars source "
    "page address caption sightings dreams near_to bits_apart kept_at withdrawn_at withdrawn_reason stored_file",
    "dreams": "dream picture title look network width height seconds made_at file_name licence_of_picture "
    "creator_of_picture withdrawn_at stored_file manifest_digest",
    "sources": "source argument pictures sightings first_seen last_seen",
    "licences": "licence pictures withdrawn dreams",
    "runs": "run kind status keywords source started_at finished_at found fetched accepted rejected dreamed error",
    "agents": "kind name detail what how_many first_at last_at",
    "stages": "picture stage algorithm state",
    "sightings": "sighting picture met_as source argument page address title caption creator licence licence_url "
    "licence_declared_by attribution first_seen last_seen stored_file",
    "duplicates": "pair picture other_picture tier looks_like bits_apart algorithm found_at decision decided_by "
    "decided_at",
}


@pytest.fixture(scope="module")
def catalog(shared_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with open_catalog(shared_address) as opened:
        fill(opened, tmp_path_factory.mktemp("views"))
        yield opened


def fill(catalog: Catalog, root: Path) -> None:
    shop = Workshop(root, catalog, Store(root / "store"))
    with catalog.write() as uow:
        run_id = uow.runs.start(
            "run", keywords=["mill", "cat"], source="website=x", parameters={}, process="h:1:1", version="1"
        )
        uow.runs.finish(run_id, "done", {"found": 7, "accepted": 2})
    mill = shop.add(picture(1), title="Mill", caption="by a river")
    cat = shop.add(picture(2), title="Cat", license_id=None)
    shop.dream(mill)
    with catalog.write() as uow:
        for keyword in ("windmill", "mill"):
            uow.items.add_keyword(mill, keyword, fields=(), score=0.5)
        uow.tags.add(mill, "for print")
        uow.ratings.set(mill, 5)
        for item_id, searched in ((mill, True), (cat, False)):
            uow.duplicates.sign(item_id, algorithm="dct256-v1", hashes={}, views=b"", searched=searched)
        uow.features.add(mill, algorithm="lite0-pool-v1", vector=b"")
        uow.duplicates.decide(mill, cat, "different", by="Ann")
        # As a dream's row says it that was signed.
        [dream] = uow.session.scalars(select(DerivationRow))
        dream.manifest = {**dream.manifest, "signature": {"signer": "Jane", "certificate_sha256": "ab" * 32}}


def rows(catalog: Catalog, view: str) -> list[dict[str, Any]]:
    with catalog.read() as uow:
        return [dict(row) for row in uow.session.execute(text(f"SELECT * FROM {view} ORDER BY 1")).mappings()]


@pytest.mark.parametrize("view", COLUMNS)
def test_each_view_has_plain_columns(catalog: Catalog, view: str) -> None:
    assert list(rows(catalog, view)[0]) == COLUMNS[view].split()


def test_the_views_say_what_is_there(catalog: Catalog) -> None:
    mill, cat = rows(catalog, "pictures")

    expected = {"title": "Mill", "licence": "CC-BY-4.0", "keywords": "mill, windmill", "tags": "for print", "stars": 5}
    expected |= {"source": "website", "caption": "by a river", "sightings": 1, "dreams": 1, "width": 80}
    assert {name: mill[name] for name in expected} == expected
    assert (cat["licence"], cat["keywords"], cat["stars"], cat["dreams"]) == ("unknown", None, None, 0)
    [dream] = rows(catalog, "dreams")
    assert (dream["picture"], dream["title"], dream["licence_of_picture"]) == (mill["picture"], "Mill", "CC-BY-4.0")
    [run] = rows(catalog, "runs")
    assert (run["keywords"], run["found"], run["accepted"], run["dreamed"]) == ("mill, cat", 7, 2, None)
    [source] = rows(catalog, "sources")
    assert (source["source"], source["pictures"], source["sightings"]) == ("website", 2, 2)
    agents = {
        (each["kind"], each["name"], each["detail"], each["what"], each["how_many"]) for each in rows(catalog, "agents")
    }
    assert agents == {
        ("software", "dreamcrawl", "1", "runs", 1),
        ("network", "tiny", "cd" * 32, "dreams", 1),
        ("signer", "Jane", "ab" * 32, "dreams", 1),
        ("creator", "Jane Doe", None, "pictures", 2),
        ("reviewer", "Ann", None, "decisions", 1),
    }
    stages = {(each["picture"], each["stage"], each["algorithm"], each["state"]) for each in rows(catalog, "stages")}
    assert stages == {
        (1, "sign", "dct256-v1", "done"),
        (1, "find duplicates", "dct256-v1", "done"),
        (2, "sign", "dct256-v1", "done"),
        (2, "find duplicates", "dct256-v1", "due"),
        (1, "features", "lite0-pool-v1", "done"),
        (1, "dream", "tiny, engine 1", "done"),
    }
    sighting, _ = rows(catalog, "sightings")
    expected = {"picture": 1, "met_as": "first", "source": "website", "licence": "CC-BY-4.0", "creator": "Jane Doe"}
    expected |= {"licence_declared_by": "rel=license", "stored_file": mill["stored_file"]}
    assert {name: sighting[name] for name in expected} == expected
    [pair] = rows(catalog, "duplicates")
    assert (pair["picture"], pair["other_picture"], pair["decision"], pair["decided_by"]) == (1, 2, "different", "Ann")
    assert [(each["licence"], each["pictures"], each["dreams"]) for each in rows(catalog, "licences")] == [
        ("CC-BY-4.0", 1, 1),
        ("unknown", 1, 0),
    ]


@pytest.mark.sqlite(reason="another program opens the file")
def test_any_program_that_reads_sqlite_finds_views_and_search(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        fill(catalog, tmp_path)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as plain:
        views = {name for (name,) in plain.execute("SELECT name FROM sqlite_master WHERE type = 'view'")}
        titles = plain.execute("SELECT title FROM pictures ORDER BY picture").fetchall()
        stored = [tmp_path / "store" / name for (name,) in plain.execute("SELECT stored_file FROM pictures")]
        searched = plain.execute("SELECT rowid FROM search_fts WHERE search_fts MATCH 'riv*'").fetchall()
        # As Datasette asks, given `_fts_table=search_fts&_fts_pk=picture`.
        matched = "SELECT rowid FROM search_fts WHERE search_fts MATCH '\"river\"'"
        found = plain.execute(f"SELECT title FROM pictures WHERE picture IN ({matched})").fetchall()

    assert views == set(COLUMNS)
    assert titles == [("Mill",), ("Cat",)]
    assert all(each.is_file() for each in stored)
    assert searched == [(1,)]
    assert found == [("Mill",)]

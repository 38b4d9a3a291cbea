"""Records in which everything that a site could have written is as long and as odd as it can be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.ledger import Ledger
from pipeline.catalog.values import ItemFilter
from pipeline.errors import Reason
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import Consent, DeclaredLicense, HttpFacts, KeywordMatch
from pipeline.store import Store
from tests.support import plain_sql
from tests.support.inboxes import failed, fetched, known, refused, sealed_inbox
from tests.support.pictures import scene_file

CHANCE = random.Random(6)
# Without any order, so that no database can pack it.
LONG = "".join(CHANCE.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=9_000))
ODD = f"nul \0, half a pair \ud800, {LONG}"
LARGEST = 2**53 - 1  # the largest number that a source passes on


def address(name: str) -> str:
    return f"https://example.org/{name}?{LONG}"


def facts(name: str) -> dict[str, Any]:
    return {
        "image_url": address(name),
        "page_url": address("page"),
        "source": LONG,
        "source_argument": ODD,
        "matches": (KeywordMatch(ODD, ("title",), 0.5), KeywordMatch("windmill", ("alt",), 0.5)),
        **dict.fromkeys(("title", "alt", "caption", "creator", "creator_url", "attribution", "created"), ODD),
        **dict.fromkeys(("source_id", "source_hash"), f"{name} {LONG}"),  # two of one name are one picture
        **dict.fromkeys(("rendition", "media_type"), ODD),
        "tags": (ODD, *(f"{LONG}{number}" for number in range(200))),
        "license": DeclaredLicense(ODD, ODD, ODD, ODD),
        "http": HttpFacts(address("final"), 10**20, (ODD, ODD), ODD, ODD, ODD),  # any number is a status to Twisted
        "width": LARGEST,
        "height": LARGEST,
    }


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_every_database_takes_them_and_finds_them_again(tmp_path: Path, *, again: bool) -> None:
    says_no = Consent(False, "ai.txt", ODD, ODD, "2026-11-22T10:00:00+00:00")
    candidates = [
        (fetched("a", **facts("a")), scene_file(1)),
        (fetched("b", **facts("b")), scene_file(2)),
        (fetched("c", **facts("c")), b"no picture"),
        (failed("d", **facts("d")), None),
        (refused("e", Reason.OPT_OUT, **facts("e"), consent=says_no), None),
        (known("a", **facts("a")), None),
        (refused("b", Reason.OPT_OUT, **facts("b"), consent=says_no), None),
    ]
    path = tmp_path / "catalog.sqlite3"

    with open_catalog(path) as catalog:
        for number in range(1 + again):
            with catalog.write() as uow:
                run_id = uow.runs.start(
                    "run", keywords=["windmill"], source=None, parameters={}, process="h:1:1", version="1"
                )
            inbox = sealed_inbox(tmp_path / "inbox", candidates, crawl_id=f"crawl-{number}")
            ingest_inbox(
                inbox,
                catalog=catalog,
                store=Store(tmp_path / "store"),
                run_id=run_id,
                limits=ImageLimits(),
                near_distance=1,
            )
        with catalog.read() as uow:
            assert [item.id for item in uow.items.list(ItemFilter(text="windmill"))] == [1, 2]
            assert [item.withdrawn_at is None for item in uow.items.list()] == [True, False]
            [sighting] = uow.sightings.of_item(1)
            assert (sighting.image_url, sighting.page_url) == (address("a"), address("page"))

    with Ledger.open(path) as ledger:
        entries = ledger.known(address(name) for name in "abcdef")
    assert {url: entry.state for url, entry in entries.items()} == {
        address("a"): "kept",
        address("b"): "withdrawn",
        address("c"): "rejected",
        address("d"): "failed",
        address("e"): "refused",
    }
    assert plain_sql.rows(path, "SELECT count(*) FROM rejection") == [(4 * (1 + again),)]
    assert plain_sql.rows(path, 'SELECT width FROM "fetch" WHERE state = :failed', failed="failed") == [(LARGEST,)]


def test_what_no_database_can_keep_costs_one_candidate_and_not_the_run(tmp_path: Path) -> None:
    candidates = [
        (fetched("a", **facts("a")), scene_file(1)),
        (fetched("b", **{**facts("b"), "width": 2**70}), b"no picture"),
        (fetched("c", **facts("c")), scene_file(2)),
        (failed("d", **{**facts("d"), "height": 2**70}), None),
        (failed("e", **facts("e")), None),
    ]
    path = tmp_path / "catalog.sqlite3"

    with open_catalog(path) as catalog:
        with catalog.write() as uow:
            run_id = uow.runs.start("run", keywords=[], source=None, parameters={}, process="h:1:1", version="1")
        inbox = sealed_inbox(tmp_path / "inbox", candidates)
        report = ingest_inbox(
            inbox,
            catalog=catalog,
            store=Store(tmp_path / "store"),
            run_id=run_id,
            limits=ImageLimits(),
            near_distance=1,
        )
        with catalog.read() as uow:
            entries = uow.ledger.known(address(name) for name in "abcde")
            rejections = uow.rejections.of_run(run_id)

    assert not inbox.exists()
    assert (report.accepted, report.rejected) == (2, 2)
    states = {url[20]: entry.state for url, entry in entries.items()}
    assert states == {"a": "kept", "b": "rejected", "c": "kept", "d": "rejected", "e": "failed"}
    assert [each.image_url[20] for each in rejections if "cannot keep" in each.detail] == ["b", "d"]

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from crawler.items import ImageItem
from crawler.known import KnownEntry
from crawler.pending import PendingEntry, PendingLedger
from pipeline.errors import Reason
from pipeline.inbox import InboxWriter
from pipeline.records import CrawlRecord, CrawlReport, HttpFacts, Outcome
from tests.support.crawls import EmptyLedger

SHA = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"  # of b"data", by coreutils' sha256sum
NEVER = ImageItem("https://example.org/never.jpg", "p")


def record(name: str, outcome: Outcome, **values: object) -> CrawlRecord:
    return CrawlRecord(outcome, "museum", "", f"https://example.org/{name}", "p", "2026-01-02T03:04:05Z", **values)  # type: ignore[arg-type]  # a test's shorthand


def item(name: str, **values: str) -> ImageItem:
    return ImageItem(f"https://example.org/{name}", "another page", **values)  # type: ignore[arg-type]  # likewise


FETCHED = record(
    "a",
    Outcome.FETCHED,
    source_id="17",
    source_hash="sha1:ab",
    http=HttpFacts("u", 200, etag='"e"'),
)
RECORDS = [
    (FETCHED, b"data"),
    (record("gone", Outcome.FAILED, reason=Reason.HTTP_CLIENT_ERROR), None),
    (record("slow", Outcome.FAILED, reason=Reason.TIMEOUT), None),
    (record("no", Outcome.REFUSED, reason=Reason.ROBOTS), None),
    (record("later", Outcome.POSTPONED, reason=Reason.QUOTA), None),
    (record("small", Outcome.FILTERED, reason=Reason.TOO_SMALL, width=8, height=9, media_type="image/png"), None),
    (record("known", Outcome.KNOWN), None),
    # Shown again on another page, or asked for in vain by a later crawl: it is still here.
    (record("a", Outcome.KNOWN), None),
    (record("a", Outcome.FAILED, reason=Reason.HTTP_CLIENT_ERROR), None),
]


@pytest.fixture(params=["sealed", "abandoned"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with InboxWriter.create(tmp_path, crawl_id="c1", about={}) as writer:
        for entry, data in RECORDS:
            writer.add(entry, data)
        if request.param == "sealed":
            writer.seal(CrawlReport(""))
    if request.param == "abandoned":
        with (tmp_path / "c1" / "records.jsonl").open("ab") as file:
            file.write(b"not a record\n" + json.dumps(record("torn", Outcome.REFUSED).to_json()).encode()[:50])
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (item("a"), PendingEntry("kept", SHA, '"e"', size_bytes=4)),
        (item("elsewhere", source_id="17"), PendingEntry("kept", SHA, '"e"', size_bytes=4)),
        (item("elsewhere", source_hash="sha1:ab"), PendingEntry("kept", SHA, '"e"', size_bytes=4)),
        (item("elsewhere", source_id="18"), None),
        (item("gone"), PendingEntry("failed")),
        (item("slow"), PendingEntry("failed", fetch_again=True)),
        (item("no"), PendingEntry("refused")),
        (item("later"), PendingEntry("queued")),
        (item("small"), PendingEntry("filtered", width=8, height=9, media_type="image/png")),
        (item("known"), None),
        (item("torn"), None),
        (NEVER, None),
    ],
)
def test_what_waits_for_ingest_is_known(parent: Path, asked: ImageItem, expected: PendingEntry | None) -> None:
    assert PendingLedger(EmptyLedger(), parent).find(asked, source="museum") == expected


def test_an_inbox_that_is_being_written_or_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "inbox.json").write_text("{")
    with InboxWriter.create(tmp_path, crawl_id="c1", about={}) as writer:
        writer.add(FETCHED, b"data")

        assert PendingLedger(EmptyLedger(), tmp_path).find(item("a"), source="museum") is None
    assert PendingLedger(EmptyLedger(), tmp_path / "missing").find(item("a"), source="museum") is None


def test_one_inbox_that_cannot_be_read_hides_no_other(parent: Path) -> None:
    (parent / "broken").mkdir()
    (parent / "broken" / "inbox.json").write_text("{")

    assert PendingLedger(EmptyLedger(), parent).find(item("a"), source="museum") is not None


@dataclass
class Catalog:
    entry: PendingEntry | None

    def find(self, item: ImageItem, *, source: str) -> KnownEntry | None:  # noqa: ARG002  # the protocol's
        return self.entry


@pytest.mark.parametrize(
    ("state", "says"), [("kept", "catalog"), ("rejected", "catalog"), ("failed", "inbox"), ("queued", "inbox")]
)
def test_what_the_catalog_has_settled_goes_first(parent: Path, state: str, says: str) -> None:
    ledger = PendingLedger(Catalog(PendingEntry(state, etag="catalog")), parent)

    found, other = ledger.find(item("a"), source="museum"), ledger.find(NEVER, source="museum")

    assert found is not None
    assert (found.etag == "catalog") == (says == "catalog")
    assert other is not None
    assert other.etag == "catalog"

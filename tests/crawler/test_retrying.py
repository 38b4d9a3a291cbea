from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crawler.errors import ContactMissing
from crawler.pictures.finds import RecordMaker
from crawler.search.retrying import Survey, candidates_again, check_contact, survey
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.ledger import Ledger
from pipeline.errors import Reason
from pipeline.records import CrawlRecord, DeclaredLicense, KeywordMatch, Outcome

FULL = CrawlRecord(
    outcome=Outcome.FAILED,
    source="website",
    source_argument="http://127.0.0.1:8000/mills",
    image_url="http://127.0.0.1:8000/a.jpg",
    page_url="http://127.0.0.1:8000/mills",
    found_at="2026-01-02T03:04:05+00:00",
    matches=(KeywordMatch("Windmill", ("title", "alt"), 0.75),),
    title="A mill",
    alt="windmill",
    caption="By the sea",
    tags=("sea", "wind"),
    creator="Ada",
    creator_url="https://example.org/ada",
    license=DeclaredLicense("CC0-1.0", None, "schema.org", "CC0"),
    reason=Reason.HTTP_CLIENT_ERROR,
    detail="HTTP 404",
    source_id="17",
    source_hash="md5:00",
    created="2019-05",
    attribution="Ada / CC0",
    rendition="960 px",
    width=960,
    height=640,
    media_type="image/jpeg",
)


def at(url: str, **changes: object) -> CrawlRecord:
    return replace(FULL, image_url=url, **changes)  # type: ignore[arg-type]  # a test's shorthand


def test_a_candidate_is_as_its_source_showed_it() -> None:
    [candidate] = candidates_again(lambda: [FULL])

    again = RecordMaker("", "").fetched(candidate, b"data", http=None).record  # type: ignore[arg-type]  # not looked at

    kept = {"outcome", "found_at", "reason", "detail", "sha256", "size_bytes"}
    assert {name: value for name, value in again.to_json().items() if name not in kept} == {
        name: value for name, value in FULL.to_json().items() if name not in kept
    }


def test_only_hosts_that_an_operator_named_are_reached_inside() -> None:
    records = [
        FULL,
        at("http://127.0.0.1:9000/hidden.jpg"),
        at("https://example.org/a.jpg", source_argument="https://example.org/"),
        at("https://example.org/b.jpg", source="gone", source_argument="127.0.0.1:7000"),
        at("file:///home/ada/a.jpg", source="folder", source_argument="/home/ada"),
    ]

    found = survey(records)

    assert found.named == {("127.0.0.1", 8000)}
    assert (found.beyond, found.files) == ("example.org", 1)
    assert [candidate.item.image_url for candidate in candidates_again(lambda: records)] == [
        record.image_url for record in records[:4]
    ]


def test_a_contact_is_needed_beyond_this_machine_only() -> None:
    check_contact(Survey(), None)
    check_contact(Survey(beyond="example.org"), "ada@example.org")
    with pytest.raises(ContactMissing, match=r"example\.org"):
        check_contact(Survey(beyond="example.org"), None)


def test_what_is_not_settled_is_read_in_parts_and_by_what_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    states = ("failed", "queued", "kept", "rejected", "refused", "filtered")
    urls = [f"https://example.org/{number:04d}.jpg" for number in range(1203)]
    with open_catalog(path) as catalog, catalog.write() as uow:
        for number, url in enumerate(urls):
            record = at(url, source="website" if number % 4 else "urls")
            uow.ledger.record(url, state=states[number % 6], reason="dns", seen={"record": record.to_json()})
        uow.ledger.record("https://example.org/old.jpg", state="failed", reason="dns")
        newer = {**FULL.to_json(), "version": 99}
        uow.ledger.record("https://example.org/new.jpg", state="failed", reason="dns", seen={"record": newer})

    with Ledger.open(path) as ledger:
        everything = [record.image_url for record in ledger.unsettled()]
        of_one = [record.image_url for record in ledger.unsettled(source="urls")]
        of_argument = list(ledger.unsettled(source="website", source_argument="elsewhere"))
        by_keyword = [record.image_url for record in ledger.unsettled(["WINDMILL", "boat"])]
        by_other = list(ledger.unsettled(["boat"]))

    assert everything == [url for number, url in enumerate(urls) if number % 6 < 2]
    assert of_one == [url for number, url in enumerate(urls) if number % 6 < 2 and number % 4 == 0]
    assert by_keyword == everything
    assert (of_argument, by_other) == ([], [])


def test_without_a_catalog_nothing_is_unsettled() -> None:
    assert list(Ledger(None).unsettled()) == []

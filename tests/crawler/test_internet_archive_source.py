from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.sources.base import ApiRequest
from crawler.sources.internet_archive import InternetArchive
from pipeline.licenses import license_by_id
from pipeline.records import CrawlRecord, Outcome
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.saved_answers import (
    FIXTURES,
    broken,
    check_case,
    query_of,
    read_hostile,
    saved_answer,
    saved_cases,
)
from tests.support.web_server import Answer, Route, WebServer, picture, web_server

ARCHIVE = InternetArchive("")
NAME = "windmill-kinderdijk-1910"
ITEM = ApiRequest(f"{ARCHIVE.base}/metadata/{NAME}", "windmill", state={"ask": "item", "item": NAME})
OPEN = "(licenseurl:*creativecommons* OR licenseurl:*publicdomain*)"


def search(filters: Filters | None = None, keyword: str = "windmill") -> ApiRequest:
    [request] = ARCHIVE.begin([keyword], filters or Filters(), has_credential=False)
    return request


def page(total: int, names: Iterator[str] | list[str]) -> bytes:
    return json.dumps({"response": {"numFound": total, "docs": [{"identifier": name} for name in names]}}).encode()


def listing(names: list[str], cursor: str | None) -> bytes:
    found: dict[str, Any] = {"items": [{"identifier": name} for name in names], "count": len(names), "total": 10_300}
    return json.dumps(found if cursor is None else {**found, "cursor": cursor}).encode()


def items_of(requests: tuple[ApiRequest, ...]) -> list[str]:
    return [request.url.rpartition("/")[2] for request in requests if "/metadata/" in request.url]


@pytest.mark.parametrize("case", saved_cases("internet-archive"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(ARCHIVE, case, ITEM if case.name.startswith("item_") else None)


@pytest.mark.parametrize(
    ("license_", "terms"),
    [
        ("adaptable", f" AND {OPEN} AND NOT licenseurl:*-nd*"),
        ("commercial", f" AND {OPEN} AND NOT licenseurl:*-nd* AND NOT licenseurl:*-nc*"),
        ("any", ""),
        ("CC0-1.0", " AND licenseurl:*zero*"),
        ("PDM-1.0", " AND licenseurl:*mark*"),
        ("CC-BY-NC-SA-3.0", " AND licenseurl:*by-nc-sa*"),
        ("CC-PDDC", " AND licenseurl:*publicdomain*"),
    ],
)
def test_the_licence_becomes_part_of_the_query(license_: str, terms: str) -> None:
    query = query_of(search(Filters(license=license_)))

    assert query == {
        "q": f"(windmill) AND mediatype:image{terms}",
        "fl[]": "identifier",
        "rows": "50",
        "page": "1",
        "output": "json",
    }


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("red maple", "(red maple)"),
        ('a") OR (collection:"x', "(a or collection x)"),
        ("cats AND dogs", "(cats and dogs)"),
        ("wind*mill~2", "(wind mill 2)"),
        ("風車", "(風車)"),
    ],
)
def test_the_signs_of_a_keyword_are_no_query(keyword: str, words: str) -> None:
    assert query_of(search(keyword=keyword))["q"].startswith(f"{words} AND mediatype:image AND ")


def test_what_it_cannot_search_for_is_told_before_anything_is_asked() -> None:
    for license_ in ("GPL-3.0-only", "NASA-media-guidelines"):
        with pytest.raises(SourceError, match="no licence that can be searched for"):
            search(Filters(license=license_))
    with pytest.raises(SourceError, match="none is given"):
        ARCHIVE.begin([], Filters(), has_credential=False)


def test_items_are_asked_for_before_the_next_page() -> None:
    requests = ARCHIVE.parse(search(), saved_answer(FIXTURES / "internet-archive" / "search")).requests

    assert [request.url.partition("?")[0] for request in requests] == [
        "https://archive.org/metadata/windmill-kinderdijk-1910",
        "https://archive.org/metadata/mma_windmill_436535",
        "https://archive.org/advancedsearch.php",
    ]


def test_pages_follow_until_all_are_read() -> None:
    request, seen = search(), []

    for number in range(3):
        requests = ARCHIVE.parse(
            request, page(112, (f"p{number}-{n}" for n in range(50 if number < 2 else 12)))
        ).requests
        seen += items_of(requests)
        request = requests[-1]

    assert len(seen) == len(set(seen)) == 112
    assert "/metadata/" in request.url  # no fourth page


def test_beyond_ten_thousand_the_listing_goes_on_without_what_was_asked_for() -> None:
    request, asked = search(), []
    for number in range(200):
        requests = ARCHIVE.parse(request, page(10_300, (f"i{number * 50 + n}" for n in range(50)))).requests
        asked += items_of(requests)
        request = requests[-1]
    assert len(asked) == 10_000

    assert request.url.startswith("https://archive.org/services/search/v1/scrape?")
    assert query_of(request) == {"q": query_of(search())["q"], "fields": "identifier", "count": "100"}
    listed = ARCHIVE.parse(request, listing(["i7", "new-1", "i9999"], "W3siaWQ=")).requests
    assert items_of(listed) == ["new-1"]
    second = listed[-1]
    assert query_of(second)["cursor"] == "W3siaWQ="
    last = ARCHIVE.parse(second, listing(["i0", "new-2"], None)).requests
    assert items_of(last) == ["new-2"]
    assert len(last) == 1


@pytest.mark.parametrize("cursor", ["abc", "", 7, None, ["x"], "a\nb", "ü", "x" * 600])
def test_a_cursor_that_stands_still_or_is_none_ends_the_listing(cursor: object) -> None:
    request = ApiRequest(
        f"{ARCHIVE.base}/x", "windmill", state={"ask": "listing", "query": "q", "seen": "", "cursor": "abc"}
    )
    answer = json.dumps({"items": [{"identifier": "one"}], "cursor": cursor}).encode()

    assert items_of(ARCHIVE.parse(request, answer).requests) == ["one"]
    assert len(ARCHIVE.parse(request, answer).requests) == 1


def test_few_results_need_no_list_of_names() -> None:
    assert ARCHIVE.parse(search(), page(112, ["a", "b"])).requests[-1].state["seen"] == ""


def test_the_dedication_permits_what_the_public_domain_permits() -> None:
    dedication = license_by_id("CC-PDDC")

    assert (dedication.permits_adaptation, dedication.share_alike, dedication.requires_attribution) == (
        True,
        False,
        False,
    )


@settings(max_examples=60, deadline=None)
@given(broken(saved_answer(FIXTURES / "internet-archive" / "item_photograph")))
def test_an_item_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(ARCHIVE, ITEM, answer)


@settings(max_examples=60, deadline=None)
@given(broken(saved_answer(FIXTURES / "internet-archive" / "search")))
def test_a_search_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(ARCHIVE, search(), answer)


class Loopback:
    """One crawl of a server that answers as the archive does."""

    def __init__(self, crawled: Crawled, server: WebServer) -> None:
        self.crawled = crawled
        self.server = server

    def of(self, path: str) -> CrawlRecord:
        return self.crawled.by_path(self.server.url)[path]


MILL, WRONG = picture(b"mill"), picture(b"not what the archive announced")
SHA1 = hashlib.sha1(MILL.body).hexdigest()


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    def file(name: str) -> dict[str, str]:
        return {"name": name, "source": "original", "format": "JPEG", "sha1": SHA1, "size": str(len(MILL.body))}

    def item(license_: str, *names: str) -> Answer:
        about = {"title": "Old windmill", "licenseurl": license_}
        body = json.dumps({"files": [file(name) for name in names], "metadata": about})
        return Answer(body.encode(), content_type="application/json")

    search_path = search().url.removeprefix(ARCHIVE.base)
    routes: dict[str, Route] = {
        search_path: Answer(page(2, ["good", "no-derivatives", "gone"]), content_type="application/json"),
        "/metadata/good": item("https://creativecommons.org/licenses/by/4.0/", "old mill.jpg", "other.jpg"),
        "/metadata/no-derivatives": item("https://creativecommons.org/licenses/by-nd/4.0/", "nd.jpg"),
        "/metadata/gone": Answer(b"{}", content_type="application/json"),
        "/download/good/old%20mill.jpg": Answer(status=302, headers={"Location": "/27/items/good/old%20mill.jpg"}),
        "/27/items/good/old%20mill.jpg": MILL,
        "/download/good/other.jpg": WRONG,
    }
    with web_server(routes) as server:
        request = request_for("internet-archive", server.url, "windmill")
        yield Loopback(run_crawl(tmp_path_factory.mktemp("archive"), request), server)


@pytest.mark.slow
class TestCrawl:
    def test_a_file_is_fetched_through_its_redirect_with_the_announced_digest_on_record(
        self, loopback: Loopback
    ) -> None:
        record = loopback.of("/download/good/old%20mill.jpg")

        assert record.outcome is Outcome.FETCHED
        assert record.source_hash == f"sha1:{SHA1}"
        assert record.source_id == "good/old mill.jpg"
        assert record.http is not None
        assert record.http.final_url == f"{loopback.server.url}/27/items/good/old%20mill.jpg"
        assert record.license is not None
        assert record.license.id == "CC-BY-4.0"
        assert [match.keyword for match in record.matches] == ["windmill"]

    def test_other_bytes_than_announced_are_not_kept(self, loopback: Loopback) -> None:
        record = loopback.of("/download/good/other.jpg")

        assert (record.outcome, record.reason) == (Outcome.FAILED, "wrong_hash")

    def test_a_licence_that_forbids_adaptations_costs_no_request_for_the_picture(self, loopback: Loopback) -> None:
        record = loopback.of("/download/no-derivatives/nd.jpg")

        assert (record.outcome, record.reason) == (Outcome.FILTERED, "license")
        assert "/download/no-derivatives/nd.jpg" not in loopback.server.paths()

    def test_everything_was_asked_for_once_and_nothing_failed(self, loopback: Loopback) -> None:
        asked = loopback.server.paths()

        assert len(asked) == len(set(asked))
        assert loopback.crawled.report.warnings == ()
        assert loopback.crawled.report.pages == 4

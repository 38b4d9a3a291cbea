from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings

from crawler.errors import SiteUnreachable, SourceError
from crawler.filters import Filters
from crawler.job import CrawlProgress
from crawler.sources.base import ApiRequest
from crawler.sources.flickr import Flickr
from pipeline.records import Outcome
from tests.support.crawls import request_for, run_crawl
from tests.support.saved_answers import (
    FIXTURES,
    broken,
    check_case,
    query_of,
    read_hostile,
    saved_answer,
    saved_cases,
)
from tests.support.web_server import Answer, WebServer, picture, web_server

FLICKR = Flickr("")


def search(filters: Filters | None = None, source: Flickr = FLICKR) -> ApiRequest:
    [request] = source.begin(["windmill"], filters or Filters(), has_credential=True)
    return request


def page(total: int, uploads: Iterator[int] | list[int]) -> bytes:
    photos = [
        {"id": str(n), "dateupload": str(n), "url_c": f"https://live.staticflickr.com/{n}_c.jpg"} for n in uploads
    ]
    return json.dumps({"stat": "ok", "photos": {"total": total, "photo": photos}}).encode()


@pytest.mark.parametrize("case", saved_cases("flickr"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(FLICKR, case)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"license": "1,2,4,5,9,10,11,12,14,15"}),
        ({"license": "commercial"}, {"license": "4,5,9,10,11,12"}),
        ({"license": "any"}, {}),
        ({"license": "cc-by-2.0"}, {"license": "4"}),
        ({"license": "CC-BY-NC-ND-4.0"}, {"license": "16"}),
        ({"license": "any", "mature": True}, {"safe_search": "3"}),
        (
            {"license": "any", "since": "2019", "until": "2020"},
            {"min_taken_date": "2019-01-01 00:00:00", "max_taken_date": "2020-12-31 23:59:59"},
        ),
        (
            {"license": "any", "since": "2019-05", "until": "2020-02"},
            {"min_taken_date": "2019-05-01 00:00:00", "max_taken_date": "2020-02-29 23:59:59"},
        ),
        (
            {"license": "any", "since": "2019-05-02T10:00:00", "until": "2019-05-03"},
            {"min_taken_date": "2019-05-02 00:00:00", "max_taken_date": "2019-05-03 23:59:59"},
        ),
    ],
)
def test_filters_become_part_of_the_query(filters: dict[str, Any], expected: dict[str, str]) -> None:
    query = query_of(search(Filters(**filters)))

    assert query.pop("extras").split(",")[:2] == ["license", "owner_name"]
    assert query == {
        "method": "flickr.photos.search",
        "format": "json",
        "nojsoncallback": "1",
        "text": "windmill",
        "media": "photos",
        "content_type": "1",
        "sort": "relevance",
        "safe_search": "1",
        "per_page": "100",
        "page": "1",
        **expected,
    }


def test_what_it_cannot_search_for_is_told_before_anything_is_asked() -> None:
    with pytest.raises(SourceError, match=r"no photographs under CC-BY-3\.0; it has CC-BY-NC-SA-2\.0, "):
        search(Filters(license="CC-BY-3.0"))
    with pytest.raises(SourceError, match="flickr answers only who has a key"):
        FLICKR.begin(["windmill"], Filters(), has_credential=False)
    with pytest.raises(SourceError, match="none is given"):
        FLICKR.begin([], Filters(), has_credential=True)


def test_pages_follow_until_all_are_read() -> None:
    [second] = FLICKR.parse(search(), page(150, range(100))).requests  # type: ignore[arg-type]  # an iterable will do

    assert query_of(second)["page"] == "2"
    assert second.secret == {"?api_key": "flickr"}
    assert FLICKR.parse(second, page(150, range(50))).requests == ()  # type: ignore[arg-type]  # likewise


def test_beyond_the_cap_slices_by_the_date_of_upload_give_every_photograph() -> None:
    """A server that gives the first 4,000 of any query, as Flickr does: page 41 repeats the last."""
    # Of 9,000 photographs three at a time were uploaded within the same second.
    uploads = {number: 1_600_000_000 - number // 3 for number in range(9000)}
    seen: set[str] = set()
    waiting, asked = [search()], 0

    while waiting:
        request, asked = waiting.pop(), asked + 1
        query = query_of(request)
        before = int(query.get("max_upload_date", "9999999999"))
        found = [number for number in uploads if uploads[number] <= before]
        start = (min(int(query["page"]), 40) - 1) * 100
        answer = {
            "stat": "ok",
            "photos": {
                "total": len(found),
                "photo": [
                    {"id": n + 1, "dateupload": uploads[n], "url_c": f"https://live.staticflickr.com/{n}_c.jpg"}
                    for n in found[start : start + 100]
                ],
            },
        }
        read = FLICKR.parse(request, json.dumps(answer).encode())
        seen |= {str(item.source_id) for item in read.items}
        waiting += read.requests
        assert asked < 200

    assert len(seen) == 9000
    # 40 by relevance, then 9,000 in slices of 4,000 that share at most a second.
    assert asked == 40 + 40 + 40 + 11


def test_a_slice_within_one_second_does_not_stand_still() -> None:
    request = search()
    state = {**request.state, "sort": "date-posted-desc", "before": 1_600_000_000, "page": 40}
    stuck = ApiRequest(request.url, "windmill", state=state)

    [following] = FLICKR.parse(stuck, page(9000, [1_600_000_000] * 100)).requests

    assert query_of(following)["max_upload_date"] == "1599999999"


@settings(max_examples=60, deadline=None)
@given(broken(saved_answer(FIXTURES / "flickr" / "windmill")))
def test_a_page_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(FLICKR, search(), answer)


KEY = "0123456789abcdef+secret/key"


def serve(server: WebServer, answer: Answer) -> None:
    """Answer Flickr's first page to those who send the key, and refuse all others as Flickr does."""
    path = search(source=Flickr(server.url)).url.removeprefix(server.url)
    server.routes[f"{path}&api_key=0123456789abcdef%2Bsecret%2Fkey"] = answer


@pytest.mark.slow
def test_a_crawl_sends_the_key_and_keeps_it_nowhere(tmp_path: Path) -> None:
    told: list[CrawlProgress] = []
    with web_server({"/mill_c.jpg": picture(b"mill")}) as server:
        photo = {"id": "7", "license": "4", "title": "Windmill", "url_c": f"{server.url}/mill_c.jpg"}
        answer = {"stat": "ok", "photos": {"total": 1, "photo": [photo]}}
        serve(server, Answer(json.dumps(answer).encode(), content_type="application/json"))
        request = request_for("flickr", server.url, "windmill", credentials={"flickr": KEY})

        crawled = run_crawl(tmp_path, request, on_progress=told.append)

        [asked] = [asked for asked in server.log if asked.path.startswith("/services/rest/")]
        others = [each for each in server.log if each is not asked]
    assert parse_qs(urlsplit(asked.path).query)["api_key"] == [KEY]
    [record] = crawled.records
    assert (record.outcome, record.source_id) == (Outcome.FETCHED, "7")
    assert crawled.report.warnings == ()
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for form in (KEY, "0123456789abcdef%2Bsecret%2Fkey", "0123456789abcdef"):
        assert not any(form.encode() in data for data in kept)
        assert form not in repr(told)
        assert form not in repr(crawled)
        assert not any(form in repr(other) for other in others)


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, 302, 500])
def test_a_failure_that_shows_the_key_is_told_without(tmp_path: Path, status: int) -> None:
    echo = f"http://127.0.0.1:9/?api_key={KEY}"
    message = json.dumps({"stat": "fail", "code": 100, "message": f"Invalid API Key {KEY}"}).encode()
    with web_server({}) as server:
        serve(server, Answer(message, status=status, headers={"Location": echo} if status == 302 else {}))

        with pytest.raises(SiteUnreachable) as caught:
            run_crawl(tmp_path, request_for("flickr", server.url, "windmill", credentials={"flickr": KEY}))

    assert "0123456789abcdef" not in str(caught.value)
    assert "nothing could be crawled" in str(caught.value)
    if status == 200:
        assert "Flickr: Invalid API Key [key] (code 100)" in str(caught.value)


def test_a_crawl_without_a_key_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"flickr answers only who has a key: .* `credentials\.flickr`"):
        run_crawl(tmp_path, request_for("flickr", "127.0.0.1:9", "windmill"))

    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.sources.base import ApiRequest
from crawler.sources.nasa import Nasa
from pipeline.licenses import license_by_id
from tests.support.saved_answers import (
    FIXTURES,
    broken,
    check_case,
    query_of,
    read_hostile,
    saved_answer,
    saved_cases,
)

NASA = Nasa("")
PICTURE = {"nasa_id": "GRC 1975", "title": "Windmill", "center": "GRC"}
MANIFEST = ApiRequest(f"{NASA.base}/asset/GRC%201975", "windmill", state={"picture": PICTURE})


def search(filters: Filters | None = None) -> ApiRequest:
    [request] = NASA.begin(["windmill"], filters or Filters(), has_credential=False)
    return request


def page(total: int, first: int, count: int = 100) -> bytes:
    """A page of pictures numbered from `first`."""
    items = [
        {
            "data": [{"nasa_id": f"PIA{number}", "media_type": "image"}],
            "links": [{"href": f"https://images-assets.nasa.gov/image/PIA{number}/PIA{number}~large.jpg"}],
        }
        for number in range(first, first + count)
    ]
    return json.dumps({"collection": {"items": items, "metadata": {"total_hits": total}}}).encode()


@pytest.mark.parametrize("case", saved_cases("nasa"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(NASA, case, MANIFEST if case.name.startswith("manifest") else None)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {}),
        ({"since": "2009-03-01"}, {"year_start": "2009"}),
        ({"until": "2011"}, {"year_end": "2011"}),
        ({"since": "2009", "until": "2009-05"}, {"year_start": "2009", "year_end": "2009"}),
    ],
)
def test_years_become_part_of_the_query(filters: dict[str, Any], expected: dict[str, str]) -> None:
    query = query_of(search(Filters(**filters)))

    assert query == {"q": "windmill", "media_type": "image", "page": "1", "page_size": "100", **expected}


def test_without_a_keyword_it_cannot_search() -> None:
    with pytest.raises(SourceError, match="none is given"):
        NASA.begin([], Filters(), has_credential=False)


def test_a_picture_without_usable_links_asks_for_its_manifest_and_is_known_when_it_comes() -> None:
    requests = NASA.parse(search(), saved_answer(FIXTURES / "nasa" / "old_links")).requests

    assert [request.url for request in requests] == [
        "https://images-api.nasa.gov/asset/PIA04213",
        "https://images-api.nasa.gov/asset/GRC%201975%20C%2002111",
    ]
    manifest = {"collection": {"items": [{"href": "http://images-assets.nasa.gov/image/PIA04213/PIA04213~large.jpg"}]}}
    [item] = NASA.parse(requests[0], json.dumps(manifest).encode()).items
    assert (item.source_id, item.title, item.tags, item.created) == (
        "PIA04213",
        "PIA04213",
        ("ISS", "EXPEDITION 26"),
        "2010-06-01",
    )
    assert item.image_url == "https://images-assets.nasa.gov/image/PIA04213/PIA04213~large.jpg"


def test_a_filter_for_large_pictures_decides_between_the_files_of_a_manifest() -> None:
    [request] = NASA.parse(
        search(Filters(min_height=2400)),
        json.dumps({"collection": {"items": [{"data": [{"nasa_id": "GRC 1975"}], "links": []}]}}).encode(),
    ).requests

    [item] = NASA.parse(request, saved_answer(FIXTURES / "nasa" / "manifest")).items

    assert item.rendition == "original"


def test_pages_follow_until_all_are_read() -> None:
    request, pages = search(), 0

    while True:
        pages += 1
        following = NASA.parse(request, page(250, 100 * pages, count=100 if pages < 3 else 50)).requests
        if not following:
            break
        [request] = following
        assert query_of(request)["page"] == str(pages + 1)

    assert pages == 3


def test_the_hundredth_page_is_followed_by_halves_of_the_years_and_those_by_theirs() -> None:
    last = search()
    for number in range(99):
        [last] = NASA.parse(last, page(25_000, 100 * number)).requests
    assert query_of(last)["page"] == "100"

    def span(request: ApiRequest) -> tuple[str, ...]:
        query = query_of(request)
        return tuple(query.get(name, "") for name in ("year_start", "year_end", "page"))

    halves = NASA.parse(last, page(25_000, 9900)).requests
    assert [span(half) for half in halves] == [("", "1999", "1"), ("2000", "", "1")]
    quarters = NASA.parse(halves[1], page(14_000, 0)).requests
    assert [span(quarter) for quarter in quarters] == [("2000", "2049", "1"), ("2050", "", "1")]
    assert [span(each) for each in NASA.parse(halves[0], page(9000, 0)).requests] == [("", "1999", "2")]


def test_one_year_with_too_many_is_read_as_far_as_it_goes() -> None:
    request = search(Filters(since="2019", until="2019"))
    for number in range(99):
        [request] = NASA.parse(request, page(12_000, 100 * number)).requests

    assert NASA.parse(request, page(12_000, 9900)).requests == ()


def test_a_page_without_pictures_is_the_last() -> None:
    assert NASA.parse(search(), page(300, 0, count=0)).requests == ()


def test_a_server_of_ones_own_keeps_its_addresses() -> None:
    own = Nasa("127.0.0.1:8765")
    [request] = own.begin(["windmill"], Filters(), has_credential=False)
    link = {"href": "http://127.0.0.1:8765/a~large.jpg"}
    answer = {"collection": {"items": [{"data": [{"nasa_id": "a"}], "links": [link]}]}}

    [item] = own.parse(request, json.dumps(answer).encode()).items

    assert request.url.startswith("http://127.0.0.1:8765/search?")
    assert item.image_url == link["href"]


def test_the_guidelines_permit_what_a_dream_needs() -> None:
    guidelines = license_by_id("NASA-media-guidelines")

    assert guidelines.permits_adaptation
    assert guidelines.permits_commercial_use
    assert guidelines.requires_attribution
    assert not guidelines.share_alike


@settings(max_examples=80, deadline=None)
@given(broken(saved_answer(FIXTURES / "nasa" / "sized_links")))
def test_a_page_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(NASA, search(), answer)


@settings(max_examples=40, deadline=None)
@given(broken(saved_answer(FIXTURES / "nasa" / "manifest")))
def test_a_manifest_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(NASA, MANIFEST, answer)

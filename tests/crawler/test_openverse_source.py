from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.sources.base import ApiRequest
from crawler.sources.openverse import Openverse
from tests.support.saved_answers import (
    FIXTURES,
    JSON_VALUES,
    broken,
    check_case,
    query_of,
    read_hostile,
    saved_answer,
    saved_cases,
)

DOCUMENTED = {
    "q", "title", "creator", "tags", "source", "excluded_source", "license", "license_type", "category", "aspect_ratio",
    "size", "extension", "mature", "filter_dead", "page", "page_size",
}  # fmt: skip


def first_request(filters: Filters | None = None, keyword: str = "windmill", *, key: bool = False) -> ApiRequest:
    [request] = Openverse("").begin([keyword], filters or Filters(), has_credential=key)
    return request


@pytest.mark.parametrize("case", saved_cases("openverse"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(Openverse(""), case)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"license_type": "modification"}),
        ({"license": "commercial"}, {"license_type": "commercial,modification"}),
        ({"license": "any"}, {}),
        ({"license": "CC-BY-NC-SA-2.0"}, {"license": "by-nc-sa"}),
        ({"license": "cc0-1.0"}, {"license": "cc0"}),
        ({"license": "PDM-1.0"}, {"license": "pdm"}),
        ({"orientation": "landscape"}, {"aspect_ratio": "wide"}),
        ({"orientation": "portrait"}, {"aspect_ratio": "tall"}),
        ({"orientation": "square"}, {"aspect_ratio": "square"}),
        ({"min_aspect": 1.2}, {"aspect_ratio": "wide"}),
        ({"max_aspect": 0.9}, {"aspect_ratio": "tall"}),
        ({"max_aspect": 1.0}, {"aspect_ratio": "tall,square"}),
        ({"min_aspect": 0.5, "max_aspect": 2.0}, {}),
        # Small is below 640 x 480 pixels, medium below 1600 x 900, in all.
        ({"min_width": 500, "min_height": 500}, {}),
        ({"min_width": 640, "min_height": 480}, {"size": "medium,large"}),
        ({"min_width": 1600, "min_height": 900}, {"size": "large"}),
        ({"min_width": 4000}, {}),
        ({"max_pixels": 307_199}, {"size": "small"}),
        ({"max_pixels": 307_200}, {"size": "small,medium"}),
        ({"formats": ("jpeg",)}, {"extension": "jpg,jpeg"}),
        ({"formats": ("webp", "png")}, {"extension": "png,webp"}),
        ({"formats": ("jpeg", "png", "webp", "gif")}, {}),
        ({"mature": True}, {"mature": "true"}),
    ],
)
def test_filters_become_part_of_the_query(filters: dict[str, Any], expected: dict[str, str]) -> None:
    query = query_of(first_request(Filters(**filters)))

    paging = {"q": "windmill", "page": "1", "page_size": "20"}
    usual = {} if "license" in filters else {"license_type": "modification"}
    assert query == {**paging, **usual, **expected}


@pytest.mark.parametrize(
    ("keyword", "query"),
    [
        ("windmill", "windmill"),
        ("red maple", '"red maple"'),
        ('say "cheese" -now', '"say cheese now"'),
        ("-windmill", "windmill"),
        ("(a|b)*~2", '"a b 2"'),
        ("風車 小屋", '"風車 小屋"'),
        ("पवनचक्की", "पवनचक्की"),
        ("a&li=by", '"a li by"'),
    ],
)
def test_a_keyword_is_searched_for_as_it_is_and_several_words_as_a_phrase(keyword: str, query: str) -> None:
    asked = query_of(first_request(keyword=keyword))

    assert asked["q"] == query
    assert set(asked) <= DOCUMENTED


def test_what_openverse_cannot_search_for_is_told_before_anything_is_asked() -> None:
    source = Openverse("")

    with pytest.raises(SourceError, match="no pictures under the licence MIT; it has by, by-sa"):
        source.begin(["windmill"], Filters(license="MIT"), has_credential=False)
    with pytest.raises(SourceError, match="searches by keywords"):
        source.begin([], Filters(), has_credential=False)


def test_a_key_is_named_and_never_written_and_is_left_away_when_it_is_refused() -> None:
    source = Openverse("")
    first = first_request(key=True)
    [second] = source.parse(first, saved_answer(FIXTURES / "openverse" / "with_key")).requests
    [without] = source.parse(second, b'{"detail": "Token has expired."}', status=401).requests

    assert dict(first.secret) == dict(second.secret) == {"Authorization": "openverse"}
    assert "openverse" not in first.url.partition("?")[2]
    assert not without.secret
    assert query_of(without) == {"q": "windmill", "license_type": "modification", "page": "1", "page_size": "20"}


def test_hosts_with_rules_of_their_own_are_asked_by_them() -> None:
    assert Openverse.default_base == "https://api.openverse.org"
    for host in ("upload.wikimedia.org", "thumb.wikimedia.org"):
        assert Openverse.media_manners[host].concurrency <= 2
    assert Openverse.manners.concurrency / Openverse.manners.delay_seconds <= 20 / 60


VALUES = {
    "license": ("by", "by-sa", "by-nc", "by-nc-sa", "cc0", "pdm"),
    "aspect_ratio": ("wide", "tall", "square"),
    "size": ("small", "medium", "large"),
    "extension": ("jpg", "png"),
}


class FakeServer:
    """Answers as the documentation says, from pictures that each have one value of each kind."""

    def __init__(self, pictures: list[dict[str, str]], *, tells_page_count: bool = True) -> None:
        self.pictures = [{**picture, "url": f"https://example.org/{n}"} for n, picture in enumerate(pictures)]
        self.tells_page_count = tells_page_count
        self.queries: list[dict[str, str]] = []

    def answer(self, request: ApiRequest) -> bytes:
        query = query_of(request)
        assert set(query) <= DOCUMENTED
        assert query not in self.queries
        self.queries.append(query)
        page, page_size = int(query["page"]), int(query["page_size"])
        assert page * page_size <= 240
        assert page_size <= (50 if request.secret else 20)
        assert query.get("license_type") in (None, "modification")
        found = [
            picture
            for picture in self.pictures
            if all(picture[name] in query[name].split(",") for name in VALUES if name in query)
        ]
        count = {"page_count": min(20, -(-len(found) // page_size))} if self.tells_page_count else {}
        return json.dumps({"results": found[(page - 1) * page_size : page * page_size], **count}).encode()


def collected(server: FakeServer, filters: Filters | None = None, *, key: bool = False) -> list[str]:
    """The addresses of all pictures that come of asking everything there is to ask, in the order of asking."""
    source, line = Openverse(""), deque([first_request(filters, key=key)])
    found: dict[str, None] = {}
    while line:
        request = line.popleft()
        answer = source.parse(request, server.answer(request))
        found |= dict.fromkeys(item.image_url for item in answer.items)
        line.extend(answer.requests)
    return list(found)


def mixed(count: int) -> Iterator[dict[str, str]]:
    every = [dict(zip(VALUES, values, strict=True)) for values in itertools.product(*VALUES.values())]
    return itertools.islice(itertools.cycle(every), count)


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("tells_page_count", [False, True])
def test_a_query_with_more_than_the_cap_is_split_until_all_is_found(*, key: bool, tells_page_count: bool) -> None:
    server = FakeServer(list(mixed(3000)), tells_page_count=tells_page_count)

    assert len(collected(server, key=key)) == 3000
    # First the query as it is, as deep as it goes: 12 pages of 20, or 4 of 50.
    plain_pages = 4 if key else 12
    assert all("license" not in query for query in server.queries[:plain_pages])
    assert all("license" in query for query in server.queries[plain_pages:])


def test_what_is_all_of_one_kind_is_split_by_what_is_left() -> None:
    alike = [{**picture, "license": "by", "size": "large"} for picture in mixed(1200)]
    server = FakeServer(alike)

    assert len(collected(server)) == 1200


# Of 240 it cannot be known whether they are all, so the six licences are asked for too, with 40 pictures each.
@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (20, 1), (21, 2), (239, 12), (240, 12 + 6 * 2)])
def test_a_query_that_is_not_capped_costs_only_its_own_pages(count: int, pages: int) -> None:
    kind = {"aspect_ratio": "wide", "size": "large", "extension": "jpg"}
    server = FakeServer([{**kind, "license": VALUES["license"][n % 6]} for n in range(count)])

    assert len(collected(server)) == count
    assert len(server.queries) == pages


def test_the_parts_of_a_query_stay_within_its_filters() -> None:
    filters = Filters(orientation="landscape", license="commercial", formats=("jpeg", "png"))
    source = Openverse("")
    line = deque([first_request(filters)])
    queries = []
    full = json.dumps({"results": [{"url": "https://example.org/1"}] * 20, "page_count": 20}).encode()
    while line:
        request = line.popleft()
        queries.append(query_of(request))
        line.extend(source.parse(request, full).requests)

    assert {query["aspect_ratio"] for query in queries} == {"wide"}
    assert {query["extension"] for query in queries} == {"jpg,jpeg,png", "jpg,jpeg", "png"}
    assert {query.get("license") for query in queries} == {None, "by", "by-sa", "cc0", "pdm"}
    assert all(("license" in query) != ("license_type" in query) for query in queries)
    # All capped: the query, and for each of 4 licences itself, 3 sizes, of each 2 file types, of each 3 categories.
    assert len(queries) == 12 * (1 + 4 * (1 + 3 * (1 + 2 * (1 + 3))))


@settings(max_examples=150, deadline=None)
@given(answer=broken(saved_answer(FIXTURES / "openverse" / "windmill")))
def test_a_broken_part_of_an_answer_does_no_harm(answer: bytes) -> None:
    read_hostile(Openverse(""), first_request(), answer)


@settings(max_examples=100, deadline=None)
@given(
    results=st.lists(st.dictionaries(st.sampled_from(["url", "id", "license", "tags", "mature"]), JSON_VALUES)),
    status=st.sampled_from([200, 400, 401, 403, 429, 503]),
)
def test_an_answer_of_anything_does_no_harm(results: list[Any], status: int) -> None:
    read_hostile(Openverse(""), first_request(), json.dumps({"results": results, "detail": results}).encode(), status)


@pytest.mark.parametrize("answer", [b"", b"[]", b"null", b"{}", b'{"results": {}}', b"\xff\xfe", b"[" * 100_000])
def test_an_answer_that_is_none_is_told_as_such(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|list of results"):
        Openverse("").parse(first_request(), answer)

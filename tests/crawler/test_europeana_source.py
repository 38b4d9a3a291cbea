from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.network.secrets import with_secrets
from crawler.sources.base import ApiRequest
from crawler.sources.europeana import Europeana
from tests.support.saved_answers import (
    FIXTURES,
    broken,
    check_case,
    query_of,
    read_hostile,
    saved_answer,
    saved_cases,
)

EUROPEANA = Europeana("")
KEY = "qwertykey"  # as in the saved answers


def search(license_: str = "adaptable", keyword: str = "windmill") -> ApiRequest:
    [request] = EUROPEANA.begin([keyword], Filters(license=license_), has_credential=True)
    return request


@pytest.mark.parametrize("case", saved_cases("europeana"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(EUROPEANA, case)


@pytest.mark.parametrize(
    ("license_", "expected"),
    [
        ("adaptable", {"reusability": "open"}),
        ("commercial", {"reusability": "open"}),
        ("any", {}),
        ("CC-BY-SA-4.0", {"reusability": "open"}),
        ("PDM-1.0", {"reusability": "open"}),
        ("CC-BY-NC-4.0", {"reusability": "restricted"}),
        ("CC-BY-ND-4.0", {"reusability": "restricted"}),
    ],
)
def test_the_licence_becomes_part_of_the_query(license_: str, expected: dict[str, str]) -> None:
    assert query_of(search(license_)) == {
        "query": "windmill",
        "qf": "TYPE:IMAGE",
        "media": "true",
        "profile": "rich",
        "rows": "100",
        "cursor": "*",
        **expected,
    }


def test_the_signs_of_a_keyword_are_no_query() -> None:
    assert query_of(search(keyword='mill" OR who:(Rembrandt)'))["query"] == "mill or who Rembrandt"


def test_what_it_cannot_search_for_is_told_before_anything_is_asked() -> None:
    with pytest.raises(SourceError, match=r"GPL-2\.0 is no licence"):
        search("GPL-2.0")
    with pytest.raises(SourceError, match="europeana answers only who has a key"):
        EUROPEANA.begin(["windmill"], Filters(), has_credential=False)
    with pytest.raises(SourceError, match="none is given"):
        EUROPEANA.begin([], Filters(), has_credential=True)


def test_the_key_travels_in_a_header_and_stands_in_no_address() -> None:
    [following] = EUROPEANA.parse(search(), saved_answer(FIXTURES / "europeana" / "windmill")).requests

    for request in (search(), following):
        url, headers = with_secrets(request, {"europeana": KEY})
        assert (url, headers) == (request.url, {"X-Api-Key": KEY})


def test_the_key_that_the_answer_writes_into_its_addresses_is_not_taken_over() -> None:
    saved = saved_answer(FIXTURES / "europeana" / "windmill")
    assert saved.count(KEY.encode()) == 3

    answer = EUROPEANA.parse(search(), saved)

    assert KEY not in repr(answer)


def test_an_answer_cut_short_is_told_without_its_beginning() -> None:
    saved = json.dumps(json.loads(saved_answer(FIXTURES / "europeana" / "windmill"))).encode()
    assert KEY.encode() in saved[:60]

    with pytest.raises(ValueError, match="not a JSON object") as caught:
        EUROPEANA.parse(search(), saved[:200])

    assert KEY not in repr(caught.value)


def test_a_cursor_leads_on_and_one_that_stands_still_ends_the_search() -> None:
    def cursors(request: ApiRequest, cursor: object) -> list[str]:
        item = {"id": "/1/a", "edmIsShownBy": ["https://example.org/a.jpg"]}
        answer = json.dumps({"success": True, "items": [item], "nextCursor": cursor}).encode()
        return [query_of(each)["cursor"] for each in EUROPEANA.parse(request, answer).requests]

    second = dataclasses.replace(search(), state={**search().state, "cursor": "AoE="})
    assert cursors(search(), "AoE=") == ["AoE="]
    assert cursors(second, "AoE=") == []
    assert cursors(second, "AoF/+=") == ["AoF/+="]
    for odd in ("", None, 3, "a b\n", "é", "x" * 501):
        assert cursors(second, odd) == []


@settings(max_examples=80, deadline=None)
@given(broken(saved_answer(FIXTURES / "europeana" / "windmill")))
def test_a_page_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(EUROPEANA, search(), answer)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.sources.base import ApiRequest
from crawler.sources.wikimedia import Wikimedia
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

# https://www.mediawiki.org/wiki/Common_thumbnail_sizes: nothing else is scaled on request.
PERMITTED_WIDTHS = {20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840}


def first_request(filters: Filters | None = None, keyword: str = "windmill") -> ApiRequest:
    [request] = Wikimedia("").begin([keyword], filters or Filters(), has_credential=False)
    return request


@pytest.mark.parametrize("case", saved_cases("wikimedia"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(Wikimedia(""), case)


@pytest.mark.parametrize(
    ("filters", "search"),
    [
        ({}, "filetype:bitmap windmill"),
        ({"formats": ("png",)}, "filetype:bitmap windmill filemime:image/png"),
        ({"formats": ("jpeg",)}, "filetype:bitmap windmill filemime:image/jpeg"),
        ({"formats": ("jpeg", "png")}, "filetype:bitmap windmill"),
        ({"min_width": 800, "min_height": 600}, "filetype:bitmap windmill filew:>799 fileh:>599"),
        ({"license": "CC-BY-SA-4.0"}, "filetype:bitmap windmill haswbstatement:P275=Q18199165"),
        ({"license": "cc0-1.0"}, "filetype:bitmap windmill haswbstatement:P275=Q6938433"),
        # Each country's version of it is another licence there.
        ({"license": "CC-BY-SA-3.0"}, "filetype:bitmap windmill"),
        ({"license": "commercial", "orientation": "square", "since": "2019"}, "filetype:bitmap windmill"),
    ],
)
def test_filters_that_the_search_has_words_for_become_part_of_it(filters: dict[str, Any], search: str) -> None:
    assert query_of(first_request(Filters(**filters)))["gsrsearch"] == search


@pytest.mark.parametrize(
    ("keyword", "term"),
    [
        ("red maple", '"red maple"'),
        ('insource:/x/ "', '"insource x"'),
        ("-filetype:pdf", '"filetype pdf"'),
        ("NOT", "not"),
        ("mill|*", "mill"),
        ("風車", "風車"),
    ],
)
def test_a_keyword_cannot_change_the_search(keyword: str, term: str) -> None:
    assert query_of(first_request(keyword=keyword))["gsrsearch"] == f"filetype:bitmap {term}"


@pytest.mark.parametrize(
    ("filters", "width"),
    [
        ({}, "960"),
        ({"min_width": 960}, "960"),
        ({"min_width": 961}, "1280"),
        ({"min_height": 640}, "960"),
        ({"min_height": 641}, "1280"),
        ({"min_width": 1500, "min_height": 1500}, "3840"),
        ({"min_width": 9000}, "3840"),
    ],
)
def test_a_width_is_asked_for_that_the_filters_let_pass_and_wikimedia_has(filters: dict[str, Any], width: str) -> None:
    asked = query_of(first_request(Filters(**filters)))["iiurlwidth"]

    assert asked == width
    assert int(asked) in PERMITTED_WIDTHS


def test_every_key_of_the_continuation_replaces_that_of_the_one_before() -> None:
    source = Wikimedia("")
    steps = [
        {"gsroffset": 50, "continue": "gsroffset||"},
        {"iicontinue": "A.jpg|2015", "continue": "||imageinfo"},
        {"gsroffset": 100, "continue": "gsroffset||"},
    ]
    request, asked = first_request(), []
    for step in steps:
        [request] = source.parse(request, json.dumps({"continue": step}).encode()).requests
        asked.append({k: v for k, v in query_of(request).items() if k in ("gsroffset", "iicontinue", "continue")})

    assert asked == [{name: str(value) for name, value in step.items()} for step in steps]
    assert not source.parse(request, b'{"batchcomplete": true}').requests


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"continue": None}, {"action": "delete"}, {"continue": ["x"]}, {"continue": "x" * 501}],
)
def test_a_continuation_that_is_none_ends_the_search(value: object) -> None:
    assert not Wikimedia("").parse(first_request(), json.dumps({"continue": value}).encode()).requests


def test_a_continuation_that_leads_nowhere_ends_the_search() -> None:
    source = Wikimedia("")
    answer = b'{"continue": {"gsroffset": 50, "continue": "gsroffset||"}}'
    [second] = source.parse(first_request(), answer).requests

    assert not source.parse(second, answer).requests


def test_a_scaled_file_of_a_format_that_is_not_asked_for_gives_way_to_the_original() -> None:
    answer = json.loads(saved_answer(FIXTURES / "wikimedia" / "windmill"))
    [info] = answer["query"]["pages"][0]["imageinfo"]
    info |= {"mime": "image/webp", "thumbmime": "image/png"}

    read = Wikimedia("").parse(first_request(Filters(formats=("webp",))), json.dumps(answer).encode())

    assert [item.rendition for item in read.items] == ["960 px", "960 px", "original"]
    assert read.items[2].source_hash == "sha1:" + "11" * 20


def test_nothing_is_asked_without_keywords() -> None:
    with pytest.raises(SourceError, match="searches by keywords"):
        Wikimedia("").begin([], Filters(), has_credential=False)


def test_wikimedia_is_asked_by_its_own_rules() -> None:
    assert first_request().url.startswith("https://commons.wikimedia.org/w/api.php?action=query&")
    assert Wikimedia.manners.concurrency <= 3
    assert 60 / Wikimedia.manners.delay_seconds <= 200
    for host in ("upload.wikimedia.org", "thumb.wikimedia.org"):
        manners = Wikimedia.media_manners[host]
        assert manners.concurrency <= 2
        # At most 25 Mbit/s, of scaled pictures with 1.5 MB at the most.
        assert 1.5e6 * 8 / manners.delay_seconds <= 25e6


@settings(max_examples=150, deadline=None)
@given(answer=broken(saved_answer(FIXTURES / "wikimedia" / "windmill")))
def test_a_broken_part_of_an_answer_does_no_harm(answer: bytes) -> None:
    read_hostile(Wikimedia(""), first_request(), answer)


@settings(max_examples=100, deadline=None)
@given(pages=JSON_VALUES, error=JSON_VALUES, warnings=JSON_VALUES)
def test_an_answer_of_anything_does_no_harm(pages: object, error: object, warnings: object) -> None:
    answer = {"query": {"pages": pages}, "error": error, "warnings": warnings, "continue": warnings}

    read_hostile(Wikimedia(""), first_request(), json.dumps(answer).encode())

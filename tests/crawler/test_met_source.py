from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.sources.base import ApiProblem, ApiRequest
from crawler.sources.met import PORTION, Met
from pipeline.errors import Reason
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

MET = Met("")
OBJECT = ApiRequest(f"{MET.base}/public/collection/v1/objects/436535", "windmill", state={"object": 436535})
PAINTING = saved_answer(FIXTURES / "met" / "object_painting")


def search(filters: Filters | None = None) -> ApiRequest:
    [request] = MET.begin(["windmill"], filters or Filters(), has_credential=False)
    return request


def searched(count: int) -> tuple[ApiRequest, ...]:
    """The requests that an answer with so many objects leads to."""
    return MET.parse(search(), json.dumps({"total": count, "objectIDs": list(range(1, count + 1))}).encode()).requests


@pytest.mark.parametrize("case", saved_cases("met"), ids=lambda case: case.name)
def test_a_saved_answer_gives_what_is_written_beside_it(case: Path) -> None:
    check_case(MET, case, OBJECT if case.name.startswith("object_") else None)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {}),
        ({"since": "1850-03", "until": "1900-12-31"}, {"dateBegin": "1850", "dateEnd": "1900"}),
        ({"since": "1850"}, {"dateBegin": "1850", "dateEnd": "2100"}),
        ({"until": "1500"}, {"dateBegin": "-10000", "dateEnd": "1500"}),
        ({"license": "cc0-1.0"}, {}),
        ({"license": "any"}, {}),
    ],
)
def test_filters_become_part_of_the_query(filters: dict[str, Any], expected: dict[str, str]) -> None:
    assert query_of(search(Filters(**filters))) == {"hasImages": "true", "q": "windmill", **expected}


def test_a_licence_that_the_museum_does_not_use_is_told_before_anything_is_asked() -> None:
    with pytest.raises(SourceError, match=r"CC0-1\.0 only, none under CC-BY-4\.0"):
        search(Filters(license="CC-BY-4.0"))
    with pytest.raises(SourceError, match="none is given"):
        MET.begin([], Filters(), has_credential=False)


def test_objects_are_asked_for_in_the_order_of_the_answer() -> None:
    requests = MET.parse(search(), saved_answer(FIXTURES / "met" / "search")).requests

    assert [request.url for request in requests] == [
        f"https://collectionapi.metmuseum.org/public/collection/v1/objects/{number}"
        for number in (436535, 438817, 10497)
    ]


def test_eighty_thousand_objects_come_in_portions_and_each_once() -> None:
    waiting, seen, most = list(searched(80_000)), [], 0

    while waiting:
        most = max(most, len(waiting))
        request = waiting.pop(0)
        seen.append(request.state["object"])
        waiting += MET.parse(request, b"{}").requests

    assert seen == list(range(1, 80_001))
    assert most == PORTION


@pytest.mark.parametrize("count", [1, PORTION - 1, PORTION, PORTION + 1])
def test_the_last_portion_leads_no_further(count: int) -> None:
    requests = searched(count)

    assert len(requests) == min(count, PORTION)
    assert [index for index, each in enumerate(requests) if "rest" in each.state] == ([PORTION - 1] * (count > PORTION))


@pytest.mark.parametrize(("answer", "status"), [(b"{}", 404), (b"<html>", 200), (b"[]", 200), (b"null", 200)])
def test_a_bad_answer_does_not_lose_the_objects_that_hang_on_it(answer: bytes, status: int) -> None:
    carrier = searched(PORTION + 2)[-1]

    assert [each.state["object"] for each in MET.parse(carrier, answer, status=status).requests] == [51, 52]


@pytest.mark.parametrize("status", [302, 403, 429, 500, 503])
def test_what_others_hang_on_is_asked_for_again_after_a_pause(status: int) -> None:
    with pytest.raises(ApiProblem) as caught:
        MET.parse(searched(PORTION + 2)[-1], b"", status=status)

    assert caught.value.retry_after_seconds == 60.0


def test_a_picture_that_is_not_in_the_public_domain_is_left_out_for_its_licence() -> None:
    [item] = MET.parse(OBJECT, saved_answer(FIXTURES / "met" / "object_not_cleared")).items

    objection = Filters().requiring_license().objection(item)

    assert objection is not None
    assert objection.reason is Reason.LICENSE


@settings(max_examples=60, deadline=None)
@given(broken(PAINTING))
def test_an_object_broken_anywhere_is_read_as_far_as_it_goes(answer: bytes) -> None:
    read_hostile(MET, OBJECT, answer)


@settings(max_examples=60, deadline=None)
@given(st.one_of(JSON_VALUES, st.fixed_dictionaries({"objectIDs": JSON_VALUES})))
def test_any_answer_to_a_search_is_read_or_refused(answer: object) -> None:
    read_hostile(MET, search(), json.dumps(answer).encode())

"""Saved answers of APIs, in `tests/crawler/fixtures/<source>/<case>/`, and what is to be read from them.

A case is a folder with `answer.json` (or another ending, for what is no JSON) and `expected.json`:

    keyword      what is searched for; `windmill` when it is not there
    filters      of `crawler.filters.Filters`; likewise `has_credential`
    status       of the answer, 200 when it is not there
    items        for each picture the attributes to compare, a licence as [id, url, text]
    requests     for each further request the query parameters to compare; null for one that must not be there
    notes        the lines for the user
    problem      instead of these three: text (a part of it), retry_after_seconds and is_final
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import strategies as st

from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.keywords import match_keywords
from crawler.sources.base import ApiProblem, ApiRequest, ApiSource
from crawler.urls import canonical_url

CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
FIXTURES = Path(__file__).resolve().parents[1] / "crawler" / "fixtures"


def saved_cases(source: str) -> list[Path]:
    """The folders of the cases of one source."""
    return sorted(path for path in (FIXTURES / source).iterdir() if path.is_dir())


def saved_answer(case: Path) -> bytes:
    """The answer of a case, as it was sent."""
    [path] = case.glob("answer.*")
    return path.read_bytes()


def query_of(request: ApiRequest) -> dict[str, str]:
    """The query parameters of a request; each must be there once."""
    pairs = parse_qsl(urlsplit(request.url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def check_case(source: ApiSource, case: Path, request: ApiRequest | None = None) -> None:
    """Read the answer of a case as one to this request, or the source's first, and compare all that the case says."""
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    keyword, has_credential = expected.get("keyword", "windmill"), expected.get("has_credential", False)
    filters = Filters.from_json({**dataclasses.asdict(Filters()), **expected.get("filters", {})})
    if request is None:
        [request] = source.begin([keyword], filters, has_credential=has_credential)
    status = expected.get("status", 200)

    if "problem" in expected:
        with pytest.raises(ApiProblem) as caught:
            source.parse(request, saved_answer(case), status=status)
        problem = expected["problem"]
        assert problem["text"] in str(caught.value)
        assert caught.value.retry_after_seconds == problem["retry_after_seconds"]
        assert caught.value.is_final == problem["is_final"]
        return

    answer = source.parse(request, saved_answer(case), status=status)
    found = [
        {name: _as_json(item, name) for name in wanted}
        for item, wanted in zip(answer.items, expected["items"], strict=True)
    ]
    assert found == expected["items"]
    assert all(item.found_by == keyword for item in answer.items)
    assert all(further.keyword == keyword for further in answer.requests)
    queries = [
        {name: query_of(further).get(name) for name in wanted}
        for further, wanted in zip(answer.requests, expected["requests"], strict=True)
    ]
    assert queries == expected["requests"]
    assert list(answer.notes) == expected["notes"]


def _as_json(item: ImageItem, name: str) -> Any:
    value = getattr(item, name)
    if name == "license" and value is not None:
        return [value.id, value.url, value.text]
    return list(value) if isinstance(value, tuple) else value


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(
            ["", "<b>", "//x", "http://[", "https://example.org:99999/", "a\x00b\ud800", "9" * 30, "<a href='//["]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, with texts that often break readers."""


def broken(answer: bytes) -> st.SearchStrategy[bytes]:
    """The answer with up to four of its values, at any depth, replaced by others of any type."""
    document = json.loads(answer)
    places = list(_places(document, ()))

    def replace(changes: list[tuple[tuple[str | int, ...], Any]]) -> bytes:
        copy = json.loads(answer)
        for path, value in changes:
            parent = copy
            try:
                for step in path[:-1]:
                    parent = parent[step]
                parent[path[-1]] = value
            except (KeyError, IndexError, TypeError):
                pass  # a change before has taken it away
        return json.dumps(copy).encode("ascii")

    return st.lists(st.tuples(st.sampled_from(places), JSON_VALUES), min_size=1, max_size=4).map(replace)


def _places(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from _places(part, (*path, key))


def read_hostile(source: ApiSource, request: ApiRequest, answer: bytes, status: int = 200) -> None:
    """Read an answer that may be anything: only the two errors allowed come of it, and items that can be recorded."""
    try:
        read = source.parse(request, answer, status=status)
    except (ApiProblem, ValueError):
        return
    for item in read.items:
        assert canonical_url(item.image_url) == item.image_url
        assert item.page_url == canonical_url(item.page_url)
        assert item.creator_url is None or item.creator_url.startswith(("http://", "https://"))
        for name in ("title", "caption", "creator", "attribution", "source_id", "media_type"):
            value = getattr(item, name)
            assert value is None or (isinstance(value, str) and not CONTROL.search(value) and 0 < len(value) <= 1000), (
                name
            )
        for number in (item.width, item.height, item.size_bytes):
            assert number is None or (type(number) is int and 0 < number < 2**63)
        assert item.mature in (True, False, None)
        json.dumps(dataclasses.asdict(item), allow_nan=False).encode("utf-8")
        Filters().requiring_license().objection(item)
        match_keywords(["windmill"], item.texts())
    for further in read.requests:
        assert further.url.startswith(source.base + "/")
        assert len(further.url) < 3000
    assert not any(CONTROL.search(note) for note in read.notes)

"""Asking APIs: the addresses of requests, and what a refusal means. The counterpart of `answers`. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode

from crawler.errors import SourceError
from crawler.sources.base import ApiProblem

PAUSE_SECONDS = 60.0
"""How long an API is left alone that asks for a pause without telling how long."""

MAX_CURSOR = 500
"""No API has longer ones."""

_SIGNS = re.compile(r'[+\-&|!(){}\[\]^"~*?:\\/<>=]+')
_OPERATORS = frozenset({"AND", "OR", "NOT"})


def query_url(address: str, parameters: Iterable[tuple[str, object]]) -> str:
    """An address with its query, everything escaped that can be; parameters may come more than once."""
    pairs = [(name, str(value)) for name, value in parameters]
    return f"{address}?{urlencode(pairs, quote_via=quote, safe='')}"


def check_keywords(name: str, keywords: Sequence[str]) -> None:
    """Pass when there are keywords.

    Raises:
        SourceError: There are none, and no API gives all that it has.
    """
    if not keywords:
        raise SourceError(f"{name} searches by keywords, and none is given")


def check_key(name: str, *, has_credential: bool, where: str) -> None:
    """Pass when there is a key.

    Args:
        name: Of the source, and of its key.
        has_credential: As `ApiSource.begin` is told.
        where: Address at which one can be had.

    Raises:
        SourceError: There is none.
    """
    if not has_credential:
        raise SourceError(
            f"{name} answers only who has a key: get one at {where}, and give it as the setting `credentials.{name}`"
        )


def lucene_words(keyword: str) -> str:
    """A keyword as plain words of a Lucene query: none of its signs means anything, nor does a word like AND."""
    words = _SIGNS.sub(" ", keyword).split()
    return " ".join(word.lower() if word in _OPERATORS else word for word in words)


def lucene_phrase(keyword: str) -> str:
    """As `lucene_words`, but several words stand in quotation marks: they are searched for in a row."""
    words = lucene_words(keyword)
    return f'"{words}"' if " " in words else words


def next_cursor(value: object, *, before: object) -> str | None:
    """The cursor for the next page; None at the end, and for one that stands still, as it would never end."""
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        return None
    return value if len(value) <= MAX_CURSOR and value != before else None


def check_status(title: str, status: int, *, keyed: bool = False) -> None:
    """Pass when an answer has a status of success.

    Args:
        title: The API's name for people.
        status: Of the answer.
        keyed: Whether a key was sent, so that 401 and 403 mean that it is refused.

    Raises:
        ApiProblem: It has another status.
    """
    if 200 <= status < 300:
        return
    if keyed and status in (401, 403):
        raise ApiProblem(f"{title} refuses the key (HTTP {status})", is_final=True)
    if status in (429, 503):
        raise ApiProblem(f"{title} asks for a pause (HTTP {status})", retry_after_seconds=PAUSE_SECONDS)
    raise ApiProblem(f"{title} answers HTTP {status}")

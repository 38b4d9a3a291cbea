"""What the headers of an answer say about the use of its content: X-Robots-Tag, TDMRep and Content-Usage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crawler.consent.content_usage import refused_use
from crawler.consent.objections import CONTENT_USAGE, PRODUCT_TOKEN, TDMREP, X_ROBOTS_TAG, Objection
from crawler.consent.tdmrep import is_reserved, reservation

ABOUT_PICTURES = frozenset({"noai", "noimageai", "noimageindex", "noml"})
"""Words that, said of a page, are about the pictures on it."""

# `none` is `noindex, nofollow`. A file that is not to be indexed was not put there to be collected.
OPT_OUTS = ABOUT_PICTURES | {"noindex", "none"}

_EVERYBODY = frozenset({"*", "robots"})
_WITH_VALUE = frozenset({"max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"})

Headers = Callable[[str], Sequence[str]]
"""The values of a header by its name, one for each time it was sent."""


def picture_objection(headers: Headers, *, where: str, now: datetime) -> Objection | None:
    """Why the headers of a picture forbid its use, or None.

    Args:
        headers: Of the answer.
        where: Its address.
        now: Aware; what `unavailable_after` is compared with.
    """
    return _objection(headers, OPT_OUTS, where=where, now=now, in_headers=True)


def page_objection(headers: Headers, *, where: str, now: datetime) -> Objection | None:
    """Why the headers of a page forbid the use of the pictures on it, or None.

    That a page is not to be indexed says nothing about its pictures: archives and search pages often say so.
    """
    return _objection(headers, ABOUT_PICTURES, where=where, now=now, in_headers=False)


def _objection(
    headers: Headers, words: frozenset[str], *, where: str, now: datetime, in_headers: bool
) -> Objection | None:
    if directive := _refusing_directive(headers("X-Robots-Tag"), words, now=now):
        return Objection(X_ROBOTS_TAG, f"X-Robots-Tag: {directive}", where, in_headers)
    if any(is_reserved(value) for value in headers("TDM-Reservation")):
        policy = next((value.strip() for value in headers("TDM-Policy") if value.strip()), None)
        return Objection(TDMREP, reservation(policy), where, in_headers)
    # A dictionary that was sent in parts is one (RFC 9651, section 4.2).
    if member := refused_use(",".join(headers("Content-Usage"))):
        return Objection(CONTENT_USAGE, f"Content-Usage: {member}", where, in_headers)
    return None


def _refusing_directive(values: Iterable[str], words: frozenset[str], *, now: datetime) -> str | None:
    for value in values:
        for addressee, name, argument in _directives(value):
            if addressee is not None and addressee not in _EVERYBODY and addressee != PRODUCT_TOKEN:
                continue
            # What is said to us by name is about what we do, which is never to index.
            if name in (OPT_OUTS if addressee == PRODUCT_TOKEN else words):
                return name if addressee is None else f"{addressee}: {name}"
            if name == "unavailable_after" and "noindex" in words and _is_past(argument, now):
                return f"unavailable_after: {argument}"
    return None


def _directives(value: str) -> Iterator[tuple[str | None, str, str]]:
    """(robot that is named, directive, its value) of one header; a name holds for all that follows it."""
    addressee: str | None = None
    parts = value.split(",")
    while parts:
        part = parts.pop(0)
        head, colon, rest = part.partition(":")
        name = head.strip().lower()
        if colon and name not in _WITH_VALUE:
            addressee = name
            head, colon, rest = rest.partition(":")
            name = head.strip().lower()
        if name == "unavailable_after" and _moment(rest) is None and parts and _moment(f"{rest},{parts[0]}"):
            rest = f"{rest},{parts.pop(0)}"  # `Friday, 25 Jun 2010 15:00:00 UTC`
        if name:
            yield addressee, name, rest.strip()


def _is_past(text: str, now: datetime) -> bool:
    moment = _moment(text)
    return moment is not None and moment < now


def _moment(text: str) -> datetime | None:
    """A date as RFC 822, RFC 850 or ISO 8601 write it, taken as UTC when it names no zone; None for anything else."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
        except (ValueError, IndexError, TypeError, OverflowError):
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return None

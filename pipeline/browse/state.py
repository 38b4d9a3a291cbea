"""The state of a gallery page as an address: every filter, order and place is in the query, and links are made here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from pipeline.catalog.gallery_values import Cursor, GalleryFilter, Sort
from pipeline.errors import UsageError
from pipeline.license_choices import license_choice
from pipeline.public_ids import LARGEST, parse_id

DEFAULT_PER_PAGE = 48
MOST_PER_PAGE = 200
# Longer searches and values are no search for a picture.
_LONGEST_TEXT = 200
_MOST_WORDS = 8
_LONGEST_REASON = 64
_CURSOR = re.compile(r"(?P<id>[1-9][0-9]{0,9})(?:-(?P<pixels>[0-9]{1,10}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class View:
    """Which part of the catalog a page shows.

    Attributes:
        text: The search as it was typed.
        after: Show what follows this place; at most one of `after` and `before` is set.
    """

    wanted: GalleryFilter = field(default_factory=GalleryFilter)
    text: str = ""
    sort: Sort = Sort.NEWEST
    per_page: int = DEFAULT_PER_PAGE
    after: Cursor | None = None
    before: Cursor | None = None

    def with_filter(self, **changes: Any) -> View:
        """The first page under a changed filter."""
        return replace(self, wanted=replace(self.wanted, **changes), after=None, before=None)

    def with_text(self, text: str) -> View:
        """The first page of another search."""
        return replace(self.with_filter(words=_words(text)), text=text)

    def sorted_by(self, sort: Sort) -> View:
        """The first page in another order."""
        return replace(self, sort=sort, after=None, before=None)

    def at(self, *, after: Cursor | None = None, before: Cursor | None = None) -> View:
        """Another page of the same gallery; the first one without a cursor."""
        return replace(self, after=after, before=before)

    @property
    def narrowed(self) -> bool:
        """Whether anything hides pictures, apart from near duplicates."""
        return replace(self.wanted, near_duplicates=False) != GalleryFilter()

    @property
    def parameters(self) -> dict[str, str]:
        """The query that gives this view; what is at its default is left out."""
        wanted = self.wanted
        found = {
            "q": self.text,
            "keyword": wanted.keyword,
            "source": wanted.source,
            "license": wanted.license_id,
            "preset": wanted.preset,
            "dreamed": None if wanted.dreamed is None else "yes" if wanted.dreamed else "no",
            "near": "show" if wanted.near_duplicates else None,
            "run": f"r{wanted.run_id}" if wanted.run_id else None,
            "tag": wanted.tag,
            "stars": str(wanted.stars) if wanted.stars else None,
            "sort": None if self.sort is Sort.NEWEST else self.sort.value,
            "per": None if self.per_page == DEFAULT_PER_PAGE else str(self.per_page),
            "after": _cursor_text(self.after),
            "before": _cursor_text(self.before),
        }
        return {name: value for name, value in found.items() if value}

    def url(self, path: str = "/", **more: str | None) -> str:
        """The address of this view on a page; `more` is added to the query where it is not None."""
        query = urlencode({**{name: value for name, value in more.items() if value is not None}, **self.parameters})
        return f"{path}?{query}" if query else path


def read_view(query: Mapping[str, str]) -> View:
    """The view that a query asks for.

    Raises:
        UsageError: A value means nothing; the message says what would.
    """
    text = _text(query, "q") or ""
    keyword = _text(query, "keyword")
    run = query.get("run")
    tag = _text(query, "tag")
    after, before = _cursor(query, "after"), _cursor(query, "before")
    if after is not None and before is not None:
        raise UsageError("a page lies after one place or before one, not both: leave `after` or `before` out")
    view = View(
        wanted=GalleryFilter(
            words=_words(text),
            keyword=keyword.casefold() if keyword else None,
            source=_text(query, "source"),
            license_id=_license(query),
            preset=_text(query, "preset"),
            dreamed={"yes": True, "no": False, "": None}[_choice(query, "dreamed", ("yes", "no"))],
            near_duplicates=_choice(query, "near", ("show", "hide")) == "show",
            run_id=parse_id(run, "r") if run else None,
            tag=tag.casefold() if tag else None,
            stars=int(_choice(query, "stars", ("1", "2", "3", "4", "5")) or 0) or None,
        ),
        text=text,
        sort=Sort(_choice(query, "sort", tuple(Sort)) or Sort.NEWEST),
        per_page=_per_page(query.get("per", "")),
        after=after,
        before=before,
    )
    if view.sort is Sort.LARGEST and any(place and place.pixels is None for place in (after, before)):
        raise UsageError("that place belongs to another order; start from the first page")
    return view


def read_reason(query: Mapping[str, str]) -> str | None:
    """The reason that a query narrows the rejections of a run to; None for all."""
    return _CONTROL.sub("", query.get("reason", ""))[:_LONGEST_REASON] or None


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split()))[:_MOST_WORDS]


def _text(query: Mapping[str, str], name: str) -> str | None:
    value = _CONTROL.sub(" ", query.get(name, "")).strip()
    if len(value) > _LONGEST_TEXT:
        raise UsageError(f"`{name}` is longer than {_LONGEST_TEXT} characters; shorten it")
    return value or None


def _license(query: Mapping[str, str]) -> str | None:
    if (text := _text(query, "license")) is None:
        return None
    try:
        return license_choice(text)
    except ValueError as error:
        raise UsageError(f"`license`: {error}") from error


def _choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = query.get(name, "")
    if value and value not in choices:
        raise UsageError(f"`{name}` is one of {', '.join(choices)}, not {value[:40]!r}")
    return value


def _per_page(text: str) -> int:
    if not text:
        return DEFAULT_PER_PAGE
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_PER_PAGE:
        raise UsageError(f"`per` is a number of pictures from 1 to {MOST_PER_PAGE}, not {text[:40]!r}")
    return int(text)


def _cursor(query: Mapping[str, str], name: str) -> Cursor | None:
    text = query.get(name, "")
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None or max(int(match["id"]), int(match["pixels"] or 0)) > LARGEST:
        raise UsageError(f"`{name}` is no place in the gallery; start from the first page")
    return Cursor(int(match["id"]), int(match["pixels"]) if match["pixels"] else None)


def _cursor_text(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    return f"{cursor.item_id}" if cursor.pixels is None else f"{cursor.item_id}-{cursor.pixels}"

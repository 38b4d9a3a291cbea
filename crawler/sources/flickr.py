"""The source `flickr`: photographs of Flickr's members and of museums, each under a licence. It needs a key.

A query gives 4,000 photographs only, the most relevant first. From there on the same query is asked newest first, in
slices of the date of upload, each of which begins where the one before ended; what comes twice is asked for once.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.sources.answers import (
    address,
    iso_date,
    json_object,
    mapping,
    media_type_by_name,
    objects,
    plain,
    text,
    whole,
)
from crawler.sources.asking import PAUSE_SECONDS, check_key, check_keywords, check_status, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from crawler.sources.sizes import LeastSize, Size, suitable
from pipeline.license_choices import ANY, is_chosen
from pipeline.licenses import UNKNOWN, license_by_id
from pipeline.records import DeclaredLicense

PAGE_SIZE = 100
MOST_RESULTS = 4000
"""Pages beyond repeat the last one."""

# As `flickr.photos.licenses.getInfo` lists them; 0 is all rights reserved.
LICENSES: Mapping[str, str] = {
    "1": "CC-BY-NC-SA-2.0",
    "2": "CC-BY-NC-2.0",
    "3": "CC-BY-NC-ND-2.0",
    "4": "CC-BY-2.0",
    "5": "CC-BY-SA-2.0",
    "6": "CC-BY-ND-2.0",
    "9": "CC0-1.0",
    "10": "PDM-1.0",
    "11": "CC-BY-4.0",
    "12": "CC-BY-SA-4.0",
    "13": "CC-BY-ND-4.0",
    "14": "CC-BY-NC-4.0",
    "15": "CC-BY-NC-SA-4.0",
    "16": "CC-BY-NC-ND-4.0",
}
# Statements that are no licence: what they permit depends on the country.
_STATEMENTS: Mapping[str, tuple[str, str]] = {
    "0": ("All rights reserved", "https://www.flickrhelp.com/hc/en-us/articles/10710266545556"),
    "7": ("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    "8": ("United States government work", "https://www.usa.gov/government-copyright"),
}
_SIZES: Mapping[str, str] = {
    "o": "original",
    "k": "2048 px",
    "h": "1600 px",
    "l": "1024 px",
    "c": "800 px",
    "z": "640 px",
}
_EXTRAS = ("license", "owner_name", "date_taken", "date_upload", "tags", "description", "original_format", "o_dims")
_INVALID_KEY = frozenset({96, 97, 98, 99, 100})
_UNAVAILABLE = frozenset({10, 105, 201})
_MEMBER = re.compile(r"\d{1,20}@N\d{1,4}")
_SAFE_ONLY, _ALL_LEVELS = 1, 3
# `datetakengranularity`: 0 to the second, 4 to the month, 6 to the year, 8 circa.
_DATE_LENGTHS: Mapping[str, int] = {"0": 10, "4": 7, "6": 4, "8": 4}


class Flickr(ApiSource):
    """Searches the photographs of Flickr."""

    name = "flickr"
    title = "Flickr"
    homepage = "https://www.flickr.com/"
    terms = "https://www.flickr.com/help/terms/api"
    # 3,600 requests an hour for one key.
    manners = Manners(delay_seconds=1.0)
    media_manners: ClassVar[Mapping[str, Manners]] = {
        "live.staticflickr.com": Manners(delay_seconds=0.5, concurrency=2),
    }
    credential = "flickr"
    credential_required = True
    default_base = "https://api.flickr.com"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:
        """The first page for each keyword.

        Raises:
            SourceError: There is no key or no keyword, or Flickr has no such licence.
        """
        check_keywords(self.name, keywords)
        check_key(self.name, has_credential=has_credential, where="https://www.flickr.com/services/apps/create/")
        fixed: dict[str, object] = {"safe_search": _ALL_LEVELS if filters.mature else _SAFE_ONLY}
        if filters.license != ANY:
            fixed["license"] = ",".join(_wanted(filters.license))
        if filters.since:
            fixed["min_taken_date"] = _moment(filters.since, is_last=False)
        if filters.until:
            fixed["max_taken_date"] = _moment(filters.until, is_last=True)
        state = {**LeastSize.of(filters).to_state(), "fixed": fixed, "sort": "relevance", "before": None}
        return [self._page(keyword, 1, state) for keyword in keywords]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """The photographs of a page, and the request for the next page or slice."""
        check_status(self.title, status, keyed=True)
        data = json_object(answer)
        if data.get("stat") != "ok":
            raise self._problem(data)
        page = mapping(data.get("photos"))
        photos = list(objects(page.get("photo")))
        least, fixed = LeastSize.from_state(request.state), mapping(request.state.get("fixed"))
        is_safe = fixed.get("safe_search") == _SAFE_ONLY
        items = (_item(photo, request.keyword, least, is_safe=is_safe) for photo in photos)
        return ApiAnswer(
            items=tuple(item for item in items if item is not None),
            requests=tuple(self._next(request, whole(page.get("total")) or 0, photos)),
        )

    def _problem(self, data: Mapping[str, Any]) -> ApiProblem:
        code = whole(data.get("code"))
        line = f"{self.title}: {(text(data.get('message')) or 'it tells no reason')[:200]} (code {code})"
        if code in _INVALID_KEY:
            return ApiProblem(line, is_final=True)
        return ApiProblem(line, retry_after_seconds=PAUSE_SECONDS if code in _UNAVAILABLE else None)

    def _page(self, keyword: str, page: int, state: Mapping[str, object]) -> ApiRequest:
        parameters: list[tuple[str, object]] = [
            ("method", "flickr.photos.search"),
            ("format", "json"),
            ("nojsoncallback", 1),
            ("text", keyword),
            ("media", "photos"),
            ("content_type", 1),
            ("sort", state["sort"]),
            *mapping(state["fixed"]).items(),
            ("extras", ",".join((*_EXTRAS, *(f"url_{size}" for size in _SIZES)))),
            ("per_page", PAGE_SIZE),
            ("page", page),
        ]
        if state["before"] is not None:
            parameters.append(("max_upload_date", state["before"]))
        url = query_url(f"{self.base}/services/rest/", parameters)
        return ApiRequest(url, keyword, state={**state, "page": page}, secret={"?api_key": "flickr"})

    def _next(self, request: ApiRequest, total: int, photos: Sequence[Mapping[str, Any]]) -> Iterator[ApiRequest]:
        state, page = request.state, request.state.get("page")
        if not isinstance(page, int) or not photos or page * PAGE_SIZE >= total:
            return
        if page * PAGE_SIZE < MOST_RESULTS:
            yield self._page(request.keyword, page + 1, state)
        elif state["sort"] == "relevance":
            yield self._page(request.keyword, 1, {**state, "sort": "date-posted-desc"})
        else:
            uploads = [moment for photo in photos if (moment := whole(photo.get("dateupload"))) is not None]
            before = state["before"]
            if uploads:
                # The limit is inclusive, as several photographs may have one second; but it must go down.
                oldest = min(uploads) if not isinstance(before, int) else min(*uploads, before - 1)
                yield self._page(request.keyword, 1, {**state, "before": oldest})


def _wanted(license_: str) -> tuple[str, ...]:
    """Flickr's numbers of the licences that a filter lets pass."""
    found = tuple(number for number, spdx in LICENSES.items() if is_chosen(license_by_id(spdx), license_))
    if not found:
        raise SourceError(f"flickr has no photographs under {license_}; it has {', '.join(LICENSES.values())}")
    return found


def _moment(date: str, *, is_last: bool) -> str:
    """The first, or last, second of a year, month or day in ISO 8601, as Flickr writes it."""
    year, month, day = (*date.split("-"), "", "")[:3]
    month = month or ("12" if is_last else "01")
    day = day[:2] or (str(calendar.monthrange(int(year), int(month))[1]) if is_last else "01")
    return f"{year}-{month}-{day} {'23:59:59' if is_last else '00:00:00'}"


def _item(photo: Mapping[str, Any], keyword: str, least: LeastSize, *, is_safe: bool) -> ImageItem | None:
    """A photograph; None without an address in any size, or without a number."""
    number, owner = whole(photo.get("id")), text(photo.get("owner")) or ""
    size = suitable(_sizes(photo), least)
    if number is None or size is None:
        return None
    member = quote(owner, safe="@") if _MEMBER.fullmatch(owner) else None
    description = photo.get("description")
    return ImageItem(
        image_url=size.url,
        # Without the owner, Flickr finds the page by the number alone.
        page_url=f"https://www.flickr.com/photos/{member}/{number}/"
        if member
        else f"https://www.flickr.com/photo.gne?id={number}",
        title=text(photo.get("title")),
        caption=plain(mapping(description).get("_content") if isinstance(description, dict) else description),
        tags=tuple((text(photo.get("tags")) or "").split()),
        creator=text(photo.get("ownername")),
        creator_url=f"https://www.flickr.com/people/{member}/" if member else None,
        license=_license(photo.get("license")),
        found_by=keyword or None,
        source_id=str(number),
        width=size.width,
        height=size.height,
        media_type=media_type_by_name(size.url),
        created=_taken(photo),
        mature=False if is_safe else None,
        rendition=size.label,
    )


def _sizes(photo: Mapping[str, Any]) -> Iterator[Size]:
    for name, label in _SIZES.items():
        url = address(photo.get(f"url_{name}"))
        if url is not None:
            yield Size(url, whole(photo.get(f"width_{name}")), whole(photo.get(f"height_{name}")), label)


def _license(value: Any) -> DeclaredLicense | None:
    number = text(value)
    if number is None:
        return None
    if number in LICENSES:
        known = license_by_id(LICENSES[number])
        return DeclaredLicense(known.id, known.url, "flickr", known.name)
    words, url = _STATEMENTS.get(number, (f"Flickr's licence number {number[:20]}", None))
    return DeclaredLicense(UNKNOWN, url, "flickr", words)


def _taken(photo: Mapping[str, Any]) -> str | None:
    """When it was taken, as exactly as its owner knows; None where Flickr only guesses from the upload."""
    if text(photo.get("datetakenunknown")) == "1":
        return None
    length = _DATE_LENGTHS.get(text(photo.get("datetakengranularity")) or "0", 4)
    return (iso_date(photo.get("datetaken")) or "")[:length] or None

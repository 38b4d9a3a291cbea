"""The source `nasa`: NASA's image library. No key.

A query gives its first 10,000 answers only. What is beyond is had by the same query over spans of years, halved until
each is below that; pictures that come twice that way are asked for once.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

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
    texts,
    whole,
)
from crawler.sources.asking import check_keywords, check_status, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from crawler.sources.sizes import LeastSize, Size, suitable
from pipeline.licenses import NASA_MEDIA_GUIDELINES, UNKNOWN
from pipeline.records import DeclaredLicense

PAGE_SIZE = 100
MOST_RESULTS = 10_000
"""The library refuses a page beyond."""

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_WEB_PAGE = "https://images.nasa.gov/details"
_LABEL = re.compile(r"~(?P<label>orig|large|medium|small)\.[a-z]+$", re.IGNORECASE)
# The longer sides of the library's own renditions; the thumbnail is not taken, nor its twin of the same size.
_USUAL_SIDES = {"large": 1920, "medium": 1280, "small": 640}
# What the manifest is asked with, and must be known of the picture when it comes.
_KEPT = (
    "nasa_id", "title", "description", "description_508", "center", "date_created", "keywords", "photographer",
    "secondary_creator", "location",
)  # fmt: skip
_OTHERS = re.compile(
    r"©|\(c\)|\bcopyright"
    r"|\bcourtesy\b(?!\W*(?:of\s+)?(?:the\s+)?(?:NASA|to|call|visit)\b)"
    r"|\bcredits?:(?!\W*(?:the\s+)?NASA\b)",
    re.IGNORECASE,
)
_MAX_ID = 200
_MOST_SAID = 100_000


class Nasa(ApiSource):
    """Searches the NASA Image and Video Library for pictures."""

    name = "nasa"
    title = "NASA Image and Video Library"
    homepage = "https://images.nasa.gov/"
    terms = "https://www.nasa.gov/nasa-brand-center/images-and-media/"
    manners = Manners(delay_seconds=0.5)
    default_base = "https://images-api.nasa.gov"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:  # noqa: ARG002  # it takes none
        """The first page for each keyword.

        Raises:
            SourceError: No keyword is given.
        """
        check_keywords(self.name, keywords)
        first = int(filters.since[:4]) if filters.since else _FIRST_YEAR
        last = int(filters.until[:4]) if filters.until else _LAST_YEAR
        state = {**LeastSize.of(filters).to_state(), "first": first, "last": last}
        return [self._page(keyword, 1, state) for keyword in keywords]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """Of a page: its pictures, requests for the manifests of those that need it, and for the next page."""
        if status == 400 and (reason := text(_object_or_nothing(answer).get("reason"))):
            raise ApiProblem(f"{self.title}: {reason[:200]}")
        check_status(self.title, status)
        collection = mapping(json_object(answer).get("collection"))
        least = LeastSize.from_state(request.state)
        if isinstance(data := request.state.get("picture"), dict):
            size = suitable(self._sizes(collection.get("items")), least)
            return ApiAnswer(items=(_item(data, size, request.keyword),) if size else ())
        items, requests = [], []
        for entry in objects(collection.get("items")):
            data = next(objects(entry.get("data")), {})
            if not 0 < len(text(data.get("nasa_id")) or "") <= _MAX_ID or data.get("media_type", "image") != "image":
                continue
            if (size := suitable(self._sizes(entry.get("links")), least)) is not None:
                items.append(_item(data, size, request.keyword))
            else:
                requests.append(self._manifest(data, request.keyword, least))
        return ApiAnswer(tuple(items), (*requests, *self._next(request, collection)))

    def _page(self, keyword: str, page: int, state: Mapping[str, object]) -> ApiRequest:
        parameters: list[tuple[str, object]] = [("q", keyword), ("media_type", "image")]
        if state["first"] != _FIRST_YEAR:
            parameters.append(("year_start", state["first"]))
        if state["last"] != _LAST_YEAR:
            parameters.append(("year_end", state["last"]))
        parameters += [("page_size", PAGE_SIZE), ("page", page)]
        return ApiRequest(query_url(f"{self.base}/search", parameters), keyword, state={**state, "page": page})

    def _manifest(self, data: Mapping[str, Any], keyword: str, least: LeastSize) -> ApiRequest:
        url = f"{self.base}/asset/{quote(text(data.get('nasa_id')) or '', safe='')}"
        picture = {name: data[name] for name in _KEPT if name in data}
        return ApiRequest(url, keyword, state={**least.to_state(), "picture": picture})

    def _next(self, request: ApiRequest, collection: Mapping[str, Any]) -> Iterator[ApiRequest]:
        """The next page; after the last that can be had, the two halves of the span of years."""
        state, page = request.state, request.state.get("page")
        first, last = state.get("first"), state.get("last")
        if not isinstance(page, int) or not isinstance(first, int) or not isinstance(last, int):
            return
        total = whole(mapping(collection.get("metadata")).get("total_hits")) or 0
        # A half is not read to its cap first: what it holds, its own halves hold too.
        if total > MOST_RESULTS and first < last and (page * PAGE_SIZE >= MOST_RESULTS or "is_half" in state):
            middle = (first + last) // 2
            for span in ({"first": first, "last": middle}, {"first": middle + 1, "last": last}):
                yield self._page(request.keyword, 1, {**state, **span, "is_half": True})
        elif (
            page * PAGE_SIZE < MOST_RESULTS
            and collection.get("items")
            and (
                total > page * PAGE_SIZE or any(link.get("rel") == "next" for link in objects(collection.get("links")))
            )
        ):
            yield self._page(request.keyword, page + 1, state)

    def _sizes(self, links: Any) -> Iterator[Size]:
        """The renditions among the links of an answer, or the files of a manifest, that can be kept; no thumbnails."""
        for link in objects(links):
            url = self._address(link.get("href"))
            if url is None or (label := _LABEL.search(urlsplit(url).path)) is None or not media_type_by_name(url):
                continue
            kind = label["label"].lower()
            width, height = whole(link.get("width")), whole(link.get("height"))
            yield Size(url, width, height, "original" if kind == "orig" else kind, _USUAL_SIDES.get(kind))

    def _address(self, href: Any) -> str | None:
        """An address in the library, which writes some without encryption and some with spaces."""
        url = address(href)
        return f"https:{url[5:]}" if url and url.startswith("http:") and self.base.startswith("https:") else url


def _item(data: Mapping[str, Any], size: Size, keyword: str) -> ImageItem:
    nasa_id = text(data.get("nasa_id")) or ""
    creators = dict.fromkeys(texts([data.get("photographer"), data.get("secondary_creator")]))
    return ImageItem(
        image_url=size.url,
        page_url=f"{_WEB_PAGE}/{quote(nasa_id, safe='')}",
        title=text(data.get("title")),
        alt=plain(data.get("description_508")),
        caption=plain(data.get("description")),
        tags=texts(data.get("keywords")),
        creator=text(", ".join(creators)) or _center(data),
        license=_license(data),
        found_by=keyword or None,
        source_id=nasa_id,
        width=size.width,
        height=size.height,
        media_type=media_type_by_name(size.url),
        created=iso_date(data.get("date_created")),
        attribution=text(", ".join(["NASA", *(each for each in creators if each != "NASA")])),
        rendition=size.label,
    )


def _center(data: Mapping[str, Any]) -> str:
    """NASA, and which of its centres."""
    center = text(data.get("center"))
    return (text(f"NASA/{center}") if center and center != "HQ" else None) or "NASA"


def _license(data: Mapping[str, Any]) -> DeclaredLicense:
    """NASA's guidelines, unless a mark of somebody else's rights stands in what is said of the picture."""
    for name in ("photographer", "secondary_creator", "title", "description", "description_508"):
        said = data.get(name)
        # In full: such marks stand at the end of long texts.
        words = " ".join(
            each[:_MOST_SAID] for each in (said if isinstance(said, list) else [said]) if isinstance(each, str)
        )
        if mark := _OTHERS.search(words := html.unescape(words)):
            return DeclaredLicense(UNKNOWN, None, declared_by="nasa", text=text(words[mark.start() :][:100]) or "")
    found = NASA_MEDIA_GUIDELINES
    return DeclaredLicense(found.id, found.url, declared_by="nasa", text=found.name)


def _object_or_nothing(answer: bytes) -> Mapping[str, Any]:
    try:
        return json_object(answer)
    except ValueError:
        return {}

"""The source `internet-archive`: pictures of archive.org that declare a licence. No key; digests of all files.

A search gives items, and what files an item has is a request of its own. The search ends at 10,000 items; from there on
the archive's endless listing of the same query is read, without the items that were asked for already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.sources.answers import (
    address,
    declared_license,
    iso_date,
    json_object,
    mapping,
    objects,
    plain,
    text,
    texts,
    whole,
)
from crawler.sources.asking import check_keywords, check_status, lucene_words, next_cursor, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from pipeline.license_choices import ADAPTABLE, ANY, COMMERCIAL, SHAREABLE, chosen_licenses
from pipeline.licenses import UNKNOWN, license_from_url
from pipeline.records import DeclaredLicense

ROWS = 50
MOST_SEARCHED = 10_000
"""The search gives no items beyond."""
LISTED_AT_ONCE = 100
"""The fewest that the listing gives."""
MOST_FILES = 20
"""How many files of one item are taken: some are whole albums, or books of scanned pages."""

_FORMATS: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "animated gif": "image/gif",
}
_LICENSED = "(licenseurl:*creativecommons* OR licenseurl:*publicdomain*)"
_IDENTIFIER = re.compile(r"[A-Za-z0-9][\w.-]{0,200}", re.ASCII)
_HEX = {"sha1": re.compile(r"[0-9a-f]{40}"), "md5": re.compile(r"[0-9a-f]{32}")}
_MAX_NAME = 500
_MAX_CREATORS = 5


class InternetArchive(ApiSource):
    """Searches the items of the Internet Archive that are pictures."""

    name = "internet-archive"
    title = "Internet Archive"
    homepage = "https://archive.org/details/image"
    terms = "https://archive.org/about/terms"
    manners = Manners(delay_seconds=0.5)
    default_base = "https://archive.org"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:  # noqa: ARG002  # it takes none
        """The first page for each keyword.

        Raises:
            SourceError: No keyword is given, or the one licence that is wanted is not known here.
        """
        check_keywords(self.name, keywords)
        license_terms = _license_terms(filters.license)
        queries = [f"({lucene_words(keyword)}) AND mediatype:image{license_terms}" for keyword in keywords]
        return [self._search(keyword, query, 1, "") for keyword, query in zip(keywords, queries, strict=True)]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """Of a search or listing: requests for its items, and for the next page. Of an item: its pictures."""
        check_status(self.title, status)
        data = json_object(answer)
        if (error := text(data.get("error"))) is not None:
            raise ApiProblem(f"{self.title}: {error[:200]}")
        kind = request.state.get("ask")
        if kind == "item":
            return self._item_answer(data, request)
        found = data.get("items") if kind == "listing" else mapping(data.get("response")).get("docs")
        names = [name for each in objects(found) if (name := _identifier(each.get("identifier")))]
        if kind == "listing":
            seen = frozenset(str(request.state.get("seen", "")).split())
            return ApiAnswer(requests=(*self._items(names, request.keyword, seen), *self._next_listing(request, data)))
        pages = self._next_page(request, mapping(data.get("response")), names)
        return ApiAnswer(requests=(*self._items(names, request.keyword), *pages))

    def _search(self, keyword: str, query: str, page: int, seen: str) -> ApiRequest:
        """One page of the search; `seen`: the names on the pages before, where they will be needed."""
        parameters = [("q", query), ("fl[]", "identifier"), ("rows", ROWS), ("page", page), ("output", "json")]
        url = query_url(f"{self.base}/advancedsearch.php", parameters)
        return ApiRequest(url, keyword, state={"ask": "search", "query": query, "page": page, "seen": seen})

    def _listing(self, request: ApiRequest, seen: str, cursor: str | None) -> ApiRequest:
        query = request.state.get("query")
        parameters: list[tuple[str, object]] = [("q", query), ("fields", "identifier"), ("count", LISTED_AT_ONCE)]
        if cursor is not None:
            parameters.append(("cursor", cursor))
        url = query_url(f"{self.base}/services/search/v1/scrape", parameters)
        state = {"ask": "listing", "query": query, "seen": seen, "cursor": cursor}
        return ApiRequest(url, request.keyword, state=state)

    def _items(self, names: Sequence[str], keyword: str, seen: frozenset[str] = frozenset()) -> Iterator[ApiRequest]:
        for name in dict.fromkeys(names):
            if name not in seen:
                yield ApiRequest(f"{self.base}/metadata/{name}", keyword, state={"ask": "item", "item": name})

    def _next_page(
        self, request: ApiRequest, response: Mapping[str, Any], names: Sequence[str]
    ) -> Iterator[ApiRequest]:
        page, query, seen = request.state.get("page"), request.state.get("query"), request.state.get("seen")
        total = whole(response.get("numFound")) or 0
        if not (isinstance(page, int) and isinstance(query, str) and isinstance(seen, str)):
            return
        if total > MOST_SEARCHED:
            seen = f"{seen} {' '.join(names)}".strip()
        if page * ROWS >= MOST_SEARCHED and total > MOST_SEARCHED:
            yield self._listing(request, seen, None)
        elif response.get("docs") and page * ROWS < min(total, MOST_SEARCHED):
            yield self._search(request.keyword, query, page + 1, seen)

    def _next_listing(self, request: ApiRequest, data: Mapping[str, Any]) -> Iterator[ApiRequest]:
        cursor = next_cursor(data.get("cursor"), before=request.state.get("cursor"))
        if cursor is not None and data.get("items"):
            yield self._listing(request, str(request.state.get("seen", "")), cursor)

    def _item_answer(self, data: Mapping[str, Any], request: ApiRequest) -> ApiAnswer:
        name = _identifier(request.state.get("item"))
        about = mapping(data.get("metadata"))
        # A missing item answers with an empty object.
        if name is None or not about or data.get("is_dark") is True or _is_true(about.get("access-restricted-item")):
            return ApiAnswer()
        files = _pictures(data.get("files"))
        items = tuple(self._item(name, about, file, request.keyword) for file in files[:MOST_FILES])
        left = len(files) - len(items)
        note = f"{self.title}: item {name} has {len(files)} pictures; the first {MOST_FILES} are taken"
        return ApiAnswer(items, notes=(note,) if left else ())

    def _item(self, name: str, about: Mapping[str, Any], file: Mapping[str, Any], keyword: str) -> ImageItem:
        path = file["name"]
        url = f"{self.base}/download/{name}/{quote(path, safe='/')}"
        titles = texts([about.get("title"), file.get("title")])
        return ImageItem(
            image_url=address(url) or url,
            page_url=f"{self.base}/details/{name}",
            title=titles[0] if titles else None,
            caption=plain(text(about.get("description"))),
            alt=titles[1] if len(titles) > 1 and titles[1] != titles[0] else None,
            tags=texts([tag for each in texts(about.get("subject")) for tag in each.split(";")]),
            creator=text(", ".join(texts(about.get("creator"))[:_MAX_CREATORS])),
            license=_license(about),
            found_by=keyword or None,
            source_id=f"{name}/{path}",
            source_hash=_hash(file),
            width=whole(file.get("width")),
            height=whole(file.get("height")),
            size_bytes=whole(file.get("size")),
            media_type=_format(file),
            created=iso_date(about.get("date")) or iso_date(about.get("year")),
            attribution=text(about.get("credits")),
            rendition="original" if file.get("source") == "original" else "derivative",
        )


def _license_terms(wanted: str) -> str:
    """The part of the query that asks for a licence; the filter looks again at what comes."""
    if wanted == ANY:
        return ""
    if wanted in (SHAREABLE, ADAPTABLE, COMMERCIAL):
        without = "" if wanted == SHAREABLE else " AND NOT licenseurl:*-nd*"
        without += " AND NOT licenseurl:*-nc*" if wanted == COMMERCIAL else ""
        return f" AND {_LICENSED}{without}"
    addresses = [each.url for each in chosen_licenses(wanted) if each.url and license_from_url(each.url) == each]
    if not addresses:
        raise SourceError(f"internet-archive: {wanted} is no licence that can be searched for there")
    # Such as `by-sa` of creativecommons.org/licenses/by-sa/4.0/: slashes would need escapes that differ by version.
    return f" AND licenseurl:*{addresses[0].split('/')[4]}*"


def _identifier(value: Any) -> str | None:
    """An item's name as the archive permits it, which needs no escapes in an address."""
    name = text(value)
    return name if name is not None and _IDENTIFIER.fullmatch(name) else None


def _is_true(value: Any) -> bool:
    return value is True or text(value) == "true"


def _format(file: Mapping[str, Any]) -> str | None:
    return _FORMATS.get((text(file.get("format")) or "").lower())


def _pictures(files: Any) -> list[dict[str, Any]]:
    """The files to take: the originals that can be kept; else what the archive made of those that cannot (TIFF).

    Its own thumbnail has another format (`Item Tile`), and so have the small versions (`JPEG Thumb`).
    """
    usable = [
        file
        for file in objects(files)
        if _format(file)
        and isinstance(file.get("name"), str)
        and 0 < len(file["name"]) <= _MAX_NAME
        and file["name"].isprintable()
        and not _is_true(file.get("private"))
    ]
    originals = [file for file in usable if file.get("source") == "original"]
    return originals or [file for file in usable if file.get("source") == "derivative"]


def _hash(file: Mapping[str, Any]) -> str | None:
    for kind, pattern in _HEX.items():
        digest = (text(file.get(kind)) or "").lower()
        if pattern.fullmatch(digest):
            return f"{kind}:{digest}"
    return None


def _license(about: Mapping[str, Any]) -> DeclaredLicense | None:
    """The licence that `licenseurl` names. The free text of `rights` is kept, and is no licence, but may deny one."""
    name, rights = InternetArchive.name, " ".join(texts(about.get("rights")))[:500]
    declared = declared_license(name, url=about.get("licenseurl"), terms=rights)
    if declared is None and rights:
        return DeclaredLicense(UNKNOWN, None, name, rights)
    return declared

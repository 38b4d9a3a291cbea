"""Wikimedia Commons: the free media archive behind Wikipedia, by the search of its own API.

Source: https://www.mediawiki.org/wiki/API:Search, API:Imageinfo, API:Etiquette, Help:CirrusSearch, and the extension
CommonsMetadata, whose `extmetadata` is what is read here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from crawler.errors import SourceError
from crawler.filters import FORMATS, Filters
from crawler.items import ImageItem
from crawler.sources.answers import address, declared_license, json_object, mapping, objects, plain, text, whole
from crawler.sources.asking import PAUSE_SECONDS, check_status, lucene_phrase, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from crawler.sources.markup import parse_html, web_address
from crawler.sources.media_hosts import WIKIMEDIA_THUMBNAILS
from pipeline.licenses import PUBLIC_DOMAIN_MARK, UNKNOWN
from pipeline.records import DeclaredLicense

WIDTHS = (960, 1280, 1920, 3840)
"""Widths in pixels that Wikimedia scales pictures to, as far as they are enough to dream on; it refuses others."""

LICENSE_ITEMS: Mapping[str, str] = {
    "CC-BY-4.0": "Q20007257",
    "CC-BY-SA-4.0": "Q18199165",
    "CC0-1.0": "Q6938433",
}
"""SPDX id -> the licence in Wikidata. Older licences have one for each country, so they are told apart here."""

_QUERY: Mapping[str, object] = {
    "action": "query",
    "format": "json",
    "formatversion": 2,
    "generator": "search",
    "gsrnamespace": 6,
    # With scaled pictures, no more than this are answered at once.
    "gsrlimit": 50,
    "prop": "imageinfo",
    "iiprop": "url|size|mime|sha1|mediatype|timestamp|user|extmetadata",
    "iiextmetadatafilter": "LicenseShortName|License|LicenseUrl|UsageTerms|Artist|Credit|ImageDescription|ObjectName"
    "|AttributionRequired|Copyrighted|Restrictions|DateTimeOriginal|Categories",
    "maxlag": 5,
}
_CONTINUATION = re.compile(r"continue|[a-z]+(?:continue|offset)")
_MAX_CONTINUATION = 500
_MAXLAG_SECONDS = 5.0  # what API:Etiquette recommends
_PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error", "cirrussearch-", "search-error")
_FINAL = ("blocked", "autoblocked", "globalblocking", "permissiondenied", "mwoauth")

_MEDIA_TYPE = re.compile(r"image/[a-z0-9.+-]{1,40}")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_DATE = re.compile(r"(\d{4})(?:[-:](\d\d)(?:[-:](\d\d)(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?")
_TIME_TAG = re.compile(r"<time\b[^<>]{0,200}?\bdatetime\s*=\s*[\"']([^\"'<>]{1,40})[\"']", re.IGNORECASE)
_FILE_ENDING = re.compile(r"\.[A-Za-z0-9]{2,5}$")


class Wikimedia(ApiSource):
    """The search of Wikimedia Commons.

    Pictures are taken scaled to 960 pixels in width, or the next width that the filters let pass, which is enough to
    dream on and spares the host originals of 50 MB; smaller originals are taken as they are.
    """

    name = "wikimedia"
    title = "Wikimedia Commons"
    homepage = "https://commons.wikimedia.org/"
    terms = "https://www.mediawiki.org/wiki/Wikimedia_APIs/Rate_limits"
    # At most three at once, and 200 a minute.
    manners = Manners(delay_seconds=0.3, concurrency=3)
    media_manners = WIKIMEDIA_THUMBNAILS
    default_base = "https://commons.wikimedia.org"

    def begin(
        self,
        keywords: Sequence[str],
        filters: Filters,
        *,
        has_credential: bool,  # noqa: ARG002  # there is none
    ) -> Sequence[ApiRequest]:
        """One search for each keyword; see `ApiSource.begin`."""
        if not keywords:
            raise SourceError(f"{self.name} searches by keywords, and none is given")
        state = {"width": _width(filters), "filters": dataclasses.asdict(filters)}
        return [
            self._request(keyword, {**state, "search": _search(keyword, filters), "continue": {}})
            for keyword in keywords
        ]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """Pictures, best first, and the continuation; see `ApiSource.parse`."""
        if status == 403:
            raise ApiProblem("Wikimedia Commons refuses this client (HTTP 403)", is_final=True)
        check_status(self.title, status)
        data = json_object(answer)
        _raise_error(data)
        filters = Filters.from_json(mapping(request.state["filters"]))
        pages = sorted(_pages(mapping(data.get("query")).get("pages")), key=_rank)
        return ApiAnswer(
            items=tuple(item for page in pages if (item := _item(page, request.keyword, filters)) is not None),
            requests=tuple(self._continued(request, data.get("continue"))),
            notes=tuple(_warnings(data.get("warnings"))),
        )

    def _continued(self, request: ApiRequest, value: Any) -> Iterator[ApiRequest]:
        """The request once more with everything that the answer wants added to it."""
        further = {
            name: str(position)
            for name, position in mapping(value).items()
            if _CONTINUATION.fullmatch(name) and isinstance(position, (str, int)) and not isinstance(position, bool)
        }
        too_long = sum(map(len, further.values())) > _MAX_CONTINUATION
        # An answer that leads to itself would have no end.
        if further and not too_long and further != request.state["continue"]:
            yield self._request(request.keyword, {**request.state, "continue": further})

    def _request(self, keyword: str, state: Mapping[str, Any]) -> ApiRequest:
        query = {**_QUERY, "gsrsearch": state["search"], "iiurlwidth": state["width"], **state["continue"]}
        return ApiRequest(query_url(f"{self.base}/w/api.php", query.items()), keyword, state=state)


def _search(keyword: str, filters: Filters) -> str:
    """The search for a keyword, with as many filters as it has words for.

    Sizes are asked for as more than one pixel less, as the documentation leaves open whether `>` includes the number.
    """
    terms = ["filetype:bitmap", lucene_phrase(keyword)]
    types = [media_type for media_type, name in FORMATS.items() if name in filters.formats]
    if len(filters.formats) == 1 and types:
        terms.append(f"filemime:{types[0]}")
    terms += [
        f"{word}:>{least - 1}" for word, least in (("filew", filters.min_width), ("fileh", filters.min_height)) if least
    ]
    items = {license_id.lower(): item for license_id, item in LICENSE_ITEMS.items()}
    if filters.license.lower() in items:
        terms.append(f"haswbstatement:P275={items[filters.license.lower()]}")
    return " ".join(terms)


def _width(filters: Filters) -> int:
    """The least width that lets an ordinary photograph, three wide and two high, pass the filters."""
    least = max(filters.min_width, filters.min_height * 3 / 2)
    return next((width for width in WIDTHS if width >= least), WIDTHS[-1])


def _pages(value: Any) -> Iterator[dict[str, Any]]:
    """The pages of a list (`formatversion=2`), or of an object by page id (1)."""
    return objects(list(value.values()) if isinstance(value, dict) else value)


def _rank(page: Mapping[str, Any]) -> float:
    return whole(page.get("index")) or float("inf")


@dataclass(frozen=True)
class _File:
    """One file of a picture."""

    url: str
    width: int | None
    height: int | None
    media_type: str | None
    rendition: str
    size_bytes: int | None = None
    hash: str | None = None

    def passes(self, filters: Filters) -> bool:
        return filters.objection_to(self.width, self.height, self.media_type) is None


def _item(page: Mapping[str, Any], keyword: str, filters: Filters) -> ImageItem | None:
    info = next(objects(page.get("imageinfo")), None)
    # Version 1 of the format has an empty text where version 2 has `true`.
    if info is None or info.get("filemissing", False) is not False:
        return None
    file = _choose(info, filters)
    if file is None:
        return None
    said = {name: mapping(entry).get("value") for name, entry in mapping(info.get("extmetadata")).items()}
    name = text(page.get("title")) or ""
    artist = said.get("Artist")
    license_ = _license(said)
    return ImageItem(
        image_url=file.url,
        page_url=address(info.get("descriptionurl")) or file.url,
        title=plain(said.get("ObjectName")) or _FILE_ENDING.sub("", name.partition(":")[2] or name) or None,
        caption=plain(said.get("ImageDescription")),
        tags=tuple(_categories(said.get("Categories"))),
        creator=plain(artist),
        creator_url=_first_link(artist),
        license=license_,
        found_by=keyword or None,
        source_id=text(whole(page.get("pageid"))),
        source_hash=file.hash,
        width=file.width,
        height=file.height,
        size_bytes=file.size_bytes,
        media_type=file.media_type,
        created=_created(said.get("DateTimeOriginal")),
        attribution=_attribution(plain(artist), license_, plain(said.get("LicenseShortName"))),
        rendition=file.rendition,
    )


def _choose(info: Mapping[str, Any], filters: Filters) -> _File | None:
    """The scaled file; the original where it is no larger, where only it passes the filters, and where it is all."""
    original, scaled = _original(info), _scaled(info)
    if original is None or scaled is None or original.url == scaled.url:
        return original or scaled
    # What we cannot keep, such as TIFF, Wikimedia gives scaled as JPEG.
    if original.media_type not in FORMATS:
        return scaled
    is_small = original.width is not None and scaled.width is not None and original.width <= scaled.width
    return original if is_small or (original.passes(filters) and not scaled.passes(filters)) else scaled


def _original(info: Mapping[str, Any]) -> _File | None:
    url, sha1 = address(info.get("url")), text(info.get("sha1")) or ""
    if url is None:
        return None
    return _File(
        url,
        whole(info.get("width")),
        whole(info.get("height")),
        _media_type(info.get("mime")),
        "original",
        whole(info.get("size")),
        f"sha1:{sha1.lower()}" if _SHA1.fullmatch(sha1) else None,
    )


def _scaled(info: Mapping[str, Any]) -> _File | None:
    """The scaled file; the sha1 that is announced is the original's, so it has none."""
    url, width = address(info.get("thumburl")), whole(info.get("thumbwidth"))
    if url is None:
        return None
    rendition = f"{width} px" if width else ""
    return _File(url, width, whole(info.get("thumbheight")), _media_type(info.get("thumbmime")), rendition)


def _media_type(value: Any) -> str | None:
    found = (text(value) or "").lower()
    return found if _MEDIA_TYPE.fullmatch(found) else None


def _license(said: Mapping[str, Any]) -> DeclaredLicense | None:
    """The licence. Much that is in the public domain has a name and no address."""
    name, code = plain(said.get("LicenseShortName")), (text(said.get("License")) or "").lower()
    declared = declared_license(Wikimedia.name, url=said.get("LicenseUrl"), name=name or code or said.get("UsageTerms"))
    if declared is None:
        return None
    is_free = (name or "").lower().startswith("public domain") or code == "pd" or code.startswith("pd-")
    if declared.id == UNKNOWN and is_free and text(said.get("Copyrighted")) != "True":
        declared = dataclasses.replace(declared, id=PUBLIC_DOMAIN_MARK.id, url=PUBLIC_DOMAIN_MARK.url)
    restrictions = ", ".join(filter(None, (plain(said.get("Restrictions")) or "").split("|")))
    # Rights of others than the author, such as of the person shown, that no licence gives.
    return (
        dataclasses.replace(declared, text=f"{declared.text}; restrictions: {restrictions}"[:500])
        if restrictions
        else declared
    )


def _attribution(artist: str | None, declared: DeclaredLicense | None, name: str | None) -> str | None:
    """The line of credit as Commons itself proposes it: author, licence, and where it is from."""
    if artist is None:
        return None
    terms = name or (declared.text if declared is not None else None)
    return text(", ".join(filter(None, (artist, terms, "via Wikimedia Commons"))))


def _categories(value: Any) -> Iterator[str]:
    names = (plain(name) for name in value.split("|")) if isinstance(value, str) else iter(())
    return iter(dict.fromkeys(name for name in names if name))


def _first_link(value: Any) -> str | None:
    """The first link of an HTML text; those of Commons often have no scheme."""
    if not isinstance(value, str) or "<" not in value:
        return None
    links = (web_address(Wikimedia.homepage, link.get("href")) for link in parse_html(value[:4000]).iter("a"))
    return next((address(link) for link in links if link), None)


def _created(value: Any) -> str | None:
    """The day, month or year that a text states, and nothing else; None for all that leaves it open (`circa 1890`)."""
    if not isinstance(value, str):
        return None
    marked = _TIME_TAG.search(value[:4000])
    match = _DATE.fullmatch((marked[1] if marked else plain(value) or "").strip())
    if match is None:
        return None
    year, month, day = match.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return "-".join(part for part in (year, month, day) if part)


def _raise_error(data: Mapping[str, Any]) -> None:
    """Errors come with status 200.

    Raises:
        ApiProblem: This is one.
    """
    error = mapping(data.get("error")) or next(objects(data.get("errors")), {})
    if not error:
        return
    code = text(error.get("code")) or "error"
    said = f"Wikimedia Commons: {plain(error.get('info')) or plain(error.get('text')) or 'no reason given'} ({code})"
    if code == "maxlag":
        raise ApiProblem(said, retry_after_seconds=_MAXLAG_SECONDS)
    if code.startswith(_PASSING):
        raise ApiProblem(said, retry_after_seconds=PAUSE_SECONDS)
    raise ApiProblem(said, is_final=code.startswith(_FINAL))


def _warnings(value: Any) -> Iterator[str]:
    """Warnings by module: each a text under `warnings`, or `*` in version 1 of the format."""
    for module, entry in mapping(value).items():
        said = mapping(entry).get("warnings") or mapping(entry).get("*")
        if warning := plain(said):
            yield f"Wikimedia Commons: {warning} ({text(module)})"

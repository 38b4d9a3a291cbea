"""The source `europeana`: pictures of the libraries, archives and museums of Europe. It needs a key.

Each picture lies on the server of the institution that has it. Europeana writes the asker's key into addresses of its
answers (`guid`, `link`), so none of those is taken over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.sources.answers import (
    address,
    declared_license,
    iso_date,
    json_object,
    mapping,
    media_type_by_name,
    objects,
    plain,
    text,
    texts,
)
from crawler.sources.asking import check_key, check_keywords, check_status, lucene_words, next_cursor, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from pipeline.license_choices import ADAPTABLE, ANY, SHAREABLE, chosen_kinds

ROWS = 100
_FIRST_CURSOR = "*"
_ID = re.compile(r"/[\w.-]{1,100}/[\w.~-]{1,400}", re.ASCII)
_MAX_TAGS = 50
_MAX_CREATORS = 5
# Of the licences in use there, these are what Europeana calls `open`; the other ones of Creative Commons `restricted`.
_OPEN = frozenset({"CC0", "PDM", "CC-BY", "CC-BY-SA"})


class Europeana(ApiSource):
    """Searches Europeana for pictures that may be reused."""

    name = "europeana"
    title = "Europeana"
    homepage = "https://www.europeana.eu/"
    terms = "https://www.europeana.eu/rights/terms-of-use"
    manners = Manners(delay_seconds=0.5)
    credential = "europeana"
    credential_required = True
    default_base = "https://api.europeana.eu"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:
        """The first page for each keyword.

        Raises:
            SourceError: There is no key or no keyword, or the one licence that is wanted is not known here.
        """
        check_keywords(self.name, keywords)
        check_key(self.name, has_credential=has_credential, where="https://apis.europeana.eu/")
        return [self._page(keyword, _reusability(filters.license), _FIRST_CURSOR) for keyword in keywords]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """The pictures of a page, and the request for the next one."""
        check_status(self.title, status, keyed=True)
        try:
            data = json_object(answer)
        except ValueError:
            # Not with the beginning of the answer, where the key stands.
            raise ValueError("not a JSON object") from None
        if data.get("success") is False:
            raise ApiProblem(f"{self.title}: {(text(data.get('error')) or 'it tells no reason')[:200]}")
        entries = list(objects(data.get("items")))
        items = (_item(entry, request.keyword) for entry in entries)
        return ApiAnswer(
            items=tuple(item for item in items if item is not None),
            requests=tuple(self._next(request, data.get("nextCursor"))) if entries else (),
        )

    def _page(self, keyword: str, reusability: str, cursor: str) -> ApiRequest:
        parameters: list[tuple[str, object]] = [("query", lucene_words(keyword)), ("qf", "TYPE:IMAGE")]
        if reusability:
            parameters.append(("reusability", reusability))
        parameters += [("media", "true"), ("profile", "rich"), ("rows", ROWS), ("cursor", cursor)]
        return ApiRequest(
            query_url(f"{self.base}/record/v2/search.json", parameters),
            keyword,
            state={"reusability": reusability, "cursor": cursor},
            secret={"X-Api-Key": "europeana"},
        )

    def _next(self, request: ApiRequest, cursor: Any) -> Iterator[ApiRequest]:
        if (following := next_cursor(cursor, before=request.state.get("cursor"))) is not None:
            yield self._page(request.keyword, str(request.state.get("reusability", "")), following)


def _reusability(license_: str) -> str:
    """What Europeana calls the licences that a filter lets pass; empty for any."""
    if license_ == ANY:
        return ""
    kinds = chosen_kinds(license_)
    if not kinds:
        raise SourceError(f"europeana: {license_} is no licence that can be searched for there")
    if license_ == ADAPTABLE:
        return "open"
    if license_ == SHAREABLE:
        return ""  # open and restricted, and more, which is left out later
    return "open" if kinds & _OPEN else "restricted"


def _item(entry: Mapping[str, Any], keyword: str) -> ImageItem | None:
    """A record's picture; None when its institution shows only a page about it."""
    identifier = entry.get("id")
    image = next((url for each in _list(entry.get("edmIsShownBy")) if (url := address(each))), None)
    if image is None or not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        return None
    titles = texts(entry.get("title"))
    institution = text(entry.get("dataProvider"))
    return ImageItem(
        image_url=image,
        page_url=f"https://www.europeana.eu/item{identifier}",
        title=titles[0] if titles else None,
        alt=text(" / ".join(titles[1:])),
        caption=plain(text(entry.get("dcDescription"))),
        tags=tuple(_tags(entry)),
        creator=text(", ".join(_creators(entry))),
        license=declared_license("europeana", url=entry.get("rights")),
        found_by=keyword or None,
        source_id=identifier,
        media_type=media_type_by_name(urlsplit(image).path),
        created=iso_date(entry.get("year")),
        attribution=text(f"{institution}, via Europeana") if institution else None,
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _creators(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Names only: some institutions give addresses of authority files instead."""
    return tuple(name for name in texts(entry.get("dcCreator")) if "://" not in name)[:_MAX_CREATORS]


def _tags(entry: Mapping[str, Any]) -> list[str]:
    """The concepts' names, those in English first, as keywords may be in any language."""
    labels = mapping(entry.get("edmConceptPrefLabelLangAware"))
    rows = [labels.get("en"), *(values for language, values in labels.items() if language != "en")]
    return list(dict.fromkeys(label for row in rows for label in texts(row) if "://" not in label))[:_MAX_TAGS]

"""The source `met`: the Metropolitan Museum of Art, whose pictures of works in the public domain are CC0. No key.

The API has no paging: a search answers with the numbers of all objects, which may be tens of thousands, and each object
is a request of its own. The numbers travel in `ApiRequest.state` as one text; each portion of requests brings the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.sources.answers import address, iso_date, json_object, media_type_by_name, objects, text, texts, whole
from crawler.sources.asking import PAUSE_SECONDS, check_keywords, check_status, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from pipeline.license_choices import is_chosen
from pipeline.licenses import CC0
from pipeline.records import DeclaredLicense

PORTION = 50
"""How many objects are put in line at once."""

_API = "/public/collection/v1"
_WEB_PAGE = "https://www.metmuseum.org/art/collection/search"
# Years that the API takes for "since ever" and "until ever": it wants both or none.
_FIRST_YEAR, _LAST_YEAR = "-10000", "2100"


class Met(ApiSource):
    """Searches the collection of the Metropolitan Museum of Art."""

    name = "met"
    title = "The Metropolitan Museum of Art"
    homepage = "https://www.metmuseum.org/art/collection"
    terms = "https://metmuseum.github.io/"
    # Its documents permit 80 requests a second, but some thirty quick ones make its guard close for a while.
    manners = Manners(delay_seconds=1.0)
    media_manners: ClassVar[Mapping[str, Manners]] = {
        "images.metmuseum.org": Manners(delay_seconds=1.0, concurrency=2),
    }
    default_base = "https://collectionapi.metmuseum.org"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:  # noqa: ARG002  # it takes none
        """One search for each keyword.

        Raises:
            SourceError: No keyword is given, or only pictures under some other licence than CC0 are wanted.
        """
        check_keywords(self.name, keywords)
        if not is_chosen(CC0, filters.license):
            raise SourceError(f"met has pictures under {CC0.id} only, none under {filters.license}")
        return [ApiRequest(self._search_url(keyword, filters), keyword) for keyword in keywords]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """Of a search: requests for the first objects. Of an object: its picture, and the next portion of requests."""
        if status == 403:
            raise ApiProblem(f"{self.title} closed its door for a while (HTTP 403)", retry_after_seconds=PAUSE_SECONDS)
        if "object" not in request.state:
            check_status(self.title, status)
            return ApiAnswer(requests=self._portion(request.keyword, _numbers(json_object(answer))))
        rest = request.state.get("rest")
        more = self._portion(request.keyword, rest) if isinstance(rest, str) else ()
        if status not in (200, 404):
            if more:
                # The rest hangs on this answer: worth another try.
                raise ApiProblem(f"{self.title} answers HTTP {status}", retry_after_seconds=PAUSE_SECONDS)
            check_status(self.title, status)
        try:
            # 404: a number that the search still has, and the collection no longer.
            item = _item(json_object(answer), request.keyword) if status == 200 else None
        except ValueError:
            if not more:
                raise
            item = None
        return ApiAnswer(items=(item,) if item else (), requests=more)

    def _search_url(self, keyword: str, filters: Filters) -> str:
        parameters: list[tuple[str, object]] = [("hasImages", "true"), ("q", keyword)]
        if filters.since or filters.until:
            parameters.append(("dateBegin", filters.since[:4] if filters.since else _FIRST_YEAR))
            parameters.append(("dateEnd", filters.until[:4] if filters.until else _LAST_YEAR))
        return query_url(f"{self.base}{_API}/search", parameters)

    def _portion(self, keyword: str, numbers: str) -> tuple[ApiRequest, ...]:
        """Requests for the first of these objects; the last of them carries the numbers that are left."""
        parts = numbers.split(",", PORTION) if numbers else []
        first, rest = parts[:PORTION], parts[PORTION:]
        states: list[dict[str, object]] = [{"object": int(number)} for number in first]
        if rest:
            states[-1]["rest"] = rest[0]
        return tuple(
            ApiRequest(f"{self.base}{_API}/objects/{state['object']}", keyword, state=state) for state in states
        )


def _numbers(found: Mapping[str, Any]) -> str:
    """The numbers of the objects, best first, separated by commas; empty when there are none (`null`)."""
    numbers = found.get("objectIDs")
    if not isinstance(numbers, list):
        return ""
    return ",".join(str(number) for number in dict.fromkeys(whole(each) for each in numbers) if number is not None)


def _item(data: Mapping[str, Any], keyword: str) -> ImageItem | None:
    """The object's picture; None when it has none, as where its rights are not cleared."""
    number, image = whole(data.get("objectID")), address(data.get("primaryImage"))
    if image is None or number is None:
        return None
    credit = text(data.get("creditLine"))
    tags = (*(term for tag in objects(data.get("tags")) if (term := text(tag.get("term")))), *_kinds(data))
    return ImageItem(
        image_url=image,
        page_url=address(data.get("objectURL")) or f"{_WEB_PAGE}/{number}",
        title=text(data.get("title")),
        caption=text(", ".join(texts([data.get("objectDate"), data.get("medium")]))),
        tags=tuple(dict.fromkeys(tags)),
        creator=text(data.get("artistDisplayName")),
        creator_url=address(data.get("artistWikidata_URL")) or address(data.get("artistULAN_URL")),
        license=_license(data),
        found_by=keyword or None,
        source_id=str(number),
        media_type=media_type_by_name(urlsplit(image).path),
        created=_created(data),
        attribution=text(f"The Metropolitan Museum of Art, New York. {credit}") if credit else None,
        rendition="original",
    )


def _license(data: Mapping[str, Any]) -> DeclaredLicense | None:
    if data.get("isPublicDomain") is not True:
        return None
    return DeclaredLicense(CC0.id, CC0.url, declared_by="met", text="isPublicDomain")


def _kinds(data: Mapping[str, Any]) -> tuple[str, ...]:
    return texts([data.get(name) for name in ("objectName", "classification", "culture", "department")])


def _created(data: Mapping[str, Any]) -> str | None:
    """The year of completion: `objectDate` is for people, such as "ca. 1890-95"."""
    year = whole(data.get("objectEndDate"))
    return f"{year:04}" if year is not None and year <= int(_LAST_YEAR) else iso_date(data.get("objectDate"))

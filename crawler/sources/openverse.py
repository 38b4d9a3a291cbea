"""Openverse: openly licensed pictures of many museums, archives and photo sites, found by one search.

Source: the API's own documentation at https://api.openverse.org/, and the open source of its server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.sources.answers import (
    address,
    declared_license,
    json_object,
    mapping,
    media_type_by_name,
    objects,
    plain,
    text,
    whole,
)
from crawler.sources.asking import PAUSE_SECONDS, lucene_phrase, query_url
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, Manners
from crawler.sources.media_hosts import WIKIMEDIA_ORIGINALS
from pipeline.license_choices import ADAPTABLE, ANY, COMMERCIAL, chosen_kinds
from pipeline.records import DeclaredLicense

PAGE_SIZE = 20
PAGE_SIZE_WITH_KEY = 50
DEEPEST_RESULT = 240
"""No query gives more results than this, with a key or without."""

LICENSES = ("by", "by-sa", "by-nc", "by-nc-sa", "cc0", "pdm", "sampling+", "nc-sampling+", "by-nd", "by-nc-nd")
EXTENSIONS: Mapping[str, str] = {"jpeg": "jpg,jpeg", "png": "png", "gif": "gif", "webp": "webp"}
# Least pixels of each; those of the next are too many.
SIZES: Mapping[str, int] = {"small": 0, "medium": 640 * 480, "large": 1600 * 900}

_THROTTLED = re.compile(r"available in (\d{1,9}) second", re.IGNORECASE)
_TOO_LONG_SECONDS = 600.0  # then it is the quota of the day that is used up


class Openverse(ApiSource):
    """The search of Openverse.

    A query gives no more than `DEEPEST_RESULT` pictures. One that has more is split, by licence, then by shape, size,
    file type and category, as far as needed; only then, as each part costs requests.
    """

    name = "openverse"
    title = "Openverse"
    homepage = "https://openverse.org/"
    terms = "https://docs.openverse.org/terms_of_service.html"
    # 20 a minute without a key. How many a day depends on the key, and a 429 tells when they are used up.
    manners = Manners(delay_seconds=3.0)
    media_manners = WIKIMEDIA_ORIGINALS
    credential = "openverse"
    default_base = "https://api.openverse.org"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:
        """One query for each keyword; see `ApiSource.begin`."""
        if not keywords:
            raise SourceError(f"{self.name} searches by keywords, and none is given")
        fixed, open_ = _query(filters)
        size = PAGE_SIZE_WITH_KEY if has_credential else PAGE_SIZE
        secret = {"Authorization": "openverse"} if has_credential else {}
        return [
            self._request(word, {"q": lucene_phrase(word), **fixed}, open_=open_, page_size=size, secret=secret)
            for word in keywords
        ]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """Pictures, and the next page or the parts of the query; see `ApiSource.parse`."""
        if status == 401 and request.secret:
            again = self._again(request, page=1, page_size=PAGE_SIZE, secret={})
            return ApiAnswer(requests=(again,), notes=(f"Openverse does not accept the key: {_detail(answer)}",))
        if status != 200:
            raise _problem(status, answer)
        data = json_object(answer)
        results = data.get("results")
        if not isinstance(results, list):
            raise ValueError(f"no list of results: {answer[:60]!r}")  # noqa: TRY004  # as for any other bad answer
        return ApiAnswer(
            items=tuple(item for result in objects(results) if (item := _item(result, request.keyword)) is not None),
            requests=tuple(self._further(request, found=len(results), page_count=whole(data.get("page_count")))),
            notes=tuple(_warnings(data.get("warnings"))),
        )

    def _further(self, request: ApiRequest, *, found: int, page_count: int | None) -> Iterator[ApiRequest]:
        """The next page; or, when there is one that may not be asked for, the parts of the query."""
        page, page_size = _number(request, "page"), _number(request, "page_size")
        if not found:
            return
        if (page + 1) * page_size <= DEEPEST_RESULT:
            if page_count is None or page_count > page:
                yield self._again(request, page=page + 1)
        # `page_count` may be cut to what may be asked for, so a full last page is a sign of more, too.
        elif page_count is None or page_count > page or found >= page_size:
            yield from self._parts(request)

    def _parts(self, request: ApiRequest) -> Iterator[ApiRequest]:
        open_: dict[str, list[str]] = dict(mapping(request.state["open"]))
        if not open_:
            return
        name = next(iter(open_))
        values = open_.pop(name)
        params = {key: value for key, value in mapping(request.state["params"]).items() if key != "license_type"}
        for value in values:
            yield self._again(request, page=1, params={**params, name: value}, open=open_)

    def _again(self, request: ApiRequest, *, secret: Mapping[str, str] | None = None, **changes: object) -> ApiRequest:
        state = {**request.state, **changes}
        return self._request(
            request.keyword,
            mapping(state["params"]),
            open_=mapping(state["open"]),
            page=int(str(state["page"])),
            page_size=int(str(state["page_size"])),
            secret=request.secret if secret is None else secret,
        )

    def _request(
        self,
        keyword: str,
        params: Mapping[str, str],
        *,
        open_: Mapping[str, list[str]],
        page_size: int,
        secret: Mapping[str, str],
        page: int = 1,
    ) -> ApiRequest:
        query = {**params, "page_size": page_size, "page": page}
        return ApiRequest(
            query_url(f"{self.base}/v1/images/", query.items()),
            keyword,
            state={"params": dict(params), "open": dict(open_), "page": page, "page_size": page_size},
            secret=secret,
        )


def _query(filters: Filters) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The parameters for some filters, and by which parameters, with which values, such a query can be split.

    Raises:
        SourceError: Openverse has no pictures under that licence.
    """
    licenses = _licenses(filters.license)
    wanted = {
        "aspect_ratio": (_shapes(filters), ("wide", "tall", "square")),
        "size": (_sizes(filters), tuple(SIZES)),
        "extension": ([EXTENSIONS[name] for name in EXTENSIONS if name in (filters.formats or EXTENSIONS)], EXTENSIONS),
        "category": ([], ()),
    }
    params = {name: ",".join(values) for name, (values, every) in wanted.items() if len(values) < len(every)}
    if filters.license in _LICENSE_TYPES:
        params |= _LICENSE_TYPES[filters.license]
    else:
        params["license"] = ",".join(licenses)
    if filters.mature:
        params["mature"] = "true"
    parts = {"license": licenses, **{name: values for name, (values, _) in wanted.items()}}
    parts["category"] = ["photograph", "digitized_artwork", "illustration"]
    return params, {name: values for name, values in parts.items() if len(values) > 1}


_LICENSE_TYPES: Mapping[str, Mapping[str, str]] = {
    ADAPTABLE: {"license_type": "modification"},
    COMMERCIAL: {"license_type": "commercial,modification"},
    ANY: {},
}


def _licenses(wanted: str) -> list[str]:
    if wanted == ANY:
        return list(LICENSES)
    # The two licences for sampling are not ones that we can read, so nothing under them would be taken.
    kinds = chosen_kinds(wanted)
    found = [slug for slug in LICENSES if {"cc0": "CC0", "pdm": "PDM"}.get(slug, f"CC-{slug.upper()}") in kinds]
    if not found:
        raise SourceError(f"openverse has no pictures under the licence {wanted}; it has {', '.join(LICENSES)}")
    return found


def _shapes(filters: Filters) -> list[str]:
    """The shapes that can pass, in Openverse's sense, where only equal sides are `square`."""
    if filters.orientation is not None:
        return [{"landscape": "wide", "portrait": "tall", "square": "square"}[filters.orientation]]
    narrowest, widest = filters.min_aspect, filters.max_aspect or float("inf")
    can_pass = {"wide": widest > 1, "tall": narrowest < 1, "square": narrowest <= 1 <= widest}
    return [shape for shape, can in can_pass.items() if can]


def _sizes(filters: Filters) -> list[str]:
    least = max(1, filters.min_width) * max(1, filters.min_height)
    most = filters.max_pixels or float("inf")
    ends = [*list(SIZES.values())[1:], float("inf")]
    found = [name for (name, start), end in zip(SIZES.items(), ends, strict=True) if least < end and most >= start]
    return found or list(SIZES)


def _item(result: Mapping[str, Any], keyword: str) -> ImageItem | None:
    url = address(result.get("url"))
    if url is None:
        return None
    return ImageItem(
        image_url=url,
        page_url=address(result.get("foreign_landing_url")) or url,
        title=plain(result.get("title")),
        tags=tuple(_tags(result)),
        creator=plain(result.get("creator")),
        creator_url=address(result.get("creator_url")),
        license=_license(result),
        found_by=keyword or None,
        source_id=_uuid(result.get("id")),
        width=whole(result.get("width")),
        height=whole(result.get("height")),
        size_bytes=whole(result.get("filesize")),
        media_type=media_type_by_name(f".{text(result.get('filetype'))}") or media_type_by_name(url),
        mature=_mature(result),
        attribution=plain(result.get("attribution")),
    )


def _tags(result: Mapping[str, Any]) -> Iterator[str]:
    """The tags, and the category, each once."""
    names = [plain(tag.get("name")) for tag in objects(result.get("tags"))]
    category = (text(result.get("category")) or "").replace("_", " ")
    yield from dict.fromkeys(name for name in (*names, category) if name)


def _license(result: Mapping[str, Any]) -> DeclaredLicense | None:
    slug, version = (text(result.get(name)) or "" for name in ("license", "license_version"))
    names = {"": None, "cc0": "CC0 1.0", "pdm": "Public Domain Mark 1.0"}
    name = names.get(slug.lower(), f"CC {slug.upper()} {version}".strip())
    return declared_license(Openverse.name, url=result.get("license_url"), name=name)


def _mature(result: Mapping[str, Any]) -> bool | None:
    said, reports = result.get("mature"), result.get("unstable__sensitivity")
    if said is True or (isinstance(reports, list) and reports):
        return True
    return False if said is False else None


def _uuid(value: Any) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(request: ApiRequest, name: str) -> int:
    return int(str(request.state[name]))


def _warnings(value: Any) -> Iterator[str]:
    """The API's own warnings, each an object with a `message`, or a text."""
    for warning in value if isinstance(value, list) else [value]:
        if said := plain(warning.get("message") if isinstance(warning, dict) else warning):
            yield f"Openverse: {said}"


def _problem(status: int, answer: bytes) -> ApiProblem:
    said = f"Openverse answers {status}: {_detail(answer)}"
    if status == 429:
        found = _THROTTLED.search(_detail(answer))
        seconds = float(found[1]) if found else PAUSE_SECONDS
        return ApiProblem(said, retry_after_seconds=seconds, is_final=seconds > _TOO_LONG_SECONDS)
    if status >= 500:
        return ApiProblem(said, retry_after_seconds=PAUSE_SECONDS)
    # 403 comes from the guard before the server: it refuses this network, whatever is asked for.
    return ApiProblem(said, is_final=status in (401, 403))


def _detail(answer: bytes) -> str:
    """What an answer that is no result says: of JSON the `detail`, of HTML nothing but that it is."""
    try:
        detail = json_object(answer).get("detail")
    except ValueError:
        return "no answer of the API, but a page" if answer.lstrip()[:1] == b"<" else "without a reason"
    return text(detail if isinstance(detail, str) else json.dumps(detail)) or "without a reason"

"""From a crawl record to columns: text made fit for a database, and the licence that page or file declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.catalog.texts import storable
from pipeline.catalog.values import Item, NewSighting
from pipeline.license_declarations import agreed, declare
from pipeline.license_texts import goes_against
from pipeline.licenses import UNKNOWN, UNKNOWN_LICENSE, License, going_together, kind_of, license_on_record
from pipeline.records import CrawlRecord, DeclaredLicense

MAX_TITLE = 500
MAX_TEXT = 4000
MAX_TAGS = 100
MAX_TAG = 200
MAX_DETAIL = 500
_MAX_LICENSE_ID = 64
_MAX_SOURCE = 32


def sighting_of(
    record: CrawlRecord, *, item_id: int, run_id: int | None, sha256: str, relation: str, embedded: Mapping[str, str]
) -> NewSighting:
    """The sighting that a record tells of.

    relation: first, same_bytes or same_pixels.
    embedded: What the file says of itself; see `license_of`.
    """
    found = license_of(record, embedded)
    declared = storable_license(found) if found is not None else None
    seen_at = moment(record.found_at)
    return NewSighting(
        item_id=item_id,
        run_id=run_id,
        blob_sha256=sha256,
        relation=relation,
        source=clean(record.source, _MAX_SOURCE) or "",
        source_argument=clean(record.source_argument) or "",
        image_url=clean(record.image_url) or "",
        page_url=clean(record.page_url) or "",
        title=clean(record.title, MAX_TITLE),
        alt=clean(record.alt, MAX_TEXT),
        caption=clean(record.caption, MAX_TEXT),
        tags=tuple(tag for text in record.tags[:MAX_TAGS] if (tag := clean(text, MAX_TAG))),
        creator=clean(record.creator, MAX_TITLE),
        creator_url=clean(record.creator_url),
        license_id=declared.id or None if declared else None,
        license_url=declared.url if declared else None,
        license_declared_by=declared.declared_by or None if declared else None,
        license_text=declared.text or None if declared else None,
        http=_http(record),
        fetched_at=seen_at,
        last_seen_at=seen_at,
        source_id=clean(record.source_id, MAX_TITLE),
        made_at=clean(record.created, _MAX_SOURCE),
        attribution=clean(record.attribution, MAX_TEXT),
        rendition=clean(record.rendition, _MAX_SOURCE),
        consent=consent_of(record),
    )


def storable_license(declared: DeclaredLicense) -> DeclaredLicense:
    """A declaration whose texts every database takes, cut to the width of their columns."""
    return DeclaredLicense(
        clean(declared.id, _MAX_LICENSE_ID) or "",
        clean(declared.url),
        clean(declared.declared_by, _MAX_SOURCE) or "",
        clean(declared.text, MAX_TITLE) or "",
    )


def consent_of(record: CrawlRecord) -> dict[str, Any] | None:
    """What the site says about its use, as a JSON column; None for the user's own files."""
    if record.consent is None:
        return None
    consent = dataclasses.asdict(record.consent)
    return {**consent, "value": clean(record.consent.value, 200) or "", "where": clean(record.consent.where) or ""}


def license_of(record: CrawlRecord, embedded: Mapping[str, str]) -> DeclaredLicense | None:
    """The licence that the page declares, unless the file goes against it; else the one in the file.

    None when neither declares any.
    """
    page, file = record.license, _license_in_file(embedded)
    if page is None:
        return file
    if page.id == UNKNOWN and file is not None and file.id != UNKNOWN:
        return page
    return agreed([page, file], beside=[embedded.get("terms")])


def license_met_again(
    declared: DeclaredLicense | None, item: Item, before: Iterable[DeclaredLicense]
) -> License | None:
    """The licence that an item has from now on for what is declared where it was met again; None where it stays.

    It is the same in whatever order the picture was met: unknown where two sightings cannot both be true, else the one
    that is declared, also where the first sighting only said something that cannot be read. Another version of the same
    licence changes nothing: both may have been given.

    Args:
        declared: Where it was met now.
        item: As it is on record.
        before: What all its sightings declare; only looked at where its licence is unknown and one is declared.
    """
    known = license_on_record(item.license_id, item.license_url)
    if declared is None or item.license_id is None:
        return None
    if known.id != UNKNOWN:
        return UNKNOWN_LICENSE if _cannot_be(known, declared) else None
    given = license_on_record(declared.id, declared.url)
    return None if given.id == UNKNOWN or any(_cannot_be(given, each) for each in before) else given


def _cannot_be(license_: License, declared: DeclaredLicense) -> bool:
    if declared.id == UNKNOWN:
        return goes_against(declared.text or declared.url or "", license_)
    other = license_on_record(declared.id, declared.url)
    return kind_of(other) != kind_of(license_) and going_together([other, license_]) is None


def _license_in_file(embedded: Mapping[str, str]) -> DeclaredLicense | None:
    """What the file declares of itself: also a copyright without a licence, which is unknown then."""
    names = [embedded.get("copyright"), embedded.get("usage_terms")]
    declared_by = embedded.get("declared_by", "exif")
    return declare(
        declared_by,
        urls=[embedded.get("license_url"), embedded.get("web_statement")],
        names=names,
        terms=[embedded.get("terms")],
    )


def moment(text: str) -> datetime:
    """An ISO 8601 moment, taken as UTC when it names no zone; this moment when it cannot be read."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def clean(text: str | None, most: int | None = None) -> str | None:
    """Text that every database takes: no NUL, no half of a surrogate pair, not longer than `most` characters.

    Pages are hostile: JSON in one can spell characters that no encoding has. Empty text is None.
    """
    if not text:
        return None
    return storable(text[:most]) or None


def _http(record: CrawlRecord) -> dict[str, Any]:
    if record.http is None:
        return {}
    values = dataclasses.asdict(record.http)
    values["redirects"] = [clean(address) or "" for address in record.http.redirects]
    return {name: clean(value) if isinstance(value, str) else value for name, value in values.items()}


def fit_for_json(value: Any) -> Any:
    """JSON values whose texts every database takes."""
    if isinstance(value, str):
        return clean(value) or ""
    if isinstance(value, dict):
        return {key: fit_for_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [fit_for_json(part) for part in value]
    return value

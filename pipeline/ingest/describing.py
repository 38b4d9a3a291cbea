"""From a crawl record to columns: text made fit for a database, and the licence that page or file declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.catalog.values import NewSighting
from pipeline.licenses import UNKNOWN, license_from_text, license_from_url
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
    embedded: What the file says of itself; its licence counts when the page declares none.
    """
    declared = license_of(record, embedded)
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
        license_id=clean(declared.id, _MAX_LICENSE_ID) if declared else None,
        license_url=clean(declared.url) if declared else None,
        license_declared_by=clean(declared.declared_by, _MAX_SOURCE) if declared else None,
        license_text=clean(declared.text, MAX_TITLE) if declared else None,
        http=_http(record),
        fetched_at=seen_at,
        last_seen_at=seen_at,
        source_id=clean(record.source_id, MAX_TITLE),
        made_at=clean(record.created, _MAX_SOURCE),
        attribution=clean(record.attribution, MAX_TEXT),
        rendition=clean(record.rendition, _MAX_SOURCE),
        consent=consent_of(record),
    )


def consent_of(record: CrawlRecord) -> dict[str, Any] | None:
    """What the site says about its use, as a JSON column; None for the user's own files."""
    if record.consent is None:
        return None
    consent = dataclasses.asdict(record.consent)
    return {**consent, "value": clean(record.consent.value, 200) or "", "where": clean(record.consent.where) or ""}


def license_of(record: CrawlRecord, embedded: Mapping[str, str]) -> DeclaredLicense | None:
    """The licence that the page declares, or else the one in the file; None when neither declares any."""
    if record.license is not None:
        return record.license
    url, rights = embedded.get("license_url"), embedded.get("copyright", "")
    if url is None and not rights:
        return None
    found = (license_from_url(url) if url else None) or license_from_text(rights)
    return DeclaredLicense(
        id=found.id if found else UNKNOWN,
        url=found.url if found else url,
        declared_by=embedded.get("declared_by", "exif"),
        text=rights,
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
    fit = text[:most].replace("\0", "").encode("utf-8", errors="replace").decode("utf-8")
    return fit or None


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

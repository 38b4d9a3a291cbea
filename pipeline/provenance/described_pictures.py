"""What a manifest says of the pictures in a dream: texts of strangers, cut, and freed of the paths of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.catalog.values import Item, Sighting
from pipeline.provenance.attribution import credit_given, credited_to
from pipeline.provenance.canonical import canonical_json, cut_text, escape_xml
from pipeline.provenance.permission import license_of
from pipeline.provenance.sharing import public_url, web_address

# A JPEG holds 64 KB of XMP in one piece, and pages may declare texts of any length: each text and all sightings
# together have a limit that leaves half of that to the recipe and the facts. The catalog keeps them whole.
MAX_TEXT_BYTES = 2_000
MAX_URL_BYTES = 3_000
MAX_SIGHTINGS_BYTES = 12_000
_MAX_RULE_BYTES, _MAX_NAME_BYTES, _MOST_CONVENTIONS = 500, 60, 16


def described_input(item: Item, sightings: Sequence[Sighting] = ()) -> dict[str, Any]:
    """A guide or a mask: another picture that had a part in the dream, as C2PA's relationship of that name has it.

    sightings: all of the item's, oldest first; may be empty.
    """
    license_ = license_of(item)
    credited = credited_to(item, sightings)
    where = web_address(credited.page_url) or web_address(credited.image_url) if credited else None
    return {
        "relationship": "inputTo",
        "item": f"i{item.id}",
        "sha256": item.blob_sha256,
        "pixel_sha256": item.pixel_sha256,
        "title": _text(item.title),
        "creator": _text(item.creator),
        "page_url": _url(where),
        "license": {"id": license_.id, "name": license_.name, "url": license_.url or _url(item.license_url)},
    }


def described_source(item: Item, sightings: Sequence[Sighting]) -> dict[str, Any]:
    """The picture that a dream was made of: what it is, whose, under which licence, and where it was met.

    sightings: all of the item's, oldest first; may be empty.
    """
    first = next((each for each in sightings if each.relation == "first"), sightings[0] if sightings else None)
    license_, credited = license_of(item), credited_to(item, sightings)
    declared = next((each for each in sightings if each.license_id == item.license_id), None)
    return {
        "item": f"i{item.id}",
        "sha256": item.blob_sha256,
        "pixel_sha256": item.pixel_sha256,
        "width": item.width,
        "height": item.height,
        "format": item.format,
        "title": _text(item.title),
        "creator": _text(item.creator),
        "attribution": _text(credit_given(sightings) or None),
        "image_url": _url(first.image_url) if first else None,
        "page_url": _url(credited.page_url) if credited else None,
        "source": _text(first.source) if first else None,
        "fetched_at": _moment(first.fetched_at) if first else None,
        "license": {
            "id": license_.id,
            "name": license_.name,
            "url": license_.url or _url(web_address(item.license_url)),
            "declared_by": _text(declared.license_declared_by) if declared else None,
        },
        "consent": _consent(sightings),
        "sightings": _sightings(sightings),
        "sighting_count": len(sightings),
    }


def _sightings(sightings: Sequence[Sighting]) -> list[dict[str, Any]]:
    """As many as the limit lets in, oldest first; `sighting_count` tells whether any were left out."""
    kept, left = [], MAX_SIGHTINGS_BYTES
    for each in sightings:
        entry = {
            "image_url": _url(each.image_url),
            "page_url": _url(each.page_url),
            "source": _text(each.source),
            "fetched_at": _moment(each.fetched_at),
            "license_id": _text(each.license_id),
        }
        # What is left of the limit, measured as the text will stand in XML.
        size = len(escape_xml(canonical_json(entry)).encode("utf-8"))
        if size > left:
            break
        left -= size
        kept.append(entry)
    return kept


def _consent(sightings: Sequence[Sighting]) -> dict[str, Any] | None:
    """What sites said last about the use of the picture by machines; None when none was asked."""
    verdicts = [each.consent for each in sightings if each.consent]
    if not verdicts:
        return None
    last = max(verdicts, key=lambda each: str(each.get("checked_at", "")))
    return {
        "allowed": bool(last.get("allowed")),
        "rule": _short(last.get("rule")),
        "value": _short(last.get("value")),
        "where": _short(public_url(str(last.get("where") or ""))),
        "checked_at": _short(last.get("checked_at")),
        "checked": [_short(each, _MAX_NAME_BYTES) for each in _list(last.get("checked"))[:_MOST_CONVENTIONS]],
    }


def _short(value: Any, max_bytes: int = _MAX_RULE_BYTES) -> str:
    return cut_text(str(value or ""), max_bytes)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(text: str | None) -> str | None:
    return None if text is None else cut_text(text, MAX_TEXT_BYTES)


def _url(url: str | None) -> str | None:
    return None if url is None else cut_text(public_url(url), MAX_URL_BYTES)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

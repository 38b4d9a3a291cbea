"""Writes what a record says: keywords, the ledger, withdrawals, and what came of candidates without bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import ItemKeyword
from pipeline.duplicates.withdrawals import refresh_withdrawal
from pipeline.errors import Reason
from pipeline.ingest.candidates import FAILED, FILTERED, KNOWN, POSTPONED, REFUSED, Taken
from pipeline.ingest.describing import (
    MAX_DETAIL,
    MAX_TITLE,
    clean,
    consent_of,
    fit_for_json,
    license_of,
    moment,
)
from pipeline.ingest.validation import Examined
from pipeline.records import CrawlRecord, Outcome

_OUTCOMES = {Outcome.REFUSED: REFUSED, Outcome.FILTERED: FILTERED, Outcome.POSTPONED: POSTPONED}


def facts_of(record: CrawlRecord, embedded: Mapping[str, str]) -> dict[str, str | None]:
    """What is said of a picture, by its page first and then by its file."""
    declared = license_of(record, embedded)
    return {
        "title": clean(record.title, MAX_TITLE) or embedded.get("title"),
        "creator": clean(record.creator, MAX_TITLE) or embedded.get("creator"),
        "license_id": clean(declared.id, 64) if declared else None,
        "license_url": clean(declared.url) if declared else None,
    }


def keywords_of(record: CrawlRecord) -> list[ItemKeyword]:
    """The keywords that a picture was found by."""
    matches = ((clean(match.keyword), match) for match in record.matches)
    return [ItemKeyword(keyword, tuple(match.fields), match.score) for keyword, match in matches if keyword]


def record_known(uow: UnitOfWork, record: CrawlRecord) -> Taken:
    """Record that a picture was met again that the ledger had."""
    url = clean(record.image_url) or ""
    entry = uow.ledger.known([url]).get(url)
    item_id = entry.item_id if entry else None
    if item_id is None and record.sha256:
        item = uow.items.by_sha256(record.sha256)
        item_id = item.id if item else None
    if item_id is None:  # known as one that was not kept
        return Taken(KNOWN)
    uow.sightings.touch(url, seen_at=moment(record.found_at), consent=consent_of(record))
    uow.items.add_keywords(item_id, keywords_of(record))
    consent = record.consent
    # What a picture's own headers said is only unsaid by its headers.
    unread = entry is not None and entry.refused_in_headers and consent is not None and not consent.saw_headers
    if consent is not None and consent.allowed and not unread:
        uow.ledger.allow(url, consent=consent_of(record) or {})
        refresh_withdrawal(uow, item_id)
    return Taken(KNOWN, item_id)


def record_failure(uow: UnitOfWork, record: CrawlRecord) -> Taken:
    """Record that a picture was refused, filtered out or postponed, or did not come."""
    outcome = _OUTCOMES.get(record.outcome, FAILED)
    reason = record.reason or Reason.CONNECTION
    detail = clean(record.detail, MAX_DETAIL) or ""
    opted_out = record.outcome is Outcome.REFUSED and record.consent is not None and record.consent.is_opt_out
    if not (opted_out and _withdraw(uow, record, reason=reason, detail=detail)):
        state = "queued" if record.outcome is Outcome.POSTPONED else outcome
        record_fetch(uow, record, state=state, reason=reason, detail=detail)
    return Taken(outcome, None, reason, detail)


def _withdraw(uow: UnitOfWork, record: CrawlRecord, *, reason: Reason, detail: str) -> bool:
    """Withdraw the item that is here from this address, or that its source calls by the same name; if there is one."""
    url = clean(record.image_url) or ""
    facts = _seen(record)
    entry = uow.ledger.find(
        url, source=facts["source"] or "", source_id=facts["source_id"], source_hash=facts["source_hash"]
    )
    if entry is None or entry.item_id is None or entry.state not in ("kept", "withdrawn"):
        return False
    uow.ledger.withdraw(url, item_id=entry.item_id, sha256=entry.sha256, reason=reason.value, detail=detail, seen=facts)
    uow.sightings.touch(url, seen_at=moment(record.found_at), consent=facts["consent"])
    refresh_withdrawal(uow, entry.item_id)
    return True


def record_fetch(
    uow: UnitOfWork,
    record: CrawlRecord,
    *,
    state: str,
    item_id: int | None = None,
    sha256: str | None = None,
    reason: Reason | None = None,
    detail: str | None = None,
    examined: Examined | None = None,
) -> None:
    """Record in the ledger what came of a try."""
    http = record.http
    uow.ledger.record(
        clean(record.image_url) or "",
        state=state,
        reason=reason.value if reason else None,
        detail=detail,
        item_id=item_id,
        sha256=sha256,
        http_status=_status(http.status) if http else None,
        etag=clean(http.etag) if http else None,
        last_modified=clean(http.last_modified) if http else None,
        seen={
            **_seen(record, examined),
            "record": None if item_id is not None else fit_for_json(record.to_json()),
        },
    )


def _status(status: int) -> int | None:
    """A status of HTTP; None for a number that is none, of which a server may send any."""
    return status if 100 <= status <= 999 else None


def _seen(record: CrawlRecord, examined: Examined | None = None) -> dict[str, Any]:
    """What the ledger keeps of a picture beyond what came of it."""
    return {
        "source": clean(record.source, 32),
        "source_id": clean(record.source_id, MAX_TITLE),
        "source_hash": clean(record.source_hash, 140),
        # What was decoded is more certain than what was announced, and is upright.
        "width": examined.width if examined else record.width,
        "height": examined.height if examined else record.height,
        "media_type": examined.media_type if examined else clean(record.media_type, 64),
        "consent": consent_of(record),
    }

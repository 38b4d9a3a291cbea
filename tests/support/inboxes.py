"""Sealed inboxes for tests, as a crawl would hand them over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import Reason
from pipeline.inbox import InboxWriter
from pipeline.records import CrawlRecord, CrawlReport, DeclaredLicense, KeywordMatch, Outcome

FREE = DeclaredLicense("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "rel=license")
FOUND_AT = "2026-03-01T10:00:00+00:00"


def fetched(name: str, **facts: Any) -> CrawlRecord:
    """A record of a picture that was fetched from `https://example.org/<name>`."""
    return _record(Outcome.FETCHED, name, **facts)


def known(name: str, **facts: Any) -> CrawlRecord:
    """A record of a picture that the ledger had."""
    return _record(Outcome.KNOWN, name, **facts)


def failed(name: str, reason: Reason = Reason.TIMEOUT, **facts: Any) -> CrawlRecord:
    """A record of a picture that did not come."""
    return _record(Outcome.FAILED, name, reason=reason, detail="no answer", **facts)


def refused(name: str, reason: Reason = Reason.ROBOTS, **facts: Any) -> CrawlRecord:
    """A record of a picture that may not be requested."""
    return _record(Outcome.REFUSED, name, reason=reason, detail="robots.txt says no", **facts)


def _record(outcome: Outcome, name: str, *, keyword: str | None = None, **facts: Any) -> CrawlRecord:
    values: dict[str, Any] = {
        "source": "website",
        "source_argument": "https://example.org/",
        "image_url": f"https://example.org/{name}",
        "page_url": "https://example.org/",
        "found_at": FOUND_AT,
    }
    if keyword is not None:
        values["matches"] = (KeywordMatch(keyword, ("title",), 0.5),)
    return CrawlRecord(outcome=outcome, **{**values, **facts})


def sealed_inbox(
    parent: Path, candidates: Iterable[tuple[CrawlRecord, bytes | None]], *, crawl_id: str = "crawl-1", **about: Any
) -> Path:
    """An inbox with these records and bytes, in this order."""
    with InboxWriter.create(parent, crawl_id=crawl_id, about=about) as writer:
        for record, data in candidates:
            writer.add(record, data)
        writer.seal(CrawlReport(inbox=str(parent / crawl_id)))
    return parent / crawl_id

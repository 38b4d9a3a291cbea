"""Settled candidates on their way into the inbox: from an item, and what came of it, to a record. No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from crawler.candidates import Candidate
from pipeline.errors import Reason
from pipeline.records import CrawlRecord, HttpFacts, Outcome

MAX_TAGS = 50


@dataclass(frozen=True)
class Trouble:
    """Why a candidate gave nothing.

    Attributes:
        outcome: REFUSED when it was not requested, or not taken, for consent or safety; FAILED when no usable answer
            came.
        detail: One line for people.
    """

    outcome: Outcome
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Find:
    """One settled candidate: its record, and its bytes where the outcome is FETCHED."""

    record: CrawlRecord
    data: bytes | None = None


class RecordMaker:
    """Makes the finds of one source."""

    def __init__(self, source: str, argument: str) -> None:
        self._source = source
        self._argument = argument

    def fetched(self, candidate: Candidate, data: bytes, *, http: HttpFacts) -> Find:
        """A find with its bytes."""
        digest = hashlib.sha256(data).hexdigest()
        record = self._record(candidate, Outcome.FETCHED, http=http, sha256=digest, size_bytes=len(data))
        return Find(record, data)

    def known(self, candidate: Candidate, sha256: str | None) -> Find:
        """A find that needs no request."""
        return Find(self._record(candidate, Outcome.KNOWN, sha256=sha256))

    def troubled(self, candidate: Candidate, trouble: Trouble, *, http: HttpFacts | None = None) -> Find:
        """A find that gave nothing."""
        return Find(self._record(candidate, trouble.outcome, http=http, trouble=trouble))

    def _record(
        self,
        candidate: Candidate,
        outcome: Outcome,
        *,
        http: HttpFacts | None = None,
        sha256: str | None = None,
        size_bytes: int | None = None,
        trouble: Trouble | None = None,
    ) -> CrawlRecord:
        item = candidate.item
        return CrawlRecord(
            outcome=outcome,
            source=self._source,
            source_argument=self._argument,
            image_url=item.image_url,
            page_url=item.page_url,
            found_at=datetime.now(UTC).isoformat(),
            matches=candidate.matches,
            title=item.title,
            alt=item.alt,
            caption=item.caption,
            tags=item.tags[:MAX_TAGS],
            creator=item.creator,
            creator_url=item.creator_url,
            license=item.license,
            http=http,
            sha256=sha256,
            size_bytes=size_bytes,
            reason=trouble.reason if trouble else None,
            detail=trouble.detail if trouble else "",
        )

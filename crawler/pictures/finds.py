"""Settled candidates on their way into the inbox: from an item, and what came of it, to a record. No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from crawler.pictures.candidates import Candidate
from crawler.troubles import Trouble
from pipeline.records import Consent, CrawlRecord, HttpFacts, Outcome

MAX_TAGS = 50


@dataclass(frozen=True)
class Seen:
    """What the first bytes of a picture tell: pixels, upright where the orientation stands there too, and the type."""

    width: int | None = None
    height: int | None = None
    media_type: str | None = None


@dataclass(frozen=True)
class Find:
    """One settled candidate.

    Attributes:
        data: Its bytes, where the outcome is FETCHED.
        bytes_saved: Of its file, how many were not asked for or not waited for, as far as that is known.
    """

    record: CrawlRecord
    data: bytes | None = None
    bytes_saved: int = 0


class RecordMaker:
    """Makes the finds of one source."""

    def __init__(self, source: str, argument: str) -> None:
        self.source = source
        self._argument = argument

    def fetched(
        self,
        candidate: Candidate,
        data: bytes,
        *,
        http: HttpFacts,
        consent: Consent | None = None,
        seen: Seen | None = None,
    ) -> Find:
        """A find with its bytes."""
        digest = hashlib.sha256(data).hexdigest()
        record = self._record(
            candidate, Outcome.FETCHED, http=http, sha256=digest, size_bytes=len(data), consent=consent, seen=seen
        )
        return Find(record, data)

    def known(
        self, candidate: Candidate, sha256: str | None, *, consent: Consent | None = None, bytes_saved: int = 0
    ) -> Find:
        """A find whose bytes are here already."""
        record = self._record(candidate, Outcome.KNOWN, sha256=sha256, consent=consent)
        return Find(record, bytes_saved=bytes_saved)

    def troubled(
        self,
        candidate: Candidate,
        trouble: Trouble,
        *,
        http: HttpFacts | None = None,
        seen: Seen | None = None,
        bytes_saved: int = 0,
    ) -> Find:
        """A find that gave nothing."""
        consent = trouble.consent
        record = self._record(candidate, trouble.outcome, http=http, trouble=trouble, consent=consent, seen=seen)
        return Find(record, bytes_saved=bytes_saved)

    def _record(
        self,
        candidate: Candidate,
        outcome: Outcome,
        *,
        http: HttpFacts | None = None,
        sha256: str | None = None,
        size_bytes: int | None = None,
        trouble: Trouble | None = None,
        consent: Consent | None = None,
        seen: Seen | None = None,
    ) -> CrawlRecord:
        item = candidate.item
        seen = seen or Seen()
        return CrawlRecord(
            outcome=outcome,
            source=candidate.source or self.source,
            source_argument=candidate.source_argument if candidate.source else self._argument,
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
            source_id=item.source_id,
            source_hash=item.source_hash,
            created=item.created,
            attribution=item.attribution,
            rendition=item.rendition,
            width=seen.width or item.width,
            height=seen.height or item.height,
            media_type=seen.media_type or item.media_type,
            consent=consent,
        )

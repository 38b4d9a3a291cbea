"""From an item, and what came of it, to the record that goes into the inbox. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from scrapy.http import Response

from crawler.candidates import Candidate
from crawler.failures import Trouble
from crawler.items import ImageItem
from crawler.session import Find
from crawler.urls import canonical_url
from pipeline.records import CrawlRecord, HttpFacts, KeywordMatch, Outcome

MAX_TAGS = 50


class RecordMaker:
    """Makes the records of one source."""

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
        record = self._record(candidate, trouble.outcome, http=http, trouble=trouble)
        return Find(record)

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
        item: ImageItem = candidate.item
        matches: Sequence[KeywordMatch] = candidate.matches
        return CrawlRecord(
            outcome=outcome,
            source=self._source,
            source_argument=self._argument,
            image_url=item.image_url,
            page_url=item.page_url,
            found_at=datetime.now(UTC).isoformat(),
            matches=tuple(matches),
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


def http_facts(response: Response) -> HttpFacts:
    """What the server said, and the addresses passed through."""
    redirects = response.request.meta.get("redirect_urls", []) if response.request is not None else []

    def header(name: str) -> str | None:
        value = response.headers.get(name)
        return value.decode("latin-1")[:500] if value else None

    return HttpFacts(
        final_url=_canonical(response.url),
        status=response.status,
        redirects=tuple(redirects),
        content_type=header("Content-Type"),
        etag=header("ETag"),
        last_modified=header("Last-Modified"),
    )


def _canonical(url: str) -> str:
    try:
        return canonical_url(url)
    except ValueError:
        return url

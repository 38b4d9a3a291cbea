"""Pictures between being shown by a source and being settled: matched, filtered, looked up, put in line. No I/O.

What both kinds of search (`crawler.search`, `crawler.listed_search`) do with a picture once they have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crawler.candidates import Candidate, Candidates
from crawler.finds import Find, RecordMaker, Trouble
from crawler.items import ImageItem
from crawler.job import CrawlRequest
from crawler.keywords import match_keywords
from crawler.known import KnownEntry, LedgerView, counts_as_collected, needs_request
from pipeline.errors import Reason
from pipeline.records import KeywordMatch, Outcome

SEARCH_FIELD = "search"
SEARCH_SCORE = 0.01
"""What a match is worth that only the source's own search tells of: less than a word in any field."""


@dataclass(frozen=True)
class FetchImage:
    """Ask for a picture, record what came of it, and tell `image_settled`.

    Attributes:
        etag: With `last_modified`: of the bytes already here, to be told whether they have changed.
    """

    candidate: Candidate
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Recheck:
    """Ask whether a known picture may still be used, without asking for it, and tell `image_settled`.

    Attributes:
        sha256: Of the bytes that are here; None when they were not kept.
        counts: Whether it counts towards the limit.
    """

    candidate: Candidate
    sha256: str | None
    counts: bool


PictureStep = FetchImage | Recheck | Find
"""What to do next; a `Find` is to be recorded."""


class PictureQueue:
    """The queue of one crawl."""

    def __init__(self, request: CrawlRequest, *, records: RecordMaker, ledger: LedgerView) -> None:
        self._request = request
        self._records = records
        self._ledger = ledger
        self.candidates = Candidates(request.limit)

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are collected as were asked for."""
        return self.candidates.is_full

    @property
    def wants_more(self) -> bool:
        """Whether those in line and under way, if all went well, were still too few."""
        return self.candidates.wants_more

    def match(self, item: ImageItem) -> tuple[KeywordMatch, ...] | None:
        """The matches of an item; None when keywords are asked for and it has none, or an excluded word has one."""
        texts = item.texts()
        if self._request.exclusions and match_keywords(self._request.exclusions, texts):
            return None
        matches = match_keywords(self._request.keywords, texts)
        if item.found_by and item.found_by not in {match.keyword for match in matches}:
            matches = (*matches, KeywordMatch(item.found_by, (SEARCH_FIELD,), SEARCH_SCORE))
        return None if self._request.keywords and not matches else matches

    def offer(self, candidates: Iterable[Candidate]) -> list[Find]:
        """Put candidates in line; those whose bytes came already are recorded as seen here too."""
        return [
            self._records.known(candidate, self.candidates.sha256_of(candidate.item.image_url))
            for candidate in candidates
            if self.candidates.offer(candidate)
        ]

    def settle(self, candidate: Candidate, sha256: str | None, *, counts: bool) -> list[Find]:
        """A picture was fetched or is known, or (None) was not; its own find is recorded already."""
        others = self.candidates.settle(candidate, sha256=sha256, counts=counts)
        return [self._records.known(other, sha256) for other in others]

    def next(self) -> list[PictureStep]:
        """Steps for the candidates next in line; those that need no request are settled at once."""
        steps: list[PictureStep] = []
        while (candidate := self.candidates.next()) is not None:
            item = candidate.item
            entry = self._ledger.find(item, source=candidate.source or self._records.source)
            if (trouble := self._objection(item, entry)) is not None:
                steps.append(self._records.troubled(candidate, trouble))
                self.candidates.settle(candidate, sha256=None, counts=False)
            elif entry is None or needs_request(entry, self._request):
                steps.append(FetchImage(candidate))
            elif self._request.revalidate and entry.sha256 is not None:
                steps.append(FetchImage(candidate, entry.etag, entry.last_modified))
            else:
                steps.append(Recheck(candidate, entry.sha256, counts_as_collected(entry, self._request)))
        return steps

    def _objection(self, item: ImageItem, entry: KnownEntry | None) -> Trouble | None:
        if item.refusal is not None:
            return Trouble(Outcome.REFUSED, Reason.OPT_OUT, item.refusal)
        filters = self._request.filters
        seen = filters.objection_to(entry.width, entry.height, entry.media_type) if entry is not None else None
        return filters.objection(item) or seen

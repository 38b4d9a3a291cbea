"""Pictures between being shown by a source and being settled: matched, filtered, looked up, put in line. No I/O.

What both kinds of search (`crawler.search.site`, `crawler.search.listed`) do with a picture once they have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crawler.consent.verdicts import ON_PAGES, refused
from crawler.items import ImageItem
from crawler.job import CrawlRequest
from crawler.keywords import match_keywords
from crawler.known import KnownEntry, LedgerView, counts_as_collected, needs_answer, needs_request
from crawler.pictures.candidates import Candidate, Candidates
from crawler.pictures.finds import Find, RecordMaker
from crawler.troubles import Trouble
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
        sha256: Of the bytes that are here, if they have not.
        counts: Whether it then counts towards the limit.
        size_bytes: Of the file, as far as it is known; else 0.
    """

    candidate: Candidate
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    counts: bool = False
    size_bytes: int = 0


@dataclass(frozen=True)
class Recheck:
    """Ask whether a known picture may still be used, without asking for it, and tell `image_settled`.

    Attributes:
        sha256: Of the bytes that are here; None when they were not kept.
        counts: Whether it counts towards the limit.
        size_bytes: Of the file, as far as it is known; else 0.
    """

    candidate: Candidate
    sha256: str | None
    counts: bool
    size_bytes: int = 0


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
        """The matches of an item; None when keywords are asked for and it has none."""
        matches = match_keywords(self._request.keywords, item.texts())
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
            size_bytes = (entry.size_bytes if entry is not None else None) or item.size_bytes or 0
            if (trouble := objection(self._request, item, entry)) is not None:
                steps.append(self._records.troubled(candidate, trouble, bytes_saved=size_bytes))
                self.candidates.settle(candidate, sha256=None, counts=False)
            elif entry is None or needs_request(entry, self._request):
                steps.append(FetchImage(candidate))
            elif needs_answer(entry, self._request):
                counts = counts_as_collected(entry, self._request)
                validators = entry.etag, entry.last_modified
                steps.append(FetchImage(candidate, *validators, entry.sha256, counts, size_bytes))
            else:
                steps.append(Recheck(candidate, entry.sha256, counts_as_collected(entry, self._request), size_bytes))
        return steps


def objection(request: CrawlRequest, item: ImageItem, entry: KnownEntry | None) -> Trouble | None:
    """Why a picture is not asked for, by what its page, its source and the ledger say of it; None when nothing is."""
    if item.refusal is not None:
        return refused(item.refusal, ON_PAGES)
    if excluded := match_keywords(request.exclusions, item.texts()):
        where = excluded[0].fields[0].replace("_", " ")
        return Trouble(Outcome.FILTERED, Reason.EXCLUDED, f"{excluded[0].keyword!r} stands in its {where}")
    told = request.filters.objection(item) or request.objection_to(item.width, item.height, item.media_type)
    if told is not None or entry is None:
        return told
    return request.objection_to(entry.width, entry.height, entry.media_type)

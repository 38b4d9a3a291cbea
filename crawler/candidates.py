"""Which pictures to fetch next: each address once, the best match first, and never more than the limit. No I/O."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from crawler.items import ImageItem
from pipeline.records import KeywordMatch

MAX_SIGHTINGS = 3
"""How many pages a picture is recorded on, within one crawl."""


@dataclass
class Candidate:
    """One picture that matched.

    Attributes:
        item: As the first page showed it.
        matches: The keywords that it matched there.
        others: Other pages that show the same address, met while it was not settled yet.
    """

    item: ImageItem
    matches: tuple[KeywordMatch, ...]
    others: list[tuple[ImageItem, tuple[KeywordMatch, ...]]] = field(default_factory=list)

    @property
    def score(self) -> float:
        """How well it matches: the best of its matches; 0 when everything is taken."""
        return max((match.score for match in self.matches), default=0.0)


@dataclass
class _Known:
    candidate: Candidate
    pages: set[str]
    settled: bool = False
    sha256: str | None = None


class Candidates:
    """The queue between pages and downloads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counted = 0
        self._open = 0
        self._order = 0
        self._waiting: list[tuple[float, int, Candidate]] = []
        self._known: dict[str, _Known] = {}
        self._thumbnails: dict[str, list[Candidate]] = {}
        self._full_size_pages: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are settled as were asked for."""
        return self._counted >= self._limit

    def offer(self, item: ImageItem, matches: Sequence[KeywordMatch]) -> Candidate | None:
        """Put a picture in line.

        Returns a candidate when its address is settled with known bytes already and this is another page showing it:
        then only the sighting is left to record.
        """
        candidate = Candidate(item, tuple(matches))
        known = self._known.get(item.image_url)
        if known is None:
            self._known[item.image_url] = _Known(candidate, {item.page_url})
            self._order += 1
            heapq.heappush(self._waiting, (-candidate.score, self._order, candidate))
            return None
        if item.page_url in known.pages or len(known.pages) >= MAX_SIGHTINGS:
            return None
        known.pages.add(item.page_url)
        if not known.settled:
            known.candidate.others.append((item, candidate.matches))
            return None
        return candidate if known.sha256 else None

    def next(self) -> Candidate | None:
        """The best candidate in line, unless those under way may already reach the limit."""
        if not self._waiting or self._counted + self._open >= self._limit:
            return None
        self._open += 1
        return heapq.heappop(self._waiting)[2]

    def settle(self, candidate: Candidate, *, sha256: str | None, counts: bool) -> Iterator[Candidate]:
        """Tell what came of a candidate from `next`; gives the other sightings to record, when there are bytes.

        Args:
            candidate: As `next` gave it.
            sha256: Digest of the bytes, fetched or known; None when there are none.
            counts: Whether it counts towards the limit.
        """
        self._open -= 1
        self._counted += counts
        known = self._known[candidate.item.image_url]
        known.settled, known.sha256 = True, sha256
        for item, matches in candidate.others if sha256 else ():
            yield Candidate(item, matches)

    def sha256_of(self, image_url: str) -> str | None:
        """Digest of the bytes of a settled address, or None."""
        known = self._known.get(image_url)
        return known.sha256 if known else None

    def defer(self, item: ImageItem, matches: Sequence[KeywordMatch]) -> None:
        """Keep a thumbnail back: the page it links to most likely shows the picture in full size."""
        if item.thumbnail_of is not None and item.thumbnail_of not in self._full_size_pages:
            self._thumbnails.setdefault(item.thumbnail_of, []).append(Candidate(item, tuple(matches)))

    def page_read(self, url: str, *, matched: bool) -> None:
        """A page was read; where it had a match of its own, the thumbnails that link to it are of no more use."""
        if matched:
            self._full_size_pages.add(url)
            self._thumbnails.pop(url, None)

    def release_thumbnails(self, urls: Sequence[str] | None = None) -> list[Candidate]:
        """Put the thumbnails of these pages in line, which had no match or cannot be read; of all pages for None.

        Returns sightings to record, as `offer` does.
        """
        pages = list(self._thumbnails) if urls is None else [url for url in urls if url in self._thumbnails]
        thumbnails = [candidate for page in pages for candidate in self._thumbnails.pop(page)]
        offered = (self.offer(candidate.item, candidate.matches) for candidate in thumbnails)
        return [sighting for sighting in offered if sighting is not None]

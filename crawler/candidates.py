"""Which pictures to fetch next: each address once, in the order found, and never more than the limit. No I/O."""

from __future__ import annotations

from collections import deque
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
        source: Name of the source that found it and its argument, where that is not the source of this crawl.
    """

    item: ImageItem
    matches: tuple[KeywordMatch, ...]
    others: list[Candidate] = field(default_factory=list)
    source: str | None = None
    source_argument: str = ""

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
        # First come, first served: which pictures a limit leaves out must not depend on which download is faster.
        self._waiting: deque[Candidate] = deque()
        self._known: dict[str, _Known] = {}
        self._thumbnails: dict[str, list[Candidate]] = {}
        self._full_size_pages: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are settled as were asked for."""
        return self._counted >= self._limit

    @property
    def wants_more(self) -> bool:
        """Whether those in line and under way, if all went well, were still too few."""
        return self._counted + self._open + len(self._waiting) < self._limit

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._waiting)

    def offer(self, candidate: Candidate) -> bool:
        """Put a picture in line; whether its bytes came already and only this further sighting is to be recorded."""
        item = candidate.item
        known = self._known.get(item.image_url)
        if known is None:
            self._known[item.image_url] = _Known(candidate, {item.page_url})
            self._waiting.append(candidate)
            return False
        if item.page_url in known.pages or len(known.pages) >= MAX_SIGHTINGS:
            return False
        known.pages.add(item.page_url)
        if not known.settled:
            known.candidate.others.append(candidate)
        return known.settled and known.sha256 is not None

    def next(self) -> Candidate | None:
        """The first candidate in line, unless those under way may already reach the limit."""
        if not self._waiting or self._counted + self._open >= self._limit:
            return None
        self._open += 1
        return self._waiting.popleft()

    def settle(self, candidate: Candidate, *, sha256: str | None, counts: bool) -> list[Candidate]:
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
        return candidate.others if sha256 else []

    def sha256_of(self, image_url: str) -> str | None:
        """Digest of the bytes of a settled address, or None."""
        known = self._known.get(image_url)
        return known.sha256 if known else None

    def defer(self, thumbnail: Candidate) -> None:
        """Keep a thumbnail back: the page it links to most likely shows the picture in full size."""
        page = thumbnail.item.thumbnail_of
        if page is not None and page not in self._full_size_pages:
            self._thumbnails.setdefault(page, []).append(thumbnail)

    def has_full_size(self, page: str) -> None:
        """A page showed a match of its own: thumbnails that link to it are of no more use, nor will be."""
        self._full_size_pages.add(page)
        self._thumbnails.pop(page, None)

    def take_thumbnails(self, page: str | None = None) -> list[Candidate]:
        """The thumbnails kept back that link to a page, or to any; they are no longer kept here."""
        pages = list(self._thumbnails) if page is None else [page]
        return [candidate for url in pages for candidate in self._thumbnails.pop(url, ())]

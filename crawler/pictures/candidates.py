"""Which pictures to fetch next: each address once, in the order found, and never more than the limit. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b

from crawler.items import ImageItem
from pipeline.records import KeywordMatch

MAX_SIGHTINGS = 3
"""How many pages a picture is recorded on, within one crawl."""


MOST_UNDER_WAY = 256
"""How many pictures wait for their hosts' gates at once: enough for many hosts, few enough for the memory."""


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


MOST_IN_LINE = 512
"""With so many pictures in line no more are looked for: of a hundred thousand only the next few count."""

_DIGEST_BYTES = 12
_PAGE_BYTES = 6
_SHA256_BYTES = 32


@dataclass
class _Open:
    """A picture in line or under way, and the pages that it was met on."""

    candidate: Candidate
    pages: set[str]


class Candidates:
    """The queue between pages and downloads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counted = 0
        self._open = 0
        # First come, first served: which pictures a limit leaves out must not depend on which download is faster.
        self._waiting: deque[Candidate] = deque()
        self._open_ones: dict[str, _Open] = {}
        # Of those that are settled only digests are kept: of the address -> of the bytes, and of each page.
        self._settled: dict[bytes, bytes] = {}
        self._thumbnails: dict[str, list[Candidate]] = {}
        self._full_size_pages: set[bytes] = set()

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are settled as were asked for."""
        return self._counted >= self._limit

    @property
    def wants_more(self) -> bool:
        """Whether those in line and under way, if all went well, were too few, and few are in line."""
        waiting = len(self._waiting)
        return waiting < MOST_IN_LINE and self._counted + self._open + waiting < self._limit

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._waiting)

    def offer(self, candidate: Candidate) -> bool:
        """Put a picture in line; whether its bytes came already and only this further sighting is to be recorded."""
        item = candidate.item
        if (known := self._open_ones.get(item.image_url)) is not None:
            if item.page_url not in known.pages and len(known.pages) < MAX_SIGHTINGS:
                known.pages.add(item.page_url)
                known.candidate.others.append(candidate)
            return False
        key = _digest(item.image_url)
        if (settled := self._settled.get(key)) is not None:
            return bool(settled) and self._is_new_page(key, settled, item.page_url)
        self._open_ones[item.image_url] = _Open(candidate, {item.page_url})
        self._waiting.append(candidate)
        return False

    def next(self) -> Candidate | None:
        """The first candidate in line, unless those under way may already reach the limit, or are very many."""
        if not self._waiting or self._open >= min(MOST_UNDER_WAY, self._limit - self._counted):
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
        known = self._open_ones.pop(candidate.item.image_url)
        key = _digest(candidate.item.image_url)
        if sha256 is None:
            self._settled[key] = b""
            return []
        pages = b"".join(_digest(page, _PAGE_BYTES) for page in sorted(known.pages))
        self._settled[key] = bytes.fromhex(sha256) + pages
        return candidate.others

    def sha256_of(self, image_url: str) -> str | None:
        """Digest of the bytes of a settled address, or None."""
        settled = self._settled.get(_digest(image_url))
        return settled[:_SHA256_BYTES].hex() if settled else None

    def defer(self, thumbnail: Candidate) -> None:
        """Keep a thumbnail back: the page it links to most likely shows the picture in full size."""
        page = thumbnail.item.thumbnail_of
        if page is not None and _digest(page) not in self._full_size_pages:
            self._thumbnails.setdefault(page, []).append(thumbnail)

    def has_full_size(self, page: str) -> None:
        """A page showed a match of its own: thumbnails that link to it are of no more use, nor will be."""
        self._full_size_pages.add(_digest(page))
        self._thumbnails.pop(page, None)

    def take_thumbnails(self, page: str | None = None) -> list[Candidate]:
        """The thumbnails kept back that link to a page, or to any; they are no longer kept here."""
        pages = list(self._thumbnails) if page is None else [page]
        return [candidate for url in pages for candidate in self._thumbnails.pop(url, ())]

    def _is_new_page(self, key: bytes, settled: bytes, page_url: str) -> bool:
        """Whether a settled picture was not met on this page yet, nor on too many; the page is remembered then."""
        page = _digest(page_url, _PAGE_BYTES)
        seen = [settled[start : start + _PAGE_BYTES] for start in range(_SHA256_BYTES, len(settled), _PAGE_BYTES)]
        if page in seen or len(seen) >= MAX_SIGHTINGS:
            return False
        self._settled[key] = settled + page
        return True


def _digest(url: str, size: int = _DIGEST_BYTES) -> bytes:
    # Addresses of a hostile site may hold anything, half a surrogate pair included.
    return blake2b(url.encode("utf-8", "surrogatepass"), digest_size=size).digest()

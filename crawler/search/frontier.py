"""Which pages to read, in an order that does not depend on which of them answers first. No I/O.

Several pages are asked for at once, but they are read as if one had been asked for after the other: the best one known
is waited for, though others may be there. So the same site gives the same crawl, and a limit cuts it at the same place.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")
_LEAST_KEPT = 500


@dataclass(frozen=True)
class Visit:
    """A page to read.

    Attributes:
        depth: Links between it and the start page.
        on_topic: Whether the link to it spoke of a keyword.
    """

    url: str
    depth: int = 0
    on_topic: bool = False


@dataclass
class _Entry(Generic[T]):
    visit: Visit
    key: tuple[int, int]
    asked: bool = False
    answer: T | None = None


class Frontier(Generic[T]):
    """Pages between being found and being read; `T` is what a page's answer is."""

    def __init__(self, *, max_pages: int, at_once: int) -> None:
        """An empty one.

        Args:
            max_pages: Most pages read.
            at_once: Most pages asked for that are not read yet.
        """
        self._max_pages = max_pages
        self._at_once = at_once
        self._read = 0
        self._found = 0
        self._entries: dict[str, _Entry[T]] = {}
        self._heap: list[tuple[tuple[int, int], str]] = []
        self._left_out = False
        # Digests: pages come and go, but their addresses are remembered for the whole crawl.
        self._seen: set[bytes] = set()

    @property
    def was_cut(self) -> bool:
        """Whether pages were left out because the most were read."""
        return self._read >= self._max_pages and (self._left_out or bool(self._entries))

    @property
    def is_held_up(self) -> bool:
        """Whether there are answers that wait for the one of a better page."""
        head = self._head()
        return head is not None and head.answer is None and any(e.answer is not None for e in self._entries.values())

    def add(self, visit: Visit, *, priority: int) -> None:
        """Put a page in line, the higher priority first and equals in the order added; each address once."""
        if not self.mark_seen(visit.url):
            return
        self._found += 1
        self._put(_Entry(visit, (-priority, self._found)))

    def mark_seen(self, url: str) -> bool:
        """Remember an address, as of a page that another one redirected to; whether it was new."""
        digest = blake2b(url.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True

    def to_ask(self) -> Iterator[Visit]:
        """Pages to ask for now: the best that are not asked for yet, so that no more than allowed are under way."""
        room = min(self._at_once, self._max_pages - self._read)
        best = heapq.nsmallest(room, self._heap)
        under_way = sum(entry.asked for entry in self._entries.values())
        for position, (_key, url) in enumerate(best):
            entry = self._entries[url]
            # The best page is asked for in any case: all others wait for it.
            if not entry.asked and (under_way < room or position == 0):
                entry.asked = True
                under_way += 1
                yield entry.visit

    def answered(self, url: str, answer: T) -> None:
        """Tell what came of a page that was asked for."""
        if url in self._entries:
            self._entries[url].answer = answer

    def take(self) -> tuple[Visit, T] | None:
        """The page to read next with its answer; None when that has not come, or enough were read."""
        head = self._head()
        if head is None or head.answer is None or self._read >= self._max_pages:
            return None
        heapq.heappop(self._heap)
        del self._entries[head.visit.url]
        self._read += 1
        return head.visit, head.answer

    def let_others_pass(self) -> None:
        """Put the page that all others wait for behind those that have answered: it takes too long."""
        head = self._head()
        if head is None or not self.is_held_up:
            return
        heapq.heappop(self._heap)
        worst = max(entry.key for entry in self._entries.values() if entry.answer is not None)
        self._found += 1
        head.key = (worst[0], self._found)
        heapq.heappush(self._heap, (head.key, head.visit.url))

    def _put(self, entry: _Entry[T]) -> None:
        self._entries[entry.visit.url] = entry
        heapq.heappush(self._heap, (entry.key, entry.visit.url))
        if len(self._heap) > 2 * max(self._max_pages, _LEAST_KEPT):
            self._forget_the_worst()

    def _forget_the_worst(self) -> None:
        """Let go of pages that cannot be read any more, as there are better ones for all that is left to read."""
        best = heapq.nsmallest(self._max_pages - self._read, self._heap)
        kept = {url for _key, url in best} | {url for url, entry in self._entries.items() if entry.asked}
        self._left_out = self._left_out or len(kept) < len(self._heap)
        self._entries = {url: entry for url, entry in self._entries.items() if url in kept}
        self._heap = [place for place in self._heap if place[1] in kept]
        heapq.heapify(self._heap)

    def _head(self) -> _Entry[T] | None:
        return self._entries[self._heap[0][1]] if self._heap else None

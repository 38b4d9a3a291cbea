"""What a crawl of a site does next: from pages read and pictures fetched to the next pages and pictures. No I/O.

The spider carries out the steps and tells what came of them, in whatever order; the search decides in an order of its
own (`crawler.search.frontier`), so that the same site gives the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from crawler.consent.objections import Objection
from crawler.items import PageLink, ParsedPage
from crawler.job import CrawlRequest
from crawler.keywords import match_keywords
from crawler.known import LedgerView
from crawler.pictures.candidates import Candidate
from crawler.pictures.finds import Find, RecordMaker
from crawler.pictures.queue import PictureQueue, PictureStep
from crawler.search.frontier import Frontier, Visit
from crawler.search.notes import Notes
from crawler.sources.base import WebSource

# Pages with a match in their link before others, and then what such a page links to; near pages before far ones.
_MATCHING_LINK_PRIORITY = 1_000
_ON_MATCHING_PAGE_PRIORITY = 500
_DEPTH_PRIORITY = -10


@dataclass(frozen=True)
class ReadPage:
    """Ask for a page, and tell `page_came` or `page_failed`."""

    url: str
    is_start: bool


Step = ReadPage | PictureStep


@dataclass(frozen=True)
class Page:
    """A page that came.

    Attributes:
        url: Its canonical address after redirects.
        html: Its text.
        refusal: What its headers say against the use of its pictures, or None.
    """

    url: str
    html: str
    refusal: Objection | None = None


class Search:
    """One crawl of a site, as a machine without clock or network.

    Attributes:
        source: What it crawls.
    """

    def __init__(
        self, source: WebSource, request: CrawlRequest, *, records: RecordMaker, ledger: LedgerView, notes: Notes
    ) -> None:
        self.source = source
        self._request = request
        self._notes = notes
        self._queue = PictureQueue(request, records=records, ledger=ledger)
        self._second_start_url = source.second_start_url()
        self._first_failure = ""
        self._frontier: Frontier[Page | str] = Frontier(
            max_pages=request.max_pages, at_once=2 * request.concurrency_per_host
        )

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are collected as were asked for: there are no more steps."""
        return self._queue.candidates.is_full

    def waiting(self) -> int:
        """How many pictures are in line."""
        return self._queue.candidates.waiting

    @property
    def is_held_up(self) -> bool:
        """Whether pages that came wait for one that has not."""
        return self._frontier.is_held_up

    def begin(self) -> list[Step]:
        """The first steps."""
        self._frontier.add(Visit(self.source.start_url), priority=0)
        return self._steps()

    def page_came(self, asked: str, page: Page) -> list[Step]:
        """A page came; `asked` is the address of the step."""
        self._frontier.answered(asked, page)
        return self._steps()

    def page_failed(self, asked: str, why: str) -> list[Step]:
        """A page did not come."""
        self._frontier.answered(asked, why)
        return self._steps()

    def image_settled(self, candidate: Candidate, sha256: str | None, *, counts: bool) -> list[Step]:
        """A picture was fetched or is known, or (None) was not; its own find is recorded already."""
        return [*self._queue.settle(candidate, sha256, counts=counts), *self._steps()]

    def go_past(self) -> list[Step]:
        """The page that others wait for takes too long."""
        self._frontier.let_others_pass()
        return self._steps()

    def nothing_under_way(self) -> list[Step]:
        """All steps are done: thumbnails whose pages were never read are the best there is."""
        if self.is_full:
            return []
        if self._frontier.was_cut:
            self._notes.warn(f"the site has more than {self._request.max_pages} pages; the rest was not read")
        return [*self._queue.offer(self._queue.candidates.take_thumbnails()), *self._steps()]

    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        while not self.is_full and (arrival := self._frontier.take()) is not None:
            visit, answer = arrival
            steps += self._failed(visit, answer) if isinstance(answer, str) else self._read(visit, answer)
        steps += self._queue.next()
        if not self.is_full:
            steps += [ReadPage(visit.url, visit.depth == 0) for visit in self._frontier.to_ask()]
        return steps

    def _read(self, visit: Visit, page: Page) -> list[Find]:
        if visit.depth == 0:
            if not self.source.follows(page.url):
                self._notes.warn(f"{visit.url} redirects to {page.url}; that site was crawled")
            self.source.moved(page.url)
        if page.url != visit.url and not self._frontier.mark_seen(page.url):
            return []
        self._notes.page_read(urlsplit(page.url).netloc)
        try:
            parsed = self.source.parse(page.url, page.html)
        except Exception as error:  # noqa: BLE001  # pages are hostile, and one that breaks the parser is only one
            return self._failed(visit, f"could not be understood: {error!r}")
        if page.refusal is not None:
            items = (replace(item, refusal=item.refusal or page.refusal) for item in parsed.items)
            parsed = replace(parsed, items=tuple(items))
        shown, followed = self._sort(parsed, page.url)
        if shown:
            self._queue.candidates.has_full_size(visit.url)
            self._queue.candidates.has_full_size(page.url)
        else:
            shown = _shown_by_thumbnail(parsed, self._queue.candidates.take_thumbnails(visit.url))
        self._add_links(parsed.links, followed, visit=visit)
        return self._queue.offer(sorted(shown, key=lambda candidate: -candidate.score))

    def _failed(self, visit: Visit, why: str) -> list[Find]:
        line = f"{visit.url}: {why}"
        if visit.depth == 0 and self._second_start_url is not None:
            self._frontier.add(Visit(self._second_start_url), priority=0)
            self._second_start_url, self._first_failure = None, line
            return []
        if visit.depth == 0:
            line = "; ".join(filter(None, (self._first_failure, line)))
            self._notes.start_failed(line)
        self._notes.page_failed(line)
        return self._queue.offer(self._queue.candidates.take_thumbnails(visit.url))

    def _sort(self, page: ParsedPage, url: str) -> tuple[list[Candidate], set[str]]:
        """Matches to fetch from this page, and the pages that its matching thumbnails link to, which come first."""
        shown, followed = [], set()
        for item in page.items:
            if (matches := self._queue.match(item)) is None:
                continue
            candidate = Candidate(item, matches)
            target = item.thumbnail_of
            if target is None or target == url or not self.source.follows(target):
                shown.append(candidate)
            else:
                self._queue.candidates.defer(candidate)
                followed.add(target)
        return shown, followed

    def _add_links(self, links: Iterable[PageLink], followed: set[str], *, visit: Visit) -> None:
        depth = visit.depth + 1
        if depth > self._request.max_depth:
            return
        for link in links:
            fields = {"title": (link.text,), "file_name": (urlsplit(link.url).path,)}
            on_topic = link.url in followed or bool(match_keywords(self._request.keywords, fields))
            topic = _MATCHING_LINK_PRIORITY if on_topic else _ON_MATCHING_PAGE_PRIORITY * visit.on_topic
            self._frontier.add(Visit(link.url, depth, on_topic), priority=topic + _DEPTH_PRIORITY * depth)


def _shown_by_thumbnail(page: ParsedPage, thumbnails: list[Candidate]) -> list[Candidate]:
    """What to fetch from a page without a match of its own, for the thumbnails that led to it.

    Its one picture is what they show. Where it lists further thumbnails, those are judged one by one. Else the
    thumbnails are all there is.
    """
    own = [item for item in page.items if item.thumbnail_of is None]
    if thumbnails and len(own) == 1:
        first = thumbnails[0]
        described = replace(own[0], alt=own[0].alt or first.item.alt, caption=own[0].caption or first.item.caption)
        return [Candidate(described, first.matches)]
    return [] if len(page.items) > len(own) else thumbnails

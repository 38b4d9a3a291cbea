"""The one spider: asks a source what a page shows, keeps what matches the keywords, and fetches it once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DontCloseSpider
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure

from crawler.candidates import Candidate, Candidates
from crawler.downloader_middlewares import STAYS_ON_SITE
from crawler.early_abort import ABORTED, CANDIDATE, MAX_BYTES
from crawler.errors import CrawlError
from crawler.failures import Trouble, trouble_of
from crawler.items import ImageItem, PageLink, ParsedPage
from crawler.keywords import match_keywords
from crawler.resolver import REFUSED_HOSTS
from crawler.session import Find, Session, counts_as_collected, needs_request
from crawler.settings import MAX_PAGE_BYTES
from crawler.sources.base import FileSource, Source
from crawler.spiders.local_files import find_files
from crawler.spiders.records import RecordMaker, http_facts
from crawler.urls import canonical_url
from pipeline.errors import Reason
from pipeline.records import KeywordMatch, Outcome

# Pictures before pages; pages with a match in their link before others, and then what such a page links to; near pages
# before far ones.
_IMAGE_PRIORITY = 10_000
_MATCHING_LINK_PRIORITY = 1_000
_ON_MATCHING_PAGE_PRIORITY = 500
_DEPTH_PRIORITY = -10
_IMAGE_HEADERS = {
    "Accept": "image/webp,image/png,image/jpeg,image/gif;q=0.9,*/*;q=0.5",
    # The bytes are to come as they lie on the server.
    "Accept-Encoding": "identity",
}
_MAX_UNWRITTEN = 4
_IDLE_CHECK_SECONDS = 0.01


class KeywordSpider(Spider):
    """Crawls one source for one session; started by `crawler.child`, not by hand."""

    name = "keyword"

    def __init__(self, *, session: Session | None = None, source: Source | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if session is None or source is None:
            raise CrawlError("this spider needs an inbox; start crawls with `dreamcrawl crawl`")
        self.session = session
        self._source = source
        self._request = session.request
        self._candidates = Candidates(self._request.limit)
        self._records = RecordMaker(source.name, self._request.argument)
        self._pages_asked: set[str] = set()
        self._room = asyncio.Semaphore(_MAX_UNWRITTEN)

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> KeywordSpider:
        """Connected to the crawl's signals."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.idle, signal=signals.spider_idle)
        crawler.signals.connect(spider.broken, signal=signals.spider_error)
        return spider

    async def start(self) -> AsyncIterator[Any]:
        """The finds among the user's files, or the request for the start page."""
        if isinstance(self._source, FileSource):
            async for find in find_files(self._source, self.session, self._records):
                # Files are read faster than they are written; they must not pile up in memory.
                await self._room.acquire()
                yield find
            engine: Any = self.crawler.engine
            # Scrapy looks whether all is done when this ends, and then only every five seconds.
            while not engine.scraper.slot.is_idle():  # noqa: ASYNC110  # Scrapy has no event for it
                await asyncio.sleep(_IDLE_CHECK_SECONDS)
            return
        self._pages_asked.add(self._source.start_url)
        yield self._page_request(self._source.start_url, depth=0, priority=0)

    def written(self) -> None:
        """Told by the item pipeline after each find."""
        self._room.release()

    def parse_page(self, response: Response, *, depth: int, on_topic: bool) -> Iterator[Any]:
        """Pictures that match, and pages to read next."""
        source = self._source
        assert not isinstance(source, FileSource)
        asked = response.request.meta["dreamcrawl_page"] if response.request is not None else response.url
        if not isinstance(response, TextResponse):
            yield from self._page_failed(asked, "is not a web page", depth=depth)
            return
        url = canonical_url(response.url)
        if depth == 0:
            if not source.follows(url):
                self.session.warn(f"{asked} redirects to {url}; that site was crawled")
            source.moved(url)
        elif url != asked and url in self._pages_asked:
            return
        self._pages_asked.add(url)
        self.session.page_read(urlsplit(url).netloc)
        try:
            page = source.parse(url, response.text)
        except Exception as error:  # noqa: BLE001  # pages are hostile, and one that breaks the parser is only one
            yield from self._page_failed(asked, f"could not be understood: {error!r}", depth=depth)
            return
        shown, followed = self._sort(page, url)
        if shown:
            self._candidates.has_full_size(asked)
            self._candidates.has_full_size(url)
        else:
            shown = self._shown_by_thumbnail(page, self._candidates.take_thumbnails(asked))
        yield from self._page_links(page.links, followed, depth=depth, on_topic=on_topic)
        yield from self._offer(shown)
        yield from self._advance()

    def parse_image(self, response: Response, *, candidate: Candidate) -> Iterator[Any]:
        """The bytes of a candidate, or why they are of no use."""
        self.session.visiting(urlsplit(response.url).netloc)
        facts = http_facts(response)
        trouble: Trouble | None = response.request.meta.get(ABORTED) if response.request is not None else None
        if trouble is not None and "download_stopped" in response.flags:
            yield from self._settle_troubled(candidate, trouble, response=response)
            return
        find = self._records.fetched(candidate, response.body, http=facts)
        yield find
        yield from self._settle(candidate, find.record.sha256, counts=True)

    def _sort(self, page: ParsedPage, url: str) -> tuple[list[Candidate], set[str]]:
        """Matches to fetch from this page, and the pages that its matching thumbnails link to, which come first."""
        source = self._source
        assert not isinstance(source, FileSource)
        shown, followed = [], set()
        for item in page.items:
            if (matches := self._match(item)) is None:
                continue
            candidate = Candidate(item, matches)
            target = item.thumbnail_of
            if target is None or target == url or not source.follows(target):
                shown.append(candidate)
            else:
                self._candidates.defer(candidate)
                followed.add(target)
        return shown, followed

    def _shown_by_thumbnail(self, page: ParsedPage, thumbnails: list[Candidate]) -> list[Candidate]:
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

    def _offer(self, candidates: Iterable[Candidate]) -> Iterator[Find]:
        """Put candidates in line; those whose bytes came already are recorded as seen here too."""
        for candidate in candidates:
            if self._candidates.offer(candidate):
                yield self._records.known(candidate, self._candidates.sha256_of(candidate.item.image_url))

    def page_error(self, failure: Failure) -> Iterator[Any]:
        """A page that did not come; without the start page there is nothing."""
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        depth = request.cb_kwargs["depth"]
        yield from self._page_failed(request.meta["dreamcrawl_page"], trouble.detail, depth=depth)

    def image_error(self, failure: Failure) -> Iterator[Any]:
        """A candidate that was refused or did not come."""
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        response = getattr(failure.value, "response", None)
        yield from self._settle_troubled(request.cb_kwargs["candidate"], trouble, response=response)

    def idle(self) -> None:
        """Nothing is under way: thumbnails whose pages were never read are the best there is."""
        if self._candidates.is_full:
            return
        for sighting in self._offer(self._candidates.take_thumbnails()):
            self.session.add(sighting)
        engine: Any = self.crawler.engine
        asked = False
        for step in self._next_images():
            if isinstance(step, Request):
                engine.crawl(step)
                asked = True
            else:
                self.session.add(step)
        if asked:
            raise DontCloseSpider

    def broken(self, failure: Failure, response: Response) -> None:
        """A fault of ours while a page was read: told, and the crawl goes on."""
        self.session.page_failed(f"{response.url}: {failure.value!r}")

    def _match(self, item: ImageItem) -> tuple[KeywordMatch, ...] | None:
        """The matches of an item; None when keywords are asked for and it has none."""
        matches = match_keywords(self._request.keywords, item.texts())
        return None if self._request.keywords and not matches else matches

    def _page_links(
        self, links: Iterable[PageLink], followed: set[str], *, depth: int, on_topic: bool
    ) -> Iterator[Request]:
        if depth >= self._request.max_depth:
            return
        for link in links:
            if link.url in self._pages_asked:
                continue
            if len(self._pages_asked) >= self._request.max_pages:
                self.session.warn(f"the site has more than {self._request.max_pages} pages; the rest was not read")
                return
            self._pages_asked.add(link.url)
            fields = {"title": (link.text,), "file_name": (urlsplit(link.url).path,)}
            matches = link.url in followed or bool(match_keywords(self._request.keywords, fields))
            topic_priority = _MATCHING_LINK_PRIORITY if matches else _ON_MATCHING_PAGE_PRIORITY * on_topic
            priority = topic_priority + _DEPTH_PRIORITY * (depth + 1)
            yield self._page_request(link.url, depth=depth + 1, priority=priority, on_topic=matches)

    def _page_request(self, url: str, *, depth: int, priority: int, on_topic: bool = False) -> Request:
        return Request(
            url,
            callback=self.parse_page,
            errback=self.page_error,
            cb_kwargs={"depth": depth, "on_topic": on_topic},
            priority=priority,
            dont_filter=True,
            meta={"dreamcrawl_page": url, STAYS_ON_SITE: depth > 0, MAX_BYTES: MAX_PAGE_BYTES},
        )

    def _page_failed(self, url: str, why: str, *, depth: int) -> Iterator[Any]:
        if depth == 0:
            self.session.start_error = f"{url}: {why}"
        self.session.page_failed(f"{url}: {why}")
        yield from self._offer(self._candidates.take_thumbnails(url))
        yield from self._advance()

    def _advance(self) -> Iterator[Request | Find]:
        """Go on with the next candidates, or end the crawl when there are enough."""
        yield from self._next_images()
        if self._candidates.is_full:
            self.session.is_full = True
            raise CloseSpider("limit")

    def _next_images(self) -> Iterator[Request | Find]:
        """Requests for the candidates next in line; those that need none are settled at once."""
        while (candidate := self._candidates.next()) is not None:
            url = candidate.item.image_url
            entry = self.session.ledger.known([url]).get(url)
            if candidate.item.refusal is not None:
                trouble = Trouble(Outcome.REFUSED, Reason.ROBOTS, candidate.item.refusal)
                yield self._records.troubled(candidate, trouble)
                self._candidates.settle(candidate, sha256=None, counts=False)
            elif entry is not None and not needs_request(entry):
                yield self._records.known(candidate, entry.sha256)
                for other in self._candidates.settle(
                    candidate, sha256=entry.sha256, counts=counts_as_collected(entry, self._request)
                ):
                    yield self._records.known(other, entry.sha256)
            else:
                yield self._image_request(candidate)

    def _image_request(self, candidate: Candidate) -> Request:
        item, headers = candidate.item, dict(_IMAGE_HEADERS)
        # Some hosts give pictures only to those who come from a page; but nothing of a secure page is told in the open.
        if not (item.page_url.startswith("https:") and item.image_url.startswith("http:")):
            headers["Referer"] = item.page_url
        return Request(
            item.image_url,
            callback=self.parse_image,
            errback=self.image_error,
            cb_kwargs={"candidate": candidate},
            headers=headers,
            priority=_IMAGE_PRIORITY,
            dont_filter=True,
            meta={CANDIDATE: True, MAX_BYTES: self._request.max_image_bytes},
        )

    def _settle_troubled(self, candidate: Candidate, trouble: Trouble, *, response: Response | None) -> Iterator[Any]:
        yield self._records.troubled(candidate, trouble, http=http_facts(response) if response is not None else None)
        yield from self._settle(candidate, None, counts=False)

    def _settle(self, candidate: Candidate, sha256: str | None, *, counts: bool) -> Iterator[Any]:
        for other in self._candidates.settle(candidate, sha256=sha256, counts=counts):
            yield self._records.known(other, sha256)
        yield from self._advance()

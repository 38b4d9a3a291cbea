"""The one spider: carries out the steps of a search, and tells it what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DontCloseSpider
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure

from crawler.candidates import Candidate
from crawler.downloader_middlewares import API, KNOWN, STAYS_ON_SITE
from crawler.early_abort import ABORTED, CANDIDATE, MAX_BYTES
from crawler.errors import CrawlError
from crawler.failures import trouble_of
from crawler.finds import Find, RecordMaker, Trouble
from crawler.listed_search import ListedSearch, ListedStep, ReadApi
from crawler.picture_queue import FetchImage, Recheck
from crawler.resolver import REFUSED_HOSTS
from crawler.retries import NOT_BEFORE
from crawler.search import Page, ReadPage, Search, Step
from crawler.secrets import with_secrets
from crawler.session import Session
from crawler.settings import MAX_PAGE_BYTES
from crawler.sources.base import ApiSource, FileSource, ListSource, Source, WebSource
from crawler.spiders.local_files import find_files
from crawler.urls import canonical_url
from pipeline.records import HttpFacts

# Pictures before pages. Among the pages it is the search that decides.
_IMAGE_PRIORITY = 10_000
_IMAGE_HEADERS = {
    "Accept": "image/webp,image/png,image/jpeg,image/gif;q=0.9,*/*;q=0.5",
    # The bytes are to come as they lie on the server.
    "Accept-Encoding": "identity",
}
_MAX_UNWRITTEN = 4
_IDLE_CHECK_SECONDS = 0.01
# How long pages that came wait for a better one before they are read out of order.
PATIENCE_SECONDS = 10.0


class KeywordSpider(Spider):
    """Crawls one source for one session; started by `crawler.child`, not by hand."""

    name = "keyword"

    def __init__(self, *, session: Session | None = None, source: Source | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if session is None or source is None:
            raise CrawlError("this spider needs an inbox; start crawls with `dreamcrawl crawl`")
        self.session = session
        self._files = source if isinstance(source, FileSource) else None
        self._records = RecordMaker(source.name, session.request.argument)
        self._search = None if isinstance(source, FileSource) else make_search(source, session, self._records)
        self._room = asyncio.Semaphore(_MAX_UNWRITTEN)
        self._impatient: asyncio.TimerHandle | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> KeywordSpider:
        """Connected to the crawl's signals."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.idle, signal=signals.spider_idle)
        crawler.signals.connect(spider.broken, signal=signals.spider_error)
        return spider

    @property
    def search(self) -> Search | ListedSearch:
        """The search, for a source on the network."""
        assert self._search is not None
        return self._search

    async def start(self) -> AsyncIterator[Any]:
        """The finds among the user's files, or the request for the start page."""
        if self._files is None:
            for step in self.search.begin():
                yield self._carried_out(step)
            return
        async for find in find_files(self._files, self.session, self._records):
            # Files are read faster than they are written; they must not pile up in memory.
            await self._room.acquire()
            yield find
        engine: Any = self.crawler.engine
        # Scrapy looks whether all is done when this ends, and then only every five seconds.
        while not engine.scraper.slot.is_idle():  # noqa: ASYNC110  # Scrapy has no event for it
            await asyncio.sleep(_IDLE_CHECK_SECONDS)

    def written(self) -> None:
        """Told by the item pipeline after each find."""
        self._room.release()

    def parse_page(self, response: Response, *, asked: str) -> Iterator[Any]:
        """A page that came."""
        search = self.search
        assert isinstance(search, Search)
        if isinstance(response, TextResponse):
            steps = search.page_came(asked, Page(canonical_url(response.url), response.text))
        else:
            steps = search.page_failed(asked, "is not a web page")
        yield from self._carry_out(steps)

    def page_error(self, failure: Failure) -> Iterator[Any]:
        """A page that did not come."""
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        search = self.search
        assert isinstance(search, Search)
        yield from self._carry_out(search.page_failed(request.cb_kwargs["asked"], trouble.detail))

    def parse_answer(self, response: Response, *, number: int) -> Iterator[Any]:
        """An API's answer that came, whatever its status."""
        search = self.search
        assert isinstance(search, ListedSearch)
        self.session.visiting(urlsplit(response.url).netloc)
        yield from self._carry_out(search.answered(number, response.body, response.status))

    def answer_error(self, failure: Failure) -> Iterator[Any]:
        """An API's answer that did not come."""
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        search = self.search
        assert isinstance(search, ListedSearch)
        yield from self._carry_out(search.unanswered(request.cb_kwargs["number"], trouble.detail))

    def parse_image(self, response: Response, *, candidate: Candidate) -> Iterator[Any]:
        """The bytes of a candidate, or why they are of no use."""
        self.session.visiting(urlsplit(response.url).netloc)
        trouble: Trouble | None = response.request.meta.get(ABORTED) if response.request is not None else None
        if trouble is not None and "download_stopped" in response.flags:
            find = self._records.troubled(candidate, trouble, http=_http_facts(response))
        else:
            find = self._records.fetched(candidate, response.body, http=_http_facts(response))
        yield find
        sha256 = find.record.sha256
        yield from self._carry_out(self.search.image_settled(candidate, sha256, counts=sha256 is not None))

    def parse_known(self, response: Response, *, step: Recheck) -> Iterator[Any]:  # noqa: ARG002  # there is none
        """A known picture that may still be used."""
        yield self._records.known(step.candidate, step.sha256)
        yield from self._carry_out(self.search.image_settled(step.candidate, step.sha256, counts=step.counts))

    def image_error(self, failure: Failure) -> Iterator[Any]:
        """A candidate that was refused or did not come."""
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        response: Response | None = getattr(failure.value, "response", None)
        kwargs = request.cb_kwargs
        candidate: Candidate = kwargs["step"].candidate if "step" in kwargs else kwargs["candidate"]
        yield self._records.troubled(candidate, trouble, http=_http_facts(response) if response is not None else None)
        yield from self._carry_out(self.search.image_settled(candidate, None, counts=False))

    def idle(self) -> None:
        """Nothing is under way."""
        if isinstance(self._search, Search) and self._carry_out_now(self._search.nothing_under_way()):
            raise DontCloseSpider

    def broken(self, failure: Failure, response: Response) -> None:
        """A fault of ours: told, and the crawl goes on."""
        self.session.page_failed(f"{response.url}: {failure.value!r}")

    def _carry_out(self, steps: Iterable[Step | ListedStep]) -> Iterator[Request | Find]:
        """Steps as Scrapy takes them from a callback; ends the crawl when there are enough pictures."""
        yield from (self._carried_out(step) for step in steps)
        if self.search.is_full:
            self.session.full()
            raise CloseSpider("limit")
        if self._impatient is None and isinstance(self.search, Search) and self.search.is_held_up:
            self._impatient = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)

    def _carry_out_now(self, steps: Iterable[Step | ListedStep]) -> bool:
        """Steps from outside a callback; whether there was a request among them."""
        engine: Any = self.crawler.engine
        done = [self._carried_out(step) for step in steps]
        for request_or_find in done:
            if isinstance(request_or_find, Request):
                engine.crawl(request_or_find)
            else:
                self.session.add(request_or_find)
        if self.search.is_full:
            self.session.full()
        return any(isinstance(request_or_find, Request) for request_or_find in done)

    def _lose_patience(self) -> None:
        self._impatient = None
        engine: Any = self.crawler.engine
        if engine.spider is not None and isinstance(self.search, Search) and self.search.is_held_up:
            self._carry_out_now(self.search.go_past())

    def _carried_out(self, step: Step | ListedStep) -> Request | Find:
        match step:
            case ReadPage():
                return self._page_request(step)
            case ReadApi():
                return self._api_request(step)
            case FetchImage():
                return self._image_request(step)
            case Recheck():
                return self._recheck_request(step)
            case _:
                return step

    def _api_request(self, step: ReadApi) -> Request:
        url, headers = with_secrets(step.request, self.session.request.credentials)
        return Request(
            url,
            callback=self.parse_answer,
            errback=self.answer_error,
            cb_kwargs={"number": step.number},
            headers={"Accept": "application/json", **headers},
            dont_filter=True,
            meta={
                API: True,
                STAYS_ON_SITE: True,
                MAX_BYTES: step.request.body_limit,
                NOT_BEFORE: time.monotonic() + step.wait_seconds,
                "handle_httpstatus_all": True,
            },
        )

    def _recheck_request(self, step: Recheck) -> Request:
        return Request(
            step.candidate.item.image_url,
            callback=self.parse_known,
            errback=self.image_error,
            cb_kwargs={"step": step},
            priority=_IMAGE_PRIORITY,
            dont_filter=True,
            meta={KNOWN: True},
        )

    def _page_request(self, step: ReadPage) -> Request:
        return Request(
            step.url,
            callback=self.parse_page,
            errback=self.page_error,
            cb_kwargs={"asked": step.url},
            dont_filter=True,
            meta={STAYS_ON_SITE: not step.is_start, MAX_BYTES: MAX_PAGE_BYTES},
        )

    def _image_request(self, step: FetchImage) -> Request:
        candidate = step.candidate
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
            meta={CANDIDATE: True, MAX_BYTES: self.session.request.max_image_bytes},
        )


def make_search(
    source: WebSource | ApiSource | ListSource, session: Session, records: RecordMaker
) -> Search | ListedSearch:
    """The search that a source wants."""
    if isinstance(source, WebSource):
        return Search(source, session.request, records=records, ledger=session.ledger, notes=session)
    return ListedSearch(source, session.request, records=records, ledger=session.ledger, notes=session)


def _http_facts(response: Response) -> HttpFacts:
    """What the server said, and the addresses passed through."""
    redirects = response.request.meta.get("redirect_urls", []) if response.request is not None else []

    def header(name: str) -> str | None:
        value = response.headers.get(name)
        return value.decode("latin-1")[:500] if value else None

    return HttpFacts(
        final_url=canonical_url(response.url),
        status=response.status,
        redirects=tuple(redirects),
        content_type=header("Content-Type"),
        etag=header("ETag"),
        last_modified=header("Last-Modified"),
    )

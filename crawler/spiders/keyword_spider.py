"""The one spider: carries out the steps of a search, and tells it what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure

from crawler.consent.headers import page_objection
from crawler.errors import CrawlError
from crawler.failures import CrawlEnds, trouble_of
from crawler.network.request_meta import API, KEPT_PAGE, MAX_BYTES, STAYS_ON_SITE
from crawler.network.resolver import REFUSED_HOSTS
from crawler.network.retries import NOT_BEFORE
from crawler.network.secrets import with_secrets
from crawler.pictures.candidates import Candidate
from crawler.pictures.early_abort import values_of
from crawler.pictures.fetcher import PictureFetcher
from crawler.pictures.finds import Find, RecordMaker
from crawler.pictures.inbox_sink import InboxSink
from crawler.pictures.queue import FetchImage, Recheck
from crawler.search.listed import ListedSearch, ListedStep, ReadApi
from crawler.search.site import Page, ReadPage, Search, Step
from crawler.session import Session
from crawler.settings import MAX_PAGE_BYTES
from crawler.sources.base import ApiSource, FileSource, ListSource, Source, WebSource
from crawler.spiders.local_files import find_files
from crawler.urls import canonical_url
from pipeline.records import Outcome

# How long pages that came wait for a better one before they are read out of order.
PATIENCE_SECONDS = 10.0
_NOTHING: tuple[Any, ...] = ()


class KeywordSpider(Spider):
    """Crawls one source for one session; started by `crawler.child`, not by hand."""

    name = "keyword"

    def __init__(
        self,
        *,
        session: Session | None = None,
        source: Source | Iterable[Candidate] | None = None,
        **kwargs: Any,
    ) -> None:
        """source: Or the candidates of earlier crawls that are to be asked for again."""
        super().__init__(**kwargs)
        if session is None or source is None:
            raise CrawlError("this spider needs an inbox; start crawls with `dreamcrawl crawl`")
        self.session = session
        self._files = source if isinstance(source, FileSource) else None
        self._records = RecordMaker(session.request.source, session.request.argument)
        self._search = None if isinstance(source, FileSource) else make_search(source, session, self._records)
        if self._search is not None:
            session.waiting = self._search.waiting
        self._sink = InboxSink(session.add_all, on_unusable=self._inbox_is_unusable)
        self._under_way = 0
        self._is_quiet = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._impatient: asyncio.TimerHandle | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> KeywordSpider:
        """Connected to the crawl's signals."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.broken, signal=signals.spider_error)
        return spider

    @property
    def search(self) -> Search | ListedSearch:
        """The search, for a source on the network."""
        assert self._search is not None
        return self._search

    @cached_property
    def _fetcher(self) -> PictureFetcher:
        shown_on_pages = isinstance(self._search, Search)
        return PictureFetcher(self.crawler, self.session, self._records, shown_on_pages=shown_on_pages)

    async def start(self) -> AsyncIterator[Any]:
        """Carries the whole crawl out; Scrapy ends it once this is at its end."""
        if self._files is not None:
            async for find in find_files(self._files, self.session, self._records):
                # Files are read faster than they are written; they must not pile up in memory.
                await self._sink.put(find)
            return
        self._carry_out(self.search.begin())
        while True:
            while self._under_way and not self._is_over:
                self._is_quiet.clear()
                await self._is_quiet.wait()
            steps: Sequence[Step | ListedStep] = [] if self._is_over else self.search.nothing_under_way()
            if not steps:
                return
            self._carry_out(steps)
            # Requests go to the engine directly; it is Scrapy that wants a generator.
            for nothing in _NOTHING:
                yield nothing

    def parse_page(self, response: Response, *, asked: str) -> None:
        """A page that came."""
        search = self.search
        assert isinstance(search, Search)
        url = canonical_url(response.url)
        try:
            text = search.source.text_of(url, response.body)
        except ValueError as error:
            self._settled(search.page_failed(asked, str(error)))
            return
        if text is None and isinstance(response, TextResponse):
            text = response.text
        if text is not None:
            refusal = page_objection(partial(values_of, response.headers), where=url, now=datetime.now(UTC))
            steps = search.page_came(asked, Page(url, text, refusal))
        else:
            steps = search.page_failed(asked, "is not a web page")
        self._settled(steps)

    def page_error(self, failure: Failure) -> None:
        """A page that did not come."""
        if failure.check(CrawlEnds):
            self._one_less()
            return
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        search = self.search
        assert isinstance(search, Search)
        self._settled(search.page_failed(request.cb_kwargs["asked"], trouble.detail))

    def parse_answer(self, response: Response, *, number: int) -> None:
        """An API's answer that came, whatever its status."""
        search = self.search
        assert isinstance(search, ListedSearch)
        self.session.visiting(urlsplit(response.url).netloc)
        self._settled(search.answered(number, response.body, response.status))

    def answer_error(self, failure: Failure) -> None:
        """An API's answer that did not come."""
        if failure.check(CrawlEnds):
            self._one_less()
            return
        request: Request = failure.request
        trouble = trouble_of(failure.value, request.url, refused_hosts=REFUSED_HOSTS)
        search = self.search
        assert isinstance(search, ListedSearch)
        self._settled(search.unanswered(request.cb_kwargs["number"], trouble.detail))

    def broken(self, failure: Failure, response: Response) -> None:
        """A fault of ours: told, and the crawl goes on."""
        self.session.page_failed(f"{response.url}: {failure.value!r}")
        self._one_less()

    @property
    def _is_over(self) -> bool:
        """Whether there is nothing more to do, or nobody any more to do it."""
        engine: Any = self.crawler.engine
        return self.search.is_full or engine.spider is None

    def _settled(self, steps: Iterable[Step | ListedStep]) -> None:
        """One request is over, and these are the steps that follow."""
        self._carry_out(steps)
        self._one_less()

    def _one_less(self) -> None:
        self._under_way -= 1
        if self._under_way == 0 or self.search.is_full:
            self._is_quiet.set()

    def _carry_out(self, steps: Iterable[Step | ListedStep]) -> None:
        """Start on the steps; ends the crawl when there are enough pictures."""
        engine: Any = self.crawler.engine
        for step in steps:
            self._under_way += 1
            match step:
                case ReadPage():
                    engine.crawl(self._page_request(step))
                case ReadApi():
                    engine.crawl(self._api_request(step))
                case _:
                    task = asyncio.create_task(self._one_picture(step))
                    # The loop itself keeps no hold of a task.
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        if self.search.is_full:
            self.session.full()
        if self._impatient is None and isinstance(self.search, Search) and self.search.is_held_up:
            self._impatient = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)

    async def _one_picture(self, step: FetchImage | Recheck | Find) -> None:
        try:
            if isinstance(step, Find):
                await self._sink.put(step)
                return
            find = await (self._fetcher.fetch(step) if isinstance(step, FetchImage) else self._fetcher.recheck(step))
            if find is None:
                return
            await self._sink.put(find)
            is_known = find.record.outcome is Outcome.KNOWN
            counts = step.counts if is_known else find.record.outcome is Outcome.FETCHED
            self._carry_out(self.search.image_settled(step.candidate, find.record.sha256, counts=counts))
        except Exception as error:  # noqa: BLE001  # a fault of ours: told, and the crawl goes on
            self.session.page_failed(f"{step!r}: {error!r}"[:1000])
        finally:
            self._one_less()

    def _inbox_is_unusable(self, error: Exception) -> None:
        """An inbox that takes no more, mostly for a full disk, ends the crawl, which keeps what it has."""
        self.session.warn(str(error))
        engine: Any = self.crawler.engine
        self._closing = asyncio.get_running_loop().create_task(engine.close_spider_async(reason="disk"))

    def _lose_patience(self) -> None:
        self._impatient = None
        if not self._is_over and isinstance(self.search, Search) and self.search.is_held_up:
            self._carry_out(self.search.go_past())

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

    def _page_request(self, step: ReadPage) -> Request:
        assert isinstance(self.search, Search)
        most = self.search.source.max_bytes_of(step.url) or MAX_PAGE_BYTES
        return Request(
            step.url,
            callback=self.parse_page,
            errback=self.page_error,
            cb_kwargs={"asked": step.url},
            dont_filter=True,
            meta={STAYS_ON_SITE: not step.is_start, MAX_BYTES: most, KEPT_PAGE: True},
        )


def make_search(
    source: WebSource | ApiSource | ListSource | Iterable[Candidate], session: Session, records: RecordMaker
) -> Search | ListedSearch:
    """The search that a source wants."""
    if isinstance(source, WebSource):
        return Search(source, session.request, records=records, ledger=session.ledger, notes=session)
    return ListedSearch(source, session.request, records=records, ledger=session.ledger, notes=session)

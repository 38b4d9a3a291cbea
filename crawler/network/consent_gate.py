"""Between Scrapy and the network: asks each site what it says about machines, once, before anything else of it.

robots.txt first, and where that leaves anything open, tdmrep.json and ai.txt together. Every request waits here until
the files of its origin have come. Requests for pages heed robots.txt; those for pictures heed all of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import StopDownload
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK

from crawler.consent import robots
from crawler.consent.ai_txt import AiTxt, read_ai_txt
from crawler.consent.robots import RobotsVerdict, read_robots
from crawler.consent.tdmrep import TdmFile, read_tdm_file
from crawler.consent.verdicts import SiteConsent, refused
from crawler.failures import Settled, trouble_of
from crawler.hosts.middleware import HostMiddleware
from crawler.network.request_meta import API, CANDIDATE, CHECKED, KNOWN
from crawler.network.resolver import REFUSED_HOSTS
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome

ROBOTS_PATH = "/robots.txt"
TDM_PATH = "/.well-known/tdmrep.json"
AI_PATH = "/ai.txt"

MOST_ORIGINS = 1_000
"""Whose files are kept at once."""

_FILE = "dreamcrawl_consent_file"
_GOT = "dreamcrawl_consent_bytes"
# Above this a file is refused at its headers instead of being cut; also the most that a compressed one may grow to.
_MAX_ANNOUNCED_BYTES = 64 * 2**20


class ConsentGateMiddleware:
    """Ends each request that its site speaks against; an unreadable robots.txt closes it (Scrapy's own would not)."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._robots: OrderedDict[str, asyncio.Future[RobotsVerdict | Trouble]] = OrderedDict()
        self._sites: OrderedDict[str, asyncio.Future[SiteConsent]] = OrderedDict()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """For one crawl."""
        gate = cls(crawler)
        crawler.signals.connect(gate.bytes_received, signal=signals.bytes_received)
        return gate

    async def process_request(self, request: Request) -> None:
        """Pass, or end the request; the first one of an origin waits until its files have come."""
        asked = request.meta.get(_FILE)
        if asked is not None:
            request.meta[_GOT] = 0
        # An API is made for programs; what may be asked of it stands in its terms, which our sources keep to. And
        # robots.txt is open to all, wherever it is kept.
        if request.meta.get(API) or asked == ROBOTS_PATH:
            return
        origin = _origin(request.url)
        verdict = await self._robots_of(origin)
        if isinstance(verdict, Trouble):
            raise Settled(verdict)
        if asked is not None:
            # Only robots.txt is awaited for these, or two sites that redirect to one another would wait for ever.
            objection = verdict.objection(request.url)
            checked: tuple[str, ...] = ()
        else:
            site = await self._site_of(origin, verdict)
            about_picture = request.meta.get(CANDIDATE) or request.meta.get(KNOWN)
            objection = (site if about_picture else site.robots).objection(request.url)
            checked = request.meta[CHECKED] = site.checked
        if objection is not None:
            raise Settled(refused(objection, checked))

    def bytes_received(self, data: bytes, request: Request) -> None:
        """End the download of one of the files where no more of it is read."""
        if _FILE in request.meta:
            request.meta[_GOT] += len(data)
            if request.meta[_GOT] > robots.MAX_BYTES:
                raise StopDownload(fail=False)

    async def _robots_of(self, origin: str) -> RobotsVerdict | Trouble:
        if origin not in self._robots:
            self._robots[origin] = asyncio.ensure_future(self._read_robots(origin))
            _forget_the_oldest(self._robots)
        self._robots.move_to_end(origin)
        return await asyncio.shield(self._robots[origin])

    async def _site_of(self, origin: str, verdict: RobotsVerdict) -> SiteConsent:
        if origin not in self._sites:
            self._sites[origin] = asyncio.ensure_future(self._read_others(origin, verdict))
            _forget_the_oldest(self._sites)
        self._sites.move_to_end(origin)
        return await asyncio.shield(self._sites[origin])

    async def _read_robots(self, origin: str) -> RobotsVerdict | Trouble:
        url = origin + ROBOTS_PATH
        answer = await self._ask(url, ROBOTS_PATH)
        if isinstance(answer, Trouble):
            if answer.reason is Reason.ADDRESS_FORBIDDEN and urlsplit(origin).hostname in REFUSED_HOSTS:
                return answer
            detail = f"robots.txt could not be read: {answer.detail}"
            if answer.outcome is Outcome.REFUSED or answer.reason is Reason.TOO_MANY_REDIRECTS:
                return RobotsVerdict(url, closed=detail)
            # A host that does not answer is told as such: another day it may.
            return Trouble(answer.outcome, answer.reason, detail)
        verdict = read_robots(answer.status, answer.body, url)
        self._slow_down(url, verdict.crawl_delay_seconds or 0.0)
        return verdict

    async def _read_others(self, origin: str, verdict: RobotsVerdict) -> SiteConsent:
        files = self._read_tdm_file(origin, verdict), self._read_ai_txt(origin, verdict)
        return SiteConsent(verdict, *await asyncio.gather(*files))

    async def _read_tdm_file(self, origin: str, verdict: RobotsVerdict) -> TdmFile | None:
        url = origin + TDM_PATH
        answer = None if verdict.objection(url) else await self._ask(url, TDM_PATH)
        return read_tdm_file(answer.status, answer.body, url) if isinstance(answer, Response) else None

    async def _read_ai_txt(self, origin: str, verdict: RobotsVerdict) -> AiTxt | None:
        url = origin + AI_PATH
        answer = None if verdict.objection(url) else await self._ask(url, AI_PATH)
        return read_ai_txt(answer.status, answer.body, url) if isinstance(answer, Response) else None

    async def _ask(self, url: str, path: str) -> Response | Trouble:
        request = Request(
            url,
            callback=NO_CALLBACK,
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            meta={_FILE: path, _GOT: 0, "download_maxsize": _MAX_ANNOUNCED_BYTES},
        )
        engine: Any = self._crawler.engine
        try:
            response: Response = await engine.download_async(request)
        except Exception as error:  # noqa: BLE001  # whatever it was, the file was not read
            return trouble_of(error, request.url, refused_hosts=REFUSED_HOSTS)
        return response

    def _slow_down(self, url: str, seconds: float) -> None:
        hosts = self._crawler.get_downloader_middleware(HostMiddleware)
        if hosts is not None:
            hosts.slow_down(url, seconds)


def _forget_the_oldest(known: OrderedDict[str, asyncio.Future[Any]]) -> None:
    """A list of addresses may lead to more sites than memory can hold; one that comes again is asked again."""
    while len(known) > MOST_ORIGINS and (oldest := next(iter(known.items())))[1].done():
        del known[oldest[0]]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

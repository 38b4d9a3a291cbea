"""Between Scrapy and the network: which addresses may be requested, what robots.txt says, and where redirects lead."""

from __future__ import annotations

import asyncio
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.redirect import RedirectMiddleware as ScrapyRedirectMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK

from crawler.addresses import AddressPolicy
from crawler.consent import RobotsVerdict, read_robots
from crawler.failures import Settled, fail, refuse, trouble_of
from crawler.finds import Trouble
from crawler.host_gate import HostGateMiddleware
from crawler.resolver import REFUSED_HOSTS
from crawler.urls import same_site
from pipeline.errors import Reason
from pipeline.records import Outcome

ROBOTS_REQUEST = "dreamcrawl_robots"
API = "dreamcrawl_api"
KNOWN = "dreamcrawl_known"
STAYS_ON_SITE = "dreamcrawl_stays_on_site"
_MAX_ROBOTS_BYTES = 2**20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class AddressMiddleware:
    """Refuses every request, redirects and robots.txt included, whose address the policy forbids."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """With the policy of the settings."""
        return cls(crawler.settings["DREAMCRAWL_ADDRESS_POLICY"])

    def process_request(self, request: Request) -> None:
        """Pass, or end the request."""
        if objection := self._policy.objection(request.url):
            raise refuse(Reason.ADDRESS_FORBIDDEN, objection)


class RobotsMiddleware:
    """Asks robots.txt of each host once; what cannot be read closes the host (Scrapy's own would open it)."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._verdicts: dict[str, asyncio.Future[RobotsVerdict | Trouble]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """For one crawl."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Pass, or end the request; the first one for a host waits until its robots.txt has come."""
        # An API is made for programs; what may be asked of it stands in its terms, which our sources keep to.
        if request.meta.get(ROBOTS_REQUEST) or request.meta.get(API):
            return
        verdict = await self._verdict(request.url)
        if isinstance(verdict, Trouble):
            raise Settled(verdict)
        if objection := verdict.objection(request.url):
            raise refuse(Reason.ROBOTS, objection)

    async def _verdict(self, url: str) -> RobotsVerdict | Trouble:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._verdicts:
            future = self._verdicts[origin] = asyncio.get_running_loop().create_future()
            future.set_result(await self._fetch(origin))
        return await self._verdicts[origin]

    async def _fetch(self, origin: str) -> RobotsVerdict | Trouble:
        request = Request(
            f"{origin}/robots.txt",
            callback=NO_CALLBACK,
            meta={ROBOTS_REQUEST: True, "download_maxsize": _MAX_ROBOTS_BYTES},
        )
        engine: Any = self._crawler.engine
        try:
            response = await engine.download_async(request)
        except Exception as error:  # noqa: BLE001  # whatever it was, the rules are not known
            trouble = trouble_of(error, request.url, refused_hosts=REFUSED_HOSTS)
            if trouble.reason is Reason.ADDRESS_FORBIDDEN and urlsplit(origin).hostname in REFUSED_HOSTS:
                return trouble
            detail = f"robots.txt could not be read: {trouble.detail}"
            if trouble.outcome is Outcome.REFUSED or trouble.reason is Reason.TOO_MANY_REDIRECTS:
                return RobotsVerdict(closed=detail)
            # A host that does not answer is told as such: another day it may.
            return Trouble(trouble.outcome, trouble.reason, detail)
        verdict = read_robots(response.status, response.body)
        if verdict.crawl_delay_seconds:
            self._slow_down(urlsplit(origin).hostname or "", verdict.crawl_delay_seconds)
        return verdict

    def _slow_down(self, host: str, seconds: float) -> None:
        gates = self._crawler.get_downloader_middleware(HostGateMiddleware)
        if gates is not None:
            gates.gate(host).slow_down(seconds)


class KnownMiddleware:
    """Ends the request for a known picture, once nothing speaks against it, without sending it."""

    def process_request(self, request: Request) -> Response | None:
        """An empty answer for what is known; nothing for the rest."""
        return Response(request.url) if request.meta.get(KNOWN) else None


class RedirectMiddleware(ScrapyRedirectMiddleware):
    """Scrapy's, but a redirect of a page may not leave the site, and one to no web address is told as refused."""

    # Scrapy takes a `spider` argument for a sign of old code, and warns.
    def process_response(  # type: ignore[override]
        self, request: Request, response: Response
    ) -> Request | Response:
        """The response, or the request that follows it."""
        try:
            result = super().process_response(request, response)
        except IgnoreRequest as error:
            raise fail(Reason.TOO_MANY_REDIRECTS, str(error)) from error
        if not isinstance(result, Request):
            if result.status in _REDIRECTS and (location := result.headers.get("Location")):
                target = location.decode("latin-1")[:200]
                raise refuse(Reason.ADDRESS_FORBIDDEN, f"redirected to an address that is not crawled: {target}")
            return result
        if request.meta.get(STAYS_ON_SITE) and not same_site(request.url, result.url):
            raise refuse(Reason.ADDRESS_FORBIDDEN, f"redirected to another site: {result.url}")
        return result

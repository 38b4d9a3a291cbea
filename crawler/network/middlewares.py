"""Between Scrapy and the network: which addresses may be requested, what is known already, and where redirects lead."""

from __future__ import annotations

from typing import Self

from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.redirect import RedirectMiddleware as ScrapyRedirectMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response

from crawler.failures import fail, refuse
from crawler.network.addresses import AddressPolicy
from crawler.network.request_meta import KNOWN, STAYS_ON_SITE
from crawler.urls import same_site
from pipeline.errors import Reason

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


class KnownMiddleware:
    """Ends the request for a known picture, once nothing speaks against it, without sending it."""

    def process_request(self, request: Request) -> Response | None:
        """An empty answer for what is known; nothing for the rest."""
        return Response(request.url) if request.meta.get(KNOWN) else None


class RedirectMiddleware(ScrapyRedirectMiddleware):
    """Scrapy's, but a redirect of a page may not leave the site, and one to no web address is told as refused."""

    # Scrapy takes a `spider` argument for a sign of old code, and warns.
    def process_response(  # type: ignore[override]  # so there is none
        self, request: Request, response: Response
    ) -> Request | Response:
        """The response, or the request that follows it."""
        try:
            result = super().process_response(request, response)
        except IgnoreRequest as error:
            raise fail(Reason.TOO_MANY_REDIRECTS, str(error)) from error
        except ValueError as error:  # a target that Scrapy takes for no address at all, such as `javascript:...`
            raise refuse(Reason.ADDRESS_FORBIDDEN, f"redirected to no web address: {str(error)[:200]}") from error
        if not isinstance(result, Request):
            if result.status in _REDIRECTS and (location := result.headers.get("Location")):
                target = location.decode("latin-1")[:200]
                raise refuse(Reason.ADDRESS_FORBIDDEN, f"redirected to an address that is not crawled: {target}")
            return result
        if request.meta.get(STAYS_ON_SITE) and not same_site(request.url, result.url):
            raise refuse(Reason.ADDRESS_FORBIDDEN, f"redirected to another site: {result.url}")
        return result

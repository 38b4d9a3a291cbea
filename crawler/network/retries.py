"""Trying again, after a pause, what failed for a passing reason."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

from scrapy.http import Request, Response

from crawler.failures import NETWORK_ERRORS
from crawler.network.resolver import REFUSED_HOSTS

# The pauses before the second and the third try.
PAUSES_SECONDS = (0.5, 2.0)
_PASSING = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_TRIES = "dreamcrawl_tries"
NOT_BEFORE = "dreamcrawl_not_before"


class RetryMiddleware:
    """Repeats a request up to twice; what the host's gate adds to the pauses is the gate's business.

    A host that asks to be left alone has not tried anything: such a request is repeated for as long as the gate lets it
    pass, which is not often, and it does not count.
    """

    async def process_request(self, request: Request) -> None:
        """Wait out the request's own pause."""
        wait = request.meta.get(NOT_BEFORE, 0.0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """The response, or the request once more."""
        if response.status == 429 or (response.status == 503 and "Retry-After" in response.headers):
            return request.replace(dont_filter=True)
        return (_again(request) if response.status in _PASSING else None) or response

    def process_exception(self, request: Request, exception: Exception) -> Request | None:
        """The request once more, or None for the errback."""
        refused = (urlsplit(request.url).hostname or "") in REFUSED_HOSTS
        return _again(request) if isinstance(exception, NETWORK_ERRORS) and not refused else None


def _again(request: Request) -> Request | None:
    """The same request for another try, or None when it had its tries."""
    tries = request.meta.get(_TRIES, 1)
    if tries > len(PAUSES_SECONDS):
        return None
    again = request.replace(dont_filter=True)
    again.meta[_TRIES] = tries + 1
    again.meta[NOT_BEFORE] = time.monotonic() + PAUSES_SECONDS[tries - 1]
    return again

"""Trying again, politely: after a pause, and not before the host said (Retry-After)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.http import Request, Response

from crawler.failures import NETWORK_ERRORS, fail
from crawler.resolver import REFUSED_HOSTS
from pipeline.errors import Reason

# The pauses before the second and the third try.
PAUSES_SECONDS = (0.5, 2.0)
MAX_RETRY_AFTER_SECONDS = 120.0
_BUSY = frozenset({429, 503})
_PASSING = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_TRIES = "dreamcrawl_tries"
_NOT_BEFORE = "dreamcrawl_not_before"


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """The pause that a Retry-After header asks for: seconds, or a date; None when it says nothing readable."""
    text = (value or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


class ParkedHosts:
    """Hosts that asked for a pause, each with the moment when it ends, on the clock given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def park(self, host: str, seconds: float) -> None:
        """Leave a host alone for so long; a longer pause asked for before stays."""
        self._until[host] = max(self._until.get(host, 0.0), self._clock() + seconds)

    def wait_seconds(self, host: str) -> float:
        """How long to wait before the next request to a host; 0 for no wait."""
        return max(0.0, self._until.get(host, 0.0) - self._clock())


class RetryMiddleware:
    """Repeats what failed for a passing reason; a busy host is left alone as a whole, not request by request."""

    def __init__(self, deadline_seconds: float) -> None:
        self._hosts = ParkedHosts(time.monotonic)
        self._deadline = time.monotonic() + deadline_seconds

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """For one crawl, which ends at its deadline."""
        return cls(crawler.settings.getfloat("DREAMCRAWL_DEADLINE_SECONDS", 3600.0))

    async def process_request(self, request: Request) -> None:
        """Wait out the host's pause, and the request's own; end the request when that is longer than it makes sense."""
        host = urlsplit(request.url).hostname or ""
        while True:
            own = request.meta.get(_NOT_BEFORE, 0.0) - time.monotonic()
            wait = max(self._hosts.wait_seconds(host), own)
            if wait <= 0:
                return
            if wait > min(MAX_RETRY_AFTER_SECONDS, self._deadline - time.monotonic()):
                raise fail(Reason.TOO_MANY_REQUESTS, f"{host} asks to wait {wait:.0f} seconds")
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """The response, or the request once more."""
        if response.status not in _PASSING:
            return response
        tries = request.meta.get(_TRIES, 1)
        if response.status in _BUSY:
            header = response.headers.get("Retry-After")
            asked = retry_after_seconds(header.decode("latin-1") if header else None, now=datetime.now(UTC))
            if asked is not None:
                self._hosts.park(urlsplit(request.url).hostname or "", asked)
        return self._again(request, tries) if tries <= len(PAUSES_SECONDS) else response

    def process_exception(self, request: Request, exception: Exception) -> Request | None:
        """The request once more, or None for the errback."""
        tries = request.meta.get(_TRIES, 1)
        if (urlsplit(request.url).hostname or "") in REFUSED_HOSTS:
            return None
        if isinstance(exception, NETWORK_ERRORS) and tries <= len(PAUSES_SECONDS):
            return self._again(request, tries)
        return None

    def _again(self, request: Request, tries: int) -> Request:
        again = request.replace(dont_filter=True)
        again.meta[_TRIES] = tries + 1
        again.meta[_NOT_BEFORE] = time.monotonic() + PAUSES_SECONDS[tries - 1]
        again.meta.pop("download_slot", None)
        return again

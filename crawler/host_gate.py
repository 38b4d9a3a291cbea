"""How often, and how many at once, one host is asked: delay, concurrency, Crawl-delay and Retry-After in one place.

Scrapy has a delay and a concurrency per host too, but requests wait for them in a queue that nothing can stop when the
host asks for a pause. So Scrapy's are left open, and every request, redirects and robots.txt included, passes here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.http import Request, Response

from crawler.failures import fail
from crawler.urls import is_loopback
from pipeline.errors import Reason

MAX_PAUSE_SECONDS = 120.0
"""A host that asks for a longer pause is not asked again in this crawl."""

MAX_CRAWL_DELAY_SECONDS = 30.0
"""A longer Crawl-delay is no longer politeness but a closed door; it is kept to this."""

# For "too many requests" without a word about when to come back.
_PAUSE_SECONDS = 5.0
_PASSED = "dreamcrawl_gate"


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


@dataclass
class HostGate:
    """The gate of one host.

    Attributes:
        delay_seconds: Least time between two requests.
        concurrency: Most requests at once.
        clock: Seconds that only grow.
    """

    delay_seconds: float
    concurrency: int
    clock: Callable[[], float] = time.monotonic
    _active: int = 0
    _next_at: float = 0.0
    _paused_until: float = 0.0
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pause_seconds(self) -> float:
        """How much longer the host wants to be left alone; 0 when it does not."""
        return max(0.0, self._paused_until - self.clock())

    def pause(self, seconds: float) -> None:
        """Leave the host alone for so long; a longer pause asked for before stays."""
        self._paused_until = max(self._paused_until, self.clock() + seconds)

    def slow_down(self, delay_seconds: float) -> None:
        """One request at a time, and at least so long apart."""
        self.delay_seconds = max(self.delay_seconds, min(delay_seconds, MAX_CRAWL_DELAY_SECONDS))
        self.concurrency = 1

    async def enter(self, most_seconds: Callable[[], float]) -> float | None:
        """Wait for one's turn, which then must be given back by `leave`.

        Args:
            most_seconds: How long a pause may at most be waited for, asked whenever there is one.

        Returns:
            None when it is one's turn, or the seconds of a pause that is longer than that; then there is no turn.
        """
        while True:
            if (pause := self.pause_seconds) > most_seconds():
                return pause
            if self._active >= self.concurrency:
                self._left.clear()
                await self._left.wait()
            elif (wait := max(pause, self._next_at - self.clock())) > 0:
                await asyncio.sleep(wait)
            else:
                self._active += 1
                self._next_at = self.clock() + self.delay_seconds
                return None

    def leave(self) -> None:
        """Give one's turn back."""
        self._active -= 1
        self._left.set()


class HostGateMiddleware:
    """Scrapy's side of the gates; it must be the one nearest to the network."""

    def __init__(self, *, delay_seconds: float, concurrency: int, deadline_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._concurrency = concurrency
        self._deadline = time.monotonic() + deadline_seconds
        self._gates: dict[str, HostGate] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """With the manners of the settings."""
        settings = crawler.settings
        return cls(
            delay_seconds=settings.getfloat("DREAMCRAWL_DELAY_SECONDS"),
            concurrency=settings.getint("DREAMCRAWL_CONCURRENCY_PER_HOST"),
            deadline_seconds=settings.getfloat("DREAMCRAWL_DEADLINE_SECONDS"),
        )

    def gate(self, host: str) -> HostGate:
        """The gate of a host; one's own machine needs no delay."""
        if host not in self._gates:
            self._gates[host] = HostGate(0.0 if is_loopback(host) else self._delay_seconds, self._concurrency)
        return self._gates[host]

    async def process_request(self, request: Request) -> None:
        """Wait for the host's gate; end the request when the host wants to be left alone for too long."""
        host = _host(request)
        pause = await self.gate(host).enter(self._most_seconds)
        if pause is not None:
            raise fail(Reason.TOO_MANY_REQUESTS, f"{host} asks to be left alone for {pause:.0f} seconds")
        request.meta[_PASSED] = True

    def process_response(self, request: Request, response: Response) -> Response:
        """Give the turn back, and note a pause that is asked for."""
        self._leave(request)
        if response.status in (429, 503):
            header = response.headers.get("Retry-After")
            asked = retry_after_seconds(header.decode("latin-1") if header else None, now=datetime.now(UTC))
            if asked is None and response.status == 429:
                asked = _PAUSE_SECONDS
            self.gate(_host(request)).pause(asked or 0.0)
        return response

    def process_exception(self, request: Request, exception: Any) -> None:  # noqa: ARG002  # Scrapy's signature
        """Give the turn back."""
        self._leave(request)

    def _leave(self, request: Request) -> None:
        # An exception may also come from before the gate.
        if request.meta.pop(_PASSED, False):
            self.gate(_host(request)).leave()

    def _most_seconds(self) -> float:
        return min(MAX_PAUSE_SECONDS, self._deadline - time.monotonic())


def _host(request: Request) -> str:
    return urlsplit(request.url).hostname or ""

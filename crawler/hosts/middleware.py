"""Scrapy's side of the gates of hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.http import Request, Response

from crawler.failures import CrawlEnds, postpone
from crawler.hosts.gates import HostGates, parking
from crawler.hosts.limits import host_key

_LEASE = "dreamcrawl_lease"


class HostMiddleware:
    """Holds every request until its host's gate opens; it must be the one nearest to the network."""

    def __init__(self, gates: HostGates) -> None:
        self._gates = gates

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """With the gates of the session, or without one, as in `scrapy shell`, with the manners of the settings."""
        session: Any = getattr(crawler.spider, "session", None)
        gates: HostGates | None = getattr(session, "hosts", None)
        settings = crawler.settings
        return cls(
            gates
            or HostGates(
                delay_seconds=settings.getfloat("DREAMCRAWL_DELAY_SECONDS"),
                concurrency=settings.getint("DREAMCRAWL_CONCURRENCY_PER_HOST"),
                deadline_seconds=settings.getfloat("DREAMCRAWL_DEADLINE_SECONDS"),
            )
        )

    def slow_down(self, url: str, delay_seconds: float) -> None:
        """Keep to the Crawl-delay of an address's host; 0 for none."""
        self._gates.slow_down(url, delay_seconds)

    async def process_request(self, request: Request) -> None:
        """Wait for the gate; end the request when the host wants to be left alone for longer than the crawl waits."""
        answer = await self._gates.enter(request.url, priority=request.priority)
        if isinstance(answer, str):
            request.meta[_LEASE] = answer
        elif answer.reason is None:
            raise CrawlEnds
        else:
            raise postpone(answer.reason, parking(host_key(request.url), answer))

    def process_response(self, request: Request, response: Response) -> Response:
        """Give the turn back, and heed what the answer says."""
        self._leave(request)
        self._gates.answered(request.url, response.status, _headers(response), size_bytes=len(response.body))
        return response

    def process_exception(self, request: Request, exception: Any) -> None:  # noqa: ARG002  # Scrapy's signature
        """Give the turn back."""
        self._leave(request)

    def _leave(self, request: Request) -> None:
        # An exception may also come from before the gate.
        if (lease := request.meta.pop(_LEASE, None)) is not None:
            self._gates.leave(request.url, lease)


def _headers(response: Response) -> Iterator[tuple[str, str]]:
    for name, values in response.headers.items():
        if name.startswith((b"X-Rate", b"Retry")) and values:
            yield name.decode("latin-1"), values[-1].decode("latin-1")

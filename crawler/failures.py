"""From what went wrong with one request to a typed outcome, reason and one line for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
    UnsupportedURLSchemeError,
)
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.internet.error import ConnectError, ConnectionClosed

from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome

NETWORK_ERRORS = (
    CannotResolveHostError,
    ConnectError,
    ConnectionClosed,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
    OSError,
)
"""What may pass by itself: worth another try."""


class Settled(IgnoreRequest):
    """Raised by our middlewares: this request is over, and this is why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.detail)
        self.trouble = trouble


class CrawlEnds(IgnoreRequest):
    """Raised for a request that still waited when the crawl ended: nothing came of it, so nothing is recorded."""


def postpone(reason: Reason, detail: str) -> Settled:
    """The exception that ends a request whose host wants to be left alone for now."""
    return Settled(Trouble(Outcome.POSTPONED, reason, detail))


def refuse(reason: Reason, detail: str) -> Settled:
    """The exception that ends a request which must not be made."""
    return Settled(Trouble(Outcome.REFUSED, reason, detail))


def fail(reason: Reason, detail: str) -> Settled:
    """The exception that ends a request which cannot succeed."""
    return Settled(Trouble(Outcome.FAILED, reason, detail))


def trouble_of(error: BaseException, url: str, *, refused_hosts: Mapping[str, str]) -> Trouble:
    """What an exception from Scrapy or Twisted means.

    Args:
        error: As the errback got it.
        url: What was requested.
        refused_hosts: Host name -> address, for names that the resolver refused.
    """
    if isinstance(error, Settled):
        return error.trouble
    if isinstance(error, HttpError):
        return status_trouble(error.response.status)
    if isinstance(error, CannotResolveHostError):
        host = urlsplit(url).hostname or ""
        if host in refused_hosts:
            detail = f"{host} has the address {refused_hosts[host]}, which is not public"
            return Trouble(Outcome.REFUSED, Reason.ADDRESS_FORBIDDEN, detail)
        return Trouble(Outcome.FAILED, Reason.DNS, f"there is no host {host}, or its name server does not answer")
    if isinstance(error, UnsupportedURLSchemeError):
        return Trouble(Outcome.REFUSED, Reason.ADDRESS_FORBIDDEN, str(error))
    text = " ".join(str(error).split())[:300]
    reason = _network_reason(error, text)
    return Trouble(Outcome.FAILED, reason, _in_words(error, reason) or text or type(error).__name__)


def status_trouble(status: int) -> Trouble:
    """What an answer means that is neither a picture nor a redirect."""
    if status == 429:
        return Trouble(Outcome.POSTPONED, Reason.TOO_MANY_REQUESTS, "HTTP 429")
    reason = Reason.HTTP_SERVER_ERROR if status >= 500 else Reason.HTTP_CLIENT_ERROR
    return Trouble(Outcome.FAILED, reason, f"HTTP {status}")


def _in_words(error: BaseException, reason: Reason) -> str | None:
    """One line for what Scrapy and Twisted tell in no words, or in many."""
    if isinstance(error, ResponseDataLossError):
        return "the connection was cut before the end"
    if isinstance(error, DownloadConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, DownloadCancelledError) and not str(error):
        return "more bytes than allowed"
    if reason is Reason.TLS:
        causes = (f"{type(cause).__name__}: {cause}"[:200] for cause in _causes(error) if not _is_wrapper(cause))
        return f"no secure connection: {next(causes, 'unknown')}"
    return None


def _is_wrapper(error: BaseException) -> bool:
    return isinstance(error, DownloadFailedError) or hasattr(error, "reasons")


def _network_reason(error: BaseException, text: str) -> Reason:
    if isinstance(error, (DownloadTimeoutError, TimeoutError)):
        return Reason.TIMEOUT
    # Scrapy cancels downloads for their size only; what grows too large when it is unpacked is told by words.
    if isinstance(error, DownloadCancelledError) or (isinstance(error, IgnoreRequest) and "DOWNLOAD_MAXSIZE" in text):
        return Reason.TOO_MANY_BYTES
    names = {f"{type(cause).__module__}.{type(cause).__name__}".lower() for cause in _causes(error)}
    if any("ssl" in name or "service_identity" in name or "tls" in name for name in names):
        return Reason.TLS
    return Reason.CONNECTION


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all it was made from, Twisted's lists of reasons included."""
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        queue += [current.__cause__, current.__context__]
        queue += [getattr(failure, "value", None) for failure in getattr(current, "reasons", None) or ()]

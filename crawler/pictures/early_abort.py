"""Ends the download of a candidate picture at its headers, or at its first bytes, when they rule it out."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import StopDownload
from scrapy.http import Headers, Request

from crawler.consent.headers import picture_objection
from crawler.consent.verdicts import IN_HEADERS, refused
from crawler.network.request_meta import ABORTED, ARRIVAL, CANDIDATE, CHECKED, MAX_BYTES
from crawler.pictures.arrivals import Arrival
from crawler.pictures.finds import Seen
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome

if TYPE_CHECKING:
    from crawler.session import Session

_NOT_IMAGES = ("text/", "video/", "audio/", "font/", "message/", "multipart/")
_NOT_IMAGE_TYPES = frozenset(
    {"application/json", "application/xhtml+xml", "application/xml", "application/pdf", "application/javascript"}
)


class EarlyAbort:
    """Listens to what arrives; the spider finds the reason, and what was seen, under `ABORTED` and `ARRIVAL`.

    It also counts the requests and bytes of the crawl, as every one of them passes here.
    """

    def __init__(self) -> None:
        self._session: Session | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Connected to the crawl's signals."""
        self = cls()
        crawler.signals.connect(self.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(self.request_sent, signal=signals.request_reached_downloader)
        crawler.signals.connect(self.headers_received, signal=signals.headers_received)
        crawler.signals.connect(self.bytes_received, signal=signals.bytes_received)
        return self

    def spider_opened(self, spider: Spider) -> None:
        """Find the session; the spider of `scrapy shell` has none, and nothing is done there."""
        self._session = getattr(spider, "session", None)

    def request_sent(self) -> None:
        """Count a request, robots.txt and redirects included."""
        if self._session is not None:
            self._session.request_sent()

    def headers_received(self, headers: Headers, body_length: object, request: Request) -> None:
        """Stop the download of a candidate that is of no use; redirects and errors go their usual way without body."""
        if self._session is None or not request.meta.get(CANDIDATE):
            return
        # Twisted gives a word instead of a number where the server names no length.
        announced = body_length if isinstance(body_length, int) else None
        is_packed = (headers.get("Content-Encoding") or b"identity").strip().lower() != b"identity"
        # Also for a redirect and another try, whose requests inherit what is in the meta of the one before.
        arrival = Arrival(self._session.request, announced=announced, is_packed=is_packed)
        request.meta[ARRIVAL] = arrival
        trouble = _opt_out(headers, request) or _trouble(headers, body_length, request.meta.get(MAX_BYTES, 0))
        if trouble is None:
            kind = _media_type(headers)
            trouble = self._session.request.objection_to(None, None, kind)
            arrival.seen = Seen(media_type=kind) if trouble is not None else None
        if trouble is not None:
            _stop(request, trouble)

    def bytes_received(self, data: bytes, request: Request) -> None:
        """Count these bytes, and stop the download of a candidate once they tell that it is of no use."""
        if self._session is None:
            return
        self._session.received(len(data))
        arrival: Arrival | None = request.meta.get(ARRIVAL)
        if arrival is not None and arrival.is_open and (trouble := arrival.receive(data)) is not None:
            _stop(request, trouble)


def _stop(request: Request, trouble: Trouble) -> NoReturn:
    request.meta[ABORTED] = trouble
    # fail=False: the status is not known here, and a redirect must still be followed.
    raise StopDownload(fail=False)


def _media_type(headers: Headers) -> str:
    return (headers.get("Content-Type") or b"").decode("latin-1").partition(";")[0].strip().lower()


def values_of(headers: Headers, name: str) -> list[str]:
    """What stands in a header, once for each time it was sent."""
    return [value.decode("latin-1") for value in headers.getlist(name)]


def _opt_out(headers: Headers, request: Request) -> Trouble | None:
    objection = picture_objection(partial(values_of, headers), where=request.url, now=datetime.now(UTC))
    return refused(objection, (*request.meta.get(CHECKED, ()), *IN_HEADERS)) if objection is not None else None


def _trouble(headers: Headers, body_length: object, max_bytes: int) -> Trouble | None:
    kind = _media_type(headers)
    if kind.startswith(_NOT_IMAGES) or kind in _NOT_IMAGE_TYPES:
        return Trouble(Outcome.FAILED, Reason.NOT_AN_IMAGE, f"the server calls it {kind}")
    if isinstance(body_length, int) and 0 < max_bytes < body_length:
        detail = f"{body_length} bytes, more than the {max_bytes} allowed"
        return Trouble(Outcome.FAILED, Reason.TOO_MANY_BYTES, detail)
    return None

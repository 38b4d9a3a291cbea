"""Ends the download of a candidate picture at its headers when they tell that it cannot be kept."""

from __future__ import annotations

from typing import Self

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import StopDownload
from scrapy.http import Headers, Request

from crawler.consent import header_objection
from crawler.finds import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome

CANDIDATE = "dreamcrawl_candidate"
ABORTED = "dreamcrawl_aborted"
MAX_BYTES = "download_maxsize"

_NOT_IMAGES = ("text/", "video/", "audio/", "font/", "message/", "multipart/")
_NOT_IMAGE_TYPES = frozenset(
    {"application/json", "application/xhtml+xml", "application/xml", "application/pdf", "application/javascript"}
)


class EarlyAbort:
    """Listens to `headers_received`; the spider finds the reason under `ABORTED` in the request's meta."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Connected to the crawl's signals."""
        self = cls()
        crawler.signals.connect(self.headers_received, signal=signals.headers_received)
        return self

    def headers_received(self, headers: Headers, body_length: object, request: Request) -> None:
        """Stop the download of a candidate that is of no use; redirects and errors go their usual way without body."""
        if not request.meta.get(CANDIDATE):
            return
        trouble = _trouble(headers, body_length, request.meta.get(MAX_BYTES, 0))
        if trouble is not None:
            request.meta[ABORTED] = trouble
            # fail=False: the status is not known here, and a redirect must still be followed.
            raise StopDownload(fail=False)


def _trouble(headers: Headers, body_length: object, max_bytes: int) -> Trouble | None:
    tags = [value.decode("latin-1") for value in headers.getlist("X-Robots-Tag")]
    reservation = headers.get("TDM-Reservation")
    if objection := header_objection(tags, reservation.decode("latin-1") if reservation else None):
        return Trouble(Outcome.REFUSED, Reason.OPT_OUT, objection)
    kind = (headers.get("Content-Type") or b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind.startswith(_NOT_IMAGES) or kind in _NOT_IMAGE_TYPES:
        return Trouble(Outcome.FAILED, Reason.NOT_AN_IMAGE, f"the server calls it {kind}")
    # Twisted gives a word instead of a number where the server names no length.
    if isinstance(body_length, int) and 0 < max_bytes < body_length:
        detail = f"{body_length} bytes, more than the {max_bytes} allowed"
        return Trouble(Outcome.FAILED, Reason.TOO_MANY_BYTES, detail)
    return None

"""One picture: the request for it through Scrapy's downloader, and from the answer, or its absence, a find.

Pictures do not go through Scrapy's scheduler and scraper, which take as long as the download itself: like Scrapy's own
media pipelines, this asks the engine directly. All downloader middlewares, and so all checks, apply.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK

from crawler.consent.verdicts import IN_HEADERS, ON_PAGES, allowed
from crawler.failures import CrawlEnds, status_trouble, trouble_of
from crawler.network.page_cache import conditional_headers
from crawler.network.request_meta import ABORTED, ARRIVAL, CANDIDATE, CHECKED, KNOWN, MAX_BYTES
from crawler.network.resolver import REFUSED_HOSTS
from crawler.pictures.arrivals import Arrival, hash_trouble
from crawler.pictures.finds import Find, RecordMaker
from crawler.pictures.queue import FetchImage, Recheck
from crawler.session import Session
from crawler.troubles import Trouble
from crawler.urls import canonical_url
from pipeline.records import Consent, HttpFacts, Outcome

PRIORITY = 10_000
"""Pictures before pages, at the gate of their host."""

_HEADERS = {
    "Accept": "image/webp,image/png,image/jpeg,image/gif;q=0.9,*/*;q=0.5",
    # The bytes are to come as they lie on the server.
    "Accept-Encoding": "identity",
}
_NOT_MODIFIED = 304


class PictureFetcher:
    """Fetches for one crawl."""

    def __init__(self, crawler: Crawler, session: Session, records: RecordMaker, *, shown_on_pages: bool) -> None:
        """For one crawl.

        Args:
            crawler: Whose engine is asked.
            session: Of the crawl.
            records: Makes the finds.
            shown_on_pages: Whether the pictures were found on web pages, whose own words about machines were read.
        """
        self._crawler = crawler
        self._session = session
        self._records = records
        self._on_page = ON_PAGES if shown_on_pages else ()

    async def fetch(self, step: FetchImage) -> Find | None:
        """What came of a picture; None when the crawl ended before."""
        request = self._request(step)
        answer = await self._ask(request)
        if not isinstance(answer, Response):
            return None if answer is None else self._records.troubled(step.candidate, answer)
        self._session.visiting(urlsplit(answer.url).netloc)
        return self._find(answer, step)

    async def recheck(self, step: Recheck) -> Find | None:
        """Whether a known picture may still be used; None when the crawl ended before."""
        answer = await self._ask(
            Request(step.candidate.item.image_url, callback=NO_CALLBACK, priority=PRIORITY, meta={KNOWN: True})
        )
        if not isinstance(answer, Response):
            return None if answer is None else self._records.troubled(step.candidate, answer)
        consent, saved = self._consent(answer), step.size_bytes
        return self._records.known(step.candidate, step.sha256, consent=consent, bytes_saved=saved)

    async def _ask(self, request: Request) -> Response | Trouble | None:
        engine: Any = self._crawler.engine
        try:
            response: Response = await engine.download_async(request)
        except CrawlEnds:
            return None
        except Exception as error:  # noqa: BLE001  # whatever it was, it is this picture's trouble only
            if engine.spider is None:
                return None
            return trouble_of(error, request.url, refused_hosts=REFUSED_HOSTS)
        return response

    def _request(self, step: FetchImage) -> Request:
        item = step.candidate.item
        headers = {**_HEADERS, **conditional_headers(step.etag, step.last_modified)}
        # Some hosts give pictures only to those who come from a page; but nothing of a secure page is told in the open.
        if not (item.page_url.startswith("https:") and item.image_url.startswith("http:")):
            headers["Referer"] = item.page_url
        return Request(
            item.image_url,
            callback=NO_CALLBACK,
            headers=headers,
            priority=PRIORITY,
            meta={CANDIDATE: True, MAX_BYTES: self._session.request.max_image_bytes},
        )

    def _find(self, response: Response, step: FetchImage) -> Find:
        assert response.request is not None
        candidate, facts, meta = step.candidate, _http_facts(response), response.request.meta
        is_unchanged = response.status == _NOT_MODIFIED and step.sha256 is not None
        if not is_unchanged and not 200 <= response.status < 300:
            return self._records.troubled(candidate, status_trouble(response.status), http=facts)
        arrival: Arrival = meta[ARRIVAL]
        stopped: Trouble | None = meta[ABORTED] if "download_stopped" in response.flags else None
        # Of an answer without a body only what it says about consent counts: it may call itself anything else.
        if stopped is not None and not (is_unchanged and stopped.outcome is not Outcome.REFUSED):
            saved = arrival.bytes_saved
            return self._records.troubled(candidate, stopped, http=facts, seen=arrival.seen, bytes_saved=saved)
        if is_unchanged:
            consent, saved = self._consent(response, IN_HEADERS), step.size_bytes
            return self._records.known(candidate, step.sha256, consent=consent, bytes_saved=saved)
        trouble = arrival.completed(response.body) or hash_trouble(candidate.item.source_hash, response.body)
        if trouble is not None:
            return self._records.troubled(candidate, trouble, http=facts, seen=arrival.seen)
        consent = self._consent(response, IN_HEADERS)
        return self._records.fetched(candidate, response.body, http=facts, consent=consent, seen=arrival.seen)

    def _consent(self, response: Response, seen: tuple[str, ...] = ()) -> Consent:
        """The verdict on a picture that nothing spoke against; `seen`: what was read beyond its site's files."""
        assert response.request is not None
        return allowed((*response.request.meta.get(CHECKED, ()), *seen, *self._on_page))


def _http_facts(response: Response) -> HttpFacts:
    """What the server said, and the addresses passed through."""
    redirects = response.request.meta.get("redirect_urls", []) if response.request is not None else []

    def header(name: str) -> str | None:
        value = response.headers.get(name)
        return value.decode("latin-1")[:500] if value else None

    return HttpFacts(
        final_url=canonical_url(response.url),
        status=response.status,
        redirects=tuple(redirects),
        content_type=header("Content-Type"),
        etag=header("ETag"),
        last_modified=header("Last-Modified"),
    )

"""Pages of earlier crawls, asked for again only as to whether they have changed (RFC 9110, section 13; RFC 9111, 4.3).

Scrapy's own cache is not used: it answers without asking, keeps everything for ever, and heeds no size.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Headers, Request, Response
from scrapy.responsetypes import responsetypes

from crawler.network.request_meta import KEPT_PAGE
from pipeline.whole_files import TEMPORARY_PREFIX, write_whole

CACHED = "dreamcrawl_cached"
"""Flag of a response whose body lay here."""

MAX_AGE_SECONDS = 90 * 24 * 3600.0
"""Pages that no crawl asked for in this time are deleted."""

MAX_TOTAL_BYTES = 500 * 10**6
"""Beyond this those asked for longest ago are deleted, when a crawl begins."""

_STORED = "dreamcrawl_stored_page"
_NOT_MODIFIED = 304
_ABANDONED_SECONDS = 3600.0
# What belongs to one message and not to the page, and what is no longer true of the unpacked body.
_OF_THE_MESSAGE = frozenset(
    {b"connection", b"content-encoding", b"content-length", b"keep-alive", b"set-cookie", b"transfer-encoding"}
)


def conditional_headers(etag: str | None, last_modified: str | None) -> dict[str, bytes]:
    """The request headers that ask for a body only if it is another one than that with these validators."""
    told = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    return {name: value.encode("latin-1") for name, value in told.items() if value and _is_header_value(value)}


def _is_header_value(text: str) -> bool:
    return all(" " <= character <= "\xff" and character != "\x7f" for character in text)


@dataclass(frozen=True)
class StoredPage:
    """A page as it came.

    Attributes:
        url: Its address.
        headers: (name, value) of its response, values as Latin-1, without those of the message.
        body: Unpacked.
    """

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


class PageCache:
    """A folder of pages, one file each; several crawls may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, url: str) -> StoredPage | None:
        """The page at this address; None when it is not here, or its file is damaged."""
        try:
            digest, _, rest = self._path(url).read_bytes().partition(b"\n")
            if hashlib.sha256(rest).hexdigest().encode("ascii") != digest:
                return None
            facts, _, body = rest.partition(b"\n")
            values = json.loads(facts)
            page = StoredPage(values["url"], tuple((str(n), str(v)) for n, v in values["headers"]), body)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return page if page.url == url else None

    def store(self, page: StoredPage) -> None:
        """Keep a page; one that cannot be written is only asked for again."""
        facts = json.dumps({"url": page.url, "headers": page.headers}).encode("ascii")
        rest = facts + b"\n" + page.body
        with contextlib.suppress(OSError):
            write_whole(self._path(page.url), hashlib.sha256(rest).hexdigest().encode("ascii") + b"\n" + rest)

    def touch(self, url: str) -> None:
        """Remember that a page was asked for."""
        with contextlib.suppress(OSError):
            os.utime(self._path(url))

    def forget(self, url: str) -> None:
        """Delete a page; one that is not here is fine."""
        with contextlib.suppress(OSError):
            self._path(url).unlink(missing_ok=True)

    def tidy(self, *, now: float, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        """Delete what is too old, what is too much, and what killed crawls left half written.

        now: Seconds since the epoch.
        """
        total = 0
        for modified, size, path in sorted(self._files(), reverse=True):
            total += size
            most = _ABANDONED_SECONDS if path.name.startswith(TEMPORARY_PREFIX) else MAX_AGE_SECONDS
            if total > max_total_bytes or now - modified > most:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _files(self) -> Iterable[tuple[float, int, Path]]:
        try:
            entries = list(os.scandir(self._folder))
        except OSError:
            return
        for entry in entries:
            # Another crawl may be tidying too.
            with contextlib.suppress(OSError):
                state = entry.stat(follow_symlinks=False)
                yield state.st_mtime, state.st_size, Path(entry.path)

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode("utf-8", errors="surrogatepass")).hexdigest()


class PageCacheMiddleware:
    """Asks with the validators of the page kept here, and answers with it when the server says that it still holds."""

    def __init__(self, cache: PageCache) -> None:
        self._cache = cache

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """With the folder of the settings, tidied.

        Raises:
            NotConfigured: There is none; nothing is kept then.
        """
        folder = crawler.settings["DREAMCRAWL_PAGE_CACHE"]
        if not folder:
            raise NotConfigured
        cache = PageCache(Path(folder))
        cache.tidy(now=time.time())
        return cls(cache)

    async def process_request(self, request: Request) -> None:
        """Make the request for a page conditional."""
        if not request.meta.get(KEPT_PAGE):
            return
        # A redirect inherits what was made for the address before.
        for name in ("If-None-Match", "If-Modified-Since", "Cache-Control"):
            request.headers.pop(name, None)
        stored = request.meta[_STORED] = await asyncio.to_thread(self._cache.load, request.url)
        if stored is not None:
            for name, value in conditional_headers(stored.header("ETag"), stored.header("Last-Modified")).items():
                request.headers[name] = value

    async def process_response(self, request: Request, response: Response) -> Response:
        """The response, which is kept; or the page kept here, as if it had come now."""
        if not request.meta.get(KEPT_PAGE):
            return response
        stored: StoredPage | None = request.meta.pop(_STORED, None)
        if response.status == _NOT_MODIFIED and stored is not None:
            await asyncio.to_thread(self._cache.touch, stored.url)
            return _as_come_now(stored, request, response)
        if response.status == 200:
            if _may_be_kept(response.headers):
                page = StoredPage(request.url, tuple(_headers_of(response.headers)), response.body)
                await asyncio.to_thread(self._cache.store, page)
            elif stored is not None:
                await asyncio.to_thread(self._cache.forget, stored.url)
        return response


def _may_be_kept(headers: Headers) -> bool:
    control = b",".join(headers.getlist("Cache-Control")).lower()
    return b"no-store" not in control and bool(headers.get("ETag") or headers.get("Last-Modified"))


def _headers_of(headers: Headers) -> Iterable[tuple[str, str]]:
    for name in headers:
        if name.lower() not in _OF_THE_MESSAGE:
            for value in headers.getlist(name):
                yield name.decode("latin-1"), value.decode("latin-1")


def _as_come_now(stored: StoredPage, request: Request, response: Response) -> Response:
    """The kept page with the headers of the answer in place of its own, as far as the answer has them."""
    fresh = list(_headers_of(response.headers))
    renewed = {name.lower() for name, _ in fresh}
    headers = Headers()
    for name, value in (*(pair for pair in stored.headers if pair[0].lower() not in renewed), *fresh):
        headers.appendlist(name, value.encode("latin-1"))
    kind = responsetypes.from_args(headers=headers, url=response.url, body=stored.body)
    flags = [*response.flags, CACHED]
    return kind(response.url, status=200, headers=headers, body=stored.body, flags=flags, request=request)

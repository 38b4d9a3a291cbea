"""Pages kept from one crawl to the next."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from scrapy.http import HtmlResponse, Request, Response, TextResponse

from crawler.network.page_cache import (
    CACHED,
    MAX_AGE_SECONDS,
    PageCache,
    PageCacheMiddleware,
    StoredPage,
    conditional_headers,
)
from crawler.network.request_meta import KEPT_PAGE

URL = "https://example.org/mills?page=2"
NOW = 2_000_000_000.0
PAGE = StoredPage(
    URL, (("ETag", '"a"'), ("X-Robots-Tag", "noai"), ("X-Robots-Tag", "noml")), b"<title>M\xc3\xbchle\n\n"
)


@pytest.fixture
def cache(tmp_path: Path) -> PageCache:
    return PageCache(tmp_path / "pages")


def only_file(folder: Path) -> Path:
    (path,) = (folder / "pages").iterdir()
    return path


def test_a_page_comes_back_as_it_was(cache: PageCache) -> None:
    cache.store(PAGE)

    assert cache.load(URL) == PAGE
    assert cache.load(f"{URL}1") is None
    cache.forget(URL)
    cache.forget(URL)
    assert cache.load(URL) is None


@pytest.mark.parametrize("position", [0, 30, 70, 90, 200, -1])
def test_a_damaged_file_is_no_page(cache: PageCache, tmp_path: Path, position: int) -> None:
    cache.store(PAGE)
    data = bytearray(only_file(tmp_path).read_bytes())
    data[position] ^= 1
    only_file(tmp_path).write_bytes(data)

    assert cache.load(URL) is None


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n", b"0" * 64 + b"\n{}\n", b"\xff" * 500])
def test_a_file_of_something_else_is_no_page(cache: PageCache, tmp_path: Path, data: bytes) -> None:
    cache.store(PAGE)
    only_file(tmp_path).write_bytes(data)

    assert cache.load(URL) is None


def test_a_page_under_the_name_of_another_is_no_page(cache: PageCache, tmp_path: Path) -> None:
    cache.store(PAGE)
    data = only_file(tmp_path).read_bytes()
    cache.forget(URL)
    cache.store(StoredPage("https://example.org/", (), b""))
    only_file(tmp_path).write_bytes(data)

    assert cache.load("https://example.org/") is None


def test_a_folder_that_cannot_be_written_only_costs_requests(tmp_path: Path) -> None:
    (tmp_path / "pages").write_bytes(b"a file is in the way")
    cache = PageCache(tmp_path / "pages")

    cache.store(PAGE)
    cache.touch(URL)
    cache.tidy(now=NOW)

    assert cache.load(URL) is None


def test_old_pages_and_the_oldest_of_too_many_are_deleted(cache: PageCache, tmp_path: Path) -> None:
    ages = {"new": 0.0, "middle": 10.0, "large": 20.0, "larger": 30.0, "old": MAX_AGE_SECONDS + 1}
    for name, age in ages.items():
        before = set((tmp_path / "pages").iterdir()) if (tmp_path / "pages").exists() else set()
        cache.store(StoredPage(name, (), b"x" * (5000 if name.startswith("large") else 500)))
        (path,) = set((tmp_path / "pages").iterdir()) - before
        os.utime(path, (NOW - age, NOW - age))
    for name, age in ((".tmp-abandoned", 7200.0), (".tmp-being-written", 5.0)):
        (tmp_path / "pages" / name).write_bytes(b"half")
        os.utime(tmp_path / "pages" / name, (NOW - age, NOW - age))

    cache.tidy(now=NOW)
    assert {name for name in ages if cache.load(name)} == {"new", "middle", "large", "larger"}
    assert [path.name for path in (tmp_path / "pages").glob(".tmp-*")] == [".tmp-being-written"]

    cache.tidy(now=NOW, max_total_bytes=8000)
    assert {name for name in ages if cache.load(name)} == {"new", "middle", "large"}


def test_a_page_that_was_asked_for_is_young_again(cache: PageCache, tmp_path: Path) -> None:
    cache.store(PAGE)
    os.utime(only_file(tmp_path), (0, 0))

    cache.touch(URL)

    assert only_file(tmp_path).stat().st_mtime > MAX_AGE_SECONDS


def test_validators_are_sent_as_they_came_and_never_more_than_one_line() -> None:
    assert conditional_headers('W/"\xe9"', None) == {"If-None-Match": b'W/"\xe9"'}
    assert conditional_headers(None, "Tue, 01 Jan 2019 00:00:00 GMT") == {
        "If-Modified-Since": b"Tue, 01 Jan 2019 00:00:00 GMT"
    }
    assert conditional_headers('"a"\r\nX-Evil: 1', "\u0141") == {}
    assert conditional_headers(None, "") == {}


class Site:
    """The middleware, with the network played by the test."""

    def __init__(self, cache: PageCache) -> None:
        self._middleware = PageCacheMiddleware(cache)

    def ask(self, request: Request, response: Response) -> Response:
        async def pass_through() -> Response:
            await self._middleware.process_request(request)
            return await self._middleware.process_response(request, response)

        return asyncio.run(pass_through())


def page_request(url: str = URL, **headers: str) -> Request:
    return Request(url, meta={KEPT_PAGE: True}, headers=headers)


def html(body: bytes, **headers: str) -> HtmlResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HtmlResponse(URL, body=body, headers={"Content-Type": "text/html; charset=utf-8", **named})


def test_an_unchanged_page_is_as_good_as_one_that_came(cache: PageCache) -> None:
    site = Site(cache)
    body = "<title>Mühle</title>".encode()
    site.ask(page_request(), html(body, ETag='"a"', X_Robots_Tag="noai", Last_Modified="then", Set_Cookie="a=b"))
    request = page_request()
    answer = site.ask(request, Response(URL, status=304, headers={"X-Robots-Tag": "noimageai", "ETag": '"a"'}))

    assert (request.headers["If-None-Match"], request.headers["If-Modified-Since"]) == (b'"a"', b"then")
    assert isinstance(answer, TextResponse)
    assert (answer.status, answer.flags, answer.text) == (200, [CACHED], "<title>Mühle</title>")
    assert answer.headers.getlist("X-Robots-Tag") == [b"noimageai"]
    assert answer.headers["Last-Modified"] == b"then"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{}, {"ETag": '"a"', "Cache_Control": "private, no-store"}, {"Cache_Control": "max-age=60"}]
)
def test_what_cannot_or_must_not_be_kept_is_not(cache: PageCache, headers: dict[str, str]) -> None:
    site = Site(cache)
    site.ask(page_request(), html(b"old", ETag='"old"'))

    site.ask(page_request(), html(b"new", **headers))

    assert cache.load(URL) is None


def test_errors_and_other_requests_pass_untouched(cache: PageCache) -> None:
    site = Site(cache)
    picture = Request(URL, headers={"If-None-Match": '"mine"'})
    missing, not_modified = Response(URL, status=404, headers={"ETag": '"a"'}), Response(URL, status=304)

    assert site.ask(page_request(), missing) is missing
    assert site.ask(page_request(), not_modified) is not_modified
    assert site.ask(picture, not_modified) is not_modified
    assert picture.headers["If-None-Match"] == b'"mine"'
    assert cache.load(URL) is None


def test_a_redirect_takes_no_validators_along(cache: PageCache) -> None:
    site = Site(cache)
    site.ask(page_request(), html(b"here", ETag='"a"'))
    first = page_request()
    moved = Response(URL, status=302, headers={"Location": "/there"})
    site.ask(first, moved)

    second = first.replace(url="https://example.org/there")
    answer = site.ask(second, Response("https://example.org/there", status=304))

    assert first.headers["If-None-Match"] == b'"a"'
    assert "If-None-Match" not in second.headers
    assert answer.status == 304

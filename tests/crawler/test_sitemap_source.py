from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import SiteUnreachable, SourceError
from crawler.items import ImageItem
from crawler.sources import make_source
from crawler.sources.sitemap import Sitemap
from pipeline.records import Outcome
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.web_server import Answer, WebServer, page, picture, web_server

CASES = sorted((Path(__file__).parent / "fixtures" / "sitemap").iterdir())
URL = "https://example.org/sitemap.xml"
XMLNS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def as_json(item: ImageItem, name: str) -> Any:
    value = getattr(item, name)
    return [value.id, value.url, value.declared_by] if name == "license" and value is not None else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_saved_file_gives_the_pictures_and_links_written_beside_it(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))

    page = Sitemap(expected["url"]).parse(expected["url"], (case / "file.xml").read_text(encoding="utf-8"))

    assert [item.image_url for item in page.items] == [wanted["image_url"] for wanted in expected["items"]]
    for item, wanted in zip(page.items, expected["items"], strict=True):
        assert {name: as_json(item, name) for name in wanted} == wanted
    assert [[link.url, link.text] for link in page.links] == expected["links"]


@pytest.mark.parametrize(
    ("argument", "start", "second"),
    [
        ("example.org", "https://example.org/sitemap.xml", "https://example.org/robots.txt"),
        ("https://example.org/", "https://example.org/sitemap.xml", "https://example.org/robots.txt"),
        ("127.0.0.1:80", "http://127.0.0.1/sitemap.xml", "http://127.0.0.1/robots.txt"),
        ("https://example.org/maps/a.xml.gz", "https://example.org/maps/a.xml.gz", None),
    ],
)
def test_a_bare_site_is_asked_in_the_usual_places(argument: str, start: str, second: str | None) -> None:
    source = make_source("sitemap", argument)

    assert isinstance(source, Sitemap)
    assert (source.start_url, source.second_start_url()) == (start, second)


@pytest.mark.parametrize("argument", ["", "/tmp/sitemap.xml", "ftp://example.org/s.xml", "https://a:b@example.org/"])
def test_what_is_no_web_address_is_refused(argument: str) -> None:
    with pytest.raises(SourceError, match="sitemap="):
        Sitemap(argument)


BOMBS = {
    "billion laughs": '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><urlset><url>'
    "<loc>https://example.org/&b;</loc></url></urlset>",
    "external entity": '<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url>'
    "<loc>https://example.org/&x;</loc></url></urlset>",
    "external DTD": '<!DOCTYPE urlset SYSTEM "http://127.0.0.1/x.dtd"><urlset></urlset>',
    "deep": f"<urlset>{'<url>' * 5000}",
    "one huge entry": f"<urlset><url>{'<x/>' * 200_000}</url></urlset>",
    "spaces": " " * 3_000_000 + "x",
    "open comments": "<!--" * 500_000,
    "other markup": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "not well formed": "<urlset><url></urlset>",
    "web page": "<!doctype html><title>Not found</title>",
    "JSON": '{"urls": []}',
    "nothing": "",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_hostile_and_wrong_files_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it (declares|is)"):
        Sitemap(URL).parse(URL, text)


def test_a_file_that_breaks_off_gives_what_came_before() -> None:
    text = f"<urlset {XMLNS}><url><loc>https://example.org/a</loc></url><url><loc>https://example.org/b & c"

    assert [link.url for link in Sitemap(URL).parse(URL, text).links] == ["https://example.org/a"]


def test_a_large_sitemap_is_never_held_as_a_tree() -> None:
    entry = "<url><loc>https://example.org/x</loc><priority>0.5</priority></url>"
    text = f"<urlset {XMLNS}>{entry * 15_000}</urlset>"
    source = Sitemap(URL)
    tracemalloc.start()

    source.parse(URL, text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 3.5 * len(text)  # the text encoded once, and some; a tree of it takes over ten times its length


def test_plain_lists_are_sitemaps_too() -> None:
    text = "\ufeffhttps://example.org/a\r\nhttps://example.org/b.jpg\n\nnonsense\nhttps://other.example/c\n"

    page = Sitemap("https://example.org/list.txt").parse("https://example.org/list.txt", text)

    assert [link.url for link in page.links] == ["https://example.org/a", "https://example.org/nonsense"]
    assert [item.image_url for item in page.items] == ["https://example.org/b.jpg"]


def test_packed_files_are_unpacked_up_to_a_limit() -> None:
    source = Sitemap(URL)
    text = (
        '<?xml version="1.0" encoding="iso-8859-1"?><urlset><url><loc>https://example.org/\u00e9</loc></url></urlset>'
    )
    packed = gzip.compress(text[:40].encode("latin-1")) + gzip.compress(text[40:].encode("latin-1"))

    assert source.text_of(URL, packed) == text
    assert source.parse(URL, text).links[0].url == "https://example.org/%C3%A9"
    assert source.text_of(URL, b"<urlset/>") is None
    with pytest.raises(ValueError, match="larger than 50 MB"):
        source.text_of(URL, gzip.compress(b" " * (51 * 2**20), compresslevel=1))
    with pytest.raises(ValueError, match="gzip"):
        source.text_of(URL, b"\x1f\x8bnot really")


def test_only_sitemaps_may_be_larger_than_pages() -> None:
    source = Sitemap(URL)
    source.parse(URL, f"<sitemapindex {XMLNS}><sitemap><loc>https://example.org/2.xml</loc></sitemap></sitemapindex>")

    assert source.max_bytes_of("https://example.org/2.xml") == source.max_bytes_of(URL) == 50 * 2**20
    assert source.max_bytes_of("https://example.org/page") is None


def _site(server: WebServer) -> None:
    def urlset(*entries: str) -> str:
        image = "http://www.google.com/schemas/sitemap-image/1.1"
        return f'<urlset {XMLNS} xmlns:i="{image}">{"".join(entries)}</urlset>'.replace("ROOT", server.url)

    xml = "application/xml"
    told = "<i:image><i:loc>ROOT/told.jpg</i:loc><i:title>A windmill</i:title></i:image>"
    packed = urlset(
        f"<url><loc>ROOT/mill.html</loc>{told}</url>",
        "<url><loc>ROOT/page.html</loc></url>",
        "<url><loc>http://localhost:1/elsewhere.html</loc></url>",
    )
    index = "".join(f"<sitemap><loc>{server.url}/{name}</loc></sitemap>" for name in ("a.xml.gz", "bomb.xml.gz", "no"))
    bomb = f"<urlset>{' ' * (51 * 2**20)}</urlset>".encode()
    server.routes |= {
        "/robots.txt": Answer(
            f"User-agent: *\nDisallow: /private\nSitemap: {server.url}/maps.xml\n".encode(), "text/plain"
        ),
        "/maps.xml": Answer(f"<sitemapindex {XMLNS}>{index}</sitemapindex>".encode(), xml),
        "/a.xml.gz": Answer(gzip.compress(packed.encode()), "application/gzip"),
        "/bomb.xml.gz": Answer(gzip.compress(bomb, compresslevel=1), "application/gzip"),
        "/page.html": page("/shown.jpg", links=("/never.html",)),
        "/never.html": page("/never.jpg"),
        "/told.jpg": picture(b"told"),
        "/shown.jpg": picture(b"shown"),
    }


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crawled, WebServer]:
    with web_server({}) as server:
        _site(server)
        folder = tmp_path_factory.mktemp("sitemap")
        return run_crawl(folder, request_for("sitemap", f"{server.url}/", "windmill")), server


def test_a_site_is_crawled_by_the_sitemaps_that_its_robots_txt_names(crawled: tuple[Crawled, WebServer]) -> None:
    result, server = crawled
    records = result.by_path(server.url)

    assert {path: record.outcome for path, record in records.items()} == {
        "/told.jpg": Outcome.FETCHED,
        "/shown.jpg": Outcome.FETCHED,
    }
    assert records["/told.jpg"].title == "A windmill"
    assert records["/told.jpg"].page_url == f"{server.url}/mill.html"
    # The page whose picture is listed need not be read, and of other pages only those that are listed.
    assert not {"/mill.html", "/never.html"} & set(server.paths())


def test_a_sitemap_that_is_a_bomb_is_one_page_not_read(crawled: tuple[Crawled, WebServer]) -> None:
    result, server = crawled

    assert "/bomb.xml.gz" in server.paths()
    assert any("bomb.xml.gz: is larger than 50 MB" in warning for warning in result.report.warnings)


def test_a_site_without_any_sitemap_is_told_with_both_places(tmp_path: Path) -> None:
    robots = Answer(b"User-agent: *\n", "text/plain")
    with web_server({"/robots.txt": robots}) as server, pytest.raises(SiteUnreachable) as told:
        run_crawl(tmp_path, request_for("sitemap", f"{server.url}/", "windmill"))

    assert "/sitemap.xml" in str(told.value)
    assert "names no sitemap" in str(told.value)

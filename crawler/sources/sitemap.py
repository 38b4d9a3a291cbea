"""`sitemap=URL`: the pictures and pages that a site lists for machines."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.items import PageLink, ParsedPage
from crawler.sources.base import WebSource, site_address
from crawler.sources.html_page import parse_page
from crawler.sources.sitemap_files import (
    FEED_ROOTS,
    MAX_BYTES,
    SITEMAP_ROOTS,
    SitemapFile,
    read_lines,
    read_robots_lines,
    read_sitemap,
    root_of,
    unpacked,
)
from crawler.urls import same_site

_USUAL_PLACE = "/sitemap.xml"
_ROBOTS = "/robots.txt"


class Sitemap(WebSource):
    """A sitemap with those that it names, and the pages of which it lists no picture; all of one host and port."""

    name: ClassVar[str] = "sitemap"

    def __init__(self, argument: str) -> None:
        super().__init__(argument.strip())
        named = site_address(self.name, self.argument)
        parts = urlsplit(named)
        is_site = parts.path == "/" and not parts.query
        self._start_url = urljoin(named, _USUAL_PLACE) if is_site else named
        self._second = urljoin(named, _ROBOTS) if is_site else None
        self._home = self._start_url
        self._sitemaps = {self._start_url}

    @property
    def start_url(self) -> str:
        """The sitemap named; of a site, the usual place."""
        return self._start_url

    def second_start_url(self) -> str | None:
        """Of a site that has no sitemap in the usual place: its robots.txt, which may name others."""
        return self._second

    def follows(self, url: str) -> bool:
        """Whether an address has the host and port of the sitemap."""
        return same_site(url, self._home)

    def moved(self, url: str) -> None:
        """The site is where the sitemap really is, as from example.org to www.example.org."""
        self._home = url
        self._sitemaps.add(url)

    def max_bytes_of(self, url: str) -> int | None:
        """Sitemaps may be larger than pages."""
        return MAX_BYTES if url in self._sitemaps else None

    def text_of(self, url: str, body: bytes) -> str | None:  # noqa: ARG002  # what a body is, it says itself
        """The text of a packed sitemap.

        Raises:
            ValueError: It is larger than a sitemap may be, or damaged.
        """
        return unpacked(body)

    def parse(self, url: str, html: str) -> ParsedPage:
        """What a sitemap, a robots.txt or a page of the site gives.

        Raises:
            ValueError: What should be a sitemap is none.
        """
        root = root_of(html)
        if urlsplit(url).path == _ROBOTS:
            named = read_robots_lines(url, html)
            if not named.sitemaps:
                raise ValueError("it names no sitemap")
            return self._listed(named)
        is_listed = url in self._sitemaps
        if root in SITEMAP_ROOTS or (root in FEED_ROOTS and is_listed):
            return self._listed(read_sitemap(url, html))
        if root is None and not html.lstrip("\ufeff \t\r\n").startswith("<"):
            return self._listed(read_lines(url, html))
        if is_listed:
            raise ValueError(f"it is no sitemap, but {'a page' if root else 'something else'}; website=URL reads pages")
        page = parse_page(url, html)
        # The sitemap says which pages there are; only those that a thumbnail stands for are looked at besides.
        shown = {item.thumbnail_of for item in page.items}
        return ParsedPage(
            page.items, tuple(link for link in page.links if link.url in shown and self.follows(link.url))
        )

    def _listed(self, file: SitemapFile) -> ParsedPage:
        sitemaps = [url for url in file.sitemaps if self.follows(url)]
        self._sitemaps.update(sitemaps)
        links = [PageLink(url, "") for url in sitemaps] + [page for page in file.pages if self.follows(page.url)]
        return ParsedPage(file.items, tuple(links))

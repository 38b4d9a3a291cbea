"""`website=URL`: the pages of one site, followed from the page named."""

from __future__ import annotations

from typing import ClassVar

from crawler.items import ParsedPage
from crawler.sources.base import WebSource, site_address
from crawler.sources.html_page import parse_page
from crawler.urls import same_site


class Website(WebSource):
    """A site: every page with the same host and port as the start page."""

    name: ClassVar[str] = "website"

    def __init__(self, argument: str) -> None:
        super().__init__(argument.strip())
        self._start_url = site_address(self.name, self.argument)
        self._home = self._start_url

    @property
    def start_url(self) -> str:
        """The page named by the operator."""
        return self._start_url

    def follows(self, url: str) -> bool:
        """Whether a page has the site's host and port."""
        return same_site(url, self._home)

    def parse(self, url: str, html: str) -> ParsedPage:
        """Pictures of any host, and links that stay on the site."""
        page = parse_page(url, html)
        return ParsedPage(page.items, tuple(link for link in page.links if self.follows(link.url)))

    def moved(self, url: str) -> None:
        """The site is where the start page really is, as from example.org to www.example.org."""
        self._home = url

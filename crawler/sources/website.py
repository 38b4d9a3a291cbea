"""`website=URL`: the pages of one site, followed from the page named."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from crawler.errors import SourceError
from crawler.items import ParsedPage
from crawler.sources.base import WebSource
from crawler.sources.html_page import parse_page
from crawler.urls import canonical_url, is_loopback, same_site


class Website(WebSource):
    """A site: every page with the same host and port as the start page."""

    name: ClassVar[str] = "website"

    def __init__(self, argument: str) -> None:
        super().__init__(argument.strip())
        text = self.argument
        if "://" not in text and text and not text.startswith(("/", ".")):
            scheme = "http" if is_loopback(text.partition("/")[0].partition(":")[0]) else "https"
            text = f"{scheme}://{text}"
        try:
            if urlsplit(text).username is not None:
                raise SourceError(f"website={self.argument}: an address with a user name or password is not crawled")
            self._start_url = canonical_url(text)
        except ValueError as error:
            raise SourceError(
                f"website={self.argument} is not a web address; give one such as website=https://example.org/"
            ) from error
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

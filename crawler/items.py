"""What a source says about a page and its pictures: plain values, before any keyword is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.urls import file_name
from pipeline.records import DeclaredLicense


@dataclass(frozen=True)
class ImageItem:
    """One picture that a page or folder shows.

    Attributes:
        image_url: Canonical address of its largest rendition.
        page_url: The page or folder.
        title: Its own title.
        alt: The alternative text.
        caption: Its caption, or the text of the link around it.
        tags: Its own tags; those of the page only where the page is about this picture.
        page_title: Titles of the page, or names of the folders, that speak of this picture; empty on a page that
            shows many.
        license: What the page declares for this picture.
        refusal: Why the page does not want it used by machines, such as `meta robots: noai`.
        thumbnail_of: A page of the same site that this picture links to, and that probably has it in full size.
    """

    image_url: str
    page_url: str
    title: str | None = None
    alt: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    page_title: tuple[str, ...] = ()
    creator: str | None = None
    creator_url: str | None = None
    license: DeclaredLicense | None = None
    refusal: str | None = None
    thumbnail_of: str | None = None

    def texts(self) -> Mapping[str, Sequence[str]]:
        """The texts that keywords are matched with, by field."""
        return {
            "title": (self.title or "",),
            "caption": (self.caption or "",),
            "alt": (self.alt or "",),
            "tags": self.tags,
            "file_name": (file_name(self.image_url),),
            "page_title": self.page_title,
        }


@dataclass(frozen=True)
class PageLink:
    """A link to another page of the site, with the words that describe it."""

    url: str
    text: str


@dataclass(frozen=True)
class ParsedPage:
    """What one page gives: its pictures and where to go on."""

    items: tuple[ImageItem, ...] = ()
    links: tuple[PageLink, ...] = ()

"""What a source says about a page and its pictures: plain values, before any keyword is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.consent.objections import Objection
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
        refusal: What the page says against its use by machines, or None.
        thumbnail_of: A page of the same site that this picture links to, and that probably has it in full size.
        found_by: The keyword whose search brought it, for a source that searches itself.
        source_id: The source's own name for the picture; the same picture has the same one for ever.
        source_hash: Digest of the bytes at `image_url` as the source announces it: `sha1:<hex>` or `md5:<hex>`.
        width: In pixels, as announced.
        height: In pixels, as announced.
        size_bytes: As announced.
        media_type: As announced, such as `image/jpeg`.
        created: When it was made or published, ISO 8601 as far as known (`2019`, `2019-05-02`).
        mature: Whether the source marks it as unfit for everybody; None when it does not tell.
        attribution: The line of credit that the source asks for.
        rendition: `original`, or which smaller version `image_url` is, such as `960 px`; empty when not known.
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
    refusal: Objection | None = None
    thumbnail_of: str | None = None
    found_by: str | None = None
    source_id: str | None = None
    source_hash: str | None = None
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    media_type: str | None = None
    created: str | None = None
    mature: bool | None = None
    attribution: str | None = None
    rendition: str = ""

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

"""Sitemaps and feeds as pictures and pages. No I/O.

Read are the XML of sitemaps.org with Google's image extension, RSS and Atom with media, plain lists, and the `Sitemap`
lines of robots.txt.

The XML is read as it goes, so that a large file is never held as a tree, and without any DTD: none of these formats has
one, and entities are what XML bombs are made of. A file that breaks off gives what came before.
"""

from __future__ import annotations

import codecs
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # the types only; defusedxml does the reading

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from crawler.items import ImageItem, PageLink
from crawler.sources.answers import declared_license
from crawler.sources.markup import clean
from crawler.urls import absolute_url, looks_like_image

MAX_BYTES = 50 * 2**20
"""Of one sitemap, unpacked; by the protocol of sitemaps.org."""
MAX_ENTRIES = 50_000
"""Pages or sitemaps of one file; by the same."""
MAX_PICTURES = 100_000
"""Pictures of one file; the extension allows 1000 for each page."""
MAX_DEPTH = 64
"""Elements in one another; sitemaps and feeds need fewer than ten."""
MAX_ELEMENTS = 50_000
"""Elements of one entry; one with the 1000 pictures that are allowed has 6000 at most."""

SITEMAP_ROOTS = frozenset({"urlset", "sitemapindex"})
FEED_ROOTS = frozenset({"rss", "feed", "RDF"})

_ENTRIES = frozenset(
    {
        ("url", "urlset"),
        ("sitemap", "sitemapindex"),
        ("item", "rss", "channel"),
        ("item", "RDF"),
        ("entry", "feed"),
    }
)
"""Name of an entry, and those of the elements around it, the outermost first."""

_GZIP = b"\x1f\x8b"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml[^>]{0,200}\?>")
_DECLARED_ENCODING = re.compile(rb"\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Possessive, so that no text, such as a megabyte of spaces, is tried in more than one way.
_ROOT = re.compile(r"\A\ufeff?(?>\s+|<\?.{0,500}?\?>|<!--.{0,5000}?-->)*+<(?:[\w.-]+:)?(\w+)[\s/>]", re.DOTALL)
_DECLARED_BY = "sitemap"


@dataclass(frozen=True)
class SitemapFile:
    """What one file gives; addresses are canonical.

    Attributes:
        sitemaps: Further sitemaps.
        pages: Pages to read: those of which no picture is listed, or none that anything is said of.
        items: Pictures, each with the page that shows it.
    """

    sitemaps: tuple[str, ...] = ()
    pages: tuple[PageLink, ...] = ()
    items: tuple[ImageItem, ...] = ()


def unpacked(body: bytes) -> str | None:
    """The text of a file packed with gzip, whatever its type says; None for any other.

    Raises:
        ValueError: Unpacked it is larger than `MAX_BYTES`, or it is damaged from the beginning.
    """
    if not body.startswith(_GZIP):
        return None
    data = bytearray()
    rest = body
    while rest.startswith(_GZIP):
        stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            data += stream.decompress(rest, MAX_BYTES + 1 - len(data))
        except zlib.error as error:
            if not data:
                raise ValueError(f"is not the gzip file that it seems to be: {error}") from error
            break
        if len(data) > MAX_BYTES:
            raise ValueError(f"is larger than {MAX_BYTES >> 20} MB when unpacked")
        rest = stream.unused_data
    return _decoded(bytes(data))


def root_of(text: str) -> str | None:
    """The name of a text's first element, without its prefix; None for a text that is no markup."""
    found = _ROOT.match(text)
    return found[1] if found else None


def read_sitemap(url: str, text: str) -> SitemapFile:
    """A sitemap, an index of sitemaps, or a feed.

    Raises:
        ValueError: It is none, or declares a document type.
    """
    sitemaps: dict[str, None] = {}
    pages: dict[str, PageLink] = {}
    items: list[ImageItem] = []
    try:
        for entry in _entries(text):
            if _name(entry) == "sitemap":
                if child := absolute_url(url, _text(entry, "loc") or ""):
                    sitemaps[child] = None
            else:
                read = _page_of_sitemap if _name(entry) == "url" else _page_of_feed
                page, shown = read(url, entry)
                items += shown[: MAX_PICTURES - len(items)]
                if page is not None and not any(item.title or item.caption for item in shown):
                    pages.setdefault(page.url, page)
            if max(len(sitemaps), len(pages)) >= MAX_ENTRIES:
                break
    except DefusedXmlException as error:
        raise ValueError("it declares a document type, which no sitemap needs and XML bombs have") from error
    except ParseError as error:
        if not (sitemaps or pages or items):
            raise ValueError(f"it is not well-formed XML: {error}") from error
    return SitemapFile(tuple(sitemaps), tuple(pages.values()), tuple(items))


def read_lines(url: str, text: str) -> SitemapFile:
    """A plain list, one address a line.

    Raises:
        ValueError: Its first line is no address.
    """
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines()[:MAX_ENTRIES]]
    if not next(filter(None, lines), "").startswith(("http://", "https://")):
        raise ValueError("it is neither a sitemap, nor a feed, nor a list of addresses")
    found = dict.fromkeys(address for line in lines if (address := absolute_url(url, line)))
    pictures = tuple(ImageItem(address, url) for address in found if looks_like_image(address))
    return SitemapFile(pages=tuple(PageLink(a, "") for a in found if not looks_like_image(a)), items=pictures)


def read_robots_lines(url: str, text: str) -> SitemapFile:
    """The sitemaps that a robots.txt names."""
    lines = (line.partition("#")[0].partition(":") for line in text.lstrip("\ufeff").splitlines())
    named = (value for field, _, value in lines if field.strip().lower() == "sitemap")
    return SitemapFile(tuple(dict.fromkeys(address for value in named if (address := absolute_url(url, value)))))


def _decoded(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    declared = _DECLARED_ENCODING.match(data[:400])
    try:
        return data.decode(declared[1].decode("ascii") if declared else "utf-8", errors="replace")
    except LookupError:
        return data.decode("utf-8", errors="replace")


def _entries(text: str) -> Iterator[Element]:
    """The entries of a sitemap, index or feed, each complete; what was read before is let go of.

    Raises:
        ValueError: It is none of these, or nested or filled beyond what these need.
    """
    # The text is decoded already, whatever encoding its declaration speaks of.
    data = _DECLARATION.sub("", text, count=1).lstrip("\ufeff").encode("utf-8", errors="replace")
    open_elements: list[Any] = []
    count = 0
    for event, element in iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            open_elements.append(element)
            if len(open_elements) == 1 and _name(element) not in SITEMAP_ROOTS | FEED_ROOTS:
                raise ValueError(f"it is no sitemap or feed, but <{_name(element)[:40]}>")
            count += 1
            if len(open_elements) > MAX_DEPTH or count > MAX_ELEMENTS:
                raise ValueError("it is nested deeper, or one of its entries is larger, than those of any sitemap")
            continue
        open_elements.pop()
        if _is_entry(element, open_elements):
            yield element
        if open_elements and [_name(each) for each in open_elements[1:]] in ([], ["channel"]):
            open_elements[-1].clear()
            count = 0


def _is_entry(element: Element, around: list[Element]) -> bool:
    parents = [_name(each) for each in around]
    return (_name(element), *parents) in _ENTRIES


def _page_of_sitemap(base: str, entry: Element) -> tuple[PageLink | None, list[ImageItem]]:
    page = absolute_url(base, _text(entry, "loc") or "")
    shown = []
    for image in entry:
        if _name(image) != "image" or not (address := absolute_url(base, _text(image, "loc") or "")):
            continue
        shown.append(
            ImageItem(
                image_url=address,
                page_url=page or base,
                title=clean(_text(image, "title")),
                caption=clean(_text(image, "caption")),
                license=declared_license(_DECLARED_BY, url=_text(image, "license")),
            )
        )
    # The news and video extensions name their page.
    words = [_text(part, "title") for part in entry if _name(part) in ("news", "video")]
    link = PageLink(page, clean(" ".join(filter(None, words))) or "") if page else None
    return link, shown


def _page_of_feed(base: str, entry: Element) -> tuple[PageLink | None, list[ImageItem]]:
    links = [part for part in entry if _name(part) == "link"]
    own = next((part for part in links if part.get("rel", "alternate") == "alternate"), None)
    page = absolute_url(base, (own.get("href") or own.text or "") if own is not None else "")
    title = clean(_own_text(entry, "title"))
    named = [part for part in entry if _name(part).lower() == "license" or part.get("rel") == "license"]
    deeds = [part.get("href") or part.text for part in named]
    rights = [part.text for part in entry if _name(part) in ("rights", "copyright")]
    authors = [_text(part, "name") for part in entry if _name(part) == "author"]
    creator = clean(_text(entry, "credit") or _text(entry, "creator") or next(filter(None, authors), None))
    shown = []
    for part in entry.iter():
        address = absolute_url(base, _media_address(part) or "")
        if address is None:
            continue
        shown.append(
            ImageItem(
                image_url=address,
                page_url=page or base,
                title=clean(_text(part, "title")) or title,
                caption=clean(_text(part, "description")),
                creator=clean(_text(part, "credit")) or creator,
                license=declared_license(_DECLARED_BY, url=deeds, terms=[*rights, _text(part, "copyright")]),
            )
        )
    return (PageLink(page, title or "") if page else None), shown


def _media_address(part: Element) -> str | None:
    """The address of a picture in Media RSS, an RSS enclosure or an Atom link; None for anything else."""
    name, kind = _name(part), (part.get("type") or "").lower()
    if name == "content":
        address = part.get("url")
        is_picture = part.get("medium") == "image" or kind.startswith("image/") or looks_like_image(address or "")
        return address if is_picture else None
    if name == "enclosure" or (name == "link" and part.get("rel") == "enclosure"):
        return (part.get("url") or part.get("href")) if kind.startswith("image/") else None
    return None


def _name(element: Element) -> str:
    """The tag without its namespace: wrong and missing ones are common."""
    return element.tag.rpartition("}")[2]


def _text(element: Element, name: str) -> str | None:
    """The text of a child, whatever its namespace."""
    return next((part.text for part in element if _name(part) == name and part.text), None)


def _own_text(element: Element, name: str) -> str | None:
    """The text of a child that does not belong to Media RSS, whose names repeat those of the feed."""
    parts = (part for part in element if _name(part) == name and "search.yahoo.com" not in str(part.tag))
    return next((part.text for part in parts if part.text), None)

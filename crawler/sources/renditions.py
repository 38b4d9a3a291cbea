"""Which file behind an `img` is the largest: srcset, picture, lazy-loading attributes, and a link around it. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crawler.sources.markup import Element
from crawler.urls import absolute_url, looks_like_image

# Kinds that ingest does not decode; the same picture is on offer in another kind as well.
_SKIPPED_TYPES = frozenset({"image/avif", "image/jxl", "image/svg+xml", "image/heic", "image/heif"})
_LAZY_SOURCES = ("data-src", "data-original", "data-lazy-src", "data-full", "data-full-src", "src")
_LAZY_SETS = ("srcset", "data-srcset", "data-lazy-srcset")
# One candidate of a srcset: an address (which may hold commas, but not end with one), and a width or density.
_CANDIDATE = re.compile(r"\s*([^\s,]\S*[^\s,]|[^\s,])(?:\s+([\d.]+)([wx])[^,]*)?\s*(?:,|$)")


@dataclass(frozen=True)
class Renditions:
    """The files that show one picture.

    Attributes:
        best: Address of the largest, as far as the page tells.
        all: Every address, the smaller ones included.
        page: An HTML page that the picture links to, or None.
    """

    best: str
    all: frozenset[str]
    page: str | None


def renditions_of(image: Element, base: str) -> Renditions | None:
    """The renditions of an `img` element; None when it has no http(s) address, as with `data:`."""
    widths: dict[str, tuple[int, float]] = {}
    plain = [url for name in _LAZY_SOURCES if (url := _address(image.get(name), base))]
    for url in plain:
        widths.setdefault(url, (0, 0.0))
    for element in _sources(image):
        for name in _LAZY_SETS:
            for url, size in parse_srcset(element.get(name) or "", base):
                widths[url] = max(size, widths.get(url, (0, 0.0)))
    linked, page = _link_around(image, base)
    if linked:
        return Renditions(linked, frozenset(widths) | {linked}, None)
    if not widths:
        return None
    # The sort is stable: among equals the one written first stays, and for those without a size that is the lazy one.
    best = max(widths, key=lambda url: widths[url])
    return Renditions(best, frozenset(widths), page)


def parse_srcset(text: str, base: str) -> list[tuple[str, tuple[int, float]]]:
    """(address, size) of each candidate; sizes compare: (1, pixels wide) or (0, density)."""
    found = []
    for match in _CANDIDATE.finditer(text):
        url = _address(match[1], base)
        if url is None:
            continue
        try:
            number = float(match[2] or 1)
        except ValueError:
            number = 1.0
        found.append((url, (1 if match[3] == "w" else 0, number)))
    return found


def anchor_around(image: Element) -> Element | None:
    """The link that a picture stands in, or None."""
    return next((above for above in image.iterancestors() if above.tag == "a" and above.get("href")), None)


def _sources(image: Element) -> list[Element]:
    for above in image.iterancestors():
        if above.tag == "picture":
            return [image, *(s for s in above.iter("source") if _kind(s) not in _SKIPPED_TYPES)]
        # libxml2 does not know that `source` is empty, and puts the `img` that follows inside it.
        if above.tag != "source":
            break
    return [image]


def _kind(source: Element) -> str:
    return (source.get("type") or "").strip().lower()


def _link_around(image: Element, base: str) -> tuple[str | None, str | None]:
    """(full-size file, page) that the link around a picture leads to; at most one is not None."""
    anchor = anchor_around(image)
    url = _address(anchor.get("href"), base) if anchor is not None else None
    if url is None:
        return None, None
    return (url, None) if looks_like_image(url) else (None, url)


def _address(reference: str | None, base: str) -> str | None:
    if not reference or not (url := absolute_url(base, reference)):
        return None
    path = url.partition("?")[0].lower()
    return None if path.endswith((".svg", ".ico")) else url

"""Small helpers over lxml elements, shared by the parsers of HTML. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol, cast
from urllib.parse import urljoin

from lxml import etree  # type: ignore[import-untyped]  # it ships none

MAX_TEXT = 1000
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_UNSEEN = frozenset({"script", "style", "template"})
# No space belongs before these, though an element may end there.
_CLOSING = tuple(".,;:!?)]}%'\"\u2019\u201d")


class Element(Protocol):
    """As much of an lxml element as is used here."""

    tag: Any  # a string, but for comments and entities
    text: str | None
    tail: str | None

    def get(self, key: str) -> str | None:
        """An attribute."""

    def iter(self, *tags: str) -> Iterator[Element]:
        """This element and all below it, in document order."""

    def iterancestors(self) -> Iterator[Element]:
        """The elements around this one, innermost first."""

    def __iter__(self) -> Iterator[Element]:
        """The elements right below this one."""


def parse_html(text: str) -> Element:
    """The root of an HTML text, however broken; an empty one for an empty text."""
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    # A lone surrogate cannot be encoded, and a NUL ends the text for libxml2.
    data = text.replace("\0", "").encode("utf-8", errors="replace")
    try:
        root = etree.fromstring(data or b"<html></html>", parser)
    except etree.XMLSyntaxError:
        root = None
    return cast("Element", root if root is not None else etree.fromstring(b"<html></html>", parser))


def clean(text: str | None) -> str | None:
    """Text in one line, without control characters, at most `MAX_TEXT` long; None when nothing is left."""
    if not text:
        return None
    return _SPACE.sub(" ", _CONTROL.sub(" ", text)).strip()[:MAX_TEXT].strip() or None


def text_of(element: Element) -> str | None:
    """What a reader sees of an element, in one line; words of neighbouring elements are kept apart."""
    parts: list[str] = []
    # With a stack of our own: pages nest deeper than Python may recurse.
    stack: list[Element | str] = [element]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node if node.startswith(_CLOSING) else f" {node}")
            continue
        if not isinstance(node.tag, str) or node.tag in _UNSEEN:
            continue
        for child in reversed(list(node)):
            if child.tail:
                stack.append(child.tail)
            stack.append(child)
        if node.text:
            stack.append(node.text)
    return clean("".join(parts))


def words_of(attribute: str | None) -> frozenset[str]:
    """The words of an attribute such as `rel` or `class`, in lower case."""
    return frozenset((attribute or "").lower().split())


def web_address(base: str, reference: str | None) -> str | None:
    """A reference as an absolute http(s) address, or None; for links to show, not to fetch."""
    if not reference:
        return None
    try:
        url = urljoin(base, reference.strip())
    except ValueError:
        return None
    return clean(url) if url.lower().startswith(("http://", "https://")) else None

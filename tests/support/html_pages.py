"""Reads a page as a browser would, to say what it links to, loads and runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_SVG_EMPTY = frozenset({"rect", "path", "stop"})


@dataclass
class Element:
    """A start tag with its attributes and the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name, "")


@dataclass
class Page:
    """The elements of a page in order; `faults` names tags that do not close as they opened."""

    elements: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    @property
    def links(self) -> list[str]:
        return [element["href"] for element in self.all("a") if "href" in element.attributes]

    @property
    def loaded(self) -> list[str]:
        """What a browser asks for by itself."""
        found = [element["src"] for element in self.elements if "src" in element.attributes]
        wanted = {"stylesheet", "icon"}
        return found + [element["href"] for element in self.all("link") if element["rel"] in wanted]

    @property
    def text(self) -> str:
        return " ".join(" ".join(element.text for element in self.elements).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.page.faults.append(f"<{tag}> has an attribute twice")
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.page.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in _SVG_EMPTY:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.page.faults.append(f"</{tag}> does not close {self._open[-1].tag if self._open else 'anything'}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data

    def close(self) -> None:
        super().close()
        self.page.faults += [f"<{element.tag}> is never closed" for element in self._open]


def read_page(html: str) -> Page:
    """The page in an HTML text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page

"""One HTML page as pictures and links: what stands beside each picture, and what the page says of it. No I/O.

A picture is matched on its own texts. What the page says of itself (title, tags, licence) is taken for the picture
only where the page is about it: a list of many pictures must not match as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from crawler.consent.meta_tags import meta_objection, words_of_directive
from crawler.consent.objections import PRODUCT_TOKEN, Objection
from crawler.items import ImageItem, PageLink, ParsedPage
from crawler.sources.markup import Element, clean, parse_html, text_of, words_of
from crawler.sources.metadata import (
    ImageFacts,
    json_ld_images,
    microdata_image,
    open_graph,
    rel_licenses,
)
from crawler.sources.renditions import Renditions, anchor_around, renditions_of
from crawler.urls import absolute_url, looks_like_image, looks_like_page, page_url
from pipeline.license_declarations import agreed, declare
from pipeline.records import DeclaredLicense

MAX_PICTURES = 1000
MAX_LINKS = 2000
# A page with more pictures than this is about none of them.
_ABOUT_AT_MOST = 3
_MIN_SHOWN_PIXELS = 64
_MOST_DIGITS = 9  # Python does not read numbers of thousands of digits
_DECORATION = re.compile(
    r"(?:^|[/_.-])(?:logo|icon|sprite|avatar|pixel|spacer|badge|favicon)s?(?:[_.\d-]|$)", re.IGNORECASE
)


def parse_page(url: str, html: str) -> ParsedPage:
    """Pictures and links of the page at `url`, pictures in the order shown."""
    return _Page(url, html).parse()


@dataclass(frozen=True)
class _Picture:
    """An `img` that shows something, with the part of the page that is about it alone."""

    element: Element
    renditions: Renditions
    container: Element | None
    aside: bool

    @property
    def is_main(self) -> bool:
        """Whether it stands on this page for its own sake."""
        return not self.aside and self.renditions.page is None


class _Page:
    def __init__(self, url: str, html: str) -> None:
        self.url = url
        self.root = parse_html(html)
        base = next((e.get("href") for e in self.root.iter("base") if e.get("href")), None)
        self.base = (absolute_url(url, base) if base else None) or url

    def parse(self) -> ParsedPage:
        items: dict[str, ImageItem] = {}
        for item in [*(self._item(picture) for picture in self.pictures), *self._linked_files(), *self._unseen()]:
            # The same file twice on a page is one picture; the first mention is the fuller one.
            items.setdefault(item.image_url, item)
        kept = list(items.values())[:MAX_PICTURES]
        return ParsedPage(tuple(replace(item, refusal=self.refusal) for item in kept), tuple(self._links()))

    @cached_property
    def title(self) -> str | None:
        return next((text for e in self.root.iter("title") if (text := text_of(e))), None)

    @cached_property
    def headings(self) -> tuple[str, ...]:
        return tuple(text for e in self.root.iter("h1") if (text := text_of(e)))

    @cached_property
    def meta_tags(self) -> list[tuple[str, str]]:
        return [(meta.get("name") or "", meta.get("content") or "") for meta in self.root.iter("meta")]

    @cached_property
    def directives(self) -> frozenset[str]:
        """The words of `<meta name=robots>`."""
        robots = (content for name, content in self.meta_tags if name.strip().lower() in ("robots", PRODUCT_TOKEN))
        return frozenset(word for content in robots for word in words_of_directive(content))

    @cached_property
    def refusal(self) -> Objection | None:
        return meta_objection(self.meta_tags, where=self.url)

    @cached_property
    def json_ld(self) -> list[ImageFacts]:
        return json_ld_images(self.root, self.base)

    @cached_property
    def open_graph(self) -> ImageFacts:
        return open_graph(self.root, self.base)

    @cached_property
    def pictures(self) -> list[_Picture]:
        shown = [
            (image, renditions)
            for image in self.root.iter("img")
            if not _is_decoration(image) and (renditions := renditions_of(image, self.base))
        ][:MAX_PICTURES]
        # Keyed by element, which also keeps lxml's proxies alive, so that `is` holds.
        crowd = Counter(above for image, _ in shown for above in image.iterancestors())
        return [
            _Picture(
                image,
                renditions,
                container=_container(image, crowd),
                aside=any(above.tag == "aside" for above in image.iterancestors()),
            )
            for image, renditions in shown
        ]

    @cached_property
    def main_count(self) -> int:
        return len({picture.renditions.best for picture in self.pictures if picture.is_main})

    @cached_property
    def tags(self) -> tuple[str, ...]:
        named = (m.get("content") for m in self.root.iter("meta") if (m.get("name") or "").lower() == "keywords")
        words = [text for content in named for part in (content or "").split(",") if (text := clean(part))]
        return tuple(dict.fromkeys([*_tag_links(self.root), *words]))

    @cached_property
    def license(self) -> DeclaredLicense | None:
        """The page's own licence; one in the footer is about the site's text."""
        links = self.root.iter("a", "link", "area")
        return rel_licenses((each for each in links if not _is_frame(each)), self.base)

    def _item(self, picture: _Picture) -> ImageItem:
        blocks = self._facts(picture)
        about = picture.is_main and self.main_count <= _ABOUT_AT_MOST
        only = picture.is_main and self.main_count == 1
        container = picture.container
        tags = [tag for facts in blocks for tag in facts.tags]
        if container is not None:
            tags += _tag_links(container)
        if about:
            tags += self.tags
        element = picture.element
        caption = _caption(element)
        own_license = agreed(
            [
                _license_inside(container, self.base),
                *(facts.license for facts in blocks),
                # A caption gives nothing away, but may keep what another place gives.
                declare("caption", terms=[caption]),
            ],
            beside=[caption],
        )
        return ImageItem(
            image_url=self._best(picture, blocks),
            page_url=self.url,
            title=_first(
                *(facts.title for facts in blocks),
                clean(element.get("title")),
                self.headings[0] if only and self.headings else None,
            ),
            alt=clean(element.get("alt")),
            caption=_first(caption, *(facts.caption for facts in blocks)),
            tags=tuple(dict.fromkeys(tags)),
            page_title=tuple(text for text in (self.title, *self.headings[:1]) if text) if about else (),
            creator=_first(*(facts.creator for facts in blocks), _author_inside(container)),
            creator_url=_first(*(facts.creator_url for facts in blocks)),
            # What is said of the picture itself goes before what is said of the page.
            license=own_license or (agreed([self.license], beside=[caption]) if only else None),
            thumbnail_of=page_url(picture.renditions.page) if picture.renditions.page else None,
        )

    def _facts(self, picture: _Picture) -> list[ImageFacts]:
        """Metadata about this picture, the most exact first."""
        known = picture.renditions.all
        only = picture.is_main and self.main_count == 1
        blocks = [facts for facts in self.json_ld if known & set(facts.addresses)]
        if not blocks and only and len(self.json_ld) == 1 and not self.json_ld[0].addresses:
            blocks = [self.json_ld[0]]
        for scope in (picture.element, *picture.element.iterancestors()):
            if scope.get("itemscope") is not None and (facts := microdata_image(scope, self.base)):
                blocks.append(facts)
                break
        if only or known & set(self.open_graph.addresses):
            blocks.append(self.open_graph)
        return blocks

    def _best(self, picture: _Picture, blocks: list[ImageFacts]) -> str:
        """The largest rendition; a `contentUrl` counts for more than a srcset, a link to a file for more than both."""
        best = picture.renditions.best
        anchor = anchor_around(picture.element)
        if anchor is not None and absolute_url(self.base, anchor.get("href") or "") == best:
            return best
        # Open Graph is left out: its pictures are cut for previews.
        declared = [facts.addresses[0] for facts in blocks if facts.addresses and facts is not self.open_graph]
        return next((url for url in declared if looks_like_image(url)), best)

    def _linked_files(self) -> Iterator[ImageItem]:
        """Pictures that the page only links to, as lists of files do."""
        for anchor in self.root.iter("a"):
            if any(True for _ in anchor.iter("img")):
                continue
            url = absolute_url(self.base, anchor.get("href") or "")
            if url and looks_like_image(url) and not url.partition("?")[0].lower().endswith((".svg", ".ico")):
                yield ImageItem(url, self.url, title=clean(anchor.get("title")), caption=text_of(anchor))

    def _unseen(self) -> Iterator[ImageItem]:
        """A page that shows its picture by script only still declares it."""
        if self.main_count:
            return
        for facts in [*self.json_ld, self.open_graph]:
            if facts.addresses and looks_like_image(facts.addresses[0]):
                yield ImageItem(
                    facts.addresses[0],
                    self.url,
                    title=_first(facts.title, self.title),
                    caption=facts.caption,
                    tags=facts.tags,
                    creator=facts.creator,
                    creator_url=facts.creator_url,
                    license=facts.license,
                )

    def _links(self) -> Iterator[PageLink]:
        if "nofollow" in self.directives or "none" in self.directives:
            return
        found: dict[str, list[str]] = {}
        for anchor in self.root.iter("a", "area", "link"):
            rel = words_of(anchor.get("rel"))
            if "nofollow" in rel or (anchor.tag == "link" and not rel & {"next", "prev"}):
                continue
            url = absolute_url(self.base, anchor.get("href") or "")
            if url is None or not looks_like_page(url):
                continue
            texts = [text_of(anchor), anchor.get("title"), *(image.get("alt") for image in anchor.iter("img"))]
            found.setdefault(page_url(url), []).extend(text for text in texts if text)
            if len(found) > MAX_LINKS:
                break
        for url, words in found.items():
            yield PageLink(url, clean(" ".join(words)) or "")


def _is_decoration(image: Element) -> bool:
    if image.get("role") in ("presentation", "none") or image.get("aria-hidden") == "true":
        return True
    for side in ("width", "height"):
        number = (image.get(side) or "").removesuffix("px")
        if number.isdecimal() and len(number) <= _MOST_DIGITS and int(number) < _MIN_SHOWN_PIXELS:
            return True
    if _DECORATION.search((image.get("src") or "").partition("?")[0]):
        return True
    around = {above.tag for above in image.iterancestors()}
    return "nav" in around or bool(around & {"header", "footer"} and not around & {"article", "main", "figure"})


def _container(image: Element, crowd: Counter[Element]) -> Element | None:
    """The largest part of the page that shows this picture and no other."""
    found = None
    for above in image.iterancestors():
        if crowd[above] > 1 or above.tag in ("body", "html"):
            break
        found = above
    return found


def _caption(image: Element) -> str | None:
    figure = next((above for above in image.iterancestors() if above.tag == "figure"), None)
    if figure is not None:
        for element in figure.iter("figcaption"):
            if text := text_of(element):
                return text
    anchor = anchor_around(image)
    return text_of(anchor) if anchor is not None else None


def _tag_links(root: Element) -> list[str]:
    return [text for a in root.iter("a") if "tag" in words_of(a.get("rel")) and (text := text_of(a))]


def _license_inside(container: Element | None, base: str) -> DeclaredLicense | None:
    if container is None:
        return None
    return rel_licenses((each for each in container.iter("a", "link", "area") if not _is_frame(each)), base)


def _is_frame(element: Element) -> bool:
    """Whether it stands in what frames every page of the site, and so is about that; an article may have a footer."""
    around = [above.tag for above in element.iterancestors()]
    frames = [place for place, tag in enumerate(around) if tag in ("footer", "nav", "header", "aside")]
    return bool(frames) and (
        bool({"nav", "aside"} & set(around)) or not {"article", "figure"} & set(around[frames[-1] :])
    )


def _author_inside(container: Element | None) -> str | None:
    links = container.iter("a", "link") if container is not None else ()
    return next((text_of(a) for a in links if "author" in words_of(a.get("rel"))), None)


def _first(*values: str | None) -> str | None:
    return next((value for value in values if value), None)

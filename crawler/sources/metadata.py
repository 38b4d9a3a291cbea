"""What a page declares about its pictures in machine-readable form: JSON-LD, microdata, Open Graph, rel=license."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from crawler.sources.markup import Element, clean, text_of, web_address, words_of
from crawler.urls import absolute_url
from pipeline.license_declarations import agreed, declare
from pipeline.records import DeclaredLicense

SCHEMA_ORG = "schema.org"
OPEN_GRAPH = "open-graph"
REL_LICENSE = "rel=license"

_IMAGE_TYPES = frozenset({"imageobject", "photograph"})
_MAX_JSON_LD_NODES = 2000
_MAX_LICENSE_LINKS = 100


@dataclass(frozen=True)
class ImageFacts:
    """What one block of metadata says about one picture.

    Attributes:
        addresses: Every address that the block gives for the picture, canonical, the best rendition first.
    """

    addresses: tuple[str, ...] = ()
    title: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    creator: str | None = None
    creator_url: str | None = None
    license: DeclaredLicense | None = None


def json_ld_images(root: Element, base: str) -> list[ImageFacts]:
    """The ImageObjects in the page's JSON-LD. Blocks that are not JSON are skipped."""
    found = []
    for script in root.iter("script"):
        if (script.get("type") or "").split(";")[0].strip().lower() != "application/ld+json":
            continue
        try:
            data = json.loads(script.text or "")
        except (ValueError, RecursionError):
            continue
        found += [_from_node(node, base) for node in _nodes(data) if _is_image(node)]
    return found


def microdata_image(scope: Element, base: str) -> ImageFacts | None:
    """The ImageObject that an element with `itemscope` describes, or None when it describes something else."""
    kind = (scope.get("itemtype") or "").lower().rstrip("/")
    if not kind.startswith(("http://schema.org/", "https://schema.org/")) or kind[kind.rindex("/") + 1 :] not in (
        _IMAGE_TYPES
    ):
        return None
    values: dict[str, Element] = {}
    for element in scope.iter():
        for name in (element.get("itemprop") or "").split():
            # The name of the creator must not become the name of the picture.
            if element is not scope and _scope_of(element) is scope:
                values.setdefault(name, element)
    creator = values.get("creator", values.get("author"))
    terms = values.get("license")
    said = [_text_value(values[name]) or _value(values[name]) for name in _TERMS_KEYS if name in values]
    link, words = (None, None) if terms is None else (_link(terms, base), text_of(terms) or clean(terms.get("content")))
    return ImageFacts(
        addresses=_addresses(base, *(_value(values[name]) for name in _ADDRESS_KEYS if name in values)),
        title=_text_value(values.get("name")),
        caption=_text_value(values.get("caption", values.get("description"))),
        tags=_split_tags(_text_value(values.get("keywords"))),
        creator=_creator_name(creator),
        creator_url=web_address(base, creator.get("href")) if creator is not None else None,
        license=declare(SCHEMA_ORG, urls=[link], names=[words], terms=said),
    )


def open_graph(root: Element, base: str) -> ImageFacts:
    """What `og:` and `article:` properties say about the page's one picture; empty where there are none."""
    values: dict[str, str] = {}
    for meta in root.iter("meta"):
        name = (meta.get("property") or meta.get("name") or "").lower()
        if name.startswith(("og:", "article:")) and (content := clean(meta.get("content"))):
            values.setdefault(name, content)
    terms = [each for name in ("og:license", "og:image:license") if (each := values.get(name))]
    author = values.get("article:author") or values.get("og:article:author")
    author_url = author if author and author.startswith(("http://", "https://")) else None
    return ImageFacts(
        addresses=_addresses(base, *(values.get(name) for name in ("og:image:secure_url", "og:image:url", "og:image"))),
        title=values.get("og:title"),
        caption=values.get("og:image:alt"),
        creator=None if author_url else author,
        creator_url=author_url,
        license=declare(
            OPEN_GRAPH,
            urls=[web_address(base, each) for each in terms if " " not in each],
            names=[each for each in terms if "://" not in each],
        ),
    )


def rel_licenses(elements: Iterable[Element], base: str) -> DeclaredLicense | None:
    """What the links with `rel=license` among some elements, and the words around them, come to together."""
    links = (each for each in elements if "license" in words_of(each.get("rel")) and each.get("href"))
    # Thousands of links may stand in one paragraph, whose words are read and judged once.
    words: dict[Element, str | None] = {}
    declarations = []
    for link in islice(links, _MAX_LICENSE_LINKS):
        said, block = None, _block_around(link)
        if block is not None and block not in words:
            said = words[block] = text_of(block)
        address = web_address(base, link.get("href"))
        declarations.append(declare(REL_LICENSE, urls=[address], names=[text_of(link)], terms=[said]))
    return agreed(declarations, beside=words.values())


def _block_around(element: Element) -> Element | None:
    """The paragraph, caption, cell or entry in which an element stands; None where that is the page."""
    for above in element.iterancestors():
        if above.tag in _BLOCKS:
            return above
        if above.tag not in _INLINE:
            return None
    return None


# What schema.org has for words on the use of a picture beside its licence.
_TERMS_KEYS = ("copyrightNotice", "usageInfo", "conditionsOfAccess")
_BLOCKS = frozenset({"p", "figcaption", "li", "dd", "td", "small", "figure", "blockquote"})
_INLINE = frozenset({"a", "abbr", "b", "bdi", "cite", "em", "font", "i", "mark", "span", "strong", "u"})
_ADDRESS_KEYS = ("contentUrl", "url", "image", "thumbnailUrl", "embedUrl")


def _nodes(data: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in JSON-LD, outer ones first."""
    queue, seen = [data], 0
    while queue and seen < _MAX_JSON_LD_NODES:
        node, seen = queue.pop(0), seen + 1
        if isinstance(node, dict):
            yield node
            queue.extend(node.values())
        elif isinstance(node, list):
            queue.extend(node)


def _is_image(node: Mapping[str, Any]) -> bool:
    kinds = node.get("@type")
    names = kinds if isinstance(kinds, list) else [kinds]
    return any(isinstance(name, str) and name.rpartition("/")[2].lower() in _IMAGE_TYPES for name in names)


def _from_node(node: Mapping[str, Any], base: str) -> ImageFacts:
    people = node.get("creator") or node.get("author")
    person = people[0] if isinstance(people, list) and people else people
    terms = list(_strings(node.get("license"), "@id", "url", "name"))
    urls = [each for each in terms if "://" in each and " " not in each]
    said = [each for name in _TERMS_KEYS for each in _strings(node.get(name), "@id", "url", "name", "text")]
    return ImageFacts(
        addresses=_addresses(
            base, *(_first_string(node.get(key), "@id", "url", "contentUrl") for key in _ADDRESS_KEYS)
        ),
        title=clean(_first_string(node.get("name")) or _first_string(node.get("headline"))),
        caption=clean(_first_string(node.get("caption")) or _first_string(node.get("description"))),
        tags=_tags(node.get("keywords")),
        creator=clean(_first_string(person, "name") or _first_string(node.get("creditText"))),
        creator_url=web_address(base, _first_string(person, "url", "@id")) if isinstance(person, dict) else None,
        license=declare(
            SCHEMA_ORG,
            urls=urls,
            names=[clean(each) for each in terms if each not in urls],
            terms=[clean(each) for each in said],
        ),
    )


def _first_string(value: Any, *keys: str) -> str | None:
    """A string as it is, the first of a list, or the first of these keys of an object."""
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = next((value[key] for key in keys if isinstance(value.get(key), str)), None)
    return value if isinstance(value, str) else None


def _strings(value: Any, *keys: str) -> Iterator[str]:
    """A string, or for each object of a list the first of these keys."""
    for each in value if isinstance(value, list) else [value]:
        if (found := _first_string(each, *keys)) is not None:
            yield found


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(text for entry in value if (text := clean(_first_string(entry, "name"))))
    return _split_tags(value if isinstance(value, str) else None)


def _split_tags(text: str | None) -> tuple[str, ...]:
    return tuple(tag for part in (text or "").split(",") if (tag := clean(part)))


def _addresses(base: str, *references: str | None) -> tuple[str, ...]:
    urls = (absolute_url(base, reference) for reference in references if reference)
    return tuple(dict.fromkeys(url for url in urls if url))


def _scope_of(element: Element) -> Element | None:
    return next((above for above in element.iterancestors() if above.get("itemscope") is not None), None)


def _value(element: Element) -> str | None:
    """The value of an itemprop, as the HTML standard defines it."""
    for attribute in ("content", "href", "src", "data"):
        if value := element.get(attribute):
            return value
    return text_of(element)


def _text_value(element: Element | None) -> str | None:
    return None if element is None else clean(element.get("content")) or text_of(element)


def _link(element: Element, base: str) -> str | None:
    return web_address(base, element.get("href") or element.get("content"))


def _creator_name(creator: Element | None) -> str | None:
    if creator is None:
        return None
    inner = (e for e in creator.iter() if "name" in (e.get("itemprop") or "").split())
    return _text_value(next(inner, creator))

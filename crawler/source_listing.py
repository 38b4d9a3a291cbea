"""What there is to crawl, told to people: every source, built in or installed. No I/O but loading installed ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from crawler.errors import UnknownSource
from crawler.sources import ENTRY_POINT_GROUP, SOURCES
from crawler.sources.base import ApiSource, FileSource, ListSource, Manners, WebSource

BUILT_IN = "built in"

_KINDS: tuple[tuple[type[Any], str], ...] = (
    (ApiSource, "search"),
    (WebSource, "site"),
    (ListSource, "list"),
    (FileSource, "files"),
)


@dataclass(frozen=True)
class SourceCard:
    """One source.

    Attributes:
        name: As in `--source`.
        kind: `search` (searches by itself), `site` (its pages are followed), `list` (addresses in a file of the
            user's), `files` (the user's own), or empty for one that cannot be loaded.
        title: Name for people.
        about: One line.
        argument: What stands behind `=`, in capitals; in brackets where it can be left away; empty for none.
        example: Such as `website=https://example.org/photos/`.
        licenses: What it tells of licences, in one line.
        credential: Name of the key that it takes, as in the settings; None for none.
        credential_required: Whether it answers nobody without.
        manners: Host -> how often it may be asked, by its own rules; the empty name is the API's own host.
        homepage: Address for people; terms: where the rules of its use stand. Empty when not told.
        origin: `built in`, or the distribution that brings it, with its version.
        problem: Why it cannot be used, or empty.
    """

    name: str
    kind: str
    title: str
    about: str
    argument: str
    example: str
    licenses: str
    credential: str | None
    credential_required: bool
    manners: Mapping[str, Manners]
    homepage: str
    terms: str
    origin: str
    problem: str = ""


@dataclass(frozen=True)
class _Words:
    about: str
    licenses: str
    argument: str = ""
    example: str = ""


_DECLARED = "as the page or the file declares it; else none"
_BUILT_IN: Mapping[str, _Words] = MappingProxyType(
    {
        "website": _Words("the pages of one site", _DECLARED, "URL", "website=https://example.org/photos/"),
        "sitemap": _Words(
            "the pages and pictures of a sitemap", _DECLARED, "URL", "sitemap=https://example.org/sitemap.xml"
        ),
        "urls": _Words(
            "addresses of pictures in txt, csv, jsonl or parquet",
            "as its columns tell; else none",
            "FILE",
            "urls=list.csv",
        ),
        "folder": _Words(
            "your own files", "as the file or its sidecar declares it; else none", "PATH", "folder=~/Pictures"
        ),
        "openverse": _Words(
            "hundreds of millions of pictures of many collections",
            "Creative Commons and public domain, of each picture",
        ),
        "wikimedia": _Words("files of Wikimedia Commons", "free licences and public domain, of each picture"),
        "met": _Words("works of art in the public domain", "CC0"),
        "nasa": _Words(
            "pictures of space and flight", "NASA media guidelines; those with a third party's rights are left out"
        ),
        "internet-archive": _Words("pictures in its collections", "of an item, where it has one"),
        "flickr": _Words("photographs of its members", "Creative Commons and public domain, of each picture"),
        "europeana": _Words("museums, archives and libraries of Europe", "open licences, of each picture"),
    }
)


def source_cards() -> list[SourceCard]:
    """Every source: those that search by themselves first, then the other built-in ones, then the installed ones."""
    built_in = [_card(name, kind, BUILT_IN) for name, kind in SOURCES.items()]
    built_in.sort(key=lambda card: card.kind != "search")
    return [*built_in, *(_installed(point) for point in _entry_points().values() if point.name not in SOURCES)]


def source_card(name: str) -> SourceCard:
    """One source.

    Raises:
        UnknownSource: There is none of this name; the nearest are named.
    """
    if name in SOURCES:
        return _card(name, SOURCES[name], BUILT_IN)
    points = _entry_points()
    if name in points:
        return _installed(points[name])
    names = sorted({*SOURCES, *points})
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(names)}"
    raise UnknownSource(f"there is no source {name!r}; {hint}")


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name)}


def _installed(point: EntryPoint) -> SourceCard:
    origin = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "installed"
    try:
        kind = point.load()
    except Exception as error:  # noqa: BLE001  # a stranger's module may raise anything
        return _broken(point.name, origin, f"cannot be loaded: {error!r}")
    if not isinstance(kind, type) or not any(issubclass(kind, base) for base, _ in _KINDS):
        return _broken(point.name, origin, "is not a WebSource, FileSource, ApiSource or ListSource")
    return _card(point.name, kind, origin)


def _broken(name: str, origin: str, problem: str) -> SourceCard:
    return SourceCard(name, "", name, "", "", "", "", None, False, {}, "", "", origin, problem)


def _card(name: str, source: type[Any], origin: str) -> SourceCard:
    kind = next(word for base, word in _KINDS if issubclass(source, base))
    is_search = kind == "search"
    words = _BUILT_IN.get(name, _Words("", "")) if origin == BUILT_IN else _Words("", "")
    argument = words.argument or ("[SERVER]" if is_search else "ARGUMENT")
    manners = {"": source.manners, **source.media_manners} if is_search else {}
    return SourceCard(
        name=name,
        kind=kind,
        title=str(getattr(source, "title", "") or name),
        about=words.about or _first_line(source),
        argument=argument,
        example=words.example or (name if is_search else f"{name}={argument}"),
        licenses=words.licenses or "as it declares them",
        credential=getattr(source, "credential", None),
        credential_required=bool(getattr(source, "credential_required", False)),
        manners=manners,
        homepage=str(getattr(source, "homepage", "")),
        terms=str(getattr(source, "terms", "")),
        origin=origin,
    )


def _first_line(source: type[Any]) -> str:
    return (source.__doc__ or "").strip().partition("\n")[0].rstrip(".")

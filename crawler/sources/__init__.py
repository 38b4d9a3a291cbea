"""The sources by name. An installed package adds one with an entry point in the group `dreamcrawl.sources`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from crawler.errors import SourceError, UnknownSource
from crawler.sources.base import ApiSource, FileSource, ListSource, Source, WebSource
from crawler.sources.europeana import Europeana
from crawler.sources.flickr import Flickr
from crawler.sources.folder import Folder
from crawler.sources.internet_archive import InternetArchive
from crawler.sources.met import Met
from crawler.sources.nasa import Nasa
from crawler.sources.openverse import Openverse
from crawler.sources.sitemap import Sitemap
from crawler.sources.url_list import UrlList
from crawler.sources.website import Website
from crawler.sources.wikimedia import Wikimedia

ENTRY_POINT_GROUP = "dreamcrawl.sources"

SourceKind = type[WebSource | FileSource | ApiSource | ListSource]

SOURCES: Mapping[str, SourceKind] = MappingProxyType(
    {
        source.name: source
        for source in (
            *(Website, Sitemap, UrlList, Folder),
            *(Openverse, Wikimedia, Met, Nasa, InternetArchive, Flickr, Europeana),
        )
    }
)
"""The built-in sources."""


def make_source(name: str, argument: str) -> Source:
    """The source `name=argument`, checked as far as it can be without a network.

    Raises:
        UnknownSource: There is no such source, built in or installed.
        SourceError: The source cannot take this argument, or an installed one cannot be loaded.
    """
    if name in SOURCES:
        return SOURCES[name](argument)
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in installed:
        names = sorted({*SOURCES, *installed})
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(names)}"
        raise UnknownSource(f"there is no source {name!r}; {hint}")
    try:
        kind = installed[name].load()
    except Exception as error:
        raise SourceError(f"the installed source {name!r} cannot be loaded: {error!r}") from error
    if not (isinstance(kind, type) and issubclass(kind, (WebSource, FileSource, ApiSource, ListSource))):
        raise SourceError(f"the installed source {name!r} is not a WebSource, FileSource, ApiSource or ListSource")
    return kind(argument)

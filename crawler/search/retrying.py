"""Candidates of earlier crawls that came to nothing, or were postponed: asked for again, whatever the reason was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from crawler.errors import ContactMissing, CrawlError
from crawler.items import ImageItem
from crawler.network.addresses import is_private_name
from crawler.pictures.candidates import Candidate
from crawler.sources import make_source
from crawler.sources.base import ApiSource, Source, WebSource
from crawler.urls import DEFAULT_PORTS, host_and_port, is_loopback
from pipeline.records import CrawlRecord


@dataclass(frozen=True)
class Survey:
    """What is to be known before the first of them is asked for.

    Attributes:
        sources: Those that found them, as far as they are still there.
        named: Hosts and ports that are not public, and that an operator named as the start of an earlier crawl.
        beyond: A host that is not this machine; None when all are this machine.
        files: How many are the user's own files, which are not asked for over a network.
    """

    sources: tuple[Source, ...] = ()
    named: frozenset[tuple[str, int]] = frozenset()
    beyond: str | None = None
    files: int = 0


def survey(records: Iterable[CrawlRecord]) -> Survey:
    """Read them all, and keep only this of them."""
    found: dict[tuple[str, str], None] = {}
    beyond: str | None = None
    files = 0
    for record in records:
        if (host := _host(record.image_url)) is None:
            files += 1
            continue
        found[record.source, record.source_argument] = None
        if beyond is None and not is_loopback(host):
            beyond = host
    sources = tuple(source for name in found if (source := _source(*name)) is not None)
    named = frozenset(start for source in sources if (start := _private_start(source)) is not None)
    return Survey(sources, named, beyond, files)


def check_contact(found: Survey, contact: str | None) -> None:
    """See that every host can reach whoever crawls it.

    Raises:
        ContactMissing: It cannot.
    """
    if contact is None and found.beyond is not None:
        raise ContactMissing(
            f"{found.beyond} is not this machine, and a site must be able to reach whoever crawls it: give your e-mail "
            "address or web page with --contact, `contact` in dreamcrawl.toml, or DREAMCRAWL_CONTACT"
        )


def candidates_again(records: Callable[[], Iterable[CrawlRecord]]) -> Iterator[Candidate]:
    """The candidates as their sources showed them, read as they are asked for."""
    for record in records():
        if _host(record.image_url) is not None:
            yield Candidate(_item(record), record.matches, source=record.source, source_argument=record.source_argument)


def _item(record: CrawlRecord) -> ImageItem:
    return ImageItem(
        image_url=record.image_url,
        page_url=record.page_url,
        title=record.title,
        alt=record.alt,
        caption=record.caption,
        tags=record.tags,
        creator=record.creator,
        creator_url=record.creator_url,
        license=record.license,
        source_id=record.source_id,
        source_hash=record.source_hash,
        width=record.width,
        height=record.height,
        media_type=record.media_type,
        created=record.created,
        attribution=record.attribution,
        rendition=record.rendition,
    )


def _host(url: str) -> str | None:
    """The host of a web address; None for a file."""
    try:
        return host_and_port(url)[0] if url.partition(":")[0] in DEFAULT_PORTS else None
    except ValueError:
        return None


def _source(name: str, argument: str) -> Source | None:
    try:
        return make_source(name, argument)
    except CrawlError:
        return None  # such as of an extension that is gone; its pictures may lie anywhere public


def _private_start(source: Source) -> tuple[str, int] | None:
    if not isinstance(source, (WebSource, ApiSource)):
        return None
    start = host_and_port(source.start_url if isinstance(source, WebSource) else source.base)
    return start if is_private_name(start[0]) else None

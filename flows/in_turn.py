"""Several sources of one collection, crawled one after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from crawler.errors import CrawlError
from flows.asked import Asked
from pipeline.records import CrawlReport


def crawl_in_turn(asked: Asked, crawl: Callable[[Asked], CrawlReport]) -> Iterator[tuple[str, CrawlReport]]:
    """Crawl each source, and give its name and report.

    Each gets an even share of the limit, and of what those before it left of theirs, so that a rich source does not
    crowd out the others. A source that cannot be crawled costs no other: its error becomes a warning of its report.

    Args:
        asked: With all sources; without one (`retry_failed`), the crawl is of none in particular.
        crawl: Crawls what is asked for from one source.

    Raises:
        CrawlError: No source could be crawled; what the first one's error was.
    """
    sources = asked.sources or ("",)
    rest, errors = asked.limit, []
    for number, source in enumerate(sources):
        if (share := -(-rest // (len(sources) - number))) <= 0:
            return
        try:
            report = crawl(dataclasses.replace(asked, source=source, more_sources=(), limit=share))
        except CrawlError as error:
            errors.append(error)
            if len(errors) == len(sources):
                raise errors[0] from None
            yield source, CrawlReport(inbox="", finished="failed", warnings=(f"{source}: {error}",))
            continue
        rest -= report.fetched + (0 if asked.only_new else report.known)
        yield source, report

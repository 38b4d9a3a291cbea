"""Several sources of one collection, crawled one after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from crawler.errors import CrawlError
from flows.asked import Asked
from pipeline.records import CrawlReport

_ROUNDS = 2


def crawl_in_turn(asked: Asked, crawl: Callable[[Asked], CrawlReport]) -> Iterator[tuple[str, CrawlReport]]:
    """Crawl each source, and give its name and report.

    Each gets an even share of the limit, and of what those before it left of theirs, so that a rich source does not
    crowd out the others. What is left in the end goes to those that had more to give, in a second turn for new
    pictures only. A source that cannot be crawled costs no other: its error becomes a warning of its report.

    Args:
        asked: With all sources; without one (`retry_failed`), the crawl is of none in particular.
        crawl: Crawls what is asked for from one source.

    Raises:
        CrawlError: No source could be crawled; what the first one's error was.
    """
    sources = turns = asked.sources or ("",)
    rest, errors = asked.limit, []
    for turn in range(_ROUNDS):
        had_more: list[str] = []
        only_new = asked.only_new or turn > 0
        for number, source in enumerate(turns):
            if (share := -(-rest // (len(turns) - number))) <= 0:
                return
            one = dataclasses.replace(asked, source=source, more_sources=(), limit=share, only_new=only_new)
            try:
                report = crawl(one)
            except CrawlError as error:
                errors.append(error)
                if len(errors) == len(sources):
                    raise errors[0] from None
                yield source, CrawlReport(inbox="", finished="failed", warnings=(f"{source}: {error}",))
                continue
            rest -= report.fetched + (0 if only_new else report.known)
            if report.finished == "limit":
                had_more.append(source)
            yield source, report
        turns = tuple(had_more)

"""What can go wrong with a whole crawl, named after what the caller does next.

CrawlError
├── UnknownSource     ask again: there is no source of that name
├── SourceError       ask again: the source cannot take this argument (no such folder, not an address)
├── KeywordInvalid    ask again: a keyword without a letter or digit
├── ContactMissing    set `contact`: sites other than one's own must be told who crawls them
├── SiteUnreachable   retry later: the start page gave no answer, or robots.txt closes it, and nothing was found
└── CrawlProcessFailed   report: the crawl's process died and left nothing

A single page or picture that fails is a line in the inbox, never an exception.
"""

from __future__ import annotations

from pipeline.errors import PipelineError


class CrawlError(PipelineError):
    """Base of this package's errors; its text is fit for a user."""


class UnknownSource(CrawlError):
    """No source has this name."""


class SourceError(CrawlError):
    """A source cannot take its argument."""


class KeywordInvalid(CrawlError):
    """A keyword that can match nothing."""


class ContactMissing(CrawlError):
    """A crawl beyond loopback without the operator's contact, or with one that cannot be sent."""


class SiteUnreachable(CrawlError):
    """The start page could not be had, so nothing was found."""


class CrawlProcessFailed(CrawlError):
    """The child process ended without a report and without a single record."""

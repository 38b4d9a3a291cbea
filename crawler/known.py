"""What a crawl knows of earlier ones: the catalog's ledger, as far as it is looked at here. No I/O."""

from __future__ import annotations

from typing import Protocol

from crawler.items import ImageItem
from crawler.job import CrawlRequest

ASKED_AGAIN = frozenset({"refused", "filtered", "queued"})


class KnownEntry(Protocol):
    """What the ledger has about one address."""

    @property
    def state(self) -> str:
        """kept, withdrawn, rejected, refused, filtered, queued or failed."""

    @property
    def sha256(self) -> str | None:
        """Digest of the bytes last fetched."""

    @property
    def etag(self) -> str | None:
        """As the server sent it; for a file, its size and modification time."""

    @property
    def last_modified(self) -> str | None:
        """As the server sent it."""

    @property
    def width(self) -> int | None:
        """In pixels, as far as it was seen; likewise `height` and `media_type`."""

    @property
    def height(self) -> int | None:
        """In pixels."""

    @property
    def media_type(self) -> str | None:
        """Such as `image/jpeg`."""

    @property
    def size_bytes(self) -> int | None:
        """Of the file that is here, where it is known."""

    @property
    def refused_in_headers(self) -> bool:
        """Whether what speaks against it came with the picture itself."""

    @property
    def fetch_again(self) -> bool:
        """Whether it failed for a passing reason."""


class LedgerView(Protocol):
    """As much of the catalog as a crawl sees: `pipeline.catalog.ledger.Ledger`."""

    def find(self, item: ImageItem, *, source: str) -> KnownEntry | None:
        """What came of this picture before: by its address, by its source's own name for it, or by its digest."""


def needs_request(entry: KnownEntry, request: CrawlRequest) -> bool:
    """Whether a known address is to be asked for again.

    A refusal is never remembered: what a site allows is asked each time. Nor is what a filter left out: the filter may
    be another one now, and the same one stops it before any request, by what was seen of it. A withdrawn picture whose
    bytes are here is only looked up again in what its site says.
    """
    if entry.state == "withdrawn":
        return entry.sha256 is None
    failed = entry.state == "failed" and (request.retry_failed or entry.fetch_again)
    return failed or entry.state in ASKED_AGAIN


def needs_answer(entry: KnownEntry, request: CrawlRequest) -> bool:
    """Whether a picture whose bytes are here is asked for again, on the condition that they have changed.

    Only the headers of an answer tell whether what was once said there still holds.
    """
    return entry.sha256 is not None and (
        request.revalidate or (entry.state == "withdrawn" and entry.refused_in_headers)
    )


def counts_as_collected(entry: KnownEntry, request: CrawlRequest) -> bool:
    """Whether a known address counts towards the limit, so that a second run ends where the first did.

    One that gave no bytes did not count then either.
    """
    return not request.only_new and entry.state in {"kept", "withdrawn", "rejected"}

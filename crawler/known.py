"""What a crawl knows of earlier ones: the catalog's ledger, as far as it is looked at here. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from crawler.job import CrawlRequest


class KnownEntry(Protocol):
    """What the ledger has about one address."""

    @property
    def state(self) -> str:
        """kept, rejected, refused or failed."""

    @property
    def sha256(self) -> str | None:
        """Digest of the bytes last fetched."""

    @property
    def etag(self) -> str | None:
        """As the server sent it; for a file, its size and modification time."""

    @property
    def fetch_again(self) -> bool:
        """Whether it failed for a passing reason."""


class LedgerView(Protocol):
    """As much of the catalog as a crawl sees: `pipeline.catalog.ledger.Ledger`."""

    def known(self, image_urls: Iterable[str]) -> Mapping[str, KnownEntry]:
        """What came of these addresses before."""


class EmptyLedger:
    """The ledger of a crawl without a catalog."""

    def known(self, image_urls: Iterable[str]) -> Mapping[str, KnownEntry]:  # noqa: ARG002  # the protocol's
        """Nothing."""
        return {}


def needs_request(entry: KnownEntry) -> bool:
    """Whether a known address is to be asked for again: it failed for a passing reason, or was refused.

    A refusal is never remembered: what a site allows is asked each time.
    """
    return entry.fetch_again or entry.state == "refused"


def counts_as_collected(entry: KnownEntry, request: CrawlRequest) -> bool:
    """Whether a known address counts towards the limit, so that a second run ends where the first did.

    One that gave no bytes did not count then either.
    """
    return not request.only_new and entry.state != "failed"

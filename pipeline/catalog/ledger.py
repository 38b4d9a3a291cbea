"""The ledger: which addresses were tried before, so that no picture is fetched twice.

It is all that a crawl sees of the catalog. Light to import: SQLAlchemy is loaded when a ledger of an existing
catalog is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from pipeline.catalog.hosts import HostLedger
from pipeline.errors import NotFound, Reason
from pipeline.records import CrawlRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pipeline.catalog.engine import Catalog

MAX_ATTEMPTS = 5
"""An address that failed this often is left alone, whatever the reason."""

_BATCH = 200


@dataclass(frozen=True)
class LedgerEntry:
    """What came of an address.

    Attributes:
        state: kept, withdrawn, rejected, refused, filtered, queued or failed.
        reason: Why it was not kept, or None.
        item_id: The item its bytes belong to, for kept.
        sha256: Digest of the bytes last fetched, or None.
        etag: As the server sent it; for a file of the user's, its size and modification time.
        attempts: How often it was tried.
        width: In pixels, as far as it was seen; likewise `height` and `media_type`.
        size_bytes: Of the file that was kept; None for others, and where only addresses were looked up.
        refused_in_headers: Whether what its site last said against it came with the picture itself.
    """

    image_url: str
    state: str
    reason: Reason | None
    item_id: int | None
    sha256: str | None
    etag: str | None
    last_modified: str | None
    attempts: int
    width: int | None = None
    height: int | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    refused_in_headers: bool = False

    @property
    def fetch_again(self) -> bool:
        """Whether a later run may try once more: it failed for a passing reason, and not too often."""
        return (
            self.state == "failed"
            and self.reason is not None
            and self.reason.is_transient
            and self.attempts < MAX_ATTEMPTS
        )


class Candidate(Protocol):
    """As much of a candidate picture as the ledger looks at."""

    @property
    def image_url(self) -> str:
        """Canonical address."""

    @property
    def source_id(self) -> str | None:
        """Its source's own name for it."""

    @property
    def source_hash(self) -> str | None:
        """Digest of its bytes as its source announces it."""


class Ledger:
    """Read access to the ledger. Without a catalog it is empty."""

    def __init__(self, catalog: Catalog | None) -> None:
        self._catalog = catalog

    @classmethod
    @contextmanager
    def open(cls, path_or_url: str | Path) -> Iterator[Self]:
        """The ledger of the catalog at a path or database URL; an empty one when there is no catalog.

        Raises:
            WorkspaceUnusable: The catalog cannot be read.
            CatalogTooNew: A newer dreamcrawl made it.
        """
        if "://" not in str(path_or_url) and not Path(path_or_url).exists():
            yield cls(None)
            return
        from pipeline.catalog.engine import open_catalog

        try:
            catalog = open_catalog(path_or_url, create=False)
        except NotFound:
            yield cls(None)
            return
        try:
            yield cls(catalog)
        finally:
            catalog.close()

    @property
    def hosts(self) -> HostLedger:
        """The budgets of hosts in the same catalog; without one, in memory."""
        return HostLedger(self._catalog)

    def known(self, image_urls: Iterable[str]) -> dict[str, LedgerEntry]:
        """Those of these addresses that were tried before, with what came of them."""
        if self._catalog is None:
            return {}
        with self._catalog.read() as uow:
            return uow.ledger.known(image_urls)

    def find(self, item: Candidate, *, source: str) -> LedgerEntry | None:
        """What came of a picture before: by its address, else by its source's name for it, else by its digest."""
        if self._catalog is None:
            return None
        with self._catalog.read() as uow:
            return uow.ledger.find(
                item.image_url, source=source, source_id=item.source_id, source_hash=item.source_hash
            )

    def unsettled(
        self, keywords: Sequence[str] = (), *, source: str = "", source_argument: str = ""
    ) -> Iterator[CrawlRecord]:
        """Candidates that failed, for whatever reason and however often, or were postponed, by address.

        Args:
            keywords: Only those that matched one of these; none means all.
            source: Only those of this source; empty means all. Likewise `source_argument`.
            source_argument: The part after `=`.
        """
        if self._catalog is None:
            return
        wanted = {keyword.casefold() for keyword in keywords}
        after = ""
        while True:
            # A transaction for each batch: one as long as a crawl would keep the write-ahead log from being emptied.
            with self._catalog.read() as uow:
                batch = uow.ledger.unsettled(after, limit=_BATCH)
            for _, values in batch:
                record = _record_of(values)
                if (
                    record is not None
                    and source in ("", record.source)
                    and source_argument in ("", record.source_argument)
                    and (not wanted or any(match.keyword.casefold() in wanted for match in record.matches))
                ):
                    yield record
            if len(batch) < _BATCH:
                return
            after = batch[-1][0]


def _record_of(values: Mapping[str, Any] | None) -> CrawlRecord | None:
    try:
        return CrawlRecord.from_json(values) if values else None
    except ValueError:
        return None  # written by another version: its source shows it again


def find_entries(connection: Connection, image_urls: Iterable[str]) -> dict[str, LedgerEntry]:
    """The entries of these addresses, read on an open connection."""
    from sqlalchemy import select

    from pipeline.catalog.repositories.base import chunks
    from pipeline.catalog.tables import FetchRow
    from pipeline.catalog.upserts import table_of

    table = table_of(FetchRow)
    entries: dict[str, LedgerEntry] = {}
    for batch in chunks(dict.fromkeys(image_urls)):
        for row in connection.execute(select(table).where(table.c.image_url.in_(batch))).mappings():
            entries[row["image_url"]] = entry_of(row)
    return entries


def entry_of(row: Mapping[Any, Any]) -> LedgerEntry:
    """The entry of a row of the ledger's table."""
    return LedgerEntry(
        image_url=row["image_url"],
        state=row["state"],
        reason=None if row["reason"] is None else Reason(row["reason"]),
        item_id=row["item_id"],
        sha256=row["sha256"],
        etag=row["etag"],
        last_modified=row["last_modified"],
        attempts=row["attempts"],
        width=row["width"],
        height=row["height"],
        media_type=row["media_type"],
        size_bytes=row.get("size_bytes"),
        refused_in_headers=bool((row["consent"] or {}).get("in_headers")),
    )

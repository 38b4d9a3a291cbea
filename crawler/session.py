"""One running crawl in the child process: the inbox, the counts, and the progress told to the parent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from crawler.job import CrawlProgress, CrawlRequest
from pipeline.errors import Reason
from pipeline.inbox import InboxWriter
from pipeline.records import CrawlRecord, CrawlReport, Outcome

_PROGRESS_SECONDS = 0.2


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


def needs_request(entry: KnownEntry | None) -> bool:
    """Whether an address is to be asked for: new, or failed for a passing reason.

    A refusal is never remembered: what a site allows is asked each time.
    """
    return entry is None or entry.fetch_again or entry.state == "refused"


def counts_as_collected(entry: KnownEntry, request: CrawlRequest) -> bool:
    """Whether a known address counts towards the limit, so that a second run ends where the first did.

    One that gave no bytes did not count then either.
    """
    return not request.only_new and entry.state != "failed"


class LedgerView(Protocol):
    """As much of the catalog as a crawl sees: `pipeline.catalog.ledger.Ledger`."""

    def known(self, image_urls: Iterable[str]) -> Mapping[str, KnownEntry]:
        """What came of these addresses before."""


class EmptyLedger:
    """The ledger of a crawl without a catalog."""

    def known(self, image_urls: Iterable[str]) -> Mapping[str, KnownEntry]:  # noqa: ARG002  # the protocol's
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Find:
    """One settled candidate on its way into the inbox: its record, and its bytes where the outcome is FETCHED."""

    record: CrawlRecord
    data: bytes | None = None


class Session:
    """What the spider, the item pipeline and the supervisor of one crawl share. Methods may be called in any thread."""

    def __init__(
        self,
        request: CrawlRequest,
        writer: InboxWriter,
        *,
        ledger: LedgerView,
        on_progress: Callable[[CrawlProgress], None],
    ) -> None:
        self.request = request
        self.ledger = ledger
        self.start_error: str | None = None
        self.is_full = False  # set when as many pictures are collected as were asked for
        self._writer = writer
        self._on_progress = on_progress
        self._mutex = threading.RLock()
        self._began = time.monotonic()
        self._told = 0.0
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[Reason] = Counter()
        self._bytes = 0
        self._pages = 0
        self._failed_pages = 0
        self._first_failed_page = ""
        self._host = ""
        self._warnings: list[str] = []
        self._sealed: CrawlReport | None = None

    @property
    def pages(self) -> int:
        """Pages read so far."""
        return self._pages

    @property
    def found(self) -> int:
        """Candidates settled so far."""
        return sum(self._outcomes.values())

    def add(self, find: Find) -> None:
        """Write one find to the inbox, and count it. Does nothing once the session is sealed.

        Raises:
            WorkspaceUnusable: The disk is full.
        """
        with self._mutex:
            if self._sealed is not None:
                return
            self._writer.add(find.record, find.data)
            self._outcomes[find.record.outcome] += 1
            if find.record.reason is not None:
                self._reasons[find.record.reason] += 1
            self._bytes += len(find.data or b"")
        self._tell()

    def page_read(self, host: str) -> None:
        """Count one page."""
        with self._mutex:
            self._pages += 1
            self._host = host
        self._tell()

    def page_failed(self, line: str) -> None:
        """Count one page that could not be read."""
        with self._mutex:
            self._failed_pages += 1
            self._first_failed_page = self._first_failed_page or line

    def visiting(self, host: str) -> None:
        """Remember the host of the last answer."""
        self._host = host

    def warn(self, line: str) -> None:
        """A line for the user; each only once."""
        with self._mutex:
            if line not in self._warnings:
                self._warnings.append(line)

    def seal(self, finished: str) -> CrawlReport:
        """Seal the inbox with the counts so far; a second call gives the first one's report."""
        with self._mutex:
            if self._sealed is None:
                self._sealed = self._report(finished)
                self._writer.seal(self._sealed)
        self._tell(always=True)
        return self._sealed

    def progress(self) -> CrawlProgress:
        """How far the crawl is."""
        with self._mutex:
            return CrawlProgress(
                pages=self._pages,
                found=self.found,
                fetched=self._outcomes[Outcome.FETCHED],
                known=self._outcomes[Outcome.KNOWN],
                refused=self._outcomes[Outcome.REFUSED],
                failed=self._outcomes[Outcome.FAILED],
                host=self._host,
                seconds=round(time.monotonic() - self._began, 3),
            )

    def _report(self, finished: str) -> CrawlReport:
        progress = self.progress()
        warnings = list(self._warnings)
        if self._failed_pages:
            more = f" (and {self._failed_pages - 1} more pages)" if self._failed_pages > 1 else ""
            warnings.append(f"not read: {self._first_failed_page}{more}")
        return CrawlReport(
            inbox=str(self._writer.path),
            found=progress.found,
            fetched=progress.fetched,
            known=progress.known,
            refused=progress.refused,
            failed=progress.failed,
            pages=progress.pages,
            bytes_fetched=self._bytes,
            seconds=progress.seconds,
            finished=finished,
            reasons={reason.value: count for reason, count in self._reasons.items()},
            warnings=tuple(warnings),
        )

    def _tell(self, *, always: bool = False) -> None:
        now = time.monotonic()
        with self._mutex:
            if not always and now - self._told < _PROGRESS_SECONDS:
                return
            self._told = now
            progress = self.progress()
        self._on_progress(progress)

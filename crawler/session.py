"""One running crawl in the child process: the inbox, the counts, and the progress told to the parent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from crawler.hosts.gates import HostGates
from crawler.job import CrawlProgress, CrawlRequest
from crawler.known import LedgerView
from crawler.network.secrets import without_secrets
from crawler.pictures.finds import Find
from pipeline.errors import Reason
from pipeline.inbox import InboxWriter
from pipeline.records import CrawlReport, Outcome

_PROGRESS_SECONDS = 0.2


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
        self.on_full: Callable[[], None] = lambda: None
        self.hosts: HostGates | None = None
        self.waiting: Callable[[], int] = lambda: 0
        self._is_full = False
        self._writer = writer
        self._on_progress = on_progress
        self._mutex = threading.RLock()
        self._began = time.monotonic()
        self._told = 0.0
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[Reason] = Counter()
        self._bytes = 0
        self._bytes_received = 0
        self._bytes_saved = 0
        self._requests = 0
        self._pages = 0
        self._failed_pages = 0
        self._first_failed_page = ""
        self._host = ""
        self._warnings: list[str] = []
        self._sealed: CrawlReport | None = None

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are collected as were asked for."""
        return self._is_full

    def full(self) -> None:
        """Tell that as many pictures are collected as were asked for; only the first call does anything."""
        if not self._is_full:
            self._is_full = True
            self.on_full()

    @property
    def pages(self) -> int:
        """Pages read so far."""
        return self._pages

    @property
    def found(self) -> int:
        """Candidates settled so far."""
        return sum(self._outcomes.values())

    def add(self, find: Find) -> None:
        """Write one find to the inbox, as `add_all` does."""
        self.add_all([find])

    def add_all(self, finds: Sequence[Find]) -> None:
        """Write finds to the inbox, and count them. Does nothing once the session is sealed.

        Raises:
            WorkspaceUnusable: The disk is full.
        """
        with self._mutex:
            if self._sealed is not None:
                return
            self._writer.add_all([(find.record, find.data) for find in finds])
            for find in finds:
                self._outcomes[find.record.outcome] += 1
                if find.record.reason is not None:
                    self._reasons[find.record.reason] += 1
                self._bytes += len(find.data or b"")
                self._bytes_saved += find.bytes_saved
        self._tell()

    def request_sent(self) -> None:
        """Count one request; called in the network's thread only, as is `received`."""
        self._requests += 1

    def received(self, size_bytes: int) -> None:
        """Count bytes of a response's body."""
        self._bytes_received += size_bytes

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
            self._first_failed_page = self._first_failed_page or without_secrets(line, self.request.credentials)

    def start_failed(self, line: str) -> None:
        """Remember why the start page could not be read."""
        self.start_error = without_secrets(line, self.request.credentials)

    def visiting(self, host: str) -> None:
        """Remember the host of the last answer."""
        self._host = host

    def warn(self, line: str) -> None:
        """A line for the user; each only once."""
        line = without_secrets(line, self.request.credentials)
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
                filtered=self._outcomes[Outcome.FILTERED],
                postponed=self._outcomes[Outcome.POSTPONED],
                failed=self._outcomes[Outcome.FAILED],
                waiting=self.waiting(),
                hosts=self.hosts.lines() if self.hosts is not None else (),
                host=self._host,
                seconds=round(time.monotonic() - self._began, 3),
                bytes_received=self._bytes_received,
            )

    def _report(self, finished: str) -> CrawlReport:
        progress = self.progress()
        warnings = [*self._warnings, *(self.hosts.warnings() if self.hosts is not None else ())]
        if self._failed_pages:
            more = f" (and {self._failed_pages - 1} more pages)" if self._failed_pages > 1 else ""
            warnings.append(f"not read: {self._first_failed_page}{more}")
        return CrawlReport(
            inbox=str(self._writer.path),
            found=progress.found,
            fetched=progress.fetched,
            known=progress.known,
            refused=progress.refused,
            filtered=progress.filtered,
            postponed=progress.postponed,
            failed=progress.failed,
            pages=progress.pages,
            bytes_fetched=self._bytes,
            bytes_received=self._bytes_received,
            bytes_saved=self._bytes_saved,
            requests=self._requests,
            seconds=progress.seconds,
            finished=finished,
            reasons={reason.value: count for reason, count in self._reasons.items()},
            warnings=tuple(warnings),
            hosts=self.hosts.statistics() if self.hosts is not None else {},
        )

    def _tell(self, *, always: bool = False) -> None:
        now = time.monotonic()
        with self._mutex:
            if not always and now - self._told < _PROGRESS_SECONDS:
                return
            self._told = now
            progress = self.progress()
        self._on_progress(progress)

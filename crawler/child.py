"""The child process of one crawl: `python -m crawler.child`.

It reads its job as one line of JSON on standard input, and answers with lines of JSON on standard output:
`{"event": "started"}`, `{"event": "progress", ...}`, and last `{"event": "end", ...}` or `{"event": "error", ...}`.
The line `stop`, or the end of standard input (the parent is gone), makes it end the crawl and seal what there is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from crawler.hosts.gates import HostGates
from crawler.hosts.limits import rules_of
from crawler.job import CrawlProgress, CrawlRequest, Job
from crawler.network.addresses import AddressPolicy, is_private_name, read_allowed
from crawler.pending import PendingLedger
from crawler.pictures.candidates import Candidate
from crawler.search.retrying import candidates_again, check_contact, survey
from crawler.session import Session
from crawler.settings import settings_for
from crawler.sources import make_source
from crawler.sources.base import ApiSource, Manners, Source, WebSource
from crawler.urls import host_and_port
from pipeline.catalog.ledger import Ledger
from pipeline.errors import PipelineError
from pipeline.inbox import InboxWriter
from pipeline.records import CrawlRecord

STOP = b"stop"
# What is under way when a crawl is told to end may still arrive within this time.
GRACE_SECONDS = 2.0


class Channel:
    """Lines of JSON to the parent; a parent that is gone is no error."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._mutex = threading.Lock()

    def tell(self, event: str, **values: Any) -> None:
        """Send one event."""
        line = json.dumps({"event": event, **values}).encode("ascii") + b"\n"
        with self._mutex, contextlib.suppress(OSError, ValueError):
            self._stream.write(line)
            self._stream.flush()

    def progress(self, progress: CrawlProgress) -> None:
        """Send how far the crawl is."""
        self.tell("progress", **dataclasses.asdict(progress))


class Supervisor:
    """Ends the crawl at its deadline or when told to, and the process when Scrapy does not end in time."""

    def __init__(self, session: Session, channel: Channel, *, deadline_seconds: float) -> None:
        self._session = session
        self._channel = channel
        self._deadline_seconds = deadline_seconds
        self._woken = threading.Event()
        self._over = threading.Event()
        self._ending = threading.Lock()
        self.finished: str | None = None

    def start(self, commands: BinaryIO, stop_crawl: Callable[[], None]) -> None:
        """Watch the clock and the parent's commands, in two threads; `stop_crawl` is called in one of them."""
        threading.Thread(target=self._listen, args=(commands,), daemon=True).start()
        threading.Thread(target=self._watch, args=(stop_crawl,), daemon=True).start()

    def end(self, finished: str) -> None:
        """Seal the inbox and tell the parent; only the first call does anything."""
        self._over.set()
        with self._ending:
            report = self._session.seal(self.finished or finished)
            self._channel.tell("end", start_error=self._session.start_error, finished=report.finished)

    def full(self) -> None:
        """There are as many pictures as were asked for: pages still under way are of no use."""
        self.finished = "limit"
        self._woken.set()

    def _listen(self, commands: BinaryIO) -> None:
        for line in commands:
            if line.strip() == STOP:
                break
        self._woken.set()

    def _watch(self, stop_crawl: Callable[[], None]) -> None:
        told = self._woken.wait(self._deadline_seconds)
        if self._over.is_set():
            return
        if self.finished is None:
            self.finished = "interrupted" if told else "deadline"
        stop_crawl()
        if not self._over.wait(GRACE_SECONDS):
            try:
                self.end(self.finished)
            finally:
                # Scrapy still waits for answers that nobody needs.
                os._exit(0)


def run(job: Job, channel: Channel, commands: BinaryIO) -> None:
    """Crawl, and seal the inbox.

    Raises:
        PipelineError: The source, the inbox or the catalog cannot be used.
    """
    from crawler.spiders.keyword_spider import KeywordSpider

    request = job.request
    parent = Path(job.inbox_parent)
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(_ledger(job.catalog))
        prepared = _prepare(request, ledger)
        # Before this crawl's own inbox, which is not among those that wait.
        known = PendingLedger(ledger, parent)
        # The reactor is installed by the process object, so nothing that imports it may come before.
        process = _crawler_process(settings_for(request, prepared.policy, page_cache=job.page_cache))
        from scrapy import signals
        from scrapy.utils.defer import deferred_from_coro
        from twisted.internet import reactor

        writer = stack.enter_context(InboxWriter.create(parent, crawl_id=job.crawl_id, about=job.about))
        session = Session(request, writer, ledger=known, on_progress=channel.progress)
        hosts = session.hosts = HostGates(
            ledger.hosts,
            delay_seconds=request.delay_seconds,
            concurrency=request.concurrency_per_host,
            deadline_seconds=request.deadline_seconds,
            rules=prepared.rules,
            on_trouble=session.warn,
        )
        for line in prepared.warnings:
            session.warn(line)
        supervisor = Supervisor(session, channel, deadline_seconds=request.deadline_seconds)
        session.on_full = supervisor.full
        reasons: list[str] = []

        def remember(reason: str) -> None:
            reasons.append(reason)

        def stop() -> None:
            hosts.close()
            deferred_from_coro(process.stop())

        def stop_crawl() -> None:
            reactor.callFromThread(stop)

        crawler = process.create_crawler(KeywordSpider)
        crawler.signals.connect(remember, signal=signals.spider_closed, weak=False)
        process.crawl(crawler, session=session, source=prepared.source)
        channel.tell("started")
        supervisor.start(commands, stop_crawl)
        process.start()
        hosts.finish()
        if reasons not in (["finished"], ["limit"]):
            supervisor.end("interrupted")
        else:
            supervisor.end("limit" if session.is_full else "done")


def _crawler_process(settings: dict[str, Any]) -> Any:
    from scrapy.crawler import AsyncCrawlerProcess

    return AsyncCrawlerProcess(settings)


@dataclass(frozen=True)
class _Prepared:
    """What is crawled, what may be reached for it, the rules of hosts, and lines for the user."""

    source: Source | Iterable[Candidate]
    policy: AddressPolicy
    rules: Mapping[str, Manners]
    warnings: tuple[str, ...] = ()


def _prepare(request: CrawlRequest, ledger: Ledger) -> _Prepared:
    """Look at the source, or at what failed before.

    Raises:
        CrawlError: The source cannot take its argument, or the contact is missing.
    """
    if not request.retry_failed:
        source = make_source(request.source, request.argument)
        return _Prepared(source, _policy(source, request), rules_of([source]))

    def records() -> Iterator[CrawlRecord]:
        return ledger.unsettled(request.keywords, source=request.source, source_argument=request.argument)

    found = survey(records())
    check_contact(found, request.contact)
    allowed = read_allowed(request.allow) | found.named
    policy = AddressPolicy(has_contact=request.contact is not None, allowed=allowed)
    files = f"{found.files} of your own files could not be read; crawl their folder again to have them tried again"
    return _Prepared(candidates_again(records), policy, rules_of(found.sources), (files,) if found.files else ())


def _policy(source: Source, request: CrawlRequest) -> AddressPolicy:
    has_contact, allowed = request.contact is not None, read_allowed(request.allow)
    if isinstance(source, WebSource):
        start = host_and_port(source.start_url)
    elif isinstance(source, ApiSource):
        start = host_and_port(source.base)
    else:
        return AddressPolicy(has_contact=has_contact, allowed=allowed)
    return AddressPolicy(start, is_private_name(start[0]), has_contact, allowed)


@contextlib.contextmanager
def _ledger(catalog: str | None) -> Iterator[Ledger]:
    if catalog is None:
        yield Ledger(None)
        return
    with Ledger.open(catalog) as ledger:
        yield ledger


def main() -> int:
    """Run the job that stands on standard input; 0 when the inbox is sealed."""
    # Whatever a library prints must not get between the lines of JSON.
    channel = Channel(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    commands = sys.stdin.buffer
    try:
        job = Job.from_json(json.loads(commands.readline()))
        run(job, channel, commands)
    except PipelineError as error:
        channel.tell("error", kind=type(error).__name__, text=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    # Threads that wait for names or files must not keep a finished crawl from ending.
    os._exit(code)

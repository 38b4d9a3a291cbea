"""Runs real crawls of loopback servers, and reads what they hand over."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from crawler.items import ImageItem
from crawler.job import Job
from crawler.known import KnownEntry
from crawler.run import CrawlProgress, CrawlRequest, crawl
from pipeline.inbox import SealedInbox, read_inbox
from pipeline.records import CrawlRecord, CrawlReport, Outcome

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Crawled:
    """A crawl's report and its sealed inbox."""

    report: CrawlReport
    inbox: SealedInbox
    records: list[CrawlRecord]

    def by_path(self, base: str) -> dict[str, CrawlRecord]:
        """The records by image address, without the server's; of several for one address the first."""
        found: dict[str, CrawlRecord] = {}
        for record in self.records:
            found.setdefault(record.image_url.removeprefix(base), record)
        return found

    def digests(self) -> set[str]:
        """The digests of all bytes in the inbox, each compared with them."""
        digests = {record.sha256 for record in self.inbox.records() if record.outcome is Outcome.FETCHED}
        return {sha256(self.inbox.open_blob(str(digest))).hexdigest() for digest in digests}


class EmptyLedger:
    """The ledger of a catalog that knows nothing."""

    def find(self, item: ImageItem, *, source: str) -> KnownEntry | None:  # noqa: ARG002  # the protocol's
        return None


def request_for(source: str, argument: str, *keywords: str, **changes: Any) -> CrawlRequest:
    """A request with no pauses and a high limit."""
    values: dict[str, Any] = {"limit": 500, "delay_seconds": 0.0, "deadline_seconds": 120.0, **changes}
    return CrawlRequest(keywords=keywords, source=source, argument=argument, **values)


def run_crawl(
    parent: Path,
    request: CrawlRequest,
    *,
    crawl_id: str = "c1",
    catalog: Path | None = None,
    page_cache: Path | None = None,
    on_progress: Callable[[CrawlProgress], None] | None = None,
) -> Crawled:
    """Crawl, and read the inbox."""
    report = crawl(
        request,
        inbox_parent=parent,
        crawl_id=crawl_id,
        about={"run_id": 1},
        catalog=None if catalog is None else str(catalog),
        page_cache=page_cache,
        on_progress=on_progress,
    )
    inbox = read_inbox(parent / crawl_id)
    return Crawled(report, inbox, list(inbox.records()))


@contextmanager
def crawling_child(parent: Path, request: CrawlRequest, *, crawl_id: str, fetched: int) -> Iterator[None]:
    """A process of its own that crawls and has fetched so many pictures; killed at the end."""
    job = Job(request, str(parent), crawl_id, {}, None)
    child = subprocess.Popen(
        [sys.executable, "-m", "crawler.child"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps(job.to_json()).encode() + b"\n")
        child.stdin.flush()
        while json.loads(child.stdout.readline()).get("fetched", 0) < fetched:
            pass
        yield
        child.kill()
        child.wait()

"""A crawl's progress in words: one line of counts, and one for each host that is spoken to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.progress import bytes_text

if TYPE_CHECKING:
    from crawler.job import CrawlProgress

MAX_HOST_LINES = 6


def counts_line(progress: CrawlProgress) -> str:
    """Such as `12 fetched, 3 known, 4 filtered, 40 in line; 9 pages, 3.4 MB`; zeros are left out."""
    counts = {
        "fetched": progress.fetched,
        "known": progress.known,
        "filtered": progress.filtered,
        "refused": progress.refused,
        "failed": progress.failed,
        "postponed": progress.postponed,
        "in line": progress.waiting,
    }
    told = [f"{count} {name}" for name, count in counts.items() if count or name == "fetched"]
    return f"{', '.join(told)}; {progress.pages} pages, {bytes_text(progress.bytes_received)}"


def host_lines(progress: CrawlProgress) -> list[str]:
    """The hosts that are spoken to, at most `MAX_HOST_LINES`."""
    lines = list(progress.hosts[:MAX_HOST_LINES])
    if len(progress.hosts) > MAX_HOST_LINES:
        lines.append(f"and {len(progress.hosts) - MAX_HOST_LINES} more hosts")
    return lines

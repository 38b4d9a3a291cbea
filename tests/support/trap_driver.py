"""Run as a script: what `dreamcrawl crawl` and `dreamcrawl ingest` do, on the trap site, to be killed by a test.

trap_driver.py ROOT START crawl|ingest|both ALLOW...
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from crawler.run import crawl
from pipeline.catalog.engine import open_catalog
from pipeline.images import ImageLimits
from pipeline.inbox import pending_inboxes, recover
from pipeline.ingest.ingest import ingest_inbox
from pipeline.store import Store
from tests.support.crawls import request_for
from tests.support.trap_site import MAX_BYTES


def run_crawl(root: Path, start: str, allow: tuple[str, ...]) -> None:
    request = request_for(
        "website", start, "windmill", contact="someone@example.org", max_image_bytes=MAX_BYTES,
        deadline_seconds=90.0, allow=allow,
    )  # fmt: skip
    report = crawl(
        request, inbox_parent=root / "inbox", crawl_id=f"c{uuid.uuid4().hex}", about={},
        catalog=str(root / "catalog.sqlite3"), page_cache=root / "pages",
    )  # fmt: skip
    assert report.finished == "done", report


def run_ingest(root: Path) -> None:
    with open_catalog(root / "catalog.sqlite3") as catalog:
        for path in pending_inboxes(root / "inbox"):
            recover(path)
            ingest_inbox(
                path, catalog=catalog, store=Store(root / "store"), run_id=None, limits=ImageLimits(), near_distance=0
            )


if __name__ == "__main__":
    folder, address, mode, *allowed = sys.argv[1:]
    with open_catalog(Path(folder) / "catalog.sqlite3"):
        pass  # made and migrated, as every command does first
    if mode in ("crawl", "both"):
        run_crawl(Path(folder), address, tuple(allowed))
    if mode in ("ingest", "both"):
        run_ingest(Path(folder))

"""A catalog, a store and inboxes: for tests of what ingest makes of records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import IngestReport
from pipeline.store import Store
from tests.support.inboxes import sealed_inbox


class IngestWorkshop:
    """A catalog, a store and an inbox folder in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog: Catalog = open_catalog(root / "catalog.sqlite3")
        self.store = Store(root / "store")
        self._count = 0

    def run(self) -> int:
        with self.catalog.write() as uow:
            return uow.runs.start("run", keywords=["mill"], source="x", parameters={}, process="host:1:1", version="1")

    def inbox(self, *candidates: tuple[Any, bytes | None], **about: Any) -> Path:
        self._count += 1
        return sealed_inbox(self.root / "inbox", candidates, crawl_id=f"crawl-{self._count}", **about)

    def ingest(self, *candidates: tuple[Any, bytes | None], run_id: int | None = None, **options: Any) -> IngestReport:
        return self.take(self.inbox(*candidates), run_id=run_id, **options)

    def take(self, path: Path, *, run_id: int | None = None, **options: Any) -> IngestReport:
        values: dict[str, Any] = {"limits": ImageLimits(), "near_distance": DEFAULT_NEAR_DISTANCE}
        report = ingest_inbox(path, catalog=self.catalog, store=self.store, run_id=run_id, **{**values, **options})
        assert report.fetched == report.accepted + report.exact_duplicates + report.near_duplicates + report.rejected
        assert sum(report.reasons.values()) == report.rejected
        return replace(report, seconds=0.0)

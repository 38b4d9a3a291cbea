"""Ingest one file of the user's, without a crawl."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from pipeline.catalog.engine import Catalog
from pipeline.errors import ImageRejected, Reason
from pipeline.images import ImageLimits, read_file
from pipeline.ingest.examining import Examiner
from pipeline.ingest.intake import Intake
from pipeline.records import CrawlRecord, Outcome
from pipeline.store import Store

SOURCE = "file"


def ingest_file(
    path: Path,
    *,
    catalog: Catalog,
    store: Store,
    run_id: int | None,
    limits: ImageLimits,
    near_distance: int,
    examiner: Examiner | None = None,
) -> int:
    """Take one file into catalog and store, and give the id of its item; a file that is there already is found.

    examiner: As in `ingest_inbox`.

    Raises:
        NotFound: There is no such file, or it cannot be read.
        ImageRejected: It is not a picture that can be kept.
        WorkspaceUnusable: The disk is full or read-only.
    """
    data = read_file(path, max_bytes=limits.max_bytes)
    absolute = path.absolute()
    record = CrawlRecord(
        outcome=Outcome.FETCHED,
        source=SOURCE,
        source_argument=str(path),
        image_url=absolute.as_uri(),
        page_url=absolute.parent.as_uri(),
        found_at=datetime.now(UTC).isoformat(),
        title=absolute.stem,
    )
    with contextlib.nullcontext(examiner) if examiner is not None else Examiner(limits) as decoding:
        intake = Intake(catalog, store, run_id=run_id, examiner=decoding, near_distance=near_distance)
        [taken] = intake.take([intake.ready(record, intake.begin(data))])
    if taken.item_id is None:
        raise ImageRejected(taken.reason or Reason.CORRUPT, f"{path}: {taken.detail}")
    return taken.item_id

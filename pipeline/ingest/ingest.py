"""Ingest one inbox: every candidate into the catalog, every picture into the store, then the inbox is gone."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from pipeline.catalog.engine import Catalog
from pipeline.errors import PipelineError, Reason, WorkspaceUnusable
from pipeline.images import ImageLimits
from pipeline.inbox import SealedInbox, discard, read_inbox
from pipeline.ingest.ahead import read_ahead
from pipeline.ingest.candidates import (
    ACCEPTED,
    EXACT_DUPLICATE,
    KNOWN,
    NEAR_DUPLICATE,
    REJECTED,
    Candidate,
    Finished,
    Other,
    Picture,
    Place,
    Stored,
    Unfit,
)
from pipeline.ingest.examining import Examiner
from pipeline.ingest.intake import Intake
from pipeline.records import IngestReport
from pipeline.store import Store

# In one transaction: so much that its costs are shared, so little that no other writer waits long for the lock; nor is
# more decoded anew after a kill, nor is a picture that is done shown later than this.
MOST_PICTURES = 16
_MOST_RECORDS = 100
_MOST_SECONDS = 0.5
_LOCK_PREFIX, _LOCK_SUFFIX = ".ingest-", ".lock"


def ingest_inbox(
    path: Path,
    *,
    catalog: Catalog,
    store: Store,
    run_id: int | None,
    limits: ImageLimits,
    near_distance: int,
    examiner: Examiner | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestReport:
    """Take a sealed inbox into catalog and store, and delete it.

    May be killed at any moment and called again: it goes on where it stopped, and the report still tells of the whole
    inbox. Of two processes that ingest the same inbox the second waits, finds nothing to do and reports nothing.

    Args:
        path: The inbox folder.
        catalog: Where the rows go, in short transactions.
        store: Where the bytes go, before their rows.
        run_id: The run whose list the items join; None: the run that crawled, when it is on record.
        limits: What a picture may be at most, and must be at least; not looked at when there is an examiner.
        examiner: Decodes the pictures, in processes of its own; None: one for this inbox.
        near_distance: Differing bits of 256 up to which a new picture is linked to one that it resembles.
        on_progress: Called with the number of records done and of all records.

    Raises:
        InboxUnusable: The inbox is not sealed or is damaged.
        WorkspaceUnusable: The disk is full or read-only; what was not taken yet stays in the inbox.
        CatalogBusy: Another process kept the catalog locked.
        WorkersUnusable: No process can be started to decode pictures in.
    """
    started = time.monotonic()
    inbox = read_inbox(path)
    with _alone(path) as still_there:
        if not still_there:
            return IngestReport(seconds=time.monotonic() - started)
        crawl_id = str(inbox.about.get("crawl_id", path.name))
        with contextlib.nullcontext(examiner) if examiner is not None else Examiner(limits) as decoding:
            intake = Intake(
                catalog,
                store,
                run_id=run_id if run_id is not None else _run_of(inbox, catalog),
                examiner=decoding,
                near_distance=near_distance,
            )
            _take_all(inbox, crawl_id=crawl_id, catalog=catalog, intake=intake, on_progress=on_progress)
        report = _report(crawl_id, catalog=catalog, seconds=time.monotonic() - started)
        discard(path)
    # A kill before this line leaves some rows that nobody reads: a crawl's name is used once.
    with catalog.write() as uow:
        uow.ingest_progress.forget(crawl_id)
    return report


def _take_all(
    inbox: SealedInbox,
    *,
    crawl_id: str,
    catalog: Catalog,
    intake: Intake,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    with catalog.read() as uow:
        finished = uow.ingest_progress.of_crawl(crawl_id)
    batch = _Batch(intake, total=inbox.record_count, on_progress=on_progress)
    try:
        for position, record, picture in read_ahead(inbox, intake=intake, skip=finished):
            place = Place(crawl_id, position)
            if position in finished:
                batch.add(Finished(record=record, progress=finished[position]))
            elif picture is None:
                batch.add(Other(record=record, place=place))
            elif isinstance(picture, Picture):
                batch.add(intake.ready(record, picture, place=place))
            else:  # its bytes were lost on the way; a later run fetches them again
                batch.add(Unfit(record=record, place=place, reason=Reason.UNREADABLE, detail=picture.detail))
    except PipelineError:
        batch.write()  # what came before is good
        raise
    batch.write()


class _Batch:
    """Candidates that wait to be written together, in the order of the records, as runs list their items so."""

    def __init__(self, intake: Intake, *, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self._intake = intake
        self._total = total
        self._on_progress = on_progress
        self._waiting: list[Candidate] = []
        self._since = 0.0
        self._written = 0

    def add(self, candidate: Candidate) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(candidate)
        if (
            len(self._waiting) >= _MOST_RECORDS
            or sum(isinstance(one, Stored) for one in self._waiting) >= MOST_PICTURES
            or time.monotonic() - self._since > _MOST_SECONDS
        ):
            self.write()

    def write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._intake.take(waiting)
        for _ in waiting:
            self._written += 1
            if self._on_progress is not None:
                self._on_progress(self._written, self._total)


def _report(crawl_id: str, *, catalog: Catalog, seconds: float) -> IngestReport:
    """Counted over the progress on record, so that it tells of the whole inbox however often ingest was killed."""
    with catalog.read() as uow:
        progresses = list(uow.ingest_progress.of_crawl(crawl_id).values())
        met = [progress.item_id for progress in progresses if progress.item_id is not None]
        item_ids = tuple(uow.items.representatives(met))
    outcomes = Counter(progress.outcome for progress in progresses)
    rejected = [progress for progress in progresses if progress.outcome == REJECTED]
    return IngestReport(
        fetched=sum(outcomes[name] for name in (ACCEPTED, EXACT_DUPLICATE, NEAR_DUPLICATE, REJECTED)),
        accepted=outcomes[ACCEPTED],
        exact_duplicates=outcomes[EXACT_DUPLICATE],
        near_duplicates=outcomes[NEAR_DUPLICATE],
        known=outcomes[KNOWN],
        rejected=outcomes[REJECTED],
        reasons=dict(Counter(str(progress.reason) for progress in rejected)),
        item_ids=item_ids,
        seconds=seconds,
    )


def _run_of(inbox: SealedInbox, catalog: Catalog) -> int | None:
    run_id = inbox.about.get("run_id")
    if not isinstance(run_id, int):
        return None
    with catalog.read() as uow:
        return run_id if uow.runs.get(run_id) is not None else None


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """One ingest of an inbox at a time; gives whether the inbox is still there once it is this one's turn.

    The lock lies beside the inbox, not in it: the inbox is renamed while the lock is held. Locks of inboxes that are
    gone are cleared away; whoever still waits for one finds its inbox gone.
    """
    lock_path = path.with_name(f"{_LOCK_PREFIX}{path.name}{_LOCK_SUFFIX}")
    lock = FileLock(lock_path)
    try:
        lock.acquire()
    except OSError as error:
        raise WorkspaceUnusable(
            f"the folder {path.parent} cannot be written: {error.strerror or error}; make room, or make it writable"
        ) from error
    try:
        yield path.exists()
    finally:
        for leftover in path.parent.glob(f"{_LOCK_PREFIX}*{_LOCK_SUFFIX}"):
            if not path.with_name(leftover.name[len(_LOCK_PREFIX) : -len(_LOCK_SUFFIX)]).exists():
                leftover.unlink(missing_ok=True)
        lock.release()

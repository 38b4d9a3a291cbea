"""Processes that do all that can be done to a workspace, in any order, for tests that kill them."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.processes import this_process
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates import stars
from pipeline.duplicates.finding import find_duplicates
from pipeline.duplicates.signatures import Signature, sign
from pipeline.errors import CatalogBusy, InboxUnusable
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import DEFAULT_LIMITS, decode
from pipeline.inbox import pending_inboxes, recover
from pipeline.ingest.examining import Examiner
from pipeline.ingest.ingest import ingest_inbox
from pipeline.store import LEFTOVER_SECONDS, Store
from pipeline.upkeep.findings import FsckReport, Kind
from pipeline.upkeep.fsck import Places, check_workspace
from pipeline.upkeep.gc import collect_garbage
from pipeline.workspace import Workspace
from tests.support import catalog_story
from tests.support.ingesting_process import ExaminerHere
from tests.support.inverting import InvertingRenderer, Workshop

NOW = "now"
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What one process does, and when it dies.

    Attributes:
        address: Path or database URL of the catalog.
        seed: Decides the order of what it does.
        until: It says `NOW`, or dies, at its n-th step, from 1, counted from where a stage begins; a step is a file
            opened, made, renamed or deleted in the workspace, a statement to the database, or a commit.
        stage: Which stage.
        by_itself: It dies there at once, and does not merely say so.
        workers: Decodes in worker processes, as the commands do.
    """

    root: Path
    address: str
    seed: int
    until: int | None = None
    stage: str = ""
    by_itself: bool = False
    workers: bool = False


def start(job: Job) -> tuple[BaseProcess, Connection]:
    """A process at work; it sends what it begins with, `NOW`, and last the steps of each stage or a traceback."""
    # A server that has imported everything once starts further processes in no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, theirs))
    process.start()
    theirs.close()
    return process, ours


def _run(job: Job, parent: Connection) -> None:
    steps = _Steps(job, parent)
    steps.install()
    try:
        Work(job, steps.begin).everything()
    except BaseException:
        parent.send(traceback.format_exc())
        raise
    parent.send(steps.counts)


class _Steps:
    """Counts the steps between which a kill leaves something different behind.

    Attributes:
        counts: The steps of each stage; of one that comes several times, the most.
    """

    def __init__(self, job: Job, parent: Connection) -> None:
        self.counts: dict[str, int] = {}
        self._stage = ""
        self._count = 0
        self._until_now: int | None = None
        self._job = job
        self._parent = parent
        self._root = str(job.root)

    def install(self) -> None:
        sys.addaudithook(self._audit)
        event.listen(Engine, "before_cursor_execute", self._step)
        event.listen(Engine, "commit", self._step)

    def begin(self, stage: str) -> None:
        """A stage begins."""
        self._parent.send(("stage", stage))
        self._stage, self._count = stage, 0
        if stage == self._job.stage and self._until_now is None:
            self._until_now = 0

    def _audit(self, happening: str, arguments: tuple[Any, ...]) -> None:
        if happening in {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime"} and str(
            arguments[0]
        ).startswith(self._root):
            self._step()

    def _step(self, *_details: object) -> None:
        self._count += 1
        self.counts[self._stage] = max(self._count, self.counts.get(self._stage, 0))
        if self._until_now is None:
            return
        self._until_now += 1
        if self._until_now == self._job.until:
            if self._job.by_itself:
                os.kill(os.getpid(), signal.SIGKILL)
            self._parent.send(NOW)


class Work:
    """What a person or a schedule does to a workspace, each thing as its command does it."""

    def __init__(self, job: Job, tell: Callable[[str], None]) -> None:
        """Begin nothing yet.

        tell: Called with the name of each stage that begins.
        """
        self._job = job
        self._tell = tell
        self._chance = random.Random(job.seed)
        self._workspace = Workspace(job.root)
        self._store = Store(self._workspace.store)

    def everything(self) -> None:
        """All of it, in some order, and in the end what makes it complete whatever the order was."""
        self._do("migrate", self._nothing)
        # What older versions kept is signed at any time: the groups are the same in the end.
        middle = [self.find, self.opine, self.decide, self.stylize, self.merge, self.collect, self.mend]
        middle += [self.ingest] * 4
        self._chance.shuffle(middle)
        for stage in (*middle, self.ingest_all, self.find, self.stylize, self.merge, self.collect):
            self._do(stage.__name__, stage)

    def _do(self, name: str, stage: Callable[[Catalog], None]) -> None:
        self._tell(name)
        with open_catalog(self._job.address) as catalog:
            stage(catalog)

    def _nothing(self, _catalog: Catalog) -> None:
        """To open it is enough."""

    @contextmanager
    def _examiner(self) -> Iterator[Examiner]:
        with Examiner(DEFAULT_LIMITS) if self._job.workers else ExaminerHere(DEFAULT_LIMITS) as examiner:
            yield examiner

    def find(self, catalog: Catalog) -> None:
        """The duplicates of all that nobody has looked for."""
        find_duplicates(catalog, self._store, near_distance=DEFAULT_NEAR_DISTANCE, sign=_signature)

    def ingest(self, catalog: Catalog) -> None:
        """One inbox, if there is one."""
        if pending := pending_inboxes(self._workspace.inbox):
            self._take(catalog, self._chance.choice(pending))

    def ingest_all(self, catalog: Catalog) -> None:
        """All that is left; what another process has at hand is waited for."""
        for path in pending_inboxes(self._workspace.inbox):
            self._take(catalog, path)

    def _take(self, catalog: Catalog, path: Path) -> None:
        with catalog.write() as uow:
            run_id = uow.runs.start(
                "ingest", keywords=[], source=None, parameters={}, process=this_process(), version="0"
            )
        try:
            recover(path)
            with self._examiner() as examiner:
                ingest_inbox(
                    path, catalog=catalog, store=self._store, run_id=run_id, limits=DEFAULT_LIMITS,
                    near_distance=DEFAULT_NEAR_DISTANCE, examiner=examiner,
                )  # fmt: skip
        except InboxUnusable:
            if path.exists():
                raise
        with catalog.write() as uow:
            uow.runs.finish(run_id, "done", {}, error=None)

    def opine(self, catalog: Catalog) -> None:
        """Tags and stars."""
        for picture, tags in catalog_story.TAGS.items():
            with catalog.write() as uow:
                for tag in tags:
                    uow.tags.add(_id_of(uow, *picture), tag)
        for picture, number in catalog_story.STARS.items():
            with catalog.write() as uow:
                uow.ratings.set(_id_of(uow, *picture), number)

    def decide(self, catalog: Catalog) -> None:
        """What a person says of pairs."""
        for (first, second), decision in catalog_story.DECISIONS.items():
            with catalog.write() as uow:
                stars.decide(uow, _id_of(uow, *first), _id_of(uow, *second), decision, by="ada")

    def merge(self, catalog: Catalog) -> None:
        """Every group, as it is proposed; in one transaction, or each in its own."""
        with catalog.read() as uow:
            ids = uow.duplicates.group_ids(limit=1000)
        if self._chance.random() < 0.5:
            with catalog.write() as uow:
                for representative_id in uow.duplicates.group_ids(limit=1000):
                    _merge(uow, representative_id)
            return
        for representative_id in ids:
            with catalog.write() as uow:
                _merge(uow, representative_id)

    def stylize(self, catalog: Catalog) -> None:
        """A dream of every picture that may be used."""
        with catalog.read() as uow:
            ids = [item.id for item in uow.items.list(limit=None) if item.withdrawn_at is None]
        self._chance.shuffle(ids)
        shop = Workshop(self._job.root, catalog, self._store)
        report = shop.stylize(*ids, renderer=InvertingRenderer())
        with catalog.read() as uow:
            items = {item_id: uow.items.get(item_id) for item_id, _ in report.failed}
        # Withdrawn and let go of since it was listed: there is nothing to dream on.
        assert all(item is not None and item.withdrawn_at is not None for item in items.values()), report.failed

    def collect(self, catalog: Catalog) -> None:
        """gc of all that was withdrawn."""
        _when_free(
            lambda: collect_garbage(
                catalog=catalog, store=self._store, dreams_folder=self._workspace.dreams,
                thumbnails=self._workspace.thumbnails, locks=self._workspace.locks,
                withdrawn_until=datetime.now(UTC), delete=True,
            )
        )  # fmt: skip

    def mend(self, catalog: Catalog) -> None:
        """fsck; all that it may find is what gc will delete or has only half deleted."""
        report = _when_free(lambda: fsck(self._job.root, catalog, mend=True))
        assert {finding.kind for finding in report.findings} <= {Kind.NOT_REMOVED}, report.findings


def fsck(root: Path, catalog: Catalog, *, mend: bool = False) -> FsckReport:
    workspace = Workspace(root)
    places = Places(
        dreams=workspace.dreams,
        quarantine=workspace.quarantine,
        locks=workspace.locks,
        caches=(workspace.thumbnails, workspace.octaves, workspace.weights),
    )
    return check_workspace(catalog=catalog, store=Store(workspace.store), places=places, mend=mend)


def clear_away(root: Path, catalog: Catalog) -> None:
    """Have fsck take away what killed processes left, as if it were old; all else that is wrong fails."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 2 * LEFTOVER_SECONDS,) * 2)
    report = fsck(root, catalog, mend=True)
    assert report.is_clean, report.findings
    assert {finding.kind for finding in report.findings} <= {Kind.LEFTOVER, Kind.UNKNOWN_FILE}, report.findings


def _when_free(action: Callable[[], T]) -> T:
    """Do it once no other upkeep command is at work."""
    while True:
        try:
            return action()
        except CatalogBusy as error:
            if "another fsck, backup or gc" not in str(error):
                raise


def _signature(data: bytes) -> Signature:
    return sign(decode(data).rgb)


def _id_of(uow: UnitOfWork, title: str, kind: catalog_story.Kind) -> int:
    item = uow.items.by_pixel_sha256(catalog_story.digest_of(title, kind))
    assert item is not None, title
    return item.id


def _merge(uow: UnitOfWork, representative_id: int) -> None:
    proposal = stars.propose(uow, representative_id)
    if proposal is not None:  # not merged or parted meanwhile
        stars.merge(uow, proposal.representative_id, proposal.keeper.id)

"""Checks a workspace: every stored file against its digest, and the rows against the files and one another.

May run while crawls, ingests and dreams write: a file comes before its row, and what is young is nobody's leftover.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.catalog import upkeep_queries
from pipeline.catalog.engine import Catalog
from pipeline.duplicates.regrouping import leave
from pipeline.errors import WorkspaceUnusable
from pipeline.store import LEFTOVER_SECONDS, Store
from pipeline.upkeep.alone import alone
from pipeline.upkeep.findings import Finding, FsckReport, Kind
from pipeline.upkeep.stored_files import StoredFiles
from pipeline.whole_files import TEMPORARY_PREFIX, way_out

_ITEMS_AT_ONCE = 1_000
_FILES_AT_ONCE = 500
# Of unknown files: more than are left by processes that were killed before they had written their rows.
_MANY = 200


@dataclass(frozen=True)
class Places:
    """The folders of a workspace that upkeep looks at.

    Attributes:
        quarantine: Where mending moves what it takes out of the store.
        caches: Folders that may be deleted at any time; only looked through for leftovers, as `keys` is.
        keys: Private keys; while they are made, they lie in a folder beside it.
    """

    dreams: Path
    quarantine: Path
    locks: Path
    caches: tuple[Path, ...] = ()
    keys: Path | None = None


def check_workspace(
    *,
    catalog: Catalog,
    store: Store,
    places: Places,
    mend: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> FsckReport:
    """Look at everything, and mend what is safe to mend.

    Nothing is rendered and no picture is deleted: what does not belong into the store is moved to the quarantine, lost
    originals are put on the list of `crawl --retry-failed`, lost dreams are put back from their copies.

    on_progress: called with how many files and items are done, of how many.

    Raises:
        CatalogBusy: Another upkeep command is at work (only when mending), or a writer kept the lock.
        WorkspaceUnusable: A folder or the catalog cannot be read or written.
    """
    with alone(places.locks) if mend else nullcontext():
        return _Fsck(catalog, store, places, mend=mend, on_progress=on_progress).run()


@dataclass
class _Fsck:
    catalog: Catalog
    store: Store
    places: Places
    mend: bool
    on_progress: Callable[[int, int], None] | None
    findings: list[Finding] = field(default_factory=list)
    done: int = 0
    total: int = 0
    unrecorded: int = 0

    def run(self) -> FsckReport:
        started = time.monotonic()
        with self.catalog.read() as uow:
            counts = uow.counts()
            for line in upkeep_queries.damage(uow.session.connection()):
                self.add(Kind.DAMAGED_CATALOG, "catalog", line, action="restore it from a backup")
        self.total = counts.blobs + counts.items + counts.withdrawn
        files = StoredFiles(self.catalog, self.store, self.places.dreams, self.places.quarantine, mend=self.mend)
        for finding in files.check_known(self._step):
            self.findings.append(finding)
        self._look_for_strays(files)
        self._look_for_leftovers()
        self._check_stars()
        self._check_hidden_stars()
        self._check_addresses()
        items = self._check_search()
        return FsckReport(
            findings=tuple(self.findings),
            files=files.hashed,
            bytes=files.bytes,
            items=items,
            unrecorded=self.unrecorded,
            seconds=time.monotonic() - started,
            counts=dict(Counter(finding.kind.value for finding in self.findings)),
        )

    def add(
        self, kind: Kind, subject: str, detail: str, *, mended: bool = False, action: str = "", path: Path | None = None
    ) -> None:
        self.findings.append(Finding(kind, subject, detail, mended, action, None if path is None else str(path)))

    def _step(self, done: int) -> None:
        self.done += done
        if self.on_progress is not None:
            self.on_progress(min(self.done, self.total), self.total)

    def _look_for_strays(self, files: StoredFiles) -> None:
        """Files in the store that the catalog does not know."""
        strays: list[Path] = []
        batch: list[Path] = []
        for path in _files_below(self.store.root):
            if path.name.startswith(TEMPORARY_PREFIX) or path.parent == self.store.notes_folder:
                continue
            batch.append(path)
            if len(batch) == _FILES_AT_ONCE:
                strays += files.strays(batch)
                batch = []
        strays += files.strays(batch)
        old = [path for path in strays if _age(path) >= LEFTOVER_SECONDS]
        self.unrecorded = len(strays) - len(old)
        unknown = sum(files.is_placed(path) for path in old)
        with self.catalog.read() as uow:
            known = uow.counts().blobs
        self.findings += files.judge_strays(old, are_most=unknown >= _MANY and unknown > known)

    def _look_for_leftovers(self) -> None:
        keys = self.places.keys
        folders = (self.store.root, self.places.dreams, *self.places.caches, *([keys] if keys else []))
        beside = list(keys.parent.glob(f"{TEMPORARY_PREFIX}keys-*")) if keys else []
        for path in itertools.chain(beside, *map(_files_below, folders)):
            is_note = path.parent == self.store.notes_folder
            if not (is_note or path.name.startswith(TEMPORARY_PREFIX)) or _age(path) < LEFTOVER_SECONDS:
                continue
            if self.mend:
                try:
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
                except OSError as error:
                    raise WorkspaceUnusable(
                        f"{path} cannot be deleted: {error.strerror or error}; {way_out(error)}"
                    ) from error
            self.add(
                Kind.LEFTOVER,
                path.name,
                "a note of a dream whose row was never written"
                if is_note
                else "half-written by a process that was killed",
                mended=self.mend,
                action="removed" if self.mend else "fsck --mend removes it",
                path=path,
            )

    def _check_stars(self) -> None:
        with self.catalog.read() as uow:
            broken = upkeep_queries.broken_stars(uow.session)
        if broken and self.mend:
            with self.catalog.write() as uow:
                broken = upkeep_queries.broken_stars(uow.session)  # as they are now
                for star in broken:
                    upkeep_queries.mend_star(uow.session, star)
        for star in broken:
            right = "a representative itself" if star.root is None else f"near to i{star.root}"
            self.add(
                Kind.BROKEN_STAR,
                f"i{star.item_id}",
                f"is near to i{star.near_to}, which is near to another itself",
                mended=self.mend,
                action=f"is now {right}" if self.mend else f"fsck --mend makes it {right}",
            )

    def _check_hidden_stars(self) -> None:
        with self.catalog.read() as uow:
            hidden = uow.duplicates.hidden_group_ids()
        for item_id in hidden:
            if self.mend:
                with self.catalog.write() as uow:
                    item = uow.items.get(item_id)
                    if item is not None and item.withdrawn_at is not None:  # as it is now
                        leave(uow, item_id)
            self.add(
                Kind.HIDDEN_STAR,
                f"i{item_id}",
                "is withdrawn, and hides the near duplicates that it stands for",
                mended=self.mend,
                action="the best of them stands for the others" if self.mend else "fsck --mend shows them",
            )

    def _check_addresses(self) -> None:
        with self.catalog.read() as uow:
            lost = upkeep_queries.lost_fetches(uow.session)
        actions: dict[str, str] = {}
        if lost and self.mend:
            with self.catalog.write() as uow:
                for url in upkeep_queries.lost_fetches(uow.session):
                    actions[url] = upkeep_queries.mend_fetch(uow.session, url)
        for url in lost:
            action = actions.get(url, "") if self.mend else "fsck --mend opens it for another try"
            self.add(Kind.LOST_ADDRESS, url, "is on record as kept, but of no picture", mended=self.mend, action=action)

    def _check_search(self) -> int:
        looked, after = 0, 0
        if self.mend:
            self.catalog.renew_search()
        while True:
            with self.catalog.read() as uow:
                wrong, last = upkeep_queries.items_out_of_step(uow.session, after=after, limit=_ITEMS_AT_ONCE)
            if last is None:
                break
            if wrong and self.mend:
                with self.catalog.write() as uow:
                    upkeep_queries.mend_search(uow.session, wrong, rebuild=False)
            for item_id in wrong:
                self._add_search(f"i{item_id}", "is not in the search as it should be")
            step = min(_ITEMS_AT_ONCE, last - after)
            looked, after = looked + step, last
            self._step(step)
        if self.catalog.is_read_only:
            return looked  # SQLite compares its index with the documents only where it may write
        with self.catalog.write() as uow:
            in_step = upkeep_queries.search_is_in_step(uow.session)
            if not in_step and self.mend:
                upkeep_queries.mend_search(uow.session, (), rebuild=True)
        if not in_step:
            self._add_search("search", "the search's index does not say what its documents say")
        return looked

    def _add_search(self, subject: str, detail: str) -> None:
        action = "indexed anew" if self.mend else "fsck --mend indexes it anew"
        self.add(Kind.SEARCH, subject, detail, mended=self.mend, action=action)


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                yield path
        except OSError:
            continue


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0  # gone meanwhile

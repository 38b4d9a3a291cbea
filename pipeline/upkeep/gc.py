"""Lets go of the bytes of withdrawn pictures and of their dreams; what was there, and who asked, stays on record.

The rows with digests, addresses and the words of consent stay, so that nothing is fetched again. Besides these bytes
only files go that the catalog has on record, but of no picture. Nothing else is ever deleted: what the catalog does not
know may be known to another one, and is left to `fsck --mend`, which keeps it. With the bytes goes what the catalog has
by which a picture could be recognized: its thumbnails, perceptual hashes and features.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.catalog import upkeep_queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.repositories.base import chunks
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.upkeep_queries import Reference
from pipeline.errors import WorkspaceUnusable
from pipeline.provenance.copies import sidecar_path
from pipeline.store import Store
from pipeline.upkeep.alone import alone

WITHDRAWN, UNREFERENCED = "withdrawn", "unreferenced"
_AT_ONCE = 50
"""Pictures in one transaction: other writers wait for that long."""


@dataclass(frozen=True)
class Garbage:
    """Bytes to let go of.

    Attributes:
        subject: `i3` or `d4`; the digest of a file on record that nothing refers to.
        why: `withdrawn` or `unreferenced`.
        sha256: The file of the store.
        paths: What there is of it: in the store, copies with their sidecars, thumbnails.
        size_bytes: Of these together.
        is_shared: Whether something that stays has the same file, so that only copies go.
    """

    subject: str
    why: str
    sha256: str
    paths: tuple[Path, ...]
    size_bytes: int
    is_shared: bool = False


@dataclass(frozen=True)
class GcReport:
    """What there is to let go of, and whether that was done.

    Attributes:
        traces: Withdrawn pictures by whose hashes, thumbnails or features in the catalog they could be recognized.
    """

    garbage: tuple[Garbage, ...]
    deleted: bool
    traces: int = 0

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(each.size_bytes for each in self.garbage)

    @property
    def files(self) -> int:
        """How many files."""
        return sum(len(each.paths) for each in self.garbage)


def collect_garbage(
    *,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path,
    thumbnails: Path,
    locks: Path,
    withdrawn_until: datetime,
    delete: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> GcReport:
    """List what can go, and delete it when that is asked for.

    May be killed at any moment and called again: rows say first that bytes are gone, and then they go. What may be used
    again by then, as its site has changed its mind, stays.

    withdrawn_until: Pictures that were withdrawn by then.

    Raises:
        CatalogBusy: Another upkeep command is at work, or a writer kept the lock.
        WorkspaceUnusable: A file cannot be deleted.
    """
    work = _Collecting(catalog, store, dreams_folder, thumbnails, withdrawn_until)
    with alone(locks) if delete else contextlib.nullcontext():
        with catalog.read() as uow:  # nobody waits while the files are looked at
            garbage = tuple(work.list(uow))
            traces = len(uow.duplicates.remembered(withdrawn_until=withdrawn_until))
        if delete:
            work.mark(garbage)
            work.forget()
            for done, each in enumerate(garbage, start=1):
                work.let_go(each)
                if on_progress is not None:
                    on_progress(done, len(garbage))
    return GcReport(garbage, deleted=delete, traces=traces)


@dataclass(frozen=True)
class _Collecting:
    catalog: Catalog
    store: Store
    dreams: Path
    thumbnails: Path
    until: datetime

    def list(self, uow: UnitOfWork) -> Iterator[Garbage]:
        for sha256 in upkeep_queries.withdrawn_digests(uow.session, until=self.until):
            found = upkeep_queries.references(uow.session, sha256)
            old = self._old(found)
            # Another picture may have the same dream, and may be shown: then only this one's copies go.
            is_shared = len(old) < len(found)
            stored = () if is_shared else self._stored(sha256)
            if paths := [*stored, *self._copies([each.file_name for each in old])]:
                names = ", ".join(each.name for each in old)
                yield _garbage(names, WITHDRAWN, sha256, paths, is_shared=is_shared)
        for sha256 in upkeep_queries.unreferenced_digests(uow.session):
            if stored := self._stored(sha256):
                yield _garbage(sha256, UNREFERENCED, sha256, stored)

    def _stored(self, sha256: str) -> tuple[Path, ...]:
        thumbnails = sorted((self.thumbnails / sha256[:2]).glob(f"{sha256}-*.webp"))
        return tuple(path for path in (self.store.path(sha256), *thumbnails) if path.is_file())

    def _copies(self, names: Sequence[str | None]) -> Sequence[Path]:
        copies = [self.dreams / name for name in dict.fromkeys(names) if name]
        return [path for copy in copies for path in (copy, sidecar_path(copy)) if path.is_file()]

    def _old(self, found: Sequence[Reference]) -> Sequence[Reference]:
        return [each for each in found if each.withdrawn_at is not None and each.withdrawn_at <= self.until]

    def mark(self, garbage: Sequence[Garbage]) -> None:
        """Write down of all files that they are gone, but for those that are of use by now."""
        for batch in chunks((each.sha256 for each in garbage if not each.is_shared), _AT_ONCE):
            with self.catalog.write() as uow:
                found = {sha256: upkeep_queries.references(uow.session, sha256) for sha256 in batch}
                going = [sha256 for sha256, each in found.items() if len(self._old(each)) == len(each)]
                upkeep_queries.mark_removed(uow.session, going, at=datetime.now(UTC))

    def forget(self) -> None:
        """Delete from the catalog what withdrawn pictures could be recognized by."""
        last_id = 0
        while True:
            with self.catalog.write() as uow:
                ids = uow.duplicates.remembered(withdrawn_until=self.until, after_id=last_id, limit=_AT_ONCE)
                for item_id in ids:
                    uow.duplicates.forget(item_id)
            if not ids:
                return
            last_id = ids[-1]

    def let_go(self, garbage: Garbage) -> None:
        """Delete what is on record as removed, or only its copies; whoever may use it again waits for the lock."""
        with self.catalog.write() as uow:
            found = upkeep_queries.references(uow.session, garbage.sha256)
            old = self._old(found)
            paths: Sequence[Path] = garbage.paths
            if garbage.is_shared:
                paths = self._copies([each.file_name for each in old])
            elif len(old) < len(found):
                upkeep_queries.mark_removed(uow.session, [garbage.sha256], at=None)
                return
            for path in paths:
                with _deleting(path):
                    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _deleting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceUnusable(
            f"{path} cannot be deleted: {error.strerror or error}; make it writable, then run gc again"
        ) from error


def _garbage(subject: str, why: str, sha256: str, paths: Sequence[Path], *, is_shared: bool = False) -> Garbage:
    return Garbage(subject, why, sha256, tuple(paths), sum(_size(path) for path in paths), is_shared)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

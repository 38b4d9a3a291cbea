"""Lets go of the bytes of withdrawn pictures and of their dreams; what was there, and who asked, stays on record.

The rows with digests, addresses and the words of consent stay, so that nothing is fetched again. Besides these bytes
only files go that nothing refers to. Nothing else is ever deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.catalog import upkeep_queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.errors import WorkspaceUnusable
from pipeline.provenance.copies import sidecar_path
from pipeline.store import LEFTOVER_SECONDS, Store
from pipeline.upkeep.alone import alone

WITHDRAWN, UNREFERENCED = "withdrawn", "unreferenced"


@dataclass(frozen=True)
class Garbage:
    """Bytes to let go of.

    Attributes:
        subject: `i3` or `d4`; the digest of a file that nothing refers to.
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
    """What there is to let go of, and whether that was done."""

    garbage: tuple[Garbage, ...]
    deleted: bool

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

    May be killed at any moment and called again: rows say first that bytes are gone, and then they go.

    withdrawn_until: Pictures that were withdrawn by then.

    Raises:
        CatalogBusy: Another upkeep command is at work, or a writer kept the lock.
        WorkspaceUnusable: A file cannot be deleted.
    """
    work = _Collecting(catalog, store, dreams_folder, thumbnails, withdrawn_until)
    if not delete:
        with catalog.read() as uow:
            return GcReport(tuple(work.list(uow)), deleted=False)
    with alone(locks):
        with catalog.write() as uow:  # nobody can lift a withdrawal, or write a row for an unknown file, meanwhile
            garbage = list(work.list(uow))
            going = [each.sha256 for each in garbage if not each.is_shared]
            known = upkeep_queries.known_digests(uow.session, going)
            upkeep_queries.mark_removed(uow.session, known, at=datetime.now(UTC))
            for each in garbage:
                if not each.is_shared and each.sha256 not in known:
                    work.delete(each, only_old=True)
        for done, each in enumerate(garbage, start=1):
            if each.is_shared or each.sha256 in known:
                work.delete(each)
            if on_progress is not None:
                on_progress(done, len(garbage))
    return GcReport(tuple(garbage), deleted=True)


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
            old = [each for each in found if each.withdrawn_at is not None and each.withdrawn_at <= self.until]
            # Another picture may have the same dream, and may be shown: then only this one's copies go.
            is_shared = len(old) < len(found)
            stored = () if is_shared else self._stored(sha256)
            if paths := [*stored, *self._copies([each.file_name for each in old])]:
                names = ", ".join(each.name for each in old)
                yield _garbage(names, WITHDRAWN, sha256, paths, is_shared=is_shared)
        for sha256 in upkeep_queries.unreferenced_digests(uow.session):
            if stored := self._stored(sha256):
                yield _garbage(sha256, UNREFERENCED, sha256, stored)
        yield from self._unknown(uow)

    def _unknown(self, uow: UnitOfWork) -> Iterator[Garbage]:
        """Files of the store that the catalog does not know and that nobody can be about to record."""
        old = [digest for digest in self.store.digests() if _age(self.store.path(digest)) >= LEFTOVER_SECONDS]
        known = upkeep_queries.known_digests(uow.session, old)
        for sha256 in old:
            if sha256 not in known:
                yield _garbage(sha256, UNREFERENCED, sha256, [self.store.path(sha256)])

    def _stored(self, sha256: str) -> tuple[Path, ...]:
        thumbnails = sorted((self.thumbnails / sha256[:2]).glob(f"{sha256}-*.webp"))
        return tuple(path for path in (self.store.path(sha256), *thumbnails) if path.is_file())

    def _copies(self, names: Sequence[str | None]) -> Sequence[Path]:
        copies = [self.dreams / name for name in dict.fromkeys(names) if name]
        return [path for copy in copies for path in (copy, sidecar_path(copy)) if path.is_file()]

    def delete(self, garbage: Garbage, *, only_old: bool = False) -> None:
        for path in garbage.paths:
            try:
                if not only_old or _age(path) >= LEFTOVER_SECONDS:
                    path.unlink(missing_ok=True)
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


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0

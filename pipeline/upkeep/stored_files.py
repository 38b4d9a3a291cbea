"""The store against the catalog: files that are missing, altered, unknown or should be gone, and what mends them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from pipeline.catalog import upkeep_queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.upkeep_queries import Reference
from pipeline.catalog.values import Blob
from pipeline.errors import WorkspaceUnusable
from pipeline.fingerprints import file_sha256
from pipeline.store import Store, move_leftover
from pipeline.upkeep.findings import Finding, Kind
from pipeline.upkeep.requeue import reopen_addresses

_OTHER_CATALOG = (
    "see that --workspace and catalog_url name the right catalog, or restore it from a backup; if it is lost, move "
    "these files away yourself"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BATCH = 200
# Hashing leaves Python's lock alone; more threads than these wait for the disk.
_THREADS = min(4, os.cpu_count() or 1)


class _State(Enum):
    FINE = "fine"
    MISSING = "missing"
    ALTERED = "altered"
    UNREADABLE = "unreadable"


class StoredFiles:
    """Checks the files of one store; counts what it has read."""

    def __init__(self, catalog: Catalog, store: Store, dreams: Path, quarantine: Path, *, mend: bool) -> None:
        self._catalog = catalog
        self._store = store
        self._dreams = dreams
        self._quarantine = quarantine
        self._mend = mend
        self.hashed = 0
        self.bytes = 0

    def check_known(self, on_done: Callable[[int], None]) -> Iterator[Finding]:
        """Every file that the catalog knows, hashed."""
        after = ""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="fsck") as hashing:
            while True:
                with self._catalog.read() as uow:
                    blobs = upkeep_queries.blobs_after(uow.session, after, limit=_BATCH)
                if not blobs:
                    return
                states = hashing.map(lambda blob: self._state(blob.sha256), blobs)
                for blob, (state, size) in zip(blobs, states, strict=True):
                    self.hashed += state in (_State.FINE, _State.ALTERED)
                    self.bytes += size
                    if finding := self._judge(blob, state):
                        yield finding
                    on_done(1)
                after = blobs[-1].sha256

    def strays(self, paths: Sequence[Path]) -> list[Path]:
        """Those of these files in the store that the catalog does not know, or that are in no file's place."""
        placed = {path.name for path in paths if self.is_placed(path)}
        with self._catalog.read() as uow:
            known = upkeep_queries.known_digests(uow.session, sorted(placed))
        return [path for path in paths if not (path.name in known and path.name in placed)]

    def judge_strays(self, paths: Sequence[Path], *, are_most: bool) -> list[Finding]:
        """What is to be said of strays, none of them young, and done about them.

        are_most: Whether the catalog knows fewer files than these: then it is hardly the one of this store, and nothing
            is moved.
        """
        findings = []
        for path in paths:
            kind = Kind.UNKNOWN_FILE if self.is_placed(path) else Kind.MISPLACED_FILE
            detail = (
                "the catalog does not know it: what wrote it was killed before its row"
                if kind is Kind.UNKNOWN_FILE
                else "is no file of the store's"
            )
            if are_most:
                detail = "the catalog does not know it, nor most of this store: it may be the wrong catalog"
                findings.append(Finding(kind, path.name, detail, False, _OTHER_CATALOG, str(path)))
                continue
            moved = self._to_quarantine(path, only_leftover=True) if self._mend else None
            if self._mend and moved is None:
                continue  # gone meanwhile, or somebody is about to record it
            action = f"moved to {moved}" if moved else "fsck --mend moves it out of the store"
            findings.append(Finding(kind, path.name, detail, moved is not None, action, str(path)))
        return findings

    def is_placed(self, path: Path) -> bool:
        """Whether a file lies where the store has one of that name."""
        return bool(_SHA256.fullmatch(path.name)) and self._store.path(path.name) == path

    def _state(self, sha256: str) -> tuple[_State, int]:
        """How a file is, and its size when it is fine; called on threads."""
        path = self._store.path(sha256)
        state = _State.MISSING
        for _ in range(2):  # once more, as it may just have been put in place
            try:
                digest, size = file_sha256(path)
            except FileNotFoundError:
                state = _State.MISSING
                continue
            except OSError:
                return _State.UNREADABLE, 0
            if digest == sha256:
                return _State.FINE, size
            state = _State.ALTERED
        return state, 0

    def _judge(self, blob: Blob, state: _State) -> Finding | None:
        if state is _State.FINE and blob.removed_at is None:
            return None
        path = self._store.path(blob.sha256)
        with self._catalog.read() as uow:
            found = upkeep_queries.references(uow.session, blob.sha256)
            blob = uow.blobs.get(blob.sha256) or blob
        # Both as they are now: gc may have let it go since, or an ingest put it back.
        state, _ = self._state(blob.sha256)
        if state is _State.FINE and blob.removed_at is None:
            return None
        in_use = any(each.withdrawn_at is None for each in found)
        subject = ", ".join(each.name for each in found[:3]) or blob.sha256
        if blob.removed_at is not None and not (in_use and state is not _State.FINE):
            return self._judge_removed(blob, state, in_use=in_use, subject=subject)
        if state is _State.FINE:
            return None
        if state is _State.UNREADABLE:
            detail = "cannot be read"
            return Finding(Kind.UNREADABLE_FILE, subject, detail, False, "check the disk and the rights", str(path))
        kind = Kind.MISSING_FILE if state is _State.MISSING else Kind.ALTERED_FILE
        detail = "is not in the store" if kind is Kind.MISSING_FILE else "holds other bytes than it was filed under"
        if not self._mend:
            return Finding(kind, subject, detail, False, _advice(found, in_use=in_use), str(path))
        moved = self._to_quarantine(path) if state is _State.ALTERED else None
        mended, action = self._bring_back(blob, found, in_use=in_use)
        action = f"moved to {moved}; {action}" if moved else action
        return Finding(kind, subject, detail, mended, action, str(path))

    def _judge_removed(self, blob: Blob, state: _State, *, in_use: bool, subject: str) -> Finding | None:
        """A file that was removed after a withdrawal: gone is right, unless its picture may be used again."""
        if state is _State.MISSING:
            return None
        path = str(self._store.path(blob.sha256))
        if in_use:
            detail = "is on record as removed, but it is here and may be used again"
            if self._mend:
                with self._catalog.write() as uow:
                    upkeep_queries.mark_removed(uow.session, [blob.sha256], at=None)
            return Finding(Kind.NOT_REMOVED, subject, detail, self._mend, "fsck --mend corrects the record", path)
        detail = "is on record as removed after a withdrawal, and still there"
        return Finding(Kind.NOT_REMOVED, subject, detail, False, "dreamcrawl gc --delete removes it", path)

    def _bring_back(self, blob: Blob, found: Sequence[Reference], *, in_use: bool) -> tuple[bool, str]:
        """Whether a lost file is back, or need not be; and what was done."""
        if not in_use and self._is_let_go(blob.sha256):
            return True, "nothing uses it any more: on record as removed"
        for taken_out in sorted(self._quarantine.glob(f"{blob.sha256}.*")):
            if self._put_back(blob.sha256, taken_out):
                return True, f"put back from quarantine/{taken_out.name}"
        for name in dict.fromkeys(each.file_name for each in found if each.file_name):
            if self._put_back(blob.sha256, self._dreams / name):
                return True, f"put back from dreams/{name}"
        with self._catalog.write() as uow:
            if blob.removed_at is not None:
                upkeep_queries.mark_removed(uow.session, [blob.sha256], at=None)
            addresses = self._reopen(uow, blob.sha256, found)
        if addresses:
            return False, f"dreamcrawl crawl --retry-failed fetches it again from {addresses[0]}"
        return False, _advice(found, in_use=True)

    def _is_let_go(self, sha256: str) -> bool:
        """Write down that a lost file is gone for good, unless something uses it by now."""
        with self._catalog.write() as uow:
            if any(each.withdrawn_at is None for each in upkeep_queries.references(uow.session, sha256)):
                return False
            upkeep_queries.mark_removed(uow.session, [sha256], at=datetime.now(UTC))
        return True

    def _put_back(self, sha256: str, copy: Path) -> bool:
        try:
            data = copy.read_bytes()
        except OSError:
            return False
        if hashlib.sha256(data).hexdigest() != sha256:
            return False
        return self._store.put(data) == sha256

    @staticmethod
    def _reopen(uow: UnitOfWork, sha256: str, found: Sequence[Reference]) -> list[str]:
        item_id = next((each.item_id for each in found if each.file_name is None and each.withdrawn_at is None), None)
        return [] if item_id is None else reopen_addresses(uow, sha256, item_id=item_id)

    def _to_quarantine(self, path: Path, *, only_leftover: bool = False) -> Path | None:
        """Move a file out of the store; its name says which one it was. None when it is gone, or is needed after all.

        Raises:
            WorkspaceUnusable: The quarantine cannot be written.
        """
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True)
            number = 1
            while (target := self._quarantine / f"{path.name}.{number}").exists():
                number += 1
            if not only_leftover:
                path.replace(target)
            elif not move_leftover(path, target):
                return None
        except FileNotFoundError:
            return None  # gone meanwhile
        except OSError as error:
            raise WorkspaceUnusable(
                f"{path} cannot be moved to {self._quarantine}: {error.strerror or error}; make it writable"
            ) from error
        return target


def _advice(found: Sequence[Reference], *, in_use: bool) -> str:
    if not found or not in_use:
        return "nothing uses it any more; fsck --mend puts that on record"
    dream = next((each.name for each in found if each.file_name), None)
    if dream is not None and all(each.file_name for each in found):
        return f"restore it from a backup, or make it again: dreamcrawl replay {dream}"
    return "restore it from a backup; fsck --mend has it fetched again where it has an address"

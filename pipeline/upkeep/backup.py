"""A backup of a workspace that may be in use, in one folder with a digest for every file, and its restoration.

The catalog is copied first, as it was at one moment. Every file that it has on record was there before its row, and
files of the store never change: so what is copied afterwards is all that this moment needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from pipeline.catalog.copying import check_copy, copy_catalog, stored_files
from pipeline.errors import CatalogBusy, NotFound, UsageError, WorkspaceUnusable
from pipeline.store import Store
from pipeline.upkeep.alone import alone
from pipeline.whole_files import TEMPORARY_PREFIX
from pipeline.workspace import Workspace

FORMAT = "dreamcrawl.backup/1"
LIST_NAME, ABOUT_NAME, CATALOG_NAME = "files.jsonl", "backup.json", "catalog.sqlite3"
# Of what is no file of the store: dreams as people see them, networks of their own, the keys they sign with.
FOLDERS = ("dreams", "weights", "keys")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class BackupReport:
    """What a backup or a restoration made.

    Attributes:
        path: The folder.
        files: In it, the catalog included.
        linked: Of these, hard links to files of the workspace.
        problems: A line for each file that was missing or altered, and so is not in the backup.
    """

    path: str
    files: int
    bytes: int
    linked: int = 0
    problems: tuple[str, ...] = ()


def back_up(
    target: Path,
    *,
    workspace: Workspace,
    version: str,
    link: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> BackupReport:
    """Copy a workspace with a SQLite catalog into a new folder, which appears complete or not at all.

    Every file is hashed on the way. Left out: inboxes that were not ingested yet, caches, logs.

    Args:
        target: Must not exist.
        version: Of dreamcrawl, for the record.
        link: Make hard links to the files of the store where the file system can, and copies elsewhere.
        on_progress: Called with the files of the store that are done, and how many there are.

    Raises:
        UsageError: The target exists, or lies in the workspace's store.
        CatalogBusy: Another upkeep command is at work, or another backup into the same folder.
        WorkspaceUnusable: Something cannot be read or written; nothing is left under the target's name.
    """
    target = target.absolute()
    if target.exists():
        raise UsageError(f"{target} is there already; name a folder that does not exist")
    if target.is_relative_to(workspace.store.absolute()):
        raise UsageError(f"{target} lies in the store that is to be backed up; choose another place")
    with alone(workspace.locks), _appearing(target) as folder:
        writer = _Writer(folder)
        copy_catalog(workspace.catalog_path, folder / CATALOG_NAME)
        revision = check_copy(folder / CATALOG_NAME)
        writer.note(CATALOG_NAME)
        wanted = list(stored_files(folder / CATALOG_NAME))
        store = Store(workspace.store)
        for done, (sha256, _) in enumerate(wanted, start=1):
            writer.take(store.path(sha256), f"store/{sha256[:2]}/{sha256[2:4]}/{sha256}", sha256=sha256, link=link)
            if on_progress is not None:
                on_progress(done, len(wanted))
        for name in FOLDERS:
            for path in _files_of(workspace.root / name):
                writer.take(path, PurePosixPath(name, *path.relative_to(workspace.root / name).parts).as_posix())
        return writer.finish(target, revision=revision, version=version)


def restore(
    backup: Path, *, workspace: Workspace, on_progress: Callable[[int, int], None] | None = None
) -> BackupReport:
    """Make a workspace from a backup; every file is hashed on the way, and any that differs ends it.

    Raises:
        NotFound: There is no backup.
        UsageError: The workspace is not empty.
        CatalogTooNew: A newer dreamcrawl made the backup.
        WorkspaceUnusable: The backup is damaged, or the workspace cannot be written; nothing is left of it.
    """
    about, entries = _read_backup(backup)
    root = workspace.root.absolute()
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()
    if root.exists():
        raise UsageError(f"{root} is not empty; restore into a new folder with --workspace")
    with _appearing(root) as folder:
        size = 0
        for done, entry in enumerate(entries, start=1):
            place = _safe(entry.path)
            target = folder.joinpath(*place.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                digest, length = _copied(backup.joinpath(*place.parts), target)
            except FileNotFoundError as error:
                raise WorkspaceUnusable(f"the backup lacks {entry.path}; take another backup") from error
            if digest != entry.sha256:
                raise WorkspaceUnusable(f"{entry.path} of the backup was altered; take another backup")
            size += length
            if on_progress is not None:
                on_progress(done, len(entries))
        check_copy(folder / CATALOG_NAME)
        if (folder / "keys").is_dir():
            (folder / "keys").chmod(0o700)
            for key in _files_of(folder / "keys"):
                key.chmod(0o600)
    return BackupReport(str(root), files=len(entries), bytes=size, problems=tuple(about.get("problems", ())))


@dataclass(frozen=True)
class _Entry:
    path: str
    sha256: str
    size_bytes: int


class _Writer:
    """Takes files into a backup and lists them with their digests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: list[_Entry] = []
        self._problems: list[str] = []
        self._linked = 0

    def note(self, name: str) -> None:
        """List a file that is in the backup already."""
        digest, size = _hashed(self._folder / name)
        self._entries.append(_Entry(name, digest, size))

    def take(self, path: Path, name: str, *, sha256: str | None = None, link: bool = False) -> None:
        """Copy or link a file; one that is missing or has another digest is left out and told of."""
        target = self._folder.joinpath(*PurePosixPath(name).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            linked = link and _linked(path, target)
            digest, size = _hashed(target) if linked else _copied(path, target)
        except FileNotFoundError:
            self._problems.append(f"{name} is missing; dreamcrawl fsck tells more")
            return
        if sha256 is not None and digest != sha256:
            target.unlink()
            self._problems.append(f"{name} holds other bytes than it was filed under; dreamcrawl fsck tells more")
            return
        self._linked += linked
        self._entries.append(_Entry(name, digest, size))

    def finish(self, target: Path, *, revision: str, version: str) -> BackupReport:
        """Write the list, and what vouches for the list."""
        size = sum(entry.size_bytes for entry in self._entries)
        lines = "".join(json.dumps(vars(entry), ensure_ascii=False) + "\n" for entry in self._entries).encode()
        _write(self._folder / LIST_NAME, lines)
        about = {
            "format": FORMAT,
            "created_at": datetime.now(UTC).isoformat(),
            "version": version,
            "revision": revision,
            "files": len(self._entries),
            "bytes": size,
            "files_sha256": hashlib.sha256(lines).hexdigest(),
            "problems": self._problems,
        }
        _write(self._folder / ABOUT_NAME, (json.dumps(about, ensure_ascii=False, indent=2) + "\n").encode())
        return BackupReport(str(target), len(self._entries), size, self._linked, tuple(self._problems))


def _read_backup(backup: Path) -> tuple[Mapping[str, Any], list[_Entry]]:
    try:
        about = json.loads((backup / ABOUT_NAME).read_bytes())
        lines = (backup / LIST_NAME).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"{backup} is no backup: it lacks {Path(str(error.filename)).name}") from error
    except (OSError, ValueError) as error:
        raise WorkspaceUnusable(f"the backup {backup} cannot be read: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise WorkspaceUnusable(f"the backup {backup} is of a kind that this dreamcrawl does not know")
    if hashlib.sha256(lines).hexdigest() != about.get("files_sha256"):
        raise WorkspaceUnusable(f"the list of files of the backup {backup} was altered; take another backup")
    return about, [_Entry(**json.loads(line)) for line in lines.splitlines()]


def _safe(name: str) -> PurePosixPath:
    place = PurePosixPath(name)
    if place.is_absolute() or not place.parts or any(part in ("..", ".") or "\\" in part for part in place.parts):
        raise WorkspaceUnusable(f"the backup lists {name!r}, which lies outside of it")
    return place


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends; nothing stays when it raises.

    What a killed process left is cleared away by the next one that fills the same folder.
    """
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{target.name}")
    lock_path = target.with_name(f"{TEMPORARY_PREFIX}{target.name}.lock")
    lock = FileLock(lock_path, timeout=0)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        try:
            _remove(temporary)
            temporary.mkdir()
            yield temporary
            temporary.rename(target)
        finally:
            _remove(temporary)
            lock_path.unlink(missing_ok=True)
            lock.release()
    except Timeout as error:
        raise CatalogBusy(f"another process is filling {target} just now") from error
    except OSError as error:
        raise WorkspaceUnusable(
            f"{error.filename or target} cannot be read or written: {error.strerror or error}; make room, or choose "
            "another place"
        ) from error


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _files_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if not path.name.startswith(TEMPORARY_PREFIX))
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _linked(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        return False  # another file system, or one without links
    return True


def _copied(path: Path, target: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest(), size


def _hashed(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

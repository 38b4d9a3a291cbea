"""A backup of a workspace that may be in use, in one folder with a digest for every file, and its restoration.

The catalog is copied first, as it was at one moment. Every file that it has on record was there before its row, and
files of the store never change: so what is copied afterwards is all that this moment needs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.catalog.copying import check_copy, copy_catalog, stored_files
from pipeline.errors import NotFound, UsageError, WorkspaceUnusable
from pipeline.fingerprints import file_sha256
from pipeline.store import Store
from pipeline.upkeep.alone import alone
from pipeline.whole_files import TEMPORARY_PREFIX
from pipeline.whole_folders import whole_folder
from pipeline.workspace import Workspace

FORMAT = "dreamcrawl.backup/1"
LIST_NAME, ABOUT_NAME, CATALOG_NAME = "files.jsonl", "backup.json", "catalog.sqlite3"
# Of what is no file of the store: dreams as people see them, networks of their own, the keys they sign with.
FOLDERS = ("dreams", "weights", "keys")
_PRIVATE_FOLDER = 0o700
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
        UsageError: The target exists, or lies in a folder that is backed up.
        CatalogBusy: Another upkeep command is at work, or another backup into the same folder.
        WorkspaceUnusable: Something cannot be read or written; nothing is left under the target's name.
    """
    target = target.absolute()
    if target.exists():
        raise UsageError(f"{target} is there already; name a folder that does not exist")
    for name in ("store", *FOLDERS):
        if target.resolve().is_relative_to((workspace.root / name).resolve()):
            raise UsageError(f"{target} lies in {name}/, which is to be backed up; choose another place")
    # Private keys lie in it.
    with alone(workspace.locks), _appearing(target, mode=_PRIVATE_FOLDER) as folder:
        writer = _Writer(folder)
        copy_catalog(workspace.catalog_path, folder / CATALOG_NAME, towards=target)
        way_out = "dreamcrawl fsck tells more; restore an earlier backup"
        revision = check_copy(folder / CATALOG_NAME, named=str(workspace.catalog_path), way_out=way_out)
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
        try:
            root.rmdir()
        except OSError as error:  # where another disk is mounted, say
            raise WorkspaceUnusable(
                f"{root} cannot be replaced by what is restored: {error.strerror or error}; name a folder below it "
                "that does not exist, with --workspace"
            ) from error
    if root.exists():
        raise UsageError(f"{root} is not empty; restore into a new folder with --workspace")
    with _appearing(root) as folder:
        size = 0
        for done, entry in enumerate(entries, start=1):
            place = _safe(entry.path)
            target = _place_for(folder, place)
            try:
                digest, length = _copied(backup.joinpath(*place.parts), target, private=_is_private(place))
            except FileNotFoundError as error:
                raise WorkspaceUnusable(f"the backup lacks {entry.path}; take another backup") from error
            if digest != entry.sha256:
                raise WorkspaceUnusable(f"{entry.path} of the backup was altered; take another backup")
            size += length
            if on_progress is not None:
                on_progress(done, len(entries))
        check_copy(folder / CATALOG_NAME, named=f"in the backup {backup}")
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
        digest, size = file_sha256(self._folder / name)
        self._entries.append(_Entry(name, digest, size))

    def take(self, path: Path, name: str, *, sha256: str | None = None, link: bool = False) -> None:
        """Copy or link a file; one that is missing or has another digest is left out and told of."""
        place = PurePosixPath(name)
        target = _place_for(self._folder, place)
        try:
            linked = link and _linked(path, target)
            digest, size = file_sha256(target) if linked else _copied(path, target, private=_is_private(place))
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
    try:
        return about, [_entry(json.loads(line)) for line in lines.splitlines()]
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise WorkspaceUnusable(
            f"the list of files of the backup {backup} is of a kind that this dreamcrawl does not know; upgrade it"
        ) from error


def _entry(line: Mapping[str, Any]) -> _Entry:
    """Fields that this version does not know may stand there."""
    return _Entry(str(line["path"]), str(line["sha256"]), int(line["size_bytes"]))


def _safe(name: str) -> PurePosixPath:
    place = PurePosixPath(name)
    if place.is_absolute() or not place.parts or any(part in ("..", ".") or "\\" in part for part in place.parts):
        raise WorkspaceUnusable(f"the backup lists {name!r}, which lies outside of it")
    return place


@contextmanager
def _appearing(target: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends; nothing stays when it raises."""
    try:
        with whole_folder(target, mode=mode) as folder:
            yield folder
    except OSError as error:
        raise WorkspaceUnusable(
            f"{error.filename or target} cannot be read or written: {error.strerror or error}; make room, or choose "
            "another place"
        ) from error


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


def _is_private(place: PurePosixPath) -> bool:
    return place.parts[0] == "keys"


def _place_for(folder: Path, place: PurePosixPath) -> Path:
    """Where a file of a backup is to lie, its folder made; keys in one that only the owner looks into."""
    target = folder.joinpath(*place.parts)
    if _is_private(place):
        (folder / "keys").mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copied(path: Path, target: Path, *, private: bool) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source, open(target, "wb", opener=_owner_only if private else None) as copy:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest(), size


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

"""The content-addressed store: every file once, under the SHA-256 of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StoreCorrupt, WorkspaceUnusable
from pipeline.whole_files import way_out

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEMPORARY_PREFIX = ".tmp-"
_ANNOUNCED = "announced"
LEFTOVER_SECONDS = 3600.0
"""Nobody writes one file, or waits to write its row, for an hour: what is older was left by a process that died."""


class Store:
    """Immutable files in `root/ab/cd/<sha256>`, without extension.

    Several processes may write at once: a file appears under its name complete or not at all.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder that holds the store."""
        return self._root

    def path(self, sha256: str) -> Path:
        """Where the bytes with this digest lie, or would lie.

        Raises:
            ValueError: `sha256` is not 64 lower-case hexadecimal digits.
        """
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256!r}")
        return self._root / sha256[:2] / sha256[2:4] / sha256

    def has(self, sha256: str) -> bool:
        """Whether a file lies under this digest; its bytes are not read."""
        return self.path(sha256).is_file()

    def put(self, data: bytes) -> str:
        """Keep these bytes and give their SHA-256 in hexadecimal; does nothing when they are there already.

        When this returns, the file is on the disk: a row that names it may be written.

        Raises:
            WorkspaceUnusable: The disk is full or the folder is read-only; nothing half written stays behind.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.path(sha256)
        with _translated(self._root):
            if not _touch(target, len(data)):
                self._write(target, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes with this digest, checked.

        Raises:
            StoreCorrupt: The file is missing, cannot be read, or its bytes have another digest.
        """
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise StoreCorrupt(f"{path} is missing from the store; restore it from a backup, then verify") from error
        except OSError as error:
            raise StoreCorrupt(f"{path} cannot be read: {error.strerror or error}; check the disk") from error
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise StoreCorrupt(
                f"{path} holds other bytes than it was filed under (found {found}); "
                "restore it from a backup, or delete it and fetch it again"
            )
        return data

    def announce(self, key: str, sha256: str) -> None:
        """Note that a file is about to come, and after it the row that names it.

        Until `settle` is called it can be found by `announced`, also by others when this process has died.

        key: What it will be looked for by: 64 lower-case hexadecimal digits, as a digest has.

        Raises:
            WorkspaceUnusable: The disk is full or the folder is read-only.
        """
        note = self._note(key, sha256)
        with _translated(self._root):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
            _sync_folder(note.parent)

    def announced(self, key: str) -> list[str]:
        """Digests of the files that lie here and were announced with this key, but not settled; in order."""
        found = (path.name.removeprefix(f"{key}-") for path in self.notes_folder.glob(f"{key}-*"))
        return sorted(sha256 for sha256 in found if _SHA256.fullmatch(sha256) and self.has(sha256))

    def settle(self, key: str, sha256: str) -> None:
        """The row of a file that was announced is written, or will never be."""
        # What cannot be deleted is harmless: the row is found first.
        with contextlib.suppress(OSError):
            self._note(key, sha256).unlink()

    @property
    def notes_folder(self) -> Path:
        """Where it is noted which files come before their rows; notes are empty files."""
        return self._root / _ANNOUNCED

    def _note(self, key: str, sha256: str) -> Path:
        if not (_SHA256.fullmatch(key) and _SHA256.fullmatch(sha256)):
            raise ValueError(f"not two SHA-256 in lower-case hexadecimal: {key!r}, {sha256!r}")
        return self.notes_folder / f"{key}-{sha256}"

    def discard(self, sha256: str) -> None:
        """Delete the file under this digest, if there is one.

        Raises:
            WorkspaceUnusable: It cannot be deleted.
        """
        with _translated(self._root):
            self.path(sha256).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """The digest of every file in the store, in order of digest."""
        if not self._root.is_dir():
            return
        for path in sorted(self._root.glob("??/??/*")):
            if _SHA256.fullmatch(path.name) and path.is_file():
                yield path.name

    @staticmethod
    def _write(target: Path, data: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)  # mkstemp makes it private; a picture server may run as another user
            # Rename last: no reader may see half a file.
            temporary.replace(target)
            _sync_folder(target.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def move_leftover(path: Path, target: Path) -> bool:
    """Move a file away that nobody has touched for `LEFTOVER_SECONDS`; whether it is such a file.

    Safe while others `put`: whoever does so just then either finds it gone and writes it anew, or has touched it
    before, and then it is put back.

    Raises:
        OSError: It is gone, or one of the folders cannot be written.
    """
    if not _is_leftover(path):
        return False
    path.replace(target)
    if _is_leftover(target):
        return True
    target.replace(path)
    return False


def _is_leftover(path: Path) -> bool:
    return time.time() - path.stat().st_mtime >= LEFTOVER_SECONDS


def _touch(path: Path, size: int) -> bool:
    """Whether the file is there and as long as it must be; then it counts as one that somebody needs just now."""
    try:
        if path.stat().st_size != size:  # cut short by a power loss
            return False
    except FileNotFoundError:
        return False
    try:
        os.utime(path)
    except FileNotFoundError:
        return False  # taken away just now
    except OSError:
        pass  # read-only, or somebody else's; nor can anybody here take it away
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder last through a power loss, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceUnusable(
            f"the store {root} cannot be written: {error.strerror or error}; {way_out(error)}"
        ) from error

"""Files that are whole or not there: temp file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InboxUnusable, WorkspaceUnusable
from pipeline.whole_files import way_out

TEMPORARY_PREFIX = ".part-"


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns an `OSError` while writing at `path` into `WorkspaceUnusable`."""
    try:
        yield
    except OSError as error:
        raise WorkspaceUnusable(f"{path} cannot be written: {error.strerror or error}; {way_out(error)}") from error


def write_json(target: Path, value: Mapping[str, Any]) -> None:
    """Write JSON, as `write_bytes` does."""
    write_bytes(target, json.dumps(value, indent=1, allow_nan=False).encode("ascii"))


def write_bytes(target: Path, data: bytes) -> None:
    """Put `data` at `target`: after a power failure it is there in whole, or the former content is."""
    write_parts(target, (data,))


def write_parts(target: Path, parts: Iterable[bytes]) -> None:
    """As `write_bytes`, for data that comes in parts, one after the other."""
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


class GrowingFile:
    """A file that only grows; after `append` what was added is safely on disk.

    Attributes:
        end: Its length without what could not be added whole.
        is_spoilt: Whether a part of what could not be added is still there, so that nothing more may be.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self.end = 0
        self.is_spoilt = False

    def append(self, *parts: bytes) -> None:
        """Add the parts, all or none of them."""
        try:
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            # Half of it in the middle would spoil what comes next.
            try:
                self._file.truncate(self.end)
            except OSError:
                self.is_spoilt = True
            raise
        self.end += sum(map(len, parts))

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def sync_folder(folder: Path) -> None:
    """Put renames inside `folder` safely on disk."""
    if os.name != "posix":
        return  # Windows cannot open a folder, and needs no sync of its entries
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of an inbox; raises `InboxUnusable` for anything else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InboxUnusable(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise InboxUnusable(f"{path} does not hold a JSON object")
    return value

"""A SQLite catalog where it cannot be written: on a disk that is mounted read-only, or in somebody else's folder.

SQLite reads a catalog with the help of two files beside it, the log of what was written last and the index of that log
(https://www.sqlite.org/wal.html#read_only_databases). Where somebody writes, or was killed while writing, both are
there, and are read as they are (`mode=ro`). Else the last writer has taken everything over into the catalog itself and
has removed them; nobody who only reads can make them. Then the file is read alone (`immutable=1`), and SQLite looks at
no lock. But whoever sees a read-only mount is not alone in the world: so each reading ends with a look at whether the
file is still the same, and whether there is still no log.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from sqlalchemy import Engine

from pipeline.errors import CatalogBusy, WorkspaceUnusable

_State = tuple[int, ...] | None
"""What tells a file that nobody writes from what it was before; None where the log is there, with its index."""


def cannot_be_written(path: Path) -> bool:
    """Whether a catalog that is there, or the folder it lies in, cannot be written; nothing is tried."""
    path = path.resolve()  # the log lies beside the file itself
    return path.is_file() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


class ReadOnlyFile:
    """The file of such a catalog; threads may share it."""

    def __init__(self, path: Path, *, timeout_seconds: float) -> None:
        self._path = path.resolve()
        self._timeout_seconds = timeout_seconds
        self._lock = Lock()
        self._state = self._look()  # for which the engine's connections were made

    def connect(self) -> sqlite3.Connection:
        """A connection for the state that `reading` has found the file in.

        Raises:
            sqlite3.Error: It cannot be opened.
        """
        # Not for that of this moment: the pool keeps it, and one that looks at no lock is for no file that is written.
        how = "mode=ro" if self._state is None else "mode=ro&immutable=1"
        return sqlite3.connect(
            f"{self._path.as_uri()}?{how}",
            uri=True,
            timeout=self._timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
        )

    @contextmanager
    def reading(self, engine: Engine) -> Iterator[None]:
        """While this lasts, what connections of the engine read is of one moment.

        Raises:
            CatalogBusy: Somebody has written meanwhile.
            WorkspaceUnusable: There is a log, but no index of it, which only a writer can make.
        """
        state = self._look()
        with self._lock:
            if state != self._state:
                engine.dispose()  # connections of the former state
                self._state = state
        try:
            yield
        except Exception as error:
            if self._look() != state:
                raise self._busy() from error
            raise
        if state is not None and self._look() != state:
            raise self._busy()

    def _look(self) -> _State:
        log, index = (self._path.with_name(f"{self._path.name}-{kind}") for kind in ("wal", "shm"))
        try:
            log_bytes = log.stat().st_size if log.exists() else 0
            if log.exists() and index.exists():
                return None
            file = self._path.stat()
        except OSError as error:
            raise WorkspaceUnusable(
                f"the catalog {self._path} cannot be read: {error.strerror or error}; see who may read its folder"
            ) from error
        if log_bytes:
            raise WorkspaceUnusable(
                f"the last changes to the catalog {self._path} lie in {log.name}, which cannot be read where nothing "
                "can be written; have somebody who may write there run `dreamcrawl status`, or make the folder "
                "writable, or copy it and choose the copy with --workspace"
            )
        return file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns

    def _busy(self) -> CatalogBusy:
        return CatalogBusy(f"somebody wrote the catalog {self._path} while it was read; run the same command again")

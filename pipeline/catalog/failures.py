"""Turns what the database drivers raise into the pipeline's errors; the one place that reads their codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pipeline.errors import CatalogBusy, PipelineError, WorkspaceUnusable

# Primary result codes, https://www.sqlite.org/rescode.html; the low byte of an extended one.
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITE_UNUSABLE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room, then run the same command again",
    sqlite3.SQLITE_READONLY: "it is read-only; make the folder writable, or choose another workspace",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; make the folder writable, or choose another workspace",
    sqlite3.SQLITE_PERM: "access is denied; make the folder writable, or choose another workspace",
    # Also where the disk is so full that not even SQLite's index of its log can be made.
    sqlite3.SQLITE_IOERR: "the disk is full, or does not read or write as it should; make room, or check it",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; choose another workspace, or move that file away",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES_BUSY = frozenset({"55P03", "40001", "40P01", "57014"})
_POSTGRES_UNUSABLE = {
    "53100": "the disk is full; make room, then run the same command again",
    "25006": "it is read-only; give an address that may be written",
    "42501": "access is denied; grant the user the rights to the schema",
}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raises the pipeline's errors in place of the driver's; `place` is the catalog's path or address.

    Raises:
        CatalogBusy: Another process holds the catalog past the time limit: try again.
        WorkspaceUnusable: The catalog cannot be read or written.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise CatalogBusy(f"the catalog {place} serves as many readers as it can; try again") from error
    except (DBAPIError, sqlite3.Error) as error:
        known = _translate(place, error)
        if known is None:
            raise
        raise known from error


def _translate(place: str, error: DBAPIError | sqlite3.Error) -> PipelineError | None:
    busy = CatalogBusy(
        f"another process keeps the catalog {place} locked; wait until it is done, then run the same command again"
    )
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", 0) & 0xFF
        if code in _SQLITE_BUSY:
            return busy
        why = _SQLITE_UNUSABLE.get(code)
        return None if why is None else WorkspaceUnusable(f"the catalog {place} cannot be used: {why}")
    state = getattr(original, "sqlstate", None)
    if state in _POSTGRES_BUSY:
        return busy
    if state in _POSTGRES_UNUSABLE:
        return WorkspaceUnusable(f"the catalog {place} cannot be used: {_POSTGRES_UNUSABLE[state]}")
    if getattr(error, "connection_invalidated", False) or (
        state is None and type(original).__name__ == "OperationalError"
    ):
        return WorkspaceUnusable(f"the catalog {place} cannot be reached: {original}")
    return None

"""Turns what the database drivers raise into the pipeline's errors; the one place that reads their codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pipeline.errors import CatalogBusy, CatalogRefused, CatalogUnreachable, PipelineError, WorkspaceUnusable

_AGAIN = "then run the same command again"
_CHANGED = "somebody else changed it; restore it from a backup"

# Primary result codes, https://www.sqlite.org/rescode.html; the low byte of an extended one.
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_SQLITE_REFUSED = frozenset({sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH})
_SQLITE_UNUSABLE = {
    sqlite3.SQLITE_FULL: f"the disk is full; make room, {_AGAIN}",
    sqlite3.SQLITE_READONLY: "it is read-only; make the folder writable, or choose another workspace",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; make the folder writable, or choose another workspace",
    sqlite3.SQLITE_PERM: "access is denied; make the folder writable, or choose another workspace",
    # Also where the disk is so full that not even SQLite's index of its log can be made.
    sqlite3.SQLITE_IOERR: "the disk is full, or does not read or write as it should; make room, or check it",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; choose another workspace, or move that file away",
    sqlite3.SQLITE_NOMEM: f"there is not enough memory; end other programs, {_AGAIN}",
}
# Of the code that says nothing, by how the message begins.
_SQLITE_SAID = {
    "no such table": _CHANGED,
    "no such column": _CHANGED,
    "no such module: fts5": "this Python's SQLite has no FTS5; take a Python whose SQLite has it",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html; whole codes before their classes of two characters.
_POSTGRES_BUSY = frozenset({"55P03", "40001", "40P01"})
_POSTGRES_STOPPED = "57014"
# What passes: the connection was lost or refused, or the server is being started or stopped.
_POSTGRES_UNREACHABLE = ("08", "53300", "57P", "25P03", "25P04")
# Values of a kind, size or length that a column, an index or a text cannot have.
_POSTGRES_REFUSED = ("22", "54")
_POSTGRES_UNUSABLE = {
    "53100": f"the disk is full; make room, {_AGAIN}",
    "53200": f"the server is out of memory; give it more, or end other programs there, {_AGAIN}",
    "25006": "it is read-only; give an address that may be written",
    "42501": "access is denied; grant the user the rights to the schema",
    "3D000": "there is no such database any more; make it, or give another address",
    "3F000": "the user has no schema to work in; make one, or set the user's search_path",
    "42P01": _CHANGED,
    "42703": _CHANGED,
    "42883": _CHANGED,
    "28": "the server does not let this user in; see the user and password in catalog_url",
    "53": f"the server is at the end of its means; see its log, {_AGAIN}",
    "58": "the server's disk does not read or write as it should; see its log",
    "XX": "it is damaged; see the server's log, and restore it from a backup",
}
# A connection that is refused comes without a code. These are the words of a server that speaks English; of others
# the general way out is told.
_WHEN_CONNECTING = {
    "password authentication failed": "give the right user and password in catalog_url, or in the file ~/.pgpass",
    "no password supplied": "give the user's password in catalog_url, or in the file ~/.pgpass",
    "no pg_hba.conf entry": "have the server's pg_hba.conf let this user in from here",
    "permission denied for database": "grant the user the right to connect to the database",
    'FATAL: role "': "give a user that the server has in catalog_url",
    'FATAL: database "': "make the database first, such as with createdb, or give another one in catalog_url",
    "too many c": f"end other programs that use the server, {_AGAIN}",
    "connection slots": f"end other programs that use the server, {_AGAIN}",
    "the database system is": f"wait a moment, {_AGAIN}",
    "invalid connection option": "take that option out of catalog_url",
    "invalid ": "give that option another value in catalog_url",
    "bad value for ": "give that option another value in catalog_url",
}
_OTHERWISE = f"see that the server runs, and that catalog_url names its host, port and database; {_AGAIN}"
_MOST_WORDS = 300


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raises the pipeline's errors in place of the driver's; `place` is the catalog's path or address.

    Raises:
        CatalogBusy: Another process holds the catalog past the time limit: try again.
        CatalogUnreachable: The server does not answer, does not let us in, or is gone.
        CatalogRefused: A text or number is none that the database can keep; nothing was changed.
        WorkspaceUnusable: The catalog cannot be read or written.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise CatalogBusy(f"the catalog {place} serves as many readers as it can; try again") from error
    except PendingRollbackError as error:  # whoever was told that the connection is lost has gone on
        raise _lost(place, "the connection was lost") from error
    except OverflowError as error:
        # Python's own driver for SQLite, of numbers beyond 64 bits.
        if "SQLite INTEGER" not in str(error):
            raise
        raise _refused(place, "a number is out of range") from error
    except (DBAPIError, sqlite3.Error) as error:
        known = _translate(place, error)
        if known is None:
            raise
        raise known from error


def _translate(place: str, error: DBAPIError | sqlite3.Error) -> PipelineError | None:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(place, original)
    # A connection is asked for without any statement.
    is_connecting = isinstance(error, DBAPIError) and error.statement is None
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return _of_postgresql(place, original, is_connecting=is_connecting, is_lost=is_lost)


def _of_sqlite(place: str, error: sqlite3.Error) -> PipelineError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE_BUSY:
        return _busy(place)
    if code in _SQLITE_REFUSED or isinstance(error, sqlite3.DataError):
        return _refused(place, str(error))
    why = _SQLITE_UNUSABLE.get(code)
    if why is None and code == sqlite3.SQLITE_ERROR:
        said = next((way_out for words, way_out in _SQLITE_SAID.items() if str(error).startswith(words)), None)
        why = said and f"{error}; {said}"
    return None if why is None else WorkspaceUnusable(f"the catalog {place} cannot be used: {why}")


def _of_postgresql(
    place: str, error: BaseException | None, *, is_connecting: bool, is_lost: bool
) -> PipelineError | None:
    state: str | None = getattr(error, "sqlstate", None)
    kind = type(error).__name__
    if state is None:
        if is_connecting:
            return _not_connected(place, error)
        if is_lost or kind in ("OperationalError", "InterfaceError"):
            return _lost(place, _words(error))
        return _refused(place, _words(error)) if kind == "DataError" else None  # a text with a NUL
    if state in _POSTGRES_BUSY:
        return _busy(place)
    if state == _POSTGRES_STOPPED:
        return CatalogBusy(
            f"the server of the catalog {place} stopped a statement that took too long; run the same command again, or "
            "allow the user more time (statement_timeout)"
        )
    if is_lost or state.startswith(_POSTGRES_UNREACHABLE):
        return _lost(place, _words(error))
    if state.startswith(_POSTGRES_REFUSED):
        return _refused(place, _words(error))
    why = _POSTGRES_UNUSABLE.get(state) or _POSTGRES_UNUSABLE.get(state[:2])
    return None if why is None else WorkspaceUnusable(f"the catalog {place} cannot be used: {_words(error)}; {why}")


def _not_connected(place: str, error: BaseException | None) -> CatalogUnreachable:
    words = _words(error).removeprefix("connection failed: ")
    way_out = next((way_out for said, way_out in _WHEN_CONNECTING.items() if said in words), _OTHERWISE)
    return CatalogUnreachable(f"the catalog {place} cannot be reached: {words}; {way_out}")


def _lost(place: str, words: str) -> CatalogUnreachable:
    return CatalogUnreachable(f"the catalog {place} cannot be reached: {words}; {_OTHERWISE}")


def _busy(place: str) -> CatalogBusy:
    return CatalogBusy(f"another process keeps the catalog {place} locked; wait until it is done, {_AGAIN}")


def _refused(place: str, words: str) -> CatalogRefused:
    return CatalogRefused(
        f"the catalog {place} cannot keep a value, and nothing was changed: {words}; shorten it, or leave it out"
    )


def _words(error: BaseException | None) -> str:
    """What the server said, on one line; neither the statement nor its values."""
    diagnostic = getattr(error, "diag", None)
    said = getattr(diagnostic, "message_primary", None) or str(error)
    line = " ".join(said.split()).rstrip(".")
    return line if len(line) <= _MOST_WORDS else f"{line[:_MOST_WORDS]}..."

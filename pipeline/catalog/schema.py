"""Brings a catalog's schema up to date, once and by one process at a time."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine.interfaces import DBAPICursor

from pipeline.catalog.modes import MODE, WRITE
from pipeline.errors import CatalogBusy, CatalogTooNew, WorkspaceUnusable

HEAD = "0010"
"""The newest revision in `migrations/versions`; a catalog that has it needs no look at the migrations."""

_LOCK_TIMEOUT_SECONDS = 60.0
_ADVISORY_LOCK = 0x6372617764  # "crawl" with a d for database: held while migrating PostgreSQL


def bring_up_to_date(engine: Engine, *, path: Path | None, place: str) -> None:
    """Create the tables, or migrate them; does nothing when they are as they should be.

    Safe to be killed: each migration is one transaction.

    Raises:
        CatalogTooNew: The catalog has a revision that is not known here.
        CatalogBusy: Another process migrates for a minute already.
        WorkspaceUnusable: The file is not a catalog, or cannot be written.
    """
    if path is None:
        if _revision(engine, place) != HEAD:
            with engine.connect() as connection, connection.begin():
                _check_encoding(connection, place)
                connection.execute(text(f"SET LOCAL lock_timeout = '{round(_LOCK_TIMEOUT_SECONDS * 1000)}ms'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
                _upgrade(connection)
        return
    if path.exists() and _is_ready(engine, place):
        return
    _migrate_sqlite(engine, path=path, place=place)


def check_up_to_date(engine: Engine, *, path: Path, place: str) -> None:
    """See that a catalog that cannot be written needs not be brought up to date.

    Raises:
        CatalogTooNew: The catalog has a revision that is not known here.
        WorkspaceUnusable: It has an older one, or the file is not a catalog.
    """
    if _revision(engine, place) != HEAD:
        raise WorkspaceUnusable(
            f"the catalog {place} is one of an earlier dreamcrawl and cannot be brought up to date, as it cannot be "
            f"written; have somebody who may write {path.parent} run `dreamcrawl status`, or make the folder writable, "
            "or copy it and choose the copy with --workspace"
        )


def _migrate_sqlite(engine: Engine, *, path: Path, place: str) -> None:
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock", timeout=_LOCK_TIMEOUT_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise CatalogBusy(f"another process is migrating the catalog {place}; try again when it is done") from error
    except OSError as error:
        raise WorkspaceUnusable(
            f"the folder {path.parent} cannot be written: {error.strerror or error}; choose another workspace"
        ) from error
    try:
        if path.exists() and _is_ready(engine, place):
            return  # another process did it while this one waited
        # The mode marks a writer for the begin hook of the engine.
        with engine.execution_options(**{MODE: WRITE}).connect() as connection:
            cursor = connection.connection.cursor()
            _use_write_ahead_log(cursor)
            # Batch migrations copy and drop tables, which must not take the rows of other tables with them.
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.close()
            with connection.begin():
                _upgrade(connection)
        engine.dispose()  # that connection has foreign keys off
    finally:
        lock.release()


def _is_ready(engine: Engine, place: str) -> bool:
    """Whether a SQLite catalog has the newest schema, and the log that lets readers be at work beside a writer."""
    if _revision(engine, place) != HEAD:
        return False
    with engine.connect() as connection:  # what is restored from a backup has no log, as the backup is one file
        return bool(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal")


def _revision(engine: Engine, place: str) -> str | None:
    """The catalog's revision; None for an empty database."""
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" in tables:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
            if found is not None and found not in known_revisions():
                raise CatalogTooNew(
                    f"the catalog {place} has revision {found}, which this dreamcrawl does not know (it knows {HEAD}); "
                    "upgrade dreamcrawl, or choose another workspace"
                )
            return None if found is None else str(found)
        if tables:
            raise WorkspaceUnusable(
                f"the database {place} holds other tables and is not a dreamcrawl catalog; choose another workspace"
            )
        return None


def _check_encoding(connection: Connection, place: str) -> None:
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise WorkspaceUnusable(
            f"the database {place} has the encoding {encoding}, which has no room for all scripts; make one with: "
            "createdb --encoding UTF8 --template template0 NAME"
        )


def known_revisions() -> frozenset[str]:
    """Every revision that this version can migrate from, the newest included."""
    folder = Path(__file__).with_name("migrations") / "versions"
    return frozenset(path.name.split("_", maxsplit=1)[0] for path in folder.glob("[0-9]*_*.py"))


def is_described(name: str | None, type_: str, _parents: Any) -> bool:
    """Whether `tables.py` describes such a thing: not so the tables of FTS5 and the text indexes of PostgreSQL."""
    if type_ == "table":
        return not (name or "").startswith("search_fts")
    return type_ != "index" or not (name or "").startswith("ft_")


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    from pipeline.catalog.search_index import refresh

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    refresh(connection)  # what a migration has noted; in its transaction, so that no search ever misses anything


def _use_write_ahead_log(cursor: DBAPICursor) -> None:
    """Readers and a writer at once; the mode is kept in the file."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself here: somebody who looks at the new file is enough to be in the way.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

"""Opens the catalog: SQLite by default, PostgreSQL by address; brings its schema up to date; gives units of work.

Writers take the lock when they begin, so that what they read cannot change before they write; readers see one moment.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from pipeline.catalog.failures import translated
from pipeline.catalog.modes import MODE, READ, WAIT, WRITE
from pipeline.catalog.read_only import ReadOnlyFile, cannot_be_written
from pipeline.catalog.schema import bring_up_to_date, check_up_to_date
from pipeline.catalog.search_index import former, refresh, renew
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.errors import NotFound, SettingsInvalid, WorkspaceUnusable

BUSY_TIMEOUT_SECONDS = 30.0
# A Windows path begins with one letter and a colon.
_HALF_A_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_ADVISORY_LOCK = 0x647265616D  # "dream": the one writers of a PostgreSQL catalog take
# Readers of the gallery come from a pool of forty threads.
_POOL_SIZE, _POOL_OVERFLOW = 5, 40
# Of each connection to SQLite, at most: a walk through the index of a large catalog comes by the same pages often.
_CACHE_KIB = 32_768
# Of a former version, made anew in one unit of work: others do not wait long for it.
_RENEWED_AT_ONCE = 200
# SQLite keeps no queue: whoever waits looks each tenth of a second whether the lock is free, and would hardly ever find
# it so between units of work that follow one another at once. A tenth of the time that one took is found soon.
_PAUSE_SHARE, _LONGEST_PAUSE_SECONDS = 0.1, 0.1


class Catalog:
    """An open catalog. Threads may share it; each unit of work belongs to one thread."""

    def __init__(self, engine: Engine, *, place: str, read_only: ReadOnlyFile | None = None) -> None:
        self._engine = engine
        self._read_only = read_only
        self._writers = engine.execution_options(**{MODE: WRITE})
        self._readers = (
            engine.execution_options(**{MODE: READ})
            if engine.dialect.name == "sqlite"
            else engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )
        self.place = place
        self._next_write_at = 0.0

    @property
    def is_read_only(self) -> bool:
        """Whether it was opened to be read only, as it cannot be written."""
        return self._read_only is not None

    @contextmanager
    def write(self, *, wait_seconds: float | None = None) -> Iterator[UnitOfWork]:
        """A unit of work that holds the write lock, commits when its block ends, and rolls back when it raises.

        wait_seconds: For the lock; None for 30.

        Raises:
            CatalogBusy: Another process kept the lock for that long.
            CatalogRefused: A text or number is none that the database can keep; nothing was changed.
            WorkspaceUnusable: The disk is full, the catalog read-only or its server gone; nothing was changed.
        """
        if self.is_read_only:
            raise WorkspaceUnusable(
                f"the catalog {self.place} cannot be written: it is read-only; make the folder writable, or choose "
                "another workspace"
            )
        writers = self._writers
        if wait_seconds is not None:
            writers = writers.execution_options(**{WAIT: wait_seconds})
        self._let_others_write()
        with translated(self.place), Session(writers, expire_on_commit=False) as session, session.begin():
            session.connection()  # takes the lock now, not at the first statement
            locked_at = time.monotonic()
            unit = UnitOfWork(session)
            yield unit
            session.flush()
            refresh(session.connection())  # the search knows all that was written, or nothing of it is written
        now = time.monotonic()
        self._next_write_at = now + min(_LONGEST_PAUSE_SECONDS, _PAUSE_SHARE * (now - locked_at))

    def _let_others_write(self) -> None:
        # PostgreSQL lets whoever waits for the lock have it in turn.
        pause = self._next_write_at - time.monotonic()
        if pause > 0 and self._engine.dialect.name == "sqlite":
            time.sleep(pause)

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A unit of work that sees one moment of the catalog and cannot write.

        Raises:
            WorkspaceUnusable: The catalog cannot be read.
            CatalogBusy: It was opened to be read only, and somebody else wrote it meanwhile.
        """
        with (
            self._read_only.reading(self._engine) if self._read_only else nullcontext(),
            translated(self.place),
            Session(self._readers, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield UnitOfWork(session)

    def renew_search(self, *, seconds: float | None = None, on_progress: Callable[[int], None] | None = None) -> bool:
        """Make search documents of a former version anew, some in each unit of work; whether none is left.

        seconds: Begin no other unit of work after so long, nor wait longer for the lock; None to go on until all is
            done.
        on_progress: Called with the highest id of an item that is left, as long as there is one.

        Raises:
            CatalogBusy, WorkspaceUnusable: As `write`.
        """
        started = time.monotonic()
        wait_seconds = None if seconds is None else min(seconds, BUSY_TIMEOUT_SECONDS)
        with self.read() as uow:
            left = former(uow.session.connection())
        while left and (seconds is None or time.monotonic() - started < seconds):
            if on_progress is not None:
                on_progress(left)
            with self.write(wait_seconds=wait_seconds) as uow:
                left = renew(uow.session.connection(), limit=_RENEWED_AT_ONCE)
        return not left

    def close(self) -> None:
        """Let go of every connection; SQLite first refreshes what its planner knows."""
        if self._engine.dialect.name == "sqlite" and not self.is_read_only:
            with suppress(DBAPIError, sqlite3.Error), self._engine.connect() as connection:
                cursor = connection.connection.cursor()  # below SQLAlchemy, so that no transaction is begun
                connection.info.pop(MODE, None)
                cursor.execute("PRAGMA query_only = OFF")
                cursor.execute("PRAGMA optimize")
                cursor.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def open_catalog(url_or_path: str | Path, *, create: bool = True, only_reads: bool = False) -> Catalog:
    """The catalog at a path or database URL, its schema brought up to date.

    create: Make it when it is missing.
    only_reads: A catalog will do that cannot be written, as long as its schema is up to date.

    Raises:
        NotFound: It is missing and `create` is off.
        CatalogTooNew: A newer dreamcrawl made it.
        CatalogBusy: Another process keeps it locked.
        CatalogUnreachable: Its server does not answer, or does not let us in.
        WorkspaceUnusable: It cannot be opened or written, or is no catalog.
        SettingsInvalid: The URL names no database that is supported.
    """
    url = catalog_url(url_or_path)
    path = sqlite_path(url)
    place = str(path) if path is not None else _shown(url)
    if path is not None and not path.exists():
        if not create:
            raise NotFound(f"there is no catalog {path}; a first `dreamcrawl run` or `dreamcrawl demo` makes one")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceUnusable(
                f"the folder {path.parent} cannot be made: {error.strerror or error}; choose another workspace"
            ) from error
    if only_reads and path is not None and cannot_be_written(path):
        return _open_read_only(path, place=place)
    engine = make_engine(url)
    try:
        with translated(place):
            bring_up_to_date(engine, path=path, place=place)
    except BaseException as error:
        engine.dispose()
        if path is None and isinstance(error, UnicodeError):  # of a host with a name that none can have
            raise _not_understood(url, error) from error
        raise
    return Catalog(engine, place=place)


def _open_read_only(path: Path, *, place: str) -> Catalog:
    file = ReadOnlyFile(path, timeout_seconds=BUSY_TIMEOUT_SECONDS)
    engine = _sqlite_engine("sqlite+pysqlite://", creator=file.connect, poolclass=QueuePool)
    try:
        with file.reading(engine), translated(place):
            check_up_to_date(engine, path=path, place=place)
    except BaseException:
        engine.dispose()
        raise
    return Catalog(engine, place=place, read_only=file)


def catalog_url(url_or_path: str | Path) -> URL:
    """A path or address as a SQLAlchemy URL with its driver.

    Raises:
        SettingsInvalid: Not an address, or of a database that is not supported.
    """
    if isinstance(url_or_path, Path) or ("://" not in url_or_path and not _HALF_A_URL.match(url_or_path)):
        return URL.create("sqlite+pysqlite", database=str(Path(url_or_path).absolute()))
    try:
        # `postgres` is what many hosting companies hand out.
        url = make_url(re.sub(r"^postgres(?=://)", "postgresql", url_or_path))
    except Exception as error:
        raise SettingsInvalid(
            "the catalog's address is not a database URL such as postgresql://user@host/database; see docs/catalog.md"
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or ":memory:" in url.database or url.database.startswith("file:"):
            raise SettingsInvalid("a SQLite catalog is a file: give its path, or sqlite:///path/to/catalog.sqlite3")
        return URL.create("sqlite+pysqlite", database=str(Path(url.database).absolute()))
    if backend != "postgresql":
        raise SettingsInvalid(f"catalogs are kept in SQLite or PostgreSQL, not in {backend!r}")
    return url.set(drivername="postgresql+psycopg")


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL; None for another database."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _shown(url: URL) -> str:
    """An address as a user writes it, without its secrets, which may also stand in its query."""
    query = {name: "***" if "password" in name else value for name, value in url.query.items()}
    return url.set(drivername=url.get_backend_name(), query=query).render_as_string(hide_password=True)


def _not_understood(url: URL, error: Exception) -> SettingsInvalid:
    return SettingsInvalid(f"the catalog's address {_shown(url)} cannot be used: {error}; see docs/catalog.md")


def make_engine(url: URL) -> Engine:
    """An engine for the catalog, with its transactions as this module promises; nothing is opened yet.

    Raises:
        SettingsInvalid: The database's driver is not installed, or can make nothing of the address.
    """
    if url.get_backend_name() == "sqlite":
        # None: the driver leaves transactions to the begin hook below.
        arguments = {"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": None, "check_same_thread": False}
        return _sqlite_engine(url, connect_args=arguments)
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            # Whatever the environment says, as in PGCLIENTENCODING: texts of strangers are of all scripts.
            connect_args={"client_encoding": "utf8"},
        )
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsInvalid(f"no driver for {url.drivername} is installed; install dreamcrawl[postgres]") from error
    except ArgumentError as error:
        raise _not_understood(url, error) from error
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _sqlite_engine(url: URL | str, **options: Any) -> Engine:
    engine = create_engine(url, pool_size=_POOL_SIZE, max_overflow=_POOL_OVERFLOW, **options)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # In WAL mode NORMAL can lose the last commits to a power cut, but never damages the catalog.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    mode, wait = options.get(MODE), options.get(WAIT, BUSY_TIMEOUT_SECONDS)
    # Kept for as long as the driver's connection, which the pool hands out again and again.
    if mode is not None and connection.info.get(MODE) != mode:
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if mode == WRITE else 'ON'}")
        connection.info[MODE] = mode
    if connection.info.get(WAIT, BUSY_TIMEOUT_SECONDS) != wait:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(wait * 1000)}").close()
        connection.info[WAIT] = wait
    # IMMEDIATE: a transaction that reads first and writes later could otherwise fail at its first write.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == WRITE else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(MODE) != WRITE:
        return
    wait_ms = max(1, round(options.get(WAIT, BUSY_TIMEOUT_SECONDS) * 1000))  # 0 would be for ever
    # One writer at a time, as on SQLite: near duplicates are found by looking at all that is there.
    connection.execute(text(f"SET LOCAL lock_timeout = '{wait_ms}ms'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})

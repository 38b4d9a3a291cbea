"""A copy of a SQLite catalog while it is in use, and what a copy holds; the file alone, without an engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipeline.catalog.failures import translated
from pipeline.catalog.schema import known_revisions
from pipeline.errors import CatalogTooNew, WorkspaceUnusable

_WAIT_SECONDS = 30.0


def copy_catalog(source: Path, target: Path) -> None:
    """Copy a catalog as it is at one moment, whoever writes meanwhile; the copy is one file.

    Raises:
        WorkspaceUnusable: It cannot be read, or the copy cannot be written.
        CatalogBusy: Somebody keeps it locked.
    """
    with (
        translated(str(source)),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)) as original,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def check_copy(path: Path) -> str:
    """The revision of a copy that is whole.

    Raises:
        WorkspaceUnusable: It is damaged, or no catalog.
        CatalogTooNew: A newer dreamcrawl made it.
    """
    with translated(str(path)), closing(_read(path)) as copy:
        problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise WorkspaceUnusable(f"the catalog {path} is damaged: {problem}; take another backup")
        has_revision = copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = copy.execute("SELECT version_num FROM alembic_version").fetchone() if has_revision else None
    if row is None:
        raise WorkspaceUnusable(f"{path} is not a dreamcrawl catalog")
    if row[0] not in known_revisions():
        raise CatalogTooNew(
            f"the catalog {path} has revision {row[0]}, which this dreamcrawl does not know; upgrade it"
        )
    return str(row[0])


def stored_files(path: Path) -> Iterator[tuple[str, int]]:
    """(digest, size in bytes) of each stored file that a copy has on record and that was not removed, in order."""
    with translated(str(path)), closing(_read(path)) as copy:
        yield from copy.execute("SELECT sha256, size_bytes FROM blob WHERE removed_at IS NULL ORDER BY sha256")


def _read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

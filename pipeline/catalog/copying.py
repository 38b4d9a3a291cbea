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


def copy_catalog(source: Path, target: Path, *, towards: Path | None = None) -> None:
    """Copy a catalog as it is at one moment, whoever writes meanwhile; the copy is one file.

    towards: What errors name in place of a target that has its name only for a while.

    Raises:
        WorkspaceUnusable: It cannot be read, or the copy cannot be written.
        CatalogBusy: Somebody keeps it locked.
    """
    with (
        translated(f"{source}, which is being copied to {towards or target.parent},"),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)) as original,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def check_copy(path: Path, *, named: str = "", way_out: str = "take another backup") -> str:
    """The revision of a copy that is whole.

    named: What errors call it, where its own place means nothing to a person.

    Raises:
        WorkspaceUnusable: It is damaged, or no catalog.
        CatalogTooNew: A newer dreamcrawl made it.
    """
    named = named or str(path)
    with translated(named), closing(_read(path)) as copy:
        problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise WorkspaceUnusable(f"the catalog {named} is damaged: {problem}; {way_out}")
        has_revision = copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = copy.execute("SELECT version_num FROM alembic_version").fetchone() if has_revision else None
    if row is None:
        raise WorkspaceUnusable(f"the database {named} is not a dreamcrawl catalog")
    if row[0] not in known_revisions():
        raise CatalogTooNew(
            f"the catalog {named} has revision {row[0]}, which this dreamcrawl does not know; upgrade it"
        )
    return str(row[0])


def stored_files(path: Path) -> Iterator[tuple[str, int]]:
    """(digest, size in bytes) of each stored file that a copy has on record and that was not removed, in order."""
    with translated(str(path)), closing(_read(path)) as copy:
        yield from copy.execute("SELECT sha256, size_bytes FROM blob WHERE removed_at IS NULL ORDER BY sha256")


def _read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

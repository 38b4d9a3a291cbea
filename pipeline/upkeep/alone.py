"""One command at a time that moves or removes files of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import CatalogBusy, WorkspaceUnusable
from pipeline.whole_files import way_out

WAIT_SECONDS = 5.0


@contextmanager
def alone(locks: Path) -> Iterator[None]:
    """Hold the workspace's lock for upkeep; crawls, ingests and dreams go on meanwhile.

    Raises:
        CatalogBusy: Another fsck, backup or gc is at work.
        WorkspaceUnusable: The folder cannot be written.
    """
    lock = FileLock(locks / "upkeep.lock", timeout=WAIT_SECONDS)
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise CatalogBusy("another fsck, backup or gc is at work here; try again when it is done") from error
    except OSError as error:
        raise WorkspaceUnusable(
            f"the folder {locks} cannot be written: {error.strerror or error}; {way_out(error)}"
        ) from error
    try:
        yield
    finally:
        lock.release()

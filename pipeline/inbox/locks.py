"""Who holds an inbox: its writer as long as it lives, and for an instant whoever looks whether there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import InboxUnusable, WorkspaceUnusable
from pipeline.whole_files import way_out

ABOUT = "inbox.json"
LOCK = "writer.lock"

# Another process that only looks holds the lock for an instant.
GLANCE_SECONDS = 1.0


def lock_of(path: Path, *, wait_seconds: float = 0.0) -> FileLock:
    """The lock of an inbox, not taken yet. Taking it makes the folder, if there is none."""
    return FileLock(path / LOCK, timeout=wait_seconds, thread_local=False)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold an inbox that has no writer any more.

    Raises:
        InboxUnusable: A writer lives, or the inbox has gone: another process took it.
        WorkspaceUnusable: The folder cannot be written.
    """
    lock = lock_of(path, wait_seconds=GLANCE_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise InboxUnusable(f"a crawl is still writing to {path}; wait until it ends") from error
    except OSError as error:
        raise WorkspaceUnusable(f"{path} cannot be written: {error.strerror or error}; {way_out(error)}") from error
    try:
        if not (path / ABOUT).is_file():
            _unmake(path)
            raise InboxUnusable(f"{path} is no inbox any more: another process took it")
        yield
    finally:
        lock.release()


def has_writer(path: Path, *, wait_seconds: float = 0.0) -> bool:
    """Whether a process holds an inbox for all this time."""
    lock = lock_of(path, wait_seconds=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False  # where nobody can take the lock, nobody has it
    if not (path / ABOUT).is_file():
        _unmake(path)
    lock.release()
    return False


def _unmake(path: Path) -> None:
    """Delete the folder again that taking the lock of an inbox made, after another process had taken the inbox."""
    with contextlib.suppress(OSError):  # not empty: then it is not ours to delete
        (path / LOCK).unlink(missing_ok=True)
        path.rmdir()

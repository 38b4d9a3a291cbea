"""Folders that appear under their name complete or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import CatalogBusy
from pipeline.whole_files import TEMPORARY_PREFIX


@contextmanager
def whole_folder(target: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends; nothing stays when it raises.

    Until then only its owner may look into it. What a killed process left is cleared away by the next one that fills
    the same folder.

    target: must not exist when the block ends, or be an empty folder, or a link to such a one.
    mode: of the folder, less what the process leaves off for all it makes.

    Raises:
        CatalogBusy: Another process fills the same folder.
        OSError: It cannot be made.
    """
    target = Path(os.path.realpath(target))  # a link cannot be replaced by a folder, what it leads to can
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{target.name}")
    lock_path = target.with_name(f"{TEMPORARY_PREFIX}{target.name}.lock")
    lock = FileLock(lock_path, timeout=0)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise CatalogBusy(f"another process is filling {target} just now") from error
    try:
        _remove(temporary)
        temporary.mkdir(mode=0o700)
        folder = temporary / "whole"
        folder.mkdir(mode=mode)
        yield folder
        if target.exists():
            target.rmdir()  # empty; Windows renames to no folder that is there
        # Rename last: no reader may see half a folder.
        folder.rename(target)
    finally:
        _remove(temporary)
        lock_path.unlink(missing_ok=True)
        lock.release()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)

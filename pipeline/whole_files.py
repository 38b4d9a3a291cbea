"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY_PREFIX = ".tmp-"
"""Of the names of files that are being written; what killed processes left has it too."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Whether it is that there is no room left on the disk."""
    return error.errno in _FULL


def way_out(error: OSError) -> str:
    """What a user can do where a folder or a disk does not take what is to be written."""
    if is_full(error):
        return "make room on the disk, then run the same command again"
    return "make the folder writable, or choose another workspace"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, and its folder if need be: temporary name, sync, rename. Everybody may read it.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left behind.
    """
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which appears under its name when the block ends, and not at all when it raises.

    Raises:
        OSError: as `write_whole`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes it private
        # Rename last: no reader may see half a file.
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""A disk of some megabytes that a test can fill and make read-only: in memory; only root can mount one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BALLAST = "ballast"


class SmallDisk:
    """A file system of its own at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fill(self, *, free_bytes: int) -> None:
        """Leave about so much room, in whole blocks."""
        self.make_room()
        state = os.statvfs(self.root)
        with (self.root / _BALLAST).open("wb") as file:
            file.truncate()
            os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize - free_bytes))

    def make_room(self) -> None:
        (self.root / _BALLAST).unlink(missing_ok=True)

    @contextmanager
    def read_only(self, folder: Path | None = None) -> Iterator[None]:
        """All of it, or a folder in it, can only be read."""
        if folder is None:
            _mount("-o", "remount,ro", str(self.root))
        else:
            _mount("--bind", str(folder), str(folder))
            _mount("-o", "remount,bind,ro", str(folder))
        try:
            yield
        finally:
            if folder is None:
                _mount("-o", "remount,rw", str(self.root))
            else:
                subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def small_disk(root: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one; skips the test, with the reason, where that is not possible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk, on Linux")
    root.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(root)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)

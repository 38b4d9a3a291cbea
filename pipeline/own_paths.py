"""Paths as people write them: `~` is their home."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~name` at its beginning put out in full.

    The home of a user that there is not stays as it is written, as shells leave it, and is then a file that is missing;
    `Path.expanduser` ends in a RuntimeError there.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111  # it raises nothing

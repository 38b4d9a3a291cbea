"""Octaves that are done, on disk: a dream that is killed goes on with the octave after them. No TensorFlow here."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SUFFIX = ".octave.npz"
_PARTIAL = ".tmp"

# A save takes seconds at most; a partial file older than this was left by a process that is no more.
_PARTIAL_SECONDS = 60 * 60
# Nobody came back for it: the look has changed, or the picture is gone.
_FORGOTTEN_SECONDS = 30 * 24 * 60 * 60


@dataclass(frozen=True)
class OctaveRecord:
    """What is on record about an octave of one picture.

    Attributes:
        values: the objective before its first and its last step; none where it has no steps.
        clipped: 0 to 1, the part of the picture's values that are at a limit.
        tile_side: pixels; what the recipe says, or less where memory was short.
        together: pictures that climbed at once.
    """

    values: tuple[float, ...]
    clipped: float
    tile_side: int
    together: int


@dataclass(frozen=True)
class Checkpoint:
    """A picture between two octaves.

    Attributes:
        image: float32, shape (1, height, width, 3), as the last octave that is done left it.
        octaves: those that are done, the first first.
    """

    image: NDArray[np.float32]
    octaves: tuple[OctaveRecord, ...]


class Checkpoints:
    """A folder with at most one checkpoint for each picture and dream. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, key: str, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
        """Keeps this one in place of an earlier one; whole or not at all.

        identity: all that the state depends on; it is given back to nobody who asks with another.

        Raises:
            OSError: the disk is full or the folder cannot be written.
            ValueError: the key cannot name a file.
        """
        path = self._path(key)
        self._folder.mkdir(parents=True, exist_ok=True)
        about = {"identity": dict(identity), "octaves": [asdict(octave) for octave in checkpoint.octaves]}
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
        try:
            with partial.open("wb") as stream:
                np.savez(stream, image=checkpoint.image, about=np.frombuffer(json.dumps(about).encode(), np.uint8))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def load(self, key: str, identity: Mapping[str, Any], sizes: Sequence[tuple[int, int]]) -> Checkpoint | None:
        """The checkpoint of this very dream, or None; one that is damaged or of another dream is removed.

        sizes: (height, width) of all octaves of the dream; the picture must have that of the last one done.
        """
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes())
                _check_identity(about["identity"], identity)
                return _checked(stored["image"], about["octaves"], sizes)
        except FileNotFoundError:
            return None
        except Exception:  # noqa: BLE001  # whatever a damaged file raises: the octaves are computed again
            self.forget(key)
            return None

    def forget(self, key: str) -> None:
        """Removes the checkpoint, if there is one, and what killed processes left of it."""
        path = self._path(key)
        with contextlib.suppress(OSError):
            for partial in self._folder.glob(f".{path.name}.*{_PARTIAL}"):
                partial.unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes what nobody will ask for: partial files that killed processes left, and checkpoints of long ago."""
        now = time.time()
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                partial = path.name.startswith(".") and path.name.endswith(_PARTIAL) and _SUFFIX in path.name
                if not partial and not path.name.endswith(_SUFFIX):
                    continue
                with contextlib.suppress(OSError):
                    if now - path.stat().st_mtime > (_PARTIAL_SECONDS if partial else _FORGOTTEN_SECONDS):
                        path.unlink(missing_ok=True)

    def check_key(self, key: str) -> None:
        """Sees that the key can name a checkpoint.

        Raises:
            ValueError: it cannot.
        """
        self._path(key)

    def _path(self, key: str) -> Path:
        if not key or not all(letter.isalnum() or letter in "-_" for letter in key):
            raise ValueError(f"{key!r} cannot be the name of a checkpoint: letters, digits, - and _ only")
        return self._folder / f"{key}{_SUFFIX}"


def _check_identity(found: object, wanted: Mapping[str, Any]) -> None:
    # By way of JSON, which makes lists of tuples.
    if found != json.loads(json.dumps(dict(wanted))):
        raise ValueError("of another dream")


def _checked(image: NDArray[Any], octaves: Sequence[Mapping[str, Any]], sizes: Sequence[tuple[int, int]]) -> Checkpoint:
    if not 1 <= len(octaves) < len(sizes):
        raise ValueError("not between two octaves")
    if image.dtype != np.float32 or image.shape != (1, *sizes[len(octaves) - 1], 3) or not np.isfinite(image).all():
        raise ValueError("not the picture of that octave")
    records = [
        OctaveRecord(
            values=tuple(float(value) for value in octave["values"]),
            clipped=float(octave["clipped"]),
            tile_side=int(octave["tile_side"]),
            together=int(octave["together"]),
        )
        for octave in octaves
    ]
    return Checkpoint(image, tuple(records))

"""Octaves that are done, on disk: a dream that is killed goes on with the octave after them. No TensorFlow here."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SUFFIX = ".octave.npz"


@dataclass(frozen=True)
class Checkpoint:
    """A picture between two octaves.

    Attributes:
        octaves: how many are done.
        image: float32, shape (1, height, width, 3), as the last of them left it.
        values: for each of them the objective before its first and its last step.
        clipped: for each of them the part of values at a limit.
    """

    octaves: int
    image: NDArray[np.float32]
    values: tuple[tuple[float, ...], ...]
    clipped: tuple[float, ...]


class Checkpoints:
    """A folder with at most one checkpoint for each picture and dream."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, key: str, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
        """Keeps this one in place of an earlier one; whole or not at all.

        identity: all that the state depends on; it is given back to nobody who asks with another.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        about = {"identity": dict(identity), "octaves": checkpoint.octaves, "values": checkpoint.values}
        about["clipped"] = checkpoint.clipped
        path = self._path(key)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with partial.open("wb") as stream:
                np.savez(stream, image=checkpoint.image, about=np.frombuffer(json.dumps(about).encode(), np.uint8))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def load(self, key: str, identity: Mapping[str, Any]) -> Checkpoint | None:
        """The checkpoint of this very dream, or None; one that is damaged or of another dream is removed."""
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                image, about = stored["image"], json.loads(stored["about"].tobytes())
            _check(image, about, identity)
            values = tuple(tuple(float(value) for value in pair) for pair in about["values"])
            return Checkpoint(int(about["octaves"]), image, values, tuple(map(float, about["clipped"])))
        except FileNotFoundError:
            return None
        except Exception:  # noqa: BLE001  # whatever a damaged file raises: the octaves are computed again
            self.forget(key)
            return None

    def forget(self, key: str) -> None:
        """Removes the checkpoint, if there is one."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not key or not all(letter.isalnum() or letter in "-_" for letter in key):
            raise ValueError(f"{key!r} cannot be the name of a checkpoint: letters, digits, - and _ only")
        return self._folder / f"{key}{_SUFFIX}"


def _check(image: NDArray[Any], about: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    if about["identity"] != json.loads(json.dumps(dict(identity))):
        raise ValueError("of another dream")
    if image.dtype != np.float32 or image.ndim != 4 or not np.isfinite(image).all():
        raise ValueError("not a picture")

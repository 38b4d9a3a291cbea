"""The files that Keras writes, looked into and bounded before Keras reads them. No TensorFlow and no Keras here.

They may be damaged, huge, or made to do harm. In all functions, `what` is the name of the file for people, in errors.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dream.errors import NetworkInvalid
from dream.networks.limits import MOST_BYTES

_BLOCK_BYTES = 1 << 20
_MOST_CONFIG_BYTES = 1 << 26
_MOST_LINKS = 100_000
_KERAS_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}


def check_hdf5(path: Path, what: str) -> None:
    """Sees that every array is in the file itself, and that all of them together have a size one can load.

    Raises:
        NetworkInvalid: a link or an array leads out of the file, there is too much of it, or it is damaged.
    """
    import h5py

    total, links = 0, 0
    with open_hdf5(path, what) as file:
        groups: list[Any] = [file]
        seen: set[int] = set()
        while groups:
            group = groups.pop()
            for name in group:
                links += 1
                if links > _MOST_LINKS or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise NetworkInvalid(f"{what} is refused: {name!r} leads out of it, or it has too many parts")
                part = group[name]
                if isinstance(part, h5py.Group):
                    # Hard links can make circles.
                    address = h5py.h5o.get_info(part.id).addr
                    if address not in seen:
                        seen.add(address)
                        groups.append(part)
                elif isinstance(part, h5py.Dataset):
                    if part.external or part.is_virtual:
                        raise NetworkInvalid(f"{what} is refused: the array {name!r} is kept outside of it")
                    total += part.nbytes
            if total > MOST_BYTES:
                raise NetworkInvalid(f"{what} is refused: its arrays take more than {MOST_BYTES >> 20} MB")


@contextmanager
def open_hdf5(path: Path, what: str) -> Iterator[Any]:
    """An HDF5 file open for reading; whatever goes wrong with it meanwhile is an error of this package.

    Raises:
        NetworkInvalid: it is damaged.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except Exception as error:  # a damaged file raises nearly anything
        raise NetworkInvalid(f"{what} is no whole HDF5 file: {_first_line(error)}") from error
    try:
        yield file
    except NetworkInvalid:
        raise
    except Exception as error:  # likewise
        raise NetworkInvalid(f"{what} is damaged: {_first_line(error)}") from error
    finally:
        file.close()


def keras_config(path: Path, what: str) -> dict[str, Any]:
    """The configuration of the whole model in a `.keras` or legacy `.h5` file, as it is written there.

    Raises:
        NetworkInvalid: it is damaged, holds what such a file has no use for, or unpacks to too much.
    """
    if zipfile.is_zipfile(path):
        text = _config_of_zip(path, what)
    else:
        with open_hdf5(path, what) as file:
            text = file.attrs.get("model_config", b"")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise NetworkInvalid(f"{what} holds no configuration of a Keras model") from error
    if not isinstance(config, dict):
        raise NetworkInvalid(f"{what} holds no configuration of a Keras model")
    return config


def unpack_keras_weights(path: Path, target: Path, what: str) -> None:
    """Writes the weights inside a `.keras` file to a file of their own, never more than is allowed.

    Raises:
        NetworkInvalid: the file is damaged, or unpacks to too much.
    """
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as reader, target.open("wb") as writer:
            while block := reader.read(_BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    raise NetworkInvalid(f"{what} is refused: it unpacks to more than {MOST_BYTES >> 20} MB")
                writer.write(block)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise NetworkInvalid(f"{what} is no whole .keras file: {_first_line(error)}") from error


def _config_of_zip(path: Path, what: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(what, members)
            with archive.open("config.json") as reader:
                return reader.read(_MOST_CONFIG_BYTES)
    except NetworkInvalid:
        raise
    except Exception as error:  # a damaged archive raises nearly anything
        raise NetworkInvalid(f"{what} is no whole .keras file: {_first_line(error)}") from error


def _check_members(what: str, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if len(set(names)) < len(names) or not set(names) <= _KERAS_MEMBERS:
        strange = ", ".join(repr(name) for name in names if name not in _KERAS_MEMBERS) or "a part twice"
        raise NetworkInvalid(f"{what} is refused: it holds {strange[:200]}")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise NetworkInvalid(f"{what} is refused: it unpacks to more than {MOST_BYTES >> 20} MB")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

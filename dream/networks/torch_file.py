"""Reads tensors out of a PyTorch checkpoint in the legacy format, without PyTorch and without running its pickles.

The file is five pickles (magic number, protocol version, system information, the tensors by name, the storage keys)
followed, for each storage key in turn, by an int64 element count and the raw little-endian elements.
A pickle can call anything it can name, so this reader lets it name four harmless things and nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from dream.errors import NetworkInvalid

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True)
class _View:
    """A tensor as the pickle describes it; its storage comes later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _view(storage: object, offset: object, shape: object, strides: object, *_unused: object) -> _View:
    if (
        not isinstance(storage, _Storage)
        or not isinstance(offset, int)
        or not _are_counts(shape)
        or not _are_counts(strides)
    ):
        _refuse("a tensor is described in an unknown way")
    return _View(storage, offset, shape, strides)


def _are_counts(value: object) -> TypeGuard[tuple[int, ...]]:
    return (
        isinstance(value, tuple)
        and len(value) <= _MOST_DIMENSIONS
        and all(isinstance(number, int) and number >= 0 for number in value)
    )


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch", "FloatStorage"): _StorageType(np.dtype("<f4")),
    ("torch", "LongStorage"): _StorageType(np.dtype("<i8")),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            _refuse(f"it asks for {module_name}.{global_name}, which a file of weights has no use for")

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) != 6:
            _refuse("a storage is described in an unknown way")
        kind, storage_type, key, _device, length, view = pid
        if (
            kind != "storage"
            or not isinstance(storage_type, _StorageType)
            or not isinstance(key, str)
            or not isinstance(length, int)
            or length < 0
            or view is not None
        ):
            _refuse("a storage is described in an unknown way")
        return _Storage(key, storage_type.dtype, length)


def read_torch_file(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a legacy checkpoint by name, each a contiguous array of its own (float32 or int64).

    Raises:
        NetworkInvalid: the bytes are not such a file, are cut short, or name anything but plain tensors.
    """
    stream = io.BytesIO(data)
    if _unpickle(stream) != _MAGIC or _unpickle(stream) != _PROTOCOL:
        _refuse("it does not begin as a legacy PyTorch checkpoint does")
    system = _unpickle(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        _refuse("its numbers are not little-endian")
    views = _unpickle(stream)
    keys = _unpickle(stream)
    if not isinstance(views, dict) or not isinstance(keys, list):
        _refuse("it holds no tensors by name")
    named: dict[str, _View] = {}
    for name, view in views.items():
        if not isinstance(name, str) or not isinstance(view, _View):
            _refuse(f"{name!r} is no tensor")
        named[name] = view
    storages = _read_storages(stream, keys, {view.storage.key: view.storage for view in named.values()})
    return {name: _materialize(name, view, storages) for name, view in named.items()}


def _unpickle(stream: io.BytesIO) -> Any:
    try:
        return _RestrictedUnpickler(stream).load()
    except NetworkInvalid:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise NetworkInvalid(f"the weights file cannot be read: {error}; fetch or install it again") from error


def _read_storages(stream: io.BytesIO, keys: list[Any], known: dict[str, _Storage]) -> dict[str, NDArray[Any]]:
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = known.get(key)
        if storage is None:
            _refuse(f"storage {key!r} belongs to no tensor")
        if int.from_bytes(stream.read(8), "little", signed=True) != storage.length:
            _refuse(f"storage {key!r} does not have the length it should")
        raw = stream.read(storage.length * storage.dtype.itemsize)
        if len(raw) != storage.length * storage.dtype.itemsize:
            _refuse("it is cut short")
        storages[key] = np.frombuffer(raw, dtype=storage.dtype)
    return storages


def _materialize(name: str, view: _View, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    elements = storages.get(view.storage.key)
    if elements is None or len(view.shape) != len(view.strides):
        _refuse(f"{name!r} has no storage")
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if 0 in view.shape or view.offset < 0 or last >= elements.size:
        _refuse(f"{name!r} reaches past its storage")
    window = np.lib.stride_tricks.as_strided(
        elements[view.offset :],
        shape=view.shape,
        strides=tuple(stride * elements.itemsize for stride in view.strides),
        writeable=False,
    )
    return np.array(window, order="C")


def _refuse(why: str) -> NoReturn:
    raise NetworkInvalid(f"the weights file is refused: {why}; fetch or install it again")

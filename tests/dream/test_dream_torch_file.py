from __future__ import annotations

import io
import os
import pickle
import struct
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from dream.errors import NetworkInvalid
from dream.networks.torch_file import read_torch_file

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class _Global:
    """Pickles as a reference to any name, without importing it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Storage:
    def __init__(self, kind: str, key: str, length: int) -> None:
        self.pid = ("storage", _Global("torch", kind), key, "cpu", length, None)


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())


class _Pickler(pickle._Pickler):  # the pure-Python one can be taught to write names
    def persistent_id(self, value: Any) -> Any:
        return value.pid if isinstance(value, _Storage) else None

    def save_name(self, value: _Global) -> None:
        self.write(b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n")

    def save_tensor(self, value: _Tensor) -> None:
        self.save_name(_Global("torch._utils", "_rebuild_tensor_v2"))
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch = {**pickle._Pickler.dispatch, _Global: save_name, _Tensor: save_tensor}  # noqa: RUF012  # as in the base


def dumped(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def checkpoint(tensors: Any, keys: list[str], *storages: bytes, magic: int = MAGIC, system: Any = SYSTEM) -> bytes:
    return b"".join([dumped(magic), dumped(1001), dumped(system), dumped(tensors), dumped(keys), *storages])


def stored(values: np.ndarray) -> bytes:
    return struct.pack("<q", values.size) + values.tobytes()


NUMBERS = np.arange(24, dtype="<f4")


def one(shape: tuple[int, ...], strides: tuple[int, ...], *, offset: int = 0, length: int = 24) -> Any:
    return OrderedDict(a=_Tensor(_Storage("FloatStorage", "0", length), offset, shape, strides))


def test_reads_plain_strided_and_shared_tensors():
    storage = _Storage("FloatStorage", "0", 24)
    tensors = OrderedDict(
        plain=_Tensor(storage, 0, (4, 6), (6, 1)),
        turned=_Tensor(storage, 0, (6, 4), (1, 6)),
        part=_Tensor(storage, 3, (2,), (1,)),
        count=_Tensor(_Storage("LongStorage", "1", 1), 0, (), ()),
    )

    read = read_torch_file(checkpoint(tensors, ["0", "1"], stored(NUMBERS), stored(np.array([7], "<i8"))))

    np.testing.assert_array_equal(read["plain"], NUMBERS.reshape(4, 6))
    np.testing.assert_array_equal(read["turned"], NUMBERS.reshape(4, 6).T)
    np.testing.assert_array_equal(read["part"], [3, 4])
    assert read["count"] == 7
    assert read["count"].dtype == np.int64


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "load"), ("collections", "deque")],
)
def test_a_pickle_that_names_anything_else_is_refused_before_it_runs(module: str, name: str):
    data = checkpoint(OrderedDict(a=_Global(module, name)), [])

    with pytest.raises(NetworkInvalid, match=f"{module}.{name}"):
        read_torch_file(data)


class _Malice:
    def __reduce__(self) -> Any:
        return os.mkdir, (MALICE_FOLDER,)


MALICE_FOLDER = "made-by-a-pickle"


@pytest.mark.parametrize("place", range(5))
def test_a_malicious_pickle_anywhere_in_the_file_runs_nothing(
    place: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    parts = [dumped(MAGIC), dumped(1001), dumped(SYSTEM), dumped(one((24,), (1,))), dumped(["0"])]
    parts[place] = pickle.dumps(_Malice(), protocol=2)

    with pytest.raises(NetworkInvalid, match="mkdir"):
        read_torch_file(b"".join(parts) + stored(NUMBERS))

    assert list(tmp_path.iterdir()) == []
    pickle.loads(parts[place])
    assert (tmp_path / MALICE_FOLDER).is_dir(), "the pickle is harmless, so this test shows nothing"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip file",
        checkpoint(one((24,), (1,)), ["0"], stored(NUMBERS), magic=1),
        checkpoint(one((24,), (1,)), ["0"], stored(NUMBERS), system={"little_endian": False}),
        checkpoint(one((24,), (1,)), ["0"], stored(NUMBERS)[:-1]),
        checkpoint(one((24,), (1,)), ["0"], stored(NUMBERS[:-1])),
        checkpoint(one((24,), (1,)), []),
        checkpoint(one((24,), (1,)), ["0", "1"], stored(NUMBERS), stored(NUMBERS)),
        checkpoint(one((25,), (1,)), ["0"], stored(NUMBERS)),
        checkpoint(one((4, 6), (6, 2)), ["0"], stored(NUMBERS)),
        checkpoint(one((4,), (1,), offset=21), ["0"], stored(NUMBERS)),
        checkpoint(one((4,), (-1,), offset=8), ["0"], stored(NUMBERS)),
        checkpoint(one((4,), (1,), offset=-8), ["0"], stored(NUMBERS)),
        checkpoint(one((4, 6), (1,)), ["0"], stored(NUMBERS)),
        checkpoint(one((24,), (1,), length=-1), ["0"], stored(NUMBERS)),
        checkpoint(one((1,), (1,), length=2**60), ["0"], struct.pack("<q", 2**60)),
        checkpoint({"a": 1}, []),
        checkpoint([1], []),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_words(data: bytes):
    with pytest.raises(NetworkInvalid, match="weights file"):
        read_torch_file(data)

"""What a worker process may be asked to run in tests: decoders that hang, overrun, crash and lie."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Mapping
from typing import Any


def run(options: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Do what the bytes say; `options` are given back."""
    what = data.decode("ascii").partition(" ")[0]
    return globals()[f"do_{what}"](options, data)


def do_echo(options: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    return {"options": dict(options), "length": len(data), "pid": os.getpid()}


def do_sleep(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    time.sleep(1000)
    return {}


def do_hold(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    """Hang in C while holding Python's lock, so that no thread of this process can do anything."""
    ctypes.PyDLL(None).sleep(1000)
    return {}


def do_allocate(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    blocks = []
    while True:
        blocks.append(bytearray(16 * 2**20))


def do_segfault(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def do_exit(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    os._exit(3)


def do_raise(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    raise RuntimeError("a decoder's own error")


def do_print(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    print("libpng warning: what nobody asked")
    os.write(1, b"\0\0\0\2\0\0\0\0{}")
    sys.stdout.flush()
    return {"said": True}


def do_world(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    return {"environment": dict(os.environ), "session": os.getsid(0)}


def do_lie(_options: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    """An answer that no examination of a picture gives."""
    return {"pixel_sha256": "'; DROP TABLE items; --", "width": -1}


def hang_on_marked(options: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """As when ingesting, but a picture that ends with `HANG`, `CRASH` or `LIE` does so."""
    from pipeline.ingest.examining_task import run as examine

    if data.endswith(b"HANG"):
        return do_sleep(options, data)
    if data.endswith(b"CRASH"):
        return do_segfault(options, data)
    return do_lie(options, data) if data.endswith(b"LIE") else examine(options, data)

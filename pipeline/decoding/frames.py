"""What a worker process and its parent say to one another: frames of a JSON object and, perhaps, bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

_LENGTHS = struct.Struct(">II")
MAX_HEADER_BYTES = 2**20
"""A longer object is nothing that either side says: the other one has lost its mind."""


class FrameBroken(Exception):
    """The other side is gone, or says what is no frame."""


def write_frame(stream: IO[bytes], header: Mapping[str, Any], body: bytes = b"") -> None:
    """Send one frame: two lengths of four bytes, the object in JSON, the bytes.

    Raises:
        OSError: The other side is gone.
    """
    text = json.dumps(header).encode("ascii")
    stream.write(_LENGTHS.pack(len(text), len(body)) + text)
    stream.write(body)
    stream.flush()


def read_frame(stream: IO[bytes], *, max_body_bytes: int) -> tuple[dict[str, Any], bytes]:
    """The next frame.

    Raises:
        FrameBroken: There is none, it breaks off, or it is longer than it may be.
    """
    header_length, body_length = _LENGTHS.unpack(_read(stream, _LENGTHS.size))
    if header_length > MAX_HEADER_BYTES or body_length > max_body_bytes:
        raise FrameBroken(f"a frame of {header_length} and {body_length} bytes")
    try:
        header = json.loads(_read(stream, header_length))
    except ValueError as error:
        raise FrameBroken("a frame without JSON") from error
    if not isinstance(header, dict):
        raise FrameBroken("a frame without an object")
    return header, _read(stream, body_length)


def _read(stream: IO[bytes], length: int) -> bytes:
    try:
        data = stream.read(length)
    except (OSError, ValueError) as error:  # ValueError: closed here
        raise FrameBroken(str(error)) from error
    if len(data) < length:
        raise FrameBroken("the other side is gone")
    return data

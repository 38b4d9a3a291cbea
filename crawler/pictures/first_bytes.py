"""What the first bytes of a file tell: its format, its size, and which way up it is. Nothing is decoded. No I/O.

Only headers of a fixed layout are read, a few dozen bytes of each, so that no file can make it costly.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from crawler.pictures.finds import Seen
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.formats import MEDIA_TYPES, sniff, webp_size
from pipeline.records import Outcome

LEAST = 64
"""Bytes by which every format that is known here can be told from the others."""

_ENOUGH = 32 * 2**10
"""Bytes by which a PNG that is turned says so, or is taken as it is."""

_MOST_BLOCKS = 1000
"""A file with more blocks than this before its size is left to the decoder, which reads all of it anyhow."""

# JPEG: ITU T.81, annex B. Any number of fill bytes may stand before a marker (B.1.1.2).
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})  # markers without a segment
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_TURNED = frozenset({5, 6, 7, 8})  # by EXIF's count: width and height change places
_ORIENTATION_TAG, _SHORT = 0x0112, 3


def read_first_bytes(data: bytes) -> Seen | Trouble | None:
    """What these first bytes of a file tell.

    Returns:
        What was seen: with the size, or without when it cannot be read and more bytes would not help; or why no
        picture that is kept can come of the file; or None when more bytes are needed. Never raises.
    """
    if len(data) < LEAST:
        return None
    kind = sniff(data)
    if kind.name not in MEDIA_TYPES:
        if kind.is_image:
            allowed = ", ".join(MEDIA_TYPES)
            return Trouble(
                Outcome.FAILED, Reason.FORMAT_NOT_ALLOWED, f"a picture of the format {kind.name}; kept are {allowed}"
            )
        return Trouble(Outcome.FAILED, Reason.NOT_AN_IMAGE, f"{kind.name}, not a picture")
    size = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif}[kind.name](data)
    return None if size is None else Seen(size[0] or None, size[1] or None, MEDIA_TYPES[kind.name])


def read_whole(data: bytes) -> Seen | Trouble:
    """What a file tells that has no more bytes than these, be they few; never raises."""
    found = read_first_bytes(data if len(data) >= LEAST else data.ljust(LEAST, b"\0"))
    if found is None:
        return Seen(media_type=MEDIA_TYPES.get(sniff(data).name))
    return found


_Size = tuple[int, int]
_UNREADABLE: _Size = (0, 0)


def _jpeg(data: bytes) -> _Size | None:
    """Width and height, upright; (0, 0) when they cannot be read, None when they are not there yet."""
    position = 2
    orientations = {_EXIF: 0, _XMP: 0}
    for _ in range(_MOST_BLOCKS):
        found = _MARKER.match(data, position)
        if found is None:
            # Either the end of what is here, perhaps in the middle of fill bytes, or no marker where one must be.
            return None if not data[position:].strip(b"\xff") else _UNREADABLE
        marker, position = found[1][0], found.end()
        if marker in _ALONE:
            continue
        if marker == _START_OF_SCAN:
            return _UNREADABLE
        if position + 7 > len(data):
            return None
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2:
            return _UNREADABLE
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 3)
            return _upright(width, height, orientations[_EXIF] or orientations[_XMP])
        if marker == _APP1:
            _read_app1(data[position + 2 : position + length], orientations)
        position += length
    return _UNREADABLE


def _read_app1(segment: bytes, orientations: dict[bytes, int]) -> None:
    """Note the orientation that a segment tells; the first of each kind counts."""
    if segment.startswith(_EXIF):
        orientations[_EXIF] = orientations[_EXIF] or _exif_orientation(segment[len(_EXIF) :])
    elif segment.startswith(_XMP):
        orientations[_XMP] = orientations[_XMP] or _xmp_orientation(segment)


def _png(data: bytes) -> _Size | None:
    """Width and height, upright. Source: the PNG specification, sections Chunk layout, IHDR and eXIf."""
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if (length, kind) != (13, b"IHDR"):
        return _UNREADABLE
    orientation, position = 0, 33
    for _ in range(_MOST_BLOCKS):
        if position + 8 > len(data):
            if len(data) < _ENOUGH:
                return None  # how it is turned may still come
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            break
        if kind == b"eXIf" and position + 8 + length <= len(data):
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
        position += 12 + length
    return _upright(width, height, orientation)


def _webp(data: bytes) -> _Size | None:
    """Width and height, upright. Source: the WebP container specification, section Extended File Format."""
    size = webp_size(data)
    if size is None:
        return _UNREADABLE
    has_exif = data[12:16] == b"VP8X" and data[20] & 0x08
    # The block stands behind the pixels, so only a small file shows it here.
    return _upright(*size, _riff_orientation(data) if has_exif else 0)


def _riff_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MOST_BLOCKS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return _exif_orientation(data[position + 8 : position + 8 + length].removeprefix(_EXIF))
        position += 8 + length + length % 2
    return 0


def _gif(data: bytes) -> _Size | None:
    """Width and height of what its first frame is drawn on. Source: the GIF89a specification, sections 18 to 26.

    A first frame that reaches beyond the logical screen enlarges it, as decoders do.
    """
    screen_width, screen_height = struct.unpack_from("<HH", data, 6)
    position = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    for _ in range(_MOST_BLOCKS):
        if position + 9 > len(data):
            return None
        introducer = data[position]
        if introducer == 0x2C:  # an image descriptor
            left, top, width, height = struct.unpack_from("<HHHH", data, position + 1)
            return max(screen_width, left + width), max(screen_height, top + height)
        if introducer != 0x21:  # an extension
            return _UNREADABLE
        position += 2
        for length in _sub_blocks(data, position):
            position += 1 + length
        position += 1
    return _UNREADABLE


def _sub_blocks(data: bytes, position: int) -> Iterator[int]:
    """The lengths of the data sub-blocks from here to their terminator, or to the end of what is here."""
    while position < len(data) and (length := data[position]):
        yield length
        position += 1 + length


def _upright(width: int, height: int, orientation: int) -> _Size:
    return (height, width) if orientation in _TURNED else (width, height)


def _exif_orientation(tiff: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 0 when it does not say. Source: TIFF 6.0, section 2."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 10:
        return 0
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return 0
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    entry = struct.Struct(f"{order}HHIH")
    for number in range(min(count, (len(tiff) - start - 2) // 12, _MOST_BLOCKS)):
        tag, kind, _values, value = entry.unpack_from(tiff, start + 2 + 12 * number)
        if tag == _ORIENTATION_TAG:
            return value if kind == _SHORT and 1 <= value <= 8 else 0
    return 0


def _xmp_orientation(packet: bytes) -> int:
    found = _XMP_ORIENTATION.search(packet)
    return int(found[1]) if found else 0

"""Where PNG, JPEG and WebP keep their XMP packet. Reads bytes from anyone: whatever is odd means "none"."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

MAX_PACKET_BYTES = 4 * 1024 * 1024

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEYWORD = b"XML:com.adobe.xmp"
_JPEG_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\x00"
# Markers that stand alone, without a length after them: TEM, RST0 to RST7, SOI.
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = 0xD9
_JPEG_APP1 = 0xE1


def find_xmp(data: bytes) -> bytes | None:
    """The first XMP packet of a PNG, JPEG or WebP file, or None.

    Sources: PNG specification section 11.3.3.4 (iTXt), XMP part 3 (JPEG APP1), WebP container specification.
    """
    if data.startswith(_PNG_SIGNATURE):
        packets = _png(data)
    elif data.startswith(b"\xff\xd8"):
        packets = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        packets = _webp(data)
    else:
        return None
    packet = next(packets, None)
    return None if packet is None or len(packet) > MAX_PACKET_BYTES else packet


def _png(data: bytes) -> Iterator[bytes]:
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        if len(body) < length:
            return
        position += 12 + length
        if kind != b"iTXt" or not body.startswith(_PNG_KEYWORD + b"\x00"):
            continue
        compressed, method = body[len(_PNG_KEYWORD) + 1 : len(_PNG_KEYWORD) + 2], body[len(_PNG_KEYWORD) + 2 :][:1]
        # After the two flags stand a language tag and a translated keyword, each ended by a zero byte.
        parts = body[len(_PNG_KEYWORD) + 3 :].split(b"\x00", 2)
        if len(parts) < 3 or method != b"\x00":
            continue
        if compressed == b"\x01":
            yield from _inflate(parts[2])
        else:
            yield parts[2]


def _inflate(data: bytes) -> Iterator[bytes]:
    try:
        yield zlib.decompressobj().decompress(data, MAX_PACKET_BYTES + 1)
    except zlib.error:
        return


def _jpeg(data: bytes) -> Iterator[bytes]:
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _JPEG_BARE:
            position += 2
            continue
        if marker in {_JPEG_START_OF_SCAN, _JPEG_END}:
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        if length < 2 or len(body) < length - 2:
            return
        if marker == _JPEG_APP1 and body.startswith(_JPEG_NAMESPACE):
            yield body[len(_JPEG_NAMESPACE) :]
        position += 2 + length


def _webp(data: bytes) -> Iterator[bytes]:
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        body = data[position + 8 : position + 8 + length]
        if len(body) < length:
            return
        if data[position : position + 4] == b"XMP ":
            yield body
        position += 8 + length + length % 2

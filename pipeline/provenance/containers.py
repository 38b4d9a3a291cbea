"""Where PNG, JPEG and WebP keep their XMP packet and their C2PA manifest store.

Reads bytes from anyone: whatever is odd means "none".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PACKET_BYTES = 4 * 1024 * 1024

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEYWORD = b"XML:com.adobe.xmp"
_PNG_C2PA = b"caBX"
_JPEG_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\x00"
# Markers that stand alone, without a length after them: TEM, RST0 to RST7, SOI.
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = 0xD9
_JPEG_APP1 = 0xE1
_JPEG_APP11 = 0xEB
_JPEG_JUMBF = b"JP"
# The box instance number that the C2PA library writes. The standard leaves it open, and no signature reaches it.
_JPEG_INSTANCE = b"\x02\x11"
_WEBP_C2PA = b"C2PA"
# How the type of the outermost box of a store begins.
_JUMBF_C2PA = b"c2pa"


@dataclass(frozen=True)
class ManifestStore:
    """A C2PA manifest store as it was found in a file.

    Attributes:
        data: Its JUMBF boxes.
        problem: What in the file's own framing of them is not as the C2PA library writes it, or empty. No signature
            reaches these bytes.
    """

    data: bytes
    problem: str = ""


def find_xmp(data: bytes) -> bytes | None:
    """The first XMP packet of a PNG, JPEG or WebP file, or None.

    Sources: PNG specification section 11.3.3.4 (iTXt), XMP part 3 (JPEG APP1), WebP container specification.
    """
    packet: bytes | None = None
    if data.startswith(_PNG_SIGNATURE):
        packet = next(_png_packets(data), None)
    elif data.startswith(b"\xff\xd8"):
        found = (body for marker, body in _segments(data) if marker == _JPEG_APP1)
        packets = (body.removeprefix(_JPEG_NAMESPACE) for body in found if body.startswith(_JPEG_NAMESPACE))
        packet = next(packets, None)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        packet = next((body for kind, body in _riff_chunks(data) if kind == b"XMP "), None)
    return None if packet is None or len(packet) > MAX_PACKET_BYTES else packet


def find_manifest_store(data: bytes) -> ManifestStore | None:
    """The first C2PA manifest store of a PNG, JPEG or WebP file, or None.

    Source: C2PA specification 2.2, appendix A.
    """
    if data.startswith(_PNG_SIGNATURE):
        return next(
            (
                ManifestStore(body, "" if zlib.crc32(kind + body) == crc else "its chunk does not have its checksum")
                for kind, body, crc in _png_chunks(data)
                if kind == _PNG_C2PA
            ),
            None,
        )
    if data.startswith(b"\xff\xd8"):
        return _jpeg_store([body for marker, body in _segments(data) if marker == _JPEG_APP11])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return next((ManifestStore(body) for kind, body in _riff_chunks(data) if kind == _WEBP_C2PA), None)
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """(kind, content, checksum as it stands there) of each chunk."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        if len(body) < length:
            return
        yield kind, body, int.from_bytes(data[position + 8 + length : position + 12 + length], "big")
        position += 12 + length


def _png_packets(data: bytes) -> Iterator[bytes]:
    for kind, body, _crc in _png_chunks(data):
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


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of each segment of a JPEG before the picture itself."""
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
        yield marker, body
        position += 2 + length


def _jpeg_store(segments: list[bytes]) -> ManifestStore | None:
    """The boxes of APP11 segments joined; each has `JP`, an instance number, its place and the box's header first.

    Other things than C2PA keep boxes there as well, under another number.
    """
    by_instance: dict[bytes, list[bytes]] = {}
    for body in segments:
        if body.startswith(_JPEG_JUMBF) and len(body) >= 16:
            by_instance.setdefault(body[2:4], []).append(body)
    for instance, parts in by_instance.items():
        first = parts[0]
        if first[12:16] != b"jumb" or first[24:28] != _JUMBF_C2PA:
            continue
        in_order = all(
            int.from_bytes(body[4:8], "big") == place and body[8:16] == first[8:16]
            for place, body in enumerate(parts, start=1)
        )
        data = first[8:] + b"".join(body[16:] for body in parts[1:])
        as_usual = in_order and instance == _JPEG_INSTANCE
        return ManifestStore(data, "" if as_usual else "its segments are numbered in another way")
    return None


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        body = data[position + 8 : position + 8 + length]
        if len(body) < length:
            return
        yield data[position : position + 4], body
        position += 8 + length + length % 2

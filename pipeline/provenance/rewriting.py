"""Puts another XMP packet into a dream's file, and leaves every other byte of the picture as it is.

A JPEG that were decoded and encoded again would show other pixels; so the parts of the file are moved as they are. Only
files that were written here are given to it. A C2PA manifest goes, as it would not hold for what comes out.

Sources: PNG specification section 5; JPEG (ISO 10918-1) annex B; WebP container specification.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_XMP = b"XML:com.adobe.xmp\x00"
# Keyword, no compression, method 0, no language, no translated keyword.
_PNG_XMP_HEAD = _PNG_XMP + b"\x00\x00\x00\x00"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_JPEG_APP1, _JPEG_APP11, _JPEG_SCAN = 0xE1, 0xEB, 0xDA


class NotRewritable(ValueError):
    """A file that is not laid out as those that are written here."""


def with_packet(data: bytes, packet: bytes) -> bytes:
    """The same picture with this XMP packet in place of its own, and without a C2PA manifest.

    data: a PNG, JPEG or WebP file with an XMP packet, whole.

    Raises:
        NotRewritable: It is none, or the packet does not fit into its format.
    """
    if data.startswith(_PNG_SIGNATURE):
        parts, head = list(_png(data, packet)), _PNG_SIGNATURE
    elif data.startswith(b"\xff\xd8"):
        parts, head = list(_jpeg(data, packet)), b"\xff\xd8"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        parts, head = list(_webp(data, packet)), b""
    else:
        raise NotRewritable("it is no PNG, JPEG or WebP file")
    if not any(changed for changed, _part in parts):
        raise NotRewritable("it has no XMP packet")
    body = b"".join(part for _changed, part in parts)
    return head + body if head else b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def _png(data: bytes, packet: bytes) -> Iterator[tuple[bool, bytes]]:
    """(whether it is the packet, bytes) of each chunk."""
    position, ended = len(_PNG_SIGNATURE), False
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        chunk = data[position : position + 12 + length]
        if ended or len(chunk) < 12 + length:
            raise NotRewritable("it ends early or has something behind its end")
        kind = chunk[4:8]
        if kind == b"iTXt" and chunk[8:].startswith(_PNG_XMP):
            content = kind + _PNG_XMP_HEAD + packet
            yield True, (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
        elif kind != b"caBX":
            yield False, chunk
        position, ended = position + len(chunk), kind == b"IEND"


def _jpeg(data: bytes, packet: bytes) -> Iterator[tuple[bool, bytes]]:
    """(whether it is the packet, bytes) of each segment; the scan and all after it are one."""
    position = 2
    while True:
        marker = data[position + 1 : position + 2]
        if data[position : position + 1] != b"\xff" or not marker:
            raise NotRewritable("its segments do not follow one another")
        if marker[0] == _JPEG_SCAN:
            yield False, data[position:]
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position : position + 2 + length]
        if length < 2 or len(segment) < 2 + length:
            raise NotRewritable("it ends early")
        if marker[0] == _JPEG_APP1 and segment[4:].startswith(_JPEG_XMP):
            size = 2 + len(_JPEG_XMP) + len(packet)
            if size > 0xFFFF:
                raise NotRewritable("the packet is too long for a JPEG")
            yield True, segment[:2] + size.to_bytes(2, "big") + _JPEG_XMP + packet
        elif not (marker[0] == _JPEG_APP11 and segment[4:6] == b"JP"):
            yield False, segment
        position += len(segment)


def _webp(data: bytes, packet: bytes) -> Iterator[tuple[bool, bytes]]:
    """(whether it is the packet, bytes) of each chunk."""
    position = 12
    while position < len(data):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        padded = 8 + length + length % 2
        chunk = data[position : position + padded]
        if len(chunk) < padded:
            raise NotRewritable("it ends early")
        if kind == b"XMP ":
            yield True, kind + len(packet).to_bytes(4, "little") + packet + b"\x00" * (len(packet) % 2)
        elif kind != b"C2PA":
            yield False, chunk
        position += padded

"""What a file is by its first bytes, and what can be read of a picture without decoding it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
"""The formats that are kept."""

MAX_FRAMES_COUNTED = 10_000

_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"IDAT"})


@dataclass(frozen=True)
class FileKind:
    """What a file seems to be.

    Attributes:
        name: Of the format, such as `JPEG`; for other files words that fit a sentence, such as `an HTML page`.
        is_image: Whether it is a picture of some kind.
    """

    name: str
    is_image: bool


_IMAGE_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x02\x00", "ICO"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"qoif", "QOI"),
    (b"#?RADIANCE", "HDR"),
    (b"v/1\x01", "OpenEXR"),
    (b"FLIF", "FLIF"),
    (b"DDS ", "DDS"),
)
_OTHER_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x1aE\xdf\xa3", "a video"),
)
_FTYP_IMAGES = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC"}
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_MARKUP_WINDOW = 1024


def sniff(data: bytes) -> FileKind:
    """What these bytes seem to be, whatever a server or a file name says of them."""
    for signature, name in _IMAGE_SIGNATURES:
        if data.startswith(signature):
            return FileKind(name, is_image=True)
    if data[:4] == b"RIFF" and len(data) >= 12:
        return FileKind("WEBP", is_image=True) if data[8:12] == b"WEBP" else FileKind("a RIFF file", is_image=False)
    if data[4:8] == b"ftyp":
        image = _FTYP_IMAGES.get(data[8:12])
        return FileKind(image, is_image=True) if image else FileKind("a video", is_image=False)
    if data[:2] == b"BM" and len(data) >= 18 and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return FileKind("BMP", is_image=True)
    for signature, name in _OTHER_SIGNATURES:
        if data.startswith(signature):
            return FileKind(name, is_image=False)
    return _sniff_text(data)


def _sniff_text(data: bytes) -> FileKind:
    head = data[:_MARKUP_WINDOW].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in head and head.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")):
        return FileKind("SVG", is_image=True)
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in head:
        return FileKind("an HTML page", is_image=False)
    if head.startswith(b"<?xml"):
        return FileKind("an XML document", is_image=False)
    if head.startswith((b"{", b"[")):
        return FileKind("a JSON document", is_image=False)
    if head and b"\x00" not in data[:_MARKUP_WINDOW]:
        try:
            data[:_MARKUP_WINDOW].decode("utf-8", errors="strict" if len(data) <= _MARKUP_WINDOW else "ignore")
        except UnicodeDecodeError:
            return FileKind("unknown data", is_image=False)
        if sum(byte < 9 for byte in head) == 0:
            return FileKind("text", is_image=False)
    return FileKind("unknown data", is_image=False)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas from its header, or None when the header is not understood.

    Source: the WebP container specification, sections Extended File Format, Simple (lossy), Simple (lossless).
    """
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L" and len(data) >= 25 and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and len(data) >= 30 and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def count_gif_frames(data: bytes) -> int:
    """How many frames a GIF has, at most `MAX_FRAMES_COUNTED`, without decoding any.

    Source: the GIF89a specification, sections 18 to 26. A file that breaks off counts what came before.
    """
    if len(data) < 13:
        return 0
    position = 13 + _color_table_size(data[10])
    frames = 0
    while position < len(data) and frames < MAX_FRAMES_COUNTED:
        introducer = data[position]
        if introducer == 0x2C and position + 10 <= len(data):  # an image descriptor
            frames += 1
            # Over the descriptor, its colour table and the byte with the code size.
            position = _skip_blocks(data, position + 10 + _color_table_size(data[position + 9]) + 1)
        elif introducer == 0x21:  # an extension
            position = _skip_blocks(data, position + 2)
        else:
            break
    return frames


def _color_table_size(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, position: int) -> int:
    while position < len(data) and data[position] != 0:
        position += 1 + data[position]
    return position + 1


def is_cut_short(data: bytes, name: str) -> bool:
    """Whether a broken picture of a kept format ends before its structure says it should."""
    if name == "JPEG":
        return b"\xff\xd9" not in data[-64:]  # no end-of-image marker; some writers pad after it
    if name == "PNG":
        return _png_is_cut_short(data)
    if name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return not data.rstrip(b"\x00").endswith(b";")  # GIF's trailer


def png_has_wrong_checksum(data: bytes) -> bool:
    """Whether a chunk that pixels are made of does not have its CRC; the decoder would show noise instead.

    Source: the PNG specification, section CRC algorithm.
    """
    for kind, start, end in _png_chunks(data):
        if kind in _PIXEL_CHUNKS and end + 4 <= len(data):
            found = zlib.crc32(memoryview(data)[start - 4 : end])
            if found != int.from_bytes(data[end : end + 4], "big"):
                return True
    return False


def _png_is_cut_short(data: bytes) -> bool:
    end_of_file = False
    for kind, _start, end in _png_chunks(data):
        if not kind.isalpha():
            return False  # not a chunk: damaged, whatever its length
        if end + 4 > len(data):
            return True
        end_of_file = kind == b"IEND"
    return not end_of_file


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of the content, its end) of each chunk up to IEND; the last may claim more than there is."""
    position = 8
    while position + 8 <= len(data):
        kind = data[position + 4 : position + 8]
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        yield kind, position + 8, end
        if kind == b"IEND":
            return
        position = end + 4

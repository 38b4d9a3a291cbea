"""What first bytes tell, against what Pillow makes of the whole file."""

from __future__ import annotations

import io
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from crawler.pictures.finds import Seen
from crawler.pictures.first_bytes import LEAST, read_first_bytes, read_whole
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome
from tests.support.pictures import adobe_rgb_profile, file_of, scene, scene_file, xmp_packet

ORIENTATION = 0x0112


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x010E] = "a description before it"
    block[ORIENTATION] = orientation
    return block


def big_endian_exif(orientation: int) -> bytes:
    """TIFF 6.0: header, one directory with one SHORT entry, no next directory."""
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


def gif_with_a_frame_beyond_its_screen() -> bytes:
    """A logical screen of 10 x 10, and a first frame of 300 x 200 at (0, 0), after a comment."""
    whole = file_of(Image.new("L", (300, 200)), "GIF")
    start = 13 + 3 * 2 ** ((whole[10] & 7) + 1)  # behind the palette
    return whole[:6] + struct.pack("<HH", 10, 10) + whole[10:start] + b"\x21\xfe\x03abc\0" + whole[start:]


RGB = scene(1, width=301, height=200)
ALPHA = Image.fromarray(RGB).convert("RGBA")
FRAMES = [Image.fromarray(scene(seed, width=90, height=70)) for seed in range(3)]
FILES = {
    "jpeg": file_of(RGB, "JPEG"),
    "jpeg-progressive": file_of(RGB, "JPEG", progressive=True),
    "jpeg-grey": file_of(Image.fromarray(RGB).convert("L"), "JPEG"),
    "jpeg-cmyk": file_of(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "jpeg-profile": file_of(RGB, "JPEG", icc_profile=adobe_rgb_profile(), xmp=xmp_packet(title="A mill")),
    "jpeg-comment": file_of(RGB, "JPEG", comment=b"\xff\xc0 is no marker here" * 100),
    "jpeg-turned-in-xmp": file_of(RGB, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
    "jpeg-turned-big-endian": file_of(RGB, "JPEG", exif=big_endian_exif(5)),
    "png": file_of(RGB),
    "png-palette": file_of(Image.fromarray(RGB).convert("P")),
    "png-alpha": file_of(ALPHA),
    "png-turned": file_of(RGB, exif=exif(6)),
    "webp": file_of(RGB, "WEBP"),
    "webp-lossless": file_of(RGB, "WEBP", lossless=True),
    "webp-alpha": file_of(ALPHA, "WEBP"),
    "webp-turned": file_of(RGB, "WEBP", exif=exif(8)),
    "webp-animated": file_of(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]),
    "gif": file_of(RGB, "GIF"),
    "gif-animated": file_of(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], comment=b"x" * 500),
    "gif-frame-beyond-screen": gif_with_a_frame_beyond_its_screen(),
    **{f"jpeg-orientation-{number}": file_of(RGB, "JPEG", exif=exif(number)) for number in range(1, 9)},
}


def upright(data: bytes) -> Seen:
    with Image.open(io.BytesIO(data)) as image:
        media_type = Image.MIME[str(image.format)]
        return Seen(*ImageOps.exif_transpose(image).size, media_type)


@pytest.mark.parametrize("name", FILES)
def test_size_and_type_are_those_of_the_upright_picture(name: str) -> None:
    assert read_first_bytes(FILES[name]) == upright(FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_fewer_bytes_tell_the_same_or_nothing_yet(name: str) -> None:
    data = FILES[name]
    told = [read_first_bytes(data[:length]) for length in range(min(len(data) + 1, 3000))]
    sizes = {(seen.width, seen.height) for seen in told if seen is not None and not isinstance(seen, Trouble)}

    assert not [found for found in told if isinstance(found, Trouble)]
    # Where the orientation stands behind the pixels, it is not known from the first bytes.
    expected = upright(data)
    assert sizes <= {(expected.width, expected.height), (expected.height, expected.width)}
    if name != "webp-turned":
        assert sizes == {(expected.width, expected.height)}


def test_a_few_hundred_bytes_are_enough_for_a_usual_file() -> None:
    assert read_first_bytes(file_of(RGB, "JPEG")[:200]) == Seen(301, 200, "image/jpeg")


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"<!doctype html><title>Gone</title>" + b" " * 100, Reason.NOT_AN_IMAGE, "HTML"),
        (b'{"error": "not found"}' + b" " * 100, Reason.NOT_AN_IMAGE, "JSON"),
        (b"%PDF-1.7\n" + b"x" * 100, Reason.NOT_AN_IMAGE, "PDF"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 100, Reason.NOT_AN_IMAGE, "video"),
        (bytes(range(1, 250)), Reason.NOT_AN_IMAGE, "unknown data"),
        (b"\0" * 100, Reason.NOT_AN_IMAGE, "unknown data"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 100, Reason.FORMAT_NOT_ALLOWED, "AVIF"),
        (b"II*\0" + b"\0" * 100, Reason.FORMAT_NOT_ALLOWED, "TIFF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">' + b" " * 100, Reason.FORMAT_NOT_ALLOWED, "SVG"),
    ],
)
def test_what_is_no_picture_that_is_kept_has_failed(data: bytes, reason: Reason, word: str) -> None:
    found = read_first_bytes(data)

    assert isinstance(found, Trouble)
    assert (found.outcome, found.reason) == (Outcome.FAILED, reason)
    assert word in found.detail


def test_a_file_shorter_than_a_header_is_judged_once_it_is_whole() -> None:
    assert read_first_bytes(b"<html>") is None
    assert isinstance(read_whole(b"<html>"), Trouble)
    assert read_whole(b"\xff\xd8\xff cut off") == Seen(media_type="image/jpeg")
    assert read_whole(file_of(Image.new("L", (1, 1)), "GIF")) == Seen(1, 1, "image/gif")


JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
LONG = 128 * 2**10
HOSTILE = {
    "fill bytes": JPEG + b"\xff" * LONG,
    "markers alone": b"\xff\xd8" + b"\xff\xd0" * LONG,
    "empty segments": b"\xff\xd8" + b"\xff\xe0\0\2" * LONG,
    "a segment of no length": b"\xff\xd8\xff\xe0\0\0" + b"x" * 100,
    "a scan without a frame": b"\xff\xd8\xff\xda\0\x08" + b"x" * 100,
    "no marker": b"\xff\xd8\xff\xe0\0\4ab" + b"no marker" * 100,
    "a frame without a size": b"\xff\xd8\xff\xc0\0\x0b\x08" + b"\0" * 100,
    "exif that points nowhere": b"\xff\xd8\xff\xe1\0\x20Exif\0\0II*\0\xff\xff\xff\xff" + b"\0" * 100,
    "exif of many entries": b"\xff\xd8\xff\xe1\xff\xffExif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\0" * LONG,
    "png without header": PNG + b"\0\0\0\0IEND" + b"\0" * 100,
    "png of text": PNG + b"\0\0\0\rIHDR" + b"\0\0\1\0" * 2 + b"\0" * 9 + b"\0\0\0\0tEXt\0\0\0\0" * (LONG // 12),
    "png with a chunk of 4 GB": PNG + b"\0\0\0\rIHDR" + b"\0\0\1\0" * 2 + b"\0" * 9 + b"\xff\xff\xff\xffzTXt" * 9,
    "png of no size": PNG + b"\0\0\0\rIHDR" + b"\0" * 100,
    "gif of comments": b"GIF89a" + b"\0" * 7 + b"\x21\xfe\1x\0" * LONG,
    "gif of one comment": b"GIF89a" + b"\0" * 7 + b"\x21\xfe" + b"\1x" * LONG,
    "gif of nothing": b"GIF89a" + b"\xff" * 200,
    "webp of an unknown chunk": b"RIFF\0\0\0\0WEBPVP9 " + b"\0" * 100,
    "webp of empty chunks": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0" + b"\1\0\0" * 2 + b"ABCD\0\0\0\0" * LONG,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_left_to_the_decoder(name: str) -> None:
    for length in (LEAST, 100, 1000, len(HOSTILE[name])):
        found = read_first_bytes(HOSTILE[name][:length])

        assert not isinstance(found, Trouble)
    assert isinstance(read_whole(HOSTILE[name]), Seen)


MAGIC = [JPEG, b"\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0", PNG, PNG + b"\0\0\0\rIHDR", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X"]


@given(st.sampled_from([*MAGIC, b""]), st.binary(max_size=300))
def test_no_bytes_break_the_reader(magic: bytes, data: bytes) -> None:
    assert isinstance(read_first_bytes(magic + data), Seen | Trouble | None)
    assert isinstance(read_whole(magic + data), Seen | Trouble)


@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5))
def test_no_damage_to_a_header_breaks_the_reader(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[name][:2000])
    for position, value in changes:
        data[position % len(data)] = value

    assert isinstance(read_first_bytes(bytes(data)), Seen | Trouble | None)


def test_a_large_profile_before_the_size_needs_more_bytes() -> None:
    data = scene_file(3, "JPEG", icc_profile=os.urandom(100_000))

    assert read_first_bytes(data[: 32 * 2**10]) is None
    assert read_first_bytes(data[: 128 * 2**10]) == Seen(160, 120, "image/jpeg")

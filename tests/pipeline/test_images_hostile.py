from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import ImageRejected, Reason
from pipeline.formats import MAX_FRAMES_COUNTED, count_gif_frames
from pipeline.images import ImageLimits, decode, embedded_facts, thumbnail
from tests.support.pictures import file_of, scene, scene_file, xmp_packet

ANY_SIZE = ImageLimits(min_side=1)
ZOO = {
    "JPEG": scene_file(1, "JPEG", width=80, height=70),
    "PNG": scene_file(1, "PNG", width=80, height=70),
    "WEBP": scene_file(1, "WEBP", width=80, height=70),
    "WEBP lossless": scene_file(1, "WEBP", width=80, height=70, lossless=True),
    "GIF": scene_file(1, "GIF", width=80, height=70),
    "JPEG progressive": scene_file(1, "JPEG", width=80, height=70, progressive=True),
    "PNG palette": file_of(Image.fromarray(scene(1, width=80, height=70)).quantize(64), transparency=3),
    "JPEG with XMP": scene_file(1, "JPEG", width=80, height=70, xmp=xmp_packet(title="t", rights="r")),
}


def _reason(data: bytes, limits: ImageLimits = ANY_SIZE) -> Reason:
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits=limits)
    assert caught.value.detail
    return caught.value.reason


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400), start=st.sampled_from([b"", *(data[:30] for data in ZOO.values())]))
@example(data=b"", start=b"")
def test_any_bytes_are_decoded_or_rejected(data: bytes, start: bytes) -> None:
    with suppress(ImageRejected):
        decode(start + data, limits=ANY_SIZE)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(ZOO)),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.none() | st.floats(0, 1),
)
def test_damaged_pictures_are_decoded_or_rejected(
    name: str, edits: list[tuple[float, bytes]], cut: float | None
) -> None:
    data = bytearray(ZOO[name])
    for where, what in edits:
        start = int(where * len(data))
        data[start : start + len(what)] = what
    if cut is not None:
        del data[int(cut * len(data)) :]

    with suppress(ImageRejected):
        found = decode(bytes(data), limits=ImageLimits(min_side=1, max_pixels=1_000_000))
        assert found.rgb.dtype == np.uint8
        assert found.rgb.shape == (found.height, found.width, 3)


@pytest.mark.parametrize("name", sorted(ZOO))
@pytest.mark.parametrize("part", [0.4, 0.7, 0.9])
def test_a_file_that_ends_early_is_truncated(name: str, part: float) -> None:
    data = ZOO[name]

    assert _reason(data[: int(part * len(data))]) is Reason.TRUNCATED


@pytest.mark.parametrize("name", ["PNG", "GIF", "WEBP lossless"])
def test_a_whole_file_with_noise_inside_is_corrupt(name: str) -> None:
    data = bytearray(ZOO[name])
    middle = len(data) // 2
    data[60 : middle + 60] = np.random.default_rng(1).bytes(middle)

    if name == "GIF":  # any codes are colours in a GIF; spoil the code size instead
        data = bytearray(ZOO[name])
        data[data.index(b"\x2c", 13 + 768) + 10] = 99
    assert _reason(bytes(data)) is Reason.CORRUPT


def test_no_bytes_are_empty() -> None:
    assert _reason(b"") is Reason.EMPTY


def test_a_long_file_is_refused_before_it_is_looked_at() -> None:
    assert _reason(b"\xff\xd8\xff" + bytes(2000), ImageLimits(max_bytes=2000)) is Reason.TOO_MANY_BYTES


@pytest.mark.parametrize(("width", "height"), [(63, 200), (200, 63), (1, 1)])
def test_a_picture_with_a_short_side_is_too_small(width: int, height: int) -> None:
    assert _reason(scene_file(1, width=width, height=height), ImageLimits()) is Reason.TOO_SMALL


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (scene_file(1, "TIFF"), "TIFF"),
        (scene_file(1, "BMP"), "BMP"),
        (scene_file(1, "AVIF"), "AVIF"),
        (scene_file(1, "ICO", width=32, height=32), "ICO"),
        (scene_file(1, "JPEG2000"), "JPEG 2000"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn by hand -->\n<svg/>', "SVG"),
    ],
)
def test_a_picture_in_another_format_is_named(data: bytes, said: str) -> None:
    with pytest.raises(ImageRejected, match=said) as caught:
        decode(data)
    assert caught.value.reason is Reason.FORMAT_NOT_ALLOWED


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b"\n  <HTML><p>no</p>", "an HTML page"),
        (b'<!doctype html><html><body><svg width="1"></svg></body></html>', "an HTML page"),
        (b'{"error": "not found"}', "JSON"),
        (b"Not found", "text"),
        ("ä".encode() * 600, "text"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(20), "video"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "RIFF"),
        (b"\x01\x02\x03\x00\x00", "unknown"),
    ],
)
def test_what_is_no_picture_is_said(data: bytes, said: str) -> None:
    with pytest.raises(ImageRejected, match=said) as caught:
        decode(data)
    assert caught.value.reason is Reason.NOT_AN_IMAGE


def _png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(3_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(ZOO["JPEG"])
    start_of_frame = data.index(b"\xff\xc0")
    data[start_of_frame + 5 : start_of_frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _gif_claiming(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + ZOO["GIF"][10:]


def _gif_with_a_frame_of(width: int, height: int) -> bytes:
    data = bytearray(ZOO["GIF"])
    descriptor = data.index(b"\x2c", 13 + 768)
    data[descriptor + 5 : descriptor + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def _webp_claiming(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + canvas
    body = b"WEBP" + extended + ZOO["WEBP"][12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "data",
    [
        _png_claiming(8_000, 8_000),
        _png_claiming(11_000, 11_000),
        _png_claiming(60_000, 60_000),
        _png_claiming(2**31 - 1, 2**31 - 1),
        _jpeg_claiming(65_000, 65_000),
        _jpeg_claiming(9_000, 9_000),
        _gif_claiming(65_000, 65_000),
        _gif_with_a_frame_of(65_000, 65_000),
        _webp_claiming(16_000, 16_000),
    ],
    ids=["png", "png 121 MP", "png 3.6 GP", "png 4 EP", "jpeg", "jpeg 81 MP", "gif", "gif frame", "webp"],
)
def test_a_bomb_is_refused_on_its_header(data: bytes) -> None:
    with pytest.raises(
        ImageRejected, match=re.compile("pixels|unpacks|could be decompression", re.IGNORECASE)
    ) as caught:
        decode(data, limits=ImageLimits())
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def test_a_bomb_costs_no_memory() -> None:
    script = (
        "import resource, sys\n"
        "from pipeline.errors import ImageRejected\n"
        "from pipeline.images import decode\n"
        "data = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    decode(data)\n"
        "except ImageRejected as error:\n    print(error.reason.value)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=_png_claiming(60_000, 60_000), capture_output=True, check=True
    )

    reason, grown = done.stdout.decode().split()
    assert reason == "too_many_pixels"
    assert int(grown) < 50_000  # KiB


def test_a_text_chunk_that_unpacks_to_gigabytes_does_no_harm() -> None:
    packed = zlib.compress(bytes(200_000_000), 9)
    text = b"Comment\0\0" + packed
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    data = ZOO["PNG"][:33] + chunk + ZOO["PNG"][33:]

    assert _reason(data) is Reason.CORRUPT


def test_counting_the_frames_of_an_endless_gif_ends() -> None:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    data = b"GIF89a" + struct.pack("<HHBBB", 80, 80, 0x80, 0, 0) + bytes(6) + frame * 200_000 + b";"

    assert count_gif_frames(data) == MAX_FRAMES_COUNTED


@pytest.mark.parametrize("count", [1, 2, 7])
def test_frames_are_counted_as_pillow_counts_them(count: int) -> None:
    frames = [Image.fromarray(scene(number, width=40, height=30)) for number in range(count)]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])

    with Image.open(io.BytesIO(data)) as image:
        assert count_gif_frames(data) == image.n_frames == count


_ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "boom" * 10}">' for n in range(9))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"not XML",
        b"<x:xmpmeta",
        b"\xff\xfe\x00",
        f"<!DOCTYPE x [{_ENTITIES}]><x>&e8;</x>".encode(),
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
        b"<a>" * 20_000 + b"</a>" * 20_000,
        xmp_packet(title="&#1;"),
        xmp_packet(title="t").replace(b"rdf:Description", b"rdf:Other"),
        xmp_packet(title="t").replace(b"rdf:RDF", b"rdf:Nothing"),
    ],
    ids=["empty", "text", "cut", "bytes", "laughs", "external", "deep", "control", "other", "no rdf"],
)
def test_hostile_xmp_only_says_nothing(packet: bytes) -> None:
    data = file_of(scene(1), "WEBP", lossless=True, xmp=packet)

    found = decode(data)

    assert np.array_equal(found.rgb, scene(1))
    assert found.embedded == {}


@settings(max_examples=100, deadline=None)
@given(block=st.binary(max_size=120))
def test_hostile_exif_never_costs_the_picture(block: bytes) -> None:
    for start in (b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08"):
        data = file_of(scene(1, width=64, height=64), "PNG", exif=start + block)

        assert decode(data).rgb.shape == (64, 64, 3)
        embedded_facts(data)


def test_embedded_text_is_one_short_printable_line() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a\x1b[31m\n\tb" + "c" * 5000

    title = decode(file_of(scene(1), "JPEG", exif=exif.tobytes())).embedded["title"]

    assert title.isprintable()
    assert title.startswith("a [31m b")
    assert len(title) == 500


def test_thumbnails_of_damaged_files_are_rejected_too() -> None:
    for data in (b"", b"text", ZOO["JPEG"][:-400], os.urandom(200)):
        with pytest.raises(ImageRejected):
            thumbnail(data, max_side=50)


def test_a_bomb_among_derived_files_is_still_refused() -> None:
    with pytest.raises(ImageRejected):
        thumbnail(_png_claiming(60_000, 60_000), max_side=50)

"""A download judged piece by piece."""

from __future__ import annotations

import hashlib
import os

import pytest

from crawler.filters import Filters
from crawler.job import CrawlRequest
from crawler.pictures.arrivals import Arrival, hash_trouble
from crawler.pictures.finds import Seen
from pipeline.errors import Reason
from pipeline.records import Outcome
from tests.support.crawls import request_for
from tests.support.pictures import scene_file

KIB = 2**10
LARGE_PROFILE = scene_file(1, "JPEG", icc_profile=os.urandom(100_000), width=400, height=300)


def request(**changes: object) -> CrawlRequest:
    return request_for("website", "http://127.0.0.1/", **changes)


def received_until_closed(arrival: Arrival, data: bytes, piece: int) -> int:
    """How many bytes the download took before it had no use for more."""
    for start in range(0, len(data), piece):
        if not arrival.is_open:
            return start
        arrival.receive(data[start : start + piece])
    return len(data)


def test_the_first_piece_decides_where_it_holds_the_header() -> None:
    data = scene_file(1, "JPEG", width=50, height=200)
    arrival = Arrival(request(), announced=100_000)

    trouble = arrival.receive(data[:1000])

    assert trouble is not None
    assert (trouble.outcome, trouble.reason) == (Outcome.FILTERED, Reason.TOO_SMALL)
    assert trouble.detail == "50 x 200 pixels; the least side is 64"
    assert arrival.seen == Seen(50, 200, "image/jpeg")
    assert arrival.bytes_saved == 99_000


@pytest.mark.parametrize("piece", [10, 700, 64 * KIB])
def test_a_picture_that_is_wanted_passes_however_it_comes(piece: int) -> None:
    data = scene_file(2, "PNG")
    arrival = Arrival(request(filters=Filters(orientation="landscape", formats=("png",))))

    received_until_closed(arrival, data, piece)

    assert arrival.completed(data) is None
    assert arrival.seen == Seen(160, 120, "image/png")


def test_a_size_behind_a_large_profile_is_looked_for_again_and_then_no_more() -> None:
    wanted = request(filters=Filters(min_width=500))
    late, never = Arrival(wanted), Arrival(wanted)

    # The profile ends at 100 000 bytes; looks are at 32 and at 128 KiB.
    assert received_until_closed(late, LARGE_PROFILE.ljust(200 * KIB, b"\0"), 16 * KIB) == 128 * KIB
    assert received_until_closed(never, b"\xff\xd8" + b"\xff\xe2\xff\xff" * 200 * KIB, 16 * KIB) == 128 * KIB
    assert late.trouble is not None
    assert late.trouble.reason is Reason.TOO_SMALL
    assert never.trouble is None


def test_few_pieces_are_kept_and_looked_at_only_at_the_marks() -> None:
    arrival = Arrival(request())
    data = LARGE_PROFILE[: 31 * KIB]

    for start in range(0, len(data), 100):
        assert arrival.receive(data[start : start + 100]) is None
    assert arrival.is_open
    assert arrival.seen is None


@pytest.mark.parametrize(
    ("orientation", "passes"), [(1, True), (3, True), (5, False), (6, False), (7, False), (8, False)]
)
def test_a_turned_picture_is_filtered_as_people_see_it(orientation: int, passes: bool) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = scene_file(3, "JPEG", width=400, height=200, exif=exif)
    arrival = Arrival(request(filters=Filters(orientation="landscape", min_width=300)))

    trouble = arrival.receive(data)

    assert (trouble is None) is passes
    assert arrival.seen is not None
    assert arrival.seen.width == (400 if passes else 200)


def test_pixels_beyond_what_ingest_takes_are_not_waited_for() -> None:
    # 30 000 x 30 000 pixels, and the first bytes of an IDAT.
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0"
    header += b"\0\0\0\0" + b"\0\1\0\0IDAT" + b"\0" * 40

    trouble = Arrival(request()).receive(header)

    assert trouble is not None
    assert (trouble.outcome, trouble.reason) == (Outcome.FILTERED, Reason.TOO_MANY_PIXELS)
    assert Arrival(request(max_pixels=10**9)).receive(header) is None


def test_a_packed_body_is_judged_unpacked_and_whole() -> None:
    arrival = Arrival(request(), is_packed=True)

    assert not arrival.is_open
    trouble = arrival.completed(b"<html>")
    assert trouble is not None
    assert trouble.reason is Reason.NOT_AN_IMAGE


def test_no_bytes_at_all_are_left_to_ingest() -> None:
    assert Arrival(request(), announced=0).completed(b"") is None


@pytest.mark.parametrize("announced", [None, 10**18])
def test_an_absurd_length_saves_no_more_than_was_allowed(announced: int | None) -> None:
    arrival = Arrival(request(max_image_bytes=5000), announced=announced)
    arrival.receive(b"<html>" * 100)

    assert arrival.trouble is not None
    assert arrival.bytes_saved == (0 if announced is None else 5000 - 600)


@pytest.mark.parametrize("name", ["sha1", "md5", "sha256", "SHA1"])
def test_bytes_that_the_source_did_not_announce_are_found_out(name: str) -> None:
    digest = hashlib.new(name, b"the picture").hexdigest()

    assert hash_trouble(f"{name}:{digest}", b"the picture") is None
    assert hash_trouble(f"{name}:{digest.upper()}", b"the picture") is None
    trouble = hash_trouble(f"{name}:{digest}", b"another")
    assert trouble is not None
    assert (trouble.outcome, trouble.reason) == (Outcome.FAILED, Reason.WRONG_HASH)


@pytest.mark.parametrize("text", [None, "", "crc32:abcdef12", "sha1:", "sha1:not hex", "md5", "sha1:ab:cd"])
def test_a_digest_that_cannot_be_read_announces_nothing(text: str | None) -> None:
    assert hash_trouble(text, b"anything") is None

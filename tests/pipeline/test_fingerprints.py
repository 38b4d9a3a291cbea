from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fingerprints import hamming_distance, pixel_sha256, sha256
from pipeline.images import decode
from tests.support.pictures import file_of, scene

HASHES = st.binary(min_size=32, max_size=32)


def test_bytes_have_their_published_digest() -> None:
    # FIPS 180-2, appendix B.1
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_pixel_digest_is_over_size_and_rows() -> None:
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    assert pixel_sha256(rgb) == hashlib.sha256(b"rgb8:4x2:" + bytes(range(24))).hexdigest()
    assert pixel_sha256(rgb) != pixel_sha256(rgb.reshape(4, 2, 3))
    assert pixel_sha256(np.asfortranarray(rgb)) == pixel_sha256(rgb)


def test_files_of_the_same_pixels_have_the_same_pixel_digest() -> None:
    rgb = scene(1)
    files = [file_of(rgb), file_of(rgb, compress_level=1), file_of(rgb, "WEBP", lossless=True)]

    assert len({sha256(data) for data in files}) == 3
    assert {pixel_sha256(decode(data).rgb) for data in files} == {pixel_sha256(rgb)}


@given(first=HASHES, second=HASHES)
def test_the_distance_counts_differing_bits(first: bytes, second: bytes) -> None:
    by_text = sum(
        a != b for x, y in zip(first, second, strict=True) for a, b in zip(f"{x:08b}", f"{y:08b}", strict=True)
    )

    assert hamming_distance(first, second) == by_text
    assert hamming_distance(first, first) == 0


def test_hashes_of_different_lengths_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="compared"):
        hamming_distance(b"12", b"123")

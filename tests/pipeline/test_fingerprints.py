from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pipeline.fingerprints import file_sha256, pixel_sha256, sha256
from pipeline.images import decode
from tests.support.pictures import file_of, scene


def test_bytes_have_their_published_digest() -> None:
    # FIPS 180-2, appendix B.1
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_has_the_published_digest_of_its_bytes_and_their_number(tmp_path: Path) -> None:
    (tmp_path / "million").write_bytes(b"a" * 1_000_000)

    # FIPS 180-2, appendix B.3
    assert file_sha256(tmp_path / "million") == (
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        1_000_000,
    )


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

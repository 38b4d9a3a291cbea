from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from pipeline.fingerprints import (
    DEFAULT_NEAR_DISTANCE,
    HammingIndex,
    hamming_distance,
    perceptual_hash,
    pixel_sha256,
    sha256,
)
from pipeline.images import decode
from tests.support.pictures import file_of, scene

HASHES = st.binary(min_size=32, max_size=32)


def _hash(rgb: np.ndarray) -> bytes:
    bits = perceptual_hash(rgb)
    assert bits is not None
    assert len(bits) == 32
    return bits


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


def _edits(rgb: np.ndarray) -> dict[str, np.ndarray]:
    image = Image.fromarray(rgb)
    width, height = image.size
    files = {f"jpeg {q}": file_of(rgb, "JPEG", quality=q) for q in (50, 75, 95)} | {"webp": file_of(rgb, "WEBP")}
    edits = {name: decode(data).rgb for name, data in files.items()}
    for scale in (0.5, 0.8, 1.5):
        edits[f"size {scale}"] = np.asarray(image.resize((round(width * scale), round(height * scale))))
    for amount in (0.9, 1.1):
        edits[f"brightness {amount}"] = np.asarray(ImageEnhance.Brightness(image).enhance(amount))
        edits[f"contrast {amount}"] = np.asarray(ImageEnhance.Contrast(image).enhance(amount))
    edits["grey"] = np.asarray(image.convert("L").convert("RGB"))
    return edits


def test_edited_copies_are_near_and_other_scenes_are_far() -> None:
    scenes = [scene(seed, width=240, height=180) for seed in range(12)]
    hashes = [_hash(rgb) for rgb in scenes]

    for rgb, bits in zip(scenes, hashes, strict=True):
        for name, edited in _edits(rgb).items():
            assert hamming_distance(bits, _hash(edited)) <= DEFAULT_NEAR_DISTANCE, name
    for first, second in itertools.combinations(hashes, 2):
        assert hamming_distance(first, second) > DEFAULT_NEAR_DISTANCE


def _plain_pictures() -> dict[str, np.ndarray]:
    flat = np.full((240, 320, 3), 128, np.uint8)
    slope = np.repeat(np.linspace(20, 230, 320)[None, :, None], 240, axis=0).repeat(3, -1).astype(np.uint8)
    noise = np.clip(np.random.default_rng(1).normal(128, 5, (240, 320, 3)), 0, 255).astype(np.uint8)
    marked = Image.fromarray(flat)
    ImageDraw.Draw(marked).text((200, 200), "example.org", fill="white", font_size=14)
    return {
        "grey": flat,
        "red": np.full((240, 320, 3), (200, 30, 30), np.uint8),
        "slope": slope,
        "diagonal": ((slope.astype(int) + slope[:, ::-1].transpose(1, 0, 2)[:240, :240].mean()) // 2).astype(np.uint8),
        "noise": noise,
        "watermark": np.asarray(marked),
    }


@pytest.mark.parametrize("name", sorted(_plain_pictures()))
def test_a_plain_picture_has_no_perceptual_hash(name: str) -> None:
    assert perceptual_hash(_plain_pictures()[name]) is None


def test_pages_of_text_are_told_apart() -> None:
    def page(words: str) -> np.ndarray:
        image = Image.new("RGB", (640, 480), "white")
        ImageDraw.Draw(image).text((40, 40), words, fill="black", font_size=32)
        return np.asarray(image)

    pages = [page("Chapter one\nThe beginning"), page("Results\n- first\n- second"), page("Thank you\nfor listening")]

    for first, second in itertools.combinations([_hash(picture) for picture in pages], 2):
        assert hamming_distance(first, second) > DEFAULT_NEAR_DISTANCE


def test_a_hash_does_not_change_from_version_to_version() -> None:
    """The catalog keeps hashes; if this fails, the algorithm needs a new name."""
    y, x = np.mgrid[0:120, 0:160] // 20
    rgb = np.stack([(x * x * 37 + y * 91) % 256, (x * y * 53) % 256, (x * 29 + y * y * 71) % 256], axis=-1)
    rgb = rgb.astype(np.uint8)

    stored = bytes.fromhex(STORED_HASH)

    assert hamming_distance(_hash(rgb), stored) <= 4  # libraries may round differently


STORED_HASH = "813f5b127ec044ee36c9a13d807d5ec2c9b6bb1181bfa4eddd285b127ec044ee"


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
    with pytest.raises(ValueError, match="32 bytes"):
        HammingIndex([(1, b"short")])


def _near(bits: bytes, flips: list[int]) -> bytes:
    value = int.from_bytes(bits, "big")
    for flip in flips:
        value ^= 1 << flip
    return value.to_bytes(32, "big")


@settings(deadline=None)
@given(
    hashes=st.lists(HASHES, max_size=80),
    query=HASHES,
    flips=st.lists(st.integers(0, 255), max_size=60, unique=True),
    radius=st.integers(0, 256),
    data=st.data(),
)
def test_the_index_finds_what_comparing_all_finds(
    hashes: list[bytes], query: bytes, flips: list[int], radius: int, data: st.DataObject
) -> None:
    if hashes:  # else nearly every random hash is 128 bits away
        query = _near(data.draw(st.sampled_from(hashes)), flips)
    entries = list(enumerate(hashes, start=10))
    expected = sorted(
        ((i, d) for i, bits in entries if (d := hamming_distance(query, bits)) <= radius), key=lambda e: (e[1], e[0])
    )

    index = HammingIndex(reversed(entries))

    assert len(index) == len(hashes)
    assert index.within(query, radius) == expected
    assert index.nearest(query, radius) == (expected[0] if expected else None)

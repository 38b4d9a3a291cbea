"""What tells pictures apart: digests of bytes and of pixels, and a perceptual hash with its Hamming distance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images import fit

PERCEPTUAL_ALGORITHM = "phash16-v1"
"""Names the hash and its preprocessing together; a change of either takes a new name, or old hashes would lie."""

PERCEPTUAL_BITS = 256

DEFAULT_NEAR_DISTANCE = 48
"""Differing bits of 256 up to which two pictures count as near duplicates.

Measured on 85 photographs: no two of them are nearer than 96, edited ones of other photographs not nearer than 92;
JPEG quality 50, half size, 15 % of brightness or contrast, gamma 0.8 to 1.2 and a crop of 2 % stay within 28.
"""

_HASH_SIDE = 16
_DCT_SIDE = 64
_WORKING_SIDE = 512  # one downscale for all, so that a large file and its reduced copy meet at the same picture

# Below this the hash of a plain picture (a flat colour, a gradient, a logo on white) says more about rounding and
# JPEG noise than about the picture: flat colours meet at distance 0, watermarked ones at 4. Measured: plain pictures
# 0 to 4.2, lines of text from 5.5, photographs from 16.7.
_MIN_DETAIL = 5.0


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def pixel_sha256(rgb: NDArray[np.uint8]) -> str:
    """SHA-256 of a picture's size and pixels, in hexadecimal: equal for files that differ in metadata or packing only.

    rgb: uint8, shape (height, width, 3). The digest is over `rgb8:{width}x{height}:` and the rows of RGB bytes.
    """
    height, width, _channels = rgb.shape
    digest = hashlib.sha256(f"rgb8:{width}x{height}:".encode("ascii"))
    digest.update(np.ascontiguousarray(rgb, dtype=np.uint8).data)
    return digest.hexdigest()


def perceptual_hash(rgb: NDArray[np.uint8]) -> bytes | None:
    """The 256-bit perceptual hash `phash16-v1` in 32 bytes, or None for a picture too plain to be told by one.

    rgb: uint8, shape (height, width, 3), upright sRGB.
    Preprocessing: longer side to 512 at most (Lanczos), luma (ITU-R 601), 64x64 (Lanczos); then the signs of the
    lowest 16x16 DCT coefficients against their median. Source: `phash` of the library ImageHash.
    """
    import imagehash

    working = Image.fromarray(np.ascontiguousarray(fit(rgb, _WORKING_SIDE))).convert("L")
    luma = working.resize((_DCT_SIDE, _DCT_SIDE), Image.Resampling.LANCZOS)
    if _detail(luma) < _MIN_DETAIL:
        return None
    return np.packbits(imagehash.phash(luma, hash_size=_HASH_SIDE).hash).tobytes()


def _detail(luma: Image.Image) -> float:
    """Median size of the coefficients that the hash takes the signs of, without the mean; orthonormal DCT, grey levels.

    Source of the DCT-II matrix: N. Ahmed, T. Natarajan, K. R. Rao, Discrete Cosine Transform, 1974.
    """
    steps = np.arange(_DCT_SIDE)
    basis = np.cos(np.pi * (2 * steps[None, :] + 1) * steps[:_HASH_SIDE, None] / (2 * _DCT_SIDE))
    basis *= np.sqrt(2 / _DCT_SIDE)
    basis[0] *= np.sqrt(0.5)
    coefficients = basis @ np.asarray(luma, dtype=np.float64) @ basis.T
    return float(np.median(np.abs(coefficients).ravel()[1:]))


def hamming_distance(first: bytes, second: bytes) -> int:
    """How many bits differ between two hashes of the same length.

    Raises:
        ValueError: They have different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"hashes of {len(first)} and {len(second)} bytes cannot be compared")
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()


class HammingIndex:
    """Perceptual hashes in memory, searched by comparing all: exact, and some milliseconds for a million.

    Column-major: one array of 64 bits per quarter of the hash, which numpy scans about five times faster than rows.
    """

    def __init__(self, entries: Iterable[tuple[int, bytes]] = ()) -> None:
        self._count = 0
        self._ids = np.zeros(64, dtype=np.int64)
        self._columns = np.zeros((PERCEPTUAL_BITS // 64, 64), dtype=np.uint64)
        self.extend(entries)

    def __len__(self) -> int:
        return self._count

    def add(self, entry_id: int, bits: bytes) -> None:
        """Add one hash of 32 bytes under an id."""
        self.extend([(entry_id, bits)])

    def extend(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Add many hashes, each under its id."""
        ids: list[int] = []
        hashes: list[bytes] = []
        for entry_id, bits in entries:
            if len(bits) * 8 != PERCEPTUAL_BITS:
                raise ValueError(f"a perceptual hash has {PERCEPTUAL_BITS // 8} bytes, got {len(bits)}")
            ids.append(entry_id)
            hashes.append(bits)
        end = self._count + len(ids)
        if end > len(self._ids):
            room = max(end, 2 * len(self._ids)) - len(self._ids)
            self._ids = np.pad(self._ids, (0, room))
            self._columns = np.pad(self._columns, ((0, 0), (0, room)))
        self._ids[self._count : end] = ids
        self._columns[:, self._count : end] = _words(b"".join(hashes)).reshape(len(ids), -1).T if ids else 0
        self._count = end

    def nearest(self, bits: bytes, radius: int) -> tuple[int, int] | None:
        """(id, distance) of the nearest hash at most `radius` bits away, the lowest id of several; None without one."""
        distances = self._distances(bits)
        if not len(distances):
            return None
        least = int(distances.min())
        if least > radius:
            return None
        return int(self._ids[: self._count][distances == least].min()), least

    def within(self, bits: bytes, radius: int) -> list[tuple[int, int]]:
        """(id, distance) of every hash at most `radius` bits away, nearest first, then by id."""
        distances = self._distances(bits)
        hits = np.flatnonzero(distances <= radius)
        return sorted(
            ((int(self._ids[hit]), int(distances[hit])) for hit in hits), key=lambda entry: (entry[1], entry[0])
        )

    def _distances(self, bits: bytes) -> NDArray[np.uint16]:
        words = _words(bits)
        distances = np.zeros(self._count, dtype=np.uint16)
        for column, word in zip(self._columns, words, strict=True):
            distances += np.bitwise_count(column[: self._count] ^ word)
        return distances


def _words(bits: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(bits, dtype=">u8").astype(np.uint64)

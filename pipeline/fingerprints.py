"""What tells pictures apart: digests of bytes and of pixels, and the distance of two perceptual hashes."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

DEFAULT_NEAR_DISTANCE = 80
"""Differing bits of 256 up to which pictures that agree block by block are linked as near duplicates."""


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


def hamming_distance(first: bytes, second: bytes) -> int:
    """How many bits differ between two hashes of the same length.

    Raises:
        ValueError: They have different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"hashes of {len(first)} and {len(second)} bytes cannot be compared")
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()

"""What tells pictures apart: digests of bytes and of pixels, and how far perceptual hashes may differ."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DEFAULT_NEAR_DISTANCE = 80
"""Differing bits of 256 up to which pictures that agree block by block are linked as near duplicates."""


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> tuple[str, int]:
    """SHA-256 of a file, in hexadecimal, and how many bytes that is; read piece by piece.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def pixel_sha256(rgb: NDArray[np.uint8]) -> str:
    """SHA-256 of a picture's size and pixels, in hexadecimal: equal for files that differ in metadata or packing only.

    rgb: uint8, shape (height, width, 3). The digest is over `rgb8:{width}x{height}:` and the rows of RGB bytes.
    """
    height, width, _channels = rgb.shape
    digest = hashlib.sha256(f"rgb8:{width}x{height}:".encode("ascii"))
    digest.update(np.ascontiguousarray(rgb, dtype=np.uint8).data)
    return digest.hexdigest()

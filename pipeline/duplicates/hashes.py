"""The 256-bit DCT hash, and what turning and mirroring a picture does to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Pixels along each side of the thumbnail that is hashed and compared."""

FREQUENCIES = 16
HASH_BYTES = FREQUENCIES * FREQUENCIES // 8

Thumb = NDArray[np.float32]
"""Luma, shape (64, 64), 0 to 255: the whole picture squeezed into a square."""


@dataclass(frozen=True)
class Turn:
    """One of the eight ways in which a picture may lie: transposed or not, then mirrored along x, y or both.

    Attributes:
        name: What was done to the picture.
    """

    name: str
    transposed: bool
    mirrored_x: bool
    mirrored_y: bool


# The four without and the four with transposition; a hit names one by its place here.
TURNS = (
    Turn("upright", False, False, False),
    Turn("mirrored", False, True, False),
    Turn("mirrored upside down", False, False, True),
    Turn("turned by 180 degrees", False, True, True),
    Turn("transposed", True, False, False),
    Turn("turned clockwise by 90 degrees", True, True, False),
    Turn("turned counterclockwise by 90 degrees", True, False, True),
    Turn("transposed along the other diagonal", True, True, True),
)
UPRIGHT = TURNS[0]


def turned(thumb: NDArray[np.float32], turn: Turn) -> NDArray[np.float32]:
    """The same picture, turned."""
    picture = thumb.swapaxes(0, 1) if turn.transposed else thumb
    return np.ascontiguousarray(picture[:: -1 if turn.mirrored_y else 1, :: -1 if turn.mirrored_x else 1])


@lru_cache
def dct_matrix() -> NDArray[np.float32]:
    """The lowest 16 of the 64 orthonormal DCT-II vectors; shape (16, 64).

    Source: N. Ahmed, T. Natarajan, K. R. Rao, Discrete Cosine Transform, 1974.
    """
    steps = np.arange(SIDE)
    matrix = np.cos(np.pi * (2 * steps[None, :] + 1) * np.arange(FREQUENCIES)[:, None] / (2 * SIDE))
    matrix *= np.sqrt(2 / SIDE)
    matrix[0] *= np.sqrt(0.5)
    return matrix.astype(np.float32)


def coefficients(thumb: Thumb) -> NDArray[np.float32]:
    """The lowest 16x16 DCT coefficients; row: frequency along y, column: along x."""
    matrix = dct_matrix()
    return np.asarray(matrix @ thumb @ matrix.T, dtype=np.float32)


def hash_of(values: NDArray[np.float32]) -> bytes:
    """32 bytes: the signs of 16x16 DCT coefficients, grouped so that mirroring flips whole words of 64 bits.

    Mirroring along x changes the sign of the coefficients of odd frequency along x and of no other, for the cosines of
    the DCT-II are even or odd about the middle. Words: even y and even x; even y, odd x; odd y, even x; odd y, odd x.
    Transposing the picture transposes the coefficients: the first and last word are transposed as 8x8 matrices, the
    two others besides change places.
    """
    signs = values > 0
    return b"".join(np.packbits(signs[y::2, x::2]).tobytes() for y in (0, 1) for x in (0, 1))


def transposed_hash(bits: bytes) -> bytes:
    """The hash of the transposed picture."""
    words = [np.unpackbits(np.frombuffer(bits[at : at + 8], np.uint8)).reshape(8, 8) for at in range(0, 32, 8)]
    return b"".join(np.packbits(words[at].T).tobytes() for at in (0, 2, 1, 3))


def words_of(bits: bytes) -> NDArray[np.uint64]:
    """The hash, or several of them one after the other, as words of 64 bits."""
    return np.frombuffer(bits, dtype=">u8").astype(np.uint64)

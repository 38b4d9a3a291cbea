"""Jitter: a random roll before each step, undone after it, so that the network's grid leaves no mark."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def draw_shifts(seed: int, steps: Sequence[int], jitter: int) -> tuple[NDArray[np.int32], ...]:
    """A table of shifts for each octave: int32, shape (steps, 2), down and right, each -jitter to jitter pixels.

    Drawn on the host by PCG64, whose stream NumPy keeps the same across machines and versions; random operations
    of TensorFlow may change between versions.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    # One stream for all octaves, as raw 64-bit words: NumPy promises the words, not what integers() makes of them.
    return tuple(_shifts(generator.bit_generator.random_raw(2 * count), jitter) for count in steps)


def _shifts(words: NDArray[np.uint64], jitter: int) -> NDArray[np.int32]:
    # The modulo's bias is below jitter / 2**63.
    return ((words % np.uint64(2 * jitter + 1)).astype(np.int64) - jitter).astype(np.int32).reshape(-1, 2)


def shifts_digest(tables: Sequence[NDArray[np.int32]]) -> str:
    """SHA-256 over all tables as little-endian int32, octave by octave, lower-case hex."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(np.ascontiguousarray(table, dtype="<i4").tobytes())
    return digest.hexdigest()


def roll(images: Any, shift: Any) -> Any:
    """Images (batch, height, width, channels) moved down and right by `shift` (2,) pixels, around the edges."""
    return tf.roll(images, shift, axis=[1, 2])


def unroll(images: Any, shift: Any) -> Any:
    """What `roll` did with the same shift, undone."""
    return tf.roll(images, -shift, axis=[1, 2])

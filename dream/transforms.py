"""Jitter: a random roll before each step, undone after it, so that the network's grid leaves no mark."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.streams import SHIFT_STREAM, random_words


def draw_shifts(seed: int, steps: Sequence[int], jitter: int) -> tuple[NDArray[np.int32], ...]:
    """A table of shifts for each octave: int32, shape (steps, 2), down and right, each -jitter to jitter pixels.

    The octaves follow one another in one stream.
    """
    words = random_words(seed, SHIFT_STREAM, 2 * sum(steps))
    ends = 2 * np.cumsum(steps, dtype=np.int64)
    return tuple(_shifts(words[end - 2 * count : end], jitter) for count, end in zip(steps, ends, strict=True))


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

"""Random numbers that are the same on every machine and with every version: raw words of NumPy's PCG64.

NumPy promises the words of a bit generator, not what its distributions make of them, and random operations of
TensorFlow change between versions. Each use has a stream of its own, so that one cannot shift another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHIFT_STREAM = 0
NOISE_STREAM = 1
CHANNEL_STREAM = 2
TILE_STREAM = 3


def random_words(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """The first `count` words of a stream."""
    words: NDArray[np.uint64] = generator(seed, stream).random_raw(count)
    return words


def generator(seed: int, stream: int) -> np.random.PCG64:
    """PCG64 of the seed, jumped ahead once for each stream before this one.

    A jump is more than 2^127 words long, so no two streams of a seed ever meet.
    """
    first = np.random.PCG64(seed)
    return first.jumped(stream) if stream else first

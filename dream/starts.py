"""What a dream begins from: the picture, the published noise, or a blank. Plain arrays, no TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.recipes import Start
from dream.streams import NOISE_STREAM, generator

# Source: the random picture of the paper's course and of the TensorFlow 1 tutorial: uniform from 100 to 101 of 255.
_NOISE_BASE = 100.0
_BLANK = 0.5


def first_image(start: Start, source: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Float32 0 to 1, of the shape of `source` (1, height, width, 3).

    Noise is the same on every machine: the upper 53 bits of raw PCG64 words, as a fraction.
    """
    match start:
        case Start.IMAGE:
            return source
        case Start.BLANK:
            return np.full_like(source, _BLANK)
        case Start.NOISE:
            return _noise(source.shape, seed)


def _noise(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    words = generator(seed, NOISE_STREAM)
    noise = np.empty(shape, np.float32)
    # Row by row: a word is eight bytes, and pictures may be large.
    for row in noise.reshape(-1, *shape[2:]):
        fractions = (words.random_raw(row.size) >> np.uint64(11)) * 2.0**-53
        row[...] = ((fractions + _NOISE_BASE) / 255).reshape(row.shape)
    return noise

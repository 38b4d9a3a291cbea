"""What a dream begins from: the picture, the published noise, or a blank. Plain arrays, no TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.recipes import Start
from dream.streams import NOISE_STREAM, random_words

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
            words = random_words(seed, NOISE_STREAM, source.size)
            fractions = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
            noise: NDArray[np.float32] = ((fractions + _NOISE_BASE) / 255).astype(np.float32).reshape(source.shape)
            return noise

"""What becomes of a dream's colours. Plain arrays, float32, 0 to 1, shape (1, height, width, 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.recipes import Colors

Pixels = NDArray[np.float32]

# Luma of ITU-R BT.601, on the gamma-coded values that pictures hold.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def apply_colors(dream: Pixels, source: Pixels, colors: Colors) -> Pixels:
    """The dream with the colours that the recipe asks for; see `dream.recipes.Colors`."""
    match colors:
        case Colors.FREE:
            return dream
        case Colors.BALANCED:
            return _balanced(dream, source)
        case Colors.SOURCE:
            return source + _luma(dream - source)
        case Colors.LIGHTNESS:
            return dream + _luma(source - dream)
        case Colors.HISTOGRAM:
            return _matched(dream, source)


def _balanced(dream: Pixels, source: Pixels) -> Pixels:
    centre, spread = dream.mean(axis=(1, 2), keepdims=True), dream.std(axis=(1, 2), keepdims=True)
    wanted_centre, wanted_spread = source.mean(axis=(1, 2), keepdims=True), source.std(axis=(1, 2), keepdims=True)
    # Half way in proportion: the whole way would wash out the contrast that the ascent has built up.
    gain = np.sqrt(np.divide(wanted_spread, spread, out=np.ones_like(spread), where=spread > 0))
    balanced: Pixels = (dream - centre) * gain + wanted_centre
    return balanced


def _matched(dream: Pixels, source: Pixels) -> Pixels:
    """Every channel of every picture with exactly the values of the source's, in the order the dream has them."""
    matched = np.empty_like(dream)
    for index in range(dream.shape[0]):
        for channel in range(dream.shape[3]):
            # Stable, so that equal values are always told apart the same way.
            order = np.argsort(dream[index, ..., channel], axis=None, kind="stable")
            plane = np.empty(order.shape, dream.dtype)
            plane[order] = np.sort(source[index, ..., channel], axis=None)
            matched[index, ..., channel] = plane.reshape(dream.shape[1:3])
    return matched


def _luma(pixels: Pixels) -> Pixels:
    luma: Pixels = (pixels @ _LUMA)[..., None]
    return luma

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
            return _relit(dream, source)
        case Colors.HISTOGRAM:
            return _matched(dream, source)


def _balanced(dream: Pixels, source: Pixels) -> Pixels:
    centre, spread = dream.mean(axis=(1, 2), keepdims=True), dream.std(axis=(1, 2), keepdims=True)
    wanted_centre, wanted_spread = source.mean(axis=(1, 2), keepdims=True), source.std(axis=(1, 2), keepdims=True)
    # Half way in proportion: the whole way would wash out the contrast that the ascent has built up.
    gain = np.sqrt(np.divide(wanted_spread, spread, out=np.ones_like(spread), where=spread > 0))
    balanced: Pixels = (dream - centre) * gain + wanted_centre
    return balanced


def _relit(dream: Pixels, source: Pixels) -> Pixels:
    """The source's luma with the dream's colours, paler where both together would leave the range."""
    light = _luma(source)
    colour = dream - _luma(dream)
    # The larger the colour's reach up or down, the less of it fits between the luma and the end of the range.
    up, down = colour.max(axis=-1, keepdims=True), -colour.min(axis=-1, keepdims=True)
    share = np.minimum(_fitting(1 - light, up), _fitting(light, down))
    relit: Pixels = light + share * colour
    return relit


def _fitting(room: Pixels, reach: Pixels) -> Pixels:
    """The largest factor, 1 at most, with which the reach fits into the room."""
    fitting: Pixels = np.divide(room, reach, out=np.ones_like(room), where=reach > room)
    return fitting


def _matched(dream: Pixels, source: Pixels) -> Pixels:
    """Every channel of every picture with exactly the values of the source's, in the order the dream has them."""
    matched = np.empty_like(dream)
    for index in range(dream.shape[0]):
        for channel in range(dream.shape[3]):
            wanted = source[index, ..., channel].ravel()
            # Of pixels equal in the dream, as those at the end of the range are, the source's lighter ones stay
            # lighter; what is equal in both keeps its place, so that the order is always the same.
            order = np.lexsort((wanted, dream[index, ..., channel].ravel()))
            plane = np.empty_like(wanted)
            plane[order] = np.sort(wanted)
            matched[index, ..., channel] = plane.reshape(dream.shape[1:3])
    return matched


def _luma(pixels: Pixels) -> Pixels:
    luma: Pixels = (pixels @ _LUMA)[..., None]
    return luma

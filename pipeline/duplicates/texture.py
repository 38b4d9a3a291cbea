"""How much there is in a thumbnail to tell it by: fine texture, and whether it repeats itself."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.hashes import SIDE, Thumb

_FINE = 1.5  # grey levels; twice what rounding makes
_BLUR = 6  # pixels to each side: what is larger is no pattern but the scene
_CLIP = 2  # times the median: a logo must not outweigh the pattern under it
_NEAREST, _FARTHEST = 6, 36  # pixels; a picture is like itself nearby, and little of it is left to compare far off


def fine_texture(thumb: Thumb) -> float:
    """Share of the pixels that differ from the mean of their four neighbours, 0 to 1: none in flats and gradients."""
    around = thumb[:-2, 1:-1] + thumb[2:, 1:-1] + thumb[1:-1, :-2] + thumb[1:-1, 2:]
    return float((np.abs(thumb[1:-1, 1:-1] - around / 4) >= _FINE).mean())


def repetition(thumb: Thumb) -> float:
    """How much a picture is like itself when it is shifted, 0 to about 1: the highest normalized autocorrelation.

    Stripes, boards and tables reach 0.8 and more, with words over them 0.6, photographs 0.25 at the median: of the
    former one part is like any other, so that agreement says little. By the Wiener-Khinchin theorem from the power
    spectrum; zeros all round, and each shift measured by the pixels that overlap.
    """
    detail = thumb - _blurred(thumb)
    most = _CLIP * float(np.median(np.abs(detail))) + 0.5
    detail = np.clip(detail, -most, most)
    spectrum = np.fft.rfft2(detail, (2 * SIDE, 2 * SIDE))
    correlation = np.fft.irfft2(np.abs(spectrum) ** 2, (2 * SIDE, 2 * SIDE))
    overlap, wanted = _shifts()
    power = float(correlation[0, 0]) / (SIDE * SIDE)
    if power < 1e-3:
        return 0.0
    return float((correlation[wanted] / overlap[wanted]).max()) / power


def _blurred(thumb: Thumb) -> NDArray[np.float64]:
    """The mean of the 13x13 pixels round each one, mirrored at the edges."""
    side = 2 * _BLUR + 1
    padded = np.pad(thumb.astype(np.float64), _BLUR, mode="reflect")
    sums = np.pad(padded, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return np.asarray((sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2)


@lru_cache
def _shifts() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels that overlap at each shift, and which shifts are looked at."""
    along = np.abs(np.fft.fftfreq(2 * SIDE, 1 / (2 * SIDE)))
    down, across = np.meshgrid(along, along, indexing="ij")
    wanted = (np.hypot(down, across) >= _NEAREST) & (np.maximum(down, across) <= _FARTHEST)
    return (SIDE - down) * (SIDE - across), wanted

"""Quality: what the DeepDream literature complains of, as numbers. NumPy only.

Wang and Dong (2022) name three problems of their dreams: they are rough and noisy, their resolution is low, and their
texture is the same in all parts. `measure` puts a figure on each, and on what else tells looks apart: colour, and how
much of the source is left. docs/quality.md has the formulas, and says what the figures cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.regions import stretch

Plane = NDArray[np.float32]

# Luma of ITU-R BT.601, on the gamma-coded values that pictures hold.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Source: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment", 2004.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_FLAT, _SSIM_CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2

# The median of the magnitude of a normal variable is this part of its standard deviation.
_NORMAL_MEDIAN = 0.6744897501960817
# Rounding colours to 8 bits leaves a luma with this much grain: sqrt((0.299^2 + 0.587^2 + 0.114^2) / 12). A source
# with less of it, as one drawn by a program has, is no base for a ratio.
_LEAST_NOISE = 0.193
# The slope of a ramp of one level in ten pixels.
_LEAST_SHARPNESS = 0.1

_BANDS = 5
_PLACES = 4
# Squared levels; a thousandth of a level is nothing that an eye or an 8-bit file could show.
_LEAST_ENERGY = 1e-6
# Of the mean energy of the places.
_LEAST_SHARE = 0.05
_HALF_BAND_RADIUS = 23

_STRIP_PIXELS = 1 << 19


@dataclass(frozen=True)
class Measures:
    """One dream against its source.

    Attributes:
        noise: standard deviation of grain in the luma, in levels of 0-255.
        noise_ratio: the same over that of the source, or over 0.193 where the source has less.
        sharpness: root mean square slope of the luma in levels a pixel, after a blur that takes most of the grain.
        sharpness_ratio: the same over that of the source, or over 0.1 where the source has less.
        texture_variety: 0 to 1, how evenly the change is spread over five scales, from fine to coarse; 0 for no change.
        texture_sameness: 0 to 1, how alike the change is in its mix of scales from place to place; 1 is everywhere
            the same, or no change.
        warmth: mean change of CIELAB b*, towards yellow where positive.
        redness: mean change of CIELAB a*.
        saturation: mean change of CIELAB chroma.
        structure: SSIM of the lumas, 1 where the source is kept.
        change: mean absolute difference, in levels of 0-255.
    """

    noise: float
    noise_ratio: float
    sharpness: float
    sharpness_ratio: float
    texture_variety: float
    texture_sameness: float
    warmth: float
    redness: float
    saturation: float
    structure: float
    change: float

    def to_json(self) -> dict[str, float]:
        """Every measure by its name, rounded to six digits after the point."""
        return {name: round(float(value), 6) for name, value in asdict(self).items()}


def measure(dream: NDArray[np.uint8], source: NDArray[np.uint8]) -> Measures:
    """The measures of a dream; both uint8, shape (height, width, 3), of one size, at least one pixel.

    Raises:
        ValueError: they are of different shapes, or not such pictures.
    """
    _check(dream, source)
    dream_luma, source_luma = dream @ _LUMA, source @ _LUMA
    bands = band_energies(dream_luma - source_luma)
    grain, slope = noise(dream_luma), sharpness(dream_luma)
    warmth, redness, saturation = _colour_changes(dream, source)
    return Measures(
        noise=grain,
        noise_ratio=grain / max(noise(source_luma), _LEAST_NOISE),
        sharpness=slope,
        sharpness_ratio=slope / max(sharpness(source_luma), _LEAST_SHARPNESS),
        texture_variety=_evenness([float(plane.mean(dtype=np.float64)) for plane in bands]),
        texture_sameness=_sameness(bands),
        warmth=warmth,
        redness=redness,
        saturation=saturation,
        structure=ssim(dream_luma, source_luma),
        change=float(np.abs(dream.astype(np.int16) - source.astype(np.int16)).mean()),
    )


def _check(dream: NDArray[np.uint8], source: NDArray[np.uint8]) -> None:
    if dream.shape != source.shape:
        raise ValueError(f"a dream of shape {dream.shape} cannot be held against a source of shape {source.shape}")
    for picture in (dream, source):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(
                f"pictures are measured as uint8 of shape (height, width, 3), got {picture.dtype} of {picture.shape}"
            )


def noise(luma: Plane) -> float:
    """The standard deviation of grain in a plane of luma, 0-255; 0 for one of less than 3 x 3 pixels.

    The plane is filtered by [[1,-2,1],[-2,4,-2],[1,-2,1]]. That leaves nothing of slopes, nor of edges that are upright
    or level, and white noise six times as strong; with the median, edges and texture in less than half of the places
    count little. Fine texture all over a picture is grain to it, and grain that was blurred is not.
    Source: Immerkaer, "Fast Noise Variance Estimation", 1996, with the median in place of the mean.
    """
    if min(luma.shape) < 3:
        return 0.0
    second = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    filtered = second[:, :-2] - 2 * second[:, 1:-1] + second[:, 2:]
    return float(np.median(np.abs(filtered)) / (6 * _NORMAL_MEDIAN))


def sharpness(luma: Plane) -> float:
    """The root mean square slope in levels a pixel, after a Gaussian of one pixel; 0 for a line or a single pixel.

    Squared, as the mean slope of an edge is the same however soft the edge is. Known as Tenengrad, with differences in
    place of the Sobel operator.
    """
    if min(luma.shape) < 2:
        return 0.0
    soft = _gaussian(luma, 1.0, 3)
    across, down = np.diff(soft, axis=1)[:-1], np.diff(soft, axis=0)[:, :-1]
    return float(np.sqrt((np.square(across) + np.square(down)).mean(dtype=np.float64)))


def ssim(first: Plane, second: Plane) -> float:
    """Mean structural similarity of two planes of luma, 0-255, in Gaussian windows of 11 pixels, mirrored at the edges.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
    Similarity", 2004.
    """

    def mean(plane: Plane) -> Plane:
        return _gaussian(plane, _SSIM_SIGMA, _SSIM_RADIUS)

    a, b = mean(first), mean(second)
    likeness = (2 * a * b + _SSIM_FLAT) / (a * a + b * b + _SSIM_FLAT)
    # Each variance for itself, so that equal planes give 1 to the last bit.
    spreads = (mean(first * first) - a * a) + (mean(second * second) - b * b)
    likeness *= (2 * (mean(first * second) - a * b) + _SSIM_CONTRAST) / (spreads + _SSIM_CONTRAST)
    return float(likeness.mean(dtype=np.float64))


def band_energies(change: Plane) -> list[Plane]:
    """The squared change in each of five bands of an octave, fine to coarse, each at half the size of that before.

    They hold what repeats every 2 to 4, 4 to 8, 8 to 16, 16 to 32 and 32 to 64 pixels along a side; what is coarser,
    such as a change of all the light, is in none. A sine of amplitude A well inside a band has A^2/2 there on average.
    Of a picture with a side below 17 pixels the coarsest are left out; there is always one at least.
    """
    taps = _half_band()
    plane: Plane = np.asarray(change - change.mean(dtype=np.float64), np.float32)
    bands: list[Plane] = []
    for _ in range(_BANDS):
        soft = _filtered(plane, taps)
        bands.append(np.square(plane - soft))
        plane = soft[::2, ::2]
        if min(plane.shape) < 2:
            break
    return bands


def _half_band() -> NDArray[np.float32]:
    """A low-pass that lets through what is slower than four pixels, so that every second pixel tells the rest.

    The sinc of the ideal one under a Hamming window; but for the middle, every second tap is 0.
    """
    places = np.arange(-_HALF_BAND_RADIUS, _HALF_BAND_RADIUS + 1)
    window = 0.54 + 0.46 * np.cos(np.pi * places / (_HALF_BAND_RADIUS + 1))
    taps = np.where((places % 2 == 0) & (places != 0), 0.0, np.sinc(places / 2) * window)
    return np.asarray(taps / taps.sum(), np.float32)


def _gaussian(plane: Plane, sigma: float, radius: int) -> Plane:
    """Blurred, mirrored at the edges."""
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return _filtered(plane, np.asarray(taps / taps.sum(), np.float32))


def _filtered(plane: Plane, taps: NDArray[np.float32]) -> Plane:
    """The plane with an odd number of taps run down and across it, mirrored at the edges."""
    radius = len(taps) // 2
    height, width = plane.shape
    padded = np.pad(plane, [(radius, radius), (0, 0)], mode="symmetric")
    down = _sum_of(padded[start : start + height] * tap for start, tap in enumerate(taps) if tap)
    padded = np.pad(down, [(0, 0), (radius, radius)], mode="symmetric")
    return _sum_of(padded[:, start : start + width] * tap for start, tap in enumerate(taps) if tap)


def _sum_of(parts: Iterator[Plane]) -> Plane:
    total = next(parts)
    for part in parts:
        total += part
    return total


def _evenness(energies: Sequence[float]) -> float:
    """The entropy of the shares, over that of equal ones: 0 where all is in one, 1 where it is spread evenly."""
    total = sum(energies)
    if total < _LEAST_ENERGY or len(energies) < 2:
        return 0.0
    shares = np.array([energy for energy in energies if energy > 0]) / total
    # Adding 0.0 turns the -0.0 of a single share into 0.0.
    return float(-(shares * np.log(shares)).sum() / np.log(len(energies))) + 0.0


def _sameness(bands: Sequence[Plane]) -> float:
    """The mean cosine between the mixes of scales of all pairs of places, four by four of them.

    Places where nothing, or next to nothing, changed do not count: a filter smears a little of their neighbours' change
    over them.
    """
    mixes = np.stack([stretch(plane, _PLACES, _PLACES).ravel() for plane in bands], axis=-1).astype(np.float64)
    energies = mixes.sum(axis=-1)
    mixes = mixes[energies >= max(_LEAST_ENERGY, _LEAST_SHARE * float(energies.mean()))]
    if len(mixes) < 2:
        return 1.0
    mixes /= np.linalg.norm(mixes, axis=-1, keepdims=True)
    pairs = (mixes @ mixes.T)[np.triu_indices(len(mixes), 1)]
    return float(min(1.0, pairs.mean()))


def _colour_changes(dream: NDArray[np.uint8], source: NDArray[np.uint8]) -> tuple[float, float, float]:
    """The mean changes of b*, a* and chroma."""
    sums = np.zeros(3)
    # In strips: CIELAB takes a hundred bytes a pixel on the way.
    rows = max(1, _STRIP_PIXELS // dream.shape[1])
    for start in range(0, dream.shape[0], rows):
        after, before = lab(dream[start : start + rows]), lab(source[start : start + rows])
        sums += [
            (after[..., 2] - before[..., 2]).sum(),
            (after[..., 1] - before[..., 1]).sum(),
            (_chroma(after) - _chroma(before)).sum(),
        ]
    warmth, redness, saturation = (float(value) for value in sums / (dream.shape[0] * dream.shape[1]))
    return warmth, redness, saturation


def lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB (D65) of sRGB, shape (height, width, 3): L* 0 to 100, a* and b* about -100 to 100.

    Source: IEC 61966-2-1 for sRGB, CIE 15 for L*a*b*.
    """
    coded = np.arange(256) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)[rgb]
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    ratio = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _chroma(values: NDArray[Any]) -> NDArray[Any]:
    chroma: NDArray[Any] = np.hypot(values[..., 1], values[..., 2])
    return chroma

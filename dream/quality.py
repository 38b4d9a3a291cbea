"""Quality: what the DeepDream literature complains of, as numbers. NumPy only.

Wang and Dong (2022) name three problems of their dreams: they are rough and noisy, their resolution is low, and their
texture is the same in all parts. `measure` puts a figure on each, and on what else tells looks apart: colour, and how
much of the source is left. docs/quality.md has the formulas.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]

# Luma of ITU-R BT.601, on the gamma-coded values that pictures hold.
_LUMA = np.array([0.299, 0.587, 0.114])
# Source: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment", 2004.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_FLAT, _SSIM_CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# The median of the magnitude of a normal variable is this part of its standard deviation.
_NORMAL_MEDIAN = 0.6744897501960817
_BANDS = 5
_PATCHES = 4


@dataclass(frozen=True)
class Measures:
    """One dream against its source.

    Attributes:
        noise: standard deviation of grain, in levels of 0-255.
        noise_ratio: the same over that of the source.
        sharpness: mean slope of the luma in levels a pixel, after a blur that takes most of the grain.
        texture_variety: 0 to 1, how evenly the change is spread over five scales, from fine to coarse.
        texture_sameness: 0 to 1, how alike the change is in its mix of scales from place to place; 1 is everywhere
            the same.
        warmth: mean change of CIELAB b*, towards yellow where positive.
        redness: mean change of CIELAB a*.
        saturation: mean change of CIELAB chroma.
        structure: SSIM of the lumas, 1 where the source is kept.
        change: mean absolute difference, in levels of 0-255.
    """

    noise: float
    noise_ratio: float
    sharpness: float
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
    """The measures of a dream; both uint8, shape (height, width, 3), of one size.

    Raises:
        ValueError: they are of different shapes.
    """
    if dream.shape != source.shape:
        raise ValueError(f"a dream of shape {dream.shape} cannot be held against a source of shape {source.shape}")
    dream_luma, source_luma = dream @ _LUMA, source @ _LUMA
    energies = _band_energies(dream_luma - source_luma)
    dream_lab, source_lab = _lab(dream), _lab(source)
    source_noise = noise(source_luma)
    dream_noise = noise(dream_luma)
    return Measures(
        noise=dream_noise,
        noise_ratio=dream_noise / max(source_noise, 0.1),
        sharpness=sharpness(dream_luma),
        texture_variety=_evenness(np.array([plane.mean() for plane in energies])),
        texture_sameness=_sameness(energies),
        warmth=float((dream_lab[..., 2] - source_lab[..., 2]).mean()),
        redness=float((dream_lab[..., 1] - source_lab[..., 1]).mean()),
        saturation=float((_chroma(dream_lab) - _chroma(source_lab)).mean()),
        structure=ssim(dream_luma, source_luma),
        change=float(np.abs(dream.astype(np.int16) - source.astype(np.int16)).mean()),
    )


def noise(luma: Plane) -> float:
    """The standard deviation of grain in a plane of luma, 0-255.

    The plane is filtered by [[1,-2,1],[-2,4,-2],[1,-2,1]], which leaves nothing of planes and straight edges, and
    white noise six times as strong; the median makes what texture is left count little.
    Source: Immerkaer, "Fast Noise Variance Estimation", 1996, with the median in place of the mean.
    """
    if min(luma.shape) < 3:
        return 0.0
    second = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    filtered = second[:, :-2] - 2 * second[:, 1:-1] + second[:, 2:]
    return float(np.median(np.abs(filtered)) / (6 * _NORMAL_MEDIAN))


def sharpness(luma: Plane) -> float:
    """The mean slope in levels a pixel, of what a Gaussian of one pixel leaves."""
    soft = _gaussian(luma, 1.0, 3)
    if min(soft.shape) < 2:
        return 0.0
    across, down = np.diff(soft, axis=1)[:-1], np.diff(soft, axis=0)[:, :-1]
    return float(np.hypot(across, down).mean())


def ssim(first: Plane, second: Plane) -> float:
    """Mean structural similarity of two planes of luma, 0-255, in windows of 11 pixels."""

    def mean(plane: Plane) -> Plane:
        return _gaussian(plane, _SSIM_SIGMA, _SSIM_RADIUS)

    a, b = mean(first), mean(second)
    aa, bb, ab = mean(first * first) - a * a, mean(second * second) - b * b, mean(first * second) - a * b
    likeness = (2 * a * b + _SSIM_FLAT) * (2 * ab + _SSIM_CONTRAST)
    return float((likeness / ((a * a + b * b + _SSIM_FLAT) * (aa + bb + _SSIM_CONTRAST))).mean())


def _gaussian(plane: Plane, sigma: float, radius: int) -> Plane:
    """Blurred, mirrored at the edges."""
    places = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (places / sigma) ** 2)
    weights /= weights.sum()
    blurred = plane
    for axis in (0, 1):
        padded = np.pad(blurred, [(radius, radius) if each == axis else (0, 0) for each in (0, 1)], mode="symmetric")
        length = plane.shape[axis]
        shifted = (np.take(padded, range(start, start + length), axis=axis) for start in range(2 * radius + 1))
        blurred = sum((weight * part for weight, part in zip(weights, shifted, strict=True)), np.zeros_like(plane))
    return blurred


def _band_energies(change: Plane) -> list[Plane]:
    """The squared change in each of five bands, an octave each, from fine to coarse, at ever smaller sizes."""
    bands = []
    for _ in range(_BANDS):
        soft = _gaussian(change, 1.0, 3)
        bands.append(np.square(change - soft))
        change = soft[::2, ::2]
        if min(change.shape) < 2:
            break
    return bands


def _evenness(energies: NDArray[Any]) -> float:
    """The entropy of the shares, over that of equal ones: 0 where all is in one, 1 where it is spread evenly."""
    total = energies.sum()
    if total <= 0 or len(energies) < 2:
        return 0.0
    shares = energies[energies > 0] / total
    return float(-(shares * np.log(shares)).sum() / np.log(len(energies)))


def _sameness(energies: list[Plane]) -> float:
    """The mean cosine between the mixes of scales of all pairs of places, four by four of them."""
    mixes = np.stack([_places(plane) for plane in energies], axis=-1)
    mixes = mixes / np.maximum(mixes.sum(axis=-1, keepdims=True), 1e-12)
    lengths = np.linalg.norm(mixes, axis=-1)
    mixes = mixes[lengths > 0] / lengths[lengths > 0, None]
    if len(mixes) < 2:
        return 1.0
    cosines = mixes @ mixes.T
    pairs = cosines[np.triu_indices(len(mixes), 1)]
    return float(pairs.mean())


def _places(plane: Plane) -> NDArray[Any]:
    """The means over a grid of places, shape (places,)."""
    rows = np.array_split(plane, min(_PATCHES, plane.shape[0]), axis=0)
    cells = [part.mean() for row in rows for part in np.array_split(row, min(_PATCHES, plane.shape[1]), axis=1)]
    return np.resize(np.array(cells), _PATCHES * _PATCHES)


def _lab(rgb: NDArray[np.uint8]) -> Plane:
    """CIELAB (D65) of sRGB, shape (height, width, 3).

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


def _chroma(lab: Plane) -> Plane:
    chroma: Plane = np.hypot(lab[..., 1], lab[..., 2])
    return chroma

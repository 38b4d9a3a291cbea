"""Finds where one thumbnail lies in another: shift, scale, a little rotation and shear."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.hashes import SIDE, Thumb

Warp = NDArray[np.float64]
"""Six numbers p: the point (x, y) of the first picture, -1 to 1 along both sides, is at
(p[0] + p[1] x + p[2] y, p[3] + p[4] x + p[5] y) of the second."""

_AS_THEY_LIE: Warp = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0])

# Coarse to fine: side in pixels, steps at most. A pixel of the coarsest level is a sixteenth of the picture.
_LEVELS = ((16, 6), (32, 5), (64, 4))
_LEAST_SHARED = 0.15  # of the first picture; less says nothing
_LARGEST_STEP = 0.15
_SMALLEST_STEP = 2e-3
_LEAST_GAIN = 0.05


def align(first: Thumb, second: Thumb) -> Warp | None:
    """The warp under which two pictures agree best near where they lie, or None when they do not come together.

    Gauss-Newton on the difference of luma, with brightness and contrast fitted in each step and outliers (watermarks,
    captions) weighted down. Source: B. D. Lucas, T. Kanade, An iterative image registration technique, 1981; weights:
    S. Geman, D. E. McClure, 1987.
    """
    pyramid = {64: (first, second)}
    for side in (32, 16):
        pyramid[side] = (_halved(pyramid[2 * side][0]), _halved(pyramid[2 * side][1]))
    warp = _AS_THEY_LIE.copy()
    for side, steps in _LEVELS:
        a, b = pyramid[side]
        slope_x = np.asarray(np.gradient(b, axis=1) * (side / 2), dtype=np.float32)
        slope_y = np.asarray(np.gradient(b, axis=0) * (side / 2), dtype=np.float32)
        for _ in range(steps):
            step = _step(a, b, (slope_x, slope_y), warp)
            if step is None:
                return None
            warp += step
            if np.abs(step).max() < _SMALLEST_STEP:
                break
    return warp


def warped(picture: Thumb, warp: Warp) -> tuple[Thumb, NDArray[np.bool_]]:
    """The second picture as seen from the first, and where it has something to show."""
    x, y = points(SIDE)
    at_x, at_y = warp[0] + warp[1] * x + warp[2] * y, warp[3] + warp[4] * x + warp[5] * y
    inside = (np.abs(at_x) <= 1) & (np.abs(at_y) <= 1)
    return sampled(picture, at_x, at_y), inside


def sampled(picture: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bilinear values of a square picture at points from -1 to 1; beyond the middle of its edge pixels, those."""
    side = picture.shape[0]
    column = np.clip((x + 1) * (side / 2) - 0.5, 0, side - 1.001)
    row = np.clip((y + 1) * (side / 2) - 0.5, 0, side - 1.001)
    left, top = column.astype(np.intp), row.astype(np.intp)
    across, down = (column - left).astype(np.float32), (row - top).astype(np.float32)
    values, at = picture.ravel(), top * side + left
    upper = values[at] + (values[at + 1] - values[at]) * across
    lower = values[at + side] + (values[at + side + 1] - values[at + side]) * across
    return np.asarray(upper + (lower - upper) * down, dtype=np.float32)


@lru_cache
def points(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X and y of the middles of all pixels of a square picture, -1 to 1; each of shape (side, side)."""
    middles = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(middles, middles)
    return x, y


def _step(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    slopes: tuple[NDArray[np.float32], NDArray[np.float32]],
    warp: Warp,
) -> Warp | None:
    grid_x, grid_y = points(len(a))
    at_x, at_y = warp[0] + warp[1] * grid_x + warp[2] * grid_y, warp[3] + warp[4] * grid_x + warp[5] * grid_y
    inside = (np.abs(at_x) <= 1) & (np.abs(at_y) <= 1)
    if np.count_nonzero(inside) < _LEAST_SHARED * a.size:
        return None
    x, y, at_x, at_y = grid_x[inside], grid_y[inside], at_x[inside], at_y[inside]
    wanted, seen = a[inside], sampled(b, at_x, at_y)
    wanted, seen = wanted - wanted.mean(), seen - seen.mean()
    power = float(seen @ seen)
    gain = float(wanted @ seen) / power if power > 1e-3 else 0.0
    if gain <= _LEAST_GAIN:
        return None
    missing = wanted / gain - seen
    spread = 2 * (1.4826 * float(np.median(np.abs(missing))) + 1)
    weights = 1 / (1 + (missing / spread) ** 2)
    along_x, along_y = sampled(slopes[0], at_x, at_y), sampled(slopes[1], at_x, at_y)
    jacobian = np.stack([along_x, along_x * x, along_x * y, along_y, along_y * x, along_y * y], axis=1)
    jacobian -= jacobian.mean(axis=0)
    weighted = jacobian * weights[:, None]
    normal = jacobian.T @ weighted
    normal[np.diag_indices(6)] += 1e-3 * np.trace(normal) / 6 + 1e-6
    step: Warp = np.linalg.solve(normal, weighted.T @ missing)
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)


def _halved(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    side = len(picture) // 2
    return np.asarray(picture.reshape(side, 2, side, 2).mean(axis=(1, 3)), dtype=np.float32)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream import gradients
from dream.recipes import Normalization


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("size", [(64, 64), (33, 51), (1, 40), (40, 1), (1, 1), (2, 3), (31, 16)])
def test_a_laplacian_pyramid_goes_together_again(size: tuple[int, int]):
    picture = noise(2, *size, 3)

    merged = gradients.merge(gradients.split(tf.constant(picture), 4)).numpy()

    np.testing.assert_allclose(merged, picture, atol=1e-5)


def test_a_pyramid_keeps_what_is_flat_out_of_its_bands_away_from_the_edges():
    flat = tf.ones([1, 128, 128, 3])

    *bands, rest = gradients.split(flat, 3)

    for band in bands:
        edge = min(8, band.shape[1] // 4)
        np.testing.assert_allclose(band[:, edge:-edge, edge:-edge].numpy(), 0, atol=1e-6)
    np.testing.assert_allclose(rest[:, 6:-6, 6:-6].numpy(), 1, atol=1e-6)


@pytest.mark.parametrize("normalization", Normalization)
def test_the_scale_of_a_gradient_does_not_matter(normalization: Normalization):
    gradient = noise(1, 40, 48, 3)

    first, *others = [
        gradients.normalize(tf.constant(gradient * np.float32(scale)), normalization).numpy()
        for scale in (1, 1e-9, 1e-30, 1e9, 1e30)
    ]

    assert np.abs(first).mean() > 0.5
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("normalization", "spread"),
    [
        (Normalization.STD, np.std),
        (Normalization.MEAN_ABS, lambda values: np.mean(np.abs(values))),
        (Normalization.LAPLACIAN, np.std),
    ],
)
def test_each_picture_of_a_batch_gets_unit_spread_on_its_own(normalization: Normalization, spread: Any):
    batch = np.concatenate([noise(1, 40, 48, 3), noise(1, 40, 48, 3, seed=1) * 1000 + 5])

    together = gradients.normalize(tf.constant(batch), normalization).numpy()

    for index in range(2):
        assert spread(together[index]) == pytest.approx(1, rel=1e-3)
        alone = gradients.normalize(tf.constant(batch[index : index + 1]), normalization).numpy()
        np.testing.assert_allclose(together[index : index + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalization", Normalization)
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_gradient_without_spread_stays_finite(normalization: Normalization, value: float):
    result = gradients.normalize(tf.fill([1, 33, 20, 3], value), normalization).numpy()

    assert np.isfinite(result).all()
    if value == 0.0:
        assert not result.any()


def test_laplacian_normalization_favours_broad_shapes_over_grain():
    grain, broad = noise(1, 64, 64, 3), np.repeat(np.repeat(noise(1, 4, 4, 3), 16, axis=1), 16, axis=2)
    gradient = grain + 0.2 * broad

    def share(values: np.ndarray) -> float:
        blocks = values.reshape(1, 4, 16, 4, 16, 3).mean(axis=(2, 4))
        return float(blocks.std() / values.std())

    lap = gradients.normalize(tf.constant(gradient), Normalization.LAPLACIAN).numpy()
    plain = gradients.normalize(tf.constant(gradient), Normalization.STD).numpy()

    assert share(lap) > 2 * share(plain)


def halving_by_hand(length: int) -> np.ndarray:
    """One side of the published 5x5 kernel at stride 2, as a matrix: SAME padding, weights 1, 4, 6, 4, 1 of 16."""
    count = -(-length // 2)
    before = max(2 * (count - 1) + 5 - length, 0) // 2
    matrix = np.zeros((count, length))
    for row in range(count):
        for offset, weight in enumerate((1, 4, 6, 4, 1)):
            column = 2 * row - before + offset
            if 0 <= column < length:
                matrix[row, column] = weight / 16
    return matrix


def laplacian_by_hand(plane: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Source: lap_normalize of the TensorFlow 1 tutorial, in float64: its five levels, and what they add up to.

    plane: (height, width, channels). The transposed convolution by four times the kernel is twice the transposed
    matrix on each side.
    """
    levels, sides = [], []
    for _ in range(4):
        down, across = (halving_by_hand(side) for side in plane.shape[:2])
        sides.append((down, across))
        low = np.einsum("ij,jkc,lk->ilc", down, plane, across)
        levels.append(plane - 4 * np.einsum("ji,jkc,kl->ilc", down, low, across))
        plane = low
    levels = [level / max(np.sqrt(np.mean(level**2)), 1e-10) for level in [*levels, plane]]
    merged = levels[-1]
    for level, (down, across) in zip(levels[-2::-1], sides[::-1], strict=True):
        merged = level + 4 * np.einsum("ji,jkc,kl->ilc", down, merged, across)
    return levels, merged


@pytest.mark.parametrize("size", [(64, 64), (33, 51), (83, 125), (16, 7)])
def test_laplacian_normalization_is_the_published_one_over_its_spread(size: tuple[int, int]):
    gradient = noise(2, *size, 3, seed=4) * np.array([1.0, 1e-4], np.float32)[:, None, None, None] + 1e-5

    found = gradients.normalize(tf.constant(gradient), Normalization.LAPLACIAN).numpy()

    for index in range(2):
        levels, merged = laplacian_by_hand(gradient[index].astype(np.float64))
        assert [np.sqrt(np.mean(level**2)) for level in levels] == pytest.approx([1.0] * 5)
        np.testing.assert_allclose(found[index], merged / merged.std(), atol=2e-4)


def test_root_mean_square_survives_very_small_numbers():
    values = tf.fill([1, 4, 4, 3], 1e-25)

    assert gradients.root_mean_square(values).numpy().item() == pytest.approx(1e-25, rel=1e-5)


def gaussian_by_hand(picture: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    """Blur of (height, width, channels) in float64, pixel by pixel, mirrored at the edges without repeating them."""
    weights = np.array([np.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-reach, reach + 1)])
    weights /= weights.sum()
    for axis in (0, 1):
        margins = [(0, 0)] * 3
        margins[axis] = (reach, reach)
        wide = np.pad(picture.astype(np.float64), margins, mode="reflect")
        count = picture.shape[axis]
        picture = sum(
            weight * np.take(wide, range(start, start + count), axis=axis) for start, weight in enumerate(weights)
        )
    return picture


@pytest.mark.parametrize("size", [(24, 31), (7, 40), (1, 9), (2, 2), (1, 1)])
@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_blur_is_the_mean_of_three_gaussians_mirrored_at_the_edges(size: tuple[int, int], sigma: float):
    gradient = noise(2, *size, 3)

    blurred = gradients.blur(tf.constant(gradient), tf.constant(sigma), radius=14).numpy()

    for picture, found in zip(gradient, blurred, strict=True):
        expected = sum(gaussian_by_hand(picture, sigma * factor, 14) for factor in (0.5, 1.0, 2.0)) / 3
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blur_keeps_what_is_flat_and_the_colours_apart():
    flat = np.zeros((1, 20, 33, 3), np.float32) + np.array([1.0, -2.0, 0.25], np.float32)
    red = noise(1, 20, 33, 3) * np.array([1.0, 0.0, 0.0], np.float32)

    np.testing.assert_allclose(gradients.blur(flat, tf.constant(3.0), radius=18).numpy(), flat, rtol=1e-5)
    assert not gradients.blur(red, tf.constant(3.0), radius=18).numpy()[..., 1:].any()


def test_a_blur_of_nothing_leaves_the_gradient():
    gradient = noise(1, 12, 9, 3)

    np.testing.assert_allclose(gradients.blur(gradient, tf.constant(0.0), radius=6).numpy(), gradient, rtol=1e-6)


def test_blur_takes_the_grain_and_leaves_the_broad_shapes():
    grain = noise(1, 64, 64, 3)
    broad = np.broadcast_to(np.cos(np.arange(64) / 63 * np.pi)[:, None, None], (1, 64, 64, 3)).astype(np.float32)

    assert gradients.blur(grain, tf.constant(2.0), radius=12).numpy().std() < 0.4 * grain.std()
    assert gradients.blur(broad, tf.constant(2.0), radius=12).numpy().std() > 0.9 * broad.std()

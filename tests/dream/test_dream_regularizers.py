from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dream.regularizers import total_variation_gradient


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).uniform(size=shape)


def total_variation(picture: np.ndarray) -> float:
    """Pixel by pixel, in float64: sqrt(dx^2 + dy^2 + 1e-6), with no difference beyond the last row and column."""
    height, width, channels = picture.shape
    total = 0.0
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                here = picture[row, column, channel]
                right = picture[row, column + 1, channel] - here if column + 1 < width else 0.0
                down = picture[row + 1, column, channel] - here if row + 1 < height else 0.0
                total += np.sqrt(right**2 + down**2 + 1e-6)
    return total


@pytest.mark.parametrize("size", [(5, 7), (1, 6), (4, 1), (1, 1)])
def test_it_is_the_slope_of_the_total_variation(size: tuple[int, int]):
    picture = noise(*size, 3)

    gradient = total_variation_gradient(tf.constant(picture[None].astype(np.float32))).numpy()[0]

    for index in np.ndindex(picture.shape):
        small = np.zeros_like(picture)
        small[index] = 1e-6
        expected = (total_variation(picture + small) - total_variation(picture - small)) / 2e-6
        assert gradient[index] == pytest.approx(expected, abs=2e-3)


def test_a_flat_picture_is_left_alone():
    assert not total_variation_gradient(tf.fill([2, 9, 8, 3], 0.3)).numpy().any()


def test_each_picture_has_its_own():
    pictures = noise(2, 12, 9, 3).astype(np.float32)

    together = total_variation_gradient(tf.constant(pictures)).numpy()

    for index in range(2):
        alone = total_variation_gradient(tf.constant(pictures[index : index + 1])).numpy()
        np.testing.assert_array_equal(together[index], alone[0])


def test_steps_against_it_smooth_a_picture_and_keep_its_mean():
    picture = tf.constant(noise(1, 16, 16, 3).astype(np.float32))
    before = total_variation(picture.numpy()[0])

    smoothed = picture
    for _ in range(20):
        smoothed = smoothed - 0.02 * total_variation_gradient(smoothed)

    assert total_variation(smoothed.numpy()[0]) < 0.6 * before
    assert smoothed.numpy().mean() == pytest.approx(picture.numpy().mean(), abs=1e-5)

from __future__ import annotations

import numpy as np
import pytest

from dream.colors import apply_colors
from dream.pixels import to_float, to_uint8
from dream.recipes import Colors
from tests.support.tiny_network import noise_image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def source(height: int = 24, width: int = 30) -> np.ndarray:
    return to_float(noise_image(height, width))


def dream(height: int = 24, width: int = 30) -> np.ndarray:
    """A picture that leaves the range at both ends, as a dream may before it is clipped."""
    return to_float(noise_image(height, width, seed=1)) * np.float32(2.4) - np.float32(0.7)


def test_lightness_is_the_source_s_everywhere_and_survives_the_way_to_a_file():
    result = apply_colors(dream(), source(), Colors.LIGHTNESS)

    np.testing.assert_allclose(result @ LUMA, source() @ LUMA, atol=1e-5)
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6
    kept = to_float(to_uint8(result))
    np.testing.assert_allclose(kept @ LUMA, source() @ LUMA, atol=0.6 / 255)


def test_lightness_keeps_the_dream_s_colours_where_they_fit_and_their_hue_where_not():
    picture, wild = source(), dream()

    result = apply_colors(wild, picture, Colors.LIGHTNESS)

    colour, found = (values - (values @ LUMA)[..., None] for values in (wild, result))
    share = (found * colour).sum(axis=-1) / (colour * colour).sum(axis=-1)
    np.testing.assert_allclose(found, share[..., None] * colour, atol=1e-4)
    whole = (picture @ LUMA)[..., None] + colour
    fits = ((whole >= 0) & (whole <= 1)).all(axis=-1)
    assert 0.05 < fits.mean() < 0.95
    np.testing.assert_allclose(share[fits], 1, atol=1e-3)
    assert (share[~fits] < 1 + 1e-3).all()
    # No paler than need be: some channel is at the end of its range.
    at_end = np.minimum(result, 1 - result).min(axis=-1)
    np.testing.assert_allclose(at_end[~fits], 0, atol=1e-3)


def test_lightness_leaves_black_black_and_white_white():
    ends = np.repeat(np.array([0.0, 1.0], np.float32), 3).reshape(1, 1, 2, 3)

    result = apply_colors(dream(1, 2), ends, Colors.LIGHTNESS)

    np.testing.assert_allclose(result, ends, atol=1e-6)


@pytest.mark.parametrize("size", [(24, 30), (1, 7), (1, 1)])
def test_a_matched_histogram_is_the_source_s_to_the_value(size: tuple[int, int]):
    result = apply_colors(dream(*size), source(*size), Colors.HISTOGRAM)

    assert result.dtype == np.float32
    for channel in range(3):
        np.testing.assert_array_equal(
            np.sort(result[..., channel].ravel()), np.sort(source(*size)[..., channel].ravel())
        )


def test_a_matched_histogram_keeps_the_dream_s_order_of_light_and_dark():
    # No two pixels alike: what becomes of equal ones is another promise.
    wild = np.random.Generator(np.random.PCG64(2)).permutation(24 * 30 * 3).reshape(1, 24, 30, 3).astype(np.float32)

    result = apply_colors(wild, source(), Colors.HISTOGRAM)

    for channel in range(3):
        order = np.argsort(wild[..., channel].ravel())
        assert (np.diff(result[..., channel].ravel()[order]) >= 0).all()


def test_where_a_dream_is_clipped_its_matched_values_follow_the_source_and_not_the_rows():
    burnt = np.ones((1, 24, 30, 3), np.float32)

    np.testing.assert_array_equal(apply_colors(burnt, source(), Colors.HISTOGRAM), source())


@pytest.mark.parametrize("colors", Colors)
def test_each_picture_of_a_batch_is_coloured_on_its_own_and_none_is_changed_in_place(colors: Colors):
    dreams, sources = np.concatenate([dream(), source()]), np.concatenate([source(), dream() * 0.2 + 0.3])
    before = dreams.copy(), sources.copy()

    together = apply_colors(dreams, sources, colors)

    for index in range(2):
        alone = apply_colors(dreams[index : index + 1], sources[index : index + 1], colors)
        np.testing.assert_allclose(together[index], alone[0], atol=1e-6)
    np.testing.assert_array_equal(dreams, before[0])
    np.testing.assert_array_equal(sources, before[1])
    assert together.dtype == np.float32

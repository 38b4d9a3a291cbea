from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream import pixels, transforms
from dream.colors import apply_colors
from dream.errors import ImageUnusable
from dream.recipes import Colors, Resampling
from tests.support.tiny_network import noise_image


def test_every_level_survives_the_way_to_float_and_back():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)

    np.testing.assert_array_equal(pixels.to_uint8(pixels.to_float(levels)), levels)


def test_floats_are_clipped_and_rounded_half_to_even_not_cut_off():
    values = np.array([-0.2, 0.5 / 255, 1.5 / 255, 2.5 / 255, 99.7 / 255, 1.3], np.float32)
    picture = np.broadcast_to(values[None, :, None, None], (1, 6, 1, 3))

    np.testing.assert_array_equal(pixels.to_uint8(picture)[:, 0, 0], [0, 0, 2, 2, 100, 255])


def test_a_picture_is_named_by_its_size_and_its_bytes_row_by_row():
    picture = noise_image(3, 2)
    by_hand = b"rgb8:2x3:" + bytes(int(value) for row in picture for pixel in row for value in pixel)

    assert pixels.pixel_digest(picture) == hashlib.sha256(by_hand).hexdigest()
    assert pixels.pixel_digest(np.asfortranarray(picture)) == pixels.pixel_digest(picture)
    assert pixels.pixel_digest(picture.reshape(2, 3, 3)) != pixels.pixel_digest(picture)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        [[1, 2, 3]],
    ],
)
def test_what_is_no_rgb_picture_is_refused(image: Any):
    with pytest.raises(ImageUnusable, match="RGB"):
        pixels.check_image(image)


def test_making_a_picture_smaller_does_not_fold_fine_stripes_into_broad_ones():
    stripes = np.zeros((1, 120, 120, 3), np.float32)
    stripes[:, :, ::2] = 1.0

    for resampling in Resampling:
        small = np.asarray(pixels.resize(stripes, (50, 50), resampling))

        assert np.abs(small[:, 3:-3, 3:-3] - 0.5).max() < 0.05


@pytest.mark.parametrize("resampling", Resampling)
def test_a_flat_picture_stays_flat_at_every_size(resampling: Resampling):
    flat = np.full((1, 20, 30, 3), 0.25, np.float32)

    for size in ((7, 9), (31, 50)):
        np.testing.assert_allclose(np.asarray(pixels.resize(flat, size, resampling)), 0.25, atol=1e-6)
    assert pixels.resize(flat, (20, 30), resampling) is flat


def test_short_sides_are_mirrored_out_and_long_ones_left_alone():
    picture = pixels.to_float(noise_image(2, 40))

    padded = pixels.pad_to(picture, 5)

    assert padded.shape == (1, 5, 40, 3)
    np.testing.assert_array_equal(padded[:, [0, 1, 2, 3, 4]], picture[:, [0, 1, 1, 0, 0]])
    assert pixels.pad_to(padded, 5) is padded


def test_free_colours_are_left_and_source_colours_come_back():
    source = pixels.to_float(noise_image(12, 12))
    dream = pixels.to_float(noise_image(12, 12, seed=1))
    luma = np.array([0.299, 0.587, 0.114], np.float32)

    result = apply_colors(dream, source, Colors.SOURCE)

    assert apply_colors(dream, source, Colors.FREE) is dream
    np.testing.assert_allclose(result @ luma, dream @ luma, atol=1e-5)
    np.testing.assert_allclose(np.diff(result, axis=-1), np.diff(source, axis=-1), atol=1e-5)


def test_balanced_colours_have_the_mean_of_the_source_and_a_spread_half_way():
    source = pixels.to_float(noise_image(32, 32))
    dream = source * 4 - 1

    result = apply_colors(dream, source, Colors.BALANCED)

    np.testing.assert_allclose(result.mean(axis=(0, 1, 2)), source.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(result.std(axis=(0, 1, 2)), source.std(axis=(0, 1, 2)) * 2, rtol=1e-4)


def test_balancing_a_flat_picture_divides_by_nothing():
    flat = np.full((1, 8, 8, 3), 0.5, np.float32)

    np.testing.assert_array_equal(apply_colors(flat, flat, Colors.BALANCED), flat)


@given(seed=st.integers(0, 2**63 - 1), jitter=st.integers(0, 65_536), steps=st.lists(st.integers(0, 20), max_size=4))
def test_shifts_stay_within_the_jitter_and_depend_on_nothing_but_the_seed(seed: int, jitter: int, steps: list[int]):
    tables = transforms.draw_shifts(seed, steps, jitter)

    assert [table.shape for table in tables] == [(count, 2) for count in steps]
    assert all(np.abs(table).max(initial=0) <= jitter for table in tables)
    again = transforms.draw_shifts(seed, steps, jitter)
    assert transforms.shifts_digest(tables) == transforms.shifts_digest(again)


def test_shifts_reach_both_ends_about_evenly():
    (table,) = transforms.draw_shifts(5, [6000], 2)

    counts = np.unique(table, return_counts=True)
    assert list(counts[0]) == [-2, -1, 0, 1, 2]
    assert counts[1].min() > 0.9 * 12000 / 5


def test_the_digest_of_shifts_is_that_of_their_little_endian_bytes():
    tables = transforms.draw_shifts(1, [3, 2], 64)

    by_hand = b"".join(int(n).to_bytes(4, "little", signed=True) for table in tables for n in table.ravel())

    assert transforms.shifts_digest(tables) == hashlib.sha256(by_hand).hexdigest()


def test_the_shifts_of_a_seed_never_change():
    # The words of PCG64(0), as NumPy documents that they stay: 2**64 / 129 does not matter here, only their remainder.
    words = [11749869230777074271, 4976686463289251617, 755828109848996024, 304881062738325533]

    (table,) = transforms.draw_shifts(0, [2], 64)

    assert table.ravel().tolist() == [word % 129 - 64 for word in words]


@given(down=st.integers(-90, 90), right=st.integers(-90, 90))
def test_unrolling_undoes_rolling(down: int, right: int):
    picture = noise_image(7, 11)[None].astype(np.float32)
    shift = np.array([down, right], np.int32)

    rolled = transforms.roll(picture, shift)

    np.testing.assert_array_equal(rolled.numpy(), np.roll(picture, (down, right), axis=(1, 2)))
    np.testing.assert_array_equal(transforms.unroll(rolled, shift).numpy(), picture)

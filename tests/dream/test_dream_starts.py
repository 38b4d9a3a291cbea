from __future__ import annotations

import numpy as np

from dream.pixels import to_float, to_uint8
from dream.recipes import Start
from dream.starts import first_image
from dream.streams import CHANNEL_STREAM, NOISE_STREAM, SHIFT_STREAM, TILE_STREAM, random_words
from tests.support.tiny_network import noise_image

SOURCE = to_float(noise_image(40, 56))


def test_a_dream_from_the_picture_begins_with_it():
    assert first_image(Start.IMAGE, SOURCE, 5) is SOURCE


def test_a_dream_from_nothing_begins_in_the_middle_of_the_range():
    blank = first_image(Start.BLANK, SOURCE, 5)

    assert (blank.shape, blank.dtype) == (SOURCE.shape, np.float32)
    assert np.ptp(blank) == 0
    assert blank.flat[0] == 0.5


def test_the_published_noise_lies_evenly_between_levels_100_and_101():
    noise = first_image(Start.NOISE, SOURCE, 5)

    assert (noise.shape, noise.dtype) == (SOURCE.shape, np.float32)
    assert noise.min() >= np.float32(100 / 255)
    assert noise.max() <= np.float32(101 / 255)
    counts, _ = np.histogram(noise.astype(np.float64) * 255 - 100, bins=10, range=(0, 1))
    assert counts.min() > 0.85 * noise.size / 10
    assert set(np.unique(to_uint8(noise))) == {100, 101}


def test_noise_is_the_upper_bits_of_its_stream_s_words_as_fractions_row_by_row():
    noise = first_image(Start.NOISE, SOURCE, 5)

    words = np.random.PCG64(5).jumped(1).random_raw(noise.size)
    by_hand = [np.float32(((int(word) >> 11) / 2**53 + 100) / 255) for word in words[:300]]
    np.testing.assert_array_equal(noise.ravel()[:300], by_hand)
    assert noise.ravel()[-1] == np.float32(((int(words[-1]) >> 11) / 2**53 + 100) / 255)


def test_noise_depends_on_the_seed_and_not_on_the_picture():
    noise = first_image(Start.NOISE, SOURCE, 5)

    np.testing.assert_array_equal(first_image(Start.NOISE, SOURCE * 0, 5), noise)
    assert (first_image(Start.NOISE, SOURCE, 6) != noise).mean() > 0.99


def test_the_streams_of_a_seed_share_nothing():
    streams = [random_words(3, stream, 500) for stream in (SHIFT_STREAM, NOISE_STREAM, CHANNEL_STREAM, TILE_STREAM)]

    assert len(np.unique(np.concatenate(streams))) == 2000
    np.testing.assert_array_equal(streams[0], np.random.PCG64(3).random_raw(500))
    np.testing.assert_array_equal(random_words(3, NOISE_STREAM, 20), streams[1][:20])

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from dream.quality import Measures, band_energies, lab, measure, noise, sharpness, ssim

SIDE = 192


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def grey(plane: np.ndarray) -> np.ndarray:
    """A plane of levels as a grey picture."""
    levels = np.clip(np.rint(plane), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def flat(height: int = SIDE, width: int = SIDE, level: float = 128) -> np.ndarray:
    return np.full((height, width), float(level))


def gradient(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """A smooth one: a slope and a broad hill on it."""
    rows, columns = np.mgrid[0:height, 0:width]
    hill = 40 * np.exp(-((rows - height / 2) ** 2 + (columns - width / 2) ** 2) / (2 * (height / 3) ** 2))
    return 60 + 0.35 * columns + hill


def wave(period: float, *, height: int = SIDE, width: int = SIDE, amplitude: float = 40) -> np.ndarray:
    """Upright stripes whose mirror image at an edge goes on as they do, so that edges have no say."""
    row = amplitude * np.cos(2 * np.pi * (np.arange(width) + 0.5) / period)
    return np.tile(row, (height, 1))


def shares(plane: np.ndarray) -> np.ndarray:
    energies = np.array([band.mean() for band in band_energies(plane.astype(np.float32))])
    return energies / energies.sum()


@pytest.mark.parametrize("sigma", [2.0, 6.0, 15.0])
@pytest.mark.parametrize("under", [flat, gradient])
def test_noise_is_the_standard_deviation_of_white_noise_on_a_smooth_picture(under, sigma: float):
    source = under()
    dream = source + generator().normal(0, sigma, source.shape)

    found = measure(grey(dream), grey(source)).noise

    # Rounding to whole levels adds a variance of 1/12.
    assert found == pytest.approx(math.sqrt(sigma**2 + 1 / 12), rel=0.04)


def test_coloured_noise_counts_by_what_it_leaves_in_the_luma():
    source = np.full((SIDE, SIDE, 3), 128.0)
    dream = source + generator().normal(0, 8, source.shape)

    found = measure(np.rint(dream).astype(np.uint8), source.astype(np.uint8)).noise

    assert found == pytest.approx(8 * math.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.04)


def test_slopes_and_upright_edges_are_no_noise():
    rows, columns = np.mgrid[0:96, 0:120]
    ramp = rows + columns
    edge = np.where(columns < 60, 20, 220)

    assert measure(grey(ramp), grey(ramp)).noise == pytest.approx(0, abs=1e-4)
    assert measure(grey(edge), grey(edge)).noise == pytest.approx(0, abs=1e-4)


def test_texture_in_less_than_half_of_a_picture_is_no_noise_but_all_over_it_is():
    some, everywhere = flat(), flat()
    checks = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 30
    some[: SIDE // 3] += checks[: SIDE // 3]
    everywhere += checks

    assert noise(some.astype(np.float32)) == pytest.approx(0, abs=1e-4)
    assert noise(everywhere.astype(np.float32)) > 10


def test_the_ratios_are_over_the_source_or_over_the_least_that_one_can_have():
    source = gradient() + generator(1).normal(0, 3, (SIDE, SIDE))
    dream = source + generator(2).normal(0, 4, (SIDE, SIDE))

    noisy = measure(grey(dream), grey(source))
    drawn = measure(grey(dream), grey(flat()))

    assert noisy.noise_ratio == pytest.approx(5 / 3, rel=0.05)
    assert noisy.noise_ratio == pytest.approx(noisy.noise / noise(grey(source) @ np.float32([0.299, 0.587, 0.114])))
    assert drawn.noise_ratio == pytest.approx(drawn.noise / 0.193)
    assert drawn.sharpness_ratio == pytest.approx(drawn.sharpness / 0.1)


def test_sharpness_of_a_slope_is_the_slope_and_that_of_a_texture_its_contrast():
    rows, columns = np.mgrid[0:100, 0:60]
    slope = (3 * columns + 4 * rows).astype(np.float32)
    fine = 100 + 60 * np.sin(columns * 2 * np.pi / 12) + 60 * np.sin(rows * 2 * np.pi / 12)
    dim = 100 + 0.5 * (fine - 100)

    # 3 across and 4 down; less at the edges, which are mirrored.
    assert sharpness(slope) == pytest.approx(5, rel=0.06)
    assert sharpness(flat().astype(np.float32)) == pytest.approx(0, abs=1e-4)
    assert sharpness(dim.astype(np.float32)) == pytest.approx(0.5 * sharpness(fine.astype(np.float32)), rel=1e-3)


def test_the_softer_an_edge_the_less_its_sharpness():
    columns = np.mgrid[0:40, 0:60][1]

    found = [
        sharpness(np.clip(100 * ((columns - 29.5) / width + 1), 0, 200).astype(np.float32)) for width in (0.5, 4, 8, 16)
    ]

    assert found == sorted(found, reverse=True)
    # A ramp of 200 levels over 2 * width of 59 steps, softened a little at its ends.
    assert found[3] == pytest.approx(200 / 32 * math.sqrt(32 / 59), rel=0.03)


def test_blurring_a_textured_picture_lowers_its_sharpness_each_time():
    plane = generator(3).uniform(0, 255, (64, 80)).astype(np.float32)
    found = [sharpness(plane)]

    for _ in range(3):
        plane = (plane + np.roll(plane, 1, 0) + np.roll(plane, 1, 1) + np.roll(plane, (1, 1), (0, 1))) / 4
        found.append(sharpness(plane))

    assert found == sorted(found, reverse=True)
    assert found[3] < 0.6 * found[0]


def direct_ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Mean SSIM by the definition, window by window in float64, mirrored at the edges."""
    places = np.arange(-5, 6)
    window = np.exp(-(places[:, None] ** 2 + places[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    a, b = (np.pad(plane.astype(np.float64), 5, mode="symmetric") for plane in (first, second))
    values = []
    for row in range(first.shape[0]):
        for column in range(first.shape[1]):
            x, y = a[row : row + 11, column : column + 11], b[row : row + 11, column : column + 11]
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            covariance = (window * (x - mx) * (y - my)).sum()
            values.append(
                (2 * mx * my + 6.5025) * (2 * covariance + 58.5225) / ((mx**2 + my**2 + 6.5025) * (vx + vy + 58.5225))
            )
    return float(np.mean(values))


@pytest.mark.parametrize("size", [(23, 17), (12, 30), (6, 5)])
def test_ssim_is_that_of_its_definition_window_by_window(size: tuple[int, int]):
    first = generator(4).uniform(0, 255, size)
    second = np.clip(first * 0.7 + generator(5).normal(20, 25, size), 0, 255)

    found = ssim(first.astype(np.float32), second.astype(np.float32))

    assert found == pytest.approx(direct_ssim(first, second), abs=2e-5)


def test_equal_pictures_are_alike_to_the_last_bit_and_nothing_changed():
    picture = generator(6).integers(0, 256, (40, 50, 3)).astype(np.uint8)

    found = measure(picture, picture.copy())

    assert found.structure == 1.0
    assert (found.change, found.warmth, found.redness, found.saturation) == (0, 0, 0, 0)
    assert (found.noise_ratio, found.sharpness_ratio) == (1, 1)
    assert (found.texture_variety, found.texture_sameness) == (0, 1)


def test_the_change_is_the_mean_difference_in_levels():
    source = np.zeros((2, 2, 3), np.uint8)
    dream = source.copy()
    dream[0, 0] = (255, 0, 12)

    assert measure(dream, source).change == pytest.approx(267 / 12)
    assert measure(source, dream).change == pytest.approx(267 / 12)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        # L*a*b* of sRGB under D65, as colour calculators print them.
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 0), (97.14, -21.55, 94.48)),
        ((128, 128, 128), (53.59, 0.0, 0.0)),
        ((3, 3, 3), (0.82, 0.0, 0.0)),
    ],
)
def test_cielab_of_known_colours(rgb: tuple[int, int, int], expected: tuple[float, float, float]):
    np.testing.assert_allclose(lab(np.uint8([[rgb]]))[0, 0], expected, atol=0.01)


@pytest.mark.parametrize(
    ("colour", "warmth", "redness", "saturation"),
    [((200, 180, 60), 1, 0, 1), ((60, 90, 200), -1, 0, 1), ((200, 90, 100), 0, 1, 1), ((80, 160, 90), 0, -1, 1)],
)
def test_the_signs_of_the_colour_changes(colour: tuple[int, int, int], warmth: int, redness: int, saturation: int):
    source = grey(flat(8, 9))
    dream = np.broadcast_to(np.uint8(colour), source.shape)

    found = measure(dream, source)

    if warmth:
        assert np.sign(found.warmth) == warmth
    if redness:
        assert np.sign(found.redness) == redness
    assert np.sign(found.saturation) == saturation
    assert np.sign(measure(source, dream).saturation) == -saturation


def test_colour_changes_are_means_over_the_whole_of_a_picture_of_any_size():
    # 530000 pixels, more than are worked on at once, half of them red.
    source = np.zeros((1060, 500, 3), np.uint8)
    dream = source.copy()
    dream[:530] = (255, 0, 0)

    found = measure(dream, source)

    assert found.redness == pytest.approx(80.09 / 2, abs=0.01)
    assert found.warmth == pytest.approx(67.20 / 2, abs=0.01)
    assert found.saturation == pytest.approx(math.hypot(80.09, 67.20) / 2, abs=0.01)


@pytest.mark.parametrize(("band", "period"), [(0, 3), (1, 6), (2, 12), (3, 24), (4, 48)])
def test_a_wave_lands_in_its_band_with_its_whole_energy(band: int, period: int):
    energies = [plane.mean() for plane in band_energies(wave(period, amplitude=30).astype(np.float32))]

    assert energies[band] == pytest.approx(30**2 / 2, rel=0.1)
    assert energies[band] / sum(energies) > 0.95


def test_a_change_of_all_the_light_is_no_texture():
    source = generator(7).integers(0, 200, (64, 64, 3)).astype(np.uint8)

    found = measure(source + np.uint8(55), source)

    assert (found.texture_variety, found.texture_sameness) == (0, 1)
    assert found.change == 55


def test_white_noise_has_a_quarter_of_its_energy_in_each_coarser_band():
    found = shares(generator(8).normal(0, 20, (512, 512)))

    # A band of an octave has three quarters of the plane of frequencies that is left.
    whole = 1 - 0.25**5
    np.testing.assert_allclose(found[:4], [0.75 * 0.25**band / whole for band in range(4)], rtol=0.12)


def test_variety_is_low_for_one_scale_and_high_for_all_of_them():
    source = grey(flat())
    every = sum(wave(period, amplitude=15) for period in (3, 6, 12, 24, 48))

    one = [measure(grey(128 + wave(period)), source).texture_variety for period in (6, 24)]
    two = measure(grey(128 + wave(6) + wave(24)), source).texture_variety
    all_five = measure(grey(128 + every), source).texture_variety

    assert max(one) < 0.15
    # Two equal shares of five: log 2 / log 5.
    assert two == pytest.approx(math.log(2) / math.log(5), abs=0.06)
    assert 0.95 < all_five <= 1


def test_sameness_is_high_for_one_texture_everywhere_and_lower_for_two_halves():
    source = grey(flat())
    halves = np.where(np.arange(SIDE)[:, None] < SIDE // 2, wave(3), wave(24))

    same = measure(grey(128 + wave(6)), source).texture_sameness
    fainter = measure(grey(128 + wave(6) * np.linspace(0.2, 1, SIDE)[:, None]), source).texture_sameness
    different = measure(grey(128 + halves), source).texture_sameness

    assert same > 0.99
    assert fainter > 0.99  # as alike, if not as strong
    # Of the 120 pairs of 16 places, 56 are in one half, with a cosine of 1, and 64 in two, with one of 0.
    assert different == pytest.approx(56 / 120, abs=0.08)


def test_places_without_a_change_do_not_count_as_alike_or_different():
    source = grey(flat())
    quarter = flat()
    quarter[: SIDE // 2, : SIDE // 2] += wave(6, height=SIDE // 2, width=SIDE // 2)

    assert measure(grey(quarter), source).texture_sameness > 0.9


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (5, 7), (3, 3), (17, 33)])
def test_pictures_of_every_size_have_measures_that_are_finite_and_in_their_range(size: tuple[int, int]):
    source, dream = (generator(seed).integers(0, 256, (*size, 3)).astype(np.uint8) for seed in (1, 2))

    found = measure(dream, source)

    assert all(math.isfinite(getattr(found, field.name)) for field in fields(Measures))
    assert 0 <= found.texture_variety <= 1
    assert 0 <= found.texture_sameness <= 1
    assert -1 <= found.structure <= 1
    assert min(found.noise, found.noise_ratio, found.sharpness, found.sharpness_ratio, found.change) >= 0


def test_measures_are_written_by_name_with_six_digits():
    picture = grey(gradient())

    written = measure(grey(gradient() + 1 / 3), picture).to_json()

    assert list(written) == [field.name for field in fields(Measures)]
    assert all(value == round(value, 6) and isinstance(value, float) for value in written.values())


@pytest.mark.parametrize(
    ("dream", "words"),
    [
        (np.zeros((4, 5, 3), np.uint8), "shape"),
        (np.zeros((5, 5, 4), np.uint8), "shape"),
        (np.zeros((5, 5, 3), np.float32), "float32"),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(dream: np.ndarray, words: str):
    with pytest.raises(ValueError, match=words):
        measure(dream, np.zeros((5, 5, 3), np.uint8))


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(ValueError, match="uint8 of shape"):
        measure(np.zeros((0, 5, 3), np.uint8), np.zeros((0, 5, 3), np.uint8))

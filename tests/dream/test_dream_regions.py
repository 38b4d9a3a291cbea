from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.errors import RecipeError
from dream.regions import Box, Ellipse, MaskPicture, mask_plane, region_from_json, stretch

SHA = "ab" * 32
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def plane_of(region: Any, height: int, width: int, pictures: Any = None) -> np.ndarray:
    plane = mask_plane(region, height, width, pictures or {})
    assert plane.shape == (height, width, 1)
    assert plane.dtype == np.float32
    assert plane.min() >= 0
    assert plane.max() <= 1
    return plane[..., 0]


def test_a_box_holds_its_pixels_and_of_those_at_its_edge_their_part():
    # From row 0.5 to 2.5 of 5, from column 1 to 3.5 of 7.
    found = plane_of(Box(top=0.1, bottom=0.5, left=1 / 7, right=0.5), 5, 7)

    expected = np.zeros((5, 7))
    expected[0] = [0, 0.5, 0.5, 0.25, 0, 0, 0]
    expected[1] = [0, 1, 1, 0.5, 0, 0, 0]
    expected[2] = [0, 0.5, 0.5, 0.25, 0, 0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_whole_box_is_the_whole_picture():
    assert (plane_of(Box(), 3, 5) == 1).all()


@given(size=sizes, edges=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_box_has_its_share_of_any_picture_even_of_less_than_a_pixel(size: tuple[int, int], edges: tuple[float, ...]):
    (top, bottom), (left, right) = sorted(edges[:2]), sorted(edges[2:])
    if bottom - top < 1e-3 or right - left < 1e-3:
        return

    found = plane_of(Box(top=top, bottom=bottom, left=left, right=right), *size)

    assert found.mean(dtype=np.float64) == pytest.approx((bottom - top) * (right - left), rel=1e-3)


def test_an_ellipse_is_whole_inside_its_feather_and_nothing_outside():
    ellipse = Ellipse(row=0.5, column=0.5, height=0.8, width=0.6, feather=0.25)

    found = plane_of(ellipse, 9, 11)

    for row in range(9):
        for column in range(11):
            down, across = (row + 0.5) / 9 - 0.5, (column + 0.5) / 11 - 0.5
            radius = math.hypot(down / 0.4, across / 0.3)  # 1 on the edge
            expected = min(1.0, max(0.0, (1 - radius) / 0.25))
            assert found[row, column] == pytest.approx(expected, abs=1e-5)
    assert found[4, 5] == 1
    assert found[0, 0] == 0


def test_an_ellipse_lies_where_its_centre_is():
    found = plane_of(Ellipse(row=0.25, column=0.75, height=0.2, width=0.2), 40, 40)

    rows, columns = np.indices(found.shape)
    assert (found * (rows + 0.5)).sum() / found.sum() == pytest.approx(10, abs=1e-3)
    assert (found * (columns + 0.5)).sum() / found.sum() == pytest.approx(30, abs=1e-3)


def test_an_ellipse_over_the_edge_keeps_the_part_that_is_in_the_picture():
    corner = plane_of(Ellipse(row=0, column=0, height=1, width=1, feather=0), 40, 40)

    assert corner[0, 0] == 1
    assert corner[39, 39] == 0
    # A quarter of an ellipse with half axes of 20 pixels, its edge two pixels soft towards the inside.
    assert 0.25 * math.pi * 16**2 < corner.sum() < 0.25 * math.pi * 20**2


def test_an_ellipse_that_lies_between_the_middles_of_the_pixels_holds_none_of_them():
    speck = Ellipse(row=0.5, column=0.5, height=0.01, width=0.01)

    assert not plane_of(speck, 40, 40).any()
    assert plane_of(speck, 41, 41)[20, 20] > 0


@pytest.mark.parametrize("region", [Box(top=0.2, right=0.7), Ellipse(row=0.3, column=0.8)])
@pytest.mark.parametrize("size", [(5, 12), (1, 12), (5, 3)])
def test_the_region_of_a_picture_that_is_mirrored_out_is_mirrored_with_it(region: Any, size: tuple[int, int]):
    high, wide = size

    found = mask_plane(region, 17, 12, {}, shown=(high / 17, wide / 12))

    plane = plane_of(region, high, wide)
    for row in range(17):
        for column in range(12):
            down, across = row % (2 * high), column % (2 * wide)
            assert found[row, column, 0] == plane[min(down, 2 * high - 1 - down), min(across, 2 * wide - 1 - across)]


def test_a_hard_edge_is_two_pixels_soft():
    found = plane_of(Ellipse(height=1, width=1, feather=0), 64, 64)

    row = found[32, 32:]
    assert set(np.flatnonzero((row > 0) & (row < 1))) <= {30, 31}


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (17, 31)])
def test_regions_have_a_plane_for_any_size(size: tuple[int, int]):
    assert plane_of(Box(top=0.4, bottom=0.6), *size).any()
    assert plane_of(Ellipse(height=2, width=2), *size).any()
    assert plane_of(MaskPicture(picture=SHA), *size, {SHA: np.full((4, 4, 3), 255, np.uint8)}).min() == pytest.approx(1)


def test_the_mask_of_a_picture_is_its_luma():
    picture = np.array([[[255, 255, 255], [255, 0, 0]], [[0, 255, 0], [0, 0, 255]]], np.uint8)

    found = plane_of(MaskPicture(picture=SHA), 2, 2, {SHA: picture})

    np.testing.assert_allclose(found, [[1, 0.299], [0.587, 0.114]], atol=1e-6)


def test_a_mask_is_stretched_to_the_picture_each_pixel_the_mean_of_what_it_covers():
    picture = np.repeat(np.array([[0, 255, 255]], np.uint8)[..., None], 3, axis=2)

    found = plane_of(MaskPicture(picture=SHA), 2, 2, {SHA: picture})
    larger = plane_of(MaskPicture(picture=SHA), 1, 6, {SHA: picture})

    # The left pixel covers the black one and half of the first white one.
    np.testing.assert_allclose(found, [[1 / 3, 1], [1 / 3, 1]], atol=1e-6)
    np.testing.assert_allclose(larger, [[0, 0, 1, 1, 1, 1]], atol=1e-6)


def test_a_mask_picture_that_is_not_given_is_asked_for():
    with pytest.raises(RecipeError, match=f"{SHA}.*give the file"):
        mask_plane(MaskPicture(picture=SHA), 4, 4, {})


@settings(max_examples=50, deadline=None)
@given(old=sizes, new=sizes)
def test_stretching_keeps_the_mean_and_the_range(old: tuple[int, int], new: tuple[int, int]):
    plane = np.random.Generator(np.random.PCG64(1)).uniform(0, 1, old).astype(np.float32)

    found = stretch(plane, *new)

    assert found.shape == new
    assert found.mean() == pytest.approx(plane.mean(), abs=1e-4)
    assert found.min() >= plane.min() - 1e-5
    assert found.max() <= plane.max() + 1e-5


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "box", "top": 0.6, "bottom": 0.5}, ["top below bottom"]),
        ({"kind": "box", "left": 0.5, "right": 0.5}, ["left below right"]),
        ({"kind": "box", "bottom": 1.01}, ["box.bottom", "1 or less"]),
        ({"kind": "box", "top": -0.1}, ["box.top", "0 or more"]),
        ({"kind": "box", "top": float("nan")}, ["box.top", "number"]),
        ({"kind": "ellipse", "row": 1.2}, ["ellipse.row", "1 or less"]),
        ({"kind": "ellipse", "height": 0}, ["ellipse.height", "more than 0"]),
        ({"kind": "ellipse", "width": 2.5}, ["ellipse.width", "2 or less"]),
        ({"kind": "ellipse", "feather": "soft"}, ["ellipse.feather", "soft"]),
        ({"kind": "ellipse", "radius": 1}, ["ellipse", "radius"]),
        ({"kind": "picture"}, ["mask", "needs picture"]),
        ({"kind": "elipse"}, ["kind of region", "'ellipse'"]),
        ({}, ["mask", "needs kind"]),
        ([], ["mask", "object"]),
    ],
)
def test_a_region_that_cannot_be_or_lies_outside_is_refused(data: Any, words: list[str]):
    with pytest.raises(RecipeError) as caught:
        region_from_json(data, what="mask")

    assert all(word in str(caught.value) for word in words), str(caught.value)

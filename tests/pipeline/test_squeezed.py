from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ImageRejected, Reason
from pipeline.images import ImageLimits, squeezed
from tests.support.pictures import file_of, scene


def by_pillow(picture: Image.Image, side: int) -> np.ndarray:
    return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), np.int16)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (40, 200), (20, 20)])
def test_any_shape_becomes_the_square(width: int, height: int) -> None:
    rgb = scene(1, width=width, height=height)

    assert (squeezed(file_of(rgb), side=32) == by_pillow(Image.fromarray(rgb), 32)).all()


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same() -> None:
    data = file_of(scene(2, width=1600, height=1200), "JPEG", quality=90)

    found = squeezed(data, side=64).astype(np.int16)

    assert np.abs(found - by_pillow(Image.open(io.BytesIO(data)), 64)).mean() < 1


def test_it_is_turned_upright() -> None:
    rgb = scene(3, width=64, height=48)
    exif = Image.Exif()
    exif[0x0112] = 6  # must be turned clockwise by 90 degrees

    found = squeezed(file_of(rgb, "PNG", exif=exif), side=32)

    assert (found == by_pillow(Image.fromarray(np.rot90(rgb, -1).copy()), 32)).all()


def test_limits_are_those_of_a_strangers_picture() -> None:
    data = file_of(scene(4, width=100, height=100))

    for limits, reason in (
        (ImageLimits(max_pixels=9_999), Reason.TOO_MANY_PIXELS),
        (ImageLimits(min_side=101), Reason.TOO_SMALL),
        (ImageLimits(max_bytes=len(data) - 1), Reason.TOO_MANY_BYTES),
    ):
        with pytest.raises(ImageRejected) as rejected:
            squeezed(data, side=32, limits=limits)
        assert rejected.value.reason is reason

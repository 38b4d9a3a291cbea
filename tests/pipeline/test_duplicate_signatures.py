from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from pipeline.duplicates.borders import content_box
from pipeline.duplicates.hashes import TURNS, coefficients, hash_of, turned
from pipeline.duplicates.signatures import MAX_VIEWS_BYTES, sign, views_of
from pipeline.images import decode
from tests.support.hashes import hamming_distance, turned_hash
from tests.support.pictures import file_of, scene

QUARTERS = {  # name -> what numpy and people call it
    "upright": lambda rgb: rgb,
    "mirrored": np.fliplr,
    "mirrored upside down": np.flipud,
    "turned by 180 degrees": lambda rgb: np.rot90(rgb, 2),
    "transposed": lambda rgb: rgb.transpose(1, 0, 2),
    "turned clockwise by 90 degrees": lambda rgb: np.rot90(rgb, -1),
    "turned counterclockwise by 90 degrees": lambda rgb: np.rot90(rgb, 1),
    "transposed along the other diagonal": lambda rgb: np.rot90(rgb, 2).transpose(1, 0, 2),
}


def _by_name(name: str):
    return next(turn for turn in TURNS if turn.name == name)


def test_the_coefficients_are_those_of_the_dct() -> None:
    thumb = np.random.default_rng(1).uniform(0, 255, (64, 64)).astype(np.float32)

    assert np.allclose(coefficients(thumb), dctn(thumb, norm="ortho")[:16, :16], atol=1e-2)


def test_the_hash_is_the_signs_grouped_by_parity() -> None:
    values = np.random.default_rng(2).normal(size=(16, 16)).astype(np.float32)

    expected = [values[y, x] > 0 for a in (0, 1) for b in (0, 1) for y in range(a, 16, 2) for x in range(b, 16, 2)]

    assert hash_of(values) == np.packbits(expected).tobytes()


@pytest.mark.parametrize("name", QUARTERS)
@pytest.mark.parametrize("seed", range(3))
def test_the_hash_of_a_turned_picture_is_known_without_turning_it(name: str, seed: int) -> None:
    rgb = scene(seed, width=256, height=192)
    change = QUARTERS[name]

    found = sign(np.ascontiguousarray(change(rgb))).bits

    assert hamming_distance(found, turned_hash(sign(rgb).bits, _by_name(name))) <= 2  # coefficients near 0
    # and the thumbnail is the one that was turned
    own, other = views_of(sign(rgb).views)[0].luma, views_of(sign(np.ascontiguousarray(change(rgb))).views)[0].luma
    assert np.abs(turned(own, _by_name(name)) - other).max() <= 2


def test_the_eight_turns_are_eight_different_ones() -> None:
    bits = sign(scene(1)).bits

    assert {turn.name for turn in TURNS} == set(QUARTERS)
    assert len({turned_hash(bits, turn) for turn in TURNS}) == 8


def test_files_of_one_picture_have_nearly_one_hash_and_other_pictures_have_another() -> None:
    hashes = []
    for seed in range(8):
        rgb = scene(seed, width=640, height=480)
        image, bits = Image.fromarray(rgb), sign(rgb).bits
        edits = [decode(file_of(rgb, "JPEG", quality=40)).rgb, np.asarray(image.convert("L").convert("RGB"))]
        edits += [np.asarray(image.resize(size)) for size in ((160, 120), (321, 239), (1500, 1125))]
        edits.append(np.asarray(ImageEnhance.Brightness(image).enhance(0.85)))
        for edit in edits:
            assert hamming_distance(bits, sign(edit).bits) <= 24
        hashes.append(bits)

    far = [hamming_distance(one, other) for at, one in enumerate(hashes) for other in hashes[:at]]

    assert min(far) > 84


@pytest.mark.parametrize("color", [(128, 128, 128), (255, 255, 255), (200, 30, 30)])
def test_a_plain_picture_has_no_hash(color: tuple[int, int, int]) -> None:
    flat = np.full((120, 160, 3), color, np.uint8)
    slope = np.repeat(np.linspace(20, 230, 320)[None, :, None], 240, axis=0).repeat(3, -1).astype(np.uint8)

    assert sign(flat).hashes == {}
    assert sign(slope).hashes == {}


BORDERS = {
    "none": ((0, 0, 0, 0), "white", None),
    "white": ((20, 20, 20, 20), "white", (20, 20, 180, 140)),
    "bars": ((0, 30, 0, 30), "black", (0, 30, 160, 150)),
    "one side": ((0, 0, 40, 0), "grey", (0, 0, 160, 120)),
}


@pytest.mark.parametrize(("sides", "color", "box"), BORDERS.values(), ids=BORDERS)
def test_the_content_is_found_within_borders(sides: tuple[int, ...], color: str, box: object) -> None:
    left, top, right, bottom = sides
    picture = Image.new("RGB", (160 + left + right, 120 + top + bottom), color)
    picture.paste(Image.fromarray(scene(4)), (left, top))

    found = content_box(np.asarray(picture.convert("L")))

    if box is None:
        assert found is None
    else:  # the outermost line within a border is left out
        assert max(abs(a - b) for a, b in zip(found, box, strict=True)) <= 2


def test_a_flat_picture_is_no_border() -> None:
    assert content_box(np.full((100, 100), 200, np.uint8)) is None


def test_a_bordered_picture_has_the_hash_of_its_content_beside_its_own() -> None:
    rgb = scene(3, width=320, height=240)
    framed = Image.new("RGB", (420, 300), "white")
    framed.paste(Image.fromarray(rgb), (50, 30))

    signature = sign(np.asarray(framed))

    assert hamming_distance(signature.inner_bits, sign(rgb).bits) <= 24
    assert hamming_distance(signature.bits, sign(rgb).bits) > 24
    assert len(views_of(signature.views)) == 2
    assert sign(rgb).inner_bits is None


def test_views_come_back_as_they_were() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:32, :, 0] = 255  # red above black

    (view,) = views_of(sign(rgb).views)

    assert view.luma[10, 10] == 76  # 0.299 of 255, ITU-R 601
    assert view.luma[50, 10] == 0
    assert view.chroma[0, 0].tolist() == [-44, 127]  # Cb and Cr of red by JFIF: -43 and 127.5, cut
    assert view.chroma[7, 7].tolist() == [0, 0]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no zlib",
        zlib.compress(b"short"),
        zlib.compress(bytes(MAX_VIEWS_BYTES + 1)),
        zlib.compress(bytes(50_000_000)),
    ],
)
def test_what_is_no_view_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="views"):
        views_of(packed)


def test_a_hash_does_not_change_from_version_to_version() -> None:
    """The catalog keeps hashes; if this fails, the algorithm needs a new name."""
    y, x = np.mgrid[0:120, 0:160] // 20
    rgb = np.stack([(x * x * 37 + y * 91) % 256, (x * y * 53) % 256, (x * 29 + y * y * 71) % 256], axis=-1)

    assert hamming_distance(sign(rgb.astype(np.uint8)).bits, bytes.fromhex(STORED_HASH)) <= 4  # rounding


STORED_HASH = "87785a87ad8fa67817e8690f9617f9e8310fc639f0ce310fd4aa17e8552bd4aa"


def test_patterns_repeat_themselves_and_scenes_do_not() -> None:
    y, x = np.mgrid[0:240, 0:320]
    board = np.repeat((((y // 30 + x // 40) % 2) * 255)[..., None], 3, -1).astype(np.uint8)

    assert views_of(sign(board).views)[0].repetition > 0.9
    assert views_of(sign(scene(1)).views)[0].repetition < 0.5
    assert (
        views_of(sign(board).views)[0].detail > views_of(sign(np.full((99, 99, 3), 7, np.uint8)).views)[0].detail == 0
    )

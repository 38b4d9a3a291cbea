from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pipeline.images import DEFAULT_LIMITS, ImageLimits, decode, embedded_facts, encode, fit, thumbnail
from tests.support.pictures import ADOBE_GAMMA, ADOBE_RGB_TO_XYZ, adobe_rgb_profile, file_of, scene, xmp_packet

ANY_SIZE = ImageLimits(min_side=1)
SMALL_RGB = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@settings(max_examples=40, deadline=None)
@given(rgb=SMALL_RGB)
def test_png_keeps_every_pixel(rgb: np.ndarray) -> None:
    data = encode(rgb, format="PNG", xmp=None)

    found = decode(data, limits=ANY_SIZE)

    assert np.array_equal(found.rgb, rgb)
    assert (found.height, found.width) == rgb.shape[:2]
    assert (found.format, found.media_type, found.frames) == ("PNG", "image/png", 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_same_pixels_give_the_same_bytes(kind: str) -> None:
    rgb = scene(1)
    packet = xmp_packet(title="a dream")

    assert encode(rgb, format=kind, xmp=packet) == encode(rgb.copy(), format=kind, xmp=packet)


def test_jpeg_is_near_and_keeps_full_colour_resolution() -> None:
    rgb = scene(1)

    data = encode(rgb, format="JPEG", xmp=None)

    assert _psnr(decode(data).rgb, rgb) > 38
    with Image.open(io.BytesIO(data)) as image:
        assert image.layer[0][1:3] == image.layer[1][1:3] == (1, 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_embedded_packet_is_read_back(kind: str) -> None:
    data = encode(scene(1), format=kind, xmp=xmp_packet(title="Dream of a mill", creator="A. Painter"))

    assert decode(data).embedded["title"] == "Dream of a mill"
    assert decode(data).embedded["creator"] == "A. Painter"


def test_webp_keeps_every_pixel_and_has_a_longest_side() -> None:
    rgb = scene(1)

    data = encode(rgb, format="WEBP")

    assert np.array_equal(decode(data).rgb, rgb)
    encode(np.zeros((1, 16_383, 3), np.uint8), format="WEBP")
    with pytest.raises(ValueError, match="at most 16383 pixels on a side"):
        encode(np.zeros((1, 16_384, 3), np.uint8), format="WEBP")


def test_other_formats_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="PNG, JPEG or WebP"):
        encode(scene(1), format="GIF")


@pytest.mark.parametrize(
    ("orientation", "as_stored"),
    [
        (1, lambda upright: upright),
        (2, lambda upright: upright[:, ::-1]),
        (3, lambda upright: np.rot90(upright, 2)),
        (4, lambda upright: upright[::-1]),
        (5, lambda upright: upright.transpose(1, 0, 2)),
        (6, lambda upright: np.rot90(upright, 1)),
        (7, lambda upright: np.rot90(upright, 2).transpose(1, 0, 2)),
        (8, lambda upright: np.rot90(upright, -1)),
        (9, lambda upright: upright),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_every_exif_orientation_comes_out_upright(orientation: int, as_stored, kind: str) -> None:
    upright = scene(2, width=90, height=70)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = file_of(np.ascontiguousarray(as_stored(upright)), kind, exif=exif.tobytes(), **options)

    found = decode(data)

    assert np.array_equal(found.rgb, upright)
    assert (found.width, found.height) == (90, 70)


def test_sixteen_bit_grey_is_scaled_and_rounded() -> None:
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)

    found = decode(file_of(Image.fromarray(values)))

    expected = np.floor(values / 65535 * 255 + 0.5).astype(np.uint8)
    assert np.array_equal(found.rgb, np.repeat(expected[..., None], 3, axis=-1))


def _over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha[..., None] / 255
    return rgb * opacity + 255 * (1 - opacity)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_transparency_is_laid_on_white(kind: str, options: dict) -> None:
    rgb = scene(3)
    alpha = scene(4)[..., 0]

    found = decode(file_of(Image.fromarray(np.dstack([rgb, alpha])), kind, **options))

    assert np.abs(found.rgb - _over_white(rgb, alpha)).max() <= 1


def test_transparent_grey_is_laid_on_white() -> None:
    grey, alpha = scene(3)[..., 0], scene(4)[..., 0]
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])

    found = decode(file_of(image))

    assert np.abs(found.rgb - _over_white(np.repeat(grey[..., None], 3, -1), alpha)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(kind: str) -> None:
    image = Image.new("P", (80, 80), 0)
    image.putpalette([200, 30, 30, 20, 40, 200] + [0] * 762)
    image.paste(1, (40, 0, 80, 80))

    found = decode(file_of(image, kind, transparency=0))

    assert tuple(found.rgb[10, 10]) == (255, 255, 255)
    assert tuple(found.rgb[10, 60]) == (20, 40, 200)


def test_a_transparent_colour_of_a_plain_png_is_white() -> None:
    rgb = np.zeros((80, 80, 3), np.uint8)
    rgb[:, 40:] = (10, 200, 10)

    found = decode(file_of(rgb, transparency=(10, 200, 10)))

    assert tuple(found.rgb[5, 5]) == (0, 0, 0)
    assert tuple(found.rgb[5, 60]) == (255, 255, 255)


def test_black_and_white_and_grey_pictures_become_rgb() -> None:
    bits = scene(5)[..., 0] > 128
    grey = scene(5)[..., 1]

    assert np.array_equal(decode(file_of(Image.fromarray(bits))).rgb, np.where(bits[..., None], 255, 0).repeat(3, -1))
    assert np.array_equal(decode(file_of(Image.fromarray(grey))).rgb, np.repeat(grey[..., None], 3, axis=-1))


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (90, 90), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (30, 0, 60, 90))
    image.paste((0, 0, 0, 255), (60, 0, 90, 90))

    rgb = decode(file_of(image, "JPEG", quality=95)).rgb.astype(int)

    assert rgb[45, 10].min() > 245
    assert rgb[45, 45, 0] > 200
    assert rgb[45, 45, 1:].max() < 60
    assert rgb[45, 80].max() < 10


def _adobe_to_srgb(rgb: np.ndarray) -> np.ndarray:
    """By the definitions: linear light, XYZ for D50, sRGB's primaries adapted to D50 (IEC 61966-2-1), its curve."""
    srgb_to_xyz = np.array(
        [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    )
    linear = (rgb / 255) ** ADOBE_GAMMA @ (np.linalg.inv(srgb_to_xyz) @ ADOBE_RGB_TO_XYZ).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("with_alpha", [False, True])
def test_a_colour_profile_is_converted_to_srgb(with_alpha: bool) -> None:
    rgb = scene(6)
    image = Image.fromarray(rgb)
    if with_alpha:
        image.putalpha(255)

    found = decode(file_of(image, "PNG", icc_profile=adobe_rgb_profile()))

    assert np.abs(found.rgb - _adobe_to_srgb(rgb)).max() <= 3
    assert np.abs(found.rgb.astype(int) - rgb).max() > 10


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200, adobe_rgb_profile()[:150], adobe_rgb_profile()[:-40]])
def test_a_broken_colour_profile_is_ignored(profile: bytes) -> None:
    rgb = scene(6)

    assert decode(file_of(rgb, "PNG", icc_profile=profile)).rgb.shape == rgb.shape


def test_a_profile_for_other_channels_is_ignored() -> None:
    grey = scene(6)[..., 0]

    found = decode(file_of(Image.fromarray(grey), "PNG", icc_profile=adobe_rgb_profile()))

    assert np.array_equal(found.rgb[..., 0], grey)


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {"default_image": False})]
)
def test_of_an_animation_the_first_frame_is_taken(kind: str, options: dict) -> None:
    frames = [Image.new("RGB", (80, 70), color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]

    found = decode(file_of(frames[0], kind, save_all=True, append_images=frames[1:], **options))

    assert found.frames == 3
    assert np.array_equal(found.rgb, np.full((70, 80, 3), (255, 0, 0), np.uint8))


def test_a_jpeg_with_a_second_picture_behind_it_is_a_still() -> None:
    frames = [Image.fromarray(scene(number)) for number in (1, 2)]

    found = decode(file_of(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95))

    assert (found.format, found.media_type, found.frames) == ("JPEG", "image/jpeg", 1)
    assert _psnr(found.rgb, scene(1)) > 30


def test_fit_keeps_proportions_and_never_enlarges() -> None:
    rgb = scene(7, width=300, height=200)

    assert fit(rgb, 150).shape == (100, 150, 3)
    assert fit(rgb, 300) is rgb
    assert fit(rgb, 1000) is rgb
    assert fit(scene(7, width=400, height=2), 20).shape == (1, 20, 3)


def test_a_thumbnail_is_a_small_upright_webp() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "the author"
    upright = scene(8, width=300, height=400)
    data = file_of(np.ascontiguousarray(np.rot90(upright, 1)), "JPEG", quality=95, exif=exif.tobytes())

    small = decode(thumbnail(data, max_side=100), limits=ANY_SIZE)

    assert (small.width, small.height, small.format) == (75, 100, "WEBP")
    assert _psnr(small.rgb, fit(upright, 100)) > 25
    assert small.embedded == {}


def test_a_thumbnail_of_a_huge_jpeg_is_like_one_of_its_pixels() -> None:
    rgb = scene(9, width=1600, height=1200)

    small = decode(thumbnail(file_of(rgb, "JPEG", quality=95), max_side=160), limits=ANY_SIZE)

    assert _psnr(small.rgb, fit(rgb, 160)) > 25


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_xmp_says_title_author_rights_and_licence(kind: str) -> None:
    packet = xmp_packet(
        title="Müller&apos;s mill",
        creator="Ada",
        rights="© Ada",
        license_url="https://creativecommons.org/licenses/by/4.0/",
    )
    data = _with_xmp(packet, kind)

    assert decode(data).embedded == {
        "title": "Müller's mill",
        "creator": "Ada",
        "copyright": "© Ada",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "declared_by": "xmp",
    }
    assert embedded_facts(data) == decode(data).embedded


def test_the_web_statement_of_rights_counts_as_a_licence() -> None:
    data = _with_xmp(xmp_packet(web_statement="https://creativecommons.org/publicdomain/zero/1.0/"), "JPEG")

    assert decode(data).embedded["license_url"] == "https://creativecommons.org/publicdomain/zero/1.0/"


def test_a_licence_that_is_no_web_address_is_left_out() -> None:
    data = _with_xmp(xmp_packet(web_statement="javascript:alert(1)"), "JPEG")

    assert decode(data).embedded == {}


def _with_xmp(packet: bytes, kind: str) -> bytes:
    if kind == "PNG":
        return encode(scene(10), format="PNG", xmp=packet)
    return file_of(scene(10), kind, xmp=packet)


def test_exif_says_title_author_and_rights() -> None:
    exif = Image.Exif()
    exif[0x010E] = "A  mill\n"
    exif[0x013B] = "Zo##"
    exif[0x8298] = "CC BY-SA 4.0"
    block = exif.tobytes().replace(b"Zo##", "Zoë".encode())  # Pillow writes ASCII only; cameras do not mind

    assert decode(file_of(scene(10), "JPEG", exif=block)).embedded == {
        "title": "A mill",
        "creator": "Zoë",
        "copyright": "CC BY-SA 4.0",
        "declared_by": "exif",
    }


def test_odd_metadata_warns_nobody(recwarn: pytest.WarningsRecorder) -> None:
    data = file_of(scene(10), "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12")

    decode(data)

    assert not recwarn.list


def test_xmp_is_preferred_to_exif() -> None:
    exif = Image.Exif()
    exif[0x010E] = "from EXIF"
    exif[0x013B] = "Ada"

    data = file_of(scene(10), "JPEG", exif=exif.tobytes(), xmp=xmp_packet(title="from XMP"))

    assert decode(data).embedded == {"title": "from XMP", "creator": "Ada"}


def test_the_usual_limits_keep_small_photographs() -> None:
    assert DEFAULT_LIMITS.min_side == 64
    assert decode(file_of(scene(1, width=64, height=64))).width == 64

"""Odd pictures on their way to a dream: each is a defined picture or a typed error, and none costs its neighbours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ImageRejected, NotFound, Reason
from pipeline.images import ImageLimits, read_picture
from tests.support.pictures import file_of, scene
from tests.support.tiny_network import tiny_network

HEIGHT, WIDTH = 64, 72


def rgb() -> np.ndarray:
    return scene(1, width=WIDTH, height=HEIGHT)


def grey() -> np.ndarray:
    return scene(2, width=WIDTH, height=HEIGHT)[..., 0]


def alpha() -> np.ndarray:
    return scene(3, width=WIDTH, height=HEIGHT)[..., 1]


def threefold(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[..., None], 3, axis=2)


def over_white(picture: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    part = opacity[..., None] / 255
    return picture * part + 255 * (1 - part)


def frames() -> list[Image.Image]:
    return [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ((200, 40, 40), (40, 200, 40), (40, 40, 200))]


def animation(kind: str, **options: Any) -> bytes:
    first, *others = frames()
    return file_of(first, kind, save_all=True, append_images=others, **options)


def palette() -> tuple[bytes, np.ndarray]:
    """Left half transparent, right half blue."""
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([200, 30, 30, 20, 40, 200] + [0] * 762)
    image.paste(1, (WIDTH // 2, 0, WIDTH, HEIGHT))
    expected = np.full((HEIGHT, WIDTH, 3), 255)
    expected[:, WIDTH // 2 :] = (20, 40, 200)
    return file_of(image, transparency=0), expected


def turned() -> bytes:
    """Stored on its side, with the note that it is to be turned a quarter to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(np.ascontiguousarray(np.rot90(rgb(), 1)), exif=exif.tobytes())


def sixteen_bits() -> tuple[bytes, np.ndarray]:
    values = (np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH) * 14).astype(np.uint16)
    return file_of(Image.fromarray(values)), threefold(np.floor(values / 257 + 0.5))


Odd = Callable[[], tuple[bytes, np.ndarray]]

# File and the pixels it is a dream of; the last number is by how many levels they may be off.
GOOD: dict[str, tuple[Odd, int]] = {
    "plain": (lambda: (file_of(rgb()), rgb()), 0),
    "grey": (lambda: (file_of(grey()), threefold(grey())), 0),
    "grey with alpha": (
        lambda: (
            file_of(Image.merge("LA", [Image.fromarray(grey()), Image.fromarray(alpha())])),
            over_white(threefold(grey()), alpha()),
        ),
        1,
    ),
    "palette with a transparent entry": (palette, 0),
    "alpha": (lambda: (file_of(np.dstack([rgb(), alpha()])), over_white(rgb(), alpha())), 1),
    "cmyk": (
        # 10 % cyan, 60 % magenta, 80 % yellow and 20 % black of 255, as light that each lets through.
        lambda: (
            file_of(Image.new("CMYK", (WIDTH, HEIGHT), (26, 153, 204, 51)), "JPEG", quality=95),
            np.broadcast_to([(255 - ink) * (255 - 51) / 255 for ink in (26, 153, 204)], (HEIGHT, WIDTH, 3)),
        ),
        3,
    ),
    "16 bits": (sixteen_bits, 0),
    "turned": (lambda: (turned(), rgb()), 0),
    "animated gif": (lambda: (animation("GIF"), np.asarray(frames()[0])), 0),
    "animated webp": (lambda: (animation("WEBP", lossless=True), np.asarray(frames()[0])), 0),
}


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 30000 x 30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


BAD: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "a line": (lambda: file_of(scene(1, width=200, height=1)), Reason.TOO_SMALL),
    "cut short": (lambda: file_of(rgb(), "JPEG")[:-400], Reason.TRUNCATED),
    "a bomb": (bomb, Reason.TOO_MANY_PIXELS),
    "empty": (lambda: b"", Reason.EMPTY),
    "words": (lambda: b"no picture at all", Reason.NOT_AN_IMAGE),
    "another format": (lambda: file_of(rgb(), "TIFF"), Reason.FORMAT_NOT_ALLOWED),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    for name, (make, _) in GOOD.items():
        (folder / name).write_bytes(make()[0])
    for name, (make_bytes, _) in BAD.items():
        (folder / name).write_bytes(make_bytes())
    return folder


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_picture_is_read_as_the_pixels_that_it_shows(zoo: Path, name: str):
    make, off = GOOD[name]
    _, expected = make()

    found = read_picture(zoo / name)

    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found - expected.astype(float)).max() <= off


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_a_typed_error_with_its_name(zoo: Path, name: str):
    with pytest.raises(ImageRejected) as caught:
        read_picture(zoo / name)

    assert caught.value.reason is BAD[name][1]
    assert str(caught.value).startswith(f"{zoo / name}: ")


def test_what_is_no_file_is_said_without_waiting_for_it(tmp_path: Path):
    for path in (tmp_path / "gone.png", tmp_path, Path("/dev/zero"), tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(NotFound):
            read_picture(path)


def test_a_file_longer_than_a_picture_may_be_is_not_read(zoo: Path):
    with pytest.raises(ImageRejected) as caught:
        read_picture(zoo / "plain", limits=ImageLimits(max_bytes=100))

    assert caught.value.reason is Reason.TOO_MANY_BYTES


def dreams(loads: dict[str, tuple[tuple[int, int], Callable[[], np.ndarray]]]) -> dict[str, Any]:
    network = the_network()  # first: it settles TensorFlow
    from dream.batches import Request, render_all
    from dream.recipes import ExponentOctaves, LayerTerm, Recipe

    recipe = Recipe(
        objective=(LayerTerm(layer="second"),), octaves=ExponentOctaves(exponents=(-1, 0)), steps=2, step_size=0.02
    )
    keys = {f"p{index}": name for index, name in enumerate(loads)}
    requests = [Request(key, *loads[name]) for key, name in keys.items()]
    return {keys[outcome.key]: outcome for outcome in render_all(requests, recipe, network)}


@lru_cache(maxsize=1)
def the_network() -> Any:
    return tiny_network()


def test_every_odd_picture_has_the_dream_of_its_pixels_whatever_its_neighbours_are(zoo: Path):
    size = (HEIGHT, WIDTH)
    names = [name for pair in zip([*GOOD], [*BAD, *BAD], strict=False) for name in pair]
    loads = {name: (size, partial(read_picture, zoo / name)) for name in names}

    together = dreams(loads)

    assert set(together) == {*GOOD, *BAD}
    for name in BAD:
        assert isinstance(together[name].error, ImageRejected)
        assert together[name].error.reason is BAD[name][1]
        assert together[name].image is None
    alone = {name: dreams({name: (size, partial(read_picture, zoo / name))})[name] for name in GOOD}
    for name in GOOD:
        assert together[name].error is None
        assert together[name].image.shape == (*size, 3)
        assert together[name].image.dtype == np.uint8
        assert np.array_equal(together[name].image, alone[name].image)
    sizes = {name: np.abs(together[name].image.astype(int) - read_picture(zoo / name)).mean() for name in GOOD}
    assert all(0 < change < 40 for change in sizes.values()), sizes


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (3, 5)])
def test_a_picture_narrower_than_the_network_sees_has_a_dream_of_its_own_size(tmp_path: Path, size: tuple[int, int]):
    (tmp_path / "line.png").write_bytes(file_of(scene(4, width=size[1], height=size[0])))
    read = partial(read_picture, tmp_path / "line.png", limits=ImageLimits(min_side=1))

    outcome = dreams({"line": (size, read)})["line"]

    assert outcome.error is None
    assert outcome.image.shape == (*size, 3)

"""Which pictures are linked, which are shown to a person, and which are neither; with edits made here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from pipeline.duplicates.alignment import align
from pipeline.duplicates.hashes import TURNS, UPRIGHT
from pipeline.duplicates.index import HashIndex, Hit
from pipeline.duplicates.signatures import sign, views_of
from pipeline.duplicates.tiers import REVIEW_DISTANCE, TURNED_DISTANCE, Tier, relation_of, tier_of
from pipeline.duplicates.verification import verify
from pipeline.images import decode
from tests.support.pictures import file_of, scene

Edit = Callable[[Image.Image], Image.Image]


def judged(first: np.ndarray, second: np.ndarray) -> tuple[Tier | None, str]:
    """What the tiers say of two pictures, and the relation in words."""
    one, other = sign(first), sign(second)
    best: tuple[Tier | None, str] = (None, "")
    for at, bits in enumerate(one.hashes.values()):
        for there, theirs in enumerate(other.hashes.values()):
            index = HashIndex()
            index.add(1, theirs)
            hits: list[Hit] = index.within(bits, REVIEW_DISTANCE, turned_radius=TURNED_DISTANCE)
            for hit in hits:
                turn = TURNS[hit.turn]
                evidence = verify(views_of(one.views)[at], views_of(other.views)[there], turn)
                tier = None if evidence is None else tier_of(evidence, turn=turn, distance=hit.distance)
                if tier is Tier.NEAR or (tier is Tier.REVIEW and best[0] is None):
                    best = tier, relation_of(evidence, turn)
    return best


def _photo(seed: int = 1) -> Image.Image:
    return Image.fromarray(scene(seed, width=320, height=240))


def _marked(image: Image.Image, words: str = "example.org") -> Image.Image:
    out = image.copy()
    font = ImageFont.load_default(size=36)
    ImageDraw.Draw(out).text((60, 100), words, fill="white", font=font, stroke_width=2, stroke_fill="black")
    return out


def _framed(image: Image.Image) -> Image.Image:
    out = Image.new("RGB", (420, 320), "black")
    out.paste(image, (50, 40))
    return out


LINKED: dict[str, Edit] = {
    "jpeg": lambda image: Image.fromarray(decode(file_of(image, "JPEG", quality=35)).rgb),
    "smaller": lambda image: image.resize((150, 113)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "cropped": lambda image: image.crop((6, 5, 314, 235)),
    "cropped at one side": lambda image: image.crop((0, 0, 305, 240)),
    "marked": _marked,
    "framed": _framed,
    "framed and marked": lambda image: _framed(_marked(image)),
}


@pytest.mark.parametrize("name", LINKED)
def test_edited_copies_are_near_duplicates(name: str) -> None:
    for seed in (1, 2):
        image = _photo(seed)

        assert judged(np.asarray(image), np.asarray(LINKED[name](image)))[0] is Tier.NEAR


TURNED = {
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "mirrored upside down": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned by 180 degrees": Image.Transpose.ROTATE_180,
    # The first must be turned like this to lie like the second; Pillow turns counterclockwise.
    "turned counterclockwise by 90 degrees": Image.Transpose.ROTATE_90,
    "turned clockwise by 90 degrees": Image.Transpose.ROTATE_270,
    "transposed": Image.Transpose.TRANSPOSE,
}


@pytest.mark.parametrize("name", TURNED)
def test_turned_and_mirrored_copies_are_named_and_left_to_a_person(name: str) -> None:
    image = _photo()
    turned = image.transpose(TURNED[name]).resize((200, 200))

    assert judged(np.asarray(image), np.asarray(turned)) == (Tier.REVIEW, name)


def test_a_part_of_a_picture_is_named() -> None:
    image = _photo()
    part = image.crop((12, 9, 308, 231))

    assert judged(np.asarray(part), np.asarray(image))[1] == "the first is a part of the second"
    assert judged(np.asarray(image), np.asarray(part))[1] == "the second is a part of the first"


def test_a_small_rotation_is_named() -> None:
    image = _photo()
    rotated = image.rotate(2, Image.Resampling.BICUBIC).crop((8, 8, 312, 232))

    assert "rotated by 2 degrees" in judged(np.asarray(image), np.asarray(rotated))[1]


def _flat(color: str) -> Image.Image:
    return Image.new("RGB", (320, 240), color)


def _page(words: str) -> Image.Image:
    page = _flat("white")
    ImageDraw.Draw(page).text((30, 30), words, fill="black", font=ImageFont.load_default(size=24))
    return page


def _board(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:240, 0:320]
    return Image.fromarray((((y // height + x // width) % 2) * 255).astype(np.uint8)).convert("RGB")


DIFFERENT: dict[str, tuple[Image.Image, Image.Image]] = {
    "two photographs": (_photo(1), _photo(2)),
    "two photographs, one watermark": (_marked(_photo(1)), _marked(_photo(2))),
    "two photographs, one frame": (_framed(_photo(1)), _framed(_photo(2))),
    "plain colours, one watermark": (_marked(_flat("darkgreen")), _marked(_flat("firebrick"))),
    "two skies, one watermark": (
        _marked(Image.linear_gradient("L").resize((320, 240)).convert("RGB")),
        _marked(Image.radial_gradient("L").resize((320, 240)).convert("RGB")),
    ),
    "two boards": (_board(40, 30).crop((0, 0, 290, 215)), _board(40, 24).crop((0, 0, 250, 180))),
    "two pages": (_page("Page 4"), _page("Page 5")),
    "two titles": (_page("Chapter one\nThe beginning"), _page("Results\n- first\n- second")),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_pictures_are_not_linked(name: str) -> None:
    first, second = DIFFERENT[name]

    assert judged(np.asarray(first), np.asarray(second))[0] is not Tier.NEAR


def test_what_differs_more_than_the_setting_allows_is_left_for_review() -> None:
    view = views_of(sign(scene(1)).views)[0]
    evidence = verify(view, view, UPRIGHT)

    assert tier_of(evidence, turn=UPRIGHT, distance=10, near_distance=10) is Tier.NEAR
    assert tier_of(evidence, turn=UPRIGHT, distance=11, near_distance=10) is Tier.REVIEW
    assert tier_of(evidence, turn=TURNS[1], distance=0, near_distance=10) is Tier.REVIEW
    assert evidence.agreement == evidence.faint_agreement == 1
    assert evidence.difference == pytest.approx(0, abs=1e-3)


def test_the_alignment_finds_a_known_crop() -> None:
    picture = Image.fromarray(scene(5, width=400, height=400)).convert("L")
    whole = np.asarray(picture.resize((64, 64), Image.Resampling.LANCZOS), np.float32)
    part = np.asarray(picture.crop((20, 0, 380, 380)).resize((64, 64), Image.Resampling.LANCZOS), np.float32)

    warp = align(part, whole)

    # A point at x of the part is at 0.9 x of the whole, one at y at 0.95 y - 0.05.
    assert np.allclose(warp, [0, 0.9, 0, -0.05, 0, 0.95], atol=0.01)


def test_pictures_without_anything_cannot_be_aligned() -> None:
    assert align(np.full((64, 64), 9, np.float32), np.full((64, 64), 7, np.float32)) is None

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import NotFound, StoreCorrupt
from pipeline.images import decode, encode
from pipeline.provenance.replay import ReplayReport
from pipeline.provenance.replay_file import pictures_in, replay_file
from pipeline.provenance.xmp import write_xmp
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture, workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path / "workspace") as made:
        made.dream(made.add(picture(1)))
        yield made


@pytest.fixture
def dream(shop: Workshop, tmp_path: Path) -> Path:
    """The dream's file, far from its workspace and under another name."""
    path = tmp_path / "from-a-friend.png"
    path.write_bytes((shop.dreams / shop.derivation(1).file_name).read_bytes())
    return path


def replay(path: Path, shop: Workshop | None = None, **arguments: Any) -> ReplayReport:
    def make_renderer(recipe: dict[str, Any], _network: str, max_side: int, _profile: str) -> InvertingRenderer:
        return InvertingRenderer(identity_of(recipe, max_side=max_side))

    given: dict[str, Any] = {"source": None, "catalog": None, "store": shop.store if shop else None} | arguments
    return replay_file(path, make_renderer=make_renderer, **given)


def test_a_dream_is_made_again_from_its_file_and_the_store(shop: Workshop, dream: Path) -> None:
    report = replay(dream, shop)

    assert report == ReplayReport(identical=True, psnr_db=None, differing_pixels=0)


def test_or_from_its_file_and_the_original_without_any_workspace(dream: Path, tmp_path: Path) -> None:
    original, repacked, other = (tmp_path / name for name in ("original.png", "repacked.webp", "other.png"))
    original.write_bytes(picture(1))
    repacked.write_bytes(encode(decode(picture(1)).rgb, format="WEBP"))
    other.write_bytes(picture(2))

    assert replay(dream, source=original).identical
    assert replay(dream, source=repacked).identical
    with pytest.raises(NotFound, match="is not the original"):
        replay(dream, source=other)
    with pytest.raises(NotFound, match=r"--source: A stone bridge, from https://pictures\.example/bridges"):
        replay(dream)


def test_an_original_that_the_store_has_in_another_file_is_found_by_its_pixels(dream: Path, tmp_path: Path) -> None:
    with workshop(tmp_path / "other") as other:
        other.add(encode(decode(picture(1)).rgb, format="WEBP"))

        assert replay(dream, other, catalog=other.catalog).identical
        with pytest.raises(NotFound, match="not in the store"):
            replay(dream, other)


def test_a_file_that_shows_other_pixels_than_on_record_is_told(shop: Workshop, dream: Path) -> None:
    rgb = decode(dream.read_bytes()).rgb.copy()
    rgb[3, 4] ^= 1
    dream.write_bytes(encode(rgb, format="PNG", xmp=write_xmp(shop.derivation(1).manifest)))

    report = replay(dream, shop)

    assert (report.identical, report.picture_ok, report.differing_pixels) == (True, False, 1)


def test_a_file_that_lost_its_record_is_made_again_from_the_sidecar(shop: Workshop) -> None:
    copy = shop.dreams / shop.derivation(1).file_name
    copy.write_bytes(encode(decode(copy.read_bytes()).rgb, format="PNG"))
    sidecar = copy.with_name(f"{copy.name}.json")

    assert replay(copy, shop).identical
    assert replay(sidecar, shop).identical
    sidecar.unlink()
    with pytest.raises(NotFound, match="carries no dreamcrawl record, and no sidecar"):
        replay(copy, shop)


def test_a_damaged_record_is_never_rendered(shop: Workshop, dream: Path) -> None:
    rgb, packet = decode(dream.read_bytes()).rgb, write_xmp(shop.derivation(1).manifest)
    for wrong in (
        packet.replace(b'"seed":7', b'"seed":8'),
        packet.replace(b'"max_side":512', b'"max_side":513'),
        packet.replace(b'"schema":"dreamcrawl.manifest/1"', b'"schema":"dreamcrawl.manifest/9"'),
    ):
        assert wrong != packet
        dream.write_bytes(encode(rgb, format="PNG", xmp=wrong))
        with pytest.raises(StoreCorrupt, match="record in"):
            replay(dream, shop)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no sidecar"),
        (b"hello", "no sidecar"),
        (picture(5), "no sidecar"),
        (picture(5)[:300], "no sidecar"),
    ],
)
def test_files_that_are_no_dreams_are_told_in_one_line(
    shop: Workshop, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "thing.png"
    path.write_bytes(content)

    with pytest.raises(NotFound, match=reason) as caught:
        replay(path, shop)

    assert "\n" not in str(caught.value)


def test_guides_are_found_by_their_pixels(tmp_path: Path) -> None:
    (tmp_path / "guide.png").write_bytes(picture(2))
    (tmp_path / "words.txt").write_text("no picture")

    from pipeline.fingerprints import pixel_sha256

    assert list(pictures_in([tmp_path / "guide.png"])) == [pixel_sha256(decode(picture(2)).rgb)]
    with pytest.raises(NotFound, match="words"):
        pictures_in([tmp_path / "words.txt"])

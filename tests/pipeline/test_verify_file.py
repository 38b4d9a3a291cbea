"""What a file tells by itself, far from its workspace: a dream, an original, a sidecar, a stranger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import NotFound
from pipeline.images import decode, encode
from pipeline.provenance.verify import verify_file
from pipeline.provenance.xmp import write_xmp
from tests.support.inverting import picture, workshop
from tests.support.scenes import Scene, failed, names, resaved


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with workshop(tmp_path / "workspace") as shop:
        yield Scene(shop, shop.dream(shop.add(picture(1))))


def test_a_dream_can_be_checked_far_from_its_workspace(scene: Scene, tmp_path: Path) -> None:
    elsewhere = tmp_path / "from-a-friend.png"
    elsewhere.write_bytes(scene.copy.read_bytes())

    alone = verify_file(elsewhere)
    with workshop(tmp_path / "other") as other:
        stranger = verify_file(elsewhere, catalog=other.catalog, store=other.store)

    assert alone.ok
    assert {check.name for check in alone.checks} == {"embedded record", "recipe", "derivation key", "pixels"}
    assert stranger.ok
    assert [check.found for check in stranger.checks if check.name == "catalog"] == [
        "not in this catalog; the record inside is all there is"
    ]


def test_pixels_that_were_painted_over_are_found_without_a_catalog(scene: Scene, tmp_path: Path) -> None:
    rgb = decode(scene.copy.read_bytes()).rgb.copy()
    rgb[3, 4] ^= 1
    painted = tmp_path / "painted.png"
    painted.write_bytes(encode(rgb, format="PNG", xmp=write_xmp(scene.derivation.manifest)))

    assert names(verify_file(painted)) == {"pixels"}


def test_a_record_that_was_changed_is_found_without_a_catalog(scene: Scene, tmp_path: Path) -> None:
    packet = write_xmp(scene.derivation.manifest)
    rgb = decode(scene.copy.read_bytes()).rgb
    for changed in (
        packet.replace(b'"creator":"Jane Doe"', b'"creator":"Jack Roe"'),
        packet.replace(b'"seed":7', b'"seed":8'),
        packet.replace(b'"schema":"dreamcrawl.manifest/1"', b'"schema":"something.else/1"'),
        packet.replace(b"ManifestSHA256>", b"ManifestSHA257>"),
    ):
        path = tmp_path / "changed.png"
        path.write_bytes(encode(rgb, format="PNG", xmp=changed))

        assert changed != packet
        assert names(verify_file(path)) == {"embedded record"}


def test_a_forged_record_with_a_fresh_digest_needs_the_catalog_to_be_found(scene: Scene, tmp_path: Path) -> None:
    forged = json.loads(json.dumps(scene.derivation.manifest))
    forged["source"]["creator"] = "Jack Roe"
    path = tmp_path / "forged.png"
    path.write_bytes(encode(decode(scene.copy.read_bytes()).rgb, format="PNG", xmp=write_xmp(forged)))

    assert verify_file(path).ok
    assert names(scene.file(path)) == {"bytes", "manifest in the catalog"}


def test_a_recipe_that_was_swapped_does_not_have_its_digest(scene: Scene, tmp_path: Path) -> None:
    forged = json.loads(json.dumps(scene.derivation.manifest))
    forged["recipe"]["strength"] = 0.5
    path = tmp_path / "swapped.png"
    path.write_bytes(encode(decode(scene.copy.read_bytes()).rgb, format="PNG", xmp=write_xmp(forged)))

    assert names(verify_file(path)) == {"recipe"}


def test_a_dream_without_its_record_is_known_by_its_pixels(scene: Scene, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.png"
    stripped.write_bytes(resaved(scene.copy))

    report = scene.file(stripped)

    assert names(report) == {"bytes", "embedded record"}
    assert "d1, made from i1" in {check.found for check in report.checks}
    with pytest.raises(NotFound, match="no dreamcrawl record and no content credentials, and there is no catalog"):
        verify_file(stripped)


def test_originals_are_known_by_bytes_and_by_pixels(scene: Scene, tmp_path: Path) -> None:
    same, repacked = tmp_path / "same.png", tmp_path / "repacked.png"
    same.write_bytes(scene.original.read_bytes())
    repacked.write_bytes(resaved(scene.original, compress_level=1))

    assert scene.file(same).ok
    assert scene.file(scene.original).ok
    assert names(scene.file(repacked)) == {"bytes"}


def test_strangers_are_not_found_and_told_apart(scene: Scene, tmp_path: Path) -> None:
    stranger, text, data = tmp_path / "stranger.png", tmp_path / "notes.txt", tmp_path / "data.json"
    stranger.write_bytes(picture(99))
    text.write_text("no picture")
    data.write_text('{"a": 1}')

    with pytest.raises(NotFound, match="the catalog does not know it"):
        scene.file(stranger)
    with pytest.raises(NotFound, match="no picture that can be read"):
        scene.file(text)
    with pytest.raises(NotFound, match="no sidecar"):
        scene.file(data)
    with pytest.raises(NotFound, match="cannot be read"):
        scene.file(tmp_path / "absent.png")
    with pytest.raises(NotFound, match="cannot be read"):
        scene.file(tmp_path)


def test_a_sidecar_is_checked_together_with_its_picture(scene: Scene, tmp_path: Path) -> None:
    with_catalog, alone = scene.file(scene.sidecar), verify_file(scene.sidecar)
    lonely = tmp_path / scene.sidecar.name
    lonely.write_bytes(scene.sidecar.read_bytes())
    without_picture = verify_file(lonely)
    scene.copy.write_bytes(resaved(scene.copy))
    replaced = verify_file(scene.sidecar)

    assert with_catalog.ok
    assert alone.ok
    assert with_catalog.subjects == (scene.sidecar.name, scene.copy.name)
    assert without_picture.ok
    assert names(replaced) == {"bytes as the sidecar says"}


def test_a_sidecar_with_another_manifest_is_found(scene: Scene) -> None:
    sidecar = json.loads(scene.sidecar.read_text(encoding="utf-8"))
    sidecar["manifest"]["source"]["creator"] = "Jack Roe"
    scene.sidecar.write_text(json.dumps(sidecar), encoding="utf-8")

    assert names(verify_file(scene.sidecar)) == {"manifest"}
    assert names(scene.file(scene.sidecar)) == {"manifest", "sidecar"}
    report = scene.everything()
    assert [check.path for check in failed(report)] == [str(scene.sidecar)]
    assert failed(report)[0].expected.startswith("manifest ")

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.catalog.tables import DerivationRow, ItemRow
from pipeline.errors import NotFound
from pipeline.images import decode, encode
from pipeline.provenance.manifest import manifest_sha256
from pipeline.provenance.verify import verify_all, verify_derivation, verify_file, verify_item
from pipeline.provenance.xmp import write_xmp
from tests.support.inverting import InvertingRenderer, picture, sighting_of, workshop
from tests.support.scenes import Scene, failed, names, set_column


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with workshop(tmp_path / "workspace") as shop:
        yield Scene(shop, shop.dream(shop.add(picture(1))))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """One workspace with PNG files and one with JPEG files, for tests that put back what they change."""
    root = tmp_path_factory.mktemp("scenes")
    with workshop(root / "png") as png, workshop(root / "jpeg") as jpeg:
        yield {
            "PNG": Scene(png, png.dream(png.add(picture(1)))),
            "JPEG": Scene(jpeg, jpeg.dream(jpeg.add(picture(1, image_format="JPEG")), output_format="JPEG")),
        }


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_what_was_just_made_holds_in_every_respect(scenes: dict[str, Scene], image_format: str) -> None:
    scene = scenes[image_format]
    seen: list[tuple[int, int]] = []

    report = verify_all(
        catalog=scene.shop.catalog,
        store=scene.shop.store,
        dreams_folder=scene.shop.dreams,
        on_progress=lambda done, of: seen.append((done, of)),
    )

    assert report.ok
    assert report.subjects == ("i1", "d1")
    assert {check.name for check in report.checks if check.subject == "d1"} == {
        "stored bytes",
        "pixels",
        "manifest",
        "recipe",
        "derivation key",
        "catalog row",
        "source",
        "embedded record",
        "copy",
        "sidecar",
    }
    assert seen == [(1, 2), (2, 2)]


@settings(deadline=None, max_examples=60)
@given(
    image_format=st.sampled_from(["PNG", "JPEG"]),
    which=st.sampled_from(["original", "stored", "copy"]),
    where=st.floats(0, 1, exclude_max=True),
    flip=st.integers(1, 255),
)
def test_one_changed_byte_anywhere_in_a_file_is_found_and_its_file_named(
    scenes: dict[str, Scene], image_format: str, which: str, where: float, flip: int
) -> None:
    scene = scenes[image_format]
    path: Path = getattr(scene, which)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(where * len(whole))] ^= flip

    path.write_bytes(damaged)
    try:
        report, alone = scene.everything(), scene.file(path)
    finally:
        path.write_bytes(whole)

    subject = {"original": "i1", "stored": "d1", "copy": "d1"}[which]
    assert report.failed_subjects == (subject,)
    assert {check.path for check in failed(report)} == {str(path)}
    assert not alone.ok
    assert {check.path for check in failed(alone)} == {str(path)}


@settings(deadline=None, max_examples=60)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_changed_byte_of_a_dream_is_found_with_its_sidecar_alone(
    scenes: dict[str, Scene], where: float, flip: int
) -> None:
    path = scenes["PNG"].copy
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(where * len(whole))] ^= flip

    path.write_bytes(damaged)
    try:
        report = verify_file(path)
    finally:
        path.write_bytes(whole)

    assert "bytes as the sidecar says" in names(report)


@settings(deadline=None, max_examples=80)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_of_a_sidecar_is_found_unless_it_only_moves_its_text(
    scenes: dict[str, Scene], where: float, flip: int
) -> None:
    scene = scenes["PNG"]
    whole = scene.sidecar.read_bytes()
    damaged = bytearray(whole)
    damaged[int(where * len(whole))] ^= flip
    try:
        same = json.loads(damaged) == json.loads(whole)
    except ValueError:
        same = False

    scene.sidecar.write_bytes(damaged)
    try:
        report, alone = scene.everything(), scene.file(scene.sidecar)
    finally:
        scene.sidecar.write_bytes(whole)

    assert report.ok == same
    assert alone.ok == same
    if not same:
        assert [check.name for check in failed(report)] == ["sidecar"]


def test_missing_files_are_named(scene: Scene) -> None:
    scene.original.unlink()
    scene.stored.unlink()

    report = scene.everything()

    assert {(check.subject, check.name, check.found, check.path) for check in failed(report)} == {
        ("i1", "stored bytes", "missing", str(scene.original)),
        ("d1", "stored bytes", "missing", str(scene.stored)),
    }


def test_a_missing_copy_is_no_failure_because_it_can_be_restored(scene: Scene) -> None:
    scene.copy.unlink()
    scene.sidecar.unlink()

    report = scene.everything()

    assert report.ok
    notes = [check.found for check in report.checks if check.name in {"copy", "sidecar"}]
    assert notes == ["absent, can be restored"] * 2


def test_every_file_of_an_item_is_checked(scene: Scene) -> None:
    item_id = scene.derivation.item_id
    rgb = decode(scene.original.read_bytes()).rgb
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", compress_level=1)
    other = scene.shop.store.put(out.getvalue())
    with scene.shop.catalog.write() as uow:
        uow.blobs.add(other, size_bytes=len(out.getvalue()), media_type="image/png")
        uow.sightings.add(sighting_of(item_id, other, relation="same_pixels"))

    before = verify_item(item_id, catalog=scene.shop.catalog, store=scene.shop.store)
    known = scene.file(scene.shop.store.path(other))
    scene.shop.store.path(other).write_bytes(b"rotten")
    after = verify_item(item_id, catalog=scene.shop.catalog, store=scene.shop.store)

    assert before.ok
    assert len(before.checks) == 4
    assert known.ok
    assert {check.path for check in failed(after)} == {str(scene.shop.store.path(other))}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"manifest_sha256": "0f" * 32}, "manifest"),
        ({"pixel_sha256": "0f" * 32}, "pixels"),
        ({"key": "0f" * 32}, "catalog row"),
        ({"recipe": {"kind": "other"}}, "catalog row"),
        ({"weights_sha256": "0f" * 32}, "catalog row"),
        ({"width": 81}, "catalog row"),
        ({"manifest": {}}, "manifest"),
        ({"manifest": {"source": 3}}, "source"),
        ({"blob_sha256": None}, "stored bytes"),
    ],
)
def test_a_changed_row_is_found(scene: Scene, change: dict[str, Any], check: str) -> None:
    if change == {"blob_sha256": None}:
        change = {"blob_sha256": scene.shop.item(scene.derivation.item_id).blob_sha256}
        check = "embedded record"  # the bytes are those of another picture that is in order
    set_column(scene, DerivationRow, **change)

    report = scene.everything()

    assert check in names(report)
    assert report.failed_subjects == ("d1",)


def test_a_manifest_that_was_changed_in_row_and_digest_still_differs_from_the_one_in_the_picture(scene: Scene) -> None:
    forged = dict(scene.derivation.manifest) | {"created_at": "2020-01-01T00:00:00Z"}
    set_column(scene, DerivationRow, manifest=forged, manifest_sha256=manifest_sha256(forged))

    assert names(scene.everything()) == {"embedded record", "sidecar"}


def test_an_item_that_no_longer_is_what_the_dream_was_made_from_is_found(scene: Scene) -> None:
    set_column(scene, ItemRow, pixel_sha256="0f" * 32)

    report = scene.everything()

    assert {(check.subject, check.name) for check in failed(report)} == {("i1", "pixels"), ("d1", "source")}


def test_verifying_a_dream_verifies_its_source(scene: Scene) -> None:
    scene.original.write_bytes(b"rotten")

    report = verify_derivation(1, catalog=scene.shop.catalog, store=scene.shop.store, dreams_folder=scene.shop.dreams)

    assert report.failed_subjects == ("i1",)


def test_unknown_ids_are_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound, match="d7"):
        verify_derivation(7, catalog=scene.shop.catalog, store=scene.shop.store)
    with pytest.raises(NotFound, match="i7"):
        verify_item(7, catalog=scene.shop.catalog, store=scene.shop.store)


@pytest.mark.parametrize(
    "hostile", [{"profile": "\ud800"}, {"render": {"seconds": "1e999"}}, {"render": {"a\udfff": 1}}]
)
def test_what_has_no_digest_is_refused_in_a_sidecar_and_in_a_row(
    scene: Scene, tmp_path: Path, hostile: dict[str, Any]
) -> None:
    manifest = {**scene.derivation.manifest, **hostile}
    text = json.dumps({"schema": "dreamcrawl.sidecar/1", "manifest": manifest}).replace('"1e999"', "1e999")
    scene.sidecar.write_text(text)
    (tmp_path / "alone.png.json").write_text(text)

    beside = scene.file(scene.sidecar)

    assert names(beside) == {"sidecar"}
    with pytest.raises(NotFound, match="no sidecar that dreamcrawl wrote"):
        verify_file(tmp_path / "alone.png.json")
    set_column(scene, DerivationRow, manifest=manifest)
    assert "manifest" in names(verify_derivation(1, catalog=scene.shop.catalog, store=scene.shop.store))


def test_stored_limits_let_in_what_smaller_limits_would_not(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        long = encode(np.zeros((64, 9000, 3), dtype=np.uint8), format="PNG")
        derivation = shop.dream(shop.add(long))

        assert (derivation.width, derivation.height) == (512, 4)
        assert verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams).ok


@pytest.mark.parametrize(("image_format", "profile"), [("PNG", "exact"), ("JPEG", "exact"), ("PNG", "fast")])
def test_the_program_in_the_documentation_checks_a_dream_by_hand(
    scenes: dict[str, Scene], image_format: str, profile: str, tmp_path: Path
) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "provenance.md"
    program = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    shop = scenes[image_format].shop
    identity = dataclasses.replace(InvertingRenderer().identity, profile=profile)
    derivation = shop.dream(1, renderer=InvertingRenderer(identity), output_format=image_format)
    copy, painted = shop.dreams / derivation.file_name, tmp_path / "painted.png"
    rgb = 255 - decode(copy.read_bytes()).rgb
    painted.write_bytes(encode(rgb, format="PNG", xmp=write_xmp(derivation.manifest)))

    def outcome(path: Path) -> list[str]:
        command = [sys.executable, "-c", program, str(path)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return [" ".join(line.split()[:2]) for line in lines]

    assert outcome(copy) == ["manifest holds", "recipe holds", "key holds", "pixels holds"]
    assert outcome(painted) == ["manifest holds", "recipe holds", "key holds", "pixels DIFFERS:"]

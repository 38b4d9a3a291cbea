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
from sqlalchemy import update

from pipeline.catalog.tables import DerivationRow, ItemRow
from pipeline.catalog.values import Derivation
from pipeline.errors import NotFound
from pipeline.images import decode, encode
from pipeline.provenance.manifest import manifest_sha256
from pipeline.provenance.verify import verify_all, verify_derivation, verify_file, verify_item
from pipeline.provenance.xmp import write_xmp
from pipeline.records import Check, VerifyReport
from tests.support.inverting import InvertingRenderer, Workshop, picture, sighting_of, workshop


@dataclasses.dataclass
class Scene:
    """A workspace with one original and its dream."""

    shop: Workshop
    derivation: Derivation

    @property
    def original(self) -> Path:
        return self.shop.store.path(self.shop.item(self.derivation.item_id).blob_sha256)

    @property
    def stored(self) -> Path:
        return self.shop.store.path(self.derivation.blob_sha256)

    @property
    def copy(self) -> Path:
        return self.shop.dreams / self.derivation.file_name

    @property
    def sidecar(self) -> Path:
        return self.shop.dreams / f"{self.derivation.file_name}.json"

    def everything(self) -> VerifyReport:
        return verify_all(catalog=self.shop.catalog, store=self.shop.store, dreams_folder=self.shop.dreams)

    def file(self, path: Path) -> VerifyReport:
        return verify_file(path, catalog=self.shop.catalog, store=self.shop.store)


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


def failed(report: VerifyReport) -> list[Check]:
    return [check for check in report.checks if not check.ok]


def names(report: VerifyReport) -> set[str]:
    return {check.name for check in failed(report)}


def resaved(path: Path, **options: Any) -> bytes:
    out = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(out, **({"format": "PNG"} | options))
    return out.getvalue()


def set_column(scene: Scene, row: Any, **values: Any) -> None:
    """Change the catalog behind its back."""
    with scene.shop.catalog.write() as uow:
        uow.session.execute(update(row).values(**values))


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

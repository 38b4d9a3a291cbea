from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from pipeline.catalog import upkeep_queries
from pipeline.catalog.tables import DerivationRow
from pipeline.errors import NotFound, StoreCorrupt, UsageError, Withdrawn
from pipeline.provenance.manifest import ENVIRONMENT_FACTS, REQUIRED_FACTS
from pipeline.provenance.replay import ReplayReport, compare, replay_derivation
from pipeline.provenance.verify import verify_all
from pipeline.stylize import RendererIdentity
from tests.support.inverting import FACTS, InvertingRenderer, Workshop, identity_of, picture, workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path / "workspace") as made:
        made.dream(made.add(picture(1, width=200, height=100)), renderer=renderer_of({"kind": "invert"}, max_side=100))
        yield made


def renderer_of(recipe: Any, **options: Any) -> InvertingRenderer:
    names = {"max_side", "weights_sha256"}
    identity = identity_of(recipe, **{name: options.pop(name) for name in names & set(options)})
    return InvertingRenderer(identity, **options)


def replay(shop: Workshop, derivation_id: int = 1, *, options: Any = None, **arguments: Any) -> ReplayReport:
    def make_renderer(recipe: dict[str, Any], network: str, max_side: int, profile: str) -> InvertingRenderer:
        assert (network, profile) == ("tiny", "exact")
        return renderer_of(recipe, max_side=max_side, **(options or {}))

    return replay_derivation(
        derivation_id, catalog=shop.catalog, store=shop.store, make_renderer=make_renderer, **arguments
    )


def test_a_replay_in_the_same_surroundings_gives_equal_pixels(shop: Workshop) -> None:
    files = {path: path.read_bytes() for path in shop.root.rglob("*") if path.is_file() and "sqlite" not in path.name}
    fractions: list[float] = []

    report = replay(shop, on_progress=fractions.append)

    assert report == ReplayReport(identical=True, psnr_db=None, differing_pixels=0)
    assert report.verdict == "identical"
    assert fractions == [0.5]
    assert files == {
        path: path.read_bytes() for path in shop.root.rglob("*") if path.is_file() and "sqlite" not in path.name
    }


@pytest.mark.parametrize("is_same", [True, False])
def test_a_dream_whose_file_is_lost_is_put_back(shop: Workshop, is_same: bool) -> None:
    before = shop.derivation(1)
    data = shop.store.read(before.blob_sha256)
    shop.store.path(before.blob_sha256).unlink()
    (shop.dreams / before.file_name).unlink()
    if not is_same:  # as with another version of the encoder: the bytes on record cannot be had again
        with shop.catalog.write() as uow:
            uow.blobs.add("ab" * 32, size_bytes=1, media_type="image/png")
            uow.session.execute(update(DerivationRow).values(blob_sha256="ab" * 32))
        sidecar = shop.dreams / f"{before.file_name}.json"
        sidecar.write_text(sidecar.read_text().replace(before.blob_sha256, "ab" * 32))
    again = shop.stylize(1, renderer=renderer_of({"kind": "invert"}, max_side=100))
    assert "dreamcrawl replay d1 makes it again" in again.failed[0][1]

    report = replay(shop, dreams_folder=shop.dreams)

    assert (report.verdict, report.was_missing) == ("identical", True)
    assert report.put_back == ("the same file" if is_same else "another file with the same pixels")
    after = shop.derivation(1)
    assert (after.blob_sha256 == before.blob_sha256) is is_same
    assert (shop.store.read(after.blob_sha256) == data) is is_same
    assert ("made_again" in after.manifest) is not is_same
    found = verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams)
    assert found.ok, [check for check in found.checks if not check.ok]
    assert replay(shop, dreams_folder=shop.dreams).was_missing is False


def test_a_lost_dream_that_comes_out_otherwise_is_not_put_back(shop: Workshop) -> None:
    path = shop.store.path(shop.derivation(1).blob_sha256)
    path.unlink()

    report = replay(shop, dreams_folder=shop.dreams, options={"noise": 1, "facts": FACTS | {"cpu": "another"}})

    assert (report.verdict, report.put_back) == ("different", None)
    assert not path.exists()


def test_a_dream_whose_original_was_let_go_of_is_told_of(shop: Workshop) -> None:
    item = shop.item(1)
    with shop.catalog.write() as uow:
        upkeep_queries.mark_removed(uow.session, [item.blob_sha256], at=datetime.now(UTC))
    shop.store.path(item.blob_sha256).unlink()

    with pytest.raises(Withdrawn, match="removed after a withdrawal"):
        replay(shop)


def test_a_replay_is_not_written_over_a_file(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"mine")

    def make_renderer(*_named: Any, **_given: Any) -> Any:
        raise AssertionError("nothing is to be rendered")

    with pytest.raises(UsageError, match="is there already"):
        replay_derivation(
            1, catalog=shop.catalog, store=shop.store, make_renderer=make_renderer, write_to=tmp_path / "mine.png"
        )

    assert (tmp_path / "mine.png").read_bytes() == b"mine"


def test_times_and_objective_values_are_no_part_of_the_surroundings(shop: Workshop) -> None:
    facts = FACTS | {"seconds": 99.0, "objective_values": [[0.1, 0.2]]}

    assert replay(shop, options={"facts": facts}).environment_differences == ()


def test_other_pixels_in_the_same_surroundings_are_different_however_near(shop: Workshop) -> None:
    report = replay(shop, options={"noise": 1})

    # One channel value in four (every second row and column) is off by one: MSE 1/4.
    assert report.psnr_db == pytest.approx(10 * math.log10(255**2 / 0.25))
    assert report.differing_pixels == 50 * 25
    assert (report.identical, report.verdict) == (False, "different")


def test_near_pixels_in_other_surroundings_are_within_tolerance_and_the_difference_is_named(shop: Workshop) -> None:
    versions = FACTS["versions"] | {"tensorflow": "2.22.0"}
    facts = {k: v for k, v in FACTS.items() if k != "threads"} | {"versions": versions, "cpu": "another"}

    report = replay(shop, options={"noise": 1, "facts": facts})

    assert report.verdict == "within tolerance"
    assert report.environment_differences == (
        ("cpu", "absent", "another"),
        ("threads.inter_op", "1", "absent"),
        ("threads.intra_op", "1", "absent"),
        ("versions.tensorflow", "2.21.0", "2.22.0"),
    )


# What a renderer says of its surroundings and plans, one value and another for each.
SURROUNDINGS: dict[str, tuple[Any, Any]] = {
    "octave_sizes": ([[30, 40]], [[31, 40]]),
    "seed": (7, 8),
    "jitter_sha256": ("ab" * 32, "ba" * 32),
    "objective": ([{"layer": "a", "weight": 1.0}], [{"layer": "b", "weight": 1.0}]),
    "device": ("CPU", "GPU"),
    "versions": ({"python": "3.11.7", "numpy": "2.4.6"}, {"python": "3.11.7", "numpy": "2.4.7"}),
    "platform": ("linux", "darwin"),
    "machine": ("x86_64", "arm64"),
    "cpu": ("one", "another"),
    "threads": ({"intra_op": 1, "cpus": 2}, {"intra_op": 1, "cpus": 4}),
    "dtype": ("float32", "bfloat16"),
    "onednn": ("1", "0"),
    "tensor_float_32": (False, True),
    "deterministic": (True, False),
    "device_name": ("default", "/device:GPU:1"),
    "profile": ("exact", "fast"),
    "variant": ("float32, 1 at once", "float32, 4 at once"),
    "batch": (1, 4),
    "tiles": ([None], [{"count": 4}]),
    "fold_difference": (1e-7, 2e-7),
    "octave_steps": ([10], [11]),
    "base_size": ([30, 40], [31, 40]),
    "chosen_channels": ({"0/channels": [3, 5]}, {"0/channels": [3, 6]}),
}
INNER = {"versions": "versions.numpy", "threads": "threads.cpus", "chosen_channels": "chosen_channels.0/channels"}


def test_every_fact_that_a_replay_compares_is_tried_here() -> None:
    assert set(SURROUNDINGS) == {*REQUIRED_FACTS, *ENVIRONMENT_FACTS}


def test_each_difference_in_the_surroundings_is_listed_by_its_field_and_no_other(tmp_path: Path) -> None:
    then = {name: values[0] for name, values in SURROUNDINGS.items()} | {"seconds": 1.0, "measures": {"noise": 1.0}}
    with workshop(tmp_path / "workspace") as shop:
        shop.dream(shop.add(picture(1)), renderer=renderer_of({"kind": "invert"}, facts=then))

        for name, (_, now) in SURROUNDINGS.items():
            report = replay(shop, options={"noise": 1, "facts": then | {name: now, "seconds": 2.0}})

            assert [field for field, _, _ in report.environment_differences] == [INNER.get(name, name)]
            assert report.verdict == "within tolerance"
        assert replay(shop, options={"facts": then}).environment_differences == ()


def test_far_pixels_are_different_in_any_surroundings(shop: Workshop) -> None:
    report = replay(shop, options={"noise": 128, "facts": FACTS | {"device": "GPU"}})

    assert report.psnr_db is not None
    assert report.psnr_db < 36
    assert report.environment_differences == (("device", "CPU", "GPU"),)
    assert report.verdict == "different"


def test_a_drawn_plan_that_is_another_is_named(shop: Workshop) -> None:
    report = replay(shop, options={"facts": FACTS | {"jitter_sha256": "ba" * 32}})

    assert report.environment_differences == (("jitter_sha256", "ab" * 32, "ba" * 32),)


def test_the_versions_that_prepared_the_source_are_compared(shop: Workshop) -> None:
    manifest = dict(shop.derivation(1).manifest)
    manifest["preparation"] = dict(manifest["preparation"]) | {"versions": {"pillow": "1.0"}}
    with shop.catalog.write() as uow:
        uow.session.execute(update(DerivationRow).values(manifest=manifest))

    report = replay(shop)

    assert [(name, recorded) for name, recorded, _now in report.environment_differences] == [
        ("preparation.pillow", "1.0")
    ]


def test_another_engine_version_is_named(shop: Workshop) -> None:
    def make_renderer(recipe: dict[str, Any], network: str, max_side: int, profile: str) -> InvertingRenderer:
        old = identity_of(recipe, max_side=max_side)
        new = RendererIdentity(**(vars(old) | {"engine_version": 2, "network": network, "profile": profile}))
        return InvertingRenderer(new)

    report = replay_derivation(1, catalog=shop.catalog, store=shop.store, make_renderer=make_renderer)

    assert report.environment_differences == (("engine_version", "1", "2"),)
    assert report.verdict == "identical"


@pytest.mark.parametrize(("noise", "verdict"), [(0, "identical"), (8, "different")])
def test_jpeg_dreams_are_compared_as_jpeg(tmp_path: Path, noise: int, verdict: str) -> None:
    with workshop(tmp_path) as shop:
        shop.dream(shop.add(picture(1)), output_format="JPEG")

        report = replay(shop, options={"noise": noise})

    assert report.verdict == verdict
    assert (report.differing_pixels == 0) == (noise == 0)


def test_the_new_picture_can_be_kept(shop: Workshop, tmp_path: Path) -> None:
    target = tmp_path / "again" / "dream.png"

    report = replay(shop, write_to=target)

    assert report.written_to == str(target)
    with Image.open(target) as again, Image.open(shop.dreams / shop.derivation(1).file_name) as before:
        assert np.array_equal(np.asarray(again), np.asarray(before.convert("RGB")))
    with pytest.raises(UsageError, match=r"\.png"):
        replay(shop, write_to=tmp_path / "dream.jpg")


def test_other_weights_are_refused_before_anything_is_rendered(shop: Workshop) -> None:
    with pytest.raises(NotFound, match="was made with weights") as refused:
        replay(shop, options={"weights_sha256": "ee" * 32})

    assert "cd" * 32 in str(refused.value)
    assert "ee" * 32 in str(refused.value)


def test_what_the_factory_raises_comes_through(shop: Workshop) -> None:
    def make_renderer(_recipe: dict[str, Any], network: str, _max_side: int, _profile: str) -> InvertingRenderer:
        raise LookupError(f"no network {network}")

    with pytest.raises(LookupError, match="no network tiny"):
        replay_derivation(1, catalog=shop.catalog, store=shop.store, make_renderer=make_renderer)


def test_a_damaged_original_or_record_stops_the_replay(shop: Workshop) -> None:
    with pytest.raises(NotFound, match="d9"):
        replay(shop, 9)

    path = shop.store.path(shop.item(1).blob_sha256)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StoreCorrupt, match=path.name):
        replay(shop)
    path.write_bytes(whole)

    with shop.catalog.write() as uow:
        uow.session.execute(update(DerivationRow).values(manifest={"schema": "?"}))
    with pytest.raises(StoreCorrupt, match="record of d1"):
        replay(shop)


def test_psnr_of_a_constant_difference() -> None:
    black = np.zeros((4, 6, 3), dtype=np.uint8)

    # 20 log10(255 / 10) dB, by hand.
    assert compare(black, black + 10) == (pytest.approx(28.1308, abs=1e-4), 24)
    # One channel of one pixel by the full range: MSE = 255^2 / 72.
    one = black.copy()
    one[1, 2, 0] = 255
    assert compare(one, black) == (pytest.approx(10 * math.log10(72)), 1)
    assert compare(black, black) == (None, 0)
    assert compare(black, black[:3]) == (None, 24)


def test_a_replay_of_another_size_is_different() -> None:
    report = ReplayReport(False, None, 24, environment_differences=(("device", "CPU", "GPU"),))

    assert report.verdict == "different"


def test_the_source_is_reduced_again_as_it_was(shop: Workshop, tmp_path: Path) -> None:
    original = Image.open(io.BytesIO(shop.store.read(shop.item(1).blob_sha256))).convert("RGB")
    expected = 255 - np.asarray(original.resize((100, 50), Image.Resampling.LANCZOS))

    report = replay(shop, write_to=tmp_path / "again.png")

    assert report.source_ok
    with Image.open(tmp_path / "again.png") as again:
        assert np.array_equal(np.asarray(again), expected)


def test_an_original_that_decodes_otherwise_than_on_record_is_told(shop: Workshop) -> None:
    manifest = dict(shop.derivation(1).manifest)
    manifest["source"] = dict(manifest["source"]) | {"pixel_sha256": "0f" * 32}
    with shop.catalog.write() as uow:
        uow.session.execute(update(DerivationRow).values(manifest=manifest))

    assert not replay(shop).source_ok

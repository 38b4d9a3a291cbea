from __future__ import annotations

import hashlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import WorkspaceUnusable
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode
from pipeline.provenance.copies import file_name_of, slug
from pipeline.stylize import StylizeProgress, derivation_key
from tests.support.inverting import FACTS, InvertingRenderer, Workshop, identity_of, picture, workshop


@pytest.fixture
def shop(tmp_path: Path):
    with workshop(tmp_path) as made:
        yield made


def shown(path: Path) -> np.ndarray:
    """The pixels of a file, read without any code of the pipeline."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_a_dream_is_stored_recorded_and_copied(shop: Workshop) -> None:
    source = picture(1)
    item_id = shop.add(source)

    report = shop.stylize(item_id)

    assert (report.made, report.already, report.failed, report.skipped) == (1, 0, (), ())
    derivation = shop.derivation(report.derivation_ids[0])
    copy = shop.dreams / derivation.file_name
    original = np.asarray(Image.open(io.BytesIO(source)).convert("RGB"))
    assert np.array_equal(shown(copy), 255 - original)
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == derivation.blob_sha256
    assert shop.store.read(derivation.blob_sha256) == copy.read_bytes()
    assert (derivation.width, derivation.height, derivation.item_id) == (80, 64, item_id)
    assert copy.name == f"a-stone-bridge-inverted-{derivation.key[:8]}.png"
    sidecar = json.loads((shop.dreams / f"{copy.name}.json").read_text(encoding="utf-8"))
    assert sidecar["sha256"] == derivation.blob_sha256
    assert sidecar["manifest"] == derivation.manifest


def test_the_second_run_renders_nothing_and_changes_nothing(shop: Workshop) -> None:
    ids = [shop.add(picture(n)) for n in range(3)]
    first = shop.stylize(*ids)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in shop.root.rglob("*.png*")}
    renderer = InvertingRenderer()

    second = shop.stylize(*ids, renderer=renderer)

    assert renderer.calls == 0
    assert (second.made, second.already) == (0, 3)
    assert second.derivation_ids == first.derivation_ids
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in shop.root.rglob("*.png*")} == before


def test_a_missing_copy_or_sidecar_is_restored_from_the_store(shop: Workshop) -> None:
    derivation = shop.dream(shop.add(picture(1)))
    copy, sidecar = shop.dreams / derivation.file_name, shop.dreams / f"{derivation.file_name}.json"
    before = copy.read_bytes(), sidecar.read_bytes()

    copy.unlink()
    shop.dream(derivation.item_id)
    sidecar.unlink()
    shop.dream(derivation.item_id)

    assert (copy.read_bytes(), sidecar.read_bytes()) == before


def test_a_copy_that_somebody_changed_is_left_alone(shop: Workshop) -> None:
    derivation = shop.dream(shop.add(picture(1)))
    copy = shop.dreams / derivation.file_name
    copy.write_bytes(b"my own brush strokes")

    shop.dream(derivation.item_id)

    assert copy.read_bytes() == b"my own brush strokes"


def test_one_failing_picture_does_not_stop_the_others(shop: Workshop) -> None:
    good, bad, damaged, later = (shop.add(picture(n)) for n in range(4))
    shop.store.path(shop.item(damaged).blob_sha256).write_bytes(b"rotten")
    renderer = InvertingRenderer(refuses=frozenset({shop.item(bad).pixel_sha256}))

    report = shop.stylize(good, bad, damaged, 999, later, renderer=renderer)

    assert report.made == 2
    failed = dict(report.failed)
    assert set(failed) == {bad, damaged, 999}
    assert failed[bad] == "RuntimeError: this picture has no dream"
    assert "holds other bytes" in failed[damaged]
    assert failed[999] == "there is no item i999"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_failure_of_a_picture(shop: Workshop, stop: type[BaseException]) -> None:
    item_id = shop.add(picture(1))

    def interrupt(progress: StylizeProgress) -> None:
        if progress.done == 0.5:
            raise stop

    with pytest.raises(stop):
        shop.stylize(item_id, on_progress=interrupt)
    assert shop.stylize(item_id).made == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image, facts: (image[:-1], facts),
        lambda image, facts: (image.astype(np.float32), facts),
        lambda _image, facts: (None, facts),
        lambda image, facts: (image, {k: v for k, v in facts.items() if k != "seed"}),
        lambda image, facts: (image, facts | {"objective_values": float("nan")}),
        lambda image, facts: (image, facts | {"device": np.float32(1)}),
        lambda image, facts: (image, facts | {"device": "\ud800"}),
        lambda image, _facts: (image, None),
    ],
)
def test_a_renderer_that_breaks_its_promise_fails_only_its_picture(shop: Workshop, spoil) -> None:
    item_id = shop.add(picture(1))

    class Broken(InvertingRenderer):
        def render(self, image, on_progress):
            return spoil(*super().render(image, on_progress))

    report = shop.stylize(item_id, renderer=Broken())

    assert [failed for failed, _line in report.failed] == [item_id]
    assert not list(shop.dreams.glob("*.png"))
    with shop.catalog.read() as uow:
        assert uow.derivations.all_ids() == []


def test_large_pictures_are_reduced_to_max_side_and_small_ones_are_not_enlarged(shop: Workshop) -> None:
    large, small = shop.add(picture(1, width=200, height=100)), shop.add(picture(2))
    renderer = InvertingRenderer(identity_of({"kind": "invert"}, max_side=100))

    large_dream = shop.dream(large, renderer=renderer)
    small_dream = shop.dream(small, renderer=renderer)

    assert (large_dream.width, large_dream.height) == (100, 50)
    assert (small_dream.width, small_dream.height) == (80, 64)
    original = Image.open(io.BytesIO(shop.store.read(shop.item(large).blob_sha256))).convert("RGB")
    reduced = np.asarray(original.resize((100, 50), Image.Resampling.LANCZOS))
    assert np.array_equal(shown(shop.dreams / large_dream.file_name), 255 - reduced)
    assert large_dream.manifest["preparation"]["pixel_sha256"] == pixel_sha256(reduced)
    assert "reduced" in large_dream.manifest["preparation"]["steps"][-1]
    assert "reduced" not in " ".join(small_dream.manifest["preparation"]["steps"])


def test_jpeg_dreams_record_the_pixels_that_they_show(shop: Workshop) -> None:
    item_id = shop.add(picture(1))

    derivation = shop.dream(item_id, output_format="JPEG")

    copy = shop.dreams / derivation.file_name
    assert copy.suffix == ".jpg"
    assert Image.open(copy).format == "JPEG"
    output = derivation.manifest["output"]
    assert output["pixel_sha256"] == derivation.pixel_sha256 == pixel_sha256(decode(copy.read_bytes()).rgb)
    inverted = 255 - decode(shop.store.read(shop.item(item_id).blob_sha256)).rgb
    assert output["rendered_pixel_sha256"] == pixel_sha256(inverted) != output["pixel_sha256"]
    with shop.catalog.read() as uow:
        assert uow.blobs.get(derivation.blob_sha256).media_type == "image/jpeg"


def test_another_recipe_weights_engine_or_size_is_another_dream() -> None:
    source = "11" * 32
    base = identity_of({"steps": 10})
    others = [
        identity_of({"steps": 11}),
        identity_of({"steps": 10}, weights_sha256="ee" * 32),
        identity_of({"steps": 10}, max_side=513),
        identity_of({"steps": 10.0}),
    ]

    keys = [derivation_key(source, identity) for identity in (base, *others)]

    assert len(set(keys)) == len(keys)
    assert derivation_key("22" * 32, base) != keys[0]
    # By hand, with nothing but the standard library.
    text = json.dumps(
        {
            "engine_version": 1,
            "max_side": 512,
            "recipe_sha256": hashlib.sha256(b'{"steps":10}').hexdigest(),
            "source_pixel_sha256": source,
            "weights_sha256": "cd" * 32,
        },
        separators=(",", ":"),
    )
    assert keys[0] == hashlib.sha256(text.encode()).hexdigest()


def test_progress_tells_the_part_done_the_picture_and_the_counts(shop: Workshop) -> None:
    ids = [shop.add(picture(n)) for n in range(2)]
    shop.stylize(ids[0])
    seen: list[StylizeProgress] = []

    shop.stylize(*ids, on_progress=seen.append)

    assert [(p.done, p.item_id) for p in seen] == [(0.5, ids[0]), (0.5, ids[1]), (0.75, ids[1]), (1.0, ids[1])]
    assert (seen[-1].made, seen[-1].already, seen[-1].failed, seen[-1].total) == (1, 1, 0, 2)


def test_a_dream_that_another_process_finished_first_stands(shop: Workshop) -> None:
    item_id = shop.add(picture(1))
    others: list[int] = []

    class Slow(InvertingRenderer):
        def render(self, image, on_progress):
            others.extend(shop.stylize(item_id).derivation_ids)
            # Another moment in the record, so that the two files differ.
            return super().render(image, on_progress)[0], FACTS | {"seconds": 9.0}

    report = shop.stylize(item_id, renderer=Slow())

    assert (report.made, report.already) == (0, 1)
    assert list(report.derivation_ids) == others
    derivation = shop.derivation(others[0])
    assert derivation.manifest["render"]["seconds"] == FACTS["seconds"]
    copy = shop.dreams / derivation.file_name
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == derivation.blob_sha256


def test_the_same_item_asked_for_twice_is_dreamed_once(shop: Workshop) -> None:
    item_id = shop.add(picture(1))

    report = shop.stylize(item_id, item_id)

    assert (report.made, report.already, len(report.derivation_ids)) == (1, 0, 1)


def test_a_dreams_folder_that_cannot_be_written_stops_the_run_and_the_next_run_heals_it(shop: Workshop) -> None:
    item_id = shop.add(picture(1))
    shop.dreams.write_bytes(b"a file where the folder should be")

    with pytest.raises(WorkspaceUnusable, match="cannot be written"):
        shop.stylize(item_id)
    shop.dreams.unlink()
    report = shop.stylize(item_id)

    assert (report.made, report.already) == (0, 1)
    assert len(list(shop.dreams.glob("*.png"))) == 1


def test_what_killed_runs_left_in_the_dreams_folder_is_swept_but_not_what_is_being_written(shop: Workshop) -> None:
    shop.dreams.mkdir()
    old, young = shop.dreams / ".tmp-old", shop.dreams / ".tmp-young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))

    shop.stylize()

    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A Stone Bridge!", "a-stone-bridge"),
        ("  ../../etc/passwd ", "etc-passwd"),
        ("C:\\con\x00\x1b[31m", "c-con-31m"),
        ("Été à Nîmes", "été-à-nîmes"),
        ("東京の橋", "東京の橋"),
        ("हिन्दी", "हिन्दी"),
        ("🐈‍⬛", ""),
        ("\ud800-x", "x"),
        ("", ""),
    ],
)
def test_slugs_keep_letters_of_any_script_and_nothing_that_a_file_system_minds(title: str, expected: str) -> None:
    assert slug(title) == expected


def test_very_long_titles_give_names_that_file_systems_take() -> None:
    name = file_name_of("橋" * 5000, "look", item_id=1, key="ab" * 32, image_format="PNG")

    assert len(f"{name}.json".encode()) < 255
    assert name.endswith(f"-look-{'ab' * 32}.png")


def test_pictures_without_a_title_are_named_by_their_id(shop: Workshop) -> None:
    item_id = shop.add(picture(1), title=None)

    assert shop.dream(item_id).file_name.startswith(f"i{item_id}-inverted-")


def test_a_jpeg_whose_record_does_not_fit_fails_with_the_way_out(shop: Workshop) -> None:
    item_id = shop.add(picture(1))
    renderer = InvertingRenderer(facts=FACTS | {"notes": "x" * 70_000})

    jpeg = shop.stylize(item_id, renderer=renderer, output_format="JPEG")
    png = shop.stylize(item_id, renderer=renderer, output_format="PNG")

    assert "PNG" in dict(jpeg.failed)[item_id]
    assert png.made == 1

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream.checkpoints import Checkpoint, Checkpoints, OctaveRecord
from dream.errors import DreamDiverged
from dream.networks.network import Network
from dream.profiles import Variant
from dream.recipes import LayerTerm
from tests.support.dreaming import dream_all, dreams_of, pictures_of, psnr, set_off, small_recipe
from tests.support.tiny_network import noise_image, tiny_network, tiny_weights

SIZES = [(20, 30), (30, 45), (40, 60)]
IDENTITY = {"recipe": "ab" * 32, "sizes": (1, 2), "nested": {"versions": {"numpy": "2.4"}}}


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


def record(**changes: Any) -> OctaveRecord:
    return OctaveRecord(**{"values": (0.1, 1 / 3), "clipped": 0.25, "tile_side": 1024, "together": 1} | changes)


def checkpoint(octaves: int = 2) -> Checkpoint:
    size = SIZES[octaves - 1]
    image = np.random.default_rng(octaves).normal(0.5, 0.3, (1, *size, 3)).astype(np.float32)
    return Checkpoint(image, tuple(record(clipped=0.1 * n) for n in range(octaves)))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# The files.


@pytest.mark.parametrize("octaves", [1, 2])
def test_what_is_kept_comes_back_to_the_bit(tmp_path: Path, octaves: int):
    kept = checkpoint(octaves)

    Checkpoints(tmp_path / "octaves").save("a-b_1", kept, IDENTITY)
    found = Checkpoints(tmp_path / "octaves").load("a-b_1", IDENTITY, SIZES)

    assert found.image.tobytes() == kept.image.tobytes()
    assert found.octaves == kept.octaves


def test_a_later_checkpoint_takes_the_place_of_an_earlier_one(tmp_path: Path):
    store = Checkpoints(tmp_path)

    store.save("one", checkpoint(1), IDENTITY)
    store.save("one", checkpoint(2), IDENTITY)

    assert len(store.load("one", IDENTITY, SIZES).octaves) == 2
    assert len(files(tmp_path)) == 1


def test_there_is_none_before_it_is_kept_and_after_it_is_forgotten(tmp_path: Path):
    store = Checkpoints(tmp_path / "not there yet")
    assert store.load("one", IDENTITY, SIZES) is None
    store.forget("one")
    store.sweep()
    assert files(tmp_path) == []

    store.save("one", checkpoint(), IDENTITY)
    store.forget("one")

    assert store.load("one", IDENTITY, SIZES) is None


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": "cd" * 32},
        {"nested": {"versions": {"numpy": "2.5"}}},
        {"sizes": (1, 3)},
        {"more": None},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_dream_is_not_taken_and_removed(tmp_path: Path, other: dict[str, Any]):
    store = Checkpoints(tmp_path)
    store.save("one", checkpoint(), IDENTITY)

    assert store.load("one", {**IDENTITY, **other}, SIZES) is None
    assert files(tmp_path) == []


def with_image(image: np.ndarray, octaves: int = 2) -> Checkpoint:
    return Checkpoint(image, checkpoint(octaves).octaves)


def not_finite(value: float) -> np.ndarray:
    image = checkpoint().image.copy()
    image[0, 3, 4, 1] = value
    return image


DAMAGED = {
    "NaN": with_image(not_finite(np.nan)),
    "infinity": with_image(not_finite(np.inf)),
    "the size of another octave": with_image(checkpoint(1).image, octaves=2),
    "height and width changed": with_image(np.zeros((1, 45, 30, 3), np.float32)),
    "two pictures": with_image(np.zeros((2, 30, 45, 3), np.float32)),
    "no batch": with_image(np.zeros((30, 45, 3), np.float32)),
    "four channels": with_image(np.zeros((1, 30, 45, 4), np.float32)),
    "float64": with_image(np.zeros((1, 30, 45, 3), np.float64)),
    "pickled": with_image(np.array([{"a": 1}], dtype=object)),
    "no octave": Checkpoint(checkpoint(1).image, ()),
    "all octaves": Checkpoint(np.zeros((1, 40, 60, 3), np.float32), (record(),) * 3),
    "more octaves than there are": Checkpoint(np.zeros((1, 40, 60, 3), np.float32), (record(),) * 4),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_between_two_octaves_is_ignored_and_removed(tmp_path: Path, damaged: Checkpoint):
    store = Checkpoints(tmp_path)
    store.save("one", damaged, IDENTITY)
    assert len(files(tmp_path)) == 1

    assert store.load("one", IDENTITY, SIZES) is None
    assert files(tmp_path) == []


def test_a_file_cut_off_or_changed_anywhere_is_ignored_and_removed(tmp_path: Path):
    store, kept = Checkpoints(tmp_path), checkpoint()
    store.save("one", kept, IDENTITY)
    (name,) = files(tmp_path)
    whole = (tmp_path / name).read_bytes()

    cuts = [whole[:length] for length in range(0, len(whole), 331)]
    flipped = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(40, len(whole) - 400, 997)]
    for damaged in (*cuts, *flipped, b"", b"PK\x05\x06" + b"\0" * 18, b"not an archive" * 99):
        (tmp_path / name).write_bytes(damaged)
        found = store.load("one", IDENTITY, SIZES)
        # A byte of an archive may mean nothing, such as the time of a member; one of the content has a checksum.
        assert found is None or (found.image.tobytes(), found.octaves) == (kept.image.tobytes(), kept.octaves)
        assert files(tmp_path) == ([] if found is None else [name])
        assert found is None or damaged in flipped


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "../a", "a b", "a\0b", "a.b"])
def test_a_key_that_is_no_plain_name_is_refused(tmp_path: Path, key: str):
    store = Checkpoints(tmp_path / "inside")

    for attempt in (
        lambda: store.save(key, checkpoint(), IDENTITY),
        lambda: store.load(key, IDENTITY, SIZES),
        lambda: store.forget(key),
    ):
        with pytest.raises(ValueError, match="cannot be the name"):
            attempt()
    assert files(tmp_path) == []


def test_a_save_that_fails_keeps_the_earlier_checkpoint_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Checkpoints(tmp_path)
    store.save("one", checkpoint(1), IDENTITY)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.save("one", checkpoint(2), IDENTITY)

    assert len(files(tmp_path)) == 1
    assert len(store.load("one", IDENTITY, SIZES).octaves) == 1


def test_sweeping_removes_what_killed_runs_left_and_nothing_that_is_needed(tmp_path: Path):
    store = Checkpoints(tmp_path)
    hour, day = 3600, 24 * 3600
    ages = {
        ".one.octave.npz.0123.tmp": 61 * 60,
        ".two.octave.npz.4567.tmp": 30 * 60,  # another process may be writing it right now
        "new.octave.npz": 2 * hour,
        "week.octave.npz": 7 * day,
        "forgotten.octave.npz": 31 * day,
        "somebody else's.txt": 99 * day,
        ".hidden": 99 * day,
    }
    for name, age in ages.items():
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    store.sweep()

    kept = {".two.octave.npz.4567.tmp", "new.octave.npz", "week.octave.npz", "somebody else's.txt", ".hidden"}
    assert set(files(tmp_path)) == kept


def test_forgetting_a_dream_removes_what_killed_runs_left_of_it_and_of_no_other(tmp_path: Path):
    for name in ("one.octave.npz", ".one.octave.npz.0123.tmp", ".one.octave.npz.4567.tmp", ".two.octave.npz.89ab.tmp"):
        (tmp_path / name).write_bytes(b"x")

    Checkpoints(tmp_path).forget("one")

    assert files(tmp_path) == [".two.octave.npz.89ab.tmp"]


# Dreams that go on.


class Killed(BaseException):
    """As sudden as a kill, as far as the engine can see."""


def run_until_saved(count: int, pictures: dict[str, np.ndarray], network: Any, folder: Path, **options: Any) -> None:
    """A run that ends right after its n-th checkpoint is written."""
    real, saved = Checkpoints.save, []
    recipe = options.pop("recipe", small_recipe())

    def save(self: Checkpoints, *arguments: Any) -> None:
        real(self, *arguments)
        saved.append(1)
        if len(saved) == count:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save)
        with pytest.raises(Killed):
            dream_all(pictures, recipe, network, checkpoints=folder, **options)


def counted_steps(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Steps by the height of the octave, from now on."""
    steps: Counter[int] = Counter()
    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    set_off(monkeypatch, lambda images, *_: steps.update({int(images.shape[1]): int(images.shape[0])}))
    return steps


# Octaves of a picture of 40 x 56 with `small_recipe`, four steps each.
HEIGHTS = [26, 40, 60]
RECIPES = {
    "plain": small_recipe(),
    "free of clipping": small_recipe(clip="end", reinject_detail=False),
    "remembering": small_recipe(optimizer="adam", normalization="laplacian", clip="octave", blur=1.0),
    "from noise": small_recipe(start="noise", resampling="lanczos3"),
    "balanced and weak": small_recipe(colors="balanced", strength=0.6),
    "tiled": small_recipe(tile_side=32, tile_overlap=32),
}


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("name", RECIPES)
def test_a_dream_that_was_killed_goes_on_after_its_last_octave_and_ends_the_same(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, done: int
):
    recipe, pictures = RECIPES[name], pictures_of((40, 56))
    whole = dream_all(pictures, recipe, tiny)["p0"]
    run_until_saved(done, pictures, tiny, tmp_path, recipe=recipe)
    steps = counted_steps(monkeypatch)

    resumed = dream_all(pictures, recipe, tiny, checkpoints=tmp_path)["p0"]

    assert resumed.image.tobytes() == whole.image.tobytes()
    assert steps == dict.fromkeys(HEIGHTS[done:], 4)
    assert resumed.facts["octave_seconds"][:done] == [0.0] * done
    for fact in ("objective_values", "clipped_fractions", "tiles", "octave_sizes", "jitter_sha256", "batch"):
        assert resumed.facts[fact] == whole.facts[fact]


def test_a_listener_that_stops_a_run_does_not_cost_the_octaves_done(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pictures = pictures_of((40, 56), (31, 64), (40, 56))
    whole = dreams_of(dream_all(pictures, small_recipe(), tiny))

    def stop(progress: Any) -> None:
        # Somewhere in the second picture.
        if progress.key == "p1" and progress.fraction > 0.5:
            raise Killed

    with pytest.raises(Killed):
        dream_all(pictures, small_recipe(), tiny, checkpoints=tmp_path, on_progress=stop)
    steps = counted_steps(monkeypatch)

    assert dreams_of(dream_all(pictures, small_recipe(), tiny, checkpoints=tmp_path)) == whole
    # Of no picture more than the last octave, which is never kept, and what was not begun when the run stopped: the
    # first picture and the third go side by side with the second, and how far they are depends on the processor.
    assert steps[60] == 8
    assert steps[26] <= 4
    assert steps[40] <= 4
    assert steps[20] == 0


def test_progress_of_a_dream_that_goes_on_begins_where_it_is(tiny: Any, tmp_path: Path):
    pictures = pictures_of((40, 56))
    run_until_saved(2, pictures, tiny, tmp_path)
    told: list[Any] = []

    dream_all(pictures, small_recipe(), tiny, checkpoints=tmp_path, on_progress=told.append)

    # 26 x 37 and 40 x 56 are done, 60 x 84 is to do.
    assert told[0].done == pytest.approx((26 * 37 + 40 * 56) / (26 * 37 + 40 * 56 + 60 * 84))
    assert told[0].seconds_left is None
    assert told[-1].done == 1.0


def other_network(tiny: Any, **changes: Any) -> Network:
    return Network(replace(tiny.card, **changes), tiny.body)


def test_another_recipe_source_network_engine_or_profile_begins_anew(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pictures = pictures_of((40, 56))
    monkeypatch.setattr("dream.batches.choose_variant", lambda *_: Variant())
    changes: dict[str, tuple[dict[str, np.ndarray], Any, Any, dict[str, Any]]] = {
        "nothing": (pictures, small_recipe(), tiny, {}),
        "recipe": (pictures, small_recipe(seed=4), tiny, {}),
        "a field that comes in at the end": (pictures, small_recipe(strength=0.9), tiny, {}),
        "source": ({"p0": noise_image(40, 56, seed=9)}, small_recipe(), tiny, {}),
        "weights": (pictures, small_recipe(), other_network(tiny, weights_sha256="1" * 64), {}),
        "profile": (pictures, small_recipe(), tiny, {"profile": "fast"}),
        "engine": (pictures, small_recipe(), tiny, {}),
        "versions": (pictures, small_recipe(), tiny, {}),
    }

    begun: dict[str, int] = {}
    for what, (sources, recipe, network, options) in changes.items():
        run_until_saved(2, pictures, tiny, tmp_path)
        with monkeypatch.context() as patch:
            steps = counted_steps(patch)
            if what == "engine":
                patch.setattr("dream.climbers.ENGINE_VERSION", 99)
            if what == "versions":
                patch.setattr("dream.climbers.environment", lambda: {"versions": {"tensorflow": "9.9"}})
            dream_all(sources, recipe, network, checkpoints=tmp_path, **options)
        begun[what] = steps[26]
        Checkpoints(tmp_path).forget("p0")

    assert begun == {"nothing": 0} | dict.fromkeys(list(changes)[1:], 4)


@pytest.mark.parametrize("damage", ["cut off", "empty", "of another size"])
def test_a_damaged_checkpoint_costs_time_and_nothing_else(tiny: Any, tmp_path: Path, damage: str):
    pictures = pictures_of((40, 56))
    whole = dreams_of(dream_all(pictures, small_recipe(), tiny))
    run_until_saved(2, pictures, tiny, tmp_path)
    (name,) = files(tmp_path)
    data = (tmp_path / name).read_bytes()
    if damage == "of another size":
        with np.load(tmp_path / name) as stored:
            about = stored["about"]
        np.savez(tmp_path / name, image=np.zeros((1, 8, 8, 3), np.float32), about=about)
    else:
        (tmp_path / name).write_bytes(data[: len(data) // 2] if damage == "cut off" else b"")

    assert dreams_of(dream_all(pictures, small_recipe(), tiny, checkpoints=tmp_path)) == whole


def test_a_disk_that_is_full_is_logged_and_the_dream_is_finished(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    pictures = pictures_of((40, 56))
    whole = dreams_of(dream_all(pictures, small_recipe(), tiny))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        outcomes = dream_all(pictures, small_recipe(), tiny, checkpoints=tmp_path)

    assert dreams_of(outcomes) == whole
    assert "No space left on device" in caplog.text
    assert files(tmp_path) == []


def test_pictures_of_a_batch_that_stand_at_different_octaves_all_keep_their_work(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dream.batches.choose_variant", lambda *_: Variant(batch=4))
    pictures = pictures_of((40, 56), (40, 56), (40, 56), (40, 56))
    whole = dream_all(pictures, small_recipe(), tiny)
    for key, octaves in (("p1", 1), ("p3", 2)):
        run_until_saved(octaves, {key: pictures[key]}, tiny, tmp_path, profile="fast")
    steps = counted_steps(monkeypatch)

    outcomes = dream_all(pictures, small_recipe(), tiny, profile="fast", checkpoints=tmp_path)

    # Two of four have the first octave to do, three the second, all the third: four steps for each.
    assert steps == {26: 2 * 4, 40: 3 * 4, 60: 4 * 4}
    assert [outcomes[key].facts["octave_seconds"].count(0.0) for key in ("p0", "p2")] == [0, 0]
    assert outcomes["p1"].facts["octave_seconds"][0] == 0.0
    assert outcomes["p3"].facts["octave_seconds"][:2] == [0.0, 0.0]
    assert all(psnr(outcomes[key].image, whole[key].image) >= 60 for key in pictures)


def test_tiles_that_had_to_shrink_stay_small_when_the_dream_goes_on(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pictures, recipe = pictures_of((288, 320)), small_recipe(steps=1)
    refused: list[int] = []

    def fault(_images: Any, pixels: int, _device: str | None) -> None:
        if pixels > 280 * 320:
            refused.append(pixels)
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    set_off(monkeypatch, fault)
    whole = dream_all(pictures, recipe, tiny)["p0"]
    assert refused == [288 * 320]
    run_until_saved(2, pictures, tiny, tmp_path, recipe=recipe)
    refused.clear()

    resumed = dream_all(pictures, recipe, tiny, checkpoints=tmp_path)["p0"]

    assert refused == []
    assert resumed.facts["tiles"] == whole.facts["tiles"]
    assert resumed.image.tobytes() == whole.image.tobytes()


def test_a_dream_that_can_only_fail_again_leaves_nothing_behind(tmp_path: Path):
    # The square of what so strong kernels find is beyond float32, once the picture has some contrast.
    weights = tiny_weights()
    weights[0] = (weights[0] * 2e18).astype(np.float32)
    network = tiny_network(weights)
    recipe = small_recipe(objective=(LayerTerm(layer="first"),), step_size=2.0, clip="end")

    outcomes = dream_all(pictures_of((40, 56)), recipe, network, checkpoints=tmp_path)

    assert isinstance(outcomes["p0"].error, DreamDiverged)
    assert files(tmp_path) == []


def test_a_run_sweeps_what_an_earlier_one_left(tiny: Any, tmp_path: Path):
    left = tmp_path / ".one.octave.npz.0123.tmp"
    left.write_bytes(b"x")
    os.utime(left, (0, 0))

    dream_all(pictures_of((40, 56)), small_recipe(), tiny, checkpoints=tmp_path)

    assert not left.exists()

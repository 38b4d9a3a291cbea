from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream.batches import Progress, Request, render_all
from dream.errors import (
    DeadObjective,
    DeviceFailed,
    DreamDiverged,
    DreamError,
    ImageUnusable,
    OutOfMemory,
    RecipeError,
    UnknownName,
)
from dream.profiles import Variant
from dream.recipes import GuideTerm, LayerTerm
from dream.regions import Ellipse
from tests.support.dreaming import dream_all, dreams_of, pictures_of, psnr, requests_of, set_off, small_recipe
from tests.support.tiny_network import noise_image, tiny_network, tiny_weights


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


@pytest.fixture
def four_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile `fast` takes four pictures together, without measuring whether that is faster here."""
    monkeypatch.setattr("dream.batches.choose_variant", lambda *_: Variant(batch=4))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(("device-", "load"))]
    assert left == []


# No picture depends on the others.


def test_a_picture_gives_the_same_bytes_alone_among_others_and_in_another_order(tiny: Any):
    pictures = pictures_of((40, 56), (40, 56), (31, 64), (40, 56), (56, 40))
    recipe = small_recipe()

    together = dreams_of(dream_all(pictures, recipe, tiny))

    assert dreams_of(dream_all(dict(reversed(pictures.items())), recipe, tiny)) == together
    for key, picture in pictures.items():
        assert dreams_of(dream_all({key: picture}, recipe, tiny)) == {key: together[key]}


def test_every_request_has_one_outcome_and_facts_of_its_own(tiny: Any):
    pictures = pictures_of((40, 56), (31, 64), (40, 56))

    outcomes = dream_all(pictures, small_recipe(), tiny)

    assert set(outcomes) == set(pictures)
    for key, picture in pictures.items():
        assert outcomes[key].image.shape == picture.shape
        assert outcomes[key].facts["octave_sizes"][1] == list(picture.shape[:2])
        assert outcomes[key].error is None


@pytest.mark.usefixtures("four_at_once")
def test_pictures_that_climb_together_dream_what_they_dream_alone(tiny: Any):
    pictures = pictures_of((40, 56), (40, 56), (40, 56), (40, 56), (31, 64))
    recipe = small_recipe()
    alone = {key: dream_all({key: picture}, recipe, tiny)[key].image for key, picture in pictures.items()}

    together = dream_all(pictures, recipe, tiny, profile="fast")

    assert [together[key].facts["batch"] for key in pictures] == [4, 4, 4, 4, 1]
    for key in pictures:
        assert psnr(together[key].image, alone[key]) >= 60
        a, b = (np.ravel(image.astype(float) - pictures[key]) for image in (together[key].image, alone[key]))
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999


# One bad picture is an outcome with an error, and costs the others nothing.


def refuse() -> Any:
    raise OSError("the file is gone")


BAD = {
    "loading fails": (refuse, OSError, "the file is gone"),
    "another size than announced": (lambda: noise_image(41, 56), ImageUnusable, "41, 56"),
    "not uint8": (lambda: noise_image(40, 56).astype(np.float32), ImageUnusable, "float32"),
    "not RGB": (lambda: noise_image(40, 56)[..., :1], ImageUnusable, "RGB"),
    "no array": (lambda: None, ImageUnusable, "NoneType"),
}


@pytest.mark.parametrize("profile", ["exact", "fast"])
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.usefixtures("four_at_once")
def test_a_picture_that_cannot_be_used_leaves_its_batch_and_the_others_stay_as_they_are(
    tiny: Any, profile: str, bad: str
):
    load, error, words = BAD[bad]
    pictures = pictures_of((40, 56), (40, 56), (40, 56))
    requests = requests_of(pictures)
    requests.insert(1, Request("bad", (40, 56), load))

    outcomes = {outcome.key: outcome for outcome in render_all(requests, small_recipe(), tiny, profile=profile)}

    assert isinstance(outcomes["bad"].error, error)
    assert words in str(outcomes["bad"].error)
    assert (outcomes["bad"].image, outcomes["bad"].facts) == (None, None)
    del outcomes["bad"]
    assert dreams_of(outcomes) == dreams_of(dream_all(pictures, small_recipe(), tiny, profile=profile))


@pytest.mark.parametrize("profile", ["exact", "fast"])
@pytest.mark.usefixtures("four_at_once")
def test_a_picture_that_diverges_is_an_error_and_its_neighbours_stay_as_they_are(profile: str):
    # Kernels of one sum and so strong that the square of what they find in a contrast is beyond float32.
    weights = tiny_weights()
    weights[0] = (np.sign(weights[0]) * 1e19).astype(np.float32)
    weights[0].reshape(-1, 6)[13:26] = -weights[0].reshape(-1, 6)[:13]
    weights[0].reshape(-1, 6)[26] = 0
    weights[1][:] = 0
    network = tiny_network(weights)
    calm = {f"calm{level}": np.full((40, 56, 3), level, np.uint8) for level in (60, 120, 200)}
    recipe = small_recipe(objective=(LayerTerm(layer="first"),), steps=1, step_size=1e-4, reinject_detail=False)

    outcomes = dream_all({"wild": noise_image(40, 56), **calm}, recipe, network, profile=profile)

    assert isinstance(outcomes["wild"].error, DreamDiverged)
    assert "step 1" in str(outcomes["wild"].error)
    assert outcomes["wild"].image is None
    assert len(dreams_of(outcomes)) == 3
    for key, picture in calm.items():
        alone = dream_all({key: picture}, recipe, network)[key].image
        if profile == "exact":
            assert outcomes[key].image.tobytes() == alone.tobytes()
        assert psnr(outcomes[key].image, alone) >= 60


@pytest.mark.parametrize("profile", ["exact", "fast"])
@pytest.mark.usefixtures("four_at_once")
def test_a_dead_picture_is_an_error_and_its_neighbours_dream(profile: str):
    weights = tiny_weights()
    # On black alone, every channel of the first layer is far below its ReLU.
    weights[0], weights[1] = np.abs(weights[0]) + 0.1, np.full(6, 0.5, np.float32)
    network = tiny_network(weights)
    recipe = small_recipe(objective=(LayerTerm(layer="first_relu"),))
    light = pictures_of((40, 56), (40, 56))

    outcomes = dream_all({"black": np.zeros((40, 56, 3), np.uint8), **light}, recipe, network, profile=profile)

    assert isinstance(outcomes["black"].error, DeadObjective)
    assert "_pre" in str(outcomes["black"].error)
    alone = {key: dream_all({key: picture}, recipe, network)[key].image for key, picture in light.items()}
    assert all(psnr(outcomes[key].image, alone[key]) >= 60 for key in light)


@pytest.mark.parametrize("profile", ["exact", "fast"])
@pytest.mark.usefixtures("four_at_once")
def test_a_recipe_that_does_not_fit_one_size_costs_pictures_of_that_size_alone(tiny: Any, profile: str):
    # Between the middles of the pixels of the small picture, over several pixels of the large one.
    speck = Ellipse(row=0.5, column=0.5, height=0.02, width=0.02, feather=0.0)
    recipe = small_recipe(objective=(LayerTerm(layer="second", region=speck),))

    outcomes = dream_all(pictures_of((16, 16), (160, 160), (16, 16)), recipe, tiny, profile=profile)

    assert isinstance(outcomes["p0"].error, RecipeError)
    assert isinstance(outcomes["p2"].error, RecipeError)
    assert outcomes["p1"].error is None


@pytest.mark.usefixtures("four_at_once")
def test_an_error_that_nobody_foresaw_is_the_outcome_of_its_picture_alone(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    pictures = pictures_of((40, 56), (40, 56), (40, 56), (40, 56))
    expected = dream_all(pictures, small_recipe(), tiny)
    marked = pictures["p2"][0, 0].astype(np.float32) / 255

    def stumble(images: Any, _pixels: int, _device: str | None) -> None:
        corners = images.numpy()[:, 0, 0]
        if images.shape[1:3] == (40, 56) and np.isclose(corners, marked, atol=0.1).all(axis=1).any():
            raise ZeroDivisionError("nobody foresaw this")

    set_off(monkeypatch, stumble)

    outcomes = dream_all(pictures, small_recipe(), tiny, profile="fast")

    assert isinstance(outcomes["p2"].error, ZeroDivisionError)
    for key in ("p0", "p1", "p3"):
        assert psnr(outcomes[key].image, expected[key].image) >= 60


# Memory.


def no_room_for_more_than(most: int, refused: list[int]) -> Any:
    def fault(_images: Any, pixels: int, _device: str | None) -> None:
        if pixels > most:
            refused.append(pixels)
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    return fault


@pytest.mark.usefixtures("four_at_once")
def test_a_batch_that_does_not_fit_is_halved_and_the_facts_say_so(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    pictures = pictures_of((40, 56), (40, 56), (40, 56), (40, 56), (20, 20))
    expected = dream_all(pictures, small_recipe(), tiny)
    refused: list[int] = []
    set_off(monkeypatch, no_room_for_more_than(2 * 60 * 84, refused))

    outcomes = dream_all(pictures, small_recipe(), tiny, profile="fast")

    # The two smaller octaves of four pictures fit, the largest does not; nothing that was done is done again.
    assert refused == [4 * 60 * 84]
    assert [outcomes[key].facts["batch"] for key in pictures] == [2, 2, 2, 2, 1]
    assert all(psnr(outcomes[key].image, expected[key].image) >= 60 for key in pictures)


def test_a_picture_that_does_not_fit_alone_is_cut_into_smaller_tiles_and_the_facts_say_so(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
):
    pictures = pictures_of((288, 320), (40, 56))
    recipe = small_recipe(steps=2, jitter=0)
    expected = dream_all(pictures, recipe, tiny)
    refused: list[int] = []
    set_off(monkeypatch, no_room_for_more_than(288 * 320, refused))

    outcomes = dream_all(pictures, recipe, tiny)

    assert refused == [432 * 480]
    facts = outcomes["p0"].facts
    # 432 x 480 is below (2 * 256)^2, so 128 is the first side, halved, that cuts it.
    assert (facts["tile_side"], facts["tiles"][:2]) == (128, [None, None])
    assert facts["tiles"][2] == {"count": 16, "core_height": 128, "core_width": 128, "overlap": 64}
    assert psnr(outcomes["p0"].image, expected["p0"].image) > 30
    assert outcomes["p1"].facts["tile_side"] == recipe.tile_side
    assert outcomes["p1"].image.tobytes() == expected["p1"].image.tobytes()


@pytest.mark.usefixtures("four_at_once")
def test_what_fits_in_no_way_is_an_error_of_that_picture_alone(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    pictures = pictures_of((40, 56), (288, 320), (40, 56), (288, 320))
    refused: list[int] = []
    set_off(monkeypatch, no_room_for_more_than(60 * 84, refused))

    outcomes = dream_all(pictures, small_recipe(steps=1), tiny, profile="fast")

    for key in ("p1", "p3"):
        assert isinstance(outcomes[key].error, OutOfMemory)
        assert "max_side" in str(outcomes[key].error)
    assert set(dreams_of(outcomes)) == {"p0", "p2"}
    # Two pictures at once and each alone; 192 x 213 pixels cannot be cut into tiles of 128.
    assert sorted(refused) == [2 * 60 * 84, 192 * 213, 192 * 213, 2 * 192 * 213]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM"),
        tf.errors.InternalError(None, None, "Dst tensor is not initialized."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_way_to_run_out_of_memory_has_the_same_end(tiny: Any, monkeypatch: pytest.MonkeyPatch, error: Exception):
    def fault(*_: Any) -> None:
        raise error

    set_off(monkeypatch, fault)

    (outcome,) = dream_all(pictures_of((40, 56)), small_recipe(), tiny).values()

    assert isinstance(outcome.error, OutOfMemory)


def test_memory_that_ends_outside_the_network_is_no_reason_to_stop(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    from dream import octave_run

    real = octave_run.apply_colors

    def colors(dream: Any, source: Any, wanted: Any) -> Any:
        if source.shape[1:3] == (31, 64):
            raise MemoryError
        return real(dream, source, wanted)

    monkeypatch.setattr(octave_run, "apply_colors", colors)

    outcomes = dream_all(pictures_of((40, 56), (31, 64), (40, 56)), small_recipe(), tiny)

    assert isinstance(outcomes["p1"].error, OutOfMemory)
    assert set(dreams_of(outcomes)) == {"p0", "p2"}


# A device that fails, where there is no other.


def test_a_device_that_fails_once_costs_one_picture_and_says_what_to_do(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    pictures = pictures_of((40, 56), (31, 64), (40, 56))
    expected = dreams_of(dream_all(pictures, small_recipe(), tiny))

    def fault(images: Any, *_: Any) -> None:
        if images.shape[1:3] == (31, 64):
            raise tf.errors.InternalError(None, None, "CUDNN_STATUS_EXECUTION_FAILED\nmore lines")

    set_off(monkeypatch, fault)

    outcomes = dream_all(pictures, small_recipe(), tiny)

    error = outcomes["p1"].error
    assert isinstance(error, DeviceFailed)
    assert "CUDNN_STATUS_EXECUTION_FAILED)" in str(error)
    assert "run again" in str(error)
    del expected["p1"]
    assert dreams_of(outcomes) == expected


def test_a_device_that_is_gone_gives_every_picture_left_an_error(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    pictures = pictures_of(*[(24 + n, 32) for n in range(7)])
    calls: list[int] = []

    def fault(images: Any, *_: Any) -> None:
        calls.append(int(images.shape[1]))
        if len(calls) > 2 * 3:
            raise tf.errors.UnavailableError(None, None, "the device is gone")

    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 1000.0)
    set_off(monkeypatch, fault)

    outcomes = dream_all(pictures, small_recipe(steps=1), tiny, devices=["CPU:0"])

    assert set(outcomes) == set(pictures)
    assert set(dreams_of(outcomes)) == {"p0", "p1"}
    assert all(isinstance(outcomes[key].error, DeviceFailed) for key in list(pictures)[2:])
    # It was tried on three more pictures, then left alone.
    assert len(calls) == 2 * 3 + 3
    assert "before this picture was reached" in str(outcomes["p6"].error)


@pytest.mark.usefixtures("four_at_once")
def test_a_batch_at_which_the_only_device_fails_is_tried_picture_by_picture(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    def fault(images: Any, *_: Any) -> None:
        if images.shape[0] > 1:
            raise tf.errors.InternalError(None, None, "this kernel knows one picture only")

    set_off(monkeypatch, fault)

    outcomes = dream_all(pictures_of((40, 56), (40, 56), (40, 56)), small_recipe(), tiny, profile="fast")

    assert len(dreams_of(outcomes)) == 3


# The caller.


def test_pictures_are_loaded_once_on_another_thread_and_shortly_before_their_turn(tiny: Any):
    pictures = pictures_of(*[(24 + n, 32) for n in range(6)])
    loaded: list[str] = []
    threads: set[int] = set()

    def load(key: str) -> np.ndarray:
        loaded.append(key)
        threads.add(threading.get_ident())
        return pictures[key]

    requests = [Request(key, picture.shape[:2], lambda key=key: load(key)) for key, picture in pictures.items()]
    for finished, _ in enumerate(render_all(requests, small_recipe(), tiny), start=1):
        # Beside those that wait for the caller: the one at hand, and the one after it.
        assert len(loaded) <= finished + 4 + 2

    assert loaded == list(pictures)
    assert threading.get_ident() not in threads


def test_a_listener_hears_on_its_own_thread_and_may_stop_everything(tiny: Any):
    class Enough(Exception):
        pass

    heard: list[int] = []

    def listen(_progress: Progress) -> None:
        heard.append(threading.get_ident())
        if len(heard) == 3:
            raise Enough

    with pytest.raises(Enough):
        list(render_all(requests_of(pictures_of(*[(40, 56)] * 9)), small_recipe(), tiny, on_progress=listen))

    assert set(heard) == {threading.get_ident()}


def test_an_interrupt_stops_the_work_where_it_is(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    steps: list[int] = []

    def interrupt(*_: Any) -> None:
        steps.append(1)
        if len(steps) == 20:
            # As Ctrl-C does, while the caller waits for a picture.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    set_off(monkeypatch, interrupt)

    with pytest.raises(KeyboardInterrupt):
        dream_all(pictures_of((20, 20), (40, 56)), small_recipe(steps=10_000), tiny)

    assert len(steps) < 1000


def test_an_iterator_that_is_not_read_to_its_end_leaves_nothing_running(tiny: Any):
    outcomes = render_all(requests_of(pictures_of(*[(40, 56)] * 12)), small_recipe(), tiny)

    next(outcomes)
    outcomes.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("device-")]


def test_what_is_wrong_with_a_call_is_said_before_any_picture_is_loaded(tiny: Any):
    requests = [Request("same", (8, 8), refuse), Request("same", (8, 8), refuse)]

    with pytest.raises(ValueError, match="'same'"):
        next(render_all(requests, small_recipe(), tiny))
    with pytest.raises(DreamError, match="exact, fast"):
        next(render_all(requests[:1], small_recipe(), tiny, profile="quick"))
    with pytest.raises(DreamError, match="CPU:0"):
        next(render_all(requests[:1], small_recipe(), tiny, devices=["/GPU:7"]))
    with pytest.raises(DreamError, match="no device given"):
        next(render_all(requests[:1], small_recipe(), tiny, devices=[]))
    with pytest.raises(UnknownName):
        next(render_all(requests[:1], small_recipe(objective=(LayerTerm(layer="secnd"),)), tiny))
    with pytest.raises(RecipeError, match="guide"):
        next(render_all(requests[:1], small_recipe(objective=(GuideTerm(layer="second", picture="0" * 64),)), tiny))


def test_a_key_that_cannot_name_a_file_is_refused_where_octaves_are_kept(tiny: Any, tmp_path: Any):
    with pytest.raises(ValueError, match=r"'\.\./up'"):
        next(render_all([Request("../up", (8, 8), refuse)], small_recipe(), tiny, checkpoints=tmp_path))


# Odd pictures.


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 9), (7, 7), (9, 200)])
@pytest.mark.parametrize("max_side", [None, 100, 16])
def test_thin_and_tiny_pictures_have_dreams_of_their_own_shape(tiny: Any, size: tuple[int, int], max_side: int | None):
    (outcome,) = dream_all(pictures_of(size), small_recipe(max_side=max_side), tiny).values()

    assert outcome.error is None
    assert outcome.image.shape == (*size, 3)
    assert min(min(octave) for octave in outcome.facts["octave_sizes"]) >= tiny.card.smallest_side

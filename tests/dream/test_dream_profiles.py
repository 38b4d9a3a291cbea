from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream import probing
from dream.ascent import compile_ascent
from dream.errors import DreamError
from dream.probing import LEAST_COSINE, choose_variant, pixel_steps_per_second
from dream.profiles import EXACT, Profile, Variant
from dream.recipes import LayerTerm, Recipe
from dream.regions import Ellipse
from tests.support.dreaming import dream_all, pictures_of, small_recipe
from tests.support.tiny_network import noise_image, tiny_network, tiny_weights

FOUR = Variant(batch=4)
HALF = Variant(dtype="bfloat16", batch=4)
JIT = Variant(batch=4, jit=True)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    probing._chosen.cache_clear()
    yield
    probing._chosen.cache_clear()


def choose(network: Any, recipe: Recipe | None = None, device: str | None = None) -> Variant:
    wanted = recipe or small_recipe()
    return choose_variant(wanted, wanted.objective, network, device)


def machine(
    monkeypatch: pytest.MonkeyPatch,
    seconds_a_step: dict[Variant, float],
    *,
    wrong: dict[Variant, Callable[[np.ndarray], np.ndarray]] | None = None,
    refused: dict[Variant, Exception] | None = None,
) -> list[Variant]:
    """A machine on which a batch of each variant takes so long a step, by its own clock; what was tried on it.

    wrong: variants whose step goes elsewhere: from the right step to another one. refused: those that it cannot run.
    """
    now = 0.0
    tried: list[Variant] = []
    real = compile_ascent

    def compiled(network: Any, recipe: Any, objective: Any, *, variant: Variant, device: str | None) -> Any:
        ascent = real(network, recipe, objective, variant=EXACT, device=device)

        def climb(images: np.ndarray, shifts: np.ndarray, **options: Any) -> Any:
            nonlocal now
            tried.append(variant)
            if variant in (refused or {}):
                raise refused[variant]
            result = ascent.climb(images, shifts, **options)
            now += seconds_a_step[variant] * len(shifts)
            step = np.asarray(result.images) - images
            moved = (wrong or {}).get(variant, lambda right: right)(step)
            return dataclasses.replace(result, images=tf.constant(images + moved))

        return SimpleNamespace(climb=climb)

    monkeypatch.setattr(probing, "compile_ascent", compiled)
    monkeypatch.setattr(probing, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(probing, "_candidates", lambda _device: [FOUR, HALF, JIT])
    return tried


def test_the_fastest_a_picture_is_chosen(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    # Four pictures in 3.9, 3.2 and 8 seconds, against one in 1.
    machine(monkeypatch, {EXACT: 1.0, FOUR: 3.9, HALF: 3.2, JIT: 8.0})

    assert choose(tiny) == HALF


def test_nothing_slower_than_the_exact_one_is_chosen(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch, {EXACT: 1.0, FOUR: 4.1, HALF: 40.0, JIT: 4.01})

    assert choose(tiny) == EXACT


def turned(cosine: float) -> Callable[[np.ndarray], np.ndarray]:
    """A step of the same length at an angle with this cosine."""

    def turn(step: np.ndarray) -> np.ndarray:
        other = np.random.default_rng(0).normal(size=step.shape)
        other -= step * np.sum(other * step) / np.sum(step * step)
        other *= np.linalg.norm(step) / np.linalg.norm(other)
        return (cosine * step + np.sqrt(1 - cosine**2) * other).astype(np.float32)

    return turn


@pytest.mark.parametrize(
    ("wrong", "chosen"),
    [
        (turned(LEAST_COSINE + 0.0005), HALF),
        (turned(LEAST_COSINE - 0.0005), FOUR),
        (lambda step: -step, FOUR),
        (np.zeros_like, FOUR),
        (lambda step: step * np.nan, FOUR),
        (lambda step: np.full_like(step, np.inf), FOUR),
    ],
    ids=["a little off", "too far off", "downhill", "still", "not a number", "infinite"],
)
def test_a_variant_is_chosen_only_if_its_step_agrees(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[np.ndarray], np.ndarray], chosen: Variant
):
    machine(monkeypatch, {EXACT: 1.0, FOUR: 3.0, HALF: 0.1, JIT: 9.0}, wrong={HALF: wrong})

    assert choose(tiny) == chosen


@pytest.mark.parametrize(
    "error", [tf.errors.UnimplementedError(None, None, "no such kernel"), DreamError("no memory")], ids=str
)
def test_a_variant_that_the_device_cannot_run_is_left_out(tiny: Any, monkeypatch: pytest.MonkeyPatch, error: Exception):
    machine(monkeypatch, {EXACT: 1.0, FOUR: 3.0, HALF: 0.1, JIT: 0.1}, refused={HALF: error, JIT: error})

    assert choose(tiny) == FOUR


def test_a_machine_that_cannot_be_tried_gets_the_exact_variant(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    lost = tf.errors.ResourceExhaustedError(None, None, "OOM")
    machine(monkeypatch, {EXACT: 1.0, FOUR: 0.1, HALF: 0.1, JIT: 0.1}, refused={EXACT: lost})

    assert choose(tiny) == EXACT


def test_an_objective_that_is_dead_on_the_probe_gets_the_exact_variant():
    weights = tiny_weights()
    weights[1] = np.full(6, -1000, np.float32)

    assert choose(tiny_network(weights), small_recipe(objective=(LayerTerm(layer="first_relu"),))) == EXACT


def test_a_region_that_holds_nothing_of_the_probe_gets_the_exact_variant(tiny: Any):
    speck = Ellipse(row=0.5, column=0.5, height=0.001, width=0.001, feather=0.0)

    assert choose(tiny, small_recipe(objective=(LayerTerm(layer="second", region=speck),))) == EXACT


def test_a_choice_is_made_once_for_all_recipes_it_is_the_same_for(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    tried = machine(monkeypatch, {EXACT: 1.0, FOUR: 3.0, HALF: 9.0, JIT: 9.0})
    choose(tiny)
    once = len(tried)

    assert choose(tiny, small_recipe(seed=9, steps=200, strength=0.5, step_size=1e-6, max_side=64)) == FOUR
    assert len(tried) == once
    choose(tiny, small_recipe(normalization="laplacian"))
    assert len(tried) == 2 * once


def test_the_real_machine_is_measured_and_the_dream_stays_the_same(tiny: Any):
    pictures = pictures_of((40, 56), (40, 56), (40, 56), (40, 56), (40, 56))
    exact = dream_all(pictures, small_recipe(), tiny)

    fast = dream_all(pictures, small_recipe(), tiny, profile=Profile.FAST)

    chosen = choose(tiny)
    assert chosen in {EXACT, *probing._candidates(None)}
    for key, picture in pictures.items():
        assert fast[key].facts["variant"] == str(chosen)
        assert fast[key].facts["profile"] == "fast"
        a, b = (np.ravel(outcomes[key].image.astype(float) - picture) for outcomes in (fast, exact))
        # Float32 gives the same but for rounding; the steps of half precision wander a little, and add up.
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > (0.999 if chosen.dtype == "float32" else 0.9)


def test_a_machine_without_the_instructions_does_not_emulate_half_precision(monkeypatch: pytest.MonkeyPatch):
    for has_bfloat16, device, dtypes in (
        (False, None, {"float32"}),
        (True, None, {"float32", "bfloat16"}),
        (False, "/device:CPU:0", {"float32"}),
        (False, "/device:GPU:0", {"float32", "bfloat16", "float16"}),
    ):
        monkeypatch.setattr(probing, "_has_bfloat16", lambda has=has_bfloat16: has)
        candidates = probing._candidates(device)
        assert {candidate.dtype for candidate in candidates} == dtypes
        # XLA compiles anew for every size, which only a GPU makes good.
        assert any(candidate.jit for candidate in candidates) == (device == "/device:GPU:0")


def test_the_exact_profile_takes_one_picture_in_float32_and_says_so(tiny: Any):
    outcomes = dream_all(pictures_of((40, 56), (40, 56)), small_recipe(), tiny)

    for outcome in outcomes.values():
        facts = outcome.facts
        assert (facts["profile"], facts["variant"], facts["dtype"], facts["batch"]) == (
            "exact",
            "float32, 1 at once",
            "float32",
            1,
        )


@pytest.mark.parametrize("profile", ["", "EXACT", "quick"])
def test_an_unknown_profile_is_refused_by_name(tiny: Any, profile: str):
    with pytest.raises(DreamError, match=f"one of exact, fast, got '{profile}'"):
        dream_all({"p": noise_image(16, 16)}, small_recipe(), tiny, profile=profile)


def test_a_variant_says_what_it_is():
    assert str(EXACT) == "float32, 1 at once"
    assert str(Variant(dtype="float16", batch=4, jit=True)) == "float16, 4 at once, XLA"


def test_the_rate_of_a_machine_is_pixels_times_steps_a_second(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    now = iter([10.0, 14.0])
    monkeypatch.setattr(probing, "time", SimpleNamespace(perf_counter=lambda: next(now)))

    rate = pixel_steps_per_second(small_recipe(), small_recipe().objective, tiny)

    # Three steps on 224 x 224 pixels, in four seconds by this clock.
    assert rate == pytest.approx(3 * 224 * 224 / 4)

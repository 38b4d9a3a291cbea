from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dream.errors import DeadObjective, ImageUnusable, RecipeError, UnknownName
from dream.presets import preset, preset_names
from dream.recipes import ENGINE_VERSION, Clip, Colors, ExponentOctaves, LayerTerm, PlannedOctaves, Recipe
from dream.regions import Box, Ellipse
from dream.render import render
from tests.support.dreaming import small_recipe as recipe
from tests.support.tiny_network import noise_image, tiny_network, tiny_weights


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


def the_dream(network: Any, image: np.ndarray, wanted: Recipe) -> np.ndarray:
    return render([image], wanted, network).images[0]


def test_a_dream_has_the_size_of_its_source_and_differs_from_it(tiny: Any):
    source = noise_image(40, 56)
    kept = source.copy()

    dream = the_dream(tiny, source, recipe())

    assert (dream.shape, dream.dtype) == (source.shape, np.uint8)
    assert np.abs(dream.astype(int) - source).mean() > 2
    np.testing.assert_array_equal(source, kept)


@pytest.mark.parametrize("changes", [{"strength": 0.0}, {"steps": 0}, {"steps": 0, "colors": Colors.BALANCED}])
def test_no_strength_or_no_steps_give_the_source_back_to_the_bit(tiny: Any, changes: dict[str, Any]):
    source = noise_image(41, 57)

    rendering = render([source], recipe(**changes), tiny)

    np.testing.assert_array_equal(rendering.images[0], source)
    assert rendering.images[0] is not source
    assert rendering.facts[0]["octave_sizes"] == [[27, 38], [41, 57], [61, 85]]


def test_the_same_call_gives_the_same_bytes(tiny: Any):
    source = noise_image(40, 56)

    assert the_dream(tiny, source, recipe()).tobytes() == the_dream(tiny, source, recipe()).tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"jitter": 0},
        {"reinject_detail": False},
        {"steps": 5},
        {"final_steps": 1},
        {"step_size": 0.03},
        {"value_range": "symmetric"},
        {"normalization": "mean_abs"},
        {"normalization": "laplacian"},
        {"resampling": "bicubic"},
        {"clip": "end"},
        {"colors": "source"},
        {"colors": "balanced"},
        {"strength": 0.5},
        {"max_side": 40},
        {"octaves": PlannedOctaves(smallest_side=16, scale=1.5)},
        {"objective": (LayerTerm(layer="first"),)},
    ],
    ids=str,
)
def test_every_field_of_a_recipe_does_something(tiny: Any, changes: dict[str, Any]):
    source = noise_image(40, 56)
    plain = recipe(step_size=0.1)

    assert the_dream(tiny, source, plain).tobytes() != the_dream(tiny, source, plain.with_changes(**changes)).tobytes()


def test_half_the_strength_is_half_way(tiny: Any):
    source = noise_image(40, 56)
    whole = the_dream(tiny, source, recipe(clip=Clip.STEP)).astype(float)

    half = the_dream(tiny, source, recipe(clip=Clip.STEP, strength=0.5)).astype(float)

    # Resampling overshoots past the range between octaves, so compare where the whole dream is not at its limits.
    inside = (whole > 2) & (whole < 253)
    assert np.abs(half - (whole + source) / 2)[inside].max() <= 1


def test_a_symmetric_step_is_half_a_unit_step(tiny: Any):
    source = noise_image(40, 56)

    symmetric = the_dream(tiny, source, recipe(value_range="symmetric", step_size=0.04))

    assert symmetric.tobytes() == the_dream(tiny, source, recipe(value_range="unit", step_size=0.02)).tobytes()


def test_a_picture_does_not_depend_on_the_others(tiny: Any):
    sources = [noise_image(40, 56), noise_image(31, 64, seed=1), noise_image(40, 56, seed=2)]

    together = render(sources, recipe(), tiny)

    for source, dream in zip(sources, together.images, strict=True):
        assert the_dream(tiny, source, recipe()).tobytes() == dream.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 5), (8, 8), (9, 200)])
@pytest.mark.parametrize(
    "octaves",
    [
        ExponentOctaves(exponents=(-2, -1, 0, 1, 2)),
        PlannedOctaves(smallest_side=16, scale=1.4, working_side=64, max_upscale=2),
    ],
    ids=["exponents", "planned"],
)
def test_tiny_and_thin_pictures_are_dreamt_on_like_any_other(tiny: Any, size: tuple[int, int], octaves: Any):
    source = noise_image(*size)

    dream = the_dream(tiny, source, recipe(octaves=octaves, normalization="laplacian", jitter=64))

    assert dream.shape == source.shape
    assert (dream != source).any()


@pytest.mark.parametrize(
    ("half", "moves", "stays"), [("top", slice(2, 4), slice(0, 2)), ("bottom", slice(2), slice(2, 4))]
)
def test_a_mask_on_a_picture_too_small_for_the_network_is_that_of_the_picture(
    tiny: Any, half: str, moves: slice, stays: slice
):
    source = noise_image(4, 48)
    mask = Box(**{half: 0.5})

    dream = the_dream(tiny, source, recipe(mask=mask))

    np.testing.assert_array_equal(dream[stays], source[stays])
    assert np.abs(dream[moves].astype(int) - source[moves]).mean() > 1


def test_the_colours_of_a_picture_too_small_for_the_network_are_its_own(tiny: Any):
    source = noise_image(5, 48)

    dream = the_dream(tiny, source, recipe(colors=Colors.HISTOGRAM))

    np.testing.assert_array_equal(np.sort(dream.reshape(-1, 3), axis=0), np.sort(source.reshape(-1, 3), axis=0))
    assert (dream != source).any()


def test_a_picture_beyond_the_largest_side_keeps_its_own_detail(tiny: Any):
    source = noise_image(80, 120)
    source[::2] = source[::2] // 2

    dream = the_dream(tiny, source, recipe(max_side=60, step_size=0.005))

    rows = dream.astype(float).mean(axis=(1, 2))
    assert np.abs(np.diff(rows)).mean() > 0.8 * np.abs(np.diff(source.astype(float).mean(axis=(1, 2)))).mean()


def test_detail_that_small_octaves_cannot_hold_is_given_back_only_if_asked_for(tiny: Any):
    source = noise_image(64, 64)
    source[:, ::2] //= 2
    still = recipe(step_size=1e-6, octaves=ExponentOctaves(scale=1.5, exponents=(-3, -2, -1, 0)))

    given_back = the_dream(tiny, source, still).astype(int)
    lost = the_dream(tiny, source, still.with_changes(reinject_detail=False)).astype(int)

    assert np.abs(given_back - source).max() <= 1
    assert np.abs(lost - source).mean() > 20


def test_the_same_octave_twice_leaves_the_source_alone(tiny: Any):
    source = noise_image(40, 56)
    kept = source.copy()

    dream = the_dream(tiny, source, recipe(octaves=ExponentOctaves(exponents=(0, 0)), steps=0, final_steps=3))

    np.testing.assert_array_equal(source, kept)
    assert (dream != source).any()


def test_the_facts_are_json_and_say_what_was_done(tiny: Any):
    rendering = render([noise_image(40, 56)], recipe(), tiny)

    facts = json.loads(json.dumps(rendering.facts[0], allow_nan=False))
    assert facts == rendering.facts[0]
    assert facts["octave_sizes"] == [[26, 37], [40, 56], [60, 84]]
    assert facts["octave_steps"] == [4, 4, 4]
    assert facts["engine_version"] == ENGINE_VERSION
    assert facts["seed"] == 3
    assert len(facts["jitter_sha256"]) == 64
    assert [len(values) for values in facts["objective_values"]] == [2, 2, 2]
    assert facts["objective"] == recipe().to_json()["objective"]
    assert set(facts["versions"]) == {"python", "tensorflow", "keras", "numpy", "dream"}
    assert (facts["dtype"], facts["deterministic"], facts["tensor_float_32"]) == ("float32", True, False)
    assert facts["seconds"] >= 0
    assert facts["device"]
    assert facts["cpu"]


def test_progress_never_goes_back_and_ends_at_one(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    told: list[float] = []

    render([noise_image(40, 56), noise_image(20, 20)], recipe(), tiny, on_progress=told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len({fraction for fraction in told if fraction > 0}) == 12 + 12


def test_steps_count_by_their_pixels(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    told: list[float] = []

    render([noise_image(40, 56)], recipe(), tiny, on_progress=told.append)

    # Four steps on each of 26 x 37, 40 x 56 and 60 x 84 pixels.
    total = 4 * (26 * 37 + 40 * 56 + 60 * 84)
    steps = sorted({fraction for fraction in told if fraction > 0})
    assert steps[0] == pytest.approx(26 * 37 / total)
    assert steps[-1] - steps[-2] == pytest.approx(60 * 84 / total)


def test_a_caller_can_stop_a_dream(tiny: Any):
    class Enough(Exception):
        pass

    def stop(_fraction: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        render([noise_image(40, 56)], recipe(), tiny, on_progress=stop)


def test_what_cannot_be_dreamt_on_is_refused_before_any_work(tiny: Any):
    told: list[float] = []
    with pytest.raises(ImageUnusable):
        render([noise_image(40, 56), np.zeros((4, 4), np.uint8)], recipe(), tiny, on_progress=told.append)
    with pytest.raises(UnknownName, match="mixed3"):
        render([noise_image(40, 56)], recipe(objective=(LayerTerm(layer="mixed3"),)), tiny, on_progress=told.append)

    assert told == []


def test_no_pictures_are_no_work(tiny: Any):
    assert render([], recipe(), tiny).images == ()


def test_a_dead_objective_is_an_error_and_never_a_black_picture():
    weights = tiny_weights()
    weights[1] = np.full(6, -1000, np.float32)

    with pytest.raises(DeadObjective):
        render([noise_image(40, 56)], recipe(objective=(LayerTerm(layer="first_relu"),)), tiny_network(weights))


@pytest.mark.parametrize("network", ["efficientnet_lite0", "inception_v3"])
@pytest.mark.parametrize("name", preset_names())
def test_the_objective_rises_in_every_octave_of_every_look(tiny: Any, name: str, network: str):
    look = preset(name, network)
    layers = ["first", "first_relu", "second"]
    objective = tuple(
        LayerTerm(
            layer=layers[index % 3], channels=term.channels and (1,), reduction=term.reduction, weight=term.weight
        )
        for index, term in enumerate(look.objective)
    )
    # Rolled about, the first and the last step would see different pictures.
    plain = look.with_changes(objective=objective, steps=6, final_steps=6, jitter=0)

    (facts,) = render([noise_image(48, 64)], plain, tiny).facts

    assert facts["objective_values"]
    assert all(last > first for first, last in facts["objective_values"])


def test_a_mask_that_leaves_nothing_is_an_error_and_never_the_source_again(tiny: Any):
    speck = Ellipse(height=0.012, width=0.012)

    with pytest.raises(RecipeError, match="leaves nothing of a picture of 48 x 48 pixels"):
        render([noise_image(48, 48)], recipe(mask=speck), tiny)

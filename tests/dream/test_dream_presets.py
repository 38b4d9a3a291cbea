from __future__ import annotations

import pytest

from dream.errors import RecipeError, UnknownName
from dream.presets import DEFAULT_PRESET, describe, preset, preset_names
from dream.recipes import Clip, ExponentOctaves, Normalization, Optimizer, Recipe, Reduction, Start, ValueRange

NETWORKS = ("efficientnet_lite0", "inception_v3")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", preset_names())
def test_every_look_is_defined_for_every_network_and_is_plain_data(name: str, network: str):
    recipe = preset(name, network)

    assert Recipe.from_json(recipe.to_json()) == recipe
    assert describe(name).endswith(".")


def test_no_two_looks_are_the_same():
    digests = {preset(name, network).digest() for name in preset_names() for network in NETWORKS}

    assert len(digests) == len(preset_names()) * len(NETWORKS)
    assert preset_names()[0] == DEFAULT_PRESET


def test_the_published_single_channel_look_has_the_published_numbers():
    recipe = preset("paper-single", "inception_v3")

    (term,) = recipe.objective
    assert (term.layer, term.channels, term.reduction, term.weight) == ("conv2d_85", (13,), Reduction.MEAN, 1.0)
    assert (recipe.steps, recipe.step_size, recipe.value_range) == (200, 0.01, ValueRange.SYMMETRIC)
    assert recipe.octaves == ExponentOctaves(scale=1.30, exponents=(0,))


@pytest.mark.parametrize(
    ("name", "steps", "exponents"), [("paper-multi", 100, (0,)), ("paper-octave", 50, (-2, -1, 0, 1, 2))]
)
def test_the_published_many_channel_looks_have_the_published_numbers(name: str, steps: int, exponents: tuple[int, ...]):
    recipe = preset(name, "inception_v3")

    assert [(term.layer, term.channels, term.reduction, term.weight) for term in recipe.objective] == [
        ("mixed3", None, Reduction.MEAN, 1.0),
        ("mixed5", None, Reduction.MEAN, 1.0),
    ]
    assert (recipe.steps, recipe.step_size, recipe.value_range) == (steps, 0.01, ValueRange.SYMMETRIC)
    assert recipe.octaves == ExponentOctaves(scale=1.30, exponents=exponents)


def test_the_published_noise_look_is_the_single_channel_one_from_noise_in_half_the_steps():
    noise, single = preset("paper-noise", "inception_v3"), preset("paper-single", "inception_v3")

    assert (noise.start, noise.steps, noise.final_steps) == (Start.NOISE, 100, None)
    assert noise.with_changes(start=Start.IMAGE, steps=200) == single


def test_the_keras_example_has_its_published_numbers():
    recipe = preset("keras", "inception_v3")

    assert [(term.layer, term.weight, term.border, term.reduction) for term in recipe.objective] == [
        ("mixed4", 1.0, 2, Reduction.MEAN_SQUARE),
        ("mixed5", 1.5, 2, Reduction.MEAN_SQUARE),
        ("mixed6", 2.0, 2, Reduction.MEAN_SQUARE),
        ("mixed7", 2.5, 2, Reduction.MEAN_SQUARE),
    ]
    # Three octaves of 1.4, the last of the picture's own size; 20 steps of 0.01 on pixels from -1 to 1.
    assert recipe.octaves == ExponentOctaves(scale=1.4, exponents=(-2, -1, 0))
    assert (recipe.steps, recipe.final_steps, recipe.step_size) == (20, None, 0.01)
    assert (recipe.value_range, recipe.normalization) == (ValueRange.SYMMETRIC, Normalization.MEAN_ABS)
    assert (recipe.jitter, recipe.reinject_detail, recipe.clip) == (0, 1.0, Clip.END)


def test_the_first_published_dream_has_its_numbers():
    recipe = preset("caffe", "inception_v3")

    ((term,), octaves) = recipe.objective, recipe.octaves
    assert (term.channels, term.reduction, term.border) == (None, Reduction.MEAN_SQUARE, 0)
    # Four octaves of 1.4, ten steps of 1.5 levels of 255, a roll of up to 32 pixels each way.
    assert octaves == ExponentOctaves(scale=1.4, exponents=(-3, -2, -1, 0))
    assert (recipe.steps, recipe.final_steps) == (10, None)
    assert recipe.step_size * 255 == pytest.approx(1.5)
    assert (recipe.value_range, recipe.normalization) == (ValueRange.UNIT, Normalization.MEAN_ABS)
    assert (recipe.jitter, recipe.reinject_detail, recipe.clip) == (32, 1.0, Clip.STEP)


def test_the_laplacian_dream_of_tensorflow_1_has_its_published_numbers():
    recipe = preset("tf1-laplacian", "inception_v3")

    (term,) = recipe.objective
    assert (term.channels, term.reduction) == ((139,), Reduction.MEAN)
    # Three octaves of 1.4 upwards from the picture, ten steps of one level of 255, a roll by 0 to 511 pixels, which
    # around the edges is one by -256 to 255.
    assert recipe.octaves == ExponentOctaves(scale=1.4, exponents=(0, 1, 2))
    assert (recipe.steps, recipe.final_steps) == (10, None)
    assert recipe.step_size * 255 == pytest.approx(1.0)
    assert (recipe.value_range, recipe.normalization) == (ValueRange.UNIT, Normalization.LAPLACIAN)
    assert (recipe.jitter, recipe.reinject_detail, recipe.clip) == (256, 0.0, Clip.END)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["paper-noise", "paper-single", "paper-multi", "paper-octave", "keras", "caffe"])
def test_the_published_looks_smooth_nothing_and_step_plainly(name: str, network: str):
    recipe = preset(name, network)

    assert (recipe.optimizer, recipe.blur, recipe.total_variation, recipe.mask) == (Optimizer.STEP, 0.0, 0.0, None)
    assert (recipe.strength, recipe.seed, recipe.colors, recipe.max_side) == (1.0, 0, "free", None)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["paper-noise", "paper-single", "paper-multi", "paper-octave"])
def test_the_published_looks_use_nothing_that_was_not_published(name: str, network: str):
    recipe = preset(name, network)

    assert (recipe.normalization, recipe.clip) == (Normalization.STD, Clip.STEP)
    assert (recipe.jitter, recipe.reinject_detail, recipe.strength) == (0, False, 1.0)


def test_a_mistyped_look_gets_the_nearest_names():
    with pytest.raises(UnknownName) as no_look:
        preset("menagery", "efficientnet_lite0")

    assert no_look.value.nearest[0] == "menagerie"


def test_a_look_for_another_network_says_which_there_are_and_the_way_out():
    with pytest.raises(RecipeError, match=r"efficientnet_lite0 and inception_v3, not for mine.*layers of mine"):
        preset("menagerie", "mine")


def test_the_network_with_its_classifier_has_the_looks_of_the_one_without():
    assert preset("menagerie", "inception_v3_top") == preset("menagerie", "inception_v3")

from __future__ import annotations

import pytest

from dream.errors import RecipeError, UnknownName
from dream.presets import DEFAULT_PRESET, describe, preset, preset_names
from dream.recipes import Clip, ExponentOctaves, Normalization, Recipe, Reduction, ValueRange

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


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["paper-single", "paper-multi", "paper-octave"])
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

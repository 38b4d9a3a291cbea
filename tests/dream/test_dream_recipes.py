from __future__ import annotations

import hashlib
import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.errors import RecipeError, UnknownName
from dream.recipes import (
    Clip,
    Colors,
    ExponentOctaves,
    LayerTerm,
    NeuronTerm,
    Normalization,
    Optimizer,
    Pick,
    PlannedOctaves,
    Recipe,
    Reduction,
    Resampling,
    Start,
    ValueRange,
)
from dream.regions import Box, Ellipse, MaskPicture
from dream.terms import ChannelPick, ClassTerm, GuideTerm, Match, Measure

floats = st.floats(1e-6, 100, allow_nan=False)
terms = st.builds(
    LayerTerm,
    layer=st.text("abcmixed_0123456789é", min_size=1, max_size=12),
    channels=st.none() | st.lists(st.integers(0, 2000), min_size=1, max_size=5, unique=True).map(tuple),
    reduction=st.sampled_from(Reduction),
    weight=floats | floats.map(lambda number: -number),
)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
fractions = st.floats(0, 1)
regions = (
    st.builds(Box, top=st.floats(0, 0.4), left=st.floats(0, 0.4), bottom=st.floats(0.5, 1), right=st.floats(0.5, 1))
    | st.builds(Ellipse, row=fractions, column=fractions, height=st.floats(0.1, 2), feather=fractions)
    | st.builds(MaskPicture, picture=digests)
)
picks = st.builds(ChannelPick, pick=st.sampled_from(Pick), count=st.integers(1, 9))
other_terms = (
    st.builds(LayerTerm, layer=st.just("a"), channels=picks, border=st.integers(0, 9), region=st.none() | regions)
    | st.builds(NeuronTerm, layer=st.just("b"), channel=st.integers(0, 99), row=fractions, column=fractions)
    | st.builds(ClassTerm, index=st.integers(0, 999), measure=st.sampled_from(Measure), weight=floats)
    | st.builds(GuideTerm, layer=st.just("c"), picture=digests, match=st.sampled_from(Match))
)
octaves = st.builds(
    ExponentOctaves,
    scale=st.floats(1.01, 4),
    exponents=st.lists(st.integers(-16, 4), min_size=1, max_size=6).map(tuple),
) | st.builds(
    PlannedOctaves,
    smallest_side=st.integers(16, 512),
    scale=st.floats(1.01, 4),
    working_side=st.integers(1, 1024),
    max_upscale=st.floats(1, 8),
)
recipes = st.builds(
    Recipe,
    objective=st.lists(st.one_of(terms, other_terms), min_size=1, max_size=3).map(tuple),
    octaves=octaves,
    steps=st.integers(0, 100),
    final_steps=st.none() | st.integers(0, 100),
    step_size=floats,
    value_range=st.sampled_from(ValueRange),
    normalization=st.sampled_from(Normalization),
    jitter=st.integers(0, 128),
    reinject_detail=st.booleans() | st.floats(0, 1),
    resampling=st.sampled_from(Resampling),
    clip=st.sampled_from(Clip),
    colors=st.sampled_from(Colors),
    optimizer=st.sampled_from(Optimizer),
    start=st.sampled_from(Start),
    momentum=st.floats(0, 0.99),
    blur=st.floats(0, 16),
    total_variation=st.floats(0, 10),
    mask=st.none() | regions,
    tile_side=st.integers(1, 64).map(lambda count: 32 * count),
    tile_overlap=st.integers(0, 32),
    strength=st.floats(0, 1),
    seed=st.integers(0, 2**63 - 1),
    max_side=st.none() | st.integers(16, 4096),
)


def a_recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "objective": (LayerTerm(layer="mixed3"), LayerTerm(layer="mixed5", channels=(1, 2), weight=2)),
        "octaves": ExponentOctaves(),
        "steps": 10,
        "step_size": 0.01,
    }
    return Recipe(**(values | changes))


@given(recipes)
def test_a_recipe_comes_back_equal_from_its_json_text(recipe: Recipe):
    text = json.dumps(recipe.to_json())

    back = Recipe.from_json(json.loads(text))

    assert back == recipe
    assert back.digest() == recipe.digest()


def test_the_digest_is_the_sha256_of_sorted_json_without_spaces():
    recipe = a_recipe()

    by_hand = json.dumps(recipe.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert recipe.digest() == hashlib.sha256(by_hand.encode()).hexdigest()


def test_key_order_and_number_spelling_do_not_change_the_digest():
    data = a_recipe().to_json()
    data["strength"] = 1
    shuffled = dict(reversed(data.items()))
    shuffled["octaves"] = dict(reversed(data["octaves"].items()))

    assert Recipe.from_json(shuffled).digest() == a_recipe().digest()


OTHER_VALUES: dict[str, Any] = {
    "objective": (LayerTerm(layer="mixed3"),),
    "octaves": ExponentOctaves(scale=1.4),
    "steps": 11,
    "step_size": 0.02,
    "final_steps": 3,
    "value_range": "symmetric",
    "normalization": "laplacian",
    "jitter": 1,
    "reinject_detail": True,
    "resampling": "lanczos3",
    "clip": "end",
    "colors": "source",
    "strength": 0.5,
    "seed": 1,
    "max_side": 512,
    "start": "noise",
    "optimizer": "adam",
    "momentum": 0.5,
    "blur": 1.5,
    "total_variation": 0.1,
    "mask": Ellipse(),
    "tile_side": 512,
    "tile_overlap": 32,
}


def test_a_recipe_of_the_first_version_reads_as_the_same_dream():
    old = a_recipe().to_json()
    for name in ("optimizer", "momentum", "blur", "total_variation", "mask", "tile_side", "tile_overlap"):
        del old[name]
    old["objective"] = [
        {name: value for name, value in term.items() if name not in {"kind", "border", "region"}}
        for term in old["objective"]
    ]

    assert Recipe.from_json(old | {"version": 1}) == a_recipe()


@pytest.mark.parametrize("field", [field.name for field in fields(Recipe) if field.name != "version"])
def test_each_field_changes_the_digest(field: str):
    assert a_recipe(**{field: OTHER_VALUES[field]}).digest() != a_recipe().digest()


def test_the_order_of_the_terms_is_part_of_the_recipe_and_weights_of_any_kind_of_number_are_one():
    assert a_recipe(objective=(LayerTerm(layer="a", weight=2),)) == a_recipe(
        objective=(LayerTerm(layer="a", weight=2.0),)
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": ()}, ["objective", "1 to 64"]),
        ({"steps": -1}, ["steps", "-1"]),
        ({"steps": 1.5}, ["steps", "whole number"]),
        ({"steps": True}, ["steps", "whole number"]),
        ({"step_size": 0}, ["step_size", "more than 0"]),
        ({"step_size": float("nan")}, ["step_size", "number"]),
        ({"step_size": 10**400}, ["step_size", "number"]),
        ({"strength": 1.01}, ["strength", "1 or less"]),
        ({"normalization": "adam"}, ["normalization", "std", "laplacian"]),
        ({"colors": "warm"}, ["colors", "balanced"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"max_side": 4}, ["max_side", "4"]),
        ({"reinject_detail": "some"}, ["reinject_detail"]),
        ({"octaves": "five"}, ["octaves"]),
        ({"version": 3}, ["version 3", "upgrade"]),
        ({"start": "fog"}, ["start", "noise", "image"]),
        ({"optimizer": "sgd"}, ["optimizer", "momentum", "adam"]),
        ({"momentum": 1.0}, ["momentum", "0.999"]),
        ({"blur": -1}, ["blur", "0 or more"]),
        ({"blur": 17}, ["blur", "16"]),
        ({"total_variation": float("inf")}, ["total_variation"]),
        ({"mask": "all"}, ["mask", "ellipse"]),
        ({"tile_side": 100}, ["tile_side", "multiple of 32"]),
        ({"tile_overlap": 2000}, ["tile_overlap", "1024"]),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_words(changes: dict[str, Any], words: list[str]):
    with pytest.raises(RecipeError) as caught:
        a_recipe(**changes)

    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LayerTerm(layer=""),
        lambda: LayerTerm(layer="a", weight=0),
        lambda: LayerTerm(layer="a", channels=()),
        lambda: LayerTerm(layer="a", channels=(1, 1)),
        lambda: LayerTerm(layer="a", channels=(-1,)),
        lambda: LayerTerm(layer="a", channels="12"),  # type: ignore[arg-type]  # what is refused
        lambda: ExponentOctaves(scale=1.0),
        lambda: ExponentOctaves(exponents=()),
        lambda: PlannedOctaves(smallest_side=4, scale=1.4),
        lambda: PlannedOctaves(smallest_side=64, scale=1.4, max_upscale=0.5),
        lambda: PlannedOctaves(smallest_side=64, scale=1.4, most=0),
    ],
)
def test_a_part_that_cannot_be_is_refused(make: Any):
    with pytest.raises(RecipeError):
        make()


@pytest.mark.parametrize(
    ("change", "nearest"),
    [
        (lambda data: data.update(step_sise=1), "step_size"),
        (lambda data: data["objective"][0].update(chanels=[1]), "channels"),
        (lambda data: data["octaves"].update(scales=1), "scale"),
        (lambda data: data["octaves"].update(kind="exponent"), "exponents"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_names(change: Any, nearest: str):
    data = a_recipe().to_json()
    change(data)

    with pytest.raises(UnknownName) as caught:
        Recipe.from_json(data)

    assert nearest in caught.value.nearest


@pytest.mark.parametrize("missing", ["objective", "octaves", "steps", "step_size"])
def test_a_missing_field_is_named(missing: str):
    data = a_recipe().to_json()
    del data[missing]

    with pytest.raises(RecipeError, match=missing):
        Recipe.from_json(data)


@pytest.mark.parametrize("junk", [[], "x", {"objective": 3, "octaves": {}, "steps": 1, "step_size": 1}])
def test_json_of_another_shape_is_refused(junk: Any):
    with pytest.raises(RecipeError):
        Recipe.from_json(junk)


def test_changes_make_a_new_checked_recipe_and_leave_the_old_one():
    recipe = a_recipe()

    assert recipe.with_changes(steps=3).steps == 3
    assert recipe.steps == 10
    with pytest.raises(UnknownName, match="strength"):
        recipe.with_changes(strenght=0.5)
    with pytest.raises(RecipeError):
        recipe.with_changes(strength=7)
    with pytest.raises(FrozenInstanceError):
        recipe.steps = 4  # type: ignore[misc]  # what is refused

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from dream.errors import RecipeError, UnknownName
from dream.recipes import ExponentOctaves, PlannedOctaves, Recipe
from dream.regions import Box, Ellipse, MaskPicture
from dream.terms import (
    ChannelPick,
    ClassTerm,
    GuideTerm,
    LayerTerm,
    Match,
    Measure,
    NeuronTerm,
    Objective,
    Reduction,
    channel,
    class_,
    guide,
    layer,
    neuron,
    objective_text,
    term_from_json,
    term_to_json,
)

SHA = "ab" * 32
OTHER_SHA = "cd" * 32


def recipe_of(objective: Any, **changes: Any) -> Recipe:
    return Recipe(**({"objective": objective, "octaves": ExponentOctaves(), "steps": 10, "step_size": 0.01} | changes))


def test_objectives_add_up_to_all_their_terms_in_order():
    made = layer("a") + 2 * channel("b", 3, 5) + neuron("c", 7, row=0.25) + class_("tiger") + guide("d", SHA)

    assert made.terms == (
        LayerTerm(layer="a", channels=None, reduction=Reduction.MEAN_SQUARE, weight=1.0),
        LayerTerm(layer="b", channels=(3, 5), reduction=Reduction.MEAN, weight=2.0),
        NeuronTerm(layer="c", channel=7, row=0.25, column=0.5),
        ClassTerm(index=292, measure=Measure.LOGIT),
        GuideTerm(layer="d", picture=SHA, match=Match.DOT),
    )


def test_a_number_times_a_sum_is_the_sum_of_the_products():
    a, b = layer("a", weight=1.5), channel("b", 1, weight=-2.0)

    assert 3 * (a + b) == 3 * a + 3 * b
    assert (a + b) * 3 == 3 * (a + b)
    assert [term.weight for term in (3 * (a + b)).terms] == [4.5, -6.0]


def test_minus_is_plus_minus_one_times():
    a, b = layer("a"), layer("b", weight=2)

    assert a - b == a + -b == a + (-1) * b
    assert [term.weight for term in (a - b).terms] == [1.0, -2.0]
    assert -1 * -a == a


def test_addition_is_associative_and_keeps_the_order():
    a, b, c = layer("a"), layer("b"), layer("c")

    assert (a + b) + c == a + (b + c)
    assert a + b != b + a


def test_operations_leave_what_they_are_given_as_it_was():
    a, b = layer("a"), channel("b", 1)
    before = copy.deepcopy((a, b))

    _ = 2 * a + b * -3 - a

    assert (a, b) == before
    with pytest.raises(FrozenInstanceError):
        a.terms[0].weight = 2.0  # type: ignore[misc]  # what is refused
    with pytest.raises(FrozenInstanceError):
        a.terms = ()  # type: ignore[misc]  # what is refused


@pytest.mark.parametrize("factor", [0, float("nan"), float("inf"), "2", None, True, 10**400])
def test_a_factor_that_makes_no_objective_is_refused_at_once(factor: Any):
    with pytest.raises(RecipeError, match="objective"):
        _ = layer("a") * factor


def test_a_weight_that_leaves_the_numbers_is_refused_at_once():
    with pytest.raises(RecipeError, match=r"objective\.weight"):
        _ = 1e300 * (1e300 * layer("a"))


@pytest.mark.parametrize("other", [1, "layer", None, LayerTerm(layer="a")])
def test_only_objectives_add_to_an_objective(other: Any):
    with pytest.raises(TypeError):
        _ = layer("a") + other
    with pytest.raises(TypeError):
        _ = layer("a") - other


def test_an_objective_of_something_else_than_terms_is_refused():
    with pytest.raises(RecipeError, match="made of terms"):
        Objective(("mixed3",))  # type: ignore[arg-type]  # what is refused


def test_a_recipe_takes_an_objective_or_its_terms_alike():
    made = layer("a") + channel("b", 1)

    assert recipe_of(made) == recipe_of(made.terms) == recipe_of(list(made.terms))


@pytest.mark.parametrize(
    "objective", [Objective(), LayerTerm(layer="a"), 5, None, "mixed3", [1], layer("a").terms * 65]
)
def test_a_recipe_without_a_list_of_terms_is_refused(objective: Any):
    with pytest.raises(RecipeError, match="objective"):
        recipe_of(objective)


EVERY_TERM: list[tuple[Any, dict[str, Any]]] = [
    (
        LayerTerm(layer="a"),
        {
            "layer": "b",
            "channels": (1,),
            "reduction": Reduction.MEAN,
            "weight": 2.0,
            "border": 1,
            "region": Box(top=0.5),
        },
    ),
    (NeuronTerm(layer="a", channel=1), {"layer": "b", "channel": 2, "row": 0.1, "column": 0.1, "weight": -1.0}),
    (ClassTerm(index=1), {"index": 2, "measure": Measure.PROBABILITY, "weight": 0.5}),
    (GuideTerm(layer="a", picture=SHA), {"layer": "b", "picture": OTHER_SHA, "match": Match.CHANNELS, "weight": 3.0}),
    (ChannelPick(pick="random"), {"pick": "weakest", "count": 2}),
    (Box(), {"top": 0.1, "left": 0.1, "bottom": 0.9, "right": 0.9}),
    (Ellipse(), {"row": 0.4, "column": 0.4, "height": 0.5, "width": 0.5, "feather": 0.0}),
    (MaskPicture(picture=SHA), {"picture": OTHER_SHA}),
    (ExponentOctaves(), {"scale": 1.4, "exponents": (0,)}),
    (
        PlannedOctaves(smallest_side=64, scale=1.3),
        {"smallest_side": 65, "scale": 1.4, "working_side": 200, "max_upscale": 2.0, "most": 3},
    ),
]


def recipe_with(part: Any) -> Recipe:
    match part:
        case ChannelPick():
            return recipe_of(layer("a", channels=part))
        case ExponentOctaves() | PlannedOctaves():
            return recipe_of(layer("a"), octaves=part)
        case Box() | Ellipse() | MaskPicture():
            return recipe_of(layer("a", region=part))
    return recipe_of((part,))


@pytest.mark.parametrize(("part", "others"), EVERY_TERM, ids=lambda part: type(part).__name__)
def test_every_field_of_every_part_changes_the_digest(part: Any, others: dict[str, Any]):
    assert set(others) == {field.name for field in fields(part)}
    before = recipe_with(part).digest()

    after = {recipe_with(replace(part, **{name: value})).digest() for name, value in others.items()}

    assert before not in after
    assert len(after) == len(others)


@pytest.mark.parametrize("part", [part for part, _ in EVERY_TERM], ids=lambda part: type(part).__name__)
def test_every_part_comes_back_equal_from_json(part: Any):
    recipe = recipe_with(part)

    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_kinds_of_terms_and_regions_have_digests_of_their_own():
    parts = [part for part, _ in EVERY_TERM if not isinstance(part, ExponentOctaves | PlannedOctaves)]

    digests = {recipe_with(part).digest() for part in parts}
    masks = {
        recipe_of(layer("a"), mask=part).digest() for part in parts if isinstance(part, Box | Ellipse | MaskPicture)
    }

    assert len(digests) == len(parts)
    assert len(masks) == 3
    assert not digests & masks


def test_numbers_of_any_spelling_are_one_recipe():
    whole = recipe_of(layer("a", weight=2, region=Ellipse(row=0, height=1)), strength=1, blur=0)
    dotted = recipe_of(layer("a", weight=2.0, region=Ellipse(row=-0.0, height=1.0)), strength=1.0, blur=-0.0)

    assert whole == dotted
    assert whole.digest() == dotted.digest()


@pytest.mark.parametrize("version", [2.0, True, "2", None, 0, -1])
def test_a_version_that_is_no_whole_number_from_one_is_refused(version: Any):
    with pytest.raises(RecipeError, match="version"):
        recipe_of(layer("a"), version=version)
    with pytest.raises(RecipeError, match="version"):
        Recipe.from_json(recipe_of(layer("a")).to_json() | {"version": version})


def test_a_newer_version_is_refused_with_the_way_out():
    with pytest.raises(RecipeError, match=r"version 3 .*expected 2; upgrade dreamcrawl"):
        Recipe.from_json(recipe_of(layer("a")).to_json() | {"version": 3})


@pytest.mark.parametrize(
    "more",
    [
        {"sharpening": 0.5},
        {"objective": [{"kind": "text", "words": "a tiger"}]},
        {"octaves": {"kind": "golden"}},
        {"colors": "sepia"},
        {"steps": "many"},
    ],
)
def test_what_else_a_newer_version_has_does_not_hide_that_it_is_newer(more: dict[str, Any]):
    with pytest.raises(RecipeError, match="version 3 is not known here, expected 2; upgrade dreamcrawl"):
        Recipe.from_json(recipe_of(layer("a")).to_json() | {"version": 3} | more)


def test_a_file_of_the_first_version_reads_as_it_was_written():
    by_hand = {
        "version": 1,
        "objective": [{"layer": "mixed4", "channels": [3], "reduction": "mean", "weight": 1}],
        "octaves": {"kind": "planned", "smallest_side": 128, "scale": 1.4, "working_side": 384, "max_upscale": 2},
        "steps": 20,
        "final_steps": 10,
        "step_size": 0.007,
        "value_range": "unit",
        "normalization": "laplacian",
        "jitter": 64,
        "reinject_detail": True,
        "resampling": "bicubic",
        "clip": "octave",
        "colors": "balanced",
        "strength": 0.8,
        "seed": 7,
        "max_side": None,
        "start": "image",
    }

    found = Recipe.from_json(by_hand)

    assert found.objective == (LayerTerm(layer="mixed4", channels=(3,), reduction=Reduction.MEAN),)
    assert found.octaves == PlannedOctaves(smallest_side=128, scale=1.4, working_side=384, max_upscale=2.0)
    assert (found.steps, found.final_steps, found.step_size, found.jitter) == (20, 10, 0.007, 64)
    assert (found.strength, found.seed, found.reinject_detail, found.max_side) == (0.8, 7, True, None)
    # What the first version did not have, as it did without it.
    assert (found.optimizer, found.blur, found.total_variation, found.mask) == ("step", 0.0, 0.0, None)
    assert found.to_json()["version"] == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "neuron", "layer": "a"}, ["neuron", "needs channel"]),
        ({"kind": "guide", "layer": "a"}, ["guide", "needs picture"]),
        ({"kind": "class"}, ["class", "needs index"]),
        ({}, ["layer", "needs layer"]),
        ({"kind": "neurone", "layer": "a"}, ["kind of term", "neurone", "'neuron'"]),
        ({"kind": ["layer"]}, ["kind of term", "layer, neuron, class, guide"]),
        ({"kind": "class", "name": "tigre"}, ["ImageNet class", "'tiger'"]),
        ({"kind": "class", "name": 292}, ["objective.name", "292", "index"]),
        ({"kind": "class", "name": "tiger", "index": 3}, ["tiger", "292", "3"]),
        ({"kind": "layer", "layer": 3}, ["objective.layer", "name", "3"]),
        ({"layer": "a", "wieght": 1}, ["wieght", "'weight'"]),
        ({"layer": "a", "channels": {"pick": "best"}}, ["channels.pick", "random", "best"]),
        ({"layer": "a", "channels": {"pick": "random", "count": 0}}, ["channels.count", "0"]),
        ({"layer": "a", "channels": {"count": 2}}, ["channels", "needs pick"]),
        ({"layer": "a", "channels": [[1]]}, ["channels", "whole number"]),
        ({"layer": "a", "channels": [1.0]}, ["channels", "whole number"]),
        ({"layer": "a", "region": {"kind": "circle"}}, ["kind of region", "circle"]),
        ({"layer": "a", "region": {"kind": {}}}, ["kind of region", "box"]),
        ({"layer": "a", "region": {"top": 0.1}}, ["objective.region", "needs kind"]),
        ({"layer": "a", "region": "all"}, ["objective.region", "all"]),
        ({"layer": "a", "border": -1}, ["objective.border", "-1"]),
        ({"layer": "a", "weight": "heavy"}, ["objective.weight", "heavy"]),
        ({"layer": "\ud800"}, ["objective.layer"]),
        (["a"], ["term", "object"]),
    ],
)
def test_a_term_that_cannot_be_is_refused_by_the_name_of_its_field(data: Any, words: list[str]):
    with pytest.raises(RecipeError) as caught:
        term_from_json(data)

    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_which_term_is_wrong_is_said():
    data = recipe_of(layer("a") + layer("b") + layer("c")).to_json()
    data["objective"][1]["weight"] = 0

    with pytest.raises(RecipeError, match=r"term 2 of the objective: objective\.weight"):
        Recipe.from_json(data)

    data["objective"][1] = {"layer": "b", "chanels": [1]}
    with pytest.raises(UnknownName, match="term 2 of the objective") as caught:
        Recipe.from_json(data)
    assert caught.value.nearest == ("channels",)


def test_an_objective_is_told_as_people_write_one():
    made = (
        0.5 * layer("a")
        + channel("b", 3, 5)
        - layer("c", channels=ChannelPick(pick="strongest", count=4), border=2)
        + neuron("d", 7, row=0.25)
        + class_(292, measure=Measure.PROBABILITY)
        + guide("e", SHA)
    )

    assert objective_text(made.terms) == (
        "0.5 * mean_square(a) + mean(b[3, 5]) + -1 * mean_square(c[4 strongest], border 2) + "
        "neuron(d[7] at 0.25, 0.5) + probability(class 292) + dot(e, picture abababab)"
    )


def test_a_class_is_named_as_people_write_it():
    assert term_from_json({"kind": "class", "name": "Great White-Shark"}) == ClassTerm(index=2)
    assert term_to_json(ClassTerm(index=2))["index"] == 2


@pytest.mark.parametrize("digest", ["AB" * 32, "ab" * 31, "zz" * 32, 5, None, "ab" * 32 + "\n"])
def test_a_picture_that_is_no_digest_is_refused(digest: Any):
    with pytest.raises(RecipeError, match="SHA-256"):
        GuideTerm(layer="a", picture=digest)
    with pytest.raises(RecipeError, match="SHA-256"):
        MaskPicture(picture=digest)


def test_a_value_of_any_length_is_refused_in_a_short_line():
    for value in (10**6000, "x" * 100_000, list(range(10_000)), -(10**6000)):
        with pytest.raises(RecipeError) as caught:
            recipe_of(layer("a"), steps=value)
        assert len(str(caught.value)) < 200

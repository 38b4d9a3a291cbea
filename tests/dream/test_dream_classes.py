from __future__ import annotations

import pytest

from dream.classes import class_index, class_name, class_names
from dream.errors import RecipeError, UnknownName
from dream.terms import ClassTerm, Measure, class_


def test_the_classes_are_those_of_imagenet_in_their_order():
    names = class_names()

    # As every network trained on ILSVRC 2012 scores them.
    known = {
        0: "tench",
        1: "goldfish",
        151: "Chihuahua",
        281: "tabby",
        292: "tiger",
        404: "airliner",
        999: "toilet tissue",
    }
    assert len(names) == 1000
    assert {index: names[index] for index in known} == known
    assert all(name == name.strip() and name for name in names)


@pytest.mark.parametrize(
    "spelling", ["great white shark", "Great_White_Shark", "GREAT-WHITE-SHARK", "  great white shark ", "2", 2]
)
def test_a_class_is_found_by_its_index_or_its_name_however_it_is_spelled(spelling: str | int):
    assert class_index(spelling) == 2


def test_every_name_that_stands_once_leads_back_to_its_index():
    names = class_names()

    for index, name in enumerate(names):
        assert class_name(index) == name
        if names.count(name) == 1:
            assert class_index(name) == index


@pytest.mark.parametrize(("name", "index"), [("Cardigan", 264), ("cardigan", 474)])
def test_case_tells_two_names_apart_that_differ_in_nothing_else(name: str, index: int):
    assert class_index(name) == index
    with pytest.raises(RecipeError, match="2 classes"):
        class_index(name.upper())


@pytest.mark.parametrize(("name", "indexes"), [("crane", (134, 517)), ("maillot", (638, 639))])
def test_a_name_that_stands_twice_is_refused_with_both_indexes(name: str, indexes: tuple[int, int]):
    with pytest.raises(RecipeError) as caught:
        class_index(name)

    assert all(str(index) in str(caught.value) for index in indexes)
    assert [class_name(index) for index in indexes] == [name, name]


def test_a_mistyped_name_gets_the_nearest_ones():
    with pytest.raises(UnknownName) as caught:
        class_index("goldfisch")

    assert caught.value.nearest[0] == "goldfish"
    assert "goldfish" in str(caught.value)


@pytest.mark.parametrize("index", [1000, "1000", -1, "9" * 5000])
def test_an_index_that_no_class_has_is_refused_in_a_short_line(index: str | int):
    with pytest.raises(RecipeError) as caught:
        class_index(index)

    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["", "  ", "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_name_is_refused(name: str):
    with pytest.raises(UnknownName):
        class_index(name)


def test_an_objective_of_a_class_takes_its_name():
    assert class_("tiger", weight=2, measure=Measure.PROBABILITY).terms == (
        ClassTerm(index=292, measure=Measure.PROBABILITY, weight=2.0),
    )

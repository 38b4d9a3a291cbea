"""Decisions last, groups stay stars, and the keeper that is proposed is the one that there is a reason for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates import stars
from pipeline.duplicates.search import _turned_about
from pipeline.errors import UsageError
from tests.support.items import add_items, found_near, links, withdraw

IN, HOLDS = "the first is a part of the second", "the second is a part of the first"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(tmp_path / "catalog.sqlite3") as opened:
        yield opened


@pytest.fixture
def uow(catalog: Catalog) -> Iterator[UnitOfWork]:
    with catalog.write() as opened:
        yield opened


def say(uow: UnitOfWork, first: int, second: int, decision: str) -> list[tuple[int, int]]:
    return stars.decide(uow, first, second, decision, by="ada")


def waiting(uow: UnitOfWork) -> list[tuple[int, int]]:
    return [(pair.first_id, pair.second_id) for pair in uow.duplicates.pairs(undecided=True)]


def test_what_was_said_to_be_the_same_moves_along(uow: UnitOfWork) -> None:
    add_items(uow, 4)
    found_near(uow, 1, 2)

    assert say(uow, 3, 4, "same") == []
    assert say(uow, 2, 4, "same") == []

    assert links(uow) == {1: None, 2: 1, 3: 1, 4: 1}
    assert waiting(uow) == []


def test_the_older_one_moves_where_only_that_leaves_all_decisions_true(uow: UnitOfWork) -> None:
    add_items(uow, 4)
    found_near(uow, 1, 2)
    say(uow, 3, 4, "same")
    say(uow, 1, 3, "different")

    assert say(uow, 2, 4, "same") == []

    assert links(uow) == {1: None, 2: 3, 3: None, 4: 3}
    assert waiting(uow) == [(1, 2)]  # found by the machine, and no longer linked


def test_decisions_that_contradict_one_another_are_told_and_listed_until_one_is_changed(uow: UnitOfWork) -> None:
    add_items(uow, 3)
    say(uow, 1, 2, "same")
    say(uow, 1, 3, "different")

    assert say(uow, 2, 3, "same") == [(1, 2)]
    assert links(uow) == {1: None, 2: 3, 3: None}
    assert waiting(uow) == [(1, 2)]

    assert say(uow, 1, 3, "same") == []
    assert waiting(uow) == []
    assert len({representative or item for item, representative in links(uow).items()}) == 1


def test_of_a_star_goes_all_that_is_the_same_as_the_one_that_is_different(uow: UnitOfWork) -> None:
    add_items(uow, 4)
    for member in (2, 3, 4):
        found_near(uow, 1, member)
    say(uow, 2, 3, "same")

    assert say(uow, 3, 1, "different") == []

    assert links(uow) == {1: None, 2: None, 3: 2, 4: 1}


def test_the_one_that_leaves_nobody_behind_moves(uow: UnitOfWork) -> None:
    add_items(uow, 4)
    for member in (3, 4):
        found_near(uow, 2, member)

    assert say(uow, 1, 3, "same") == []

    assert links(uow) == {1: 2, 2: None, 3: 2, 4: 2}
    assert waiting(uow) == []


def test_followers_that_the_new_representative_does_not_know_keep_together(uow: UnitOfWork) -> None:
    add_items(uow, 6)
    found_near(uow, 1, 6)  # whichever moves, somebody is left behind
    for member in (3, 4, 5):
        found_near(uow, 2, member)
    found_near(uow, 4, 5, link=False)
    found_near(uow, 1, 3, link=False)

    say(uow, 1, 2, "same")

    assert links(uow) == {1: None, 2: 1, 3: 1, 4: None, 5: 4, 6: 1}
    assert waiting(uow) == [(2, 4), (2, 5)]


def test_a_merge_undoes_no_decision(uow: UnitOfWork) -> None:
    add_items(uow, 3)
    found_near(uow, 1, 2)
    say(uow, 1, 3, "same")

    assert stars.merge(uow, 1, 2) == []
    assert links(uow) == {1: 2, 2: None, 3: 2}


@pytest.mark.parametrize(
    ("first", "second", "relation", "keeper", "reason"),
    [
        # 15 % more pixels are below the step from which pixels count.
        ({"width": 298, "height": 223}, {}, IN, 2, "the whole, of which i1 is a part"),
        ({}, {"width": 900, "height": 700}, HOLDS, 1, "the whole, of which i2 is a part"),
        ({"format": "GIF"}, {"license_id": None}, "edited", 2, "more colours (a GIF has 256 at most)"),
        ({"format": "GIF"}, {"format": "PNG"}, "edited", 2, "less compressed (compressed without loss)"),
        (
            {"format": "GIF", "width": 640, "height": 480},
            {},
            "edited",
            1,
            "more pixels (640x480; the others",
        ),
        # What was declared and cannot be read is no known licence.
        ({"license_id": "unknown"}, {"license_id": "CC0-1.0"}, "edited", 2, "its licence is known (CC0-1.0)"),
        ({"license_id": "CC-BY-ND-4.0"}, {"license_id": "CC-BY-4.0"}, "edited", 2, "its licence permits adaptations"),
        ({"license_id": None}, {"license_id": "CC-BY-ND-4.0"}, "edited", 2, "its licence is known (CC-BY-ND-4.0)"),
    ],
)
def test_the_keeper_and_the_reason_that_decided(
    uow: UnitOfWork, first: dict[str, Any], second: dict[str, Any], relation: str, keeper: int, reason: str
) -> None:
    add_items(uow, 1, **first)
    add_items(uow, 1, **second)
    found_near(uow, 1, 2, relation=relation)

    proposal = stars.propose(uow, 1)

    assert proposal is not None
    assert proposal.keeper.id == keeper
    assert proposal.reasons[0].startswith(reason)


@pytest.mark.parametrize(
    ("told", "turned"),
    [
        (f"turned clockwise by 90 degrees, {IN}", f"turned counterclockwise by 90 degrees, {HOLDS}"),
        (f"mirrored, {HOLDS}", f"mirrored, {IN}"),
        ("turned counterclockwise by 90 degrees", "turned clockwise by 90 degrees"),
        ("edited", "edited"),
    ],
)
def test_what_one_is_to_the_other_is_told_from_the_lower_id_in_full(told: str, turned: str) -> None:
    assert _turned_about(told) == turned
    assert _turned_about(turned) == told


def test_a_withdrawn_picture_stands_for_no_other_and_hands_nothing_down(uow: UnitOfWork) -> None:
    add_items(uow, 1, title="Secret", license_id="CC0-1.0")
    add_items(uow, 2)
    uow.tags.add(1, "boat")
    uow.ratings.set(1, 5)
    found_near(uow, 1, 2)
    found_near(uow, 1, 3)
    found_near(uow, 2, 3, link=False)
    withdraw(uow, 1)  # as an older version left it

    with pytest.raises(UsageError, match="i1 was withdrawn on 2026-01-01"):
        stars.merge(uow, 1, 1)
    assert uow.duplicates.group_ids() == [1]
    proposal = stars.propose(uow, 1)
    assert proposal is not None
    assert [item.id for item in proposal.items] == [2, 3]
    assert stars.merge_group(uow, proposal) == stars.Merged(2, 1, ())

    assert links(uow) == {1: None, 2: None, 3: 2}
    kept = uow.items.get(2)
    assert (kept.title, kept.license_id) == (None, None)
    assert (uow.tags.of_item(2), uow.ratings.of_item(2)) == ([], None)


def test_many_groups_are_merged_some_at_a_time_and_others_may_write_between(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with catalog.write() as uow:
        for first in (1, 3, 5, 7, 9):
            add_items(uow, 1)
            add_items(uow, 1, format="PNG")
            found_near(uow, first, first + 1)
    monkeypatch.setattr(stars, "MERGED_AT_ONCE", 2)
    progress = []

    def write(done: int, total: int) -> None:
        progress.append((done, total))
        with catalog.write() as uow:
            uow.tags.add(1, f"between {done}")

    merged = stars.merge_all(catalog, on_progress=write)

    assert progress == [(2, 5), (4, 5), (5, 5)]
    assert [(one.instead_of, one.kept) for one in merged] == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]
    with catalog.read() as uow:
        assert [number for number, representative in links(uow).items() if representative is None] == [2, 4, 6, 8, 10]

"""Pairs that wait for a person: which, in which order, and what looking for them costs in a catalog of many copies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog.duplicate_values import NEAR, REVIEW, SAME, SIMILAR, NewPair
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from tests.support.items import add_items, found_near

Pair = tuple[int, int]


def found(uow: UnitOfWork, first_id: int, second_id: int, tier: str) -> None:
    uow.duplicates.record(NewPair(first_id, second_id, tier, "edited", 9, "dct256-v1", {}))


def pages(uow: UnitOfWork, limit: int, **which: Any) -> list[Pair]:
    """All pairs, so many at a time."""
    told: list[Pair] = []
    after = 0
    while some := uow.duplicates.pairs(after_id=after, limit=limit, **which):
        assert len(some) <= limit
        told += [(pair.first_id, pair.second_id) for pair in some]
        after = some[-1].id
    return told


def test_pairs_of_every_kind_come_in_the_order_in_which_they_were_found(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.write() as uow:
        add_items(uow, 16)
        found(uow, 1, 2, REVIEW)
        found_near(uow, 3, 4)
        found_near(uow, 5, 6, link=False)
        found(uow, 7, 8, SIMILAR)
        uow.duplicates.decide(9, 10, SAME, by="ada")  # and not linked, as another decision may have it
        found(uow, 11, 12, REVIEW)
        found_near(uow, 13, 14, link=False)
        uow.duplicates.decide(15, 16, SAME, by="ada")
        uow.duplicates.link(16, 15)

        for limit in range(1, 8):
            assert pages(uow, limit, undecided=True) == [(1, 2), (5, 6), (9, 10), (11, 12), (13, 14)]
            assert pages(uow, limit, undecided=True, tier=NEAR) == [(5, 6), (13, 14)]
            assert pages(uow, limit, undecided=True, tier=SIMILAR) == [(7, 8)]
            assert pages(uow, limit, tier=NEAR) == [(3, 4), (5, 6), (13, 14)]
            assert pages(uow, limit) == [(1, 2), (3, 4), (5, 6), (9, 10), (11, 12), (13, 14), (15, 16)]


@pytest.mark.sqlite(reason="it counts the steps of SQLite's machine")
@pytest.mark.parametrize("tier", [NEAR, SIMILAR])
@pytest.mark.parametrize("undecided", [True, False], ids=["undecided", "all"])
def test_a_page_of_pairs_takes_as_many_steps_beside_many_that_wait_for_nobody(
    tmp_path: Path, tier: str, undecided: bool
) -> None:
    def look(copies: int) -> int:
        with open_catalog(tmp_path / f"{copies}.sqlite3") as catalog:
            with catalog.write() as uow:
                for number in add_items(uow, 6)[::2]:
                    found(uow, number, number + 1, REVIEW)
                star = add_items(uow, copies)
                for first_id, second_id in combinations(star, 2):
                    found(uow, first_id, second_id, tier)
                for item_id in star[1:]:
                    uow.duplicates.link(item_id, star[0])
            with catalog.read() as uow:
                return steps(uow, lambda: uow.duplicates.pairs(undecided=undecided, limit=3))

    few, many = look(3), look(40)  # 3 pairs, and 780

    assert few > 20
    assert many < 1.5 * few


def steps(uow: UnitOfWork, act: Callable[[], object]) -> int:
    """Instructions of SQLite's machine."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection: Any = uow.session.connection().connection.driver_connection
    connection.set_progress_handler(step, 1)
    act()
    connection.set_progress_handler(None, 0)
    return count

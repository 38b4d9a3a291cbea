"""The search among the items of a catalog, the groups and the decisions; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import NewItem
from pipeline.duplicates import stars
from pipeline.duplicates.finding import find_duplicates
from pipeline.duplicates.linking import Searched, search_item
from pipeline.duplicates.search import DuplicateSearch
from pipeline.duplicates.signatures import ALGORITHM, sign
from pipeline.duplicates.tiers import Tier
from pipeline.errors import NotFound, UsageError
from pipeline.images import decode
from pipeline.store import Store
from tests.support.pictures import file_of, scene


@pytest.fixture
def catalog(address: str) -> Iterator[Catalog]:
    with open_catalog(address) as opened:
        yield opened


def photo(seed: int) -> np.ndarray:
    return scene(seed, width=320, height=240)


def smaller(seed: int, width: int = 200) -> np.ndarray:
    return np.asarray(Image.fromarray(photo(seed)).resize((width, width * 3 // 4)))


def add(
    uow: UnitOfWork, rgb: np.ndarray | None, *, searched: bool = True, sha256: str | None = None, **facts: Any
) -> int:
    """An item, signed unless there is no picture."""
    number = len(uow.items.list(limit=None)) + 1
    digest = sha256 or f"{number:064x}"
    uow.blobs.add(digest, size_bytes=1000, media_type="image/png")
    height, width = (240, 320) if rgb is None else rgb.shape[:2]
    values: dict[str, Any] = dict.fromkeys(
        ("title", "creator", "license_id", "license_url", "near_duplicate_of_id", "near_duplicate_distance")
    )
    values |= {"width": width, "height": height, "format": "JPEG", "frames": 1, "first_run_id": None, **facts}
    item_id = uow.items.add(NewItem(blob_sha256=digest, pixel_sha256=f"{number:064x}", **values))
    assert item_id is not None
    if rgb is not None:
        signature = sign(rgb)
        uow.duplicates.sign(
            item_id, algorithm=ALGORITHM, hashes=signature.hashes, views=signature.views, searched=searched
        )
    return item_id


def asked(search: DuplicateSearch, uow: UnitOfWork, rgb: np.ndarray) -> dict[int, Tier]:
    signature = sign(rgb)
    return {match.item_id: match.tier for match in search.matches(uow, signature.hashes, signature.views)}


def links(uow: UnitOfWork) -> dict[int, int | None]:
    return {item.id: item.near_duplicate_of_id for item in uow.items.list(limit=None)}


def test_a_search_finds_what_other_processes_have_added_since(address: str, catalog: Catalog) -> None:
    search = DuplicateSearch()
    with catalog.write() as uow:
        add(uow, photo(1))
        unsigned = add(uow, None)
        assert asked(search, uow, smaller(1)) == {1: Tier.NEAR}
    with open_catalog(address) as other, other.write() as uow:
        add(uow, photo(2))
        late = sign(photo(3))  # an older item is signed after a newer one
        uow.duplicates.sign(unsigned, algorithm=ALGORITHM, hashes=late.hashes, views=late.views, searched=True)

    with catalog.read() as uow:
        assert asked(search, uow, smaller(2)) == {3: Tier.NEAR}
        assert asked(search, uow, np.fliplr(photo(3))) == {unsigned: Tier.REVIEW}
        assert asked(search, uow, photo(4)) == {}
        assert len(search) == 3


def test_items_that_are_gone_are_found_no_more(catalog: Catalog) -> None:
    search = DuplicateSearch()
    with catalog.write() as uow:
        add(uow, photo(1))
        add(uow, smaller(1))
        assert set(asked(search, uow, photo(1))) == {1, 2}
    with catalog.write() as uow:
        uow.duplicates.forget(2)

    with catalog.write() as uow:
        assert set(asked(search, uow, photo(1))) == {1}
        assert len(search) == 1
        add(uow, smaller(1, 240))  # its hash takes no id that was in use
        assert set(asked(search, uow, photo(1))) == {1, 3}


def test_plain_pictures_are_like_no_other(catalog: Catalog) -> None:
    with catalog.write() as uow:
        add(uow, np.full((90, 120, 3), 90, np.uint8))
        assert asked(DuplicateSearch(), uow, np.full((60, 80, 3), 90, np.uint8)) == {}


def _files(store: Store, pictures: list[np.ndarray]) -> list[str]:
    return [store.put(file_of(rgb)) for rgb in pictures]


def test_an_older_catalog_is_signed_and_searched_once(catalog: Catalog, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    pictures = [photo(1), photo(2), smaller(1), np.rot90(photo(2)), photo(3)]
    with catalog.write() as uow:
        for digest, rgb in zip(_files(store, pictures), pictures, strict=True):
            add(uow, None, sha256=digest, width=rgb.shape[1], height=rgb.shape[0])
        add(uow, None, sha256="f" * 64)  # its file is lost
    options: dict[str, Any] = {"near_distance": 80, "sign": lambda data: sign(decode(data).rgb)}

    first = find_duplicates(catalog, store, **options)
    second = find_duplicates(catalog, store, **options)

    assert (first.signed, first.unreadable, first.searched, first.linked) == (5, 1, 5, 1)
    assert (second.signed, second.searched, second.pairs, second.linked) == (0, 0, 0, 0)
    with catalog.read() as uow:
        assert links(uow) == {1: None, 2: None, 3: 1, 4: None, 5: None, 6: None}
        (pair,) = uow.duplicates.pairs(undecided=True)
        near = uow.duplicates.pair(3, 1)
    assert (pair.first_id, pair.second_id, pair.tier) == (2, 4, "review")
    # The second was turned counterclockwise to give the fourth, so that is what the first of the pair needs.
    assert pair.relation == "turned counterclockwise by 90 degrees"
    assert (near.tier, near.relation, near.decision) == ("near", "edited", None)
    assert near.evidence["agreement"] >= 0.9


def _pair_of_stars(catalog: Catalog) -> None:
    """1 with 2 and 3 linked to it; 4 alone; 5 withdrawn from nobody."""
    with catalog.write() as uow:
        for rgb in (photo(1), smaller(1), smaller(1, 240), photo(2), photo(3)):
            add(uow, rgb, searched=False)
        search = DuplicateSearch()
        for item_id in range(1, 6):
            search_item(uow, search, item_id)
        assert links(uow) == {1: None, 2: 1, 3: 1, 4: None, 5: None}


def test_a_decision_links_parts_and_lasts(catalog: Catalog) -> None:
    _pair_of_stars(catalog)
    with catalog.write() as uow:
        stars.decide(uow, 2, 1, "different", by="ada")
        stars.decide(uow, 4, 5, "same", by="ada")
        assert links(uow) == {1: None, 2: None, 3: 1, 4: None, 5: 4}
        # Found again, it is neither linked nor asked again.
        assert search_item(uow, DuplicateSearch(), 2) == Searched(pairs=1)
        assert links(uow)[2] is None
        pair = uow.duplicates.pair(1, 2)
        assert (pair.decision, pair.decided_by, pair.tier) == ("different", "ada", "near")
        assert [(one.first_id, one.second_id) for one in uow.duplicates.pairs(undecided=True)] == [(2, 3)]
        assert {(one.first_id, one.second_id) for one in uow.duplicates.pairs()} == {(1, 2), (1, 3), (2, 3), (4, 5)}

        stars.decide(uow, 1, 2, "same", by="bob")
        assert links(uow)[2] == 1
        assert uow.duplicates.pair(1, 2).decided_by == "bob"


def test_what_is_joined_stays_a_star(catalog: Catalog) -> None:
    _pair_of_stars(catalog)
    with catalog.write() as uow:
        stars.decide(uow, 4, 5, "same", by="ada")
        stars.decide(uow, 2, 4, "same", by="ada")  # 2 stands behind 1, and 5 is the same as 4

        assert links(uow) == {1: None, 2: 1, 3: 1, 4: 1, 5: 1}


def test_of_two_members_of_a_star_the_newer_is_taken_out(catalog: Catalog) -> None:
    _pair_of_stars(catalog)
    with catalog.write() as uow:
        stars.decide(uow, 3, 2, "different", by="ada")

        assert links(uow) == {1: None, 2: 1, 3: None, 4: None, 5: None}


@pytest.mark.parametrize(("other", "error"), [(1, UsageError), (77, NotFound)])
def test_a_decision_needs_two_items_that_exist(catalog: Catalog, other: int, error: type[Exception]) -> None:
    with catalog.write() as uow:
        add(uow, photo(1))
        with pytest.raises(error, match=f"i{other}"):
            stars.decide(uow, 1, other, "same", by="ada")


def test_a_merge_keeps_what_was_known_and_deletes_nothing(catalog: Catalog) -> None:
    with catalog.write() as uow:
        search = DuplicateSearch()
        facts = [{"title": "Mill", "license_id": "CC0-1.0", "license_url": "https://x"}, {"creator": "Ada"}, {}]
        for rgb, known in zip((smaller(1), photo(1), smaller(1, 240)), facts, strict=True):
            add(uow, rgb, searched=False, **known)
        for item_id in (1, 2, 3):
            search_item(uow, search, item_id)
        uow.items.add_keyword(1, "mill", fields=["title"], score=0.9)
        uow.tags.add(3, "for print")
        uow.ratings.set(1, 2)
        uow.ratings.set(3, 4)

        proposal = stars.propose(uow, 1)
        assert [item.id for item in proposal.items] == [2, 3, 1]
        assert (proposal.representative_id, proposal.is_settled) == (1, False)
        assert proposal.reasons[0].startswith("more pixels (320x240")
        assert stars.merge(uow, 1, 2) == []

        assert links(uow) == {1: 2, 2: None, 3: 2}
        kept = uow.items.get(2)
        assert (kept.title, kept.creator, kept.license_id, kept.license_url) == ("Mill", "Ada", "CC0-1.0", "https://x")
        assert [one.keyword for one in uow.items.keywords(2)] == ["mill"]
        assert uow.tags.of_item(2) == ["for print"]
        assert uow.ratings.of_items([1, 2, 3]) == {1: 2, 2: 4, 3: 4}
        assert uow.items.get(1).title == "Mill"
        assert stars.propose(uow, 2).is_settled
        with pytest.raises(NotFound, match="i9 is not in the group"):
            stars.merge(uow, 2, 9)


def test_a_merge_leaves_the_keeper_the_stars_that_it_was_given_and_all_tags_of_the_group(catalog: Catalog) -> None:
    with catalog.write() as uow:
        add(uow, None)
        add(uow, None, near_duplicate_of_id=1, near_duplicate_distance=3)
        for item_id, number in ((1, 1), (2, 5)):
            uow.ratings.set(item_id, number)
            uow.tags.add(item_id, f"tag {item_id}")
            uow.tags.add(item_id, "both")

        assert stars.merge(uow, 1, 1) == []  # the one that stands for the group already

        assert uow.ratings.of_items([1, 2]) == {1: 1, 2: 5}
        assert uow.tags.of_items([1, 2]) == {1: ["both", "tag 1", "tag 2"], 2: ["both", "tag 2"]}


@pytest.mark.parametrize(
    ("first", "second", "keeper", "reason"),
    [
        ({}, {"license_id": "CC0-1.0"}, 2, "its licence is known (CC0-1.0)"),
        ({}, {"format": "PNG"}, 2, "less compressed (compressed without loss)"),
        ({}, {}, 1, "the earliest"),
        ({"width": 310}, {"license_id": "CC0-1.0"}, 2, "its licence is known (CC0-1.0)"),
    ],
)
def test_the_keeper_is_the_one_that_there_is_a_reason_for(
    catalog: Catalog, first: dict[str, Any], second: dict[str, Any], keeper: int, reason: str
) -> None:
    with catalog.write() as uow:
        add(uow, None, **first)
        add(uow, None, near_duplicate_of_id=1, near_duplicate_distance=3, **second)
        proposal = stars.propose(uow, 1)

        assert proposal.keeper.id == keeper
        assert reason in proposal.reasons
        assert stars.propose(uow, 2) is None


def test_members_that_were_never_compared_with_the_keeper_fall_out(catalog: Catalog) -> None:
    with catalog.write() as uow:
        add(uow, None)
        for _ in range(2):
            add(uow, None, near_duplicate_of_id=1, near_duplicate_distance=3)

        assert stars.merge(uow, 1, 3) == [2]
        assert links(uow) == {1: 3, 2: None, 3: None}

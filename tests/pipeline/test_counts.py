"""Every number that the gallery, `items`, `status` and `tag` show, against a count over the rows by hand.

Pictures are withdrawn and used again, dreams are made with guides, files are let go: in any order.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text, update

from pipeline.browse.readers import read_gallery, read_item, read_run
from pipeline.browse.state import View
from pipeline.catalog import queries, search_index
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.gallery_values import Count, FacetValue, GalleryFilter
from pipeline.catalog.tables import BlobRow, ItemRow
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Counts, ItemFilter, NewItem
from tests.support.inverting import sighting_of

ITEMS = 9
KEYWORDS, SOURCES, LICENSES = ("cat", "mill"), ("website", "folder"), (None, "CC0-1.0")
PRESETS, TAGS = ("soft", "bold"), ("for print", "blue")


@dataclass(frozen=True)
class Rows:
    """The tables as they are, and what follows from them, without any query of the program's."""

    items: dict[int, Any]
    dreams: list[Any]
    inputs: list[Any]
    others: dict[str, list[Any]]

    @classmethod
    def of(cls, connection: Connection) -> Rows:
        def read(table: str) -> list[Any]:
            return list(connection.execute(text(f"SELECT * FROM {table}")).mappings())

        tables = ("item_keyword", "sighting", "item_tag", "item_rating", "run_item", "run", "blob")
        items = {row["id"]: row for row in read("item")}
        return cls(items, read("derivation"), read("derivation_input"), {name: read(name) for name in tables})

    def is_usable(self, item_id: int) -> bool:
        return self.items[item_id]["withdrawn_at"] is None

    @property
    def shown_dreams(self) -> list[Any]:
        def parts(dream: Any) -> Iterable[int]:
            return (dream["item_id"], *(row["item_id"] for row in self.inputs if row["derivation_id"] == dream["id"]))

        return [dream for dream in self.dreams if all(map(self.is_usable, parts(dream)))]

    def values(self, facet: str, item_id: int) -> set[str]:
        """What a filter of the gallery can be set to so that it shows an item."""
        if facet == "license_id":
            return {self.items[item_id]["license_id"] or "unknown"}
        if facet == "preset":
            return {dream["preset"] for dream in self.shown_dreams if dream["item_id"] == item_id}
        table, column = {
            "keyword": ("item_keyword", "keyword"),
            "source": ("sighting", "source"),
            "tag": ("item_tag", "tag"),
        }[facet]
        return {row[column] for row in self.others[table] if row["item_id"] == item_id}

    def gallery(self, wanted: GalleryFilter) -> list[int]:
        return [item_id for item_id in sorted(self.items) if self._is_shown(item_id, wanted)]

    def _is_shown(self, item_id: int, wanted: GalleryFilter) -> bool:
        dreamed = bool(self.values("preset", item_id))
        stars = [row["stars"] for row in self.others["item_rating"] if row["item_id"] == item_id]
        met = {row["run_id"] for row in self.others["run_item"] if row["item_id"] == item_id}
        is_near = self.items[item_id]["near_duplicate_of_id"] is not None
        asked = {name: getattr(wanted, name) for name in ("keyword", "source", "license_id", "preset", "tag")}
        return (
            self.is_usable(item_id)
            and (wanted.near_duplicates or not is_near)
            and all(value is None or value in self.values(name, item_id) for name, value in asked.items())
            and wanted.dreamed in {None, dreamed}
            and (wanted.run_id is None or wanted.run_id in met)
            and (wanted.stars is None or max(stars, default=0) >= wanted.stars)
        )


def digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@pytest.fixture(scope="module")
def catalog(shared_address: str) -> Iterator[Catalog]:
    random_ = random.Random(5)
    with open_catalog(shared_address) as opened:
        with opened.write() as uow:
            for _ in range(2):
                uow.runs.start("run", keywords=(), source=None, parameters={}, process="m:1:0", version="1")
            for number in range(1, ITEMS + 1):
                _add(uow, number, random_)
            for number in range(1, ITEMS, 2):
                _dream(uow, number, guide=number + 1)
        yield opened


def _add(uow: UnitOfWork, number: int, random_: random.Random) -> None:
    blob = digest("blob", number)
    uow.blobs.add(blob, size_bytes=100 + number, media_type="image/png")
    near = random_.choice((None, None, 1)) if number > 1 else None
    facts = {"license_id": random_.choice(LICENSES), "near_duplicate_of_id": near, "near_duplicate_distance": near}
    item_id = uow.items.add(NewItem(blob, digest("pixels", number), 10, 10, "PNG", 1, **facts))
    assert item_id == number
    for source in random_.sample(SOURCES, random_.randint(1, 2)):
        address = f"https://pictures.example/{source}-{number}.png"
        uow.sightings.add(sighting_of(item_id, blob, source=source, image_url=address))
    for keyword in random_.sample(KEYWORDS, random_.randint(0, 2)):
        uow.items.add_keyword(item_id, keyword, fields=(), score=1.0)
    if number % 2:
        uow.runs.add_items(1, [(item_id, "accepted")])


def _withdraw(uow: UnitOfWork, number: int, _other: int) -> None:
    _set_item(uow, number, withdrawn_at=datetime(2026, 1, 2, tzinfo=UTC), withdrawn_reason="noai")


def _use_again(uow: UnitOfWork, number: int, _other: int) -> None:
    _set_item(uow, number, withdrawn_at=None, withdrawn_reason=None)


def _set_item(uow: UnitOfWork, number: int, **values: Any) -> None:
    uow.session.execute(update(ItemRow).where(ItemRow.id == number).values(**values))


def _dream(uow: UnitOfWork, number: int, guide: int) -> None:
    """Dream on a picture, with a guide unless that is the picture itself."""
    preset = PRESETS[(number + guide) % 2]
    blob = digest("dream", number, guide)
    uow.blobs.add(blob, size_bytes=50, media_type="image/png")
    guides = [] if guide == number else [{"pixel_sha256": digest("pixels", guide)}]
    uow.derivations.add(
        key=digest("key", number, guide),
        item_id=number,
        run_id=1,
        preset=preset,
        network="tiny",
        recipe={},
        recipe_sha256=digest(preset),
        weights_sha256=digest("weights"),
        blob_sha256=blob,
        pixel_sha256=digest("dreamed", number, guide),
        width=1,
        height=1,
        file_name=f"{number}-{guide}.png",
        manifest={"inputs": guides},
        manifest_sha256=digest("manifest"),
        seconds=0.1,
    )


def _tag(uow: UnitOfWork, number: int, other: int) -> None:
    if not uow.tags.add(number, TAGS[other % 2]):
        uow.tags.remove(number, TAGS[other % 2])


def _rate(uow: UnitOfWork, number: int, other: int) -> None:
    uow.ratings.set(number, other % 5 + 1)


def _let_go(uow: UnitOfWork, number: int, other: int) -> None:
    gone = None if other % 2 else datetime(2026, 1, 3, tzinfo=UTC)
    uow.session.execute(update(BlobRow).where(BlobRow.sha256 == digest("blob", number)).values(removed_at=gone))


CHANGES: Collection[Callable[[UnitOfWork, int, int], None]] = (_withdraw, _use_again, _dream, _tag, _rate, _let_go)
NUMBERS = st.integers(1, ITEMS)
HISTORIES = st.lists(st.tuples(st.sampled_from(list(CHANGES)), NUMBERS, NUMBERS), min_size=2, max_size=8)
FILTERS = st.builds(
    GalleryFilter,
    keyword=st.sampled_from([None, None, None, *KEYWORDS]),
    source=st.sampled_from([None, None, None, *SOURCES]),
    license_id=st.sampled_from([None, None, None, "unknown", "CC0-1.0"]),
    preset=st.sampled_from([None, None, *PRESETS]),
    dreamed=st.sampled_from([None, None, True, False]),
    near_duplicates=st.booleans(),
    run_id=st.sampled_from([None, None, None, 1]),
    tag=st.sampled_from([None, None, *TAGS]),
    stars=st.sampled_from([None, None, None, 2, 5]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, wanted=FILTERS)
def test_every_number_shown_is_that_of_the_rows(catalog: Catalog, history: list[Any], wanted: GalleryFilter) -> None:
    with catalog.write() as uow:
        for change, number, other in history:
            change(uow, number, other)
    with catalog.read() as uow:
        rows = Rows.of(uow.session.connection())
        assert search_index.differing(uow.session.connection(), list(rows.items)) == []
        assert uow.counts() == counts_of(rows)
        assert sorted(uow.tags.counts()) == tags_of(rows)
        for listed in (ItemFilter(withdrawn=False), ItemFilter(withdrawn=True)):
            expected = [item_id for item_id in sorted(rows.items) if rows.is_usable(item_id) is not listed.withdrawn]
            assert [item.id for item in uow.items.list(listed)] == expected
            assert uow.items.count(listed) == len(expected)
        shown = rows.gallery(replace(wanted, near_duplicates=True, license_id=None, preset=None, run_id=None))
        of_items = ItemFilter(
            keyword=wanted.keyword,
            source=wanted.source,
            dreamed=wanted.dreamed,
            tag=wanted.tag,
            stars=wanted.stars,
            withdrawn=False,
        )
        assert [item.id for item in uow.items.list(of_items)] == shown
        assert uow.items.count(of_items) == len(shown)

    _assert_gallery(catalog, rows, wanted)
    _assert_pages(catalog, rows)


def counts_of(rows: Rows) -> Counts:
    usable = [row for item_id, row in rows.items.items() if rows.is_usable(item_id)]
    there = [row for row in rows.others["blob"] if row["removed_at"] is None]
    return Counts(
        items=len(usable),
        near_duplicates=sum(row["near_duplicate_of_id"] is not None for row in usable),
        withdrawn=len(rows.items) - len(usable),
        sightings=len(rows.others["sighting"]),
        derivations=len(rows.shown_dreams),
        runs=len(rows.others["run"]),
        blobs=len(there),
        bytes=sum(row["size_bytes"] for row in there),
    )


def tags_of(rows: Rows) -> list[tuple[str, int]]:
    usable = [row["tag"] for row in rows.others["item_tag"] if rows.is_usable(row["item_id"])]
    return sorted(Counter(usable).items())


def _assert_gallery(catalog: Catalog, rows: Rows, wanted: GalleryFilter) -> None:
    read = read_gallery(catalog, View(wanted=wanted))
    expected = rows.gallery(wanted)
    assert [tile.item_id for tile in read.page.tiles] == expected[::-1]
    assert read.page.total == Count(len(expected))
    dreams = defaultdict(list)
    for dream in rows.shown_dreams:
        if wanted.preset in {None, dream["preset"]}:
            dreams[dream["item_id"]].append(dream["id"])
    newest = {tile.item_id: tile.dream.id if tile.dream else None for tile in read.page.tiles}
    assert newest == {item_id: max(dreams[item_id], default=None) for item_id in expected}

    facets = read.facets
    listed = ("keyword", "source", "license_id", "preset", "tag")
    given_ = (facets.keywords, facets.sources, facets.licenses, facets.presets, facets.tags)
    for name, found in zip(listed, given_, strict=True):
        others = rows.gallery(replace(wanted, **{name: None}))
        numbers = Counter(value for item_id in others for value in rows.values(name, item_id))
        assert set(found) == {FacetValue(value, number) for value, number in numbers.items()}, name
    assert facets.dreamed == len(rows.gallery(replace(wanted, dreamed=True)))
    assert facets.not_dreamed == len(rows.gallery(replace(wanted, dreamed=False)))
    with_near = rows.gallery(replace(wanted, near_duplicates=True))
    assert facets.near_duplicates == sum(rows.items[each]["near_duplicate_of_id"] is not None for each in with_near)


def _assert_pages(catalog: Catalog, rows: Rows) -> None:
    met = [row["item_id"] for row in rows.others["run_item"] if rows.is_usable(row["item_id"])]
    assert read_run(catalog, 1).met == Count(len(met))
    for item_id in filter(rows.is_usable, rows.items):
        dreams = [dream["id"] for dream in rows.shown_dreams if dream["item_id"] == item_id]
        page = read_item(catalog, item_id, View())
        assert [dream.id for dream in page.dreams] == dreams[::-1]
        group = rows.items[item_id]["near_duplicate_of_id"] or item_id
        near = {each for each, row in rows.items.items() if group in {each, row["near_duplicate_of_id"]}}
        assert {tile.item_id for tile in page.group} == {each for each in near if rows.is_usable(each)}
        with catalog.read() as uow:
            assert queries.tile(uow.session, item_id).dream == next(
                (tile.dream for tile in page.group if tile.item_id == item_id), None
            )

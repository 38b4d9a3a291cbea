"""Search: what is found, that nothing typed ever fails, and that the index follows every change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from pipeline.browse.state import View
from pipeline.catalog import queries, search
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.gallery_values import GalleryFilter
from pipeline.catalog.gallery_ways import query_of
from pipeline.catalog.search_text import Facet, document_of, facet_value, facet_word, words_of
from pipeline.catalog.values import ItemFilter, NewItem
from tests.support import plain_sql
from tests.support.inverting import sighting_of


@pytest.fixture(scope="module")
def catalog(shared_address: str) -> Iterator[Catalog]:
    with open_catalog(shared_address) as opened:
        yield opened


@pytest.fixture(scope="module")
def ids(catalog: Catalog) -> dict[str, int]:
    return {
        "mill": add(catalog, 1, title="Old Wind-Mill, Caf\u00e9 Stra\u00dfe", caption="by the river", tags=("stone",)),
        "tower": add(catalog, 2, title="\u6771\u4eac\u30bf\u30ef\u30fc\u306e\u591c\u666f", creator="\u5c71\u7530"),
        "garden": add(catalog, 3, title="\u4eac\u90fd\u306e\u5ead\u5712", alt="Garden in Kyoto"),
        "hindi": add(catalog, 4, title="\u092a\u0941\u0930\u093e\u0928\u093e \u092a\u0941\u0932"),
        "korean": add(catalog, 5, title="\ud55c\uad6d\uc5b4\ub97c \ubc30\uc6b0\ub2e4"),
        "half width": add(catalog, 6, title="\uff76\uff9e\uff97\uff7d \uff21\uff22\uff23"),
        "sentence": add(catalog, 7, title="Quite <b>bold</b>; 100%_sure 'OR' \"AND\" near(2)", creator="O'Neill"),
    }


def add(catalog: Catalog, number: int, *, title: str | None, creator: str | None = None, **said: Any) -> int:
    digest = f"{number:064x}"
    with catalog.write() as uow:
        uow.blobs.add(digest, size_bytes=1, media_type="image/png")
        item_id = uow.items.add(NewItem(digest, digest, 10, 10, "PNG", 1, title=title, creator=creator))
        assert item_id is not None
        uow.sightings.add(sighting_of(item_id, digest, **{"title": None, "creator": None, "tags": (), **said}))
    return item_id


def found(catalog: Catalog, text: str) -> list[int]:
    """By the gallery; the list of items must say the same."""
    with catalog.read() as uow:
        wanted = View().with_text(text).wanted
        page = queries.gallery_page(uow.session, wanted, limit=100)
        if text.split():
            assert [item.id for item in uow.items.list(ItemFilter(text=text))] == [t.item_id for t in page.tiles][::-1]
    return sorted(tile.item_id for tile in page.tiles)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mill", ["mill"]),
        ("WIND", ["mill"]),
        ("wind-mil", ["mill"]),
        ("windmill", []),
        ("ill", []),
        ("cafe", ["mill"]),
        ("CAF\u00c9", ["mill"]),
        ("cafe\u0301", ["mill"]),
        ("strasse", ["mill"]),
        ("river stone", ["mill"]),
        ("river garden", []),
        ("\u6771\u4eac", ["tower"]),  # Tokyo
        ("\u4eac", ["tower", "garden"]),
        ("\u30bf\u30ef\u30fc", ["tower"]),  # tower
        ("\u30ef\u30bf", []),  # the same syllables in another order
        ("\u5ead\u5712", ["garden"]),  # garden, in Chinese characters
        ("\u4eac\u90fd garden", ["garden"]),
        ("\u5c71\u7530", ["tower"]),
        ("\u092a\u0941\u0930", ["hindi"]),
        ("\u092a\u0930", []),  # without its vowel sign it is another syllable
        ("\ud55c\uad6d", ["korean"]),  # the particle at the end does not matter
        ("\u30ac\u30e9\u30b9", ["half width"]),
        ("abc", ["half width"]),
        ("100%_s", []),  # a single letter is a whole word
        ("100%_sur", ["sentence"]),
        ("o'neill", ["sentence"]),
        ("neil", ["sentence"]),
        ('"AND"', ["sentence"]),
        ("%", []),
        ("\u2014 !", []),
    ],
)
def test_words_are_found_by_their_beginnings_and_spaceless_scripts_anywhere(
    catalog: Catalog, ids: dict[str, int], text: str, names: list[str]
) -> None:
    assert found(catalog, text) == sorted(ids[name] for name in names)


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="\"'*:^()-+{}&|!<>\\%_ANDORTEs \u0000\ud800\u0301\u6771", max_size=40),
    st.sampled_from(["NEAR(a b, 2)", "words:mill", "* OR 1", "'; DROP TABLE item; --", "a" * 500, "\u0e01\u0e33" * 99]),
)


@pytest.mark.usefixtures("ids")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE, tag=st.one_of(st.none(), HOSTILE))
def test_no_search_ever_fails_and_both_ways_of_looking_agree(catalog: Catalog, text: str, tag: str | None) -> None:
    wanted = GalleryFilter(words=tuple(text.split())[:8], tag=tag, near_duplicates=True)
    with catalog.read() as uow:
        query = query_of(wanted)
        by_index, _ = search.matching(uow.session, query)
        by_walk = select(search.DOCUMENT.c.item_id).where(search.holds(uow.session, query))

        assert sorted(uow.session.scalars(by_index)) == sorted(uow.session.scalars(by_walk))


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40))
def test_what_is_said_is_found_by_each_of_its_words(text: str) -> None:
    words = words_of(text)

    assert document_of([text]).split() == words
    assert words_of(" ".join(words)) == words


@settings(max_examples=200, deadline=None)
@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_facet_is_one_word_that_no_text_holds_and_gives_its_value_back(value: str) -> None:
    word = facet_word(Facet.TAG, value)

    assert facet_value(word) == ("t", value)
    assert word.isascii()
    assert len(word.split()) == 1
    assert word not in words_of(word)


def test_the_index_follows_every_change(catalog: Catalog) -> None:
    item_id = add(catalog, 50, title=None, caption="zeppelin")
    assert found(catalog, "zeppelin") == [item_id]

    with catalog.write() as uow:
        uow.items.fill_in(item_id, {"title": "Airship hangar", "license_id": "CC0-1.0"})
        uow.items.add_keyword(item_id, "Friedrichshafen", fields=(), score=1.0)
        uow.tags.add(item_id, "for print")
        uow.ratings.set(item_id, 4)
    for text in ("hangar", "friedrichs", "print"):
        assert found(catalog, text) == [item_id]
    for wanted in (GalleryFilter(tag="for print"), GalleryFilter(stars=4), GalleryFilter(stars=2, tag="for print")):
        assert shown(catalog, wanted) == [item_id]
    assert shown(catalog, GalleryFilter(stars=5)) == []

    with catalog.write() as uow:
        uow.tags.remove(item_id, "for print")
        uow.ratings.clear(item_id)
    assert found(catalog, "print") == []
    assert shown(catalog, GalleryFilter(stars=1)) == []
    with suppress(ZeroDivisionError), catalog.write() as uow:
        uow.tags.add(item_id, "lost")
        raise ZeroDivisionError
    assert found(catalog, "lost") == []


def shown(catalog: Catalog, wanted: GalleryFilter) -> list[int]:
    with catalog.read() as uow:
        return [tile.item_id for tile in queries.gallery_page(uow.session, wanted).tiles]


def test_a_unit_of_work_finds_what_it_has_just_written(catalog: Catalog, ids: dict[str, int]) -> None:
    with catalog.write() as uow:
        uow.tags.add(ids["mill"], "just now")
        assert [item.id for item in uow.items.list(ItemFilter(text="just now"))] == [ids["mill"]]
        assert [item.id for item in uow.items.list(ItemFilter(tag="just now"))] == [ids["mill"]]
        uow.tags.remove(ids["mill"], "just now")
        assert uow.items.list(ItemFilter(tag="just now")) == []


def test_what_other_programs_write_is_indexed_with_the_next_change(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        item_id = add(catalog, 1, title="before")
        plain_sql.change(path, "UPDATE item SET title = 'afterwards'")
        with catalog.write():
            pass

        assert found(catalog, "before") == []
        assert found(catalog, "afterwards") == [item_id]

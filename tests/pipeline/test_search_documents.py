"""What of all that is said of a picture is searched, what stands between texts, and documents of earlier versions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

import pipeline.catalog.engine as engine_module
from flows import wiring
from pipeline.catalog import search, search_index
from pipeline.catalog.engine import Catalog, catalog_url, make_engine, open_catalog
from pipeline.catalog.schema import HEAD
from pipeline.catalog.search_text import MAX_DOCUMENT_CHARACTERS, document_of, phrases_of, words_of
from pipeline.catalog.values import ItemFilter, NewItem
from tests.support.inverting import sighting_of

LONG = 6_000  # words in a text that fills a document alone
MORE_THAN_AT_ONCE = 5_003


@pytest.fixture(scope="module")
def catalog(shared_address: str) -> Iterator[Catalog]:
    with open_catalog(shared_address) as opened:
        yield opened


def add(catalog: Catalog, name: str, *sightings: dict[str, Any], **facts: Any) -> int:
    digest = name.encode().hex().rjust(64, "0")
    with catalog.write() as uow:
        uow.blobs.add(digest, size_bytes=1, media_type="image/png")
        item_id = uow.items.add(NewItem(digest, digest, 10, 10, "PNG", 1, **facts))
        assert item_id is not None
        for number, said in enumerate(sightings):
            nothing = {"title": None, "creator": None, "tags": ()}
            address = {"image_url": f"https://a.example/{name}-{number}.png"}
            uow.sightings.add(sighting_of(item_id, digest, **{**nothing, **address, **said}))
    return item_id


def found(catalog: Catalog, typed: str) -> list[int]:
    """By the index; a walk through all documents must say the same."""
    with catalog.read() as uow:
        by_index = [item.id for item in uow.items.list(ItemFilter(text=typed), limit=None)]
        phrases = phrases_of(typed)
        query = search.Query(phrases, nothing=not phrases)
        by_walk = select(search.DOCUMENT.c.item_id).where(search.holds(uow.session, query))
        assert sorted(uow.session.scalars(by_walk)) == by_index
    return by_index


def numbered(word: str, count: int = LONG) -> str:
    return " ".join(f"{word}{number}" for number in range(count))


def test_tags_of_ones_own_titles_and_keywords_are_searched_behind_any_amount_of_page_texts(catalog: Catalog) -> None:
    texts = [{"caption": numbered(f"filler{number}x")} for number in range(4)]
    item_id = add(catalog, "crowded", *texts, title="Gasometer", creator="Brunhilde")
    with catalog.write() as uow:
        uow.items.add_keyword(item_id, "industry", fields=(), score=1.0)
        uow.tags.add(item_id, "for the hallway")

    for typed in ("gasometer", "brunhilde", "industry", "hallway", "filler0x7"):
        assert found(catalog, typed) == [item_id], typed


def test_a_long_text_does_not_push_out_short_ones(catalog: Catalog) -> None:
    item_id = add(
        catalog,
        "long first",
        {"caption": numbered("endless"), "alt": "a lighthouse"},
        {"caption": "seen from the ferry", "tags": ("breakwater",)},
    )

    for typed in ("lighthouse", "ferry", "breakwater", "endless0", "endless1500"):
        assert found(catalog, typed) == [item_id], typed
    assert found(catalog, f"endless{LONG - 1}") == []


WORD = st.text(alphabet="abcdefg", min_size=1, max_size=12)
TEXT = st.lists(WORD, min_size=1, max_size=30).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(first=st.lists(TEXT, max_size=4), short=st.lists(TEXT, max_size=8), long=st.integers(1_001, 40_000))
def test_what_is_said_first_and_all_short_texts_are_kept_whole_beside_a_long_one(
    first: list[str], short: list[str], long: int
) -> None:
    document = document_of(first, ["long " * (long // 5 + 1), *short])

    texts = document.split(" _ ")
    assert {" ".join(words_of(each)) for each in (*first, *short)} <= set(texts)
    assert texts[-1].split() == ["long"] * len(texts[-1].split())
    assert len(document) <= MAX_DOCUMENT_CHARACTERS
    # As much of the long one as there is room for, to a word.
    assert len(texts[-1].split()) == long // 5 + 1 or len(document) > MAX_DOCUMENT_CHARACTERS - len(" long")


def test_no_phrase_begins_in_one_text_and_ends_in_another(catalog: Catalog) -> None:
    apart = add(
        catalog, "apart", {"caption": "mill by the river", "alt": "\u4eac"}, title="North wind", creator="\u6771"
    )
    beside = add(catalog, "beside", {"caption": "a wind mill"}, title="\u6771\u4eac")

    assert found(catalog, "wind mill") == [apart, beside]
    assert found(catalog, "wind-mill") == [beside]
    assert found(catalog, "north-wind") == [apart]
    assert found(catalog, "mill-by") == [apart]
    assert found(catalog, "\u6771\u4eac") == [beside]  # Tokyo
    assert found(catalog, "\u6771 \u4eac") == [apart, beside]
    assert found(catalog, "_") == []


def test_words_side_by_side_are_found_wherever_they_stand(catalog: Catalog) -> None:
    """PostgreSQL's index knows the places of the first 256 of a word."""
    item_id = add(catalog, "often", {"caption": f"{'otter pond ' * 400}otter creek"})

    assert found(catalog, "otter-creek") == [item_id]
    assert found(catalog, "pond-otter") == [item_id]
    assert found(catalog, "creek-otter") == []


def migrated(address: str, revision: str, *, down: bool = False) -> None:
    engine = make_engine(catalog_url(address))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(engine_module.__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
    engine.dispose()


def change(address: str, *statements: str) -> None:
    engine = make_engine(catalog_url(address))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def out_of_step(catalog: Catalog, item_ids: Sequence[int]) -> list[int]:
    with catalog.read() as uow:
        return search_index.differing(uow.session.connection(), item_ids)


def former(catalog: Catalog) -> int:
    with catalog.read() as uow:
        return search_index.former(uow.session.connection())


@pytest.fixture
def old(address: str) -> str:
    """A catalog of the revision before, whose documents do not keep texts apart."""
    with open_catalog(address) as catalog:
        for name in ("first", "second"):
            add(catalog, name, {"caption": "mill by the river"}, title="North wind")
    migrated(address, "0008", down=True)
    change(address, "UPDATE search_document SET words = replace(words, ' _ ', ' ')")
    return address


def test_a_small_catalog_of_an_earlier_version_is_made_right_at_once(old: str) -> None:
    with open_catalog(old) as catalog:
        assert found(catalog, "wind-mill") == []
        assert found(catalog, "wind mill") == [1, 2]
        assert former(catalog) == 0
        assert out_of_step(catalog, [1, 2]) == []


def test_of_a_large_one_the_newest_are_made_right_at_once_and_the_rest_bit_by_bit(old: str) -> None:
    many = (
        f"WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < {MORE_THAN_AT_ONCE}) "
        "INSERT INTO {0} SELECT {1} FROM n"
    )
    at = "'2026-01-01 00:00:00'"
    key = "CAST(i AS TEXT) || '" + "x" * 58 + "'"
    change(
        old,
        many.format("blob (sha256, size_bytes, media_type, created_at)", f"{key}, 1, 'image/png', {at}"),
        many.format(
            "item (id, blob_sha256, pixel_sha256, width, height, format, frames, title, created_at)",
            f"i, {key}, {key}, 1, 1, 'PNG', 1, 'Picture', {at}",
        ),
        "DELETE FROM search_due",
        # As the earlier version has indexed them.
        many.format("search_document (item_id, pixels, facets, words)", "i, 1, '_u _s _lunknown _d0', 'other'"),
    )
    every = [1, 2, 3, 4, MORE_THAN_AT_ONCE]

    with open_catalog(old) as catalog:
        assert former(catalog) == 3
        assert found(catalog, "wind-mill") == [1, 2]  # as it was
        assert out_of_step(catalog, every) == []  # they are to be made anew, and known to be
        assert len(found(catalog, "picture")) == MORE_THAN_AT_ONCE - 3
        with catalog.write() as uow:
            uow.tags.add(1, "hallway")
        assert found(catalog, "hallway") == [1]

    with open_catalog(old) as catalog:
        left: list[int] = []
        assert not catalog.renew_search(seconds=0)
        assert catalog.renew_search(on_progress=left.append)
        assert left == [3]
        assert former(catalog) == 0
        assert found(catalog, "wind-mill") == []
        assert found(catalog, "wind mill") == [1, 2]
        assert len(found(catalog, "picture")) == MORE_THAN_AT_ONCE - 2
        assert out_of_step(catalog, every) == []


def test_every_command_makes_some_of_them_anew_when_it_is_done(old: str, tmp_path: Path) -> None:
    migrated(old, HEAD)
    change(old, "DELETE FROM search_due", "INSERT INTO search_renewal VALUES (2)")

    environment = wiring.load_environment({"workspace": str(tmp_path), "catalog_url": old})
    with wiring.open_catalog(environment, only_reads=True) as catalog:
        assert found(catalog, "wind-mill") == [1, 2]

    with open_catalog(old) as catalog:
        assert former(catalog) == 0
        assert found(catalog, "wind-mill") == []


def test_no_command_waits_for_others_to_make_them_anew(old: str, tmp_path: Path) -> None:
    migrated(old, HEAD)
    change(old, "DELETE FROM search_due", "INSERT INTO search_renewal VALUES (2)")
    environment = wiring.load_environment({"workspace": str(tmp_path), "catalog_url": old})

    with open_catalog(old) as other, other.write():
        started = time.monotonic()
        with wiring.open_catalog(environment) as catalog:
            assert found(catalog, "wind-mill") == [1, 2]
        assert time.monotonic() - started < 10
        assert former(other) == 2


def test_documents_of_a_former_version_are_made_anew_some_at_a_time(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_RENEWED_AT_ONCE", 1)
    migrated(old, HEAD)
    change(old, "DELETE FROM search_due", "DELETE FROM search_renewal", "INSERT INTO search_renewal VALUES (2)")
    left: list[int] = []

    with open_catalog(old) as catalog:
        assert found(catalog, "wind-mill") == [1, 2]
        assert catalog.renew_search(on_progress=left.append)

        assert left == [2, 1]
        assert found(catalog, "wind-mill") == []

"""The views that `catalog.py` times, each as the gallery issues it, and the alternatives beside them."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import catalog_data

from pipeline.browse import readers
from pipeline.browse.state import read_view
from pipeline.catalog.engine import Catalog
from pipeline.errors import Withdrawn

Act = Callable[[Catalog, Any], object]
Ask = Callable[[sqlite3.Connection, Any], object]
Kind = tuple[str, Act, Callable[[random.Random], Any], tuple[str, Ask] | None]


def gallery(catalog: Catalog, query: dict[str, str]) -> object:
    """A page of pictures, as the gallery reads it."""
    return readers.read_gallery(catalog, read_view(query))


def item_page(catalog: Catalog, asked: tuple[int, dict[str, str]]) -> object:
    """A picture's page."""
    with contextlib.suppress(Withdrawn):
        return readers.read_item(catalog, asked[0], read_view(asked[1]))
    return None


def run_page(catalog: Catalog, run_id: int) -> object:
    """The page of a run."""
    return readers.read_run(catalog, run_id)


def kinds(items: int) -> Iterator[Kind]:
    """(name, how it is read, what is asked, (name of the alternative, how it asks))."""

    def word(r: random.Random, low: float = 0.0, high: float = 1.0) -> str:
        return catalog_data.word(int((low + r.random() ** 3 * (high - low)) * catalog_data.WORDS))

    def common(r: random.Random) -> str:
        return catalog_data.word(r.randrange(20))

    def rare(r: random.Random) -> str:
        return word(r, 0.8)

    def one(name: str, values: Sequence[str]) -> Callable[[random.Random], dict[str, str]]:
        return lambda r: {name: r.choice(values)}

    def far(r: random.Random) -> dict[str, str]:
        return {"after": str(r.randrange(100, items))}

    def far_by_size(r: random.Random) -> dict[str, str]:
        return {"sort": "largest", "after": f"{r.randrange(1, items)}-{r.randrange(320_000, 12_000_000)}"}

    keyword, license_ = one("keyword", catalog_data.KEYWORDS), one("license", catalog_data.LICENSES)
    source, preset, tag = (
        one("source", catalog_data.SOURCES),
        one("preset", catalog_data.PRESETS),
        one("tag", catalog_data.TAGS),
    )
    stars = one("stars", "12345")
    run, again = (f"r{number}" for number in catalog_data.runs_of(items))
    like, tables = ("LIKE", by_like), ("joined tables", by_tables)
    yield "first page", gallery, lambda _: {}, ("with count(*)", count_everything)
    yield "a page far on", gallery, far, ("OFFSET", by_offset)
    yield "oldest first", gallery, lambda r: {"sort": "oldest", **far(r)}, None
    yield "search, one word", gallery, lambda r: {"q": word(r)}, like
    yield "search, a common word", gallery, lambda r: {"q": common(r)}, like
    yield "search, a rare word", gallery, lambda r: {"q": rare(r)}, like
    yield "search, two words", gallery, lambda r: {"q": f"{word(r)} {word(r)}"}, like
    yield "search, a common and a rare word", gallery, lambda r: {"q": f"{common(r)} {rare(r)}"}, like
    yield "search, beginning of 3 letters", gallery, lambda r: {"q": word(r)[:3]}, like
    yield "search, beginning of 5 letters", gallery, lambda r: {"q": word(r)[:5]}, like
    yield "search, Japanese", gallery, lambda _: {"q": catalog_data.JAPANESE[7:9]}, like
    yield "filter, keyword", gallery, keyword, tables
    yield "filter, licence", gallery, license_, tables
    yield "filter, source", gallery, source, tables
    yield "filter, preset", gallery, preset, tables
    yield "filter, tag", gallery, tag, None
    yield "filter, stars", gallery, stars, None
    yield "filter, tag and stars", gallery, lambda r: {**tag(r), "stars": "4"}, None
    yield "filters, licence and source", gallery, lambda r: {**license_(r), **source(r)}, tables
    yield "filters, three", gallery, lambda r: {**license_(r), **source(r), **keyword(r)}, tables
    yield "far on in a filter", gallery, lambda r: {**license_(r), **far(r)}, None
    yield "search in a filter", gallery, lambda r: {**license_(r), "q": word(r)}, like
    yield "search, without a dream", gallery, lambda r: {"dreamed": "no", "q": word(r)}, like
    yield "near duplicates too", gallery, lambda r: {"near": "show", **far(r)}, None
    yield "largest first", gallery, far_by_size, None
    yield "largest first, a licence", gallery, lambda r: {"sort": "largest", **license_(r)}, None
    yield "largest first, a keyword", gallery, lambda r: {"sort": "largest", **keyword(r)}, None
    yield "largest first, a word", gallery, lambda r: {"sort": "largest", "q": word(r)}, None
    yield "largest first, a word, far on", gallery, lambda r: {**far_by_size(r), "q": word(r)}, None
    yield "pictures of a run", gallery, lambda _: {"run": run, "near": "show"}, None
    yield "pictures that a run met again", gallery, lambda _: {"run": again, "near": "show"}, None
    yield "pictures of a run, far on", gallery, lambda r: {"run": r.choice((run, again)), **far(r)}, None
    yield "largest of a run", gallery, lambda r: {"run": r.choice((run, again)), "sort": "largest"}, None
    yield "search in a run", gallery, lambda r: {"run": r.choice((run, again)), "q": word(r)}, None
    yield "filter in a run", gallery, lambda r: {"run": r.choice((run, again)), **license_(r)}, None
    yield "a run's page", run_page, lambda r: int(r.choice((run, again))[1:]), None
    yield "a picture", item_page, lambda r: (r.randrange(1, items), {"q": word(r)}), None
    yield "a picture of a run", item_page, lambda r: (r.randrange(1, items), {"run": run, "sort": "largest"}), None


_PAGE = "SELECT id, title FROM item i WHERE withdrawn_at IS NULL AND near_duplicate_of_id IS NULL"


def count_everything(plain: sqlite3.Connection, _asked: dict[str, str]) -> object:
    """What a page would cost that tells the exact total."""
    return plain.execute(_PAGE.replace("id, title", "count(*)", 1)).fetchall()


def by_offset(plain: sqlite3.Connection, asked: dict[str, str]) -> object:
    """A page half as far on, by its number."""
    return plain.execute(f"{_PAGE} ORDER BY id DESC LIMIT 48 OFFSET ?", (int(asked["after"]) // 2,)).fetchall()


def by_like(plain: sqlite3.Connection, asked: dict[str, str]) -> object:
    """A page of a search without an index."""
    conditions, values = [], []
    for word in asked["q"].split():
        conditions.append(
            "(title LIKE ? OR creator LIKE ? OR id IN"
            " (SELECT item_id FROM sighting WHERE caption LIKE ? OR alt LIKE ?))"
        )
        values += [f"%{word}%"] * 4
    return plain.execute(f"{_PAGE} AND {' AND '.join(conditions)} ORDER BY id DESC LIMIT 48", values).fetchall()


def by_tables(plain: sqlite3.Connection, asked: dict[str, str]) -> object:
    """A page under filters that are looked up in their tables."""
    conditions, values = [], []
    for name, value in asked.items():
        conditions.append(
            {
                "keyword": "id IN (SELECT item_id FROM item_keyword WHERE keyword = ?)",
                "license": "license_id = ?",
                "source": "id IN (SELECT item_id FROM sighting WHERE source = ?)",
                "preset": "id IN (SELECT item_id FROM derivation WHERE preset = ?)",
            }[name]
        )
        values.append(value)
    return plain.execute(f"{_PAGE} AND {' AND '.join(conditions)} ORDER BY id DESC LIMIT 48", values).fetchall()

"""A view costs the same in a large catalog as in a small one, told by the steps that SQLite takes, not by a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.browse.readers import read_gallery, read_item, read_run
from pipeline.browse.state import read_view
from pipeline.catalog import facets, gallery, gallery_ways
from pipeline.catalog.engine import Catalog, open_catalog

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import catalog_data  # the path comes first

pytestmark = pytest.mark.sqlite(reason="it counts the steps of SQLite's machine")

SMALL, LARGE = 800, 4_800
# All bounds a fiftieth or less of what they are, as the catalogs are.
BOUNDS: dict[Any, dict[str, float]] = {
    gallery: {
        "COUNT_CAP": 100, "COUNT_SECONDS": 1e-9, "COUNT_WINDOW": 200, "WALK_WINDOW": 20, "SET_WINDOW": 100,
        "MOST_FEW": 50, "MOST_LOOKED_AT": 50,
    },
    gallery_ways: {"MOST_IN_SET": 100, "MOST_OF_RUN": 200},
    facets: {"FACET_CAP": 50, "FACET_WINDOW": 200},
}  # fmt: skip
COMMON = {"license": catalog_data.LICENSES[0], "source": catalog_data.SOURCES[0]}
VIEWS: dict[str, Callable[[int], dict[str, str]]] = {
    "first page": lambda _: {},
    "far on": lambda items: {"after": str(items // 2)},
    "back": lambda items: {"before": str(items // 2)},
    "oldest": lambda items: {"sort": "oldest", "after": str(items // 2)},
    "near duplicates too": lambda items: {"near": "show", "after": str(items // 2)},
    "a filter": lambda _: {"license": COMMON["license"]},
    "two filters": lambda _: dict(COMMON),
    "far on in two filters": lambda items: {**COMMON, "after": str(items // 2)},
    "a word": lambda _: {"q": catalog_data.word(0)},
    "a word without a dream": lambda _: {"q": catalog_data.word(0), "dreamed": "no"},
    "largest": lambda _: {"sort": "largest"},
    "largest, far on": lambda items: {"sort": "largest", "after": f"{items // 2}-3000000"},
    "largest under a licence": lambda _: {"sort": "largest", "license": COMMON["license"]},
    "a run": lambda _: {"run": "r5", "near": "show"},
    "a run that met old ones": lambda items: {"run": f"r{catalog_data.runs_of(items)[1]}"},
}


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Catalog]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(catalog_data, "ITEMS_OF_A_RUN", 100)
        patched.setattr(catalog_data, "MET_AGAIN", 7)
        for module, bounds in BOUNDS.items():
            for name, value in bounds.items():
                patched.setattr(module, name, value)
        opened = {}
        for items in (SMALL, LARGE):
            path = tmp_path_factory.mktemp("growth") / "catalog.sqlite3"
            catalog_data.generate(path, items)
            opened[items] = open_catalog(path)
        yield opened
        for catalog in opened.values():
            catalog.close()


def steps(catalog: Catalog, act: Callable[[], object]) -> int:
    """Instructions of SQLite's machine, in tens; a row that is looked at takes some."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with catalog.read() as uow:  # gives its connection back to the pool, which hands it out next
        connection: Any = uow.session.connection().connection.driver_connection
    connection.set_progress_handler(step, 10)
    act()
    connection.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_of_pictures_with_its_counts_takes_as_many_steps_among_six_times_as_many(
    catalogs: dict[int, Catalog], name: str
) -> None:
    def look(items: int) -> int:
        view = read_view(VIEWS[name](items))
        return steps(catalogs[items], lambda: read_gallery(catalogs[items], view))

    small, large = look(SMALL), look(LARGE)

    assert small > 100
    assert large < 1.5 * small


def test_pages_of_a_picture_and_of_a_run_take_as_many_steps_as_well(catalogs: dict[int, Catalog]) -> None:
    def look(items: int) -> tuple[int, int]:
        catalog = catalogs[items]
        usable = next(tile.item_id for tile in read_gallery(catalog, read_view({"after": str(items // 2)})).page.tiles)
        of_picture = steps(catalog, lambda: read_item(catalog, usable, read_view({"q": catalog_data.word(0)})))
        return of_picture, steps(catalog, lambda: read_run(catalog, 5))

    small, large = look(SMALL), look(LARGE)

    assert large[0] < 1.5 * small[0]
    assert large[1] < 1.5 * small[1]


def test_what_looks_at_every_row_is_told_by_its_steps(catalogs: dict[int, Catalog]) -> None:
    def look(items: int) -> int:
        def count_all() -> None:
            with catalogs[items].read() as uow:
                uow.counts()

        return steps(catalogs[items], count_all)

    assert look(LARGE) > 4 * look(SMALL)

"""What the catalog costs: a gallery over a million pictures, and the database's share of taking pictures in.

    python benchmarks/catalog.py [--items 1000000] [--queries 100] [--only "of a run"] [--changes 1000]
        [--pictures 10000] [--folder DIR] [--json]

The catalog is made up by `catalog_data.py`, always the same, and indexed by the code that ingest uses. Every query is a
whole view as the gallery issues it: a page of 48 pictures with its total, its place and the counts of all filters; or
a picture's page with its neighbours, or a run's. In turn with each view, alternatives on the same catalog, for a page
of pictures alone: LIKE over the texts (what a search costs without an index), the filters joined from their tables, and
OFFSET in place of a keyset; the full count(*) that we do not do.

The first page is timed once more over connections that are new, as after a start; and some views once more on a copy of
the catalog that was changed meanwhile, in a transaction for each change.

Then pictures are ingested from inboxes of a thousand: the CPU time in units of work of the catalog, against that of all
processes (those that decode run beside, so that the clock on the wall would tell of the number of cores); and the same
rows by Python's sqlite3 alone, without search, in one transaction a picture.

Seconds are of the clock on the wall; milliseconds of a query, too, with those of this process's CPU beside them, as
other work on the machine makes the first longer.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import catalog_data
from catalog_ingest import TARGET_SHARE, measure_ingest
from catalog_views import Kind, gallery, kinds

from pipeline.browse.server import settle
from pipeline.catalog.engine import Catalog, open_catalog

TARGET_MS = 50.0
SEED = 20261126
_SLOW_QUERIES = 5  # of an alternative that takes seconds
_STARTS = 20
# What is asked once more of a catalog that was changed.
_AFTER_CHANGES = (
    "first page",
    "a page far on",
    "search, one word",
    "search, two words",
    "filter, licence",
    "filters, three",
    "largest first, a word",
    "pictures of a run",
)


def main() -> None:
    """Measure what was asked for, and say whether the targets are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000, help="in the catalog that is asked; 0: none is")
    parser.add_argument("--queries", type=int, default=100, help="of each kind")
    parser.add_argument("--only", default="", help="views with this in their name")
    parser.add_argument("--changes", type=int, default=1_000, help="before some views are timed once more; 0: never")
    parser.add_argument("--pictures", type=int, default=10_000, help="to ingest; 0: none")
    parser.add_argument("--folder", type=Path, help="where the catalog is kept and found again; else it is temporary")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dreamcrawl-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        report: dict[str, Any] = {"items": given.items}
        if given.items:
            path = made(folder, given.items, report)
            wanted = [kind for kind in kinds(given.items) if given.only in kind[0]]
            report["queries"] = measure_queries(path, wanted, queries=given.queries)
            if not given.only:
                report["queries"].append(first_pages(path))
            if given.changes:
                again = [kind for kind in wanted if kind[0] in _AFTER_CHANGES]
                report["queries"] += after_changes(path, again, given.changes, queries=given.queries)
            report["queries"].append(overall(report["queries"]))
        if given.pictures:
            report["ingest"] = measure_ingest(folder, given.pictures, say)
    report["reached"] = reaches(report)
    say("targets reached" if report["reached"] else "targets missed")
    if given.json:
        print(json.dumps(report, indent=2))


def say(line: str) -> None:
    """One line, while it runs."""
    print(line, file=sys.stderr, flush=True)


def made(folder: Path, items: int, report: dict[str, Any]) -> Path:
    """The catalog, found again or made."""
    path = folder / f"catalog-{items}-{catalog_data.VERSION}.sqlite3"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        report["made"] = catalog_data.generate(making, items)
        making.replace(path)
    report["megabytes"] = path.stat().st_size / 1e6
    say(f"catalog of {items:,} pictures, {report['megabytes']:.0f} MB; made in {report.get('made')}")
    return path


def measure_queries(path: Path, wanted: Sequence[Kind], *, queries: int, note: str = "") -> list[dict[str, Any]]:
    """One row for each kind of view, with an alternative where there is one."""
    results = []
    say(f"{'view':40} {'p50 ms':>8} {'p95 ms':>8} {'CPU p50':>8} {'CPU p95':>8}   alternative on the same catalog")
    with open_catalog(path) as catalog, closing(sqlite3.connect(path)) as plain:
        gallery(catalog, {})
        settle()  # as the gallery's server does
        for kind, read, make, alternative in wanted:
            random_ = random.Random(f"{SEED}{kind}")
            asked = [make(random_) for _ in range(queries)]
            row = {"view": kind + note, **timed(functools.partial(read, catalog), asked)}
            beside = ""
            if alternative is not None and not note:
                name, ask = alternative
                slow = timed(functools.partial(ask, plain), asked[:_SLOW_QUERIES])
                row |= {"alternative": name, "alternative_p50_ms": slow["p50_ms"]}
                row["ratio"] = slow["p50_ms"] / row["p50_ms"]
                beside = f"{name}: {slow['p50_ms']:.0f} ms, x{row['ratio']:.1f}"
            results.append(row)
            say(told(row) + f"   {beside}")
    return results


def first_pages(path: Path) -> dict[str, Any]:
    """The first page over a connection that nothing has used."""

    def opened(catalog: Catalog) -> None:
        gallery(catalog, {})

    with contextlib.ExitStack() as stack:
        catalogs = [stack.enter_context(open_catalog(path)) for _ in range(_STARTS)]
        row = {"view": "first page after a start", **timed(opened, catalogs)}
    say(told(row))
    return row


def after_changes(path: Path, wanted: Sequence[Kind], changes: int, *, queries: int) -> list[dict[str, Any]]:
    """The views once more, after so many changes to pictures everywhere in the catalog."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="changed-") as name:
        copy = Path(name) / "catalog.sqlite3"
        shutil.copyfile(path, copy)
        random_ = random.Random(SEED)
        started = time.perf_counter()
        with open_catalog(copy) as catalog:
            with catalog.read() as uow:
                counts = uow.counts()
                items = counts.items + counts.withdrawn
            for number in range(changes):
                with catalog.write() as uow:
                    item_id = random_.randrange(1, items + 1)
                    uow.tags.add(item_id, catalog_data.word(random_.randrange(catalog_data.WORDS)))
                    uow.ratings.set(item_id, 1 + number % 5)
            say(f"{changes:,} changes, {(time.perf_counter() - started) / changes * 1e3:.1f} ms each")
        return measure_queries(copy, wanted, queries=queries, note=", changed")


def timed(act: Callable[[Any], object], asked: Sequence[Any]) -> dict[str, Any]:
    """Milliseconds of each, sorted, and their percentiles."""
    wall, cpu = [], []
    for each in asked:
        started, used = time.perf_counter(), time.process_time()
        act(each)
        wall.append((time.perf_counter() - started) * 1e3)
        cpu.append((time.process_time() - used) * 1e3)
    wall.sort()
    cpu.sort()
    return {
        "p50_ms": at(wall, 0.5),
        "p95_ms": at(wall, 0.95),
        "cpu_p50_ms": at(cpu, 0.5),
        "cpu_p95_ms": at(cpu, 0.95),
        "all_ms": wall,
        "all_cpu_ms": cpu,
    }


def told(row: dict[str, Any]) -> str:
    """A line of the table."""
    figures = (row[name] for name in ("p50_ms", "p95_ms", "cpu_p50_ms", "cpu_p95_ms"))
    return " ".join([f"{row['view']:40}", *(f"{figure:8.1f}" for figure in figures)])


def at(values: Sequence[float], share: float) -> float:
    """The value below which this share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))]


def overall(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All views together; takes the single times out of the rows."""
    wall = sorted(each for row in rows for each in row.pop("all_ms"))
    cpu = sorted(each for row in rows for each in row.pop("all_cpu_ms"))
    row = {"view": "all together", "p50_ms": at(wall, 0.5), "p95_ms": at(wall, 0.95)}
    row |= {"cpu_p50_ms": at(cpu, 0.5), "cpu_p95_ms": at(cpu, 0.95), "max_ms": wall[-1]}
    slowest = max(rows, key=lambda each: float(each["p95_ms"]))
    say(f"{told(row)}   (to reach: p95 below {TARGET_MS:.0f} ms)")
    say(f"slowest kind: {slowest['view']}, p95 {slowest['p95_ms']:.1f} ms, in CPU time {slowest['cpu_p95_ms']:.1f} ms")
    return {**row, "slowest_view": slowest["view"], "slowest_p95_ms": slowest["p95_ms"]}


def reaches(report: dict[str, Any]) -> bool:
    """Whether the targets are reached."""
    rows = report.get("queries", [])
    fast = all(row["p95_ms"] < TARGET_MS for row in rows)
    return fast and report.get("ingest", {}).get("database_share", 0.0) < TARGET_SHARE


if __name__ == "__main__":
    main()

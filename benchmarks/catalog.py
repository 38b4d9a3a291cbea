"""What the catalog costs: a gallery over a million pictures, and the database's share of taking pictures in.

    python benchmarks/catalog.py [--items 1000000] [--queries 100] [--pictures 1000] [--folder DIR] [--json]

The catalog is made up by `catalog_data.py`, always the same, and indexed by the code that ingest uses. Every query is a
whole view as the gallery issues it: a page of 48 pictures with its total, its place and the counts of all filters; or
a picture's page with its neighbours. In turn with each view, alternatives on the same catalog, for a page of pictures
alone: LIKE over the texts (what a search costs without an index), the filters joined from their tables, and OFFSET in
place of a keyset; the full count(*) that we do not do.

Then pictures are ingested from an inbox: the CPU time in units of work of the catalog, against that of all processes
(those that decode run beside, so that the clock on the wall would tell of the number of cores); and the same rows by
Python's sqlite3 alone, without search, in one transaction a picture.

Seconds are of the clock on the wall; milliseconds of a query, too, with those of this process's CPU beside them, as
other work on the machine makes the first longer.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import catalog_data  # noqa: E402  # the path comes first

from pipeline.browse import readers  # noqa: E402
from pipeline.browse.state import read_view  # noqa: E402
from pipeline.catalog.engine import Catalog, open_catalog  # noqa: E402
from pipeline.errors import Withdrawn  # noqa: E402

TARGET_MS = 50.0
TARGET_SHARE = 0.15
SEED = 20261126
_SLOW_QUERIES = 5  # of an alternative that takes seconds


def main() -> None:
    """Measure what was asked for, and say whether the targets are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100, help="of each kind")
    parser.add_argument("--pictures", type=int, default=1_000, help="to ingest")
    parser.add_argument("--folder", type=Path, help="where the catalog is kept and found again; else it is temporary")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dreamcrawl-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        report: dict[str, Any] = {"items": given.items}
        if given.items:
            path = folder / f"catalog-{given.items}.sqlite3"
            if not path.exists():
                making = path.with_suffix(".making")
                making.unlink(missing_ok=True)
                report["made"] = catalog_data.generate(making, given.items)
                making.replace(path)
            report["megabytes"] = path.stat().st_size / 1e6
            say(f"catalog of {given.items:,} pictures, {report['megabytes']:.0f} MB; made in {report.get('made')}")
            report["queries"] = measure_queries(path, items=given.items, queries=given.queries)
        if given.pictures:
            report["ingest"] = measure_ingest(folder, given.pictures)
    report["reached"] = reaches(report)
    if given.json:
        print(json.dumps(report, indent=2))


def say(line: str) -> None:
    """One line, while it runs."""
    print(line, file=sys.stderr, flush=True)


def measure_queries(path: Path, *, items: int, queries: int) -> list[dict[str, Any]]:
    """One row for each kind of view, and one for each alternative."""
    results = []
    say(f"{'view':34} {'p50 ms':>8} {'p95 ms':>8} {'CPU p95':>8}   alternative on the same catalog")
    with open_catalog(path) as catalog, closing(sqlite3.connect(path)) as plain:
        gallery(catalog, {})
        for kind, make, alternative in kinds(items):
            random_ = random.Random(f"{SEED}{kind}")
            asked = [make(random_) for _ in range(queries)]
            act: Callable[[Any], object] = (
                (lambda each: item_page(catalog, each))
                if kind == "a picture"
                else (lambda each: gallery(catalog, each))
            )
            figures = timed(act, asked)
            row = {"view": kind, **figures}
            if alternative is not None:
                name, ask = alternative
                row["alternative"] = name
                slow = timed(functools.partial(ask, plain), asked[:_SLOW_QUERIES])
                row["alternative_p50_ms"], row["ratio"] = slow["p50_ms"], slow["p50_ms"] / figures["p50_ms"]
            results.append(row)
            beside = (
                f"{row['alternative']}: {row['alternative_p50_ms']:.0f} ms, x{row['ratio']:.1f}" if alternative else ""
            )
            say(f"{kind:34} {row['p50_ms']:8.1f} {row['p95_ms']:8.1f} {row['cpu_p95_ms']:8.1f}   {beside}")
    every = sorted(each for row in results for each in row.pop("all_ms"))
    overall = {"view": "all together", "p50_ms": at(every, 0.5), "p95_ms": at(every, 0.95), "max_ms": every[-1]}
    told = f"{overall['p50_ms']:8.1f} {overall['p95_ms']:8.1f}"
    say(f"{'all together':34} {told}            (to reach: {TARGET_MS:.0f} ms)")
    return [*results, overall]


def gallery(catalog: Catalog, query: dict[str, str]) -> object:
    """A page of pictures, as the gallery reads it."""
    return readers.read_gallery(catalog, read_view(query))


def item_page(catalog: Catalog, asked: tuple[int, dict[str, str]]) -> object:
    """A picture's page."""
    with contextlib.suppress(Withdrawn):
        return readers.read_item(catalog, asked[0], read_view(asked[1]))
    return None


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
    return {"p50_ms": at(wall, 0.5), "p95_ms": at(wall, 0.95), "cpu_p95_ms": at(cpu, 0.95), "all_ms": wall}


def at(values: Sequence[float], share: float) -> float:
    """The value below which this share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))]


Ask = Callable[[sqlite3.Connection, Any], object]
Kind = tuple[str, Callable[[random.Random], Any], tuple[str, Ask] | None]


def kinds(items: int) -> Iterator[Kind]:
    """(name, what is asked, (name of the alternative, how it asks))."""

    def word(r: random.Random) -> str:
        return catalog_data.word(int(r.random() ** 3 * catalog_data.WORDS))

    def one(name: str, values: Sequence[str]) -> Callable[[random.Random], dict[str, str]]:
        return lambda r: {name: r.choice(values)}

    keyword, license_ = one("keyword", catalog_data.KEYWORDS), one("license", catalog_data.LICENSES)
    source, preset = one("source", catalog_data.SOURCES), one("preset", catalog_data.PRESETS)
    run = f"r{items // catalog_data.ITEMS_OF_A_RUN}"
    yield "first page", lambda _: {}, ("with count(*)", count_everything)
    yield "a page far on", lambda r: {"after": str(r.randrange(100, items))}, ("OFFSET", by_offset)
    yield "search, one word", lambda r: {"q": word(r)}, ("LIKE", by_like)
    yield "search, two words", lambda r: {"q": f"{word(r)} {word(r)}"}, ("LIKE", by_like)
    yield "search, beginning of 3 letters", lambda r: {"q": word(r)[:3]}, ("LIKE", by_like)
    yield "search, beginning of 5 letters", lambda r: {"q": word(r)[:5]}, ("LIKE", by_like)
    yield "search, Japanese", lambda _: {"q": catalog_data.JAPANESE[7:9]}, ("LIKE", by_like)
    yield "filter, keyword", keyword, ("joined tables", by_tables)
    yield "filter, licence", license_, ("joined tables", by_tables)
    yield "filter, source", source, ("joined tables", by_tables)
    yield "filter, preset", preset, ("joined tables", by_tables)
    yield "filter, tag and stars", lambda r: {"tag": r.choice(catalog_data.TAGS), "stars": "4"}, None
    yield "filters, licence and source", lambda r: {**license_(r), **source(r)}, ("joined tables", by_tables)
    yield "filters, three", lambda r: {**license_(r), **source(r), **keyword(r)}, ("joined tables", by_tables)
    yield "search in a filter", lambda r: {**license_(r), "q": word(r)}, ("LIKE", by_like)
    yield "search, without a dream", lambda r: {"dreamed": "no", "q": word(r)}, ("LIKE", by_like)
    yield "largest first, a licence", lambda r: {"sort": "largest", **license_(r)}, None
    yield "largest first, a word", lambda r: {"sort": "largest", "q": word(r)}, None
    yield "pictures of a run", lambda _: {"run": run, "near": "show"}, None
    yield "search in a run", lambda r: {"run": run, "q": word(r)}, None
    yield "a picture", lambda r: (r.randrange(1, items), {"q": word(r)}), None


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


def measure_ingest(folder: Path, pictures: int) -> dict[str, Any]:
    """Ingest new pictures; the time that units of work take, against the whole and against plain SQL."""
    from pipeline.images import ImageLimits
    from pipeline.inbox import InboxWriter
    from pipeline.ingest.ingest import ingest_inbox
    from pipeline.records import CrawlReport
    from pipeline.store import Store

    with tempfile.TemporaryDirectory(dir=folder, prefix="ingest-") as name:
        root = Path(name)
        say(f"making {pictures:,} pictures of 2048 x 1536")
        with InboxWriter.create(root / "inbox", crawl_id="bench", about={}) as writer:
            for number in range(pictures):
                writer.add(record(number), photograph(number))
            writer.seal(CrawlReport(inbox=str(root / "inbox" / "bench")))
        with open_catalog(root / "catalog.sqlite3") as catalog:
            database = Stopwatch(catalog)
            started, used = time.perf_counter(), cpu_seconds()
            report = ingest_inbox(
                root / "inbox" / "bench",
                catalog=catalog,
                store=Store(root / "store"),
                run_id=None,
                limits=ImageLimits(),
                near_distance=31,
            )
            seconds, cpu = time.perf_counter() - started, cpu_seconds() - used
        plain = plain_inserts(root / "plain.sqlite3", pictures)
    kept = report.accepted + report.near_duplicates
    found = {
        "pictures": pictures,
        "kept": kept,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "database_seconds": database.seconds,
        "database_cpu_seconds": database.cpu_seconds,
        "database_share": database.cpu_seconds / cpu,
        "plain_sqlite3_cpu_seconds": plain,
        "ratio": database.cpu_seconds / plain,
    }
    each, each_database, each_plain = (part / pictures * 1e3 for part in (cpu, database.cpu_seconds, plain))
    say(
        f"ingest of {pictures:,} pictures ({kept} kept): {seconds:.1f} s, {pictures / seconds:.0f} a second; CPU"
        f" for each {each:.1f} ms in all processes, of these {each_database:.2f} in the catalog:"
        f" {found['database_share']:.1%} (to reach: {TARGET_SHARE:.0%}); the same by sqlite3 alone, without search"
        f" and duplicates: {each_plain:.2f} ms (x{found['ratio']:.1f})"
    )
    return found


def cpu_seconds() -> float:
    """Of this process and those of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Stopwatch:
    """Adds up the time in a catalog's units of work, whatever they do there."""

    def __init__(self, catalog: Catalog) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        for name in ("read", "write"):
            setattr(catalog, name, self._timed(getattr(catalog, name)))

    def _timed(self, unit: Callable[[], Any]) -> Callable[[], Any]:
        @contextlib.contextmanager
        def work() -> Iterator[Any]:
            started, used = time.perf_counter(), time.thread_time()
            try:
                with unit() as uow:
                    yield uow
            finally:
                self.seconds += time.perf_counter() - started
                self.cpu_seconds += time.thread_time() - used

        return work


def photograph(number: int) -> bytes:
    """A JPEG of smooth shapes and grain, unlike every other one."""
    import numpy as np
    from PIL import Image

    random_ = np.random.default_rng(number)
    small = Image.fromarray(random_.integers(0, 256, size=(9, 12, 3), dtype=np.uint8))
    large = np.asarray(small.resize((2048, 1536), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random_.integers(-9, 10, size=(1536, 2048, 1))
    out = io.BytesIO()
    Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def record(number: int) -> Any:
    """What a crawl says of a picture."""
    from pipeline.records import CrawlRecord, HttpFacts, KeywordMatch, Outcome

    url = f"https://pictures.example/{number}.jpg"
    return CrawlRecord(
        outcome=Outcome.FETCHED,
        source="website",
        source_argument="https://pictures.example/",
        image_url=url,
        page_url=f"https://pictures.example/page/{number // 20}",
        found_at="2026-03-01T10:00:00+00:00",
        matches=(KeywordMatch("windmill", ("title",), 0.5), KeywordMatch("mill", ("tags",), 0.2)),
        title=f"An old mill, number {number}",
        alt="A mill",
        caption="The mill by the river as it stood before the flood, seen from the bridge",
        tags=("mill", "river", "bridge"),
        creator="Jane Doe",
        http=HttpFacts(url, 200, content_type="image/jpeg", etag=f'"{number}"'),
    )


def plain_inserts(path: Path, pictures: int) -> float:
    """CPU seconds for blob, item, sighting, keywords and ledger by sqlite3 alone, one transaction a picture."""
    open_catalog(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    now = "2026-03-01 10:00:00"
    started = time.process_time()
    for number in range(pictures):
        said, digest = record(number), f"{number:064x}"
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO blob(sha256, size_bytes, media_type, created_at) VALUES (?, 1, 'image/jpeg', ?)", (digest, now)
        )
        item = connection.execute(
            "INSERT INTO item(blob_sha256, pixel_sha256, width, height, format, frames, title, creator, created_at)"
            " VALUES (?, ?, 1024, 768, 'JPEG', 1, ?, ?, ?)",
            (digest, digest, said.title, said.creator, now),
        ).lastrowid
        connection.execute(
            "INSERT INTO sighting(item_id, blob_sha256, relation, source, source_argument, image_url, page_url, title,"
            " alt, caption, tags, creator, http, fetched_at, last_seen_at)"
            " VALUES (?, ?, 'first', 'website', ?, ?, ?, ?, ?, ?, ?, ?, '{}', ?, ?)",
            (item, digest, said.source_argument, said.image_url, said.page_url, said.title, said.alt, said.caption,
             json.dumps(said.tags), said.creator, now, now),
        )  # fmt: skip
        for match in said.matches:
            connection.execute(
                "INSERT INTO item_keyword VALUES (?, ?, ?, ?)",
                (item, match.keyword, json.dumps(match.fields), match.score),
            )
        connection.execute(
            "INSERT INTO fetch(image_url, state, item_id, sha256, http_status, etag, attempts, first_tried_at,"
            " last_tried_at) VALUES (?, 'kept', ?, ?, 200, ?, 1, ?, ?)",
            (said.image_url, item, digest, said.http.etag, now, now),
        )
        connection.execute("COMMIT")
    seconds = time.process_time() - started
    connection.close()
    return seconds


def reaches(report: dict[str, Any]) -> bool:
    """Whether the targets are reached."""
    rows = report.get("queries", [])
    fast = not rows or rows[-1]["p95_ms"] <= TARGET_MS
    return fast and report.get("ingest", {}).get("database_share", 0.0) <= TARGET_SHARE


if __name__ == "__main__":
    main()

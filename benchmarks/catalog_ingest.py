"""What taking pictures in costs: the database's share of it, and the same rows by Python's sqlite3 alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.images import ImageLimits
from pipeline.inbox import InboxWriter
from pipeline.ingest.examining import Examiner
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import CrawlRecord, CrawlReport, HttpFacts, KeywordMatch, Outcome
from pipeline.store import Store

WIDTH, HEIGHT = 1600, 1200
TARGET_SHARE = 0.15
_INBOX = 1_000  # pictures in one, so that the disk need not hold all of them twice
_MADE = 64  # pictures that are encoded; all others are put together from strips of these
_STRIP_ROWS = 15  # of blocks of 16 lines
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


def measure_ingest(folder: Path, pictures: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Ingest new pictures; the time that units of work take, against the whole and against plain SQL."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="ingest-") as name:
        root = Path(name)
        jpegs = Jpegs()
        seconds = own = 0.0
        kept = size = 0
        children = _of_children()
        with open_catalog(root / "catalog.sqlite3") as catalog, Examiner() as examiner:
            with catalog.write() as uow:
                run_id = uow.runs.start(
                    "run", keywords=["mill"], source="website", parameters={}, process="m:1:1", version="1"
                )
            database = Stopwatch(catalog)
            for first in range(0, pictures, _INBOX):
                numbers = range(first, min(first + _INBOX, pictures))
                inbox = root / "inbox" / f"crawl-{first}"
                with InboxWriter.create(inbox.parent, crawl_id=inbox.name, about={}) as writer:
                    for number in numbers:
                        data = jpegs.picture(number)
                        size += len(data)
                        writer.add(record(number), data)
                    writer.seal(CrawlReport(inbox=str(inbox)))
                started, used = time.perf_counter(), time.process_time()
                report = ingest_inbox(
                    inbox,
                    catalog=catalog,
                    store=Store(root / "store"),
                    run_id=run_id,
                    limits=ImageLimits(),
                    near_distance=31,
                    examiner=examiner,
                )
                seconds += time.perf_counter() - started
                own += time.process_time() - used
                kept += report.accepted + report.near_duplicates
                say(f"  {numbers.stop:,} of {pictures:,} taken in, {seconds:.0f} s")
        decoding = _of_children() - children  # told by the system once they have ended
        cpu = own + decoding
        plain = plain_inserts(root / "plain.sqlite3", pictures)
    found = {
        "pictures": pictures,
        "kept": kept,
        "size": f"{WIDTH}x{HEIGHT}",
        "bytes_each": size / pictures,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "decoding_cpu_seconds": decoding,
        "database_seconds": database.seconds,
        "database_cpu_seconds": database.cpu_seconds,
        "database_share": database.cpu_seconds / cpu,
        "plain_sqlite3_cpu_seconds": plain,
        "ratio": database.cpu_seconds / plain,
    }
    each, each_decoding, each_database, each_plain = (
        part / pictures * 1e3 for part in (cpu, decoding, database.cpu_seconds, plain)
    )
    say(
        f"ingest of {pictures:,} pictures of {WIDTH}x{HEIGHT} and {size / pictures / 1e3:.0f} KB ({kept:,} kept):"
        f" {seconds:.1f} s, {pictures / seconds:.0f} a second; CPU for each {each:.1f} ms in all processes, of these"
        f" {each_decoding:.1f} in those that decode and {each_database:.2f} in the catalog:"
        f" {found['database_share']:.1%} (to reach: below {TARGET_SHARE:.0%}); the same rows by sqlite3 alone,"
        f" without search and duplicates: {each_plain:.2f} ms (x{found['ratio']:.1f})"
    )
    return found


def _of_children() -> float:
    """CPU seconds of the child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


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


class Jpegs:
    """Any number of different JPEGs, of which only some are encoded.

    Each row of blocks is encoded by itself (restart markers), so that rows of several files make a new one: as if that
    picture had been encoded, in a hundredth of the time.
    """

    def __init__(self) -> None:
        parts = [_rows(_encoded(number)) for number in range(_MADE)]
        [self._head] = {head for head, _ in parts}
        self._rows = [rows for _, rows in parts]

    def picture(self, number: int) -> bytes:
        """A JPEG of smooth shapes and grain in five strips, unlike every other one."""
        random_ = random.Random(f"picture {number}")
        rows: list[bytes] = []
        count = len(self._rows[0])
        while len(rows) < count:
            start = random_.randrange(count - _STRIP_ROWS + 1)
            rows += random_.choice(self._rows)[start : start + _STRIP_ROWS]
        marked = [row + bytes((0xFF, 0xD0 + at % 8)) for at, row in enumerate(rows[: count - 1])]
        return b"".join((self._head, *marked, rows[count - 1], b"\xff\xd9"))


def _encoded(number: int) -> bytes:
    random_ = np.random.default_rng(number)
    small = Image.fromarray(random_.integers(0, 256, size=(9, 12, 3), dtype=np.uint8))
    large = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random_.integers(-9, 10, size=(HEIGHT, WIDTH, 1))
    out = io.BytesIO()
    Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8)).save(
        out, "JPEG", quality=85, restart_marker_rows=1
    )
    return out.getvalue()


def _rows(jpeg: bytes) -> tuple[bytes, list[bytes]]:
    """What stands before the first row of blocks, and the rows."""
    scan = jpeg.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
    return jpeg[:start], _RESTART.split(jpeg[start:-2])


def record(number: int) -> CrawlRecord:
    """What a crawl says of a picture."""
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

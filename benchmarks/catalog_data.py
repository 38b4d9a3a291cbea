"""A made-up catalog of a million pictures: rows by SQL, the same every time, indexed by the code that ingest uses."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from pipeline.catalog.engine import catalog_url, make_engine, open_catalog
from pipeline.catalog.search_index import index, rebuild

KEYWORDS = tuple(f"keyword {n}" for n in range(200))
LICENSES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "PDM-1.0", "CC-BY-2.0", "CC-BY-SA-3.0")
SOURCES = ("website", "openverse", "wikimedia", "met", "nasa", "internet-archive", "flickr", "folder")
PRESETS = ("menagerie", "jewel-box", "paper-single", "paper-multi", "paper-octave")
TAGS = ("for print", "wall", "blue", "to do", "best")
JAPANESE = "\u6771\u4eac\u30bf\u30ef\u30fc\u306e\u591c\u666f\u3068\u4eac\u90fd\u306e\u5ead\u5712"
WORDS = 6_000
ITEMS_OF_A_RUN = 10_000
MET_AGAIN = 97  # one run met each 97th picture once more
VERSION = 2
"""Of what is made up: one more with every change, so that no catalog that was kept is taken for it."""

_BATCH = 5_000

# A quadratic hash of the number `n` and a salt, about evenly in 0-1, within 64-bit integers: the same everywhere.
_H = "(({n} * 7919 + {salt} * 104729) % 1048573)"
_U = f"({_H} * ({_H} * 31 + 40503 + {{salt}}) % 1048573) / 1048573.0"


def runs_of(items: int) -> tuple[int, int]:
    """A run that brought new pictures, as many as any, and the one that met old ones everywhere in the catalog."""
    return max(1, items // ITEMS_OF_A_RUN), items // ITEMS_OF_A_RUN + 2


def uniform(salt: int, n: str = "i.n") -> str:
    """SQL for a number in 0-1 that depends on `n` and the salt."""
    return _U.format(n=n, salt=salt)


def skewed(salt: int, many: int, n: str = "i.n") -> str:
    """SQL for a number in 0 to many - 1, low ones far more often."""
    u = uniform(salt, n)
    return f"CAST({u} * {u} * {u} * {many} AS INTEGER)"


def word(number: int) -> str:
    """The word with this rank; of letters only, three to nine of them."""
    letters = []
    number += 676
    while number:
        number, rest = divmod(number, 26)
        letters.append("bcdfghjklmnpqrstvwxz"[rest % 20] + "aeiouy"[rest % 6])
    return "".join(letters)[: 3 + len(letters) * 2]


def generate(path: Path, items: int) -> dict[str, float]:
    """Fill a new catalog; seconds for each part."""
    open_catalog(path).close()
    times: dict[str, float] = {}
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("PRAGMA temp_store = MEMORY")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    started = time.monotonic()
    connection.execute("BEGIN")
    for statement in _rows(connection, items):
        connection.execute(statement)
    connection.execute("COMMIT")
    times["rows"] = time.monotonic() - started
    started = time.monotonic()
    connection.close()
    engine = make_engine(catalog_url(path))
    with engine.begin() as indexing:
        for first in range(1, items + 1, _BATCH):
            index(indexing, range(first, min(items, first + _BATCH - 1) + 1))
        rebuild(indexing)
    engine.dispose()
    connection = sqlite3.connect(path, isolation_level=None)
    for _, sql in triggers:
        connection.execute(sql)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("ANALYZE")
    connection.close()
    times["index"] = time.monotonic() - started
    return times


def _rows(connection: sqlite3.Connection, items: int) -> list[str]:
    connection.execute("CREATE TEMP TABLE i(n INTEGER PRIMARY KEY)")
    connection.execute("CREATE TEMP TABLE w(n INTEGER PRIMARY KEY, t TEXT)")
    connection.executemany("INSERT INTO w VALUES (?, ?)", [(n, word(n)) for n in range(WORDS)])
    for name, values in (("l", LICENSES), ("o", SOURCES), ("p", PRESETS), ("k", KEYWORDS), ("g", TAGS)):
        connection.execute(f"CREATE TEMP TABLE {name}(n INTEGER PRIMARY KEY, t TEXT)")
        connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", list(enumerate(values)))

    def pick(table: str, number: str) -> str:
        return f"(SELECT t FROM {table} WHERE {table}.n = {number})"

    def text(salt: int, length: int) -> str:
        return " || ' ' || ".join(pick("w", skewed(salt + k, WORDS)) for k in range(length))

    digest = "printf('%064x', i.n * 7919 + {})"
    now = "'2026-03-01 10:00:00.000000'"
    runs = items // ITEMS_OF_A_RUN + 1
    title = f"CASE WHEN i.n % 500 = 0 THEN '{JAPANESE}' ELSE {text(100, 4)} END"
    return [
        f"""WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {items})
        INSERT INTO i SELECT n FROM c""",
        f"""INSERT INTO run(id, kind, status, process, keywords, source, parameters, counters, version, started_at)
        SELECT i.n, 'run', 'done', 'm:1:1', '["keyword 1"]', 'website=x', '{{}}', '{{"found": 10}}', '1', {now}
        FROM i WHERE i.n <= {runs} + 1""",
        f"""INSERT INTO blob(sha256, size_bytes, media_type, created_at)
        SELECT {digest.format(0)}, 50000 + i.n % 90000, 'image/jpeg', {now} FROM i""",
        f"""INSERT INTO item(id, blob_sha256, pixel_sha256, width, height, format, frames, title, creator, license_id,
            license_url, near_duplicate_of_id, near_duplicate_distance, created_at, first_run_id, withdrawn_at)
        SELECT i.n, {digest.format(0)}, {digest.format(3)},
            640 + CAST({uniform(1)} * 3400 AS INTEGER), 480 + CAST({uniform(2)} * 2600 AS INTEGER), 'JPEG', 1,
            {title}, {pick("w", skewed(3, 900))} || ' ' || {pick("w", skewed(4, 900))},
            CASE WHEN {uniform(5)} < 0.1 THEN NULL ELSE {pick("l", skewed(6, len(LICENSES)))} END,
            'https://creativecommons.org/', CASE WHEN i.n > 10 AND {uniform(7)} < 0.05 THEN i.n - 10 END, NULL,
            {now}, 1 + i.n / {ITEMS_OF_A_RUN}, CASE WHEN {uniform(8)} < 0.01 THEN {now} END FROM i""",
        # A star, never a chain: what another is near to is near to none.
        """UPDATE item SET near_duplicate_of_id = NULL WHERE near_duplicate_of_id IN
        (SELECT id FROM item WHERE near_duplicate_of_id IS NOT NULL)""",
        f"""INSERT INTO sighting(item_id, run_id, blob_sha256, relation, source, source_argument, image_url, page_url,
            title, alt, caption, tags, creator, http, fetched_at, last_seen_at)
        SELECT i.n, 1 + i.n / {ITEMS_OF_A_RUN}, {digest.format(0)}, 'first', {pick("o", skewed(9, len(SOURCES)))}, 'x',
            'https://pictures.example/' || i.n || '.jpg', 'https://pictures.example/page/' || (i.n / 20), NULL,
            {text(10, 3)}, {text(20, 10)}, json_array({pick("w", skewed(30, 900))}, {pick("w", skewed(31, 900))}), NULL,
            '{{"status": 200, "content_type": "image/jpeg"}}', {now}, {now} FROM i""",
        f"""INSERT INTO item_keyword(item_id, keyword, fields, score)
        SELECT i.n, {pick("k", skewed(40, len(KEYWORDS)))}, '["title"]', 0.5 FROM i""",
        f"""INSERT OR IGNORE INTO item_keyword(item_id, keyword, fields, score)
        SELECT i.n, {pick("k", skewed(41, len(KEYWORDS)))}, '["tags"]', 0.2 FROM i""",
        f"""INSERT INTO run_item(run_id, item_id, role, position)
        SELECT 1 + i.n / {ITEMS_OF_A_RUN}, i.n, 'accepted', i.n % {ITEMS_OF_A_RUN} FROM i""",
        f"""INSERT INTO run_item(run_id, item_id, role, position)
        SELECT {runs} + 1, i.n, 'known', i.n / {MET_AGAIN} FROM i WHERE i.n % {MET_AGAIN} = 0""",
        f"""INSERT INTO item_tag(item_id, tag, added_at)
        SELECT i.n, {pick("g", skewed(50, len(TAGS)))}, {now} FROM i WHERE {uniform(51)} < 0.05""",
        f"""INSERT INTO item_rating(item_id, stars, rated_at)
        SELECT i.n, 1 + CAST({uniform(52)} * 5 AS INTEGER), {now} FROM i WHERE {uniform(53)} < 0.05""",
        f"""INSERT INTO blob(sha256, size_bytes, media_type, created_at)
        SELECT {digest.format(5)}, 90000, 'image/png', {now} FROM i WHERE {uniform(54)} < 0.1""",
        f"""INSERT INTO derivation(key, item_id, run_id, preset, network, recipe, recipe_sha256, weights_sha256,
            blob_sha256, pixel_sha256, width, height, file_name, manifest, manifest_sha256, seconds, created_at)
        SELECT {digest.format(6)}, i.n, 1, {pick("p", skewed(55, len(PRESETS)))}, 'efficientnet_lite0', '{{}}',
            {digest.format(7)}, {digest.format(8)}, {digest.format(5)}, {digest.format(9)}, 640, 480,
            'dream-' || i.n || '.png', json_object('text', {text(60, 40)}), {digest.format(10)}, 2.5, {now}
        FROM i WHERE {uniform(54)} < 0.1""",
    ]

"""How the search for duplicates grows with the catalog: memory, time to be ready, one new picture against all."""

from __future__ import annotations

import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from duplicates_edits import jpeg
from duplicates_index import beside_faiss
from duplicates_pictures import photographs
from duplicates_tools import run_tool
from numpy.typing import NDArray
from PIL import Image

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.duplicates.search import ALGORITHMS, DuplicateSearch
from pipeline.duplicates.signatures import ALGORITHM, Signature, sign
from pipeline.duplicates.tiers import Tier
from pipeline.images import decode

_PHOTOS = 40
_PEERS_AT = 10_000
_ROWS_AT_ONCE = 50_000
Say = Callable[[str], None]


def scale(most: int, python: Path | None, say: Say) -> dict[str, Any]:
    """Catalogs of a hundredth, a tenth and the whole of `most` pictures.

    Hashes at random, one picture in ten with two of them. Half of the photographs asked about have an edited copy in
    the catalog, which must be found: that takes the thumbnails from the catalog and lays them over one another.
    """
    photos = [np.asarray(image) for image in list(photographs().values())[:_PHOTOS]]
    copies = {at + 1: sign(_edited(photo)) for at, photo in enumerate(photos[::2])}
    rows: dict[str, Any] = {}
    say("\none new picture against a catalog (SQLite): hashes at random, one picture in ten with two of them")
    titles = (
        ("pictures", 10),
        ("hashes", 10),
        ("ready s", 9),
        ("CPU s", 8),
        ("bytes/picture", 15),
        ("sign CPU ms", 13),
    )
    titles += (("search CPU ms", 15), ("most", 8), ("copy found, ms", 16))
    say("".join(f"{title:>{width}}" for title, width in titles))
    for count in sorted({max(1000, most // 100), max(1000, most // 10), most}):
        with tempfile.TemporaryDirectory() as folder, open_catalog(Path(folder) / "catalog.sqlite3") as catalog:
            hashes = fill_catalog(Path(folder) / "catalog.sqlite3", count, copies)
            row = {"hashes": hashes, **_measured(catalog, photos, count)}
        values = (f"{count:10}", f"{hashes:10}", f"{row['ready_seconds']:9.2f}", f"{row['ready_cpu_seconds']:8.2f}")
        values += (f"{row['bytes_per_picture']:15.1f}", f"{row['sign_ms']:13.2f}", f"{row['search_ms']:15.2f}")
        values += (f"{row['most_ms']:8.2f}", f"{row['copy_ms']:16.2f}")
        say("".join(values))
        rows[str(count)] = row
    say(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    rows["faiss"] = beside_faiss(most, say)
    rows["peers"] = _peers(photos[0], python, say)
    return rows


def _edited(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(photo)
    return decode(jpeg(70)(image.resize((image.width * 3 // 4, image.height * 3 // 4)))).rgb


def _measured(catalog: Catalog, photos: Sequence[NDArray[np.uint8]], count: int) -> dict[str, float]:
    search = DuplicateSearch()
    started, cpu = time.monotonic(), time.process_time()
    with catalog.read() as uow:
        search.sync(uow)
    ready, ready_cpu = time.monotonic() - started, time.process_time() - cpu
    signing: list[float] = []
    searching: dict[bool, list[float]] = {True: [], False: []}
    for at, rgb in enumerate(photos):
        started = time.process_time()
        signature = sign(rgb)
        signed = time.process_time()
        with catalog.read() as uow:
            found = search.matches(uow, signature.hashes, signature.views)
        searching[at % 2 == 0].append(1000 * (time.process_time() - signed))
        signing.append(1000 * (signed - started))
        near = [match.item_id for match in found if match.tier is Tier.NEAR]
        if near != ([at // 2 + 1] if at % 2 == 0 else []):
            raise SystemExit(f"photograph {at}: the near duplicates are items {near}")
    return {
        "ready_seconds": ready,
        "ready_cpu_seconds": ready_cpu,
        "bytes_per_picture": search.memory_bytes / count,
        "sign_ms": statistics.median(signing),
        "search_ms": statistics.median(searching[False]),
        "most_ms": max(searching[False]),
        "copy_ms": statistics.median(searching[True]),
    }


def fill_catalog(path: Path, count: int, copies: dict[int, Signature]) -> int:
    """Write items' hashes at random, and those of some copies; how many. The catalog would take half an hour."""
    random = np.random.default_rng(1)
    written = 0
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    for start in range(1, count + 1, _ROWS_AT_ONCE):
        ids = range(start, min(start + _ROWS_AT_ONCE, count + 1))
        bits = random.bytes(64 * len(ids))
        rows = [(item, ALGORITHMS[0], bits[64 * at : 64 * at + 32]) for at, item in enumerate(ids)]
        rows += [
            (item, ALGORITHMS[1], bits[64 * at + 32 : 64 * at + 64]) for at, item in enumerate(ids) if item % 10 == 0
        ]
        rows = [(item, name, copies[item].hashes.get(name, own) if item in copies else own) for item, name, own in rows]
        connection.executemany("INSERT INTO fingerprint(item_id, algorithm, bits) VALUES (?, ?, ?)", rows)
        written += len(rows)
    connection.executemany(
        "INSERT INTO signature(item_id, algorithm, views, searched) VALUES (?, ?, ?, 1)",
        [(item, ALGORITHM, signature.views) for item, signature in copies.items()],
    )
    connection.commit()
    connection.close()
    return written


def _peers(photo: NDArray[np.uint8], python: Path | None, say: Say) -> dict[str, float]:
    """What the others take for one new picture at a size that they can be waited for."""
    random = np.random.default_rng(2)
    own = imagehash.phash(Image.fromarray(photo))
    hashes = [imagehash.ImageHash(random.integers(0, 2, (8, 8)).astype(bool)) for _ in range(_PEERS_AT)]
    started = time.process_time()
    near = sum(own - other <= 10 for other in hashes)
    found = {"ImageHash": time.process_time() - started}
    say(f"ImageHash, {_PEERS_AT} hashes subtracted one by one: {found['ImageHash']:.3f} CPU s ({near} near)")
    if python is not None:
        try:
            answer = run_tool(python, f"grow:{_PEERS_AT}")
        except RuntimeError as error:
            say(str(error))
        else:
            found |= {"imagededup": float(answer["cpu_seconds"]), "imagededup, by the clock": float(answer["seconds"])}
            say(
                f"imagededup, find_duplicates of {_PEERS_AT} hashes and a new one: {found['imagededup']:.1f} CPU s, "
                f"{found['imagededup, by the clock']:.1f} s by the clock"
            )
    return found

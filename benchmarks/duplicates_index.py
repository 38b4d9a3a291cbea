"""The index of hashes beside the flat binary one of faiss, over the same hashes: one turn of a picture, and all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from pipeline.duplicates.hashes import HASH_BYTES, TURNS
from pipeline.duplicates.index import HashIndex
from pipeline.duplicates.tiers import REVIEW_DISTANCE, TURNED_DISTANCE

_QUERIES = 30
Say = Callable[[str], None]


def beside_faiss(count: int, say: Say) -> dict[str, float]:
    """Median CPU time of one query, in ms, of each; nothing where faiss is not installed. One thread."""
    try:
        import faiss
    except ImportError:
        say("faiss is not installed: its flat binary index is left out")
        return {}
    random = np.random.default_rng(3)
    hashes = random.integers(0, 256, (count, HASH_BYTES), dtype=np.uint8)
    # Its time does not depend on what is asked, so that other hashes stand for the turned ones.
    queries = random.integers(0, 256, (_QUERIES, len(TURNS), HASH_BYTES), dtype=np.uint8)
    own = HashIndex()
    own.extend(range(count), hashes.tobytes())
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexBinaryFlat(8 * HASH_BYTES)
    flat.add(hashes)
    # faiss gives what is below the radius, ours what is not above it.
    ways: dict[str, Callable[[int], object]] = {
        "ours, one turn": lambda at: own.within(queries[at, 0].tobytes(), REVIEW_DISTANCE),
        "faiss, one turn": lambda at: flat.range_search(queries[at, :1], REVIEW_DISTANCE + 1),
        "ours, eight turns": lambda at: own.within(
            queries[at, 0].tobytes(), REVIEW_DISTANCE, turned_radius=TURNED_DISTANCE
        ),
        "faiss, eight turns": lambda at: flat.range_search(queries[at], REVIEW_DISTANCE + 1),
    }
    found = {name: _median(ask) for name, ask in ways.items()}
    for turns in ("one turn", "eight turns"):
        ours, theirs = found[f"ours, {turns}"], found[f"faiss, {turns}"]
        say(f"{count} hashes, {turns}: ours {ours:.2f} CPU ms, faiss {theirs:.2f}, {theirs / ours:.2f} times ours")
    return found


def _median(ask: Callable[[int], object]) -> float:
    taken = []
    for at in range(_QUERIES):
        started = time.process_time()
        ask(at)
        taken.append(1000 * (time.process_time() - started))
    return statistics.median(taken)

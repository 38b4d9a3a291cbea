from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.duplicates import index as index_module
from pipeline.duplicates.hashes import TURNS
from pipeline.duplicates.index import HashIndex, Hit
from tests.support.hashes import hamming_distance, turned_hash

HASHES = st.binary(min_size=32, max_size=32)


def _near(bits: bytes, flips: list[int]) -> bytes:
    value = int.from_bytes(bits, "big")
    for flip in flips:
        value ^= 1 << flip
    return value.to_bytes(32, "big")


def _by_comparing_all(
    entries: list[tuple[int, bytes]], query: bytes, radius: int, turned_radius: int | None
) -> list[Hit]:
    hits = []
    for number, turn in enumerate(TURNS):
        limit = radius if number == 0 else -1 if turned_radius is None else turned_radius
        asked = turned_hash(query, turn)
        hits += [Hit(d, i, number) for i, bits in entries if (d := hamming_distance(asked, bits)) <= limit]
    return sorted(hits)


@settings(deadline=None, max_examples=150)
@given(
    hashes=st.lists(HASHES, max_size=40),
    query=HASHES,
    flips=st.lists(st.integers(0, 255), max_size=60, unique=True),
    turn=st.sampled_from(TURNS),
    radius=st.integers(0, 256),
    turned_radius=st.none() | st.integers(0, 256),
    block=st.sampled_from([1, 7, 65_536]),
    data=st.data(),
)
def test_the_index_finds_what_comparing_all_finds(hashes, query, flips, turn, radius, turned_radius, block, data):
    if hashes:  # else nearly every random hash is 128 bits away
        query = turned_hash(_near(data.draw(st.sampled_from(hashes)), flips), turn)
    entries = [(10 + at // 2, bits) for at, bits in enumerate(hashes)]  # two hashes under each id
    index = HashIndex()
    cut = len(entries) // 2
    index.extend([i for i, _ in entries[:cut]], b"".join(bits for _, bits in entries[:cut]))
    for entry_id, bits in entries[cut:]:
        index.add(entry_id, bits)
    before, index_module._BLOCK = index_module._BLOCK, block
    try:
        found = index.within(query, radius, turned_radius=turned_radius)
    finally:
        index_module._BLOCK = before

    assert len(index) == len(hashes)
    assert found == _by_comparing_all(entries, query, radius, turned_radius)


@settings(deadline=None, max_examples=50)
@given(hashes=st.lists(HASHES, min_size=1, max_size=20, unique=True), gone=st.integers(0, 19))
def test_what_was_removed_is_not_found(hashes: list[bytes], gone: int) -> None:
    index = HashIndex()
    index.extend(range(len(hashes)), b"".join(hashes))

    index.remove(gone)
    index.add(99, hashes[0])

    assert {hit.entry_id for bits in hashes for hit in index.within(bits, 0)} == (set(range(len(hashes))) - {gone}) | {
        99
    }


def test_a_hash_that_is_wholly_inverted_is_as_far_as_can_be() -> None:
    index = HashIndex()
    index.add(1, b"\xff" * 32)

    assert index.within(bytes(32), 255) == []
    assert index.within(bytes(32), 256) == [Hit(256, 1, 0)]


def test_a_loaded_index_takes_36_bytes_for_a_hash() -> None:
    index = HashIndex()
    index.reserve(100_000)
    for _ in range(10):
        index.extend(range(10_000), np.random.default_rng(1).bytes(320_000))

    assert index.memory_bytes == 3_600_000


def test_as_many_hashes_as_ids_are_taken() -> None:
    with pytest.raises(ValueError, match="2 hashes of 32 bytes"):
        HashIndex().extend([1, 2], bytes(63))

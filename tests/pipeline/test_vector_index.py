from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.duplicates import vector_index as vector_index_module
from pipeline.duplicates.index import HashIndex
from pipeline.duplicates.kept_index import KeptIndex
from pipeline.duplicates.vector_index import FlatIndex, Neighbour, VectorIndex, make_index
from pipeline.duplicates.vectors import as_kept, pack, unpack

HAS_FAISS = importlib.util.find_spec("faiss") is not None
LENGTH = 5
# Few values, so that many vectors are equal or as far from the query as another one.
VECTORS = st.lists(st.integers(-2, 2), min_size=LENGTH, max_size=LENGTH).filter(any)


def indexes(length: int) -> list[VectorIndex]:
    made: list[VectorIndex] = [FlatIndex(length)]
    if HAS_FAISS:
        from pipeline.duplicates.faiss_index import FaissIndex

        made.append(FaissIndex(length))
    return made


def unit(rows: list[list[int]]) -> np.ndarray:
    values = np.asarray(rows, np.float32).reshape(-1, LENGTH)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def cosine(one: bytes, other: bytes) -> float:
    """Of two vectors as they are kept, by the formula, in Python's own numbers."""
    a, b = np.frombuffer(one, "<f2").tolist(), np.frombuffer(other, "<f2").tolist()
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(
        math.fsum(x * x for x in a) * math.fsum(y * y for y in b)
    )


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(VECTORS, max_size=60),
    query=VECTORS,
    count=st.integers(0, 70),
    least=st.floats(-1, 1),
    removed=st.sets(st.integers(100, 130)),
)
def test_every_index_finds_what_comparing_all_finds(rows, query, count, least, removed) -> None:
    packed = pack(unit(rows))
    asked = as_kept(unit([query]))
    answers = []
    for index in indexes(LENGTH):
        cut = len(rows) // 3
        index.reserve(cut)
        index.extend(range(100, 100 + cut), b"".join(packed[:cut]))
        for at in range(cut, len(rows)):
            index.extend([100 + at], packed[at])
        for entry_id in removed:
            index.remove(entry_id)
        answers.append((len(index), index.nearest(asked[0], count), index.within(asked, least)[0]))

    left = {100 + at: cosine(packed[at], pack(asked)[0]) for at in range(len(rows)) if 100 + at not in removed}
    size, nearest, within = answers[0]
    assert answers[1:] == answers[:1] * HAS_FAISS
    assert size == len(left)
    for found in (nearest, within):
        assert all(each.cosine == pytest.approx(left[each.entry_id], abs=1e-6) for each in found)
        assert found == sorted(found, key=lambda each: (-each.cosine, each.entry_id))
        assert len({each.entry_id for each in found}) == len(found)
    assert len(nearest) == min(count, len(left))
    if nearest:  # nothing that was left out is nearer
        given_ids = {each.entry_id for each in nearest}
        assert max((value for at, value in left.items() if at not in given_ids), default=-2) < nearest[-1].cosine + 1e-6
    surely = {at for at, value in left.items() if value > least + 1e-6}
    perhaps = {at for at, value in left.items() if value > least - 1e-6}
    assert surely <= {each.entry_id for each in within} <= perhaps


@pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed: pip install dreamcrawl[similar]")
def test_faiss_is_taken_beyond_a_size_and_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(3000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[1000:1200] = vectors[0]  # more copies than faiss is asked for at first
    monkeypatch.setattr(vector_index_module, "FAISS_FROM", 3000)

    flat, faiss = make_index(64, 2999), make_index(64, 3000)
    for index in (flat, faiss):
        index.extend(range(3000), b"".join(pack(vectors)))

    assert [type(index).__name__ for index in (flat, faiss)] == ["FlatIndex", "FaissIndex"]
    queries = as_kept(vectors[[0, 1, 2999]])
    for query in queries:
        assert faiss.nearest(query, 20) == flat.nearest(query, 20)
    assert faiss.within(queries, 0.3) == flat.within(queries, 0.3)
    assert [each.entry_id for each in flat.nearest(queries[0], 20)] == [0, *range(1000, 1019)]


def test_without_faiss_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    monkeypatch.delitem(__import__("sys").modules, "pipeline.duplicates.faiss_index", raising=False)

    assert isinstance(make_index(8, 10**9), FlatIndex)


def test_a_vector_survives_its_keeping() -> None:
    vectors = np.random.default_rng(1).normal(size=(4, 320)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    packed = pack(vectors)
    back = unpack(b"".join(packed), 320)

    assert [len(each) for each in packed] == [640] * 4
    assert np.abs(back - vectors).max() < 2**-11  # half a unit in the last place of what is below 1
    assert np.linalg.norm(back.astype(np.float64), axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_a_picture_that_shows_nothing_is_like_none() -> None:
    index = FlatIndex(LENGTH)
    index.extend([1, 2], b"".join(pack(np.vstack([np.zeros((1, LENGTH), np.float32), unit([[1, 0, 0, 0, 0]])]))))

    assert index.nearest(unit([[1, 0, 0, 0, 0]])[0], 2) == [Neighbour(1.0, 2), Neighbour(0.0, 1)]


def test_whole_vectors_and_as_many_as_ids_are_taken() -> None:
    with pytest.raises(ValueError, match="2 vectors were to be added, got 1"):
        FlatIndex(LENGTH).extend([1, 2], bytes(2 * LENGTH))
    with pytest.raises(ValueError, match="9 bytes are not vectors of 5"):
        FlatIndex(LENGTH).extend([1], bytes(9))


def test_the_index_of_hashes_is_kept_in_step_the_same_way() -> None:
    kept: list[KeptIndex] = [HashIndex(), *indexes(16)]

    for index in kept:
        index.reserve(2)
        index.extend([4, 7], bytes(range(1, 65)))
        index.remove(4)
        assert len(index) == 1
        assert index.memory_bytes > 0

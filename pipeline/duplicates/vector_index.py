"""Feature vectors in memory, all compared with each query: exact, and the same whichever library does the work.

`FlatIndex` needs numpy alone. Beyond a size `make_index` takes faiss, where it is installed (`pip install
dreamcrawl[similar]`), at half the memory and less time. Each sums in its own order; whatever may be among the answers
is therefore compared once more in float64, the same way for both.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.vectors import Vectors, made_unit, rounded

FAISS_FROM = 50_000
"""Vectors from which on faiss is used where it is installed: benchmarks/similar.py."""

ROUNDING = 1e-4
"""More than a sum of a thousand products of unit vectors can be wrong by in float32, whatever its order."""

_GROWTH = 1.25  # little room to spare, as in the index of hashes
_BLOCK = 65_536  # vectors compared at a time with several queries
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Neighbour:
    """A vector near to a query.

    Attributes:
        cosine: -1 to 1, of the angle between the two.
    """

    cosine: float
    entry_id: int


class VectorIndex(ABC):
    """Vectors under ids; a `pipeline.duplicates.kept_index.KeptIndex`."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._count = 0
        self._ids = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """How many vectors there are."""
        return self._count

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """What the vectors and ids take, room to grow included."""

    def reserve(self, more: int) -> None:
        """Make room for so many more at once, so that none is spent on growing."""
        if self._count + more > len(self._ids):
            self._resize(self._count + more)

    def extend(self, entry_ids: Iterable[int], packed: bytes, /) -> None:
        """Add many: ids, and their vectors one after the other, as `pipeline.duplicates.vectors.pack` gives them.

        Raises:
            ValueError: There are not as many vectors as ids.
        """
        ids = np.fromiter(entry_ids, dtype=np.int64)
        vectors = rounded(packed, self.length)
        if len(vectors) != len(ids):
            raise ValueError(f"{len(ids)} vectors were to be added, got {len(vectors)}")
        end = self._count + len(ids)
        if end > len(self._ids):
            self._resize(max(end, int(len(self._ids) * _GROWTH) + 64))
        self._ids[self._count : end] = ids
        self._put(vectors)
        self._count = end

    def remove(self, entry_id: int) -> None:
        """Remove every vector of an id."""
        gone = np.flatnonzero(self._ids[: self._count] == entry_id)
        if len(gone):
            self._drop(gone)
            self._ids = np.delete(self._ids, gone)
            self._count -= len(gone)

    def nearest(self, query: Vectors, count: int) -> list[Neighbour]:
        """The `count` vectors nearest to one query, shape (length,): nearest first, then by id."""
        count = min(count, len(self))
        if count <= 0:
            return []
        asked = np.ascontiguousarray(query, np.float32).reshape(1, self.length)
        return self._ranked(asked[0], self._near(asked[0], count))[:count]

    def within(self, queries: Vectors, least_cosine: float) -> list[list[Neighbour]]:
        """For each query, of shape (queries, length), every vector with this cosine or more, nearest first."""
        asked = np.ascontiguousarray(queries, np.float32).reshape(-1, self.length)
        if not len(self):
            return [[] for _ in asked]
        found = self._above(asked, least_cosine)
        return [
            [each for each in self._ranked(query, positions) if each.cosine >= least_cosine]
            for query, positions in zip(asked, found, strict=True)
        ]

    def _resize(self, room: int) -> None:
        ids = np.zeros(room, dtype=np.int64)
        ids[: self._count] = self._ids[: self._count]
        self._ids = ids

    @abstractmethod
    def _put(self, vectors: Vectors) -> None:
        """Add vectors behind the others; as they are kept, not quite 1 long."""

    @abstractmethod
    def _drop(self, positions: Positions) -> None:
        """Remove the vectors at these places; those behind move up, in their order."""

    @abstractmethod
    def _near(self, query: Vectors, count: int) -> Positions:
        """Places of at least all vectors that may be among the nearest `count`, 1 to all of them."""

    @abstractmethod
    def _above(self, queries: Vectors, least: float) -> list[Positions]:
        """For each query, places of at least all vectors whose cosine may be as high as this."""

    @abstractmethod
    def _rows(self, positions: Positions) -> Vectors:
        """The vectors at these places, 1 long."""

    def _ranked(self, query: Vectors, positions: Positions) -> list[Neighbour]:
        # Each row by itself: a matrix product sums a row in another order at another place.
        cosines = np.einsum("ij,j->i", self._rows(positions).astype(np.float64), query.astype(np.float64))
        ids = self._ids[positions]
        order = np.lexsort((ids, -cosines))
        return [Neighbour(min(1.0, float(cosines[at])), int(ids[at])) for at in order]


class FlatIndex(VectorIndex):
    """All vectors in one array of numpy: float32, 4 bytes a component."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._vectors: Vectors = np.zeros((0, length), dtype=np.float32)

    @property
    def memory_bytes(self) -> int:
        """What the arrays take, room to grow included."""
        return self._ids.nbytes + self._vectors.nbytes

    def _resize(self, room: int) -> None:
        super()._resize(room)
        vectors = np.zeros((room, self.length), dtype=np.float32)
        vectors[: self._count] = self._vectors[: self._count]
        self._vectors = vectors

    def _put(self, vectors: Vectors) -> None:
        self._vectors[self._count : self._count + len(vectors)] = made_unit(vectors)

    def _drop(self, positions: Positions) -> None:
        self._vectors = np.delete(self._vectors, positions, axis=0)

    def _near(self, query: Vectors, count: int) -> Positions:
        cosines = self._vectors[: self._count] @ query
        worst = np.partition(cosines, len(cosines) - count)[len(cosines) - count]
        return np.flatnonzero(cosines >= worst - 2 * ROUNDING)

    def _above(self, queries: Vectors, least: float) -> list[Positions]:
        found: list[list[Positions]] = [[] for _ in queries]
        for start in range(0, self._count, _BLOCK):
            block = self._vectors[start : min(start + _BLOCK, self._count)]
            rows, columns = np.nonzero(queries @ block.T >= least - ROUNDING)
            for row in np.unique(rows):
                found[row].append(start + columns[rows == row])
        return [np.concatenate(parts) if parts else np.zeros(0, np.intp) for parts in found]

    def _rows(self, positions: Positions) -> Vectors:
        return self._vectors[positions]


def make_index(length: int, expected: int) -> VectorIndex:
    """An index for about so many vectors of this length: faiss for many, where it is installed."""
    if expected >= FAISS_FROM:
        with contextlib.suppress(ImportError):
            from pipeline.duplicates.faiss_index import FaissIndex

            return FaissIndex(length)
    return FlatIndex(length)

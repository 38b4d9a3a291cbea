"""The vector index on faiss, which compares them all, too, and gives the same answers; an optional dependency."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from pipeline.duplicates.vector_index import ROUNDING, Positions, VectorIndex
from pipeline.duplicates.vectors import Vectors, made_unit

# The vectors are held as the catalog keeps them, and so may be 1 in 2,000 longer or shorter than 1.
_MARGIN = ROUNDING + 2.0**-11
_SPARE = 32  # answers beyond those wanted, in which the first one that cannot be among them is nearly always seen
_MORE = 8


class FaissIndex(VectorIndex):
    """All vectors in a flat index of float16, the very numbers of the catalog: 2 bytes a component."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        kind = faiss.ScalarQuantizer.QT_fp16
        self._index: Any = faiss.IndexScalarQuantizer(length, kind, faiss.METRIC_INNER_PRODUCT)

    @property
    def memory_bytes(self) -> int:
        """What the vectors and ids take."""
        return self._ids.nbytes + int(self._index.codes.size())

    def _put(self, vectors: Vectors) -> None:
        self._index.add(vectors)

    def _drop(self, positions: Positions) -> None:
        self._index.remove_ids(positions.astype(np.int64))

    def _near(self, query: Vectors, count: int) -> Positions:
        asked = min(count + _SPARE, len(self))
        while True:
            cosines, positions = self._index.search(query[None], asked)
            worst = cosines[0, count - 1] - 2 * _MARGIN
            if asked == len(self) or cosines[0, -1] < worst:
                return np.asarray(positions[0][cosines[0] >= worst], np.intp)
            asked = min(asked * _MORE, len(self))  # as with many copies of one picture

    def _above(self, queries: Vectors, least: float) -> list[Positions]:
        # Asking for a few and then for more is many times faster than faiss's search for all above a bound.
        found: dict[int, Positions] = {}
        open_, asked, bound = np.arange(len(queries)), min(_SPARE, len(self)), least - _MARGIN
        while len(open_):
            cosines, positions = self._index.search(queries[open_], asked)
            done = (cosines[:, -1] < bound) | (asked == len(self))
            for at in np.flatnonzero(done):
                found[int(open_[at])] = np.asarray(positions[at][cosines[at] >= bound], np.intp)
            open_, asked = open_[~done], min(asked * _MORE, len(self))
        return [found[at] for at in range(len(queries))]

    def _rows(self, positions: Positions) -> Vectors:
        return made_unit(np.asarray(self._index.reconstruct_batch(positions.astype(np.int64)), np.float32))

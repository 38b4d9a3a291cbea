"""Finds pictures that a network takes for alike, among all whose features the catalog has at the moment of asking.

For looking at only: nothing is linked, merged or left out because of what is found here.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.catalog.duplicate_values import Feature
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates.kept_index import catch_up
from pipeline.duplicates.vector_index import Neighbour, VectorIndex, make_index
from pipeline.duplicates.vectors import FeatureAlgorithm, Vectors, as_kept, unpack


@dataclass(frozen=True)
class Similar:
    """An item like the picture that was asked about.

    Attributes:
        cosine: -1 to 1; 1 for the same features.
    """

    item_id: int
    cosine: float


class SimilarSearch:
    """All vectors of one algorithm in memory, loaded when first needed and then kept in step.

    Several processes may write to the catalog: each reads what lies above the last row that it has seen. Threads may
    share a search. Items that were withdrawn are never found.
    """

    def __init__(self, algorithm: FeatureAlgorithm) -> None:
        """Load nothing yet.

        Args:
            algorithm: Whose vectors are compared.
        """
        self.algorithm = algorithm
        self._index: VectorIndex | None = None
        self._last_id = 0
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        """How many vectors are loaded."""
        return 0 if self._index is None else len(self._index)

    def sync(self, uow: UnitOfWork) -> None:
        """Load what has come since the last time."""
        with self._mutex:
            self._sync(uow)

    def like_item(
        self, uow: UnitOfWork, item_id: int, limit: int, *, but: Collection[int] = ()
    ) -> list[Similar] | None:
        """The items most like an item, the most alike first; None where it has no features.

        but: Items to leave out, besides the item itself.
        """
        kept = uow.features.of_item(item_id, self.algorithm.name)
        if kept is None:
            return None
        return self._like(uow, unpack(kept, self.algorithm.length)[0], limit, {item_id, *but})

    def like(self, uow: UnitOfWork, vector: Vectors, limit: int) -> list[Similar]:
        """The items most like a picture with this vector, shape (length,); the most alike first."""
        return self._like(uow, as_kept(vector.reshape(1, -1))[0], limit, ())

    def alike(self, uow: UnitOfWork, vectors: Vectors, least_cosine: float) -> list[list[Similar]]:
        """For each of several vectors, shape (count, length), every item with this cosine or more."""
        with self._mutex:
            index = self._sync(uow)
            return [self._items(uow, index, hits) for hits in index.within(as_kept(vectors), least_cosine)]

    def _like(self, uow: UnitOfWork, query: Vectors, limit: int, but: Collection[int]) -> list[Similar]:
        with self._mutex:
            index = self._sync(uow)
            count = limit + len(but)
            while True:
                hits = index.nearest(query, count)
                found = [one for one in self._items(uow, index, hits) if one.item_id not in but]
                if len(found) >= limit or len(hits) < count:
                    return found[:limit]
                count *= 4  # there are many that may not be shown

    def _sync(self, uow: UnitOfWork) -> VectorIndex:
        name, features = self.algorithm.name, uow.features
        if self._index is None:
            self._index = make_index(self.algorithm.length, features.count_after(0, name))
        self._last_id = catch_up(
            self._index,
            self._last_id,
            count_after=lambda last_id: features.count_after(last_id, name),
            rows_after=lambda last_id: features.after(last_id, name),
        )
        return self._index

    def _items(self, uow: UnitOfWork, index: VectorIndex, hits: Sequence[Neighbour]) -> list[Similar]:
        """Whose the vectors are; of those that may be used. Vectors that are gone from the catalog leave the index."""
        whose: dict[int, Feature] = uow.features.whose([hit.entry_id for hit in hits])
        gone = [hit.entry_id for hit in hits if hit.entry_id not in whose]
        if gone:
            # Another thread may have loaded rows that came after this unit of work began.
            last_id = uow.features.last_id()
            for entry_id in gone:
                if entry_id < last_id:
                    index.remove(entry_id)
        return [
            Similar(whose[hit.entry_id].item_id, hit.cosine)
            for hit in hits
            if hit.entry_id in whose and whose[hit.entry_id].is_usable
        ]

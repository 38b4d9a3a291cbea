"""What a network makes of items, and pairs of items that it takes for much alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, and_, delete, exists, func, select

from pipeline.catalog.duplicate_values import SIMILAR, Feature
from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.tables import DuplicatePairRow, FeatureRow, ItemRow
from pipeline.catalog.upserts import insert_new, table_of
from pipeline.catalog.values import Item

_FEATURE = table_of(FeatureRow)
_ITEM = table_of(ItemRow)


class Features(Repository):
    """Vectors of items under versioned algorithms. Nothing here links or merges items."""

    def add(self, item_id: int, *, algorithm: str, vector: bytes) -> bool:
        """Record what a network makes of an item; False where another process was faster, whose vector stays.

        vector: float16, little-endian.
        """
        row = {"item_id": item_id, "algorithm": algorithm, "vector": vector}
        return insert_new(self._session, FeatureRow, row, unique=("item_id", "algorithm"))

    def of_item(self, item_id: int, algorithm: str) -> bytes | None:
        """An item's vector, or None."""
        query = select(_FEATURE.c.vector).where(_FEATURE.c.item_id == item_id, _FEATURE.c.algorithm == algorithm)
        found = self._session.execute(query).scalar_one_or_none()
        return None if found is None else bytes(found)

    def after(self, feature_id: int, algorithm: str) -> Iterator[tuple[list[int], bytes]]:
        """Every vector of an algorithm above an id, by id, in batches: ids, and the vectors one after the other.

        Nothing below the last id can appear later: writers come one after the other, and ids only grow.
        """
        query = select(_FEATURE.c.id, _FEATURE.c.vector).where(_FEATURE.c.algorithm == algorithm)
        return self._joined(query, _FEATURE.c.id, above=feature_id)

    def count_after(self, feature_id: int, algorithm: str) -> int:
        """How many vectors of an algorithm there are above an id."""
        query = select(func.count()).select_from(_FEATURE)
        query = query.where(_FEATURE.c.id > feature_id, _FEATURE.c.algorithm == algorithm)
        return int(self._session.execute(query).scalar_one())

    def last_id(self) -> int:
        """The highest id on record, of any algorithm; 0 without one."""
        return int(self._session.execute(select(func.max(_FEATURE.c.id))).scalar() or 0)

    def whose(self, feature_ids: Sequence[int]) -> dict[int, Feature]:
        """Those of these vectors that are still on record, by id: whose they are, and whether that may be used."""
        found: dict[int, Feature] = {}
        query = select(_FEATURE.c.id, _FEATURE.c.item_id, _ITEM.c.withdrawn_at.is_(None).label("is_usable"))
        query = query.join(_ITEM, _ITEM.c.id == _FEATURE.c.item_id)
        for batch in chunks(dict.fromkeys(feature_ids)):
            rows = self._session.execute(query.where(_FEATURE.c.id.in_(batch)))
            found |= {row.id: Feature(row.id, row.item_id, bool(row.is_usable)) for row in rows}
        return found

    def missing(self, algorithm: str, *, after_id: int = 0, limit: int = 100) -> list[Item]:
        """Items without a vector of this algorithm that may be used, by id."""
        query = select(_ITEM).where(_ITEM.c.id > after_id, _lacks(algorithm)).order_by(_ITEM.c.id).limit(limit)
        return self._all(Item, query)

    def count_missing(self, algorithm: str) -> int:
        """How many items have no vector of this algorithm and may be used."""
        return int(self._session.execute(select(func.count()).select_from(_ITEM).where(_lacks(algorithm))).scalar_one())

    def forget_withdrawn(self) -> int:
        """Delete the vectors of items that were withdrawn; how many there were."""
        withdrawn = select(_ITEM.c.id).where(_ITEM.c.withdrawn_at.is_not(None))
        found = self._session.execute(
            delete(_FEATURE).where(_FEATURE.c.item_id.in_(withdrawn)).returning(_FEATURE.c.id)
        )
        return len(found.all())

    def list_for_review(self, first_id: int, second_id: int, *, algorithm: str, cosine: float) -> bool:
        """List two items as much alike for a person to look at; False where something is on record about them already.

        Nothing else is done with such a pair: it is never linked, unless a person says that the two are the same.
        """
        low, high = sorted((first_id, second_id))
        nothing = dict.fromkeys(("distance", "decision", "decided_by", "decided_at"))
        row = {
            "first_id": low,
            "second_id": high,
            "tier": SIMILAR,
            "relation": f"alike to the network (cosine {cosine:.3f})",
            "algorithm": algorithm,
            "evidence": {"cosine": round(cosine, 4)},
            "found_at": now(),
        }
        return insert_new(self._session, DuplicatePairRow, row | nothing, unique=("first_id", "second_id"))


def _lacks(algorithm: str) -> ColumnElement[bool]:
    has = exists().where(_FEATURE.c.item_id == _ITEM.c.id, _FEATURE.c.algorithm == algorithm)
    return and_(_ITEM.c.withdrawn_at.is_(None), ~has)

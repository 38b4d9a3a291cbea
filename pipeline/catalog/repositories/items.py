"""Items: each picture once, its keywords and its perceptual hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update

from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.tables import (
    DerivationRow,
    FingerprintRow,
    ItemRow,
    KeywordRow,
    RunItemRow,
    SightingRow,
)
from pipeline.catalog.upserts import insert_for_id, insert_new, insert_or_update, table_of
from pipeline.catalog.values import Item, ItemFilter, ItemKeyword, NewItem, columns_of

_ITEM = table_of(ItemRow)
_KEYWORD = table_of(KeywordRow)
_RUN_ITEM = table_of(RunItemRow)
_SIGHTING = table_of(SightingRow)
_DERIVATION = table_of(DerivationRow)
_FINGERPRINT = table_of(FingerprintRow)
MAX_KEYWORD_LENGTH = 200
EVERY_ITEM = ItemFilter()


class Items(Repository):
    """The pictures of the catalog."""

    def get(self, item_id: int) -> Item | None:
        """One item, or None."""
        return self._one(Item, select(_ITEM).where(_ITEM.c.id == item_id))

    def by_pixel_sha256(self, pixel_sha256: str) -> Item | None:
        """The item with these pixels, or None."""
        return self._one(Item, select(_ITEM).where(_ITEM.c.pixel_sha256 == pixel_sha256))

    def by_sha256(self, sha256: str) -> Item | None:
        """The item with a file of these bytes, be it the first one kept or another with the same pixels; or None."""
        found = self._one(Item, select(_ITEM).where(_ITEM.c.blob_sha256 == sha256))
        if found is not None:
            return found
        sighted = select(_SIGHTING.c.item_id).where(_SIGHTING.c.blob_sha256 == sha256).limit(1)
        return self._one(Item, select(_ITEM).where(_ITEM.c.id == sighted.scalar_subquery()))

    def list(self, wanted: ItemFilter = EVERY_ITEM, *, limit: int | None = 100, after_id: int = 0) -> list[Item]:
        """Items that pass a filter, by id, from the first above `after_id` on; all of them when `limit` is None."""
        query = select(_ITEM).where(_ITEM.c.id > after_id, *_conditions(wanted)).order_by(_ITEM.c.id)
        return self._all(Item, query if limit is None else query.limit(limit))

    def count(self, wanted: ItemFilter = EVERY_ITEM) -> int:
        """How many items pass a filter."""
        query = select(func.count()).select_from(_ITEM).where(*_conditions(wanted))
        return int(self._session.execute(query).scalar_one())

    def representative_ids(self) -> Sequence[int]:
        """Ids of every item that is near to no other, lowest first."""
        query = select(_ITEM.c.id).where(_ITEM.c.near_duplicate_of_id.is_(None)).order_by(_ITEM.c.id)
        return [int(item_id) for item_id in self._session.execute(query).scalars()]

    def representatives_of_run(self, run_id: int) -> Sequence[int]:
        """What a run met, in the order it met it, each near duplicate replaced by the item it resembles; ids, once."""
        query = (
            select(func.coalesce(_ITEM.c.near_duplicate_of_id, _ITEM.c.id))
            .join(_RUN_ITEM, _RUN_ITEM.c.item_id == _ITEM.c.id)
            .where(_RUN_ITEM.c.run_id == run_id)
            .order_by(_RUN_ITEM.c.position, _RUN_ITEM.c.item_id)
        )
        return list(dict.fromkeys(int(item_id) for item_id in self._session.execute(query).scalars()))

    def representatives(self, item_ids: Sequence[int]) -> Sequence[int]:
        """These items, in their order, each near duplicate replaced by the item it resembles; ids, once each."""
        of: dict[int, int] = {}
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_ITEM.c.id, func.coalesce(_ITEM.c.near_duplicate_of_id, _ITEM.c.id))
            of |= {int(i): int(r) for i, r in self._session.execute(query.where(_ITEM.c.id.in_(batch)))}
        return list(dict.fromkeys(of[item_id] for item_id in item_ids if item_id in of))

    def add(self, item: NewItem) -> int | None:
        """Insert an item whose blob is on record; its id, or None when its bytes or pixels are there already."""
        return insert_for_id(self._session, ItemRow, {**columns_of(item), "created_at": now()})

    def fill_in(self, item_id: int, facts: Mapping[str, str | None]) -> None:
        """Set title, creator, license_id and license_url where the item has none; what it has stays.

        A licence's id and address are one fact: the address is only set together with the id.
        """
        item = self.get(item_id)
        if item is None:
            return
        values: dict[str, str | None] = {
            name: facts[name] for name in ("title", "creator") if facts.get(name) and getattr(item, name) is None
        }
        if item.license_id is None and facts.get("license_id"):
            values |= {"license_id": facts["license_id"], "license_url": facts.get("license_url")}
        if values:
            self._session.execute(update(_ITEM).where(_ITEM.c.id == item_id).values(values))

    def keywords(self, item_id: int) -> Sequence[ItemKeyword]:
        """The keywords that an item matched, best score first."""
        query = select(_KEYWORD).where(_KEYWORD.c.item_id == item_id)
        return self._all(ItemKeyword, query.order_by(_KEYWORD.c.score.desc(), _KEYWORD.c.keyword))

    def add_keyword(self, item_id: int, keyword: str, *, fields: Sequence[str], score: float) -> None:
        """Record that an item matched a keyword; of several matches the one with the best score is kept."""
        better = _KEYWORD.c.score < score
        insert_or_update(
            self._session,
            KeywordRow,
            {
                "item_id": item_id,
                "keyword": keyword.casefold()[:MAX_KEYWORD_LENGTH],
                "fields": list(fields),
                "score": score,
            },
            unique=("item_id", "keyword"),
            update={"fields": list(fields), "score": score},
            where=better,
        )

    def add_fingerprint(self, item_id: int, algorithm: str, *, bits: bytes) -> None:
        """Record an item's perceptual hash; the one on record stays."""
        insert_new(
            self._session,
            FingerprintRow,
            {"item_id": item_id, "algorithm": algorithm, "bits": bits},
            unique=("item_id", "algorithm"),
        )

    def fingerprint(self, item_id: int, algorithm: str) -> bytes | None:
        """An item's perceptual hash, or None when it is too plain for one or was not hashed."""
        query = select(_FINGERPRINT.c.bits).where(
            _FINGERPRINT.c.item_id == item_id, _FINGERPRINT.c.algorithm == algorithm
        )
        bits = self._session.execute(query).scalar_one_or_none()
        return None if bits is None else bytes(bits)

    def representative_fingerprints(self, algorithm: str, *, after_id: int = 0) -> Sequence[tuple[int, bytes]]:
        """(item id, hash) of each item above `after_id` that is near to no other, by id."""
        query = (
            select(_FINGERPRINT.c.item_id, _FINGERPRINT.c.bits)
            .join(_ITEM, _ITEM.c.id == _FINGERPRINT.c.item_id)
            .where(_FINGERPRINT.c.algorithm == algorithm, _ITEM.c.near_duplicate_of_id.is_(None))
            .where(_ITEM.c.id > after_id)
            .order_by(_ITEM.c.id)
        )
        return [(int(item_id), bytes(bits)) for item_id, bits in self._session.execute(query)]


def _conditions(wanted: ItemFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.ids is not None:
        conditions.append(_ITEM.c.id.in_(wanted.ids))
    if wanted.keyword is not None:
        conditions.append(_ITEM.c.id.in_(_having_keyword(_KEYWORD.c.keyword == wanted.keyword.casefold())))
    if wanted.source is not None:
        conditions.append(_ITEM.c.id.in_(select(_SIGHTING.c.item_id).where(_SIGHTING.c.source == wanted.source)))
    if wanted.license_id is not None:
        same = _ITEM.c.license_id == wanted.license_id
        conditions.append(same if wanted.license_id else _ITEM.c.license_id.is_(None))
    if wanted.dreamed is not None:
        dreamed = _ITEM.c.id.in_(select(_DERIVATION.c.item_id))
        conditions.append(dreamed if wanted.dreamed else ~dreamed)
    if not wanted.near_duplicates:
        conditions.append(_ITEM.c.near_duplicate_of_id.is_(None))
    if wanted.run_id is not None:
        conditions.append(_ITEM.c.id.in_(select(_RUN_ITEM.c.item_id).where(_RUN_ITEM.c.run_id == wanted.run_id)))
    conditions.extend(_stands_somewhere(word) for word in (wanted.text or "").split())
    return conditions


def _stands_somewhere(word: str) -> ColumnElement[bool]:
    said = select(_SIGHTING.c.item_id).where(
        or_(*(column.icontains(word, autoescape=True) for column in (_SIGHTING.c.caption, _SIGHTING.c.alt)))
    )
    return or_(
        _ITEM.c.title.icontains(word, autoescape=True),
        _ITEM.c.creator.icontains(word, autoescape=True),
        _ITEM.c.id.in_(said),
        _ITEM.c.id.in_(_having_keyword(_KEYWORD.c.keyword.icontains(word, autoescape=True))),
    )


def _having_keyword(condition: ColumnElement[bool]) -> Select[tuple[int]]:
    return select(_KEYWORD.c.item_id).where(and_(condition))

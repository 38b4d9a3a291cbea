"""Items: each picture once, and its keywords."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, true, update

from pipeline.catalog.derivation_inputs import dreams_with_withdrawn_inputs
from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.repositories.fetches import WITHDRAWN
from pipeline.catalog.repositories.opinions import MOST_STARS
from pipeline.catalog.search import Query, matching
from pipeline.catalog.search_text import Facet, facet_word, phrases_of
from pipeline.catalog.tables import (
    BlobRow,
    DerivationRow,
    FetchRow,
    ItemRow,
    KeywordRow,
    RunItemRow,
    SightingRow,
)
from pipeline.catalog.upserts import insert_for_id, insert_many, table_of
from pipeline.catalog.values import Item, ItemFilter, ItemKeyword, NewItem, columns_of
from pipeline.license_choices import ANY, chosen_licenses
from pipeline.licenses import UNKNOWN, every_license

_ITEM = table_of(ItemRow)
_KEYWORD = table_of(KeywordRow)
_RUN_ITEM = table_of(RunItemRow)
_SIGHTING = table_of(SightingRow)
_DERIVATION = table_of(DerivationRow)
_FETCH = table_of(FetchRow)
_BLOB = table_of(BlobRow)
_USABLE = _ITEM.c.withdrawn_at.is_(None)
MAX_KEYWORD_LENGTH = 200
EVERY_ITEM = ItemFilter()

# Asked for every picture of an ingest, and so built once.
_BY_ID = select(_ITEM).where(_ITEM.c.id == bindparam("id"))
_BY_PIXELS = select(_ITEM).where(_ITEM.c.pixel_sha256 == bindparam("pixel_sha256"))
_BY_BYTES = (
    select(_ITEM)
    .where(
        or_(
            _ITEM.c.blob_sha256 == bindparam("sha256"),
            _ITEM.c.id.in_(select(_SIGHTING.c.item_id).where(_SIGHTING.c.blob_sha256 == bindparam("sha256"))),
        )
    )
    .order_by((_ITEM.c.blob_sha256 == bindparam("sha256")).desc(), _ITEM.c.id)
    .limit(1)
)
_FIRST_WITHDRAWN = (
    select(_FETCH.c.detail, _FETCH.c.image_url)
    .where(_FETCH.c.item_id == bindparam("item"), _FETCH.c.state == WITHDRAWN)
    .order_by(_FETCH.c.last_tried_at, _FETCH.c.image_url)
    .limit(1)
)
_USABLE_AGAIN = (
    update(_ITEM)
    .where(_ITEM.c.id == bindparam("item"), ~_USABLE)
    .values(withdrawn_at=None, withdrawn_reason=None)
    .returning(_ITEM.c.id)
    .execution_options(synchronize_session=False)
)


class Items(Repository):
    """The pictures of the catalog."""

    def get(self, item_id: int) -> Item | None:
        """One item, or None."""
        return self._one(Item, _BY_ID, id=item_id)

    def by_pixel_sha256(self, pixel_sha256: str) -> Item | None:
        """The item with these pixels, or None."""
        return self._one(Item, _BY_PIXELS, pixel_sha256=pixel_sha256)

    def by_sha256(self, sha256: str) -> Item | None:
        """The item with a file of these bytes, be it the first one kept or another with the same pixels; or None."""
        return self._one(Item, _BY_BYTES, sha256=sha256)

    def known_sha256(self, digests: Collection[str]) -> frozenset[str]:
        """Those of these digests with which `by_sha256` would find an item."""
        found: set[str] = set()
        for batch in chunks(digests):
            for column in (_ITEM.c.blob_sha256, _SIGHTING.c.blob_sha256):
                found.update(self._session.execute(select(column).where(column.in_(batch))).scalars())
        return frozenset(found)

    def list(self, wanted: ItemFilter = EVERY_ITEM, *, limit: int | None = 100, after_id: int = 0) -> list[Item]:
        """Items that pass a filter, by id, from the first above `after_id` on; all of them when `limit` is None."""
        query = select(_ITEM).where(_ITEM.c.id > after_id, *self._conditions(wanted)).order_by(_ITEM.c.id)
        return self._all(Item, query if limit is None else query.limit(limit))

    def count(self, wanted: ItemFilter = EVERY_ITEM) -> int:
        """How many items pass a filter."""
        query = select(func.count()).select_from(_ITEM).where(*self._conditions(wanted))
        return int(self._session.execute(query).scalar_one())

    def representative_ids(self) -> Sequence[int]:
        """Ids of every item that is near to no other and not withdrawn, lowest first."""
        query = select(_ITEM.c.id).where(_ITEM.c.near_duplicate_of_id.is_(None), _USABLE).order_by(_ITEM.c.id)
        return [int(item_id) for item_id in self._session.execute(query).scalars()]

    def near_to(self, item_id: int) -> Sequence[Item]:
        """The near duplicates that this item represents and that are not withdrawn, nearest first."""
        query = select(_ITEM).where(_ITEM.c.near_duplicate_of_id == item_id, _USABLE)
        return self._all(Item, query.order_by(_ITEM.c.near_duplicate_distance, _ITEM.c.id))

    def representatives(self, item_ids: Sequence[int]) -> Sequence[int]:
        """These items, in their order, each near duplicate replaced by the item it resembles; ids, once each."""
        of: dict[int, int] = {}
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_ITEM.c.id, func.coalesce(_ITEM.c.near_duplicate_of_id, _ITEM.c.id))
            of |= {int(i): int(r) for i, r in self._session.execute(query.where(_ITEM.c.id.in_(batch)))}
        return list(dict.fromkeys(of[item_id] for item_id in item_ids if item_id in of))

    def refresh_withdrawal(self, item_id: int) -> bool:
        """Make an item withdrawn as long as any of its addresses is, and usable again once none is.

        Whether it has become one or the other just now; see `pipeline.duplicates.withdrawals` for what follows.
        """
        first = self._session.execute(_FIRST_WITHDRAWN, {"item": item_id}).first()
        if first is None:
            return self._session.execute(_USABLE_AGAIN, {"item": item_id}).first() is not None
        item = self.get(item_id)
        values = {
            "withdrawn_at": func.coalesce(_ITEM.c.withdrawn_at, now()),
            "withdrawn_reason": f"{first.detail} ({first.image_url})",
        }
        self._session.execute(update(_ITEM).where(_ITEM.c.id == item_id).values(values))
        return item is not None and item.withdrawn_at is None

    def let_go(self) -> frozenset[str]:
        """Digests of the bytes and of the pixels of withdrawn items whose files were removed."""
        gone = (_BLOB.c.removed_at.is_not(None), ~_USABLE)
        own = select(_ITEM.c.blob_sha256, _ITEM.c.pixel_sha256).join(_BLOB, _BLOB.c.sha256 == _ITEM.c.blob_sha256)
        others = (
            select(_SIGHTING.c.blob_sha256, _ITEM.c.pixel_sha256)
            .join(_ITEM, _ITEM.c.id == _SIGHTING.c.item_id)
            .join(_BLOB, _BLOB.c.sha256 == _SIGHTING.c.blob_sha256)
        )
        rows = [*self._session.execute(own.where(*gone)), *self._session.execute(others.where(*gone))]
        return frozenset(digest for row in rows for digest in row)

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

    def change_license(self, item_id: int, license_id: str, license_url: str | None) -> None:
        """Give an item another licence, or make it unknown, as all its sightings together have it."""
        values = {"license_id": license_id, "license_url": license_url}
        self._session.execute(update(_ITEM).where(_ITEM.c.id == item_id).values(**values))

    def keywords(self, item_id: int) -> Sequence[ItemKeyword]:
        """The keywords that an item matched, best score first."""
        query = select(_KEYWORD).where(_KEYWORD.c.item_id == item_id)
        return self._all(ItemKeyword, query.order_by(_KEYWORD.c.score.desc(), _KEYWORD.c.keyword))

    def add_keyword(self, item_id: int, keyword: str, *, fields: Sequence[str], score: float) -> None:
        """Record that an item matched a keyword; of several matches the one with the best score is kept."""
        self.add_keywords(item_id, [ItemKeyword(keyword, tuple(fields), score)])

    def add_keywords(self, item_id: int, keywords: Sequence[ItemKeyword]) -> None:
        """The same of several keywords."""
        rows = [
            {
                "item_id": item_id,
                "keyword": one.keyword.casefold()[:MAX_KEYWORD_LENGTH],
                "fields": list(one.fields),
                "score": one.score,
            }
            for one in keywords
        ]
        insert_many(
            self._session.connection(),
            KeywordRow,
            rows,
            unique=("item_id", "keyword"),
            update=("fields", "score"),
            where=_is_better,
        )

    def _conditions(self, wanted: ItemFilter) -> Sequence[ColumnElement[bool]]:
        plain = _plain_conditions(wanted)
        query = _query(wanted)
        return plain if query == Query() else [*plain, _ITEM.c.id.in_(matching(self._session, query)[0])]


def _is_better(there: Any, new: Any) -> Any:
    return there.score < new.score


def _query(wanted: ItemFilter) -> Query:
    """What a filter looks for in the search."""
    text = (wanted.text or "").strip()
    phrases = phrases_of(text)
    facets: list[tuple[str, ...]] = []
    if wanted.tag is not None:
        facets.append((facet_word(Facet.TAG, wanted.tag),))
    if wanted.stars is not None:
        facets.append(tuple(facet_word(Facet.STARS, str(stars)) for stars in range(wanted.stars, MOST_STARS + 1)))
    return Query(phrases, tuple(facets), nothing=bool(text) and not phrases)


def _plain_conditions(wanted: ItemFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.ids is not None:
        conditions.append(_ITEM.c.id.in_(wanted.ids))
    if wanted.keyword is not None:
        conditions.append(_ITEM.c.id.in_(_having_keyword(_KEYWORD.c.keyword == wanted.keyword.casefold())))
    if wanted.source is not None:
        conditions.append(_ITEM.c.id.in_(select(_SIGHTING.c.item_id).where(_SIGHTING.c.source == wanted.source)))
    conditions += _license_conditions(wanted)
    if wanted.dreamed is not None:
        shown = _DERIVATION.c.id.not_in(dreams_with_withdrawn_inputs())
        dreamed = _ITEM.c.id.in_(select(_DERIVATION.c.item_id).where(shown))
        conditions.append(dreamed if wanted.dreamed else ~dreamed)
    if wanted.has_derivations is not None:
        on_record = _ITEM.c.id.in_(select(_DERIVATION.c.item_id))
        conditions.append(on_record if wanted.has_derivations else ~on_record)
    if not wanted.near_duplicates:
        conditions.append(_ITEM.c.near_duplicate_of_id.is_(None))
    if wanted.withdrawn is not None:
        conditions.append(~_USABLE if wanted.withdrawn else _USABLE)
    if wanted.run_id is not None:
        conditions.append(_ITEM.c.id.in_(select(_RUN_ITEM.c.item_id).where(_RUN_ITEM.c.run_id == wanted.run_id)))
    return conditions


def _license_conditions(wanted: ItemFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.license_id is not None:
        yield _ITEM.c.license_id == wanted.license_id if wanted.license_id else _ITEM.c.license_id.is_(None)
    if wanted.licenses:
        yield or_(*map(_is_under, wanted.licenses))


def _is_under(choice: str) -> ColumnElement[bool]:
    if choice == ANY:
        return true()
    if choice == UNKNOWN:
        known = [each.id for each in every_license()]
        return or_(_ITEM.c.license_id.is_(None), _ITEM.c.license_id.not_in(known))
    return _ITEM.c.license_id.in_([each.id for each in chosen_licenses(choice)])


def _having_keyword(condition: ColumnElement[bool]) -> Select[tuple[int]]:
    return select(_KEYWORD.c.item_id).where(and_(condition))

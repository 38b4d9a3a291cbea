"""The catalog's read side for pages: which pictures a view shows, in what order, and the counts beside its filters.

Everything is bounded: pages by their size, counts by `COUNT_CAP`, facets by `FACET_CAP` items. Paging is by keyset, so
that a page costs the same however far it lies, and a picture that arrives meanwhile moves no other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, cast, func, or_, select, tuple_, union
from sqlalchemy.orm import Session

from pipeline.catalog.gallery_values import (
    Count,
    Cursor,
    Facets,
    FacetValue,
    GalleryFilter,
    GalleryPage,
    KnownBlob,
    ReasonCount,
    RunBreakdown,
    Sort,
    Tile,
    TileDream,
)
from pipeline.catalog.tables import (
    BlobRow,
    DerivationRow,
    ItemRow,
    KeywordRow,
    RejectionRow,
    RunItemRow,
    RunRow,
    SightingRow,
)
from pipeline.catalog.values import Rejection, value_of
from pipeline.errors import NotFound
from pipeline.licenses import UNKNOWN

# Beyond this a page says "10 000+": nobody reads further, and counting on would cost more than the page.
COUNT_CAP = 10_000
# Facet counts look at this many of the newest matching items.
FACET_CAP = 20_000
FACET_VALUES = 40
GROUP_CAP = 60


def resolved(session: Session, wanted: GalleryFilter) -> GalleryFilter:
    """The same filter with its search done, so that the queries that follow need not search again each.

    A search that finds more than `FACET_CAP` items stays as it is.
    """
    if not wanted.words:
        return wanted
    found = _newest(session, wanted.words, limit=FACET_CAP + 1)
    return wanted if len(found) > FACET_CAP else replace(wanted, words=(), ids=found)


def gallery_page(
    session: Session,
    wanted: GalleryFilter,
    *,
    sort: Sort = Sort.NEWEST,
    limit: int = 48,
    after: Cursor | None = None,
    before: Cursor | None = None,
) -> GalleryPage:
    """The `limit` items after or before a cursor; the first page without one.

    Fewer than `limit` items before a cursor give the first page, so that going back always fills it.
    """
    conditions = _conditions(wanted)
    statement = _tiles(wanted.preset).where(*conditions)
    if before is not None:
        earlier = statement.where(_beyond(before, sort, backwards=True)).order_by(*_order(sort, backwards=True))
        rows = list(session.execute(earlier.limit(limit + 1)))
        if len(rows) <= limit:
            return gallery_page(session, wanted, sort=sort, limit=limit)
        tiles = tuple(_tile(row) for row in reversed(rows[:limit]))
        has_previous, has_next = True, True
    else:
        if after is not None:
            statement = statement.where(_beyond(after, sort, backwards=False))
        rows = list(session.execute(statement.order_by(*_order(sort, backwards=False)).limit(limit + 1)))
        tiles = tuple(_tile(row) for row in rows[:limit])
        has_previous, has_next = after is not None, len(rows) > limit
    total = _count(session, select(ItemRow.id).where(*conditions), cap=COUNT_CAP)
    if not tiles:
        return GalleryPage((), total, Count(0), None, None)
    first, last = cursor_of(tiles[0], sort), cursor_of(tiles[-1], sort)
    rank = Count(0)
    if has_previous:
        earlier = select(ItemRow.id).where(*conditions, _beyond(first, sort, backwards=True))
        rank = _count(session, earlier, cap=COUNT_CAP)
    return GalleryPage(
        tiles,
        total,
        Count(rank.number + 1, rank.capped),
        first if has_previous and rank.number else None,
        last if has_next else None,
    )


def cursor_of(tile: Tile, sort: Sort) -> Cursor:
    """The place of a tile in an order."""
    return Cursor(tile.item_id, tile.width * tile.height if sort is Sort.LARGEST else None)


def neighbours(session: Session, wanted: GalleryFilter, item_id: int, *, sort: Sort) -> tuple[int | None, int | None]:
    """The items just before and just after an item in a gallery; None at its ends.

    Raises:
        NotFound: There is no such item.
    """
    here = cursor_of(tile(session, item_id), sort)
    found: list[int | None] = []
    for backwards in (True, False):
        statement = select(ItemRow.id).where(*_conditions(wanted), _beyond(here, sort, backwards=backwards))
        found.append(session.scalar(statement.order_by(*_order(sort, backwards=backwards)).limit(1)))
    return found[0], found[1]


def tile(session: Session, item_id: int) -> Tile:
    """One item as a grid shows it.

    Raises:
        NotFound: There is no such item.
    """
    row = session.execute(_tiles(None).where(ItemRow.id == item_id)).first()
    if row is None:
        raise NotFound(f"there is no item i{item_id}")
    return _tile(row)


def near_group(session: Session, item_id: int) -> tuple[Tile, ...]:
    """The representative first, then the items near to it, nearest first; one tile when there are none.

    Raises:
        NotFound: There is no such item.
    """
    centre = tile(session, item_id).near_duplicate_of or item_id
    statement = _tiles(None).where(ItemRow.near_duplicate_of_id == centre)
    rows = session.execute(statement.order_by(ItemRow.near_duplicate_distance, ItemRow.id).limit(GROUP_CAP))
    return (tile(session, centre), *(_tile(row) for row in rows))


def facets(session: Session, wanted: GalleryFilter) -> Facets:
    """What each filter could be set to: each is counted with itself lifted and all others in force."""
    partial = False
    if wanted.words:
        found = _newest(session, wanted.words, limit=FACET_CAP + 1)
        partial = len(found) > FACET_CAP
        wanted = replace(wanted, words=(), ids=found[:FACET_CAP])

    def ids(lifted: str, to: object = None) -> Any:
        lifted_filter = replace(wanted, **{lifted: to})  # type: ignore[arg-type]  # the name decides the type
        statement = select(ItemRow.id).where(*_conditions(lifted_filter))
        return statement.order_by(ItemRow.id.desc()).limit(FACET_CAP)

    def values(column: Any, item: Any, lifted: str) -> tuple[FacetValue, ...]:
        amount = func.count(func.distinct(item))
        statement = select(column, amount).where(item.in_(ids(lifted)), column.is_not(None)).group_by(column)
        rows = session.execute(statement.order_by(amount.desc(), column).limit(FACET_VALUES))
        return tuple(FacetValue(value, count) for value, count in rows)

    dreamed = ItemRow.id.in_(select(DerivationRow.item_id))
    any_dreamed = ItemRow.id.in_(ids("dreamed"))
    near = ItemRow.id.in_(ids("near_duplicates", to=True))
    matching = _count(session, select(ItemRow.id).where(*_conditions(wanted)), cap=FACET_CAP)
    return Facets(
        keywords=values(KeywordRow.keyword, KeywordRow.item_id, "keyword"),
        sources=values(SightingRow.source, SightingRow.item_id, "source"),
        licenses=values(func.coalesce(ItemRow.license_id, UNKNOWN), ItemRow.id, "license_id"),
        presets=values(DerivationRow.preset, DerivationRow.item_id, "preset"),
        dreamed=_number(session, any_dreamed, dreamed),
        not_dreamed=_number(session, any_dreamed, ~dreamed),
        near_duplicates=_number(session, near, ItemRow.near_duplicate_of_id.is_not(None)),
        partial=partial or matching.capped,
    )


def original_blob(session: Session, sha256: str) -> KnownBlob | None:
    """The stored original with this digest, or None when no item has it."""
    statement = select(BlobRow, ItemRow.id).join(ItemRow, ItemRow.blob_sha256 == BlobRow.sha256)
    return _known(session.execute(statement.where(BlobRow.sha256 == sha256)).first(), "i")


def dream_blob(session: Session, sha256: str) -> KnownBlob | None:
    """The stored dream with this digest, or None when no derivation has it."""
    statement = select(BlobRow, func.min(DerivationRow.id)).join(DerivationRow).group_by(BlobRow.sha256)
    return _known(session.execute(statement.where(BlobRow.sha256 == sha256)).first(), "d")


def run_ids(session: Session, *, before: int | None = None, limit: int = 30) -> tuple[int, ...]:
    """Ids of the newest runs, newest first; of those older than `before` when it is given."""
    statement = select(RunRow.id).order_by(RunRow.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(RunRow.id < before)
    return tuple(session.scalars(statement))


def run_breakdown(session: Session, run_id: int) -> RunBreakdown:
    """What the rows say of one run; all zero when there is none."""
    roles = session.execute(
        select(RunItemRow.role, func.count()).where(RunItemRow.run_id == run_id).group_by(RunItemRow.role)
    )
    amount = func.count()
    reasons = session.execute(
        select(RejectionRow.stage, RejectionRow.reason, amount)
        .where(RejectionRow.run_id == run_id)
        .group_by(RejectionRow.stage, RejectionRow.reason)
        .order_by(amount.desc(), RejectionRow.reason)
    )
    dreams = session.scalar(select(func.count()).where(DerivationRow.run_id == run_id))
    return RunBreakdown(
        roles={role: number for role, number in roles},  # noqa: C416  # rows are not pairs to mypy
        reasons=tuple(ReasonCount(stage, reason, number) for stage, reason, number in reasons),
        dreams=dreams or 0,
    )


def rejections(
    session: Session, run_id: int, *, reason: str | None = None, after: int | None = None, limit: int = 50
) -> tuple[Rejection, ...]:
    """Candidates of a run that were not kept, in the order they were given up, after the id `after`."""
    statement = select(RejectionRow).where(RejectionRow.run_id == run_id).order_by(RejectionRow.id).limit(limit)
    if reason is not None:
        statement = statement.where(RejectionRow.reason == reason)
    if after is not None:
        statement = statement.where(RejectionRow.id > after)
    return tuple(value_of(Rejection, vars(row)) for row in session.scalars(statement))


_PIXELS = ItemRow.width * ItemRow.height


def _tiles(preset: str | None) -> Select[Any]:
    newest = select(func.max(DerivationRow.id)).where(DerivationRow.item_id == ItemRow.id)
    if preset is not None:
        newest = newest.where(DerivationRow.preset == preset)
    shown = newest.correlate(ItemRow).scalar_subquery()
    return select(ItemRow, DerivationRow).outerjoin(DerivationRow, DerivationRow.id == shown)


def _tile(row: Any) -> Tile:
    item, dream = row
    return Tile(
        item_id=item.id,
        title=item.title,
        creator=item.creator,
        license_id=item.license_id,
        sha256=item.blob_sha256,
        width=item.width,
        height=item.height,
        created_at=item.created_at,
        near_duplicate_of=item.near_duplicate_of_id,
        near_duplicate_distance=item.near_duplicate_distance,
        dream=dream and TileDream(dream.id, dream.blob_sha256, dream.width, dream.height, dream.preset, dream.network),
    )


def _order(sort: Sort, *, backwards: bool) -> tuple[ColumnElement[Any], ...]:
    columns: tuple[Any, ...] = (_PIXELS, ItemRow.id) if sort is Sort.LARGEST else (ItemRow.id,)
    descending = (sort is not Sort.OLDEST) != backwards
    return tuple(column.desc() if descending else column.asc() for column in columns)


def _beyond(cursor: Cursor, sort: Sort, *, backwards: bool) -> ColumnElement[bool]:
    smaller = (sort is not Sort.OLDEST) != backwards
    if sort is Sort.LARGEST:
        here = tuple_(_PIXELS, ItemRow.id)
        there = (cursor.pixels or 0, cursor.item_id)
        return here < there if smaller else here > there
    return ItemRow.id < cursor.item_id if smaller else ItemRow.id > cursor.item_id


def _conditions(wanted: GalleryFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [ItemRow.id.in_(_matching(word)) for word in wanted.words]
    if wanted.ids is not None:
        # Written into the statement: there may be more of them than a statement takes parameters.
        ids: ColumnElement[Any] = bindparam("ids", wanted.ids, expanding=True, literal_execute=True, unique=True)
        conditions.append(ItemRow.id.in_(ids))
    if wanted.keyword is not None:
        conditions.append(ItemRow.id.in_(select(KeywordRow.item_id).where(KeywordRow.keyword == wanted.keyword)))
    if wanted.source is not None:
        conditions.append(ItemRow.id.in_(select(SightingRow.item_id).where(SightingRow.source == wanted.source)))
    if wanted.license_id is not None:
        conditions.append(func.coalesce(ItemRow.license_id, UNKNOWN) == wanted.license_id)
    if wanted.preset is not None:
        conditions.append(ItemRow.id.in_(select(DerivationRow.item_id).where(DerivationRow.preset == wanted.preset)))
    if wanted.dreamed is not None:
        dreamed = ItemRow.id.in_(select(DerivationRow.item_id))
        conditions.append(dreamed if wanted.dreamed else ~dreamed)
    if not wanted.near_duplicates:
        conditions.append(ItemRow.near_duplicate_of_id.is_(None))
    if wanted.run_id is not None:
        conditions.append(ItemRow.id.in_(select(RunItemRow.item_id).where(RunItemRow.run_id == wanted.run_id)))
    return conditions


def _matching(word: str) -> Any:
    """Ids of the items of which a word is said. One pass over each table, not one for each item."""

    def contains(*columns: Any) -> ColumnElement[bool]:
        return or_(*(column.icontains(word, autoescape=True) for column in columns))

    # JSON columns hold other letters as \u escapes, so that is what is looked for there.
    tags = cast(SightingRow.tags, Text).icontains(json.dumps(word)[1:-1], autoescape=True)
    said = contains(SightingRow.title, SightingRow.alt, SightingRow.caption, SightingRow.creator)
    return union(
        select(ItemRow.id).where(contains(ItemRow.title, ItemRow.creator)),
        select(KeywordRow.item_id).where(contains(KeywordRow.keyword)),
        select(SightingRow.item_id).where(or_(said, tags)),
    )


def _newest(session: Session, words: Sequence[str], *, limit: int) -> tuple[int, ...]:
    """Ids of the newest items of which every word is said, newest first."""
    statement = select(ItemRow.id).where(*(ItemRow.id.in_(_matching(word)) for word in words))
    return tuple(session.scalars(statement.order_by(ItemRow.id.desc()).limit(limit)))


def _count(session: Session, statement: Select[Any], *, cap: int) -> Count:
    number = session.scalar(select(func.count()).select_from(statement.limit(cap + 1).subquery())) or 0
    return Count(min(number, cap), number > cap)


def _number(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(ItemRow).where(and_(*conditions))) or 0


def _known(row: Sequence[Any] | None, letter: str) -> KnownBlob | None:
    if row is None:
        return None
    blob, number = row
    return KnownBlob(blob.sha256, blob.media_type, blob.size_bytes, f"{letter}{number}")

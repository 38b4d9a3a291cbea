"""The catalog's read side for pages: which pictures a view shows, in what order, and the counts beside its filters.

Everything is bounded: pages by their size, counts as in `pipeline.catalog.gallery`. Paging is by keyset, so that a page
costs the same however far it lies, and a picture that arrives meanwhile moves no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, case, func, or_, select
from sqlalchemy.orm import Session

from pipeline.catalog import gallery as gallery_module
from pipeline.catalog.derivation_inputs import has_withdrawn_input
from pipeline.catalog.gallery import Gallery
from pipeline.catalog.gallery_values import (
    Count,
    Cursor,
    GalleryFilter,
    GalleryPage,
    KnownBlob,
    ReasonCount,
    RunBreakdown,
    Sort,
    Tile,
    TileDream,
)
from pipeline.catalog.tables import BlobRow, DerivationRow, ItemRow, RejectionRow, RunItemRow, RunRow
from pipeline.catalog.values import Rejection, value_of
from pipeline.errors import NotFound

GROUP_CAP = 60


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
    gallery = Gallery(session, wanted, sort)
    place = before or after
    total = gallery.total()  # first, as it may find all there is
    ids = gallery.ids(limit + 1, beyond=place, backwards=before is not None)
    if before is not None:
        if len(ids) <= limit:
            return gallery_page(session, wanted, sort=sort, limit=limit)
        has_previous, has_next = True, True
    else:
        has_previous, has_next = after is not None, len(ids) > limit
    ids = ids[:limit][::-1] if before is not None else ids[:limit]
    tiles = _tiles_of(session, ids, preset=wanted.preset)
    if not tiles:
        return GalleryPage((), total, Count(0), None, None)
    first, last = cursor_of(tiles[0], sort), cursor_of(tiles[-1], sort)
    rank = gallery.before(first) if has_previous else Count(0)
    if total.capped and total.number < gallery_module.COUNT_CAP:  # counted so far; what is shown was met as well
        total = Count(max(total.number, rank.number + len(tiles)), capped=True)
    return GalleryPage(
        tiles,
        total,
        Count(rank.number + 1, rank.capped),
        first if has_previous and (rank.number or rank.capped) else None,
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
    gallery = Gallery(session, wanted, sort)
    here = cursor_of(tile(session, item_id), sort)
    before, after = (gallery.ids(1, beyond=here, backwards=backwards) for backwards in (True, False))
    return (before[0] if before else None), (after[0] if after else None)


def tile(session: Session, item_id: int) -> Tile:
    """One item as a grid shows it.

    Raises:
        NotFound: There is no such item.
    """
    row = session.execute(_tiles().where(ItemRow.id == item_id)).first()
    if row is None:
        raise NotFound(f"there is no item i{item_id}")
    return _tile(row)


def tiles(session: Session, item_ids: Sequence[int]) -> tuple[Tile, ...]:
    """Some items as a grid shows them, in this order; ids without an item are left out."""
    return _tiles_of(session, item_ids, preset=None)


def near_group(session: Session, item_id: int) -> tuple[Tile, ...]:
    """The representative first, then the items near to it, nearest first; withdrawn ones are left out.

    Raises:
        NotFound: There is no such item.
    """
    centre = tile(session, item_id).near_duplicate_of or item_id
    group = or_(ItemRow.id == centre, ItemRow.near_duplicate_of_id == centre)
    # The representative has no distance; it comes first whatever the database makes of NULL.
    order = (ItemRow.id != centre, ItemRow.near_duplicate_distance, ItemRow.id)
    rows = session.execute(_tiles().where(group, _USABLE).order_by(*order).limit(GROUP_CAP + 1))
    return tuple(_tile(row) for row in rows)


def original_blob(session: Session, sha256: str) -> KnownBlob | None:
    """The stored original with this digest, or None when no item has it."""
    statement = select(BlobRow, ItemRow.id, ItemRow.withdrawn_reason, ItemRow.license_id, ItemRow.license_url).join(
        ItemRow, ItemRow.blob_sha256 == BlobRow.sha256
    )
    return _known(session.execute(statement.where(BlobRow.sha256 == sha256)).first(), "i")


def dream_blob(session: Session, sha256: str) -> KnownBlob | None:
    """The stored dream with this digest, or None when no derivation has it."""
    shown = DerivationRow.blob_sha256 == BlobRow.sha256, DerivationRow.item_id == ItemRow.id
    of_input = case((has_withdrawn_input(DerivationRow.__table__.c.id), "by the site of a guide or mask of it"))
    reason = func.coalesce(ItemRow.withdrawn_reason, of_input)
    statement = select(BlobRow, DerivationRow.id, reason).where(*shown)
    # Of several items with the same dream, one that may be shown; of those the first.
    order = (reason.is_not(None), DerivationRow.id)
    return _known(session.execute(statement.where(BlobRow.sha256 == sha256).order_by(*order).limit(1)).first(), "d")


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


_USABLE = ItemRow.withdrawn_at.is_(None)


def _tiles(preset: BindParameter[str] | None = None) -> Select[Any]:
    # None with a guide or mask that was withdrawn; few dreams have any.
    newest = select(func.max(DerivationRow.id)).where(DerivationRow.item_id == ItemRow.id)
    newest = newest.where(~has_withdrawn_input(DerivationRow.__table__.c.id))
    if preset is not None:
        newest = newest.where(DerivationRow.preset == preset)
    shown = newest.correlate(ItemRow).scalar_subquery()
    # Columns, not rows: a dream's recipe and manifest are long.
    return select(*_ITEM_COLUMNS, *_DREAM_COLUMNS).outerjoin(DerivationRow, DerivationRow.id == shown)


_ITEM_COLUMNS = (
    ItemRow.id,
    ItemRow.title,
    ItemRow.creator,
    ItemRow.license_id,
    ItemRow.blob_sha256,
    ItemRow.width,
    ItemRow.height,
    ItemRow.created_at,
    ItemRow.near_duplicate_of_id,
    ItemRow.near_duplicate_distance,
)
_DREAM_COLUMNS = (
    DerivationRow.id,
    DerivationRow.blob_sha256,
    DerivationRow.width,
    DerivationRow.height,
    DerivationRow.preset,
    DerivationRow.network,
)


# Built once: they are asked for every page, and building one takes longer than running it.
_ASKED_FOR: ColumnElement[bool] = ItemRow.id.in_(bindparam("ids", expanding=True))
_TILES_OF = _tiles().where(_ASKED_FOR)
_TILES_OF_PRESET = _tiles(bindparam("preset")).where(_ASKED_FOR)


def _tile(row: Sequence[Any]) -> Tile:
    item, dream = row[: len(_ITEM_COLUMNS)], row[len(_ITEM_COLUMNS) :]
    return Tile(*(*item, None if dream[0] is None else TileDream(*dream)))


def _tiles_of(session: Session, item_ids: Sequence[int], *, preset: str | None) -> tuple[Tile, ...]:
    """The tiles of these items, in their order."""
    values = {"ids": list(item_ids)}
    if preset is None:
        rows = session.execute(_TILES_OF, values)
    else:
        rows = session.execute(_TILES_OF_PRESET, {**values, "preset": preset})
    found = {row[0]: _tile(row) for row in rows}
    return tuple(found[item_id] for item_id in item_ids if item_id in found)


def _known(row: Sequence[Any] | None, letter: str) -> KnownBlob | None:
    if row is None:
        return None
    blob, number, withdrawn, *license_ = row
    return KnownBlob(blob.sha256, blob.media_type, blob.size_bytes, f"{letter}{number}", withdrawn, *license_)

"""The catalog's side of upkeep: what refers to a stored file, what refers to nothing, and the rows that mend it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select, text, union, update
from sqlalchemy.orm import Session, aliased

from pipeline.catalog import search_index
from pipeline.catalog.derivation_inputs import INPUT
from pipeline.catalog.repositories.base import chunks, now
from pipeline.catalog.repositories.fetches import FAILED, KEPT, WITHDRAWN
from pipeline.catalog.tables import BlobRow, DerivationRow, FetchRow, FingerprintRow, ItemRow, SightingRow
from pipeline.catalog.upserts import table_of
from pipeline.catalog.values import Blob, value_of
from pipeline.errors import Reason

_BLOB, _ITEM, _SIGHTING = table_of(BlobRow), table_of(ItemRow), table_of(SightingRow)
_DERIVATION, _FETCH, _FINGERPRINT = table_of(DerivationRow), table_of(FetchRow), table_of(FingerprintRow)
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Reference:
    """That a picture or a dream is made of a stored file.

    Attributes:
        name: `i12` or `d3`.
        item_id: The picture; for a dream, the one it was made of.
        file_name: Of a dream's copy in the dreams folder; None for a picture.
        withdrawn_at: Since when the picture is withdrawn, or for a dream one of its guides and masks; or None.
    """

    name: str
    item_id: int
    file_name: str | None
    withdrawn_at: datetime | None


@dataclass(frozen=True)
class BrokenStar:
    """A near duplicate whose representative is near to another itself.

    Attributes:
        root: The end of the chain; None where it comes back to the item.
        distance: Differing bits of 256 from the root; None where a fingerprint is missing.
    """

    item_id: int
    near_to: int
    root: int | None
    distance: int | None


def blobs_after(session: Session, sha256: str, *, limit: int) -> list[Blob]:
    """Files that the catalog knows, in the order of digests, after one."""
    rows = select(_BLOB).where(_BLOB.c.sha256 > sha256).order_by(_BLOB.c.sha256).limit(limit)
    return [value_of(Blob, row) for row in session.execute(rows).mappings()]


def known_digests(session: Session, digests: Sequence[str]) -> set[str]:
    """Those of these digests that the catalog has a row for."""
    found: set[str] = set()
    for batch in chunks(digests):
        found.update(session.scalars(select(_BLOB.c.sha256).where(_BLOB.c.sha256.in_(batch))))
    return found


def references(session: Session, sha256: str) -> list[Reference]:
    """What is made of a stored file: pictures first."""
    item_ids = union(
        select(_ITEM.c.id).where(_ITEM.c.blob_sha256 == sha256),
        select(_SIGHTING.c.item_id).where(_SIGHTING.c.blob_sha256 == sha256),
    )
    items = select(_ITEM.c.id, _ITEM.c.withdrawn_at).where(_ITEM.c.id.in_(item_ids)).order_by(_ITEM.c.id)
    found = [Reference(f"i{item_id}", item_id, None, at) for item_id, at in session.execute(items)]
    dreams = select(_DERIVATION.c.id, _DERIVATION.c.item_id, _DERIVATION.c.file_name)
    dreams = dreams.where(_DERIVATION.c.blob_sha256 == sha256).order_by(_DERIVATION.c.id)
    for dream, item_id, file_name in session.execute(dreams).all():
        inputs = select(INPUT.c.item_id).where(INPUT.c.derivation_id == dream)
        first = select(func.min(_ITEM.c.withdrawn_at)).where(or_(_ITEM.c.id == item_id, _ITEM.c.id.in_(inputs)))
        found.append(Reference(f"d{dream}", item_id, file_name, session.scalar(first)))
    return found


def withdrawn_digests(session: Session, *, until: datetime) -> list[str]:
    """Digests of all files of the pictures that were withdrawn by then, and of the dreams they had a part in.

    Each once, in order.
    """
    old = _ITEM.c.withdrawn_at <= until
    files = union(
        select(_ITEM.c.blob_sha256).where(old),
        select(_SIGHTING.c.blob_sha256).join(_ITEM, _ITEM.c.id == _SIGHTING.c.item_id).where(old),
        select(_DERIVATION.c.blob_sha256).join(_ITEM, _ITEM.c.id == _DERIVATION.c.item_id).where(old),
        select(_DERIVATION.c.blob_sha256)
        .join(INPUT, INPUT.c.derivation_id == _DERIVATION.c.id)
        .join(_ITEM, _ITEM.c.id == INPUT.c.item_id)
        .where(old),
    )
    return sorted(session.scalars(files))


def unreferenced_digests(session: Session) -> list[str]:
    """Digests on record that no picture, sighting or dream has, in order."""
    query = select(_BLOB.c.sha256)
    for column in (_ITEM.c.blob_sha256, _SIGHTING.c.blob_sha256, _DERIVATION.c.blob_sha256):
        query = query.where(~select(column).where(column == _BLOB.c.sha256).exists())
    return list(session.scalars(query.order_by(_BLOB.c.sha256)))


def mark_removed(session: Session, digests: Collection[str], *, at: datetime | None) -> None:
    """Write down since when these files are gone for good, or (None) that they are not."""
    for batch in chunks(digests):
        session.execute(update(_BLOB).where(_BLOB.c.sha256.in_(batch)).values(removed_at=at))


def addresses_of(session: Session, sha256: str, *, limit: int) -> list[str]:
    """Addresses that gave these bytes and were not withdrawn, last tried first."""
    kept = select(_FETCH.c.image_url).where(_FETCH.c.sha256 == sha256, _FETCH.c.state == KEPT)
    return list(session.scalars(kept.order_by(_FETCH.c.last_tried_at.desc(), _FETCH.c.image_url).limit(limit)))


def lost_fetches(session: Session) -> list[str]:
    """Addresses that are on record as kept or withdrawn, but of no item."""
    gone = ~select(_ITEM.c.id).where(_ITEM.c.id == _FETCH.c.item_id).exists()
    lost = select(_FETCH.c.image_url).where(
        _FETCH.c.state.in_((KEPT, WITHDRAWN)), or_(_FETCH.c.item_id.is_(None), gone)
    )
    return list(session.scalars(lost.order_by(_FETCH.c.image_url)))


def mend_fetch(session: Session, image_url: str) -> str:
    """Point a lost address at the item that was sighted there, else open it for another try; what was done."""
    mine = update(_FETCH).where(_FETCH.c.image_url == image_url)
    sighted = select(_SIGHTING.c.item_id).where(_SIGHTING.c.image_url == image_url).order_by(_SIGHTING.c.id.desc())
    item_id = session.scalar(sighted.limit(1))
    if item_id is not None:
        session.execute(mine.values(item_id=item_id))
        return f"belongs to i{item_id}"
    values = {"state": FAILED, "reason": Reason.UNREADABLE.value, "item_id": None, "attempts": 0}
    session.execute(mine.values(**values, etag=None, last_modified=None, last_tried_at=now()))
    return "will be fetched again when its source shows it"


def broken_stars(session: Session) -> list[BrokenStar]:
    """Near duplicates whose representative is near to another."""
    centre = aliased(ItemRow)
    chained = (
        select(ItemRow.id, ItemRow.near_duplicate_of_id)
        .join(centre, centre.id == ItemRow.near_duplicate_of_id)
        .where(centre.near_duplicate_of_id.is_not(None))
        .order_by(ItemRow.id)
    )
    found = []
    for item_id, near_to in session.execute(chained):
        root = _root(session, item_id, near_to)
        found.append(BrokenStar(item_id, near_to, root, None if root is None else _distance(session, item_id, root)))
    return found


def mend_star(session: Session, star: BrokenStar) -> None:
    """Make a near duplicate near to the end of its chain; one that stands in a circle becomes a representative."""
    values = {"near_duplicate_of_id": star.root, "near_duplicate_distance": star.distance}
    session.execute(update(_ITEM).where(_ITEM.c.id == star.item_id).values(**values))


def _root(session: Session, item_id: int, near_to: int) -> int | None:
    seen = {item_id}
    here: int | None = near_to
    while here is not None:
        if here in seen:
            return None
        seen.add(here)
        following = session.scalar(select(_ITEM.c.near_duplicate_of_id).where(_ITEM.c.id == here))
        if following is None:
            return here
        here = following
    return None


def _distance(session: Session, first: int, second: int) -> int | None:
    def bits(item_id: int) -> dict[str, bytes]:
        query = select(_FINGERPRINT.c.algorithm, _FINGERPRINT.c.bits).where(_FINGERPRINT.c.item_id == item_id)
        return {algorithm: bytes(value) for algorithm, value in session.execute(query)}

    one, other = bits(first), bits(second)
    for algorithm in sorted(one.keys() & other.keys(), reverse=True):
        return (int.from_bytes(one[algorithm], "big") ^ int.from_bytes(other[algorithm], "big")).bit_count()
    return None


def damage(connection: Connection) -> Iterator[str]:
    """What SQLite itself finds wrong with the file, and rows that refer to rows that are not there; a line each."""
    if connection.dialect.name != "sqlite":
        return  # PostgreSQL keeps its own promises
    for line in connection.execute(text(f"PRAGMA quick_check({_MOST_SHOWN})")).scalars():
        if line != "ok":
            yield str(line)
    for number, (table, rowid, parent, _) in enumerate(connection.execute(text("PRAGMA foreign_key_check"))):
        if number == _MOST_SHOWN:
            return
        yield f"row {rowid} of {table} refers to a row of {parent} that is not there"


def items_out_of_step(session: Session, *, after: int, limit: int) -> tuple[list[int], int | None]:
    """Of the next items by id, those whose search document is not as it should be; and the last id looked at."""
    ids = list(session.scalars(select(_ITEM.c.id).where(_ITEM.c.id > after).order_by(_ITEM.c.id).limit(limit)))
    return (search_index.differing(session.connection(), ids), ids[-1]) if ids else ([], None)


def search_is_in_step(session: Session) -> bool:
    """Whether the search's index says what its documents say; in a unit of work that may write."""
    return search_index.is_in_step(session.connection())


def mend_search(session: Session, item_ids: Collection[int], *, rebuild: bool) -> None:
    """Have these items indexed anew when the unit of work ends; or make the whole index anew from the documents."""
    search_index.note(session.connection(), item_ids)
    if rebuild:
        search_index.refresh(session.connection())
        search_index.rebuild(session.connection())

"""Items without pictures, and what is on record about them: for tests of groups and decisions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from pipeline.catalog.duplicate_values import NewPair
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import NewItem


def add_items(uow: UnitOfWork, count: int, **facts: Any) -> list[int]:
    """Items of 1000 bytes, 320x240, each alone unless told otherwise; their ids, which go on from the last one."""
    added = []
    for _ in range(count):
        digest = f"{len(uow.items.list(limit=None)) + 1:064x}"
        uow.blobs.add(digest, size_bytes=1000, media_type="image/png")
        values: dict[str, Any] = {"width": 320, "height": 240, "format": "JPEG", "frames": 1, **facts}
        item_id = uow.items.add(NewItem(blob_sha256=digest, pixel_sha256=digest, **values))
        assert item_id is not None
        added.append(item_id)
    return added


def found_near(uow: UnitOfWork, first_id: int, second_id: int, *, relation: str = "edited", link: bool = True) -> None:
    """Record two items as near duplicates, and link the second to the first."""
    low, high = sorted((first_id, second_id))
    uow.duplicates.record(NewPair(low, high, "near", relation, 5, "dct256-v1", {}))
    if link:
        uow.duplicates.link(second_id, first_id, distance=5)


def links(uow: UnitOfWork) -> dict[int, int | None]:
    """Item -> the one that stands for it."""
    return {item.id: item.near_duplicate_of_id for item in uow.items.list(limit=None)}


def representatives_of_run(uow: UnitOfWork, run_id: int) -> list[int]:
    """What a run met, in its order, each near duplicate replaced by the item that stands for it."""
    met = text(f"SELECT item_id FROM run_item WHERE run_id = {run_id} ORDER BY position")
    return list(uow.items.representatives(uow.session.execute(met).scalars().all()))


def withdraw(uow: UnitOfWork, item_id: int) -> None:
    """Withdraw an item as an older version did, which left its star as it was."""
    uow.session.execute(text(f"UPDATE item SET withdrawn_at = '2026-01-01 00:00:00' WHERE id = {item_id}"))

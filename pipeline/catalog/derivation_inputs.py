"""Which pictures a dream was made of besides its original: guides and masks, which may be withdrawn as that may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.catalog.tables import Base, ItemRow
from pipeline.catalog.upserts import insert_new, table_of


class DerivationInputRow(Base):
    """That a dream was made with an item as its guide or mask."""

    __tablename__ = "derivation_input"

    derivation_id: Mapped[int] = mapped_column(ForeignKey("derivation.id"), primary_key=True, autoincrement=False)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False, index=True)


INPUT, _ITEM = table_of(DerivationInputRow), table_of(ItemRow)


def record_inputs(session: Session, derivation_id: int, manifest: Mapping[str, Any]) -> None:
    """Write down the inputs of a dream that its manifest names and that are items."""
    named = manifest.get("inputs")
    inputs = [each for each in named if isinstance(each, Mapping)] if isinstance(named, list) else []
    for digest in dict.fromkeys(str(each.get("pixel_sha256")) for each in inputs):
        item_id = session.scalar(select(_ITEM.c.id).where(_ITEM.c.pixel_sha256 == digest))
        if item_id is not None:
            values = {"derivation_id": derivation_id, "item_id": item_id}
            insert_new(session, DerivationInputRow, values, unique=("derivation_id", "item_id"))


def has_withdrawn_input(derivation_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a guide or mask of the dream with this id is withdrawn."""
    withdrawn = select(INPUT.c.item_id).join(_ITEM, _ITEM.c.id == INPUT.c.item_id)
    return exists(withdrawn.where(INPUT.c.derivation_id == derivation_id, _ITEM.c.withdrawn_at.is_not(None)))


def withdrawn_inputs(session: Session, derivation_id: int) -> list[int]:
    """Ids of the withdrawn guides and masks of a dream, lowest first."""
    withdrawn = select(INPUT.c.item_id).join(_ITEM, _ITEM.c.id == INPUT.c.item_id)
    withdrawn = withdrawn.where(INPUT.c.derivation_id == derivation_id, _ITEM.c.withdrawn_at.is_not(None))
    return list(session.scalars(withdrawn.order_by(INPUT.c.item_id)))

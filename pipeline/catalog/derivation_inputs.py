"""Which pictures a dream was made of besides its original: guides and masks, which may be withdrawn as that may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, ForeignKey, Select, exists, select, union
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.catalog.tables import Base, DerivationRow, ItemRow
from pipeline.catalog.upserts import insert_new, table_of


class DerivationInputRow(Base):
    """That a dream was made with an item as its guide or mask."""

    __tablename__ = "derivation_input"

    derivation_id: Mapped[int] = mapped_column(ForeignKey("derivation.id"), primary_key=True, autoincrement=False)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False, index=True)


INPUT, _ITEM, _DERIVATION = table_of(DerivationInputRow), table_of(ItemRow), table_of(DerivationRow)
_WITHDRAWN = _ITEM.c.withdrawn_at.is_not(None)


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
    return exists(withdrawn.where(INPUT.c.derivation_id == derivation_id, _WITHDRAWN))


def dreams_with_withdrawn_inputs() -> Select[tuple[int]]:
    """Ids of the dreams of which a guide or mask is withdrawn, some perhaps twice; found by what is withdrawn."""
    return select(INPUT.c.derivation_id).where(INPUT.c.item_id.in_(select(_ITEM.c.id).where(_WITHDRAWN)))


def withdrawn_dreams() -> CompoundSelect[tuple[int]]:
    """Ids of the dreams that a withdrawn picture has a part in, each once."""
    of_original = select(_DERIVATION.c.id).where(_DERIVATION.c.item_id.in_(select(_ITEM.c.id).where(_WITHDRAWN)))
    return union(of_original, dreams_with_withdrawn_inputs())


def withdrawn_inputs(session: Session, derivation_id: int) -> list[int]:
    """Ids of the withdrawn guides and masks of a dream, lowest first."""
    withdrawn = select(INPUT.c.item_id).join(_ITEM, _ITEM.c.id == INPUT.c.item_id)
    withdrawn = withdrawn.where(INPUT.c.derivation_id == derivation_id, _WITHDRAWN)
    return list(session.scalars(withdrawn.order_by(INPUT.c.item_id)))

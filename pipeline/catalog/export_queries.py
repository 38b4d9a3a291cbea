"""The catalog's read side for exports: what is known of many items at once, without a query for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from pipeline.catalog.repositories.base import chunks
from pipeline.catalog.tables import BlobRow, DerivationRow, ItemRow, KeywordRow, SightingRow
from pipeline.catalog.upserts import table_of
from pipeline.catalog.values import Blob, Derivation, Item, ItemKeyword, Sighting, value_of

_ITEM = table_of(ItemRow)
_BLOB = table_of(BlobRow)
_KEYWORD = table_of(KeywordRow)
_SIGHTING = table_of(SightingRow)
_DERIVATION = table_of(DerivationRow)


def withdrawn_ids(session: Session) -> frozenset[int]:
    """Ids of the items that must not be used any more."""
    return frozenset(session.scalars(select(_ITEM.c.id).where(_ITEM.c.withdrawn_at.is_not(None))))


def items(session: Session, item_ids: Sequence[int]) -> dict[int, Item]:
    """Items by id; those that there are."""
    rows = _rows(session, select(_ITEM), _ITEM.c.id, item_ids)
    return {row["id"]: value_of(Item, row) for row in rows}


def sightings(session: Session, item_ids: Sequence[int]) -> dict[int, list[Sighting]]:
    """Item id -> where it was met, first met first."""
    found: dict[int, list[Sighting]] = {}
    for row in _rows(session, select(_SIGHTING).order_by(_SIGHTING.c.id), _SIGHTING.c.item_id, item_ids):
        found.setdefault(row["item_id"], []).append(value_of(Sighting, row))
    return found


def keywords(session: Session, item_ids: Sequence[int]) -> dict[int, list[ItemKeyword]]:
    """Item id -> the keywords that it matched, best score first."""
    found: dict[int, list[ItemKeyword]] = {}
    best_first = select(_KEYWORD).order_by(_KEYWORD.c.score.desc(), _KEYWORD.c.keyword)
    for row in _rows(session, best_first, _KEYWORD.c.item_id, item_ids):
        found.setdefault(row["item_id"], []).append(value_of(ItemKeyword, row))
    return found


def derivations_of(session: Session, item_ids: Sequence[int]) -> list[Derivation]:
    """The derivations of these items, by item and then oldest first."""
    rows = _rows(session, select(_DERIVATION), _DERIVATION.c.item_id, item_ids)
    return sorted((value_of(Derivation, row) for row in rows), key=lambda each: (each.item_id, each.id))


def derivations(session: Session, derivation_ids: Sequence[int]) -> dict[int, Derivation]:
    """Derivations by id; those that there are."""
    rows = _rows(session, select(_DERIVATION), _DERIVATION.c.id, derivation_ids)
    return {row["id"]: value_of(Derivation, row) for row in rows}


def dreamed_ids(session: Session, item_ids: Sequence[int]) -> frozenset[int]:
    """Those of these items that have a derivation."""
    found = _rows(session, select(_DERIVATION.c.item_id).distinct(), _DERIVATION.c.item_id, item_ids)
    return frozenset(int(row["item_id"]) for row in found)


def blobs(session: Session, digests: Sequence[str]) -> dict[str, Blob]:
    """Files of the store by digest; those that the catalog knows."""
    rows = _rows(session, select(_BLOB), _BLOB.c.sha256, digests)
    return {row["sha256"]: value_of(Blob, row) for row in rows}


def _rows(session: Session, query: Select[Any], column: Any, values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for batch in chunks(dict.fromkeys(values)):
        found += session.execute(query.where(column.in_(batch))).mappings()
    return found

"""Sightings: where each item was met, and what was said of it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update

from pipeline.catalog.repositories.base import Repository
from pipeline.catalog.tables import SightingRow
from pipeline.catalog.upserts import insert_new, table_of
from pipeline.catalog.values import NewSighting, Sighting, columns_of
from pipeline.records import DeclaredLicense

_SIGHTING = table_of(SightingRow)
_UNIQUE = ("image_url", "page_url", "blob_sha256")
_LICENSE = ("license_id", "license_url", "license_declared_by", "license_text")


class Sightings(Repository):
    """The sightings of the catalog."""

    def of_item(self, item_id: int) -> Sequence[Sighting]:
        """Where an item was met, first met first."""
        return self._all(Sighting, select(_SIGHTING).where(_SIGHTING.c.item_id == item_id).order_by(_SIGHTING.c.id))

    def declared(self, item_id: int) -> Sequence[DeclaredLicense]:
        """What the item's sightings declare as its licence, each once, in no order."""
        columns = [_SIGHTING.c[name] for name in _LICENSE]
        declared = (_SIGHTING.c.item_id == item_id, _SIGHTING.c.license_id.is_not(None))
        rows = self._session.execute(select(*columns).where(*declared).distinct())
        return [DeclaredLicense(id_, url, by or "", text or "") for id_, url, by, text in rows]

    def change_license(self, sighting: NewSighting, declared: DeclaredLicense) -> None:
        """Record what is declared now where the same bytes were met before."""
        values = dict(zip(_LICENSE, (declared.id, declared.url, declared.declared_by, declared.text), strict=True))
        self._session.execute(update(_SIGHTING).where(*_same(sighting)).values(**values))

    def add(self, sighting: NewSighting) -> bool:
        """Record a sighting; False when the same bytes were met at that address and page before.

        Then only `last_seen_at` moves on, and `consent` is what was read now.
        """
        if insert_new(self._session, SightingRow, columns_of(sighting), unique=_UNIQUE):
            return True
        self._session.execute(
            update(_SIGHTING)
            .where(*_same(sighting), _SIGHTING.c.last_seen_at <= sighting.last_seen_at)
            .values(last_seen_at=sighting.last_seen_at, **_read_now(sighting.consent))
        )
        return False

    def touch(self, image_url: str, *, seen_at: datetime, consent: Mapping[str, Any] | None = None) -> None:
        """Record that an address was met again, without fetching it; and what its site says, where that was read."""
        self._session.execute(
            update(_SIGHTING)
            .where(_SIGHTING.c.image_url == image_url, _SIGHTING.c.last_seen_at <= seen_at)
            .values(last_seen_at=seen_at, **_read_now(consent))
        )


def _same(sighting: NewSighting) -> Sequence[ColumnElement[bool]]:
    return [_SIGHTING.c[name] == getattr(sighting, name) for name in _UNIQUE]


def _read_now(consent: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if consent is None else {"consent": dict(consent)}

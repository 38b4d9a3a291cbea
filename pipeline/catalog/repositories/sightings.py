"""Sightings: where each item was met, and what was said of it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from pipeline.catalog.repositories.base import Repository
from pipeline.catalog.tables import SightingRow
from pipeline.catalog.upserts import insert_new, table_of
from pipeline.catalog.values import NewSighting, Sighting, columns_of

_SIGHTING = table_of(SightingRow)
_UNIQUE = ("image_url", "page_url", "blob_sha256")


class Sightings(Repository):
    """The sightings of the catalog."""

    def of_item(self, item_id: int) -> Sequence[Sighting]:
        """Where an item was met, first met first."""
        return self._all(Sighting, select(_SIGHTING).where(_SIGHTING.c.item_id == item_id).order_by(_SIGHTING.c.id))

    def add(self, sighting: NewSighting) -> bool:
        """Record a sighting; False when the same bytes were met at that address and page before.

        Then only `last_seen_at` moves on, and `consent` is what was read now.
        """
        if insert_new(self._session, SightingRow, columns_of(sighting), unique=_UNIQUE):
            return True
        same = [_SIGHTING.c[name] == getattr(sighting, name) for name in _UNIQUE]
        self._session.execute(
            update(_SIGHTING)
            .where(*same, _SIGHTING.c.last_seen_at <= sighting.last_seen_at)
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


def _read_now(consent: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if consent is None else {"consent": dict(consent)}

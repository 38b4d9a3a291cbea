"""Fetches: the ledger's write side, and the same look-ups within a unit of work."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import case, select

from pipeline.catalog.ledger import LedgerEntry, find_entries
from pipeline.catalog.repositories.base import Repository, now
from pipeline.catalog.tables import FetchRow
from pipeline.catalog.upserts import insert_or_update, table_of

_FETCH = table_of(FetchRow)
KEPT, REJECTED, REFUSED, FAILED = "kept", "rejected", "refused", "failed"


class Fetches(Repository):
    """Each address ever tried, and what came of it."""

    def known(self, image_urls: Iterable[str]) -> dict[str, LedgerEntry]:
        """Those of these addresses that were tried before."""
        return find_entries(self._session.connection(), image_urls)

    def detail(self, image_url: str) -> str | None:
        """One line about what came of an address, or None."""
        return self._session.execute(select(_FETCH.c.detail).where(_FETCH.c.image_url == image_url)).scalar()

    def record(
        self,
        image_url: str,
        *,
        state: str,
        reason: str | None = None,
        detail: str | None = None,
        item_id: int | None = None,
        sha256: str | None = None,
        http_status: int | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> None:
        """Record one try of an address.

        state: kept, rejected, refused or failed. A try that is refused or fails does not unmake what an earlier one
            brought: the address stays kept, or rejected for what it held.
        """
        moment = now()
        outcome = {
            "state": state,
            "reason": reason,
            "detail": detail,
            "item_id": item_id,
            "sha256": sha256,
            "http_status": http_status,
            "etag": etag,
            "last_modified": last_modified,
        }
        stays = _FETCH.c.state.in_((KEPT, REJECTED))
        changes = (
            {name: case((stays, _FETCH.c[name]), else_=value) for name, value in outcome.items()}
            if state in (REFUSED, FAILED)
            else outcome
        )
        insert_or_update(
            self._session,
            FetchRow,
            {"image_url": image_url, **outcome, "attempts": 1, "first_tried_at": moment, "last_tried_at": moment},
            unique=("image_url",),
            update={**changes, "attempts": _FETCH.c.attempts + 1, "last_tried_at": moment},
        )

"""Fetches: the ledger's write side, and the same look-ups within a unit of work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import case, select

from pipeline.catalog.ledger import LedgerEntry, entry_of, find_entries
from pipeline.catalog.repositories.base import Repository, now
from pipeline.catalog.tables import FetchRow
from pipeline.catalog.upserts import insert_or_update, table_of

_FETCH = table_of(FetchRow)
KEPT, WITHDRAWN, REJECTED, REFUSED, FAILED = "kept", "withdrawn", "rejected", "refused", "failed"
FILTERED, QUEUED = "filtered", "queued"


class Fetches(Repository):
    """Each address ever tried, and what came of it."""

    def known(self, image_urls: Iterable[str]) -> dict[str, LedgerEntry]:
        """Those of these addresses that were tried before."""
        return find_entries(self._session.connection(), image_urls)

    def find(
        self, image_url: str, *, source: str, source_id: str | None = None, source_hash: str | None = None
    ) -> LedgerEntry | None:
        """What came of a picture before: by its address, else by its source's name for it, else by its digest.

        Under another address only a picture that is here, or was rejected for what it held, is the same one.
        """
        settled = _FETCH.c.state.in_((KEPT, WITHDRAWN, REJECTED))
        ways = [_FETCH.c.image_url == image_url]
        if source_id is not None:
            ways.append((_FETCH.c.source == source) & (_FETCH.c.source_id == source_id) & settled)
        if source_hash is not None:
            ways.append((_FETCH.c.source_hash == source_hash) & settled)
        for way in ways:
            row = self._session.execute(select(_FETCH).where(way).limit(1)).mappings().first()
            if row is not None:
                return entry_of(row)
        return None

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
        seen: Mapping[str, Any] | None = None,
    ) -> None:
        """Record one try of an address.

        state: One of the above. A try that is refused, filtered, queued or fails does not unmake what an earlier one
            brought: the address stays kept, or rejected for what it held. One that is queued is no attempt.
        seen: Further columns - source, source_id, source_hash, width, height, media_type, consent, record - of which
            those that are None leave what is there.
        """
        moment = now()
        facts = {name: value for name, value in (seen or {}).items() if value is not None}
        attempts = 0 if state == QUEUED else 1
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
        stays = _FETCH.c.state.in_((KEPT, WITHDRAWN, REJECTED))
        changes = (
            {name: case((stays, _FETCH.c[name]), else_=value) for name, value in outcome.items()}
            if state in (REFUSED, FILTERED, QUEUED, FAILED)
            else {**outcome, "record": None}
        )
        insert_or_update(
            self._session,
            FetchRow,
            {
                "image_url": image_url,
                **outcome,
                **facts,
                "attempts": attempts,
                "first_tried_at": moment,
                "last_tried_at": moment,
            },
            unique=("image_url",),
            update={**changes, **facts, "attempts": _FETCH.c.attempts + attempts, "last_tried_at": moment},
        )

"""Fetches: the ledger's write side, and the same look-ups within a unit of work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import case, select, update

from pipeline.catalog.ledger import LedgerEntry, entry_of, find_entries
from pipeline.catalog.repositories.base import Repository, now
from pipeline.catalog.tables import BlobRow, FetchRow
from pipeline.catalog.upserts import Rule, insert_or_update, table_of
from pipeline.errors import Reason

_FETCH, _BLOB = table_of(FetchRow), table_of(BlobRow)
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
        columns = select(_FETCH, _BLOB.c.size_bytes).outerjoin(_BLOB, _BLOB.c.sha256 == _FETCH.c.sha256)
        for way in ways:
            row = self._session.execute(columns.where(way).limit(1)).mappings().first()
            if row is not None:
                return entry_of(row)
        return None

    def unsettled(self, after: str, *, limit: int) -> list[tuple[str, Mapping[str, Any] | None]]:
        """Addresses that failed or were postponed with their records, in the order of the addresses, after one."""
        query = (
            select(_FETCH.c.image_url, _FETCH.c.record)
            .where(_FETCH.c.state.in_((FAILED, QUEUED)), _FETCH.c.image_url > after)
            .order_by(_FETCH.c.image_url)
            .limit(limit)
        )
        return [(url, record) for url, record in self._session.execute(query)]

    def detail(self, image_url: str) -> str | None:
        """One line about what came of an address, or None."""
        return self._session.execute(select(_FETCH.c.detail).where(_FETCH.c.image_url == image_url)).scalar()

    def withdraw(
        self, image_url: str, *, item_id: int, sha256: str | None, reason: str, detail: str, seen: Mapping[str, Any]
    ) -> None:
        """Record that an address of an item asks not to use it; what else is known of the address stays.

        seen: As for `record`.
        """
        moment = now()
        facts = {name: value for name, value in seen.items() if value is not None and name != "record"}
        changes = {"state": WITHDRAWN, "reason": reason, "detail": detail, "item_id": item_id, "last_tried_at": moment}
        insert_or_update(
            self._session,
            FetchRow,
            {"image_url": image_url, **facts, **changes, "sha256": sha256, "attempts": 1, "first_tried_at": moment},
            unique=("image_url",),
            update={**facts, **changes, "record": None, "attempts": _one_more},
        )

    def reopen(self, image_url: str, *, detail: str, record: Mapping[str, Any]) -> None:
        """Have an address fetched again whose bytes were lost: as if it had failed, and whatever it said before.

        record: `pipeline.records.CrawlRecord` as JSON values: all that another try needs.
        """
        # Without these a server would answer that nothing has changed, and send no bytes.
        forgotten = {"etag": None, "last_modified": None, "attempts": 0}
        values = {"state": FAILED, "reason": Reason.UNREADABLE.value, "detail": detail, "record": dict(record)}
        self._session.execute(update(_FETCH).where(_FETCH.c.image_url == image_url).values(**values, **forgotten))

    def allow(self, image_url: str, *, consent: Mapping[str, Any]) -> None:
        """Record that an address may be used; one that was withdrawn is kept again."""
        mine = _FETCH.c.image_url == image_url
        back = update(_FETCH).where(mine, _FETCH.c.state == WITHDRAWN)
        self._session.execute(back.values(state=KEPT, reason=None, detail=None))
        self._session.execute(update(_FETCH).where(mine).values(consent=dict(consent), last_tried_at=now()))

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
        changes = (
            {name: _UNLESS_SETTLED[name] for name in outcome}
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
            update={**changes, **facts, "attempts": _one_more, "last_tried_at": moment},
        )


def _one_more(there: Any, new: Any) -> Any:
    """Attempts: those there were, and those of the row that was to be inserted, which are one or none."""
    return there.attempts + new.attempts


def _unless_settled(name: str) -> Rule:
    """The new value of a column, unless an earlier try brought something."""

    def rule(there: Any, new: Any) -> Any:
        return case((there.state.in_((KEPT, WITHDRAWN, REJECTED)), there[name]), else_=new[name])

    return rule


_OUTCOME = ("state", "reason", "detail", "item_id", "sha256", "http_status", "etag", "last_modified")
_UNLESS_SETTLED = {name: _unless_settled(name) for name in _OUTCOME}

"""Blobs, rejections, keyword collections and the progress of ingest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.tables import BlobRow, CollectionRow, IngestProgressRow, ItemRow, RejectionRow
from pipeline.catalog.upserts import insert_for_id, insert_many, insert_new, insert_or_update, table_of
from pipeline.catalog.values import Blob, Collection, IngestProgress, Rejection, columns_of

_BLOB = table_of(BlobRow)
_ITEM = table_of(ItemRow)
_REJECTION = table_of(RejectionRow)
_COLLECTION = table_of(CollectionRow)
_PROGRESS = table_of(IngestProgressRow)


class Blobs(Repository):
    """Files of the store that the catalog knows."""

    def get(self, sha256: str) -> Blob | None:
        """One blob, or None."""
        return self._one(Blob, select(_BLOB).where(_BLOB.c.sha256 == sha256))

    def add(self, sha256: str, *, size_bytes: int, media_type: str) -> None:
        """Record a file that lies in the store; does nothing when it is on record."""
        values = {"sha256": sha256, "size_bytes": size_bytes, "media_type": media_type, "created_at": now()}
        insert_new(self._session, BlobRow, values, unique=("sha256",))

    def removed(self, digests: Sequence[str]) -> frozenset[str]:
        """Those of these files that are gone for good, after a withdrawal."""
        gone = select(_BLOB.c.sha256).where(_BLOB.c.sha256.in_(digests), _BLOB.c.removed_at.is_not(None))
        return frozenset(self._session.execute(gone).scalars())

    def came_back(self, sha256: str, *, item_id: int) -> None:
        """Record that a file of an item lies in the store again that was let go of, if the item may be used by now."""
        usable = select(_ITEM.c.id).where(_ITEM.c.id == item_id, _ITEM.c.withdrawn_at.is_(None)).exists()
        gone = update(_BLOB).where(_BLOB.c.sha256 == sha256, _BLOB.c.removed_at.is_not(None), usable)
        self._session.execute(gone.values(removed_at=None))


class Rejections(Repository):
    """Candidates that were not kept."""

    def of_run(self, run_id: int, *, limit: int | None = None) -> Sequence[Rejection]:
        """A run's rejections, first met first."""
        query = select(_REJECTION).where(_REJECTION.c.run_id == run_id).order_by(_REJECTION.c.id)
        return self._all(Rejection, query if limit is None else query.limit(limit))

    def add(
        self,
        run_id: int,
        image_url: str,
        *,
        page_url: str | None,
        stage: str,
        reason: str,
        detail: str,
        at: datetime | None = None,
    ) -> None:
        """Record why a candidate was not kept; of several reasons within a run the last one stays.

        stage: crawl or ingest.
        """
        facts = {"page_url": page_url, "stage": stage, "reason": reason, "detail": detail, "at": at or now()}
        insert_or_update(
            self._session,
            RejectionRow,
            {"run_id": run_id, "image_url": image_url, **facts},
            unique=("run_id", "image_url"),
            update=facts,
        )


class Collections(Repository):
    """Named keyword collections with their schedules."""

    def list(self) -> list[Collection]:
        """All collections, by name."""
        return self._all(Collection, select(_COLLECTION).order_by(_COLLECTION.c.name))

    def get(self, name: str) -> Collection | None:
        """One collection, or None."""
        return self._one(Collection, select(_COLLECTION).where(_COLLECTION.c.name == name))

    def add(
        self,
        *,
        name: str,
        keywords: Sequence[str],
        source: str,
        limit: int,
        preset: str,
        network: str | None,
        cron: str,
        timezone: str,
        options: Mapping[str, Any] | None = None,
    ) -> int | None:
        """Keep a collection; its id, or None when the name is taken.

        options: Exclusions, filters and the like, as JSON values.
        """
        values = {
            "name": name,
            "keywords": list(keywords),
            "source": source,
            "limit": limit,
            "preset": preset,
            "network": network,
            "cron": cron,
            "timezone": timezone,
            "options": dict(options or {}),
            "created_at": now(),
        }
        return insert_for_id(self._session, CollectionRow, values)

    def remove(self, name: str) -> bool:
        """Forget a collection; whether there was one."""
        removed = self._session.execute(
            delete(_COLLECTION).where(_COLLECTION.c.name == name).returning(_COLLECTION.c.id)
        )
        return removed.first() is not None


class IngestProgresses(Repository):
    """How far the ingest of each inbox has come."""

    def of_crawl(self, crawl_id: str) -> dict[int, IngestProgress]:
        """Position -> what became of the record there, for the records of an inbox that are done."""
        query = select(_PROGRESS).where(_PROGRESS.c.crawl_id == crawl_id).order_by(_PROGRESS.c.position)
        return {progress.position: progress for progress in self._all(IngestProgress, query)}

    def of_positions(self, crawl_id: str, positions: Sequence[int]) -> dict[int, IngestProgress]:
        """The same of these positions only."""
        found: dict[int, IngestProgress] = {}
        for batch in chunks(positions):
            query = select(_PROGRESS).where(_PROGRESS.c.crawl_id == crawl_id, _PROGRESS.c.position.in_(batch))
            found |= {progress.position: progress for progress in self._all(IngestProgress, query)}
        return found

    def add_all(self, progresses: Sequence[IngestProgress]) -> None:
        """Record that records are done; what another process recorded first stays."""
        rows = [columns_of(progress) for progress in progresses]
        insert_many(self._session.connection(), IngestProgressRow, rows, unique=("crawl_id", "position"))

    def forget(self, crawl_id: str) -> None:
        """Drop the progress of an inbox that is gone."""
        self._session.execute(delete(_PROGRESS).where(_PROGRESS.c.crawl_id == crawl_id))

"""Writes an inbox: bytes first, then the lines that tell of them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock

from pipeline.errors import InboxUnusable
from pipeline.inbox.files import GrowingFile, writable, write_json
from pipeline.inbox.lines import BLOBS, RECORDS, line_of
from pipeline.inbox.locks import ABOUT, lock_of
from pipeline.inbox.sealed import INBOX_VERSION, write_seal
from pipeline.inbox.waiting import sweep
from pipeline.records import CrawlRecord, CrawlReport, Outcome

_CRAWL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class InboxWriter:
    """Writes one inbox; several threads may call `add`. Leaving the `with` block closes it, but does not seal it."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock
        self._mutex = threading.Lock()
        self._count = 0
        self._records = GrowingFile(path / RECORDS)
        self._blobs = GrowingFile(path / BLOBS)
        self._places: dict[bytes, tuple[int, int]] = {}
        self._closed = False

    @classmethod
    def create(cls, parent: Path, *, crawl_id: str, about: Mapping[str, Any]) -> Self:
        """Start a new inbox folder below `parent`.

        Args:
            parent: The workspace's inbox folder; made when missing.
            crawl_id: Name of the folder: letters, digits, `.`, `_`, `-`; unique for ever.
            about: What ingest should know about the crawl, as JSON values; `crawl_id`, `version` and, when missing,
                `started_at` (UTC, ISO 8601) are added.

        Raises:
            InboxUnusable: There is an inbox of this name.
            WorkspaceUnusable: The folder cannot be written.
            ValueError: `crawl_id` is not a plain folder name.
        """
        if not _CRAWL_ID.fullmatch(crawl_id):
            raise ValueError(f"crawl id {crawl_id!r} is not a plain name of letters, digits, '.', '_' and '-'")
        path = parent / crawl_id
        with writable(path):
            parent.mkdir(parents=True, exist_ok=True)
            sweep(parent)
            try:
                path.mkdir()
            except FileExistsError as error:
                raise InboxUnusable(f"there is an inbox {path} already; a crawl id is used once") from error
            lock = lock_of(path)
            lock.acquire()
            try:
                values = {"started_at": datetime.now(UTC).isoformat(), **about}
                # The lock is held by now: nobody may take a folder with an inbox.json for an abandoned one.
                write_json(path / ABOUT, {**values, "crawl_id": crawl_id, "version": INBOX_VERSION})
                return cls(path, lock)
            except BaseException:
                lock.release()
                raise

    @property
    def count(self) -> int:
        """How many records were added."""
        return self._count

    def add(self, record: CrawlRecord, data: bytes | None = None) -> CrawlRecord:
        """Put one record, and for FETCHED its bytes, safely on disk; gives the record with `sha256` and `size_bytes`.

        Raises:
            InboxUnusable: Sealed or closed.
            WorkspaceUnusable: The disk is full or the folder cannot be written; what was added before stays good.
            ValueError: Bytes without FETCHED, FETCHED without bytes, or bytes with another digest than the record says.
        """
        return self.add_all([(record, data)])[0]

    def add_all(self, finds: Sequence[tuple[CrawlRecord, bytes | None]]) -> list[CrawlRecord]:
        """As `add`, for several at once, which spares most of the waiting for the disk.

        Raises:
            As `add`. Nothing of them is on record then, though some of their bytes may lie there.
        """
        records = [_with_digest(record, data) for record, data in finds]
        with self._mutex, writable(self.path):
            self._check_open()
            try:
                places = self._write_blobs(
                    [(record.sha256, data) for record, (_, data) in zip(records, finds, strict=True)]
                )
                self._records.append(b"".join(map(line_of, records, places)))
            except OSError:
                if self._records.is_spoilt or self._blobs.is_spoilt:
                    self._close()
                raise
            self._count += len(records)
        return records

    def seal(self, report: CrawlReport) -> None:
        """Mark the inbox complete, and close it. Nothing can be added afterwards.

        Raises:
            InboxUnusable: Sealed or closed.
            WorkspaceUnusable: The folder cannot be written.
        """
        with self._mutex, writable(self.path):
            self._check_open()
            write_seal(self.path, self._count, report)
        self.close()

    def close(self) -> None:
        """Let go of the folder. Without a seal it is an abandoned one, which `recover` seals. May be called twice."""
        with self._mutex:
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._records.close()
            self._blobs.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise InboxUnusable(f"the inbox {self.path} is sealed or closed; start another crawl")

    def _write_blobs(self, blobs: Sequence[tuple[str | None, bytes | None]]) -> list[tuple[int, int] | None]:
        """Put bytes that are not there yet on disk; the place of each."""
        places: list[tuple[int, int] | None] = []
        fresh: list[bytes] = []
        added: dict[bytes, tuple[int, int]] = {}
        end = self._blobs.end
        for digest, data in blobs:
            if digest is None or data is None:
                places.append(None)
                continue
            key = bytes.fromhex(digest)
            place = self._places.get(key) or added.get(key)
            if place is None:
                place = added[key] = (end, len(data))
                end += len(data)
                fresh.append(data)
            places.append(place)
        if fresh:
            self._blobs.append(*fresh)
            self._places.update(added)
        return places


def _with_digest(record: CrawlRecord, data: bytes | None) -> CrawlRecord:
    """The record with the digest and the size of its bytes.

    Raises:
        ValueError: As `InboxWriter.add`.
    """
    if (data is not None) != (record.outcome is Outcome.FETCHED):
        given = "none" if data is None else "some"
        raise ValueError(f"only a fetched record has bytes; this one is {record.outcome}, and {given} were given")
    if data is None:
        return record
    digest = hashlib.sha256(data).hexdigest()
    if record.sha256 not in (None, digest):
        raise ValueError(f"the record of {record.image_url} says {record.sha256}, its bytes have {digest}")
    return dataclasses.replace(record, sha256=digest, size_bytes=len(data))

"""The hand-off folder between a crawl and ingest: bytes by digest, one record a line, and a seal written last.

    inbox/<crawl id>/
        writer.lock     held, as a file lock, while a writer lives
        inbox.json      made first: crawl id, run id, source, keywords, started_at
        blobs.bin       the bytes of the pictures as they came, one after the other
        records.jsonl   one `CrawlRecord` a line, with the place of its bytes; written only after they are on disk
        sealed.json     written last: how many records, and the `CrawlReport`

The writer may be killed at any moment. What lies in an unsealed inbox is then still good up to a last line that may be
torn; `recover` drops that line and seals the rest. All bytes are in one file: making and syncing one for each picture
takes longer than fetching it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock

from pipeline.errors import InboxUnusable
from pipeline.inbox_files import (
    TEMPORARY_PREFIX,
    GrowingFile,
    read_json,
    sync_folder,
    writable,
    write_json,
    write_parts,
)
from pipeline.inbox_lines import BLOBS, RECORDS, ReadableLines, Tally, complete_lines, line_of, read_line
from pipeline.inbox_locks import ABOUT, GLANCE_SECONDS, has_writer, held, lock_of
from pipeline.records import CrawlRecord, CrawlReport, Outcome

INBOX_VERSION = 2

_SEAL = "sealed.json"
_TRASH = ".trash-"
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
            _sweep(parent)
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
            _write_seal(self.path, self._count, report)
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


@dataclass(frozen=True)
class SealedInbox:
    """A complete inbox, ready for ingest.

    Attributes:
        path: The folder.
        about: What `InboxWriter.create` was told.
        report: What the crawl counted.
        record_count: How many records there are.
    """

    path: Path
    about: Mapping[str, Any]
    report: CrawlReport
    record_count: int
    _places: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    def records(self) -> Iterator[CrawlRecord]:
        """Each record, in the order written.

        Raises:
            InboxUnusable: A line cannot be read, or there are more or fewer than were sealed.
        """
        count = 0
        for count, line in enumerate(complete_lines(self.path), start=1):
            try:
                record, place = read_line(line)
            except ValueError as error:
                raise InboxUnusable(f"line {count} of {self.path / RECORDS} cannot be read: {error}") from error
            if record.sha256 is not None and place is not None:
                self._places[record.sha256] = place
            yield record
        if count != self.record_count:
            raise InboxUnusable(f"{self.path} was sealed with {self.record_count} records, but has {count}")

    def open_blob(self, sha256: str) -> bytes:
        """The bytes with this digest, of a record that `records` has given.

        Raises:
            InboxUnusable: There are none, or they have changed.
        """
        if sha256 not in self._places:
            raise InboxUnusable(f"there are no bytes {sha256!r} in {self.path}")
        start, length = self._places[sha256]
        try:
            with (self.path / BLOBS).open("rb") as file:
                file.seek(start)
                data = file.read(length)
        except OSError as error:
            raise InboxUnusable(f"{self.path / BLOBS} cannot be read: {error.strerror}") from error
        if (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise InboxUnusable(f"the bytes filed under {sha256} in {self.path} have the digest {found}")
        return data


def pending_inboxes(parent: Path) -> list[Path]:
    """Inboxes that wait for ingest, oldest first: the sealed ones, and abandoned ones whose writer is gone."""
    found: list[tuple[str, str, Path]] = []
    for path in parent.iterdir() if parent.is_dir() else ():
        if path.name.startswith(".") or not (path / ABOUT).is_file():
            continue
        if (path / _SEAL).is_file() or not has_writer(path):
            found.append((_started_at(path), path.name, path))
    return [path for _, _, path in sorted(found)]


def recover(
    path: Path,
    *,
    finished: str = "interrupted",
    pages: int = 0,
    bytes_received: int = 0,
    seconds: float = 0.0,
    warnings: tuple[str, ...] = (),
) -> CrawlReport:
    """Seal an abandoned inbox: drop a torn last line, delete temporary files, and count what is there.

    Does nothing to a sealed one. May itself be killed and called again.

    Args:
        path: The inbox.
        finished: Why the crawl ended, when the caller knows better than `interrupted`.
        pages: How many pages were read, when known.
        bytes_received: Of all answers, when known.
        seconds: How long the crawl took, when known.
        warnings: Lines to put into the report, before those about damage found here.

    Raises:
        InboxUnusable: Not an inbox, or no longer one, or a writer lives.
        WorkspaceUnusable: The folder cannot be written.
    """
    if not (path / ABOUT).is_file():
        raise InboxUnusable(f"{path} is not an inbox: it has no {ABOUT}")
    if (path / _SEAL).is_file():
        return read_inbox(path).report
    with held(path), writable(path):
        if (path / _SEAL).is_file():  # another process was faster
            return read_inbox(path).report
        for leftover in path.glob(f"{TEMPORARY_PREFIX}*"):
            leftover.unlink(missing_ok=True)
        tally, lines = Tally(), ReadableLines(path)
        write_parts(path / RECORDS, tally.counting(lines))
        if lines.damaged:
            warnings = (*warnings, f"{lines.damaged} damaged record(s) in {path} were dropped")
        report = dataclasses.replace(
            tally.report(path),
            finished=finished,
            pages=pages,
            bytes_received=bytes_received,
            seconds=seconds,
            warnings=warnings,
        )
        _write_seal(path, tally.count, report)
        return report


def waiting_records(path: Path) -> Iterator[CrawlRecord]:
    """What ingest would take from an inbox that waits, sealed or abandoned; nothing is changed.

    Raises:
        InboxUnusable: The records cannot be read.
    """
    for _, record in ReadableLines(path):
        yield record


def read_inbox(path: Path) -> SealedInbox:
    """A sealed inbox.

    Raises:
        InboxUnusable: Not an inbox, not sealed, or its seal cannot be read.
    """
    if not (path / _SEAL).is_file():
        raise InboxUnusable(f"{path} is not a sealed inbox; a crawl may still be writing to it")
    about, seal = read_json(path / ABOUT), read_json(path / _SEAL)
    try:
        if seal["version"] > INBOX_VERSION:
            raise InboxUnusable(f"{path} was sealed by a newer version of dreamcrawl; upgrade")
        values = dict(seal["report"])
        values["warnings"] = tuple(values.get("warnings", ()))
        return SealedInbox(path, about, CrawlReport(**values), int(seal["records"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InboxUnusable(f"the seal of {path} cannot be read: {error!r}") from error


def discard(path: Path) -> None:
    """Delete an inbox that ingest has taken over completely. An inbox that is gone already is fine.

    Raises:
        InboxUnusable: A writer lives.
        WorkspaceUnusable: The folder cannot be deleted.
    """
    if not path.exists():
        return
    if has_writer(path, wait_seconds=GLANCE_SECONDS):
        raise InboxUnusable(f"a crawl is still writing to {path}; it cannot be deleted")
    trash = path.with_name(f"{_TRASH}{path.name}-{os.getpid()}")
    with writable(path):
        # Renamed first: a kill in the middle of deleting must leave nothing that looks like an inbox.
        path.rename(trash)
        sync_folder(path.parent)
    _sweep(path.parent)


def _started_at(path: Path) -> str:
    try:
        return str(read_json(path / ABOUT).get("started_at", ""))
    except InboxUnusable:
        return ""  # whoever reads it will say so; it must not hide the others


def _sweep(parent: Path) -> None:
    """Delete what an interrupted `discard` left; never an error, as the next one tries again."""
    for trash in parent.glob(f"{_TRASH}*"):
        shutil.rmtree(trash, ignore_errors=True)


def _write_seal(path: Path, count: int, report: CrawlReport) -> None:
    values = {**dataclasses.asdict(report), "reasons": dict(report.reasons)}
    write_json(path / _SEAL, {"version": INBOX_VERSION, "records": count, "report": values})

"""Inboxes that wait for ingest: which there are, sealing abandoned ones, and deleting those that were taken."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import InboxUnusable
from pipeline.inbox.files import TEMPORARY_PREFIX, read_json, sync_folder, writable, write_parts
from pipeline.inbox.lines import RECORDS, ReadableLines, Tally
from pipeline.inbox.locks import ABOUT, GLANCE_SECONDS, has_writer, held
from pipeline.inbox.sealed import SEAL, read_inbox, write_seal
from pipeline.records import CrawlRecord, CrawlReport

_TRASH = ".trash-"


def pending_inboxes(parent: Path) -> list[Path]:
    """Inboxes that wait for ingest, oldest first: the sealed ones, and abandoned ones whose writer is gone."""
    found: list[tuple[str, str, Path]] = []
    for path in parent.iterdir() if parent.is_dir() else ():
        if path.name.startswith(".") or not (path / ABOUT).is_file():
            continue
        if (path / SEAL).is_file() or not has_writer(path):
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
    if (path / SEAL).is_file():
        return read_inbox(path).report
    with held(path), writable(path):
        if (path / SEAL).is_file():  # another process was faster
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
        write_seal(path, tally.count, report)
        return report


def waiting_records(path: Path) -> Iterator[CrawlRecord]:
    """What ingest would take from an inbox that waits, sealed or abandoned; nothing is changed.

    Raises:
        InboxUnusable: The records cannot be read.
    """
    for _, record in ReadableLines(path):
        yield record


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
    sweep(path.parent)


def sweep(parent: Path) -> None:
    """Delete what an interrupted `discard` left; never an error, as the next one tries again."""
    for trash in parent.glob(f"{_TRASH}*"):
        shutil.rmtree(trash, ignore_errors=True)


def _started_at(path: Path) -> str:
    try:
        return str(read_json(path / ABOUT).get("started_at", ""))
    except InboxUnusable:
        return ""  # whoever reads it will say so; it must not hide the others

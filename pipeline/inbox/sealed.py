"""A sealed inbox: how it is marked complete, and how it is read."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import InboxUnusable
from pipeline.inbox.files import read_json, write_json
from pipeline.inbox.lines import BLOBS, RECORDS, complete_lines, read_line
from pipeline.inbox.locks import ABOUT
from pipeline.records import CrawlRecord, CrawlReport

INBOX_VERSION = 2
SEAL = "sealed.json"


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


def read_inbox(path: Path) -> SealedInbox:
    """A sealed inbox.

    Raises:
        InboxUnusable: Not an inbox, not sealed, or its seal cannot be read.
    """
    if not (path / SEAL).is_file():
        raise InboxUnusable(f"{path} is not a sealed inbox; a crawl may still be writing to it")
    about, seal = read_json(path / ABOUT), read_json(path / SEAL)
    try:
        if seal["version"] > INBOX_VERSION:
            raise InboxUnusable(f"{path} was sealed by a newer version of dreamcrawl; upgrade")
        values = dict(seal["report"])
        values["warnings"] = tuple(values.get("warnings", ()))
        return SealedInbox(path, about, CrawlReport(**values), int(seal["records"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InboxUnusable(f"the seal of {path} cannot be read: {error!r}") from error


def write_seal(path: Path, count: int, report: CrawlReport) -> None:
    """Mark an inbox of so many records complete."""
    values = {**dataclasses.asdict(report), "reasons": dict(report.reasons)}
    write_json(path / SEAL, {"version": INBOX_VERSION, "records": count, "report": values})

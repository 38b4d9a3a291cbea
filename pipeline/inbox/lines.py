"""The lines of an inbox's records file, read one at a time: an inbox may hold a hundred thousand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import InboxUnusable, Reason
from pipeline.records import CrawlRecord, CrawlReport, Outcome

BLOBS = "blobs.bin"
RECORDS = "records.jsonl"
_PLACE = "place"  # of a line: where its bytes begin in blobs.bin, and how many there are

Place = tuple[int, int]


def line_of(record: CrawlRecord, place: Place | None) -> bytes:
    """The line of a record, and the place of its bytes."""
    values = record.to_json() if place is None else {**record.to_json(), _PLACE: place}
    return json.dumps(values, allow_nan=False).encode("ascii") + b"\n"


def read_line(line: bytes) -> tuple[CrawlRecord, Place | None]:
    """The record of a line, and the place of its bytes.

    Raises:
        ValueError: It holds something else.
    """
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("not an object")  # noqa: TRY004  # what every other bad line raises
    place = values.pop(_PLACE, None)
    if place is not None:
        try:
            start, length = place
            place = int(start), int(length)
        except TypeError as error:
            raise ValueError(f"not the place of bytes: {place!r}") from error
    return CrawlRecord.from_json(values), place


def complete_lines(path: Path) -> Iterator[bytes]:
    """The lines of the inbox `path` without their ends, but for a last one that is torn.

    Raises:
        InboxUnusable: The file cannot be read.
    """
    try:
        with (path / RECORDS).open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]
    except FileNotFoundError:
        return
    except OSError as error:
        raise InboxUnusable(f"{path / RECORDS} cannot be read: {error.strerror}") from error


class ReadableLines:
    """Lines that hold a record whose bytes are there, with what they hold; iterate once.

    Attributes:
        damaged: How many so far hold none; a torn last line counts as neither.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = 0

    def __iter__(self) -> Iterator[tuple[bytes, CrawlRecord]]:
        blobs = self._path / BLOBS
        size = blobs.stat().st_size if blobs.is_file() else 0
        for line in complete_lines(self._path):
            try:
                record, place = read_line(line)
            except ValueError:
                self.damaged += 1
                continue
            if record.outcome is Outcome.FETCHED and (place is None or sum(place) > size):
                self.damaged += 1
                continue
            yield line, record


class Tally:
    """Counts records as they pass."""

    def __init__(self) -> None:
        self.count = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[Reason] = Counter()
        self._bytes = 0

    def counting(self, lines: ReadableLines) -> Iterator[bytes]:
        """The lines with their ends, each counted as it passes."""
        for line, record in lines:
            self._add(record)
            yield line + b"\n"

    def _add(self, record: CrawlRecord) -> None:
        self.count += 1
        self._outcomes[record.outcome] += 1
        if record.reason is not None:
            self._reasons[record.reason] += 1
        if record.outcome is Outcome.FETCHED:
            self._bytes += record.size_bytes or 0

    def report(self, path: Path) -> CrawlReport:
        """What was counted, as the report of the inbox `path`."""
        outcomes = self._outcomes
        return CrawlReport(
            inbox=str(path),
            found=self.count,
            fetched=outcomes[Outcome.FETCHED],
            known=outcomes[Outcome.KNOWN],
            refused=outcomes[Outcome.REFUSED],
            filtered=outcomes[Outcome.FILTERED],
            postponed=outcomes[Outcome.POSTPONED],
            failed=outcomes[Outcome.FAILED],
            bytes_fetched=self._bytes,
            reasons={reason.value: count for reason, count in self._reasons.items()},
        )

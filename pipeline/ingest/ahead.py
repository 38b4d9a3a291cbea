"""Reads an inbox a little ahead, so that the next pictures are decoded while the last one is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import islice

from pipeline.errors import InboxUnusable
from pipeline.inbox import SealedInbox
from pipeline.ingest.candidates import Picture
from pipeline.ingest.examining import MAX_WORKERS
from pipeline.ingest.intake import Intake
from pipeline.records import CrawlRecord, Outcome

# One under way and one in line for each worker. More would only take memory.
_MAX_PICTURES = 2 * MAX_WORKERS
_MAX_RECORDS = 100
# So many records are looked up at once. The same bytes twice among them are decoded twice, so not too many.
_LOOKED_UP = 16


@dataclass(frozen=True)
class Lost:
    """A picture whose bytes the disk lost; the others are still good."""

    detail: str


Ahead = tuple[int, CrawlRecord, Picture | Lost | None]


def read_ahead(inbox: SealedInbox, *, intake: Intake, skip: Container[int]) -> Iterator[Ahead]:
    """Position, record, and for one with bytes its picture, already begun; in the order of the inbox.

    Args:
        inbox: What to read.
        intake: What begins the pictures.
        skip: Positions whose pictures are taken already.

    Raises:
        InboxUnusable: A line cannot be read; after all that stood before it.
    """
    waiting: deque[Ahead] = deque()
    pictures = 0
    damage: list[InboxUnusable] = []
    records = enumerate(_up_to_damage(inbox, damage))
    while some := list(islice(records, _LOOKED_UP)):
        new = [(position, record) for position, record in some if position not in skip]
        known = intake.known({record.sha256 for _, record in new if record.sha256 and _has_bytes(record)})
        for position, record in some:
            picture = None
            if _has_bytes(record) and position not in skip:
                picture = _begin(inbox, record, intake=intake, known=known)
                pictures += 1
            waiting.append((position, record, picture))
            while pictures > _MAX_PICTURES or len(waiting) > _MAX_RECORDS:
                pictures -= waiting[0][2] is not None
                yield waiting.popleft()
    yield from waiting
    for error in damage:
        raise error


def _up_to_damage(inbox: SealedInbox, damage: list[InboxUnusable]) -> Iterator[CrawlRecord]:
    """The records before the first line that cannot be read; that error goes into the list."""
    try:
        yield from inbox.records()
    except InboxUnusable as error:
        damage.append(error)


def _has_bytes(record: CrawlRecord) -> bool:
    return record.outcome is Outcome.FETCHED


def _begin(inbox: SealedInbox, record: CrawlRecord, *, intake: Intake, known: Container[str]) -> Picture | Lost:
    try:
        return intake.begin(inbox.open_blob(record.sha256 or ""), known=known)
    except InboxUnusable as error:
        return Lost(str(error))

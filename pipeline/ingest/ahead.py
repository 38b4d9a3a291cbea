"""Reads an inbox a little ahead, so that the next pictures are decoded while the last one is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass

from pipeline.errors import InboxUnusable
from pipeline.inbox import SealedInbox
from pipeline.ingest.examining import MAX_WORKERS
from pipeline.ingest.intake import Intake, Picture
from pipeline.records import CrawlRecord, Outcome

# One under way and one in line for each worker. More would only take memory.
_MAX_PICTURES = 2 * MAX_WORKERS
_MAX_RECORDS = 100


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
    damage: InboxUnusable | None = None
    records = enumerate(inbox.records())
    while True:
        try:
            position, record = next(records)
        except StopIteration:
            break
        except InboxUnusable as error:
            damage = error
            break
        picture = None
        if record.outcome is Outcome.FETCHED and position not in skip:
            picture = _begin(inbox, record, intake=intake)
            pictures += 1
        waiting.append((position, record, picture))
        while pictures > _MAX_PICTURES or len(waiting) > _MAX_RECORDS:
            pictures -= waiting[0][2] is not None
            yield waiting.popleft()
    yield from waiting
    if damage is not None:
        raise damage


def _begin(inbox: SealedInbox, record: CrawlRecord, *, intake: Intake) -> Picture | Lost:
    try:
        return intake.begin(inbox.open_blob(record.sha256 or ""))
    except InboxUnusable as error:
        return Lost(str(error))

"""What ingest hands on: a record of an inbox from its bytes until it is written, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.catalog.values import IngestProgress
from pipeline.errors import Reason
from pipeline.ingest.examining import Pending
from pipeline.ingest.validation import Examined
from pipeline.records import CrawlRecord

ACCEPTED = "accepted"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
KNOWN = "known"
REJECTED = "rejected"
REFUSED = "refused"
FAILED = "failed"
FILTERED = "filtered"
POSTPONED = "postponed"


@dataclass(frozen=True)
class Place:
    """Where a record stands in its inbox."""

    crawl_id: str
    position: int


@dataclass(frozen=True)
class Taken:
    """What became of a candidate; `item_id` is None when no item came of it."""

    outcome: str
    item_id: int | None = None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """Bytes that are to be taken in.

    Attributes:
        pending: What they are, once it is known; None for bytes that the catalog has.
    """

    data: bytes
    sha256: str
    pending: Pending | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A record that is ready to be written: all that takes time has been done.

    Attributes:
        place: None for a picture that came without an inbox.
    """

    record: CrawlRecord
    place: Place | None = None


@dataclass(frozen=True, kw_only=True)
class Stored(Candidate):
    """A picture whose file lies in the store, unless its site had asked not to use it.

    Attributes:
        data: The bytes of one whose file may be missing by the time that it is written; else None.
        examined: None for bytes that the catalog had.
        embedded: What the file says of itself; see `pipeline.images.DecodedImage`.
    """

    sha256: str
    size_bytes: int
    data: bytes | None
    examined: Examined | None
    embedded: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Unfit(Candidate):
    """A picture that cannot be kept, and why; without a digest when its bytes were lost."""

    reason: Reason
    detail: str
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Other(Candidate):
    """A candidate without bytes: known, refused, failed."""


@dataclass(frozen=True, kw_only=True)
class Finished(Candidate):
    """What an ingest that was killed, perhaps of another run, had done."""

    progress: IngestProgress

"""What fsck finds: typed, with what was done about it or what a person can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong. The values are shown and stand in JSON, so they never change meaning."""

    DAMAGED_CATALOG = "damaged_catalog"  # SQLite finds its own file damaged, or rows refer to rows that are gone
    MISSING_FILE = "missing_file"  # the catalog has it, the store has not
    ALTERED_FILE = "altered_file"  # other bytes than it is filed under
    UNREADABLE_FILE = "unreadable_file"  # the disk or the rights are in the way
    UNKNOWN_FILE = "unknown_file"  # the store has it, the catalog has not
    MISPLACED_FILE = "misplaced_file"  # not a file of the store at all
    LEFTOVER = "leftover"  # half-written, by a process that was killed
    NOT_REMOVED = "not_removed"  # on record as removed after a withdrawal, and still there
    BROKEN_STAR = "broken_star"  # near to a picture that is near to another itself
    HIDDEN_STAR = "hidden_star"  # withdrawn, and stands for pictures that may be shown
    LOST_ADDRESS = "lost_address"  # on record as kept, but of no picture
    SEARCH = "search"  # a search would miss it, or find it wrongly


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What.
        subject: `i12`, `d3`, a digest, an address or the name of a file.
        detail: One line for people.
        mended: Whether all is well now.
        action: What was done, or what to do.
        path: The file concerned, or None.
    """

    kind: Kind
    subject: str
    detail: str
    mended: bool = False
    action: str = ""
    path: str | None = None


@dataclass(frozen=True)
class FsckReport:
    """All that one check found.

    Attributes:
        files: Stored files that were read and hashed.
        bytes: Their sizes together.
        items: Items whose rows were looked at.
        unrecorded: Files of the store, written within the last hour, that the catalog does not know, or not yet.
    """

    findings: tuple[Finding, ...] = ()
    files: int = 0
    bytes: int = 0
    items: int = 0
    unrecorded: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(finding.mended for finding in self.findings)

    @property
    def is_damaged(self) -> bool:
        """Whether the catalog itself is damaged."""
        return any(finding.kind is Kind.DAMAGED_CATALOG for finding in self.findings)

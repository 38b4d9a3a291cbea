"""What the catalog hands out about duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SAME = "same"
DIFFERENT = "different"


@dataclass(frozen=True)
class DuplicatePair:
    """Two items that may be the same picture.

    Attributes:
        first_id: The lower of the two ids.
        tier: near or review; None when a person named the pair and nothing was found before.
        relation: What was done to one to make the other, in words.
        distance: Differing bits of 256.
        evidence: The fields of `pipeline.duplicates.verification.Evidence`.
        decision: same, different, or None while nobody has decided.
    """

    id: int
    first_id: int
    second_id: int
    tier: str | None
    relation: str | None
    distance: int | None
    algorithm: str | None
    evidence: Mapping[str, Any] | None
    found_at: datetime | None
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True)
class NewPair:
    """A pair that was found.

    Attributes:
        evidence: Plain values only, as it is kept as JSON.
    """

    first_id: int
    second_id: int
    tier: str
    relation: str
    distance: int
    algorithm: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Fingerprint:
    """A hash and whose it is."""

    id: int
    item_id: int
    algorithm: str

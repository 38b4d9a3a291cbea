"""What the catalog hands out about duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SAME = "same"
DIFFERENT = "different"
NEAR = "near"
REVIEW = "review"
SIMILAR = "similar"
"""The tier of pairs that only a network takes for alike: for a person to look at, never linked on that alone."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two items that may be the same picture.

    Attributes:
        first_id: The lower of the two ids.
        tier: near, review or similar; None when a person named the pair and nothing was found before.
        relation: What was done to one to make the other, in words.
        distance: Differing bits of 256.
        evidence: The fields of `pipeline.duplicates.verification.Evidence`; of similar ones, the cosine.
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


@dataclass(frozen=True)
class Feature:
    """A vector on record and whose it is.

    Attributes:
        is_usable: Whether the item was not withdrawn.
    """

    id: int
    item_id: int
    is_usable: bool

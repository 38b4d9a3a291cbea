"""From evidence to a tier: near duplicates, linked without asking; candidates for a person to look at; or nothing.

The figures were chosen on one half of the photographs of `benchmarks/duplicates.py` and are reported on the other,
which asked for one more: `_REPETITIVE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pipeline.catalog import duplicate_values
from pipeline.duplicates.hashes import UPRIGHT, Turn
from pipeline.duplicates.signatures import View
from pipeline.duplicates.verification import Evidence, texture_of, verify
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE


class Tier(StrEnum):
    """How much two items are the same; files with the same bytes or pixels are one item."""

    NEAR = duplicate_values.NEAR
    REVIEW = duplicate_values.REVIEW


REVIEW_DISTANCE = 84
"""Differing bits of 256 up to which pictures are compared at all; beyond it, pairs of strangers become frequent."""

TURNED_DISTANCE = 48
"""The same for a picture that was turned or mirrored, which changes no bit by itself."""

FIRST_IS_PART = "the first is a part of the second"
SECOND_IS_PART = "the second is a part of the first"

_TEXTURED = 0.4
"""Share of a picture with fine texture from which it has enough of it to be told by, whatever was written over it.

Below - objects on white, drawings, skies - and in patterns, a watermark may be most of what there is to compare, so
that the rest must be equal but for a little tone and noise.
"""


_RICH = 0.5
"""The same from which even large differences do not matter; between the two, words across a drawing make half of it."""

_PATTERN = 0.55
"""Repetition from which one part of a picture is like another, so that two patterns agree wherever they are laid."""

_REPETITIVE = 0.5
"""The same from which words repeated all over may be most of the texture: two windows under one watermark are two."""


@dataclass(frozen=True)
class _Rule:
    """What evidence must show. Agreements are shares of blocks, differences grey levels (root mean square)."""

    agreeing: int
    agreement: float
    faint_agreement: float
    distance: int = REVIEW_DISTANCE
    overlap: float = 0.0  # of the first picture
    contrast: float = 2.0  # gain at most, and at least its inverse
    detail_within_borders: float = 0.0  # if borders were left out
    difference: float = math.inf
    worst_difference: float = math.inf
    chroma_difference: float = math.inf

    def holds(self, evidence: Evidence, distance: int) -> bool:
        return (
            distance <= self.distance
            and evidence.overlap >= self.overlap
            and (not evidence.within_borders or evidence.detail >= self.detail_within_borders)
            and evidence.agreeing >= self.agreeing
            and evidence.agreement >= self.agreement
            and evidence.faint_agreement >= self.faint_agreement
            and 1 / self.contrast <= evidence.gain <= self.contrast
            and evidence.difference <= self.difference
            and evidence.worst_difference <= self.worst_difference
            and evidence.chroma_difference <= self.chroma_difference
        )


_NEAR_TEXTURED = (
    _Rule(agreeing=20, agreement=0.65, faint_agreement=0.6, distance=56),
    _Rule(agreeing=20, agreement=0.78, faint_agreement=0.7),
)
_NEAR_BETWEEN = _Rule(agreeing=20, agreement=0.8, faint_agreement=0.75, worst_difference=40)
_NEAR_REPETITIVE = _Rule(agreeing=20, agreement=0.8, faint_agreement=0.75, difference=6, worst_difference=20)
_NEAR_PLAIN = _Rule(
    agreeing=6,
    agreement=0.9,
    faint_agreement=0.85,
    distance=40,
    overlap=0.95,
    detail_within_borders=0.35,  # discs on black are one disc, once what lies round them is left out
    contrast=4 / 3,
    difference=4,
    worst_difference=8,
    chroma_difference=6,
)
_REVIEW_TEXTURED = (
    _Rule(agreeing=12, agreement=0.55, faint_agreement=0.5, distance=56, contrast=2.5),
    _Rule(agreeing=12, agreement=0.7, faint_agreement=0.6, contrast=2.5),
)
_REVIEW_PLAIN = _Rule(
    agreeing=6,
    agreement=0.85,
    faint_agreement=0.8,
    distance=56,
    overlap=0.9,
    contrast=2.5,
    difference=8,
    worst_difference=20,
    chroma_difference=10,
)
# Of near duplicates: small crops, and borders that were not cut quite where they end.
_NEAR_OVERLAP = 0.85
_NEAR_SCALE = 1.11
_NEAR_ROTATION = 4.0  # degrees
# Of review: the picture must not have been bent into another one.
_REVIEW_SCALE = 2.0
_REVIEW_STRETCH = 1.5
_NOTICED_SCALE = 1.03
_NOTICED_ROTATION = 0.7


def compare(
    first: View, second: View, turn: Turn, distance: int, *, near_distance: int = DEFAULT_NEAR_DISTANCE
) -> tuple[Tier, Evidence] | None:
    """The tier of two pictures whose hashes are near, and what speaks for it; None when they are different ones.

    turn: How the first must be turned to lie like the second.
    distance: Differing bits of the hashes that led here.
    near_distance: Up to which distance near duplicates are linked; more are left for review.
    """
    # Of plain pictures many are near, and most are too far for their rules: that need not be looked at closely.
    if distance > _REVIEW_PLAIN.distance and not _is_textured(*texture_of(first, second)):
        return None
    evidence = verify(first, second, turn)
    if evidence is None:
        return None
    tier = tier_of(evidence, turn=turn, distance=distance, near_distance=near_distance)
    return None if tier is None else (tier, evidence)


def tier_of(
    evidence: Evidence, *, turn: Turn, distance: int, near_distance: int = DEFAULT_NEAR_DISTANCE
) -> Tier | None:
    """The tier of two pictures, or None when they are different ones.

    turn: How the first was turned to lie like the second; what is not upright is never linked without asking.
    distance: Differing bits of the hashes that led here.
    near_distance: Up to which distance near duplicates are linked; more are left for review.
    """
    across, down = _scales(evidence)
    if (
        turn == UPRIGHT
        and distance <= near_distance
        and evidence.overlap >= _NEAR_OVERLAP
        and all(1 / _NEAR_SCALE <= scale <= _NEAR_SCALE for scale in (across, down))
        and abs(evidence.rotation) <= _NEAR_ROTATION
        and any(rule.holds(evidence, distance) for rule in _near_rules(evidence))
    ):
        return Tier.NEAR
    most = _REVIEW_SCALE if _is_textured(evidence.detail, evidence.repetition) else _NEAR_SCALE
    if (
        min(across, down) >= 1 / most
        and max(across, down) <= most
        and max(across, down) / min(across, down) <= _REVIEW_STRETCH
        and any(rule.holds(evidence, distance) for rule in _review_rules(evidence))
    ):
        return Tier.REVIEW
    return None


def _near_rules(evidence: Evidence) -> tuple[_Rule, ...]:
    if not _is_textured(evidence.detail, evidence.repetition):
        return (_NEAR_PLAIN,)
    if evidence.repetition >= _REPETITIVE:
        return (_NEAR_REPETITIVE, _NEAR_PLAIN)
    return _NEAR_TEXTURED if evidence.detail >= _RICH else (_NEAR_BETWEEN, _NEAR_PLAIN)


def _review_rules(evidence: Evidence) -> tuple[_Rule, ...]:
    return _REVIEW_TEXTURED if _is_textured(evidence.detail, evidence.repetition) else (_REVIEW_PLAIN,)


def _is_textured(detail: float, repetition: float) -> bool:
    return detail >= _TEXTURED and repetition < _PATTERN


def relation_of(evidence: Evidence, turn: Turn) -> str:
    """What was done to one of two pictures to make the other, in words, as far as it can be seen."""
    found = [turn.name] if turn != UPRIGHT else []
    across, down = _scales(evidence)
    if max(across, down) < 1 / _NOTICED_SCALE:
        found.append(FIRST_IS_PART)
    elif min(across, down) > _NOTICED_SCALE:
        found.append(SECOND_IS_PART)
    elif not all(1 / _NOTICED_SCALE <= scale <= _NOTICED_SCALE for scale in (across, down)):
        found.append("cropped")
    if abs(evidence.rotation) >= _NOTICED_ROTATION:
        found.append(f"rotated by {abs(evidence.rotation):.0f} degrees")
    return ", ".join(found) or "edited"


def _scales(evidence: Evidence) -> tuple[float, float]:
    """(along x, along y): how much of the second picture's side the first one's side covers."""
    _x, across_x, down_x, _y, across_y, down_y = evidence.warp
    return max(1e-6, math.hypot(across_x, across_y)), max(1e-6, math.hypot(down_x, down_y))

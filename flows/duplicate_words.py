"""What `duplicates` says about pairs and groups, in words for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.catalog.duplicate_values import DuplicatePair
    from pipeline.duplicates.finding import FindReport

_TIERS = {
    "near": "near: they agree block by block, and are linked unless they stand in different groups",
    "review": "review: they seem the same, but one is mirrored, turned or cut, or there are doubts",
    "similar": "similar: a network sees much the same in them",
}
_FOUND = {
    "signed": "pictures signed",
    "unreadable": "pictures that cannot be read",
    "searched": "pictures compared with those before them",
    "pairs": "pairs found",
    "linked": "linked to another picture",
    "parted": "links of older versions that do not hold",
}
_EVIDENCE = {
    "agreement": "blocks with clear texture that agree, 0 to 1",
    "faint_agreement": "the same, with faint texture too",
    "agreeing": "how many with clear texture agree, of 64",
    "overlap": "share of one that the other covers, 0 to 1",
    "gain": "contrast of the one to the other",
    "difference": "what remains different, in grey levels",
    "worst_difference": "the same in the worst block",
    "chroma_difference": "the same of the colours",
    "detail": "share of the plainer one with fine texture, 0 to 1",
    "repetition": "how much one repeats itself; a pattern from 0.55 on",
    "within_borders": "borders were left out",
    "rotation": "rotated by, in degrees",
    "cosine": "cosine of their features, 1 at most",
}
_NOT_TOLD = {"warp"}


def tiers_in_words(tiers: Collection[str | None]) -> list[str]:
    """What the tiers of some listed pairs mean, a line for each."""
    return [line for name, line in _TIERS.items() if name in tiers]


def found_in_words(report: FindReport) -> list[tuple[str, int]]:
    """What a search came to: a row for each count."""
    return [(words, getattr(report, name)) for name, words in _FOUND.items()]


def relation_in_words(pair: DuplicatePair) -> str:
    """What was done to one of two pictures to make the other, both by name."""
    if pair.relation is None:
        return ""
    first, second = f"i{pair.first_id}", f"i{pair.second_id}"
    words = pair.relation.replace("the first", first).replace("the second", second)
    return words if words != pair.relation or pair.tier == "similar" else f"{second} is {first}, {words}"


def evidence_in_words(evidence: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What two pictures have in common: a row for each figure."""
    return [
        (_EVIDENCE.get(name, name.replace("_", " ")), ("yes" if value else "no") if isinstance(value, bool) else value)
        for name, value in evidence.items()
        if name not in _NOT_TOLD
    ]

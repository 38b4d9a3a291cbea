"""Which picture of a group is the best to keep in front, and what speaks for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Item
from pipeline.duplicates.relations import Relations
from pipeline.licenses import UNKNOWN, license_by_id

_NO_LOSS = "PNG"
_FEW_COLOURS = "GIF"  # 256 at most, which is less than any other format has, and less than its compression tells
_MOST_NAMED = 3


@dataclass(frozen=True)
class Ranking:
    """Items of a group, the best to keep in front first.

    Attributes:
        reasons: What speaks for the first, the first reason being what decided.
    """

    items: tuple[Item, ...]
    reasons: tuple[str, ...]


class _Licence(IntEnum):
    """What is known of a licence; one that lets a picture be dreamed on is the best."""

    ADAPTABLE = 0
    KNOWN = 1
    UNKNOWN = 2


@dataclass(frozen=True)
class _Worth:
    """What counts, in this order; less is better."""

    is_part: bool  # one that shows less than another never stands for it
    size: int
    loss: float
    licence: _Licence
    item_id: int

    @property
    def order(self) -> tuple[bool, int, float, int, int]:
        return self.is_part, self.size, self.loss, self.licence, self.item_id


def rank(uow: UnitOfWork, items: Sequence[Item], relations: Relations) -> Ranking:
    """Items, one at least, in the order of their worth."""
    parts = relations.parts_among([item.id for item in items])
    less = {part for found in parts.values() for part in found}
    worth = {item.id: _worth(uow, item, is_part=item.id in less) for item in items}
    ranked = sorted(items, key=lambda item: worth[item.id].order)
    return Ranking(tuple(ranked), _reasons(uow, ranked, worth, parts[ranked[0].id]))


def _worth(uow: UnitOfWork, item: Item, *, is_part: bool) -> _Worth:
    # Pixels count in steps of a quarter: a few more are no reason to take worse compression.
    steps = round(math.log(max(1, item.width * item.height), 1.25))
    if item.format == _NO_LOSS:
        kept = math.inf
    elif item.format == _FEW_COLOURS:
        kept = -1.0
    else:
        kept = round(_bytes_per_pixel(uow, item), 1)
    return _Worth(is_part, -steps, -kept, _licence(item), item.id)


def _licence(item: Item) -> _Licence:
    known = license_by_id(item.license_id or UNKNOWN)
    if known.id == UNKNOWN:
        return _Licence.UNKNOWN
    return _Licence.ADAPTABLE if known.permits_adaptation else _Licence.KNOWN


def _reasons(
    uow: UnitOfWork, ranked: Sequence[Item], worth: Mapping[int, _Worth], parts: Sequence[int]
) -> tuple[str, ...]:
    keeper, others = ranked[0], ranked[1:]
    if not others:
        return ()
    own, theirs = worth[keeper.id], [worth[other.id] for other in others]
    reasons = []
    if parts:
        named = ", ".join(f"i{part}" for part in parts[:_MOST_NAMED]) + (", ..." if len(parts) > _MOST_NAMED else "")
        reasons.append(f"the whole, of which {named} {'is a part' if len(parts) == 1 else 'are parts'}")
    if own.size < min(other.size for other in theirs):
        next_ = max(others, key=lambda item: item.width * item.height)
        largest = f"{next_.width}x{next_.height}"
        reasons.append(f"more pixels ({keeper.width}x{keeper.height}; the others have {largest} at most)")
    if own.loss < min(other.loss for other in theirs):
        if keeper.format == _NO_LOSS:
            reasons.append("less compressed (compressed without loss)")
        elif all(other.format == _FEW_COLOURS for other in others):
            reasons.append("more colours (a GIF has 256 at most)")
        else:
            reasons.append(f"less compressed ({_bytes_per_pixel(uow, keeper):.1f} bytes a pixel)")
    if own.licence is not _Licence.UNKNOWN and any(other.licence is _Licence.UNKNOWN for other in theirs):
        reasons.append(f"its licence is known ({keeper.license_id})")
    elif own.licence < min(other.licence for other in theirs):
        reasons.append(f"its licence permits adaptations ({keeper.license_id})")
    if keeper.id < min(other.id for other in others):
        reasons.append("the earliest")
    return tuple(reasons) or ("as good as the others on the whole",)


def _bytes_per_pixel(uow: UnitOfWork, item: Item) -> float:
    blob = uow.blobs.get(item.blob_sha256)
    return (blob.size_bytes if blob else 0) / max(1, item.width * item.height)

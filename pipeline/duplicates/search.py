"""Finds the items that a picture may be the same as, among all that the catalog has at the moment of asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.catalog.duplicate_values import Fingerprint, NewPair
from pipeline.catalog.repositories.base import chunks
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates.hashes import TURNS
from pipeline.duplicates.index import HashIndex, Hit
from pipeline.duplicates.kept_index import catch_up
from pipeline.duplicates.signatures import ALGORITHM, INNER_ALGORITHM, View, views_of
from pipeline.duplicates.tiers import (
    FIRST_IS_PART,
    REVIEW_DISTANCE,
    SECOND_IS_PART,
    TURNED_DISTANCE,
    Tier,
    compare,
    relation_of,
)
from pipeline.duplicates.verification import Evidence
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE

ALGORITHMS = (ALGORITHM, INNER_ALGORITHM)
MOST_CANDIDATES = 24
"""Hits that are compared for one picture, the nearest first.

Plain pictures have more, as pages of one layout, and pictures of which there are very many copies. What stands for one
of those that are compared is compared, too, so that copies are linked however many there are.
"""

_MOST_LOOKED_AT = 40 * MOST_CANDIDATES
"""Hits of which it is asked whose they are, where some may not be compared."""


@dataclass(frozen=True)
class Match:
    """An item that a picture may be the same as.

    Attributes:
        distance: Differing bits of 256.
        relation: What was done to one to make the other, in words; the picture asked about is the first.
    """

    item_id: int
    tier: Tier
    relation: str
    distance: int
    evidence: Evidence

    def as_pair(self, item_id: int) -> NewPair:
        """The match as the catalog keeps it, found for the picture of this item."""
        relation = self.relation
        if item_id > self.item_id:  # told from the lower id
            relation = _turned_about(relation)
        numbers = {name: _rounded(value) for name, value in asdict(self.evidence).items()}
        return NewPair(
            first_id=min(item_id, self.item_id),
            second_id=max(item_id, self.item_id),
            tier=self.tier.value,
            relation=relation,
            distance=self.distance,
            algorithm=ALGORITHM,
            evidence=numbers,
        )


class DuplicateSearch:
    """All hashes of the catalog in memory, loaded once and then kept in step, and the comparing of what they suggest.

    Several processes may write to the catalog: each reads what lies above the last hash that it has seen. Hashes of
    items that are gone are found out when the catalog is asked whose they are.
    """

    def __init__(self, near_distance: int = DEFAULT_NEAR_DISTANCE) -> None:
        """Load nothing yet.

        Args:
            near_distance: Differing bits up to which near duplicates are linked; more are left for review.
        """
        self._near_distance = near_distance
        self._index = HashIndex()
        self._last_id = 0

    def __len__(self) -> int:
        """How many hashes are loaded."""
        return len(self._index)

    @property
    def memory_bytes(self) -> int:
        """What the hashes take in memory."""
        return self._index.memory_bytes

    def sync(self, uow: UnitOfWork) -> None:
        """Load what has come since the last time."""
        self._last_id = catch_up(
            self._index,
            self._last_id,
            count_after=uow.duplicates.count_hashes_after,
            rows_after=lambda last_id: uow.duplicates.hashes_after(last_id, ALGORITHMS),
        )

    def learn(self, ids: Mapping[str, int], hashes: Mapping[str, bytes]) -> None:
        """Load hashes that were written just now, in a transaction that was begun with `sync`; so none is missed.

        Both by algorithm; of hashes without an id, which were on record, nothing is loaded.
        """
        for name, entry_id in sorted(ids.items(), key=lambda each: each[1]):
            self._index.add(entry_id, hashes[name])
            self._last_id = entry_id

    def matches(
        self, uow: UnitOfWork, hashes: Mapping[str, bytes], packed: bytes, *, in_step: bool = False
    ) -> list[Match]:
        """Items that a picture may be the same as, the surest first.

        hashes: Of the picture, as `Signature.hashes`; none for one too plain, which is like no other.
        packed: Its views, as `Signature.views`.
        in_step: That nothing has been written since the last `sync` but what `learn` was told; saves looking.
        """
        if not hashes:
            return []
        if not in_step:
            self.sync(uow)
        return self._compared_with(uow, self._hits(hashes), packed)

    def matches_of_item(self, uow: UnitOfWork, item_id: int) -> tuple[list[Match], list[int]]:
        """(what an item may be the same as of all that came before it, the surest first; newer items to search again).

        The latter are like it by their hashes, and were signed when it was not: they do not know of it. To be asked in
        a transaction that writes. Nothing for an item that is not signed.
        """
        packed = uow.duplicates.views([item_id], ALGORITHM).get(item_id)
        hashes = uow.duplicates.hashes_of(item_id, ALGORITHMS)
        if packed is None or not hashes:
            return [], []
        self.sync(uow)
        hits = self._hits(hashes)
        first_entry = min(uow.duplicates.entries_of([item_id], ALGORITHMS))
        earlier = [hit.entry_id for hit, _ in hits if hit.entry_id < first_entry][:_MOST_LOOKED_AT]
        whose = uow.duplicates.fingerprints(earlier).values()
        unaware = sorted({other.item_id for other in whose if other.item_id > item_id})
        return self._compared_with(uow, hits, packed, below=item_id), unaware

    def _compared_with(
        self, uow: UnitOfWork, hits: Sequence[tuple[Hit, str]], packed: bytes, *, below: int | None = None
    ) -> list[Match]:
        """What remains of hits once they are compared.

        below: Only items that came before this one; None: all.
        """
        candidates = self._candidates(uow, hits, below)
        if not candidates:
            return []
        own = views_of(packed)
        packed_views = uow.duplicates.views([other.item_id for _, _, other in candidates], ALGORITHM)
        others = {item_id: views_of(views) for item_id, views in packed_views.items()}
        best: dict[int, Match] = {}
        for hit, name, other in candidates:
            known = best.get(other.item_id)
            if other.item_id not in others or (known is not None and known.tier is Tier.NEAR):
                continue
            match = self._compared(_view(own, name), _view(others[other.item_id], other.algorithm), hit, other.item_id)
            if match is not None and (known is None or _rank(match) < _rank(known)):
                best[other.item_id] = match
        return sorted(best.values(), key=_rank)

    def _hits(self, hashes: Mapping[str, bytes]) -> list[tuple[Hit, str]]:
        """What is within the radius of each of a picture's hashes, and of which, the nearest first."""
        return sorted(
            (hit, name)
            for name, bits in hashes.items()
            for hit in self._index.within(bits, REVIEW_DISTANCE, turned_radius=TURNED_DISTANCE)
        )

    def _candidates(
        self, uow: UnitOfWork, hits: Sequence[tuple[Hit, str]], below: int | None
    ) -> list[tuple[Hit, str, Fingerprint]]:
        """Those of a picture's hits that are to be compared with it, of which of its hashes, and whose they are."""
        found: list[tuple[Hit, str, Fingerprint]] = []
        for batch in chunks(hits[:_MOST_LOOKED_AT], 4 * MOST_CANDIDATES):
            whose = uow.duplicates.fingerprints([hit.entry_id for hit, _ in batch])
            for gone in {hit.entry_id for hit, _ in batch} - set(whose):
                self._index.remove(gone)
            known = [(hit, name, whose[hit.entry_id]) for hit, name in batch if hit.entry_id in whose]
            found += [one for one in known if below is None or one[-1].item_id < below]
            if len(found) >= MOST_CANDIDATES:
                break
        # Not by their own ids: those of an older catalog are signed late.
        found.sort(key=lambda one: (one[0].distance, one[-1].item_id, one[-1].algorithm, one[0].turn, one[1]))
        if len(hits) <= MOST_CANDIDATES:
            return found
        found = found[:MOST_CANDIDATES]
        ids = {other.item_id for _, _, other in found}
        centres = {one for one in uow.items.representatives(sorted(ids)) if below is None or one < below}
        entries = uow.duplicates.entries_of(sorted(centres - ids), ALGORITHMS)
        return found + [(hit, name, entries[hit.entry_id]) for hit, name in hits if hit.entry_id in entries]

    def _compared(self, first: View, second: View, hit: Hit, item_id: int) -> Match | None:
        turn = TURNS[hit.turn]
        found = compare(first, second, turn, hit.distance, near_distance=self._near_distance)
        if found is None:
            return None
        tier, evidence = found
        return Match(item_id, tier, relation_of(evidence, turn), hit.distance, evidence)


def _view(views: tuple[View, ...], algorithm: str) -> View:
    """The view that a hash was made of."""
    return views[-1] if algorithm == INNER_ALGORITHM else views[0]


def _rank(match: Match) -> tuple[bool, int, float, int]:
    """Near duplicates first, then by distance, then by agreement."""
    return match.tier is not Tier.NEAR, match.distance, -match.evidence.agreement, match.item_id


_OTHER_WAY = (
    (FIRST_IS_PART, SECOND_IS_PART),
    ("turned clockwise by 90 degrees", "turned counterclockwise by 90 degrees"),
)


def _turned_about(relation: str) -> str:
    """The relation of the second to the first, given that of the first to the second."""
    for one, other in _OTHER_WAY:
        if one in relation:
            relation = relation.replace(one, other)
        elif other in relation:
            relation = relation.replace(other, one)
    return relation


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value

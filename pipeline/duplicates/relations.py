"""What is on record between the items of a group, read once: which may stand behind which."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.catalog.duplicate_values import DIFFERENT, SAME, DuplicatePair
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates.tiers import FIRST_IS_PART, SECOND_IS_PART, Tier


def is_link(pair: DuplicatePair) -> bool:
    """Whether two items may stand in one star for what is known of them alone."""
    return pair.decision == SAME or (pair.decision is None and pair.tier == Tier.NEAR)


@dataclass
class Relations:
    """The pairs among some items.

    Attributes:
        same: Item -> those that a person said to be the same.
        different: Item -> those that a person said to be different from it.
    """

    same: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    different: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    _pairs: dict[tuple[int, int], DuplicatePair] = field(default_factory=dict)

    @classmethod
    def among(cls, uow: UnitOfWork, item_ids: Collection[int]) -> Relations:
        """What is on record between these items."""
        found = cls()
        for pair in uow.duplicates.pairs_among(item_ids):
            found._pairs[pair.first_id, pair.second_id] = pair
            decided = {SAME: found.same, DIFFERENT: found.different}.get(pair.decision or "")
            if decided is not None:
                decided[pair.first_id].add(pair.second_id)
                decided[pair.second_id].add(pair.first_id)
        return found

    def linking(self, item_id: int, other_id: int) -> DuplicatePair | None:
        """What is known of two items, if it is that they are the same."""
        pair = self._pair(item_id, other_id)
        return pair if pair is not None and is_link(pair) else None

    def distance(self, item_id: int, other_id: int) -> int | None:
        """Differing bits of 256, as far as they are known."""
        pair = self._pair(item_id, other_id)
        return None if pair is None else pair.distance

    def parts_of(self, item_id: int, others: Iterable[int]) -> list[int]:
        """Those of these items that show only a part of what an item shows."""
        return [other for other in others if self._is_part(other, item_id)]

    def said_same(self, item_id: int) -> set[int]:
        """The item, what a person said to be the same, and so on."""
        found, waiting = {item_id}, [item_id]
        while waiting:
            new = self.same.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found

    def behind(self, centre_id: int, others: Sequence[int], *, linked: Collection[int] = ()) -> dict[int, int | None]:
        """Those of these items that may stand behind one, with their distances.

        These are its duplicates, and what a person said to be the same as one of them or as itself; never two of which
        a person said that they are different.

        linked: Those that stood behind it before, or before which it stood: duplicates even without a pair on record.
        """
        ids = set(others)
        found: dict[int, int | None] = {}
        direct = [other for other in others if other in linked or self.linking(centre_id, other) is not None]
        waiting, seen = deque([*direct, *sorted(self.same.get(centre_id, ()))]), {centre_id}
        while waiting:
            here = waiting.popleft()
            if here in seen:
                continue
            seen.add(here)
            if here in ids:
                if self.different.get(here, set()) & {centre_id, *found}:
                    continue
                found[here] = self.distance(here, centre_id)
            # Also over one that is not among them, such as one that was withdrawn: what was said of it holds.
            waiting.extend(sorted(self.same.get(here, ())))
        return found

    def _pair(self, item_id: int, other_id: int) -> DuplicatePair | None:
        return self._pairs.get((min(item_id, other_id), max(item_id, other_id)))

    def _is_part(self, item_id: int, whole_id: int) -> bool:
        pair = self.linking(item_id, whole_id)
        if pair is None:
            return False
        return (FIRST_IS_PART if item_id < whole_id else SECOND_IS_PART) in (pair.relation or "")

"""What is on record between the items of a group, read once: which may stand behind which."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Sequence
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

    def parts_among(self, item_ids: Sequence[int]) -> dict[int, list[int]]:
        """Item -> those of these items, in their order, that show only a part of what it shows."""
        place = {item_id: number for number, item_id in enumerate(item_ids)}
        found: dict[int, list[int]] = {item_id: [] for item_id in item_ids}
        # By what is on record: every two of a large group would be too many.
        for (first, second), pair in self._pairs.items():
            if first in place and second in place and is_link(pair):
                if FIRST_IS_PART in (pair.relation or ""):
                    found[second].append(first)
                if SECOND_IS_PART in (pair.relation or ""):
                    found[first].append(second)
        return {item_id: sorted(parts, key=place.__getitem__) for item_id, parts in found.items()}

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
                if any(other == centre_id or other in found for other in self.different.get(here, ())):
                    continue
                found[here] = self.distance(here, centre_id)
            # Also over one that is not among them, such as one that was withdrawn: what was said of it holds.
            waiting.extend(sorted(self.same.get(here, ())))
        return found

    def _pair(self, item_id: int, other_id: int) -> DuplicatePair | None:
        return self._pairs.get((min(item_id, other_id), max(item_id, other_id)))

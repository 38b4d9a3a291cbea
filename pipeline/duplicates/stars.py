"""Groups of duplicates are stars: one representative, and members that are each a duplicate of it, never of a member.

A chain - this like that, that like another - would in the end join pictures that nobody takes for the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.catalog.duplicate_values import DIFFERENT, SAME, DuplicatePair
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Item
from pipeline.duplicates.search import ALGORITHMS, DuplicateSearch, Match
from pipeline.duplicates.signatures import ALGORITHM
from pipeline.duplicates.tiers import Tier
from pipeline.errors import NotFound, UsageError

_NO_LOSS = frozenset({"PNG", "GIF"})


@dataclass(frozen=True)
class Proposal:
    """Which picture of a group to keep in front, and why.

    Attributes:
        items: The group, the proposed keeper first.
        representative_id: The one that stands for the group now.
        reasons: What speaks for the keeper, the first being what decided.
    """

    items: tuple[Item, ...]
    representative_id: int
    reasons: tuple[str, ...]

    @property
    def keeper(self) -> Item:
        """The one that is proposed."""
        return self.items[0]

    @property
    def is_settled(self) -> bool:
        """Whether the keeper stands for the group already."""
        return self.keeper.id == self.representative_id


def nearest_representative(uow: UnitOfWork, matches: Sequence[Match], *, item_id: int | None = None) -> Match | None:
    """The match that a picture is to be linked to without asking: the surest near duplicate that is a representative.

    item_id: The picture's item, if it is one: what a person said to be different from it is passed over.
    """
    near = [match for match in matches if match.tier is Tier.NEAR]
    if not near:
        return None
    different = set() if item_id is None else uow.duplicates.decided(item_id, DIFFERENT)
    free = uow.duplicates.representatives_among([match.item_id for match in near]) - different
    return next((match for match in near if match.item_id in free), None)


def search_item(uow: UnitOfWork, search: DuplicateSearch, item_id: int) -> tuple[int, bool]:
    """Look for the duplicates of an item that is signed; (pairs recorded, whether it was linked).

    An item is linked only while it stands alone, to an older one that represents itself.
    """
    packed = uow.duplicates.views([item_id], ALGORITHM).get(item_id)
    if packed is None:
        return 0, False
    matches = search.matches(uow, uow.duplicates.hashes_of(item_id, ALGORITHMS), packed, but=item_id)
    for match in matches:
        uow.duplicates.record(match.as_pair(item_id))
    uow.duplicates.mark_searched(item_id)
    item = uow.items.get(item_id)
    if item is None or item.near_duplicate_of_id is not None or uow.duplicates.members(item_id):
        return len(matches), False
    older = [match for match in matches if match.item_id < item_id]
    linked = nearest_representative(uow, older, item_id=item_id)
    if linked is not None:
        uow.duplicates.link(item_id, linked.item_id, distance=linked.distance)
    return len(matches), linked is not None


def decide(uow: UnitOfWork, first_id: int, second_id: int, decision: str, *, by: str) -> None:
    """Record what a person decided about two items, and link or part them; it is never asked again.

    Raises:
        NotFound: There is no such item.
        UsageError: The two are one item.
    """
    if first_id == second_id:
        raise UsageError(f"i{first_id} is one item; name two")
    for item_id in (first_id, second_id):
        if uow.items.get(item_id) is None:
            raise NotFound(f"there is no item i{item_id}; `dreamcrawl items` lists them")
    uow.duplicates.decide(first_id, second_id, decision, by=by)
    if decision == SAME:
        _join(uow, *sorted((first_id, second_id)))
    else:
        _part(uow, first_id, second_id)


def propose(uow: UnitOfWork, representative_id: int) -> Proposal | None:
    """Which picture of a representative's group to keep in front; None when it has no members."""
    representative = uow.items.get(representative_id)
    members = uow.duplicates.members(representative_id)
    if representative is None or not members:
        return None
    items = [representative, *members]
    sizes = {item.id: _bytes_per_pixel(uow, item) for item in items}
    # One that may not be used stands for no other that may.
    ranked = sorted(items, key=lambda item: (item.withdrawn_at is not None, *_worth(item, sizes)))
    return Proposal(tuple(ranked), representative_id, _reasons(ranked, sizes))


def merge(uow: UnitOfWork, representative_id: int, keeper_id: int) -> list[int]:
    """Make an item of a group its representative, and let it know what was known of the others; ids that fell out.

    Nothing is deleted: each item keeps its bytes, sightings, licence and dreams. The keeper gains keywords and tags,
    and title, creator and licence where it has none. Members that nobody found or called a duplicate of the keeper
    itself stand alone afterwards, as groups are stars.

    Raises:
        NotFound: The keeper is not of this group.
    """
    representative = uow.items.get(representative_id)
    members = uow.duplicates.members(representative_id)
    everyone = [*([representative] if representative else []), *members]
    if keeper_id not in {item.id for item in everyone}:
        raise NotFound(f"i{keeper_id} is not in the group of i{representative_id}")
    others = [item for item in everyone if item.id != keeper_id]
    for item in others:
        _inherit(uow, item, keeper_id)
    if keeper_id == representative_id:
        return []
    uow.duplicates.link(keeper_id, None)
    fallen = []
    keeper = next(item for item in everyone if item.id == keeper_id)
    for item in others:
        pair = _linking_pair(uow, item.id, keeper_id)
        if item.id == representative_id:
            uow.duplicates.link(item.id, keeper_id, distance=keeper.near_duplicate_distance)
        elif pair is not None:
            uow.duplicates.link(item.id, keeper_id, distance=pair.distance)
        else:
            uow.duplicates.link(item.id, None)
            fallen.append(item.id)
    return fallen


def _linking_pair(uow: UnitOfWork, item_id: int, other_id: int) -> DuplicatePair | None:
    """What is known of two items, if it is that they are the same."""
    pair = uow.duplicates.pair(item_id, other_id)
    if pair is None or pair.decision == DIFFERENT:
        return None
    return pair if pair.decision == SAME or pair.tier == Tier.NEAR else None


def _inherit(uow: UnitOfWork, item: Item, keeper_id: int) -> None:
    uow.items.fill_in(
        keeper_id,
        {
            "title": item.title,
            "creator": item.creator,
            "license_id": item.license_id,
            "license_url": item.license_url,
        },
    )
    for keyword in uow.items.keywords(item.id):
        uow.items.add_keyword(keeper_id, keyword.keyword, fields=keyword.fields, score=keyword.score)
    for tag in uow.tags.of_item(item.id):
        uow.tags.add(keeper_id, tag)


def _join(uow: UnitOfWork, older: int, newer: int) -> None:
    """Link the newer item to the older one's representative; what was linked to it follows where that is known."""
    stand_in = uow.items.get(older)
    assert stand_in is not None
    representative = stand_in.near_duplicate_of_id or older
    if representative == newer:
        return  # the older one is linked to the newer one already
    if representative in uow.duplicates.decided(newer, DIFFERENT):
        return  # the two stay a pair that a person joined; the star would contradict another decision
    followers = uow.duplicates.members(newer)
    pair = uow.duplicates.pair(newer, representative)
    uow.duplicates.link(newer, representative, distance=pair.distance if pair else None)
    for follower in followers:
        known = _linking_pair(uow, follower.id, representative)
        uow.duplicates.link(follower.id, representative if known else None, distance=known.distance if known else None)


def _part(uow: UnitOfWork, first_id: int, second_id: int) -> None:
    """Take one of two from the star in which both are; of a representative and a member, the member."""
    first, second = uow.items.get(first_id), uow.items.get(second_id)
    assert first is not None
    assert second is not None
    if second.near_duplicate_of_id == first_id:
        uow.duplicates.link(second_id, None)
    elif first.near_duplicate_of_id == second_id:
        uow.duplicates.link(first_id, None)
    elif first.near_duplicate_of_id is not None and first.near_duplicate_of_id == second.near_duplicate_of_id:
        uow.duplicates.link(max(first_id, second_id), None)


def _worth(item: Item, sizes: Mapping[int, float]) -> tuple[float, float, bool, int]:
    """Less is better. Pixels count in steps of a quarter: a few more are no reason to take worse compression."""
    steps = round(math.log(max(1, item.width * item.height), 1.25))
    compression = math.inf if item.format in _NO_LOSS else sizes[item.id]
    return -steps, -round(compression, 1), item.license_id is None, item.id


def _reasons(ranked: Sequence[Item], sizes: Mapping[int, float]) -> tuple[str, ...]:
    keeper, others = ranked[0], ranked[1:]
    reasons = []
    if any(other.withdrawn_at for other in others) and keeper.withdrawn_at is None:
        reasons.append("not withdrawn")
    most = max(item.width * item.height for item in others)
    if _worth(keeper, sizes)[0] < min(_worth(other, sizes)[0] for other in others):
        reasons.append(f"more pixels ({keeper.width}x{keeper.height}; the others have {most} at most)")
    if _worth(keeper, sizes)[1] < min(_worth(other, sizes)[1] for other in others):
        how = "compressed without loss" if keeper.format in _NO_LOSS else f"{sizes[keeper.id]:.1f} bytes a pixel"
        reasons.append(f"less compressed ({how})")
    if keeper.license_id and any(other.license_id is None for other in others):
        reasons.append(f"its licence is known ({keeper.license_id})")
    if keeper.id < min(other.id for other in others):
        reasons.append("the earliest")
    return tuple(reasons) or ("as good as the others on the whole",)


def _bytes_per_pixel(uow: UnitOfWork, item: Item) -> float:
    blob = uow.blobs.get(item.blob_sha256)
    return (blob.size_bytes if blob else 0) / max(1, item.width * item.height)

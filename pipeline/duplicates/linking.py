"""Links items to what represents them: as they come, and once more when something turns up that was there before them.

Groups of duplicates are stars: one representative, and members that are each a duplicate of it, never of a member. A
chain - this like that, that like another - would in the end join pictures that nobody takes for the same.

Items are searched in the order of their ids, each among those that came before it, and linked to the surest near
duplicate that represents itself. So the groups are the same whether all pictures were signed as they came, or some of
them, as those of an older catalog, much later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.catalog.duplicate_values import DIFFERENT, SAME
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Item
from pipeline.duplicates.regrouping import star_of
from pipeline.duplicates.relations import is_link
from pipeline.duplicates.search import DuplicateSearch, Match
from pipeline.duplicates.signatures import ALGORITHM
from pipeline.duplicates.tiers import Tier


@dataclass(frozen=True)
class Searched:
    """What the search for an item's duplicates came to.

    Attributes:
        pairs: How many were recorded or found anew.
        linked: Links made, to a representative that an item did not have.
        parted: Links undone, so that an item stands for itself.
    """

    pairs: int
    linked: int = 0
    parted: int = 0


def nearest_representative(uow: UnitOfWork, matches: Sequence[Match], *, item_id: int | None = None) -> Match | None:
    """The match that a picture is to be linked to without asking: the surest near duplicate that is a representative.

    item_id: The picture's item, if it is one: what a person said to be different from it is passed over.
    """
    near = [match for match in matches if match.tier is Tier.NEAR]
    if not near:
        return None
    different = set() if item_id is None else uow.duplicates.decided(item_id, DIFFERENT)
    # Nor may it come to stand beside one of these, behind another.
    different |= set(uow.items.representatives(sorted(different)))
    free = uow.duplicates.representatives_among([match.item_id for match in near]) - different
    return next((match for match in near if match.item_id in free), None)


def search_item(uow: UnitOfWork, search: DuplicateSearch, item_id: int) -> Searched:
    """Look for the duplicates of an item that is signed among those that came before it, and link it.

    Newer items are marked to be searched again if they are like it and did not know of it, or if it has become a
    representative or is none any more. A group that a person arranged - by saying that pictures are the same, or by
    merging - stays as it is; what came before it and is near to what stands for it joins it.
    """
    matches, unaware = search.matches_of_item(uow, item_id)
    for match in matches:
        uow.duplicates.record(match.as_pair(item_id))
    uow.duplicates.mark_searched(item_id)
    uow.duplicates.search_again(unaware)
    item = uow.items.get(item_id)
    if item is None or item.withdrawn_at is not None:
        return Searched(len(matches))
    star = star_of(uow, item_id)
    if len(star) > 1 and _is_arranged(uow, star):
        return _gather(uow, star, matches) if star[0].id == item_id else Searched(len(matches))
    found = nearest_representative(uow, matches, item_id=item_id)
    linked, parted = _link(uow, item_id, star, found)
    return Searched(len(matches), linked, parted)


def _link(uow: UnitOfWork, item_id: int, star: Sequence[Item], found: Match | None) -> tuple[int, int]:
    """Link an item to what was found, or to none; (links made, links undone)."""
    before = None if star[0].id == item_id else star[0].id
    now = None if found is None else found.item_id
    if now is None and (before is None or not uow.duplicates.views([before], ALGORITHM)):
        return 0, 0  # an older version linked it to one whose file is lost: there is nothing better to go by
    uow.duplicates.link(item_id, now, distance=None if found is None else found.distance)
    if (before is None) == (now is None):
        return int(before != now), 0
    members = [member.id for member in uow.duplicates.members(item_id)]
    for member_id in members:
        uow.duplicates.link(member_id, None)
    uow.duplicates.search_again(members)
    for changed in (item_id, *members):  # to these, what represented itself does so no more, or the other way round
        uow.duplicates.search_again(_newer_duplicates(uow, changed))
    return int(now is not None), int(now is None) + len(members)


def _newer_duplicates(uow: UnitOfWork, item_id: int) -> list[int]:
    return [pair.second_id for pair in uow.duplicates.pairs_of(item_id) if pair.first_id == item_id and is_link(pair)]


def _is_arranged(uow: UnitOfWork, star: Sequence[Item]) -> bool:
    """Whether a person had a hand in a star: else its oldest stands for the others, and none was said to be the same.

    star: As `regrouping.star_of` gives it.
    """
    ids = [item.id for item in star]
    return min(ids) < ids[0] or uow.duplicates.any_decided(ids, SAME)


def _gather(uow: UnitOfWork, star: Sequence[Item], matches: Sequence[Match]) -> Searched:
    """Link what is near to the representative of a star that a person arranged, and is in no such star, to it."""
    ids = {item.id for item in star}
    linked = parted = 0
    for match in matches:
        other = uow.items.get(match.item_id)
        if match.tier is not Tier.NEAR or match.item_id in ids or other is None or other.withdrawn_at is not None:
            continue
        its_star = star_of(uow, other.id)
        is_free = its_star[0].id == other.id and not _is_arranged(uow, its_star)
        if is_free and not uow.duplicates.decided(other.id, DIFFERENT) & ids:
            made, undone = _link(uow, other.id, its_star, replace(match, item_id=star[0].id))
            linked, parted = linked + made, parted + undone
            ids.add(other.id)
    return Searched(len(matches), linked, parted)

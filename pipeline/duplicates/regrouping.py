"""Takes stars apart and puts them together, so that what people decided stays true as far as stars allow.

Withdrawn items stand alone: they stand for no other, and none stands for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Item
from pipeline.duplicates.keepers import rank
from pipeline.duplicates.relations import Relations


def star_of(uow: UnitOfWork, item_id: int) -> list[Item]:
    """The star of an item that may be used: its representative, then the members, without those that are withdrawn."""
    item = uow.items.get(item_id)
    assert item is not None
    centre = item if item.near_duplicate_of_id is None else uow.items.get(item.near_duplicate_of_id)
    assert centre is not None
    if centre.withdrawn_at is not None and centre.id != item_id:  # as older versions left it
        leave(uow, centre.id)
        return star_of(uow, item_id)
    return [centre, *(member for member in uow.duplicates.members(centre.id) if member.withdrawn_at is None)]


def leave(uow: UnitOfWork, item_id: int) -> None:
    """Take a withdrawn item out of its star; if it stood for others, the best of these stands for its duplicates."""
    members = uow.duplicates.members(item_id)
    relations = Relations.among(uow, [item_id, *(member.id for member in members)])
    uow.duplicates.link(item_id, None)
    regroup(uow, members, relations)


def regroup(uow: UnitOfWork, items: Sequence[Item], relations: Relations) -> None:
    """Make stars of items that nothing else stands for any more: the best, behind it its duplicates, and so on."""
    for item in items:
        uow.duplicates.link(item.id, None)
    usable = [item for item in items if item.withdrawn_at is None]
    left = [item.id for item in rank(uow, usable, relations).items] if usable else []
    while left:
        keeper_id, *others = left
        behind = relations.behind(keeper_id, others)
        link_all(uow, behind, keeper_id)
        left = [other for other in others if other not in behind]


def link_all(uow: UnitOfWork, distances: dict[int, int | None], centre_id: int) -> None:
    """Link items, given with their distances, to a representative."""
    for item_id, distance in distances.items():
        uow.duplicates.link(item_id, centre_id, distance=distance)


def join(uow: UnitOfWork, first_id: int, second_id: int) -> None:
    """Bring two items that a person said to be the same into one star, if no other decision is in the way.

    The newer one moves to the star of the older one, with all that was said to be the same as it; or the other way
    round where only that leaves all decisions true, or where only that leaves nobody behind.
    """
    older, newer = sorted((first_id, second_id))
    ways = sorted([(older, newer), (newer, older)], key=lambda way: _is_missed(uow, way[1]))
    for with_company in (True, False):
        for home_id, mover_id in ways:
            if _move(uow, mover_id, home_id, with_company=with_company):
                return


def part(uow: UnitOfWork, first_id: int, second_id: int) -> None:
    """Take one of two items from the star in which both are: of a representative and a member, the member.

    With it goes what was said to be the same, unless that is the other one as well.
    """
    star = star_of(uow, first_id)
    ids = {item.id for item in star}
    if second_id not in ids:
        return
    relations = Relations.among(uow, ids)
    centre_id = star[0].id
    movable = [one for one in sorted((first_id, second_id), reverse=True) if one != centre_id]
    leaving = {movable[0]}
    for one in movable:
        company = relations.said_same(one) & ids
        if not company & ({centre_id, first_id, second_id} - {one}):
            leaving = company
            break
    regroup(uow, [item for item in star if item.id in leaving], relations)


def contradicted(uow: UnitOfWork, item_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Those pairs of these items that a person said to be the same and that are in different stars after all."""
    same = Relations.among(uow, item_ids).same
    centre = {item.id: item.near_duplicate_of_id or item.id for item in map(uow.items.get, same) if item is not None}
    return [
        (one, other)
        for one in sorted(same)
        for other in sorted(same[one])
        if one < other and centre.get(one) != centre.get(other)
    ]


def _is_missed(uow: UnitOfWork, item_id: int) -> bool:
    """Whether there are others in an item's star than what was said to be the same as it."""
    ids = {item.id for item in star_of(uow, item_id)}
    return not ids <= Relations.among(uow, ids).said_same(item_id)


def _move(uow: UnitOfWork, mover_id: int, home_id: int, *, with_company: bool) -> bool:
    """Bring an item into the star of another; whether that was possible."""
    home, old = star_of(uow, home_id), star_of(uow, mover_id)
    centre_id = home[0].id
    if centre_id == old[0].id:
        return True
    at_home, ids = {item.id for item in home}, {item.id for item in old}
    relations = Relations.among(uow, at_home | ids)
    barred = {item_id for item_id in ids if relations.different.get(item_id, set()) & at_home}
    company = relations.said_same(mover_id) & ids
    if mover_id in barred or (with_company and company & barred):
        return False
    moving = {item_id: relations.distance(item_id, centre_id) for item_id in sorted(company - barred)}
    link_all(uow, moving, centre_id)
    if old[0].id in moving:  # those that it stood for follow where they are duplicates of what stands for it now
        rest = [item for item in old if item.id not in moving]
        behind = relations.behind(centre_id, [item.id for item in rest if item.id not in barred])
        link_all(uow, behind, centre_id)
        regroup(uow, [item for item in rest if item.id not in behind], relations)
    return True

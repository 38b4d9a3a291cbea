"""What the withdrawal of a picture, and its end, mean for the pictures that are like it."""

from __future__ import annotations

from pipeline.catalog.duplicate_values import DIFFERENT, SAME
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Item
from pipeline.duplicates.regrouping import join, leave, link_all, regroup, star_of
from pipeline.duplicates.relations import Relations, is_link


def refresh_withdrawal(uow: UnitOfWork, item_id: int) -> None:
    """Make an item withdrawn as long as any of its addresses is, and usable again once none is; its star follows."""
    if not uow.items.refresh_withdrawal(item_id):
        return
    item = uow.items.get(item_id)
    assert item is not None
    if item.withdrawn_at is not None:
        leave(uow, item_id)
    else:
        _come_back(uow, item)


def _come_back(uow: UnitOfWork, item: Item) -> None:
    """Find a place for an item that may be used again.

    It joins the star of the nearest representative that it is a duplicate of. Where it is one of all items of several
    stars, as of those that came about when it left, it stands for them.
    """
    if item.near_duplicate_of_id is None and not uow.duplicates.members(item.id):  # else as an older version left it
        _find_star(uow, item.id)
    for other_id in sorted(uow.duplicates.decided(item.id, SAME)):
        other = uow.items.get(other_id)
        if other is not None and other.withdrawn_at is None:
            join(uow, item.id, other_id)


def _find_star(uow: UnitOfWork, item_id: int) -> None:
    near = {
        pair.first_id + pair.second_id - item_id: pair.distance
        for pair in uow.duplicates.pairs_of(item_id)
        if is_link(pair)
    }
    different = uow.duplicates.decided(item_id, DIFFERENT)
    stars: dict[int, list[Item]] = {}
    for other_id in sorted(near):
        other = uow.items.get(other_id)
        if other is not None and other.withdrawn_at is None:
            star = star_of(uow, other_id)
            if not different & {each.id for each in star}:
                stars[star[0].id] = star
    whole = [each for star in stars.values() if all(each.id in near for each in star) for each in star]
    if len({each.near_duplicate_of_id or each.id for each in whole}) > 1:
        relations = Relations.among(uow, [item_id, *(each.id for each in whole)])
        behind = relations.behind(item_id, [each.id for each in whole])
        link_all(uow, behind, item_id)
        regroup(uow, [each for each in whole if each.id not in behind], relations)
        return
    nearest = min(
        ((distance is None, distance or 0, other_id) for other_id, distance in near.items() if other_id in stars),
        default=None,
    )
    if nearest is not None:
        uow.duplicates.link(item_id, nearest[-1], distance=near[nearest[-1]])

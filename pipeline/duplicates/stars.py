"""What a person does to groups of duplicates: says what is the same and what is not, and puts the best in front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.catalog.duplicate_values import SAME
from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Item
from pipeline.duplicates.keepers import rank
from pipeline.duplicates.regrouping import contradicted, join, link_all, part, regroup, star_of
from pipeline.duplicates.relations import Relations
from pipeline.errors import NotFound, UsageError

MERGED_AT_ONCE = 50
"""Groups that are merged in one transaction: other writers wait for that long."""


@dataclass(frozen=True)
class Proposal:
    """Which picture of a group to keep in front, and why.

    Attributes:
        items: The group without what is withdrawn, the proposed keeper first.
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


@dataclass(frozen=True)
class Merged:
    """What became of a group.

    Attributes:
        kept: The item that stands for it now.
        instead_of: The one that did.
        fell_out: Those that left it.
    """

    kept: int
    instead_of: int
    fell_out: tuple[int, ...]


def decide(uow: UnitOfWork, first_id: int, second_id: int, decision: str, *, by: str) -> list[tuple[int, int]]:
    """Record what a person decided about two items, and link or part them; it is never asked again.

    Items that are withdrawn are linked once they may be used again.

    Returns:
        Pairs that were said to be the same and cannot be in one star, as that contradicts what else was decided.

    Raises:
        NotFound: There is no such item.
        UsageError: The two are one item.
    """
    if first_id == second_id:
        raise UsageError(f"i{first_id} is one item; name two")
    items = []
    for item_id in (first_id, second_id):
        item = uow.items.get(item_id)
        if item is None:
            raise NotFound(f"there is no item i{item_id}; `dreamcrawl items` lists them")
        items.append(item)
    uow.duplicates.decide(first_id, second_id, decision, by=by)
    if any(item.withdrawn_at is not None for item in items):
        return []
    concerned = [item.id for item_id in (first_id, second_id) for item in star_of(uow, item_id)]
    (join if decision == SAME else part)(uow, first_id, second_id)
    return contradicted(uow, concerned)


def propose(uow: UnitOfWork, representative_id: int) -> Proposal | None:
    """Which picture of a representative's group to keep in front; None when it stands for none that may be used."""
    representative = uow.items.get(representative_id)
    members = _usable(uow.duplicates.members(representative_id))
    if representative is None or not members:
        return None
    items = [*_usable([representative]), *members]
    ranking = rank(uow, items, Relations.among(uow, [item.id for item in items]))
    return Proposal(ranking.items, representative_id, ranking.reasons or ("the only one that is not withdrawn",))


def merge(uow: UnitOfWork, representative_id: int, keeper_id: int) -> list[int]:
    """Make an item of a group its representative, and let it know what was known of the others; ids that fell out.

    Nothing is deleted: each item keeps its bytes, sightings, licence and dreams. The keeper gains keywords and tags,
    and title, creator, licence and stars where it has none: of stars the most that any of the others has. Members that
    nobody found or called a duplicate of the keeper, nor the same as one that stays, leave, as groups are stars: they
    are grouped among themselves. Those that are withdrawn stand alone, and nothing is handed down of them.

    Raises:
        NotFound: The keeper is not of this group.
        UsageError: The keeper is withdrawn.
    """
    representative = uow.items.get(representative_id)
    members = uow.duplicates.members(representative_id)
    everyone = {item.id: item for item in (representative, *members) if item is not None}
    keeper = everyone.get(keeper_id)
    if keeper is None:
        raise NotFound(f"i{keeper_id} is not in the group of i{representative_id}")
    if keeper.withdrawn_at is not None:
        raise UsageError(f"i{keeper_id} was withdrawn on {keeper.withdrawn_at:%Y-%m-%d}, and can stand for no other")
    others = [item for item in _usable(everyone.values()) if item.id != keeper_id]
    for item in others:
        _inherit(uow, item, keeper_id)
    given = uow.ratings.of_items([keeper_id, *(item.id for item in others)])
    if given and keeper_id not in given:
        uow.ratings.set(keeper_id, max(given.values()))
    for item in everyone.values():
        if item.withdrawn_at is not None:
            uow.duplicates.link(item.id, None)
    if keeper_id == representative_id:
        return []
    uow.duplicates.link(keeper_id, None)
    relations = Relations.among(uow, everyone)
    behind = relations.behind(keeper_id, [item.id for item in others], linked=[representative_id])
    if behind.get(representative_id, 0) is None:
        behind[representative_id] = keeper.near_duplicate_distance
    link_all(uow, behind, keeper_id)
    fallen = [item for item in others if item.id not in behind]
    regroup(uow, fallen, relations)
    return [item.id for item in fallen]


def merge_group(uow: UnitOfWork, proposal: Proposal, keeper_id: int | None = None) -> Merged:
    """Put the proposed keeper of a group in front, or another one of the group; as `merge`."""
    keeper_id = proposal.keeper.id if keeper_id is None else keeper_id
    return Merged(keeper_id, proposal.representative_id, tuple(merge(uow, proposal.representative_id, keeper_id)))


def merge_all(catalog: Catalog, *, on_progress: Callable[[int, int], None] | None = None) -> list[Merged]:
    """Put the proposed keeper of every group in front; what became of each.

    May be killed at any moment and called again: some groups at a time are one transaction.

    on_progress: Called with how many groups are done, of how many.

    Raises:
        CatalogBusy: Another process kept the catalog locked.
    """
    with catalog.read() as uow:
        ids = uow.duplicates.group_ids(limit=None)
    merged: list[Merged] = []
    for start in range(0, len(ids), MERGED_AT_ONCE):
        batch = ids[start : start + MERGED_AT_ONCE]
        with catalog.write() as uow:
            for representative_id in batch:
                proposal = propose(uow, representative_id)
                if proposal is not None:  # not merged or parted meanwhile
                    merged.append(merge_group(uow, proposal))
        if on_progress is not None:
            on_progress(start + len(batch), len(ids))
    return merged


def _usable(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item.withdrawn_at is None]


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

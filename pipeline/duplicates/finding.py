"""Looks for duplicates among all items of a catalog: signs what has no signature yet, then searches item by item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.catalog.engine import Catalog
from pipeline.duplicates.linking import search_item
from pipeline.duplicates.search import DuplicateSearch
from pipeline.duplicates.signatures import ALGORITHM, Signature
from pipeline.errors import ImageRejected, StoreCorrupt
from pipeline.store import Store

_AT_ONCE = 50  # items in one transaction: other writers wait for that long
Sign = Callable[[bytes], Signature]


@dataclass(frozen=True)
class FindReport:
    """What a search through the catalog came to.

    Attributes:
        signed: Items that had no signature, or one of an older algorithm.
        unreadable: Items whose file is lost or cannot be decoded.
        searched: Items whose duplicates were looked for; newer ones once more if an older one that is like them was
            signed only now.
        pairs: Pairs recorded or found anew.
        linked: Links made, to a representative that an item did not have.
        parted: Links undone that an older version had made and that do not hold.
    """

    signed: int
    unreadable: int
    searched: int
    pairs: int
    linked: int
    parted: int


def find_duplicates(
    catalog: Catalog,
    store: Store,
    *,
    near_distance: int,
    sign: Sign,
    on_progress: Callable[[int], None] | None = None,
) -> FindReport:
    """Sign every item that is not, and look for the duplicates of every item for which nobody has.

    The groups are the same afterwards as if all items had been signed when they came, but for those that a person
    arranged. May be killed at any moment and called again; several may run at once.

    Args:
        catalog: Whose items.
        store: Where their files are.
        near_distance: Differing bits of 256 up to which near duplicates are linked.
        sign: Decodes a file and signs its picture; raises ImageRejected for one that is none.
        on_progress: Called with the number of items done.
    """
    signed, unreadable = _sign_all(catalog, store, sign, on_progress)
    search = DuplicateSearch(near_distance)
    searched = pairs = linked = parted = last_id = 0
    while True:
        with catalog.read() as uow:  # nobody waits while all is passed by that is done
            # Each time from the last one on: to pass it by again would take longer than to search.
            due = uow.duplicates.unsearched(ALGORITHM, after_id=last_id, limit=_AT_ONCE)
        if not due and not last_id:
            return FindReport(signed, unreadable, searched, pairs, linked, parted)
        last_id = 0  # once more, for those that are to be searched again
        if not due:
            continue
        with catalog.write() as uow:
            for item_id in uow.duplicates.unsearched(ALGORITHM, after_id=due[0] - 1, limit=_AT_ONCE):  # as it is now
                found = search_item(uow, search, item_id)
                pairs, linked, parted = pairs + found.pairs, linked + found.linked, parted + found.parted
                searched, last_id = searched + 1, item_id
        if on_progress is not None:
            on_progress(signed + searched)


def _sign_all(catalog: Catalog, store: Store, sign: Sign, on_progress: Callable[[int], None] | None) -> tuple[int, int]:
    signed = unreadable = last_id = 0
    while True:
        with catalog.read() as uow:
            items = uow.duplicates.unsigned(ALGORITHM, after_id=last_id, limit=_AT_ONCE)
        if not items:
            return signed, unreadable
        last_id = items[-1].id
        found: dict[int, Signature] = {}
        for item in items:
            try:
                found[item.id] = sign(store.read(item.blob_sha256))
            except (ImageRejected, StoreCorrupt):
                unreadable += 1
        with catalog.write() as uow:
            for item_id, signature in found.items():
                now = uow.items.get(item_id)
                if now is None or now.withdrawn_at is not None:
                    continue  # meanwhile; what gc has deleted of it must not come back
                uow.duplicates.sign(
                    item_id, algorithm=ALGORITHM, hashes=signature.hashes, views=signature.views, searched=False
                )
        signed += len(found)
        if on_progress is not None:
            on_progress(signed)

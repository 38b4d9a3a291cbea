"""What every index over rows of the catalog can do, so that it is kept in step with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol


class KeptIndex(Protocol):
    """Entries in memory, under the ids of their rows; `HashIndex` and the vector indexes are such."""

    def __len__(self) -> int:
        """How many entries there are."""
        ...

    @property
    def memory_bytes(self) -> int:
        """What they take, room to grow included."""
        ...

    def reserve(self, more: int) -> None:
        """Make room for so many more at once, if that spares anything."""
        ...

    def extend(self, entry_ids: Iterable[int], packed: bytes, /) -> None:
        """Add many: ids, and what the catalog keeps under them, one after the other."""
        ...

    def remove(self, entry_id: int) -> None:
        """Remove every entry of an id."""
        ...


def catch_up(
    index: KeptIndex,
    last_id: int,
    *,
    count_after: Callable[[int], int],
    rows_after: Callable[[int], Iterator[tuple[list[int], bytes]]],
) -> int:
    """Add the rows above `last_id`; gives the last id that is loaded then.

    Ids of rows only grow, and writers come one after the other: nothing can appear below it later.

    Args:
        index: Where to add them.
        last_id: The last id that is loaded.
        count_after: How many rows there are above an id.
        rows_after: The rows above an id, by id, in batches: ids, and what is kept under them.
    """
    if not len(index):
        index.reserve(count_after(last_id))
    for ids, packed in rows_after(last_id):
        index.extend(ids, packed)
        last_id = ids[-1]
    return last_id

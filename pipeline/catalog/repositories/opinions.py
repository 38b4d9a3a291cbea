"""Opinions: the tags and the stars that people gave."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from sqlalchemy import and_, delete, func, select

from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.search_tables import RatingRow, TagRow
from pipeline.catalog.tables import ItemRow
from pipeline.catalog.upserts import insert_new, insert_or_update, table_of
from pipeline.errors import UsageError

_TAG, _RATING, _ITEM = table_of(TagRow), table_of(RatingRow), table_of(ItemRow)
MAX_TAG_LENGTH = 100
MOST_STARS = 5


def tag_of(text: str) -> str:
    """A tag as it is kept: lower case, single spaces, no control characters.

    Raises:
        UsageError: Nothing is left, or more than 100 characters.
    """
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in unicodedata.normalize("NFC", text))
    tag = unicodedata.normalize("NFC", " ".join(plain.split()).casefold())
    if not tag:
        raise UsageError("a tag is a word or several, such as `for print`; this one is empty")
    if len(tag) > MAX_TAG_LENGTH:
        raise UsageError(f"a tag has at most {MAX_TAG_LENGTH} characters; {tag[:30]!r}... has {len(tag)}")
    return tag


class Tags(Repository):
    """Which items people tagged, and how."""

    def add(self, item_id: int, tag: str) -> bool:
        """Give an item a tag, as `tag_of` has it; whether it is new there."""
        values = {"item_id": item_id, "tag": tag, "added_at": now()}
        return insert_new(self._session, TagRow, values, unique=("item_id", "tag"))

    def remove(self, item_id: int, tag: str) -> bool:
        """Take a tag from an item; whether it had it."""
        gone = delete(_TAG).where(_TAG.c.item_id == item_id, _TAG.c.tag == tag)
        return self._session.execute(gone.returning(_TAG.c.item_id)).first() is not None

    def of_item(self, item_id: int) -> Sequence[str]:
        """An item's tags, in the order of the alphabet."""
        return self.of_items([item_id]).get(item_id, [])

    def of_items(self, item_ids: Sequence[int]) -> dict[int, list[str]]:
        """Item id -> its tags, in the order of the alphabet; items without tags are left out."""
        found: dict[int, list[str]] = {}
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_TAG.c.item_id, _TAG.c.tag).where(_TAG.c.item_id.in_(batch))
            for item_id, tag in self._session.execute(query):
                found.setdefault(item_id, []).append(tag)
        return {item_id: sorted(tags) for item_id, tags in found.items()}

    def counts(self, *, limit: int | None = None) -> list[tuple[str, int]]:
        """(tag, how many items that are not withdrawn have it), most frequent first."""
        number = func.count()
        usable = _TAG.join(_ITEM, and_(_ITEM.c.id == _TAG.c.item_id, _ITEM.c.withdrawn_at.is_(None)))
        query = select(_TAG.c.tag, number).select_from(usable).group_by(_TAG.c.tag)
        query = query.order_by(number.desc(), _TAG.c.tag)
        rows = self._session.execute(query if limit is None else query.limit(limit))
        return [(str(tag), int(count)) for tag, count in rows]


class Ratings(Repository):
    """How many stars people gave to items."""

    def set(self, item_id: int, stars: int) -> None:
        """Give an item 1 to 5 stars, in place of those it has.

        Raises:
            UsageError: There is no such number of stars.
        """
        if not 1 <= stars <= MOST_STARS:
            raise UsageError(f"a rating is 1 to {MOST_STARS} stars, got {stars}")
        values = {"item_id": item_id, "stars": stars, "rated_at": now()}
        insert_or_update(self._session, RatingRow, values, unique=("item_id",), update=values)

    def clear(self, item_id: int) -> bool:
        """Take an item's rating back; whether it had one."""
        gone = delete(_RATING).where(_RATING.c.item_id == item_id).returning(_RATING.c.item_id)
        return self._session.execute(gone).first() is not None

    def of_item(self, item_id: int) -> int | None:
        """An item's stars, or None."""
        return self.of_items([item_id]).get(item_id)

    def of_items(self, item_ids: Sequence[int]) -> dict[int, int]:
        """Item id -> its stars, for those that were rated."""
        found: dict[int, int] = {}
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_RATING.c.item_id, _RATING.c.stars).where(_RATING.c.item_id.in_(batch))
            found |= {int(item_id): int(stars) for item_id, stars in self._session.execute(query)}
        return found

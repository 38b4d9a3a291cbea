"""How the items of a filter are come by: along the search's index, or on a walk through all items in another order.

The index gives ids in their order, and so the newest or oldest at once. It is of no use for another order, nor for a
run whose few items lie far apart while much matches; then all items are walked through in the order that is wanted, and
each is looked at: enough of them match soon. PostgreSQL's planner decides by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, tuple_
from sqlalchemy.orm import Session

from pipeline.catalog import search
from pipeline.catalog.gallery_values import Cursor, GalleryFilter, Sort
from pipeline.catalog.search import DOCUMENT
from pipeline.catalog.search_text import Facet, facet_word, phrases_of
from pipeline.catalog.tables import RunItemRow
from pipeline.catalog.upserts import table_of
from pipeline.license_choices import ANY, chosen_licenses

# Up to so many ids are put into a set, to be looked up on a walk; and of so many matches each is looked up in a run.
MOST_IN_SET = 20_000
# A run is counted up to this; its items lie close together when at least each second id is among them.
MOST_OF_RUN = 50_000

_RUN_ITEM = table_of(RunItemRow)


@dataclass(frozen=True)
class Span:
    """Where the items of a run lie: the lowest id, the highest, and how many there are, up to `MOST_OF_RUN`."""

    lowest: int
    highest: int
    count: int

    @property
    def is_close(self) -> bool:
        """Whether the ids between are the run's for the most part."""
        return self.highest - self.lowest < 2 * self.count


class Ways:
    """The statements for the items of a filter in an order; lives as long as its unit of work."""

    def __init__(self, session: Session, wanted: GalleryFilter, sort: Sort) -> None:
        self.session = session
        self.run_id = wanted.run_id
        self.by_size = sort is Sort.LARGEST
        self.is_sqlite = search.is_sqlite(session)
        self.query = query_of(wanted)
        self.descending = sort is not Sort.OLDEST

    @cached_property
    def span(self) -> Span:
        """Of the run, on SQLite."""

        def found() -> Span:
            ends = [
                select(end(_RUN_ITEM.c.item_id)).where(self._mine).scalar_subquery() for end in (func.min, func.max)
            ]
            lowest, highest = self.session.execute(select(*ends)).one()
            return Span(lowest or 0, highest or 0, self.number(self.run_items.limit(MOST_OF_RUN)))

        return search.remembered(self.session, ("span", self.run_id), found)

    @cached_property
    def by_index(self) -> bool:
        """Whether the index gives the items; else they are met on a walk through the run."""
        if not self.is_sqlite or self.run_id is None or self.span.is_close:
            return True

        def found() -> bool:
            ids, _ = search.matching(self.session, self.query)
            return self.number(ids.limit(MOST_IN_SET + 1)) <= MOST_IN_SET

        return search.remembered(self.session, ("by index", self.query), found)

    def matching(self, columns: Sequence[ColumnElement[Any]] = ()) -> tuple[Select[Any], ColumnElement[int]]:
        """As `search.matching`, for the items of the run only."""
        statement, item_id = search.matching(self.session, self.query, columns)
        if self.run_id is None:
            return statement, item_id
        if self.is_sqlite:
            statement = statement.where(item_id >= self.span.lowest, item_id <= self.span.highest)
        return statement.where(self._of_run(item_id)), item_id

    @property
    def _mine(self) -> ColumnElement[bool]:
        return _RUN_ITEM.c.run_id == self.run_id

    @property
    def run_items(self) -> Select[Any]:
        """The ids of all items of the run."""
        return select(_RUN_ITEM.c.item_id).where(self._mine)

    def run_documents(self, columns: Sequence[ColumnElement[Any]]) -> tuple[Select[Any], ColumnElement[int]]:
        """Columns of the documents of all items of the run, and the column of ids."""
        item_id: ColumnElement[int] = _RUN_ITEM.c.item_id
        documents = select(*columns).select_from(_RUN_ITEM).join(DOCUMENT, item_id == DOCUMENT.c.item_id)
        return documents.where(self._mine), item_id

    @cached_property
    def walk(self) -> tuple[Select[Any], tuple[Any, ...]]:
        """A statement for the ids of all the items that the order goes through, and the columns of the order."""
        if self.by_size:
            return select(DOCUMENT.c.item_id), (DOCUMENT.c.pixels, DOCUMENT.c.item_id)
        statement, item_id = self.run_documents((DOCUMENT.c.item_id,))
        return statement, (item_id,)

    @property
    def places(self) -> Select[Any]:
        """The same for the columns of the order alone, without looking the items up."""
        return select(DOCUMENT.c.pixels, DOCUMENT.c.item_id) if self.by_size else self.run_items

    @cached_property
    def hit(self) -> ColumnElement[bool]:
        """Whether an item that a walk meets is one that is looked for."""
        # With `+ 0`, lest SQLite look all of a set up by their ids and sort them.
        item_id = DOCUMENT.c.item_id + 0
        if self.by_size and self.matches is not None:
            return item_id.in_(self.matching()[0])
        if self.by_size and self.run_id is not None:
            few = self.span.count <= MOST_IN_SET
            return and_(item_id.in_(self.run_items) if few else self._of_run(DOCUMENT.c.item_id), self.holds)
        return self.holds

    @property
    def holds(self) -> ColumnElement[bool]:
        """Whether a document is one that is looked for, of whatever run."""
        return search.holds(self.session, self.query)

    @cached_property
    def matches(self) -> int | None:
        """How many the index gives; None when it gives too many for a set, or is of no use."""
        found = self.number(self.matching()[0].limit(MOST_IN_SET + 1)) if self.by_index else None
        return None if found is None or found > MOST_IN_SET else found

    @cached_property
    def listing(self) -> tuple[Select[Any], tuple[Any, ...]]:
        """A statement for all ids that are looked for, and the columns of the order."""
        if not self.is_sqlite:
            statement, item_id = self.matching()
            return statement, (DOCUMENT.c.pixels, item_id) if self.by_size else (item_id,)
        if self.by_index and not self.by_size:
            statement, item_id = self.matching()
            return statement, (item_id,)
        statement, keys = self.walk
        return statement.where(self.hit), keys

    def order(self, keys: tuple[Any, ...], *, backwards: bool = False) -> tuple[ColumnElement[Any], ...]:
        """The columns to order by."""
        return tuple(key.desc() if self.descending != backwards else key.asc() for key in keys)

    def beyond(
        self, keys: tuple[Any, ...], place: tuple[int, ...], *, backwards: bool = False, inclusive: bool = False
    ) -> ColumnElement[bool]:
        """What comes after a place in the order; or before it."""
        here: Any = keys[0] if len(keys) == 1 else tuple_(*keys)
        there: Any = literal(place[0]) if len(keys) == 1 else tuple_(*map(literal, place))
        condition: ColumnElement[bool]
        if self.descending != backwards:
            condition = here <= there if inclusive else here < there
        else:
            condition = here >= there if inclusive else here > there
        return condition

    def place(self, cursor: Cursor) -> tuple[int, ...]:
        """A place as values of the columns of the order."""
        return (cursor.pixels or 0, cursor.item_id) if self.by_size else (cursor.item_id,)

    def key(self, cursor: Cursor) -> tuple[int, ...]:
        """The same for sorting: less comes first."""
        sign = -1 if self.descending else 1
        return tuple(sign * value for value in self.place(cursor))

    def number(self, statement: Select[Any]) -> int:
        """How many rows a statement gives."""
        return int(self.session.scalar(select(func.count()).select_from(statement.subquery())) or 0)

    def _of_run(self, item_id: ColumnElement[int]) -> ColumnElement[bool]:
        return self.run_items.where(_RUN_ITEM.c.item_id == item_id).exists()


def _license_words(choice: str) -> tuple[str, ...]:
    """The words of the licences that are asked for; of an id that is not known here its own."""
    found = [each.id for each in chosen_licenses(choice)] or [choice]
    return tuple(facet_word(Facet.LICENSE, each) for each in found)


def query_of(wanted: GalleryFilter) -> search.Query:
    """What a filter looks for in the index; all but the run."""
    facets = [facet_word(Facet.NEAR)] if wanted.only_near_duplicates else []
    without = []
    for facet, value in (
        (Facet.KEYWORD, wanted.keyword),
        (Facet.SOURCE, wanted.source),
        (Facet.PRESET, wanted.preset),
        (Facet.TAG, wanted.tag),
        (Facet.DREAMED, "1" if wanted.dreamed else None),
    ):
        if value is not None:
            facets.append(facet_word(facet, value))
    if wanted.dreamed is False:
        without.append(facet_word(Facet.DREAMED, "1"))
    groups: list[tuple[str, ...]] = [(word,) for word in facets]
    if wanted.license_id not in {None, ANY}:
        groups.append(_license_words(str(wanted.license_id)))
    if wanted.stars is not None:
        groups.append(tuple(facet_word(Facet.STARS, str(stars)) for stars in range(wanted.stars, 6)))
    phrases = phrases_of(" ".join(wanted.words))
    if wanted.only_near_duplicates:
        pass  # these are neither withdrawn nor shown otherwise
    elif groups or phrases:
        without.append(facet_word(Facet.WITHDRAWN if wanted.near_duplicates else Facet.HIDDEN))
    else:
        groups.append((facet_word(Facet.USABLE if wanted.near_duplicates else Facet.SHOWN),))
    return search.Query(phrases, tuple(groups), tuple(without), nothing=bool(wanted.words) and not phrases)

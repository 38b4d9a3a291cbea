"""The items of a gallery in their order: pages, places and counts, each bounded however large the catalog is.

The newest matches are looked through once. Where that is all of them, everything else is known, too. Of more, on
SQLite, the index gives the ids in their order; for another order, or for the items of one run, a walk in the order that
is wanted meets enough matches soon. Counting ends after some time and then gives what was counted so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select, tuple_
from sqlalchemy.orm import Session

from pipeline.catalog import search
from pipeline.catalog.gallery_values import Count, Cursor, GalleryFilter, Sort
from pipeline.catalog.search import DOCUMENT, Query
from pipeline.catalog.search_text import Facet, facet_word, phrases_of
from pipeline.catalog.tables import RunItemRow
from pipeline.catalog.upserts import table_of

# Beyond this a page says "10 000+": nobody reads further, and counting on would cost more than the page.
COUNT_CAP = 10_000
COUNT_SECONDS = 0.008
# Ids that are counted at once: so many are counted whatever the time.
COUNT_WINDOW = 50_000
# Up to so many matches, all of them are known at once; more are taken to be sorted than to be counted.
MOST_FEW = 1_000
MOST_SORTED = 4_000
# Of a walk in another order than that of ids, at most so many items are looked at for a count.
MOST_WALKED = 4_000
_SCANS, _HIGHEST = "gallery_scans", "gallery_highest"

_RUN_ITEM = table_of(RunItemRow)


class Gallery:
    """What a filter shows, in an order; lives as long as its unit of work."""

    def __init__(self, session: Session, wanted: GalleryFilter, sort: Sort = Sort.NEWEST) -> None:
        self._session = session
        self._wanted = wanted
        self._sort = sort
        self._is_sqlite = search.is_sqlite(session)
        self.query = query_of(wanted)

    def ids(self, limit: int, *, beyond: Cursor | None = None, backwards: bool = False) -> list[int]:
        """The first `limit` ids after a place, or before it, nearest first; from the beginning without one."""
        if not (self._by_id and self._is_sqlite and "_few" not in vars(self)) and self._few is not None:
            return self._few_ids(limit, beyond, backwards=backwards)
        statement, keys = self._listing
        if beyond is not None:
            statement = statement.where(self._beyond(keys, beyond, backwards=backwards))
        return list(self._session.scalars(statement.order_by(*self._order(keys, backwards=backwards)).limit(limit)))

    def total(self) -> Count:
        """How many there are."""
        if self._few is not None:
            return _capped(len(self._few))
        if self._is_sqlite and self._wanted.run_id is not None:
            return self._walked(None)
        return self._counted(None)

    def before(self, place: Cursor) -> Count:
        """How many lie before a place."""
        if self._few is not None:
            here = self._key(place)
            return _capped(sum(self._key(each) < here for each in self._few))
        if self._is_sqlite and not self._by_id:
            return self._walked(place)
        return self._counted(place)

    def newest(self, limit: int, *, window: int) -> tuple[Sequence[Any], bool]:
        """The newest `limit` matches of the newest `window` items, newest first; and whether there may be more matches.

        Rows of the documents: `item_id`, `pixels`, and `facets`, words as `search_text.facet_word` gives them.
        """
        looked, matches = self._scans.get(self._wanted, (0, ()))
        if looked > limit or len(matches) < looked:
            return matches[:limit], len(matches) > limit
        statement, item_id = self._newest(limit)
        highest = self._highest
        if self._is_sqlite and highest > window:
            statement = statement.where(item_id > highest - window)
        rows = self._session.execute(statement.limit(limit + 1)).all()
        return rows[:limit], len(rows) > limit or (self._is_sqlite and highest > window)

    def number_up_to(self, limit: int, *, window: int) -> int:
        """How many of the newest `window` items match, or `limit`."""
        if self._is_sqlite and self._wanted.run_id is not None:
            return min(limit, self._walked(None).number)
        statement, item_id = search.matching(self._session, self.query)
        if self._is_sqlite:
            statement = statement.where(item_id > self._highest - window)
        elif self._wanted.run_id is not None:
            statement = self._listing[0]
        return self._number(statement.limit(limit))

    @property
    def _by_id(self) -> bool:
        return self._sort is not Sort.LARGEST and self._wanted.run_id is None

    @cached_property
    def _listing(self) -> tuple[Select[Any], tuple[Any, ...]]:
        """A statement for all ids, and the columns of the order."""
        if self._is_sqlite and self._by_id:
            statement, item_id = search.matching(self._session, self.query)
            return statement, (item_id,)
        statement, keys = self._walk
        return statement.where(search.holds(self._session, self.query)), keys

    @cached_property
    def _walk(self) -> tuple[Select[Any], tuple[Any, ...]]:
        """The same, of all the items that the order goes through."""
        statement = select(DOCUMENT.c.item_id)
        item_id: Any = DOCUMENT.c.item_id
        if self._wanted.run_id is not None:
            item_id = _RUN_ITEM.c.item_id
            of_run = and_(_RUN_ITEM.c.run_id == self._wanted.run_id, _RUN_ITEM.c.item_id == DOCUMENT.c.item_id)
            statement = select(item_id).select_from(_RUN_ITEM).join(DOCUMENT, of_run)
        keys = (DOCUMENT.c.pixels, DOCUMENT.c.item_id) if self._sort is Sort.LARGEST else (item_id,)
        return statement, keys

    @cached_property
    def _few(self) -> list[Cursor] | None:
        """All places in order, where they are few."""
        most = MOST_FEW if self._by_id else MOST_SORTED
        if self._is_sqlite and not self._by_id and self._wanted.run_id is None:
            ids, _ = search.matching(self._session, self.query)
            if self._number(ids.limit(most + 1)) > most:
                return None
        matches = self._scan(most + 1)
        if len(matches) > most:
            return None
        return sorted((Cursor(match.item_id, match.pixels) for match in matches), key=self._key)

    def _scan(self, limit: int) -> Sequence[Any]:
        """At least the newest `limit` matches, or all there are; looked for once in a unit of work that only reads."""
        looked, matches = self._scans.get(self._wanted, (0, ()))
        if looked < limit and len(matches) == looked:
            matches = self._session.execute(self._newest(limit)[0].limit(limit)).all()
            if not search.is_writing(self._session):
                self._scans[self._wanted] = limit, matches
        return matches

    @property
    def _scans(self) -> dict[GalleryFilter, tuple[int, Sequence[Any]]]:
        """Filter -> how many matches were looked for in this unit of work, and those there are."""
        scans: dict[GalleryFilter, tuple[int, Sequence[Any]]] = self._session.info.setdefault(_SCANS, {})
        return scans

    @cached_property
    def _highest(self) -> int:
        """The newest item's id; 0 without one."""
        known: int | None = self._session.info.get(_HIGHEST)
        if known is None:
            known = int(self._session.scalar(select(func.max(DOCUMENT.c.item_id))) or 0)
            if not search.is_writing(self._session):
                self._session.info[_HIGHEST] = known
        return known

    def _newest(self, limit: int) -> tuple[Select[Any], ColumnElement[int]]:
        """A statement for what is known of the matches, newest first, and its column of ids."""
        columns = (DOCUMENT.c.item_id, DOCUMENT.c.pixels, DOCUMENT.c.facets)
        run_id = self._wanted.run_id
        statement, item_id = search.matching(self._session, self.query, columns)
        if run_id is not None:
            ids, _ = search.matching(self._session, self.query)
            if self._is_sqlite and self._number(ids.limit(limit)) == limit:
                of_run = and_(_RUN_ITEM.c.run_id == run_id, _RUN_ITEM.c.item_id == DOCUMENT.c.item_id)
                item_id = _RUN_ITEM.c.item_id
                statement = select(*columns).select_from(_RUN_ITEM).join(DOCUMENT, of_run)
                statement = statement.where(search.holds(self._session, self.query))
            else:
                of_run = and_(_RUN_ITEM.c.run_id == run_id, _RUN_ITEM.c.item_id == item_id)
                statement = statement.where(select(_RUN_ITEM.c.item_id).where(of_run).exists())
        return statement.order_by(item_id.desc()), item_id

    def _few_ids(self, limit: int, beyond: Cursor | None, *, backwards: bool) -> list[int]:
        places = self._few or []
        if beyond is not None:
            here = self._key(beyond)
            places = [each for each in places if (self._key(each) < here if backwards else self._key(each) > here)]
        if backwards:
            places = places[::-1]
        return [each.item_id for each in places[:limit]]

    @property
    def _key(self) -> Callable[[Cursor], tuple[int, ...]]:
        if self._sort is Sort.LARGEST:
            return lambda place: (-(place.pixels or 0), -place.item_id)
        sign = 1 if self._sort is Sort.OLDEST else -1
        return lambda place: (sign * place.item_id,)

    def _order(self, keys: tuple[Any, ...], *, backwards: bool) -> tuple[ColumnElement[Any], ...]:
        descending = (self._sort is not Sort.OLDEST) != backwards
        return tuple(key.desc() if descending else key.asc() for key in keys)

    def _beyond(self, keys: tuple[Any, ...], place: Cursor, *, backwards: bool) -> ColumnElement[bool]:
        smaller = (self._sort is not Sort.OLDEST) != backwards
        here: Any = keys[0]
        there: Any = literal(place.item_id)
        if len(keys) > 1:
            here, there = tuple_(*keys), tuple_(literal(place.pixels or 0), there)
        condition: ColumnElement[bool] = here < there if smaller else here > there
        return condition

    def _counted(self, place: Cursor | None) -> Count:
        """How many match, or match before a place; by ids, window after window, until it takes too long."""
        if not self._is_sqlite:
            statement, keys = self._listing
            if place is not None:
                statement = statement.where(self._beyond(keys, place, backwards=True))
            return _capped(self._number(statement.limit(COUNT_CAP + 1)))
        statement, item_id = search.matching(self._session, self.query)
        lowest, highest = 1, self._highest
        if place is not None and self._sort is Sort.OLDEST:
            highest = place.item_id - 1
        elif place is not None:
            lowest = place.item_id + 1
        found = 0
        deadline = time.monotonic() + COUNT_SECONDS
        while highest >= lowest:
            floor = max(lowest, highest - COUNT_WINDOW + 1)
            window = statement.where(item_id >= floor, item_id <= highest).limit(COUNT_CAP + 1 - found)
            found += self._number(window)
            highest = floor - 1
            if found > COUNT_CAP or (highest >= lowest and time.monotonic() > deadline):
                return Count(min(found, COUNT_CAP), capped=True)
        return Count(found)

    def _walked(self, place: Cursor | None) -> Count:
        """The same in another order than that of ids, over the first items only."""
        statement, keys = self._walk
        if place is not None:
            statement = statement.where(self._beyond(keys, place, backwards=True))
        hit = case((search.holds(self._session, self.query), 1), else_=0).label("hit")
        some = statement.with_only_columns(hit).order_by(*self._order(keys, backwards=place is not None))
        rows = some.limit(MOST_WALKED + 1).subquery()
        looked, found = self._session.execute(select(func.count(), func.sum(rows.c.hit)).select_from(rows)).one()
        return Count(found or 0, capped=looked > MOST_WALKED)

    def _number(self, statement: Select[Any]) -> int:
        return int(self._session.scalar(select(func.count()).select_from(statement.subquery())) or 0)


def query_of(wanted: GalleryFilter) -> Query:
    """What a filter looks for in the index; all but the run."""
    facets = [facet_word(Facet.NEAR)] if wanted.only_near_duplicates else []
    without = []
    for facet, value in (
        (Facet.KEYWORD, wanted.keyword),
        (Facet.SOURCE, wanted.source),
        (Facet.LICENSE, wanted.license_id),
        (Facet.PRESET, wanted.preset),
        (Facet.TAG, wanted.tag),
        (Facet.DREAMED, "1" if wanted.dreamed else None),
    ):
        if value is not None:
            facets.append(facet_word(facet, value))
    if wanted.dreamed is False:
        without.append(facet_word(Facet.DREAMED, "1"))
    groups: list[tuple[str, ...]] = [(word,) for word in facets]
    if wanted.stars is not None:
        groups.append(tuple(facet_word(Facet.STARS, str(stars)) for stars in range(wanted.stars, 6)))
    phrases = phrases_of(" ".join(wanted.words))
    if wanted.only_near_duplicates:
        pass  # these are neither withdrawn nor shown otherwise
    elif groups or phrases:
        without.append(facet_word(Facet.WITHDRAWN if wanted.near_duplicates else Facet.HIDDEN))
    else:
        groups.append((facet_word(Facet.USABLE if wanted.near_duplicates else Facet.SHOWN),))
    return Query(phrases, tuple(groups), tuple(without), nothing=bool(wanted.words) and not phrases)


def _capped(number: int) -> Count:
    return Count(min(number, COUNT_CAP), capped=number > COUNT_CAP)

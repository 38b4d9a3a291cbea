"""The items of a gallery in their order: pages, places and counts, each bounded however large the catalog is.

The newest matches are looked through once. Where that is all of them, everything else is known, too. Of more, pages
come as `pipeline.catalog.gallery_ways` says. Counting ends after some time and then gives what was counted so far.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from pipeline.catalog import search
from pipeline.catalog.gallery_values import Count, Cursor, GalleryFilter, Sort
from pipeline.catalog.gallery_ways import Ways
from pipeline.catalog.search import DOCUMENT
from pipeline.catalog.tables import RunItemRow
from pipeline.catalog.upserts import table_of

# Beyond this a page says "10 000+": nobody reads further, and counting on would cost more than the page.
COUNT_CAP = 10_000
COUNT_SECONDS = 0.008
# What is counted at once, and so whatever the time: ids of the index, or items on a walk. Twice as much the next time,
# while that went quickly.
COUNT_WINDOW = 50_000
WALK_WINDOW = 200
SET_WINDOW = 5_000  # items on a walk that are looked up in a set
# Up to so many matches, all of them are known at once.
MOST_FEW = 1_000
# Of a run whose items lie far apart, at most so many of the newest are looked at to know all that match.
MOST_LOOKED_AT = 1_000
_QUICK = 0.25  # of the time that counting may take
_SCANS = "gallery_scans"  # in a session's own notes
_RUN_ITEM = table_of(RunItemRow)
_KNOWN = (DOCUMENT.c.item_id, DOCUMENT.c.pixels, DOCUMENT.c.facets)
Match = tuple[int, int, str]
"""Id, pixels, and facets: words as `search_text.facet_word` gives them."""


class Gallery:
    """What a filter shows, in an order; lives as long as its unit of work."""

    def __init__(self, session: Session, wanted: GalleryFilter, sort: Sort = Sort.NEWEST) -> None:
        self._session = session
        self._wanted = wanted
        self._ways = Ways(session, wanted, sort)

    def ids(self, limit: int, *, beyond: Cursor | None = None, backwards: bool = False) -> list[int]:
        """The first `limit` ids after a place, or before it, nearest first; from the beginning without one."""
        ways = self._ways
        at_once = ways.is_sqlite and ways.by_index and not ways.by_size
        if not (at_once and "_few" not in vars(self)) and self._few is not None:
            return self._few_ids(limit, beyond, backwards=backwards)
        statement, keys = ways.listing
        if beyond is not None:
            statement = statement.where(ways.beyond(keys, ways.place(beyond), backwards=backwards))
        ordered = statement.order_by(*ways.order(keys, backwards=backwards))
        return list(self._session.scalars(ordered.limit(limit)))

    def total(self) -> Count:
        """How many there are."""
        ways = self._ways
        if self._few is not None:
            return _capped(len(self._few))
        if ways.is_sqlite and ways.by_size and ways.matches is not None:
            return _capped(ways.matches)
        if ways.by_index:
            return self._counted(None)
        return Gallery(self._session, self._wanted)._walked(None)  # the newest first: those have been looked at

    def before(self, place: Cursor) -> Count:
        """How many lie before a place."""
        ways = self._ways
        if self._few is not None:
            here = ways.key(place)
            return _capped(sum(ways.key(each) < here for each in self._few))
        if ways.is_sqlite and (ways.by_size or not ways.by_index):
            return self._walked(place)
        return self._counted(place)

    def newest(self, limit: int, *, window: int) -> tuple[Sequence[Match], bool]:
        """The newest `limit` matches of the newest `window` items, newest first; and whether there may be more."""
        looked, matches, complete = self._scans.get(self._wanted, (0, (), False))
        if not complete and looked <= limit:
            ways = self._ways
            if not ways.by_index:
                matches, complete = self._scan(limit + 1)
            else:
                statement, item_id = ways.matching(_KNOWN)
                floor = self._floor(window)
                if floor > 0:
                    statement = statement.where(item_id > floor)
                matches = self._rows(statement.order_by(item_id.desc()).limit(limit + 1))
                complete = floor <= 0
        return matches[:limit], len(matches) > limit or not complete

    def number_up_to(self, limit: int, *, window: int) -> int:
        """How many of the newest `window` items match, or `limit`."""
        ways = self._ways
        if ways.is_sqlite and ways.run_id is not None and not ways.span.is_close:
            return min(limit, len(self._scan(limit, by_index=False)[0]))
        statement, item_id = ways.matching()
        return ways.number(statement.where(item_id > self._floor(window)).limit(limit))

    @cached_property
    def _few(self) -> list[Cursor] | None:
        """All places in order, where they are few."""
        ways = self._ways
        if ways.is_sqlite and ways.by_size and ways.by_index and (ways.matches is None or ways.matches > MOST_FEW):
            return None
        matches, complete = self._scan(MOST_FEW + 1)
        if not complete or len(matches) > MOST_FEW:
            return None
        return sorted((Cursor(item_id, pixels) for item_id, pixels, _ in matches), key=ways.key)

    def _few_ids(self, limit: int, beyond: Cursor | None, *, backwards: bool) -> list[int]:
        places, key = self._few or [], self._ways.key
        if beyond is not None:
            here = key(beyond)
            places = [each for each in places if (key(each) < here if backwards else key(each) > here)]
        if backwards:
            places = places[::-1]
        return [each.item_id for each in places[:limit]]

    def _rows(self, statement: Select[Any]) -> Sequence[Match]:
        """The driver's own rows: making objects of a thousand takes as long as finding them."""
        result = self._session.connection().execute(statement)
        rows: Sequence[Match] = result.cursor.fetchall()
        result.close()
        return rows

    def _scan(self, limit: int, *, by_index: bool | None = None) -> tuple[Sequence[Match], bool]:
        """At least the newest `limit` matches, or those there are, and whether these are all.

        Of a run whose items lie far apart, those of its newest items only. Looked for once in a unit of work that only
        reads.
        """
        looked, matches, complete = self._scans.get(self._wanted, (0, (), False))
        if complete or looked >= limit:
            return matches, complete
        ways = self._ways
        if ways.by_index if by_index is None else by_index:
            statement, item_id = ways.matching(_KNOWN)
            complete = True
        else:
            statement, item_id = ways.run_documents(_KNOWN)
            floor = self._run_floor
            complete = floor is None
            statement = statement.where(ways.holds if complete else (item_id > floor) & ways.holds)
        matches = self._rows(statement.order_by(item_id.desc()).limit(limit))
        complete = complete and len(matches) < limit
        if not search.is_writing(self._session):
            self._scans[self._wanted] = limit, matches, complete
        return matches, complete

    @property
    def _scans(self) -> dict[GalleryFilter, tuple[int, Sequence[Match], bool]]:
        """Filter -> how many matches were looked for in this unit of work, those there are, whether these are all."""
        scans: dict[GalleryFilter, tuple[int, Sequence[Match], bool]] = self._session.info.setdefault(_SCANS, {})
        return scans

    @property
    def _highest(self) -> int:
        """The newest id: on SQLite of the run, if it is of one; 0 without any."""
        if self._ways.is_sqlite and self._wanted.run_id is not None:
            return self._ways.span.highest
        newest = select(func.max(DOCUMENT.c.item_id))
        return search.remembered(self._session, ("highest",), lambda: int(self._session.scalar(newest) or 0))

    @property
    def _run_floor(self) -> int | None:
        """The newest id of the run that is not among those to look at; None when all are."""
        newest = self._ways.run_items.order_by(_RUN_ITEM.c.item_id.desc()).offset(MOST_LOOKED_AT).limit(1)

        def found() -> int | None:
            return self._session.execute(newest).scalar()

        return search.remembered(self._session, ("floor", self._wanted.run_id), found)

    def _floor(self, window: int) -> int:
        """The id above which the newest `window` ids lie; on PostgreSQL nothing is left out."""
        return max(0, self._highest - window) if self._ways.is_sqlite else 0

    def _counted(self, place: Cursor | None) -> Count:
        """How many match, or match before a place; by ids, window after window, until it takes too long."""
        ways = self._ways
        if not ways.is_sqlite:
            statement, keys = ways.listing
            if place is not None:
                statement = statement.where(ways.beyond(keys, ways.place(place), backwards=True))
            return _capped(ways.number(statement.limit(COUNT_CAP + 1)))
        statement, item_id = ways.matching()
        lowest, highest = 1, self._highest
        if place is not None and ways.descending:
            lowest = place.item_id + 1
        elif place is not None:
            highest = place.item_id - 1
        found, size = 0, COUNT_WINDOW
        started = time.monotonic()
        while highest >= lowest:
            floor = max(lowest, highest - size + 1)
            window = statement.where(item_id >= floor, item_id <= highest).limit(COUNT_CAP + 1 - found)
            found += ways.number(window)
            highest = floor - 1
            share = (time.monotonic() - started) / COUNT_SECONDS
            if found > COUNT_CAP or (highest >= lowest and share > 1):
                return Count(min(found, COUNT_CAP), capped=True)
            if share < _QUICK:
                size *= 2
        return Count(found)

    def _walked(self, place: Cursor | None) -> Count:
        """The same along a walk, from its beginning; without a place from the last of those that were looked at."""
        ways = self._ways
        items, keys = ways.walk
        rest: list[ColumnElement[bool]] = []
        # At most one condition for each end of a window: of two, SQLite may take the one that leaves more.
        end = [] if place is None else [ways.beyond(keys, ways.place(place), backwards=True)]
        size = SET_WINDOW if ways.by_size and ways.matches is not None else WALK_WINDOW
        found = 0
        if place is None:
            matches, _ = self._scan(MOST_FEW + 1)
            found = len(matches)
            last = matches[-1][0] if found > MOST_FEW else self._run_floor
            rest = [] if last is None else [ways.beyond(keys, (last,), inclusive=found <= MOST_FEW)]
        started = time.monotonic()
        while True:
            places = ways.places.where(*rest, *end).order_by(*ways.order(keys))
            edge = self._session.execute(places.offset(size - 1).limit(1)).first()
            ends = end if edge is None else [ways.beyond(keys, tuple(edge), backwards=True, inclusive=True)]
            found += ways.number(items.where(*rest, *ends, ways.hit).limit(COUNT_CAP + 1 - found))
            if edge is None and found <= COUNT_CAP:
                return Count(found)
            share = (time.monotonic() - started) / COUNT_SECONDS
            if edge is None or found > COUNT_CAP or share > 1:
                return Count(min(found, COUNT_CAP), capped=True)
            if share < _QUICK:
                size *= 2
            rest = [ways.beyond(keys, tuple(edge))]


def _capped(number: int) -> Count:
    return Count(min(number, COUNT_CAP), capped=number > COUNT_CAP)

"""What the repositories share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import Session

from pipeline.catalog.values import value_of

Value = TypeVar("Value")
Entry = TypeVar("Entry")

CHUNK = 500
"""Values in one `IN (...)`; SQLite takes 32766 and PostgreSQL 65535, but long lists plan badly."""

_ROWS_AT_ONCE = 100_000
_ROWS_TO_JOIN = 2000


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Repository:
    """Holds the session of one unit of work."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _one(self, kind: type[Value], query: Select[Any], **values: Any) -> Value | None:
        """The first row as a value, or None.

        values: Of the query's parameters; one that is built once and takes them costs half of one that is built anew.
        """
        row = self._session.connection().execute(query, values).mappings().first()
        return None if row is None else value_of(kind, row)

    def _all(self, kind: type[Value], query: Select[Any]) -> list[Value]:
        return [value_of(kind, row) for row in self._session.execute(query).mappings()]

    def _joined(self, query: Select[Any], key: ColumnElement[int], *, above: int) -> Iterator[tuple[list[int], bytes]]:
        """Every row above an id, by id, in batches: ids, and what goes with them, one after the other.

        query: Of ids, and bytes.
        key: Of the ids.
        """
        while True:
            batch = query.where(key > above).order_by(key).limit(_ROWS_AT_ONCE)
            # The driver's own rows: making Row objects of a million of them takes most of the time.
            result, found = self._session.connection().execute(batch), 0
            # Few at a time, or they leave the processor's cache before they are joined, at three times the cost.
            while rows := result.cursor.fetchmany(_ROWS_TO_JOIN):
                ids, parts = zip(*rows, strict=True)
                found, above = found + len(ids), ids[-1]
                yield list(ids), b"".join(parts)
            result.close()
            if found < _ROWS_AT_ONCE:
                return


def chunks(entries: Iterable[Entry], size: int = CHUNK) -> Iterator[Sequence[Entry]]:
    """The entries in lists of at most `size`."""
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch

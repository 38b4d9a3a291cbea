"""Insert-or-ignore and insert-or-update in one statement each: the part of SQL that differs between databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pipeline.catalog.tables import Base


def table_of(row: type[Base]) -> Table:
    """The table of a row class."""
    return cast("Table", row.__table__)


def insert_new(session: Session, row: type[Base], values: Mapping[str, Any], *, unique: Sequence[str]) -> bool:
    """Insert a row unless one with the same unique columns is there; whether it was inserted."""
    statement = _insert(session, row).values(dict(values)).on_conflict_do_nothing(index_elements=list(unique))
    columns = [table_of(row).c[name] for name in unique]
    return session.execute(statement.returning(*columns)).first() is not None


def insert_for_id(session: Session, row: type[Base], values: Mapping[str, Any]) -> int | None:
    """Insert a row unless any of its unique keys is taken; its id, or None."""
    statement = _insert(session, row).values(dict(values)).on_conflict_do_nothing()
    added = session.execute(statement.returning(table_of(row).c.id)).scalar_one_or_none()
    return None if added is None else int(added)


def insert_or_update(
    session: Session,
    row: type[Base],
    values: Mapping[str, Any],
    *,
    unique: Sequence[str],
    update: Mapping[str, ColumnElement[Any] | Any],
    where: ColumnElement[bool] | None = None,
) -> None:
    """Insert a row, or set columns of the one with the same unique columns.

    update: Column -> value or expression; expressions may read the row's columns as they were.
    where: The row that is there is only changed when this holds of it.
    """
    statement = _insert(session, row).values(dict(values))
    session.execute(statement.on_conflict_do_update(index_elements=list(unique), set_=dict(update), where=where))


def _insert(session: Session, row: type[Base]) -> Any:
    """The dialect's INSERT; both have the same methods for conflicts."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table_of(row))
    return sqlite.insert(table_of(row))

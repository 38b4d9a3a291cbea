"""Insert-or-ignore and insert-or-update in one statement each: the part of SQL that differs between databases.

SQLAlchemy does not cache a statement with ON CONFLICT, and compiling one costs ten times as much as running it. So each
is compiled once, for the columns that are given, and run with other values ever after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ClauseElement, ColumnElement, Connection, Table, bindparam, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Compiled, Dialect
from sqlalchemy.orm import Session

from pipeline.catalog.tables import Base

Rule = Callable[[Any, Any], Any]
"""(columns of the row that is there, columns of the one that was to be inserted) -> an expression.

A function at module level: it tells one statement from another.
"""

_UPDATE = "update_"  # before the name of a column's parameter; no column is called so
_ADDRESSES = frozenset({"image_url", "page_url"})
_compiled: dict[tuple[Any, ...], Compiled] = {}


def table_of(row: type[Base]) -> Table:
    """The table of a row class."""
    return cast("Table", row.__table__)


def insert_new(session: Session, row: type[Base], values: Mapping[str, Any], *, unique: Sequence[str]) -> bool:
    """Insert a row unless one with the same unique columns is there; whether it was inserted."""
    table = table_of(row)

    def build(dialect: Dialect) -> Any:
        statement = _insert(dialect, row).on_conflict_do_nothing(index_elements=_keys(dialect, row, unique))
        return statement.returning(*(table.c[name] for name in unique))

    return _run(session, ("new", row, *unique), build, values).first() is not None


def insert_for_id(session: Session, row: type[Base], values: Mapping[str, Any]) -> int | None:
    """Insert a row unless any of its unique keys is taken; its id, or None."""

    def build(dialect: Dialect) -> Any:
        return _insert(dialect, row).on_conflict_do_nothing().returning(table_of(row).c.id)

    added = _run(session, ("id", row), build, values).scalar_one_or_none()
    return None if added is None else int(added)


def insert_or_update(
    session: Session,
    row: type[Base],
    values: Mapping[str, Any],
    *,
    unique: Sequence[str],
    update: Mapping[str, Any],
) -> None:
    """Insert a row, or set columns of the one with the same unique columns.

    values: Column -> value; an expression is allowed, and then the statement is compiled anew.
    update: Column -> value or `Rule`.
    """
    rules = {name: rule for name, rule in update.items() if callable(rule)}
    plain = {f"{_UPDATE}{name}": value for name, value in update.items() if name not in rules}

    def build(dialect: Dialect) -> Any:
        table = table_of(row)
        statement = _insert(dialect, row)
        changes: dict[str, ColumnElement[Any]] = {
            name: rules[name](table.c, statement.excluded)
            if name in rules
            else bindparam(f"{_UPDATE}{name}", type_=table.c[name].type)
            for name in update
        }
        return statement.on_conflict_do_update(index_elements=_keys(dialect, row, unique), set_=changes)

    key = ("update", row, *unique, *((name, rules.get(name)) for name in update))
    _run(session, key, build, values, plain)


def insert_many(
    connection: Connection,
    row: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    unique: Sequence[str],
    update: Sequence[str] = (),
    rules: Mapping[str, Rule] | None = None,
    where: Rule | None = None,
) -> None:
    """Insert rows with the same columns, one after the other; of those whose unique columns are there, set some anew.

    update: Columns that are set to the new value.
    rules: Column -> what it is set to.
    where: A row that is there is only changed when this holds.
    """
    if not rows:
        return
    rules = rules or {}

    def build(dialect: Dialect) -> Any:
        statement = _insert(dialect, row)
        if not update and not rules:
            return statement.on_conflict_do_nothing(index_elements=_keys(dialect, row, unique))
        changes = {name: statement.excluded[name] for name in update}
        changes |= {name: rule(table_of(row).c, statement.excluded) for name, rule in rules.items()}
        condition = None if where is None else where(table_of(row).c, statement.excluded)
        return statement.on_conflict_do_update(
            index_elements=_keys(dialect, row, unique), set_=changes, where=condition
        )

    key = ("many", row, *unique, where, *update, *rules.items())
    compiled = _compiled_once(connection.dialect, key, build, list(rows[0]))
    connection.execute(cast("Any", compiled), [dict(each) for each in rows])


def _run(
    session: Session,
    key: tuple[Any, ...],
    build: Callable[[Dialect], Any],
    values: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
) -> Any:
    """Run the statement that `build` makes with these values, and with `more` as parameters of its other parts."""
    connection = session.connection()
    dialect = connection.dialect
    if any(isinstance(value, ClauseElement) for value in values.values()):
        return connection.execute(build(dialect).values(dict(values)), dict(more or {}))
    parameters = {**values, **(more or {})}
    return connection.execute(cast("Any", _compiled_once(dialect, key, build, list(parameters))), parameters)


def _compiled_once(
    dialect: Dialect, key: tuple[Any, ...], build: Callable[[Dialect], Any], columns: Sequence[str]
) -> Compiled:
    key = (dialect.name, *key, *columns)
    found = _compiled.get(key)
    if found is None:
        found = _compiled[key] = build(dialect).compile(dialect=dialect, column_keys=list(columns))
    return found


def _keys(dialect: Dialect, row: type[Base], unique: Sequence[str]) -> list[Any]:
    """What a unique index is made of: on PostgreSQL the digests of addresses, see migration 0006."""
    columns = table_of(row).c
    if dialect.name != "postgresql":
        return [columns[name] for name in unique]
    return [func.address_key(columns[name]) if name in _ADDRESSES else columns[name] for name in unique]


def _insert(dialect: Dialect, row: type[Base]) -> Any:
    """The dialect's INSERT; both have the same methods for conflicts."""
    if dialect.name == "postgresql":
        return postgresql.insert(table_of(row))
    return sqlite.insert(table_of(row))

"""Reads and writes a catalog at its path by plain SQL, without the program's help, wherever it really lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.support.at_start import led_catalogs

NotThere = DBAPIError
"""What is raised while there is no catalog yet, or no such table in it."""


def on_postgresql() -> bool:
    """Whether the catalogs of this test run are databases of PostgreSQL."""
    return os.environ.get("DREAMCRAWL_TEST_CATALOGS") == "postgresql"


@contextmanager
def connection_to(path: Path) -> Iterator[sa.Connection]:
    """A connection to the catalog at a path, which commits at the end."""
    if on_postgresql() and led_catalogs.is_link(path):
        url = sa.make_url(led_catalogs.address_of(path)).set(drivername="postgresql+psycopg")
    else:
        url = sa.make_url(f"sqlite:///file:{path}?mode=rw&uri=true")
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def rows(path: Path, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """What a query finds; parameters are `:name`."""
    with connection_to(path) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def change(path: Path, statement: str, **values: Any) -> None:
    """Change the catalog as another program would; nothing but the database itself checks it."""
    with connection_to(path) as connection:
        connection.execute(sa.text(statement), values)

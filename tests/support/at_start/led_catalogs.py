"""Leads every catalog that is opened by its path to a database of its own on the PostgreSQL server of the tests.

At the path lies then a small file, the link, that names the database: so any process that opens the same path comes to
the same database, and a program sees that there is a catalog. Of a copied workspace the database is copied, too, when
it is first opened.
DREAMCRAWL_TEST_POSTGRES is the server's address, on which `TEMPLATE` is a migrated and empty catalog.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "pipeline.catalog.engine"
TEMPLATE = "dreamcrawl_template"
_FORM = "a catalog of the tests, on PostgreSQL"
_SQLITE = b"SQLite format 3\0"


def install() -> None:
    """Have `open_catalog` do so in this process; before anything has imported it, as others import it by name."""
    if os.environ["DREAMCRAWL_TEST_CATALOGS"] != "postgresql":
        return
    assert MODULE not in sys.modules
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Changes the module when it is imported: importing it now would slow down every process that never needs it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == MODULE else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            module.open_catalog = _led(module, module.open_catalog)  # type: ignore[attr-defined]  # it is that module

        spec.loader.exec_module = executed  # type: ignore[method-assign]  # of this one spec
        return spec


def _led(engine: Any, open_catalog: Callable[..., Any]) -> Callable[..., Any]:
    def led(url_or_path: str | Path, *, create: bool = True, **options: Any) -> Any:
        path = engine.sqlite_path(engine.catalog_url(url_or_path))
        # What cannot be opened at all is for the program to refuse.
        if path is None or path.is_dir() or (not path.exists() and not create):
            return open_catalog(url_or_path, create=create, **options)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return open_catalog(url_or_path, create=create, **options)
        return open_catalog(address_of(path), create=create, **options)

    return led


def address_of(path: Path) -> str:
    """The address of the database behind a path; makes the database if there is none."""
    import psycopg
    from psycopg import sql

    path = path.resolve()
    link = _read(path)
    if link is None or link["path"] != str(path):
        with psycopg.connect(_plain(), autocommit=True) as connection:
            # Released when the connection ends, however the process does.
            connection.execute("SELECT pg_advisory_lock(hashtext(%s)::bigint)", [str(path)])
            link = _read(path)
            if link is None or link["path"] != str(path):
                name = f"catalog_{hashlib.sha256(str(path).encode()).hexdigest()[:24]}"
                template = TEMPLATE if link is None else link["database"]
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(end, [template])  # a database that is copied must not be in use
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
                make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                connection.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
                said = sql.SQL("COMMENT ON DATABASE {} IS {}")
                connection.execute(said.format(sql.Identifier(name), sql.Literal(str(path))))
                link = {"form": _FORM, "path": str(path), "database": name}
                half = path.with_name(f".{path.name}.{os.getpid()}")
                half.write_text(json.dumps(link), encoding="utf-8")
                half.replace(path)
    return _plain(link["database"])


def made_below(folder: Path) -> list[str]:
    """The names of the databases that are behind paths in a folder."""
    import psycopg

    with psycopg.connect(_plain()) as connection:
        query = "SELECT datname FROM pg_database WHERE starts_with(shobj_description(oid, 'pg_database'), %s)"
        return [name for (name,) in connection.execute(query, [f"{folder.resolve()}{os.sep}"])]


def is_link(path: Path) -> bool:
    """Whether a database is behind this path."""
    return _read(path) is not None


def _read(path: Path) -> dict[str, str] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        link = json.loads(data)
    except ValueError:
        link = None
    if not isinstance(link, dict) or link.get("form") != _FORM:
        what = "a SQLite catalog" if data.startswith(_SQLITE) else "no link to a database"
        raise AssertionError(f"{path} is {what}: a test that makes such a file has the mark `sqlite`")
    return link


def _plain(database: str | None = None) -> str:
    """The address of a database on the server, by default of the one that is always there, as psycopg takes it."""
    from sqlalchemy import make_url

    url = make_url(os.environ["DREAMCRAWL_TEST_POSTGRES"])
    url = url.set(drivername="postgresql", database=database or url.database)
    return url.render_as_string(hide_password=False)

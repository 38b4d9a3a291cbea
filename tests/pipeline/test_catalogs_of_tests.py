"""That `make test-postgres` does what it says: the path of a catalog leads to one database, whoever opens it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.catalog.engine import Catalog, open_catalog
from tests.support import plain_sql

START = (
    "import sys\n"
    "from pipeline.catalog.engine import open_catalog\n"
    "with open_catalog(sys.argv[1]) as catalog, catalog.write() as uow:\n"
    "    uow.runs.start('elsewhere', keywords=[], source=None, parameters={}, process='h:1:1', version='1')\n"
)


def database_of(catalog: Catalog) -> str:
    with catalog.read() as uow:
        return uow.session.connection().dialect.name


def kinds(path: Path) -> list[str]:
    return [kind for (kind,) in plain_sql.rows(path, "SELECT kind FROM run ORDER BY id")]


def test_every_process_and_plain_sql_come_to_the_same_database(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"

    subprocess.run([sys.executable, "-c", START, str(path)], check=True)
    with open_catalog(path, create=False) as catalog:
        assert database_of(catalog) == ("postgresql" if plain_sql.on_postgresql() else "sqlite")
        assert kinds(path) == ["elsewhere"]
        plain_sql.change(path, "UPDATE run SET kind = :kind", kind="changed")
        with catalog.read() as uow:
            assert [run.kind for run in uow.runs.list()] == ["changed"]


def test_each_path_has_a_database_of_its_own_and_so_has_a_copy(tmp_path: Path) -> None:
    first, other, copy = (tmp_path / name / "catalog.sqlite3" for name in ("first", "other", "copy"))
    subprocess.run([sys.executable, "-c", START, str(first)], check=True)
    open_catalog(other).close()
    shutil.copytree(first.parent, copy.parent)
    open_catalog(copy).close()
    plain_sql.change(first, "UPDATE run SET kind = 'changed'")

    assert (kinds(first), kinds(other), kinds(copy)) == (["changed"], [], ["elsewhere"])


def test_without_a_catalog_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(plain_sql.NotThere):
        plain_sql.rows(tmp_path / "catalog.sqlite3", "SELECT 1")

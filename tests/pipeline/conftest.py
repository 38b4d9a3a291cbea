"""Fixtures that tests of the pipeline share: a workspace, catalogs on both databases, keys to sign with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.postgres import Server, postgres_server

if TYPE_CHECKING:
    from pipeline.provenance.c2pa import C2paSigner
    from tests.support.inverting import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """A workspace of one's own."""
    # Not before the tests are led to PostgreSQL, if they are: it opens catalogs.
    from tests.support.inverting import workshop

    with workshop(tmp_path / "workspace") as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_server(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """None for SQLite, then a server of PostgreSQL; skips, with the reason, where there is none."""
    if request.param == "sqlite":
        yield None
        return
    with postgres_server() as running:
        yield running


@pytest.fixture
def address(database_server: Server | None, tmp_path: Path) -> str:
    """Where a catalog of one's own is to lie."""
    return database_server.new_database() if database_server else str(tmp_path / "catalog.sqlite3")


@pytest.fixture(scope="module")
def shared_address(database_server: Server | None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a catalog that the tests of a module share is to lie."""
    if database_server:
        return database_server.new_database()
    return str(tmp_path_factory.mktemp("shared") / "catalog.sqlite3")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> C2paSigner:
    """Signs with keys of its own."""
    from pipeline.provenance.c2pa import C2paSigner
    from pipeline.provenance.keys import make_keys

    return C2paSigner(make_keys(tmp_path_factory.mktemp("own") / "keys", name="Jane Doe"))

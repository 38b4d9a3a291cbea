"""Commands on a workspace whose setting `catalog_url` names a PostgreSQL server: there is no file beside the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lively_workspace import Lively
from tests.support.postgres import postgres_server

pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install dreamcrawl[postgres]")

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lively, str]]:
    with postgres_server() as server:
        url = server.new_database()
        lively = Lively(tmp_path_factory.mktemp("server") / "dreamcrawl-data", address=url)
        lively.catalog.close()  # commands open it anew
        yield lively, url


@pytest.fixture
def run(shop: tuple[Lively, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    from flows.cli import app

    lively, url = shop
    monkeypatch.chdir(lively.root.parent)
    monkeypatch.setenv("DREAMCRAWL_CATALOG_URL", url)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_commands_find_what_is_there_and_change_it(run: Run, shop: tuple[Lively, str]) -> None:
    lively, _ = shop

    assert [each["public_id"] for each in json.loads(run("items", "--json").stdout)] == ["i1", "i2", "i3"]
    assert run("tag", "i2", "--add", "for print").exit_code == 0
    assert [each["public_id"] for each in json.loads(run("items", "--tag", "for print", "--json").stdout)] == ["i2"]
    assert [each["public_id"] for each in json.loads(run("items", "--search", "mill c", "--json").stdout)] == ["i3"]
    assert run("verify").exit_code == 0
    assert run("fsck").exit_code == 0
    assert run("gc").exit_code == 0
    assert run("status", "--json").exit_code == 0
    assert not lively.workspace.catalog_path.exists()


@pytest.mark.parametrize("command", [("backup", "copy"), ("restore", "copy")])
def test_backups_are_left_to_the_tools_of_the_server(run: Run, command: tuple[str, str]) -> None:
    refused = run(*command)

    assert refused.exit_code == 2
    assert "pg_" in refused.stderr
    assert "Traceback" not in refused.output


@pytest.mark.parametrize(
    "command",
    [
        ("items",),
        ("status",),
        ("runs",),
        ("tag", "i1", "--add", "mine"),
        ("verify", "i1"),
        ("dream", "--item", "i1"),
        ("ingest",),
        ("schedule", "list"),
        ("browse", "--port", "0"),
        ("fsck",),
        ("gc",),
    ],
    ids=" ".join,
)
def test_a_server_that_is_away_is_told_in_one_line_without_the_password(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DREAMCRAWL_CATALOG_URL", "postgresql://me:secret@127.0.0.1:9/none")

    refused = CliRunner().invoke(app, list(command))

    assert isinstance(refused.exception, SystemExit), repr(refused.exception)
    assert refused.exit_code == 1
    assert len(refused.output.strip().splitlines()) == 1
    assert "see that the server runs" in refused.stderr
    assert "secret" not in refused.output


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@db.example:5432/dreams", "postgresql://me:***@db.example:5432/dreams"),
        (
            "postgresql://db.example/dreams?password=secret&user=me",
            "postgresql://db.example/dreams?password=***&user=me",
        ),
        ("postgresql://me:secret:/secret@db.example/dreams", "postgresql://me:***@db.example/dreams"),
        ("postgresql://me@db.example/dreams", "postgresql://me@db.example/dreams"),
        ("postgresql://me@host:secret@db.example/dreams", "postgresql://me@host:***@db.example/dreams"),
        ("postgresql://me:p@secret?@db.example/dreams", "postgresql://me:***@db.example/dreams"),
        ("postgresql://me@db.example:5432/dreams", "postgresql://me@db.example:5432/dreams"),
    ],
)
def test_the_settings_are_printed_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, shown: str
) -> None:
    from flows.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DREAMCRAWL_CATALOG_URL", address)

    plain, as_json = (CliRunner().invoke(app, ["config", *more]).stdout for more in ((), ("--json",)))

    assert "secret" not in plain + as_json
    assert {row["name"]: row["value"] for row in json.loads(as_json)}["catalog_url"] == shown

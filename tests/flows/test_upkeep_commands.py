"""fsck, backup, restore, gc, tag, rate and the search of items, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lively_workspace import Lively

Run = Callable[..., Any]


@pytest.fixture
def shop(tmp_path: Path) -> Lively:
    lively = Lively(tmp_path / "dreamcrawl-data")
    lively.catalog.close()  # commands open it anew
    return lively


@pytest.fixture
def run(shop: Lively, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    from flows.cli import app

    monkeypatch.chdir(tmp_path)
    assert shop.root == tmp_path / "dreamcrawl-data"
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_fsck_says_what_is_wrong_and_by_its_exit_code_that_something_is(run: Run, shop: Lively) -> None:
    well = run("fsck")
    shop.catalog = _open(shop)
    shop.stored(1).write_bytes(b"other")
    shop.catalog.close()
    found, as_json, mended = run("fsck"), run("fsck", "--json"), run("fsck", "--mend")

    assert (well.exit_code, found.exit_code, as_json.exit_code, mended.exit_code) == (0, 3, 3, 3)
    assert "5 files" in well.stdout
    assert "all is well" in well.stdout
    assert "altered file" in found.stdout
    report = json.loads(as_json.stdout)
    assert report["clean"] is False
    assert [(each["kind"], each["subject"], each["mended"]) for each in report["findings"]] == [
        ("altered_file", "i1", False)
    ]
    assert "--retry-failed" in mended.stdout
    assert len(list((shop.root / "quarantine").iterdir())) == 1


@pytest.mark.sqlite(reason="the catalog that was emptied is a file")
@pytest.mark.parametrize("command", [("gc", "--now", "--delete"), ("fsck", "--mend"), ("items",)])
def test_an_emptied_catalog_is_not_made_anew(run: Run, shop: Lively, command: tuple[str, ...]) -> None:
    shop.workspace.catalog_path.write_bytes(b"")
    before = [path for path in shop.store.root.rglob("*") if path.is_file()]

    refused = run(*command)

    assert refused.exit_code == 1
    assert "Restore a backup" in refused.stderr
    assert shop.workspace.catalog_path.read_bytes() == b""
    assert [path for path in shop.store.root.rglob("*") if path.is_file()] == before


def test_fsck_tells_of_young_files_that_the_catalog_does_not_know(run: Run, shop: Lively) -> None:
    shop.store.put(b"its row is being written, or the catalog is another one")

    assert "less than an hour: 1;" in run("fsck").stdout


def _open(shop: Lively) -> Any:
    from pipeline.catalog.engine import open_catalog

    return open_catalog(shop.workspace.catalog_path)


@pytest.mark.sqlite(reason="a catalog on PostgreSQL has its server's own tools for this")
def test_backup_and_restore(run: Run, tmp_path: Path) -> None:
    made = run("backup", "copy", "--link", "--json")
    again = run("backup", "copy")
    into_itself = run("restore", "copy")
    restored = run("restore", "copy", "--workspace", "elsewhere")

    assert (made.exit_code, again.exit_code, into_itself.exit_code, restored.exit_code) == (0, 2, 2, 0)
    assert json.loads(made.stdout)["linked"] == 5
    assert "there already" in again.stderr
    assert "not empty" in into_itself.stderr
    assert (tmp_path / "elsewhere" / "catalog.sqlite3").exists()
    assert run("verify", "--workspace", "elsewhere").exit_code == 0


def test_a_catalog_on_a_server_is_left_to_its_own_tools(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DREAMCRAWL_CATALOG_URL", "postgresql://nobody@127.0.0.1:9/none")

    refused = run("backup", "copy")

    assert refused.exit_code == 2
    assert "pg_dump" in refused.stderr


def test_gc_lists_first_and_deletes_when_told(run: Run, shop: Lively) -> None:
    shop.catalog = _open(shop)
    shop.withdraw("a")
    path = shop.stored(1)
    shop.catalog.close()

    waits, listed = run("gc"), run("gc", "--now")
    assert (waits.exit_code, listed.exit_code) == (0, 0)
    assert "nothing to let go of" in waits.stdout
    assert "would delete" in listed.stdout
    assert path.exists()

    deleted = run("gc", "--now", "--delete", "--json")
    report = json.loads(deleted.stdout)
    assert {each["subject"] for each in report["garbage"]} == {"i1", "d1"}
    assert report["files"] == 4
    assert not path.exists()
    assert run("fsck").exit_code == 0


def test_tags_and_stars_are_given_found_and_taken_back(run: Run) -> None:
    assert run("tag", "i1", "i2", "--add", " For  PRINT ", "--add", "best").exit_code == 0
    assert run("rate", "i2", "--stars", "4").exit_code == 0
    listed = json.loads(run("tag", "--json").stdout)
    assert listed == [{"tag": "best", "items": 2}, {"tag": "for print", "items": 2}]

    def ids(*options: str) -> list[str]:
        return [each["public_id"] for each in json.loads(run("items", "--json", *options).stdout)]

    assert ids("--tag", "For Print") == ids("--search", "print") == ["i1", "i2"]
    assert ids("--stars", "4") == ["i2"]
    assert ids("--stars", "5") == []
    assert ids("--search", "mill c") == ["i3"]
    [second] = json.loads(run("items", "--json", "--stars", "1").stdout)
    assert (second["tags"], second["stars"]) == (["best", "for print"], 4)

    assert run("tag", "i1", "--remove", "best").exit_code == 0
    assert "i1 has no tag 'best'" in run("tag", "i1", "--remove", "best").stderr
    assert json.loads(run("rate", "i2", "--stars", "4", "--json").stdout) == [{"public_id": "i2", "stars": 4}]
    assert run("rate", "i2", "--clear").exit_code == 0
    assert ids("--tag", "best") == ["i2"]
    assert ids("--stars", "1") == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tag", "i99", "--add", "x"), "no picture i99"),
        (("tag", "--add", "x"), "say which pictures"),
        (("tag", "i1", "--add", "  "), "this one is empty"),
        (("rate", "i1"), "--stars 1 to 5"),
        (("rate", "i99", "--stars", "2"), "no picture i99"),
    ],
)
def test_wrong_usage_is_said_and_changes_nothing(run: Run, arguments: tuple[str, ...], told: str) -> None:
    refused = run(*arguments)

    assert refused.exit_code == 2
    assert told in refused.stderr
    assert json.loads(run("tag", "--json").stdout) == []

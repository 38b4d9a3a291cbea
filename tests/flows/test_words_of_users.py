"""What users type, longer and larger than any catalog could keep: taken, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.cli import app
from pipeline.catalog.engine import open_catalog

Run = Callable[..., Result]
SCHEDULE = ("schedule", "add", "daily", "mill", "--source", "website=http://127.0.0.1:9/", "--cron")
DIGITS = [str(2**31), "9" * 20, "9" * 30, "9" * 300, "9" * 5000]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    open_catalog(tmp_path / "w" / "catalog.sqlite3").close()
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--workspace", "w"])


def refusal(done: Result, code: int = 2) -> str:
    """The one line that a refused command prints."""
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == code, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert len(done.stderr) < 700
    return done.stderr


def recipe_file(folder: Path, text: str, name: str = "tigers.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f'{text}\npreset = "menagerie"\n', encoding="utf-8")
    return folder / name


def test_a_schedule_may_name_a_recipe_far_away_and_many_moments(run: Run, tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path / "a-folder-with-a-long-name" / ("deeper" * 20), "strength = 0.5")
    cron = f"{','.join(map(str, range(60)))} 6 * * *"

    added = run(*SCHEDULE, cron, "--preset", str(recipe))

    assert added.exit_code == 0, added.output
    [collection] = json.loads(run("schedule", "list", "--json").stdout)
    assert (collection["preset"], collection["cron"]) == (str(recipe), cron)


@pytest.mark.parametrize("name", ["n" * 65, "tiger\\u0000s", "tiger\\u001b[31ms"])
def test_a_look_whose_name_cannot_be_kept_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    recipe = recipe_file(tmp_path, f'name = "{name}"')

    for command in (("dream", "--preset", str(recipe)), (*SCHEDULE, "0 6 * * *", "--preset", str(recipe))):
        assert "give it another name" in refusal(run(*command))
    assert json.loads(run("runs", "--json").stdout) == []
    assert json.loads(run("schedule", "list", "--json").stdout) == []


def test_a_recipe_file_without_a_name_is_not_called_by_a_long_one(run: Run, tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, "strength = 0.5", name=f"{'t' * 65}.toml")
    assert "give it another name" in refusal(run("dream", "--preset", str(recipe)))

    recipe = recipe_file(tmp_path, 'name = "tigers"', name=f"{'t' * 65}.toml")
    assert run("dream", "--preset", str(recipe)).exit_code == 0  # there is no picture to dream on


@pytest.mark.parametrize("digits", DIGITS, ids=len)
@pytest.mark.parametrize(
    "command",
    [
        ("dream", "--item", "i#"),
        ("tag", "i1", "i#"),
        ("tag", "i#", "--add", "mine"),
        ("rate", "i#", "--stars", "3"),
        ("duplicates", "show", "i#", "i1"),
        ("duplicates", "decide", "i1", "i#", "same"),
        ("duplicates", "merge", "i#"),
        ("duplicates", "merge", "i1", "--keep", "i#"),
        ("similar", "i#"),
        ("verify", "i#"),
        ("verify", "d#"),
        ("replay", "d#"),
        ("keys", "sign", "d#"),
        ("export-provenance", "r#", "--to", "out"),
        ("runs", "show", "r#"),
        ("runs", "show", "#"),
        ("runs", "r#"),
    ],
    ids=" ".join,
)
def test_an_id_that_no_catalog_gives_is_not_there(run: Run, command: tuple[str, ...], digits: str) -> None:
    told = refusal(run(*(word.replace("#", digits) for word in command)))

    assert "there is no" in told
    assert digits[:10] in told


def test_a_limit_that_no_schedule_could_keep_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run(*SCHEDULE, "0 6 * * *", "--limit", str(2**31))
    assert refused.exit_code == 2
    assert "--limit" in refused.output

    monkeypatch.setenv("DREAMCRAWL_CRAWL_LIMIT", str(2**31))
    assert "crawl.limit" in refusal(run(*SCHEDULE, "0 6 * * *"))


@pytest.mark.parametrize(
    "command",
    [
        ("dream", "~nobody-by-this-name/mill.jpg"),
        ("verify", "~nobody-by-this-name/mill.jpg"),
        ("replay", "~nobody-by-this-name/mill.jpg"),
        ("crawl", "mill", "--source", "folder=~nobody-by-this-name/mills"),
        ("crawl", "mill", "--source", "urls=~nobody-by-this-name/mills.txt", "--contact", "ada@example.org"),
        ("dream", "--preset", "~nobody-by-this-name/tigers.toml"),
        ("networks", "import", "mine", "~nobody-by-this-name/net.keras"),
        ("restore", "~nobody-by-this-name/backup"),
    ],
)
def test_the_home_of_nobody_is_a_place_where_nothing_is(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command)

    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in {1, 2}, done.output
    assert "~nobody-by-this-name" in done.stderr.replace("\n", "")

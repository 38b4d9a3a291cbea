"""What a person sees first: the help, tables on a narrow terminal, and the commands that are suggested."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.common import print_table

ROOT = Path(__file__).resolve().parents[2]


def commands(group: Any = None, name: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group, as typed."""
    group = group or get_command(app)
    found = []
    for each, command in group.commands.items():
        found.append((*name, each))
        if hasattr(command, "commands"):
            found += commands(command, (*name, each))
    return found


def on_terminal(*arguments: str, columns: int, cwd: Path) -> str:
    """What a command prints on a terminal of this width, without its colours."""
    ours, theirs = pty.openpty()
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, cwd=cwd, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while read := os.read(ours, 65536):
            shown += read
    except OSError:  # as Linux says that the other side is closed
        pass
    _, errors = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, errors
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r", "")


def test_the_help_has_the_commands_in_groups_and_says_where_to_begin():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout

    panels = re.findall(r"^╭─ (.+?) ─+╮$", shown, flags=re.MULTILINE)
    assert panels == ["Options", "Collect", "Dream", "Prove", "Look, choose and pass on", "Workspace"]
    assert "First of all: dreamcrawl demo" in shown
    for name in {name for name, *_ in commands()}:
        assert re.search(rf"^│ {name} ", shown, flags=re.MULTILINE), name


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_each_command_says_what_it_is_for_and_explains_each_option(command: tuple[str, ...]):
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80"})

    usage, purpose = [line.strip() for line in done.stdout.splitlines() if line.strip()][:2]
    assert done.exit_code == 0
    assert usage.startswith(f"Usage: dreamcrawl {' '.join(command)}")
    assert "...]..." not in done.stdout
    assert "...}..." not in done.stdout
    assert "[[" not in usage
    assert len(purpose) > 15
    assert max(map(len, done.stdout.splitlines())) <= 80
    target: Any = get_command(app)
    for name in command:
        target = target.commands[name]
    silent = [each.name for each in target.params if not getattr(each, "help", None)]
    assert silent in ([], ["help"], ["json"])


def test_the_name_of_a_row_stays_whole_on_a_narrow_terminal(tmp_path: Path):
    shown = on_terminal("config", columns=80, cwd=tmp_path)

    assert max(map(len, shown.splitlines()[3:])) <= 80
    for name in ("crawl.concurrency_per_host", "ingest.decode_memory_mb", "prefect.startup_timeout_seconds"):
        assert re.search(rf"^{re.escape(name)} ", shown, flags=re.MULTILINE), name


def test_columns_that_are_rarely_filled_take_no_room_where_they_are_empty(capsys: pytest.CaptureFixture[str]):
    rows = [("i1", "Mill", "", ""), ("i2", "Lake", "", "*****")]

    print_table(("item", "title", "near to", "stars"), rows, where_filled=("near to", "stars"))
    print_table(("item", "title", "near to", "stars"), rows[:1])

    first, _, _, second, _ = capsys.readouterr().out.splitlines()
    assert first.split() == ["item", "title", "stars"]
    assert second.split() == ["item", "title", "near", "to", "stars"]


def test_a_terminal_of_thirty_columns_gets_lines_and_not_letters(tmp_path: Path):
    shown = on_terminal("presets", columns=30, cwd=tmp_path)

    assert re.search(r"^menagerie +default +Animals, feathers", shown, flags=re.MULTILINE)


def test_a_suggested_command_finds_the_workspace_that_was_named(tmp_path: Path):
    workspace = tmp_path / "Anna's pictures"
    (tmp_path / "a.jpg").write_bytes(b"")
    given = ["--source", f"folder={tmp_path}", "--cron", "0 6 * * *", "--workspace", str(workspace)]

    done = CliRunner().invoke(app, ["schedule", "add", "mine", "mill", *given])

    assert done.exit_code == 0, done.output
    quoted = str(workspace).replace("'", "'\"'\"'")
    assert f"dreamcrawl schedule serve --workspace '{quoted}'" in done.stdout

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.asked import Asked
from flows.cli import app
from flows.commands import collect, request
from flows.commands.request import parse_edit

ROOT = Path(__file__).resolve().parents[2]
SITE = "website=http://127.0.0.1:9/"
TEXT = "a calm lake with red maple trees in autumn, no people"
FOUND = ("calm lake", "red maple trees", "autumn")


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What flows were asked for, in place of running them."""
    monkeypatch.chdir(tmp_path)
    ran: list[Asked] = []

    def run(_environment: Any, asked: Asked, **_rest: Any) -> dict[str, Any]:
        ran.append(asked)
        return {"run_id": 1, "derivation_ids": []}

    monkeypatch.setattr(collect, "run_keyword_flow", run)
    return ran


def as_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    class System:
        stdin = Terminal()

    monkeypatch.setattr(request, "sys", System)


def test_yes_goes_on_with_what_was_found(flow: list[Asked]):
    result = CliRunner().invoke(app, ["collect", TEXT, "--source", SITE, "--yes", "--not", "toy", "--limit", "5"])

    assert result.exit_code == 0, result.output
    assert flow == [Asked(FOUND, SITE, 5, exclusions=("people", "toy"))]
    for words in ("calm lake, red maple trees, autumn", "people"):
        assert words in result.stdout


def test_the_json_tells_what_was_found(flow: list[Asked]):
    result = CliRunner().invoke(app, ["collect", TEXT, "--source", SITE, "--yes", "--json"])

    told = json.loads(result.stdout)
    assert (told["keywords"], told["exclusions"], told["language"]) == (list(FOUND), ["people"], "en")
    assert len(flow) == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_where_nobody_can_be_asked_it_shows_what_it_found_and_says_how_to_go_on(flow: list[Asked], as_json: bool):
    result = CliRunner().invoke(app, ["collect", TEXT, "--source", SITE, *(["--json"] if as_json else [])])

    assert result.exit_code == 2
    assert flow == []
    assert "--yes" in result.stderr
    assert "dreamcrawl run 'calm lake' 'red maple trees' autumn --not people" in result.stderr
    if as_json:
        assert json.loads(result.stdout) == {"keywords": list(FOUND), "exclusions": ["people"], "language": "en"}
    else:
        assert "calm lake, red maple trees, autumn" in result.stdout


@pytest.mark.parametrize(
    ("typed", "keywords", "exclusions"),
    [
        ("\n", FOUND, ("people",)),
        ("lake, maple, -boat, -power line\n\n", ("lake", "maple"), ("boat", "power line")),
        ("-boat\nlake\n\n", ("lake",), ()),
        ("?!\nlake\n\n", ("lake",), ()),
        ("lake, -Lake\npond\n\n", ("pond",), ()),
    ],
)
def test_on_a_terminal_they_can_be_typed_anew(flow: list[Asked], monkeypatch, typed, keywords, exclusions):
    as_on_a_terminal(monkeypatch)

    result = CliRunner().invoke(app, ["collect", TEXT, "--source", SITE], input=typed)

    assert result.exit_code == 0, result.output
    assert [(asked.keywords, asked.exclusions) for asked in flow] == [(keywords, exclusions)]


def test_the_end_of_the_input_is_no_agreement(flow: list[Asked], monkeypatch):
    as_on_a_terminal(monkeypatch)

    result = CliRunner().invoke(app, ["collect", TEXT, "--source", SITE], input="")

    assert result.exit_code == 130
    assert flow == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([TEXT], ["--source", "openverse"]),
        ([TEXT, "--source", "webiste=x"], ["website"]),
        (["no people", "--source", SITE], ["nothing to look for"]),
        ([TEXT, "--source", SITE, "--language", "xx"], ["xx", "de"]),
        ([TEXT, "--source", SITE, "--license", "mine"], ["--license"]),
        ([TEXT, "--source", "openverse"], ["--contact"]),
    ],
)
@pytest.mark.usefixtures("flow")
def test_what_is_wrong_is_told_before_anything_is_asked(monkeypatch, arguments, words):
    as_on_a_terminal(monkeypatch)

    result = CliRunner().invoke(app, ["collect", *arguments])

    assert result.exit_code == 2, result.output
    assert "Enter to go on" not in result.output
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a lake, red maple ,-people", (("a lake", "red maple"), ("people",))),
        ('"red panda"; -"power lines"', (("red panda",), ("power lines",))),
        ("湖、紅葉、-人", (("湖", "紅葉"), ("人",))),
        ("snow-covered hill", (("snow-covered hill",), ())),
        (" , ;", ((), ())),
        ("- ", ((), ())),
    ],
)
def test_a_typed_line_is_a_list_with_exclusions(typed: str, expected: tuple[tuple[str, ...], tuple[str, ...]]):
    assert parse_edit(typed) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_real_terminal_is_asked(tmp_path: Path):
    master, terminal = os.openpty()
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "collect", TEXT, "--source", SITE],
        cwd=tmp_path,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    while b"without)" not in shown:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, shown
        shown += os.read(master, 4096)
    os.write(master, b"\x04")  # Ctrl-D
    try:
        assert process.wait(60) == 130
    finally:
        process.kill()
        os.close(master)
    assert b"calm lake, red maple trees, autumn" in shown
    assert not (tmp_path / "dreamcrawl-data").exists()

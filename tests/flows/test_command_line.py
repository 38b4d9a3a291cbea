from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.processes import this_process

ROOT = Path(__file__).resolve().parents[2]


def dreamcrawl(*arguments: str, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["networks", "--help"], ["--version"]])
def test_help_loads_none_of_the_heavy_libraries(arguments: list[str]):
    code = (
        f"import sys; sys.argv[1:] = {arguments!r}\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'scrapy', 'twisted', 'prefect', 'sqlalchemy', 'numpy', 'PIL', 'fastapi'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_interrupted_while_it_still_loads_the_command_ends_in_a_line(tmp_path: Path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'flows.commands.sources': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from flows.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "dreamcrawl: interrupted; nothing was begun\n"


def test_interrupted_while_its_arguments_are_read_the_command_ends_in_a_line(tmp_path: Path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import typer.core\n"
        "def interrupted(*given): raise KeyboardInterrupt\n"
        "typer.core.TyperGroup.parse_args = interrupted\n"
        "from flows.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "dreamcrawl: interrupted; run the same command again\n"


def test_where_stdout_has_no_letter_for_it_the_number_stands_and_json_stays_json(tmp_path: Path):
    folder = tmp_path / "Größe"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.__main__ import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code, "config", "--workspace", str(folder)]

    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    answer = subprocess.run([*command, "--json"], cwd=tmp_path, env=environment, capture_output=True, check=True)

    assert rb"Gr\xf6\xdfe" in told.stdout
    rows = {row["name"]: row["value"] for row in json.loads(answer.stdout)}
    assert rows["workspace"] == str(folder)


def test_the_version_is_printed_without_a_command(tmp_path: Path):
    done = dreamcrawl("--version", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"dreamcrawl \d+\.\S+\n", done.stdout)


def test_config_prints_each_setting_with_its_origin(tmp_path: Path):
    (tmp_path / "dreamcrawl.toml").write_text("[crawl]\nlimit = 7\n")

    done = dreamcrawl("config", "--json", "--workspace", str(tmp_path / "w"), cwd=tmp_path)

    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["crawl.limit"]["value"] == 7
    assert rows["crawl.limit"]["origin"].startswith("file ")
    assert rows["workspace"]["origin"] == "command line"
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "cat", "--source", "webiste=http://127.0.0.1:1/"], 2, ["webiste", "website"]),
        (["run", "cat", "--source", "website"], 2, ["NAME=ARGUMENT"]),
        (["run", "cat"], 2, ["--source"]),
        (["run", "--source", "folder=."], 2, ["keyword", "--all"]),
        (["run", "cat", "--source", "folder=.", "--preset", "paper-singel"], 2, ["paper-singel", "paper-single"]),
        (["run", "cat", "--source", "folder=.", "--network", "inception_v4"], 2, ["inception_v4", "inception_v3"]),
        (["crawl", "--all", "--source", "folder=empty"], 2, ["empty", "no picture"]),
        (["crawl", "--all", "--source", "folder=missing"], 2, ["missing"]),
        (["crawl", "cat", "--source", "website=http://example.org/"], 2, ["example.org", "--contact"]),
        (["run", "cat", "--source", "website=http://example.org/"], 2, ["example.org", "--contact"]),
        (["run", "!?", "--source", "website=http://127.0.0.1:9/"], 2, ["!?", "keyword"]),
        (["dream", "--file", "."], 2, ["is a folder", "*.jpg"]),
        (["dream", "--file", "/dev/zero"], 2, ["/dev/zero", "not a file"]),
        (["crawl", "cat", "--source", "website=http://127.0.0.1:9/"], 1, ["127.0.0.1:9"]),
        (["dream", "--item", "i1", "--file", "x.jpg"], 2, ["--item", "--file"]),
        (["dream", "--file", "missing.jpg"], 2, ["missing.jpg"]),
        (["dream", "--file", "empty.jpg"], 1, ["empty.jpg", "empty"]),
        (["items"], 2, ["no catalog"]),
        (["verify", "nowhere.png"], 2, ["nowhere.png"]),
        (["replay", "x"], 2, ["d12"]),
        (
            ["schedule", "add", "a b", "cat", "--source", "website=http://127.0.0.1:9/", "--cron", "* * * * *"],
            2,
            ["a b"],
        ),
        (
            [
                "schedule",
                "add",
                "ab",
                "cat",
                "--source",
                "website=http://127.0.0.1:9/",
                "--cron",
                "0 6 * * *",
                "--timezone",
                "Mars/Base",
            ],
            2,
            ["Mars/Base"],
        ),
        (
            ["schedule", "add", "ab", "cat", "--source", "website=http://127.0.0.1:9/", "--cron", "every day"],
            2,
            ["every day"],
        ),
        (["status", "--nonsense"], 2, ["nonsense"]),
        (["items", "--keyword", os.fsdecode(b"\xff"), "--workspace", "there"], 2, ["UTF-8"]),
        (["dream", "--item", "i99999999999", "--workspace", "there"], 2, ["there is no i99999999999"]),
    ],
)
def test_a_wrong_argument_gets_one_clear_line_and_its_exit_code(tmp_path: Path, arguments, code, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jpg").write_bytes(b"")
    if "there" in arguments:
        open_catalog(tmp_path / "there" / "catalog.sqlite3").close()

    done = dreamcrawl(*arguments, cwd=tmp_path)

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    if code == 2 and "--nonsense" not in arguments:
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_read_only_workspace_is_said_in_one_line(tmp_path: Path):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")

    done = dreamcrawl("ingest", "--workspace", str(blocker / "w"), cwd=tmp_path)

    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_leaves_no_run_and_no_prefect_behind(tmp_path: Path):
    for command in ("crawl", "run"):
        dreamcrawl(command, "cat", "--source", "website=http://example.org/", cwd=tmp_path)

    assert not (tmp_path / "dreamcrawl-data").exists()


def test_an_item_that_is_not_there_is_wrong_usage(tmp_path: Path):
    open_catalog(tmp_path / "w" / "catalog.sqlite3").close()

    done = dreamcrawl("dream", "--item", "i999", "--workspace", "w", cwd=tmp_path)

    assert done.returncode == 2, done.stderr
    assert "no item i999" in done.stderr


def test_a_reader_does_not_wait_for_a_writer_and_a_pipe_gets_whole_lines(tmp_path: Path):
    text = "a long title of a picture of a mill " * 20
    with open_catalog(tmp_path / "w" / "catalog.sqlite3") as catalog, catalog.write() as uow:
        uow.runs.start(
            "run", keywords=[text], source="folder=x", parameters={}, process=this_process(), version="1",
            flow_run_id=None, collection=None,
        )  # fmt: skip
    with open_catalog(tmp_path / "w" / "catalog.sqlite3") as catalog, catalog.write():
        done = dreamcrawl("runs", "list", "--workspace", "w", cwd=tmp_path, timeout=25)

    assert done.returncode == 0, done.stderr
    assert text.strip() in done.stdout


def test_a_failed_run_says_why_when_it_is_shown(tmp_path: Path):
    refused = "website=http://127.0.0.1:9/"
    dreamcrawl("crawl", "cat", "--source", refused, cwd=tmp_path)

    done = dreamcrawl("runs", "r1", cwd=tmp_path)

    assert "failed: nothing could be crawled" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full")
def test_output_that_cannot_be_written_is_said_in_one_line(tmp_path: Path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "config"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-c", code, "config"],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""

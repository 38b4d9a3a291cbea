from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crawler.filters import Filters
from flows.asked import Asked
from flows.cli import app
from flows.commands import collect
from flows.wiring import crawl_request, load_environment, split_source
from pipeline.errors import UsageError

SITE = "website=http://127.0.0.1:9/"
SECRET = "k3y-of-the-operator"


class Ran(Exception):
    """Raised in place of a flow, with what it was to do."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked


@pytest.fixture
def asked_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command line, and gives what the flow would have been asked for."""
    monkeypatch.chdir(tmp_path)

    def ran(_environment: Any, asked: Asked, **_rest: Any) -> None:
        raise Ran(asked)

    monkeypatch.setattr(collect, "run_keyword_flow", ran)

    def run(*arguments: str) -> Asked:
        result = CliRunner().invoke(app, list(arguments))
        assert isinstance(result.exception, Ran), result.output
        return result.exception.asked

    return run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], Filters()),
        (["--license", "any"], Filters(license="any")),
        (["--license", "Commercial"], Filters(license="commercial")),
        (["--license", "cc-by-4.0"], Filters(license="CC-BY-4.0")),
        (["--license", "https://creativecommons.org/licenses/by-sa/4.0/"], Filters(license="CC-BY-SA-4.0")),
        (["--require-license"], Filters(license_required=True)),
        (["--min-width", "800", "--min-height", "600"], Filters(min_width=800, min_height=600)),
        (["--max-megapixels", "2.5"], Filters(max_pixels=2_500_000)),
        (["--orientation", "Landscape"], Filters(orientation="landscape")),
        (["--aspect", "1.5:2"], Filters(min_aspect=1.5, max_aspect=2.0)),
        (["--aspect", ":3/4"], Filters(max_aspect=0.75)),
        (["--aspect", "2:"], Filters(min_aspect=2.0)),
        (["--format", "JPG,png,jpeg"], Filters(formats=("jpeg", "png"))),
        (["--since", "2019", "--until", "2020-02-29"], Filters(since="2019", until="2020-02-29")),
        (["--mature"], Filters(mature=True)),
    ],
)
def test_each_filter_reaches_the_crawl(asked_by, options: list[str], expected: Filters):
    assert asked_by("run", "mill", "--source", SITE, *options).filters == expected


def test_what_else_is_asked_for_reaches_the_crawl(asked_by):
    asked = asked_by(
        *("run", "mill", " wind  mill ", "--source", SITE, "--limit", "7", "--not", "toy", "--not", "old car"),
        *("--only-new", "--revalidate"),
    )

    assert asked == Asked(("mill", "wind mill"), SITE, 7, exclusions=("toy", "old car"), only_new=True, revalidate=True)


def test_settings_are_the_usual_and_the_command_line_goes_over_them(asked_by, tmp_path: Path):
    (tmp_path / "dreamcrawl.toml").write_text(
        '[crawl]\nlimit = 9\nlicense = "commercial"\nrequire_license = true\nmin_width = 500\nmature = true\n'
    )

    usual = asked_by("run", "mill", "--source", SITE)
    other = asked_by("run", "mill", "--source", SITE, "--license", "any", "--no-require-license", "--min-width", "0")

    assert usual.limit == 9
    assert usual.filters == Filters(license="commercial", license_required=True, min_width=500, mature=True)
    assert other.filters == Filters(license="any", mature=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--license", "CC-BYE"], ["--license", "CC-BYE", "adaptable", "did you mean CC-BY"]),
        (["--license", ""], ["--license"]),
        (["--orientation", "upright"], ["--orientation", "portrait", "upright"]),
        (["--aspect", "2"], ["--aspect", "MIN:MAX"]),
        (["--aspect", "2:1"], ["--aspect", "MIN:MAX"]),
        (["--aspect", ":"], ["--aspect"]),
        (["--aspect", "1/0:2"], ["--aspect"]),
        (["--aspect", "nan:2"], ["--aspect"]),
        (["--aspect", "-1:2"], ["--aspect"]),
        (["--format", "tiff"], ["--format", "tiff", "webp"]),
        (["--format", ","], ["--format"]),
        (["--since", "yesterday"], ["--since", "2019-05"]),
        (["--until", "2019-02-30"], ["--until"]),
        (["--since", "2020", "--until", "2019-12"], ["--since 2020", "--until 2019-12"]),
        (["--max-megapixels", "1", "--min-width", "2000", "--min-height", "2000"], ["2000 x 2000", "--max-megapixels"]),
        (["--orientation", "portrait", "--aspect", "1.5:2"], ["portrait", "--aspect"]),
        (["--orientation", "landscape", "--aspect", ":0.9"], ["landscape", "--aspect"]),
        (["--orientation", "square", "--aspect", "1.2:"], ["square", "--aspect"]),
        (["--not", "Mill!"], ["mill", "excluded"]),
        (["--not", "?"], ["letter"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, monkeypatch, options: list[str], words: list[str]):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["crawl", "mill", "--source", SITE, *options])

    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in result.stderr
    assert not (tmp_path / "dreamcrawl-data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["crawl", "--retry-failed", "mill"],
        ["crawl", "--retry-failed", "--all"],
        ["crawl", "--retry-failed", "--source", SITE],
        ["crawl", "--all", "mill", "--source", SITE],
        ["run", "mill", "--retry-failed", "--source", SITE],
    ],
)
def test_what_does_not_go_together_is_wrong_usage(tmp_path: Path, monkeypatch, arguments: list[str]):
    monkeypatch.chdir(tmp_path)

    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_without_a_source_those_that_there_are_are_named(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["crawl", "mill"])

    assert result.exit_code == 2
    for word in ("openverse", "website=URL", "folder=PATH", "dreamcrawl sources"):
        assert word in result.stderr


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("website=http://a.org/?x=1", ("website", "http://a.org/?x=1")),
        ("openverse", ("openverse", "")),
        ("openverse=http://127.0.0.1:1", ("openverse", "http://127.0.0.1:1")),
    ],
)
def test_a_source_that_searches_needs_no_argument(source: str, expected: tuple[str, str]):
    assert split_source(source) == expected


@pytest.mark.parametrize("source", ["website", "folder=", "=x", ""])
def test_other_sources_need_one(source: str):
    with pytest.raises(UsageError, match="NAME=ARGUMENT"):
        split_source(source)


def test_a_key_goes_to_the_crawl_and_nowhere_else(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DREAMCRAWL_CREDENTIALS_FLICKR", SECRET)
    environment = load_environment({"credentials.europeana": SECRET})
    asked = Asked(("mill",), "flickr", filters=Filters(license="any"), exclusions=("toy",))

    request = crawl_request(environment, asked)

    assert request.credentials == {"flickr": SECRET, "europeana": SECRET}
    kept = json.dumps([asked.options(), environment.command_line()]) + repr((asked, environment, request))
    assert SECRET not in kept


def test_config_says_of_a_key_only_that_it_is_set(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DREAMCRAWL_CREDENTIALS_FLICKR", SECRET)

    for arguments in (["config"], ["config", "--json"], ["sources"], ["sources", "show", "flickr"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert SECRET not in result.output

    rows = {row["name"]: row["value"] for row in json.loads(CliRunner().invoke(app, ["config", "--json"]).stdout)}
    assert (rows["credentials.flickr"], rows["credentials.openverse"]) == ("set", "not set")


def test_what_is_asked_for_survives_as_json():
    asked = Asked(
        ("a",),
        SITE,
        3,
        exclusions=("b",),
        filters=Filters(license="any", formats=("png",), since="2019"),
        only_new=True,
    )

    options = json.loads(json.dumps(asked.options()))

    assert Asked(("a",), SITE, 3).with_options(options) == asked
    assert Asked(("a",), SITE).options() == {}


def test_a_schedule_keeps_what_it_was_asked_for(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    added = runner.invoke(
        app,
        [
            "schedule",
            "add",
            "mills",
            "mill",
            "--source",
            SITE,
            "--cron",
            "0 6 * * *",
            "--not",
            "toy",
            "--license",
            "any",
        ],
    )
    assert added.exit_code == 0, added.output

    [kept] = json.loads(runner.invoke(app, ["schedule", "list", "--json"]).stdout)

    assert kept["options"] == {"exclusions": ["toy"], "filters": {"license": "any"}}

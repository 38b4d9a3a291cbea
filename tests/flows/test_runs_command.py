from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.runs import ago
from flows.explanation import explain
from flows.funnel import Funnel
from pipeline.catalog.values import Run
from pipeline.errors import Reason
from pipeline.reasons import EXPLAINED
from pipeline.records import CrawlReport
from tests.support.pictures import file_of, scene
from tests.support.web_server import Answer, web_server

NOW = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.UTC)


def picture(seed: int, *, width: int = 160) -> Answer:
    return Answer(file_of(scene(seed, width=width), "JPEG"), content_type="image/jpeg")


def figure(name: str, *, license_url: str = "") -> str:
    link = f'<a rel="license" href="{license_url}">licence</a>' if license_url else ""
    return f'<figure><img src="/{name}.jpg" alt="windmill {name}">{link}</figure>'


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A crawl of a small site with all kinds of trouble, ingested, and what failed retried once it works."""
    folder = tmp_path_factory.mktemp("runs")
    names = ("good", "toy", "small", "missing", "closed")
    page = "".join(map(figure, names))
    routes: dict[str, Any] = {
        "/": Answer(f"<html><body>{page}</body></html>".encode()),
        "/robots.txt": Answer(b"User-agent: *\nDisallow: /closed.jpg\n", content_type="text/plain"),
        "/good.jpg": picture(1, width=400),
        "/toy.jpg": picture(2, width=400),
        "/small.jpg": picture(3),
        "/missing.jpg": lambda asked: Answer(b"", status=404) if asked == 0 else picture(4, width=400),
    }
    with web_server(routes) as server:
        options = ["--workspace", str(folder / "w")]
        site = f"website={server.url}"
        first = ["crawl", "windmill", "--source", site, "--not", "toy", "--min-width", "300", *options]
        for arguments in (first, ["ingest", *options], ["crawl", "--retry-failed", "--min-width", "300", *options]):
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, result.output
        yield folder / "w"


def shown(workspace: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--workspace", str(workspace)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_reason_is_told_with_its_number_what_it_means_and_an_example(workspace: Path):
    told = json.loads(shown(workspace, "runs", "show", "r1", "--json"))

    causes = {cause["reason"]: cause for cause in told["explanation"]["causes"]}
    assert {reason: (cause["outcome"], cause["count"]) for reason, cause in causes.items()} == {
        "excluded": ("filtered", 1),
        "too_small": ("filtered", 1),
        "http_4xx": ("failed", 1),
        "robots": ("refused", 1),
    }
    assert all(cause["meaning"] and cause["advice"] for cause in causes.values())
    assert causes["robots"]["examples"][0]["url"].endswith("/closed.jpg")
    assert told["explanation"]["commands"] == ["dreamcrawl crawl --retry-failed"]


def test_what_was_asked_for_and_the_figures_of_the_crawl_are_kept_with_the_run(workspace: Path):
    told = json.loads(shown(workspace, "runs", "show", "r1", "--json"))

    assert told["parameters"]["exclusions"] == ["toy"]
    assert told["parameters"]["filters"] == {"min_width": 300}
    counters = told["counters"]
    assert counters["found"] == 5
    parts = ("known", "refused", "filtered", "postponed", "failed", "fetched")
    assert sum(counters[part] for part in parts) == 5
    assert counters["crawl"]["finished"] == "done"
    assert counters["crawl"]["bytes_received"] > counters["crawl"]["bytes_fetched"] > 0
    [host] = counters["crawl"]["hosts"]
    assert host.startswith("127.0.0.1:")


def test_the_page_of_a_run_answers_why_so_few(workspace: Path):
    text = shown(workspace, "runs", "show", "r1")

    for words in (
        "excluded",
        "leave that --not away",
        "toy.jpg",
        "robots.txt closes the address",
        "127.0.0.1:",
        "requests,",
        f"dreamcrawl crawl --retry-failed --workspace {workspace}",
    ):
        assert words in text
    assert shown(workspace, "runs", "r1") == text


def test_what_failed_is_fetched_by_a_retry_without_source_or_keyword(workspace: Path):
    told = json.loads(shown(workspace, "runs", "show", "r3", "--json"))

    assert told["parameters"]["retry_failed"] is True
    assert told["keywords"] == []
    assert (told["counters"]["found"], told["counters"]["fetched"]) == (1, 1)


def test_the_list_has_a_line_for_each_run_newest_first(workspace: Path):
    lines = shown(workspace, "runs").splitlines()

    assert [line.split()[0] for line in lines] == ["run", "r3", "r2", "r1"]
    assert shown(workspace, "runs", "list").splitlines()[1].split()[:3] == ["r3", "crawl", "done"]
    assert [row["public_id"] for row in json.loads(shown(workspace, "runs", "--json", "-n", "2"))] == ["r3", "r2"]


@pytest.mark.parametrize("run", ["r99", "x", "i1"])
def test_a_run_that_is_not_there_is_wrong_usage(workspace: Path, run: str):
    assert CliRunner().invoke(app, ["runs", "show", run, "--workspace", str(workspace)]).exit_code == 2


def run_with(funnel: Funnel, **parameters: Any) -> Run:
    return Run(
        1, "run", "partial", "", ("mill",), "openverse", parameters, funnel.to_json(), None, None, "1", None, NOW, NOW
    )


def test_hosts_that_want_to_be_left_alone_tell_when_to_come_back():
    hosts = {
        "a.org": {"requests": 3, "cooldown_until": "2026-05-01T12:30:00+00:00"},
        "b.org": {"requests": 3, "cooldown_until": "2026-05-02T00:00:00+00:00"},
        "c.org": {"requests": 3, "cooldown_until": None},
        "d.org": {"requests": 3, "cooldown_until": "2026-05-01T11:00:00+00:00"},
    }
    report = CrawlReport("x", found=2, postponed=2, reasons={"quota": 1, "too_many_requests": 1}, hosts=hosts)

    told = explain(run_with(Funnel().with_crawl(report)), examples_of=lambda _s, _r: [], now=NOW)

    assert told.come_back == dt.datetime(2026, 5, 2, tzinfo=dt.UTC)
    assert {(cause.reason, cause.outcome) for cause in told.causes} == {
        ("quota", "postponed"),
        ("too_many_requests", "postponed"),
    }
    assert told.commands == ("dreamcrawl crawl --retry-failed",)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (CrawlReport("x", found=9, fetched=9, finished="limit"), "limit of 9"),
        (CrawlReport("x", found=1, fetched=1, finished="deadline"), "deadline_seconds"),
        (CrawlReport("x", found=1, fetched=1, finished="interrupted"), "stopped"),
        (CrawlReport("x", pages=4), "nothing matched the keywords: 4 pages"),
        (CrawlReport("x", found=2, known=2), "known from earlier runs"),
    ],
)
def test_the_run_as_a_whole_is_explained_too(report: CrawlReport, words: str):
    told = explain(run_with(Funnel().with_crawl(report), limit=9), examples_of=lambda _s, _r: [], now=NOW)

    assert any(words in hint for hint in told.hints)
    assert told.causes == ()


def test_every_reason_is_explained():
    assert set(EXPLAINED) == set(Reason)
    for reason in Reason:
        assert EXPLAINED[reason].meaning
        assert EXPLAINED[reason].advice


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (300, "5 min ago"),
        (7200, "2 h ago"),
        (3 * 86400, "3 days ago"),
        (9 * 86400, "2026-04-22"),
    ],
)
def test_when_is_told_as_people_say_it(seconds: int, text: str):
    assert ago(NOW - dt.timedelta(seconds=seconds), now=NOW) == text

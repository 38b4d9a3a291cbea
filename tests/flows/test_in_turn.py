"""Several sources in one collection: shares of the limit, and troubles that stay with one source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crawler.errors import SiteUnreachable
from crawler.filters import Filters
from flows.asked import Asked
from flows.cli import app
from flows.in_turn import crawl_in_turn
from pipeline.records import CrawlReport
from tests.support.pictures import scene_file


def shares(limit: int, has: dict[str, int], *, only_new: bool = False, known: int = 0) -> list[tuple[str, int]]:
    """Each crawl's source and share, where a source has so many pictures."""
    given: list[tuple[str, int]] = []
    left = dict(has)

    def crawl(one: Asked) -> CrawlReport:
        assert one.sources == (one.source,)
        taken = min(one.limit, left[one.source])
        left[one.source] -= taken
        met = known if one.source not in dict(given) else 0
        given.append((one.source, one.limit))
        finished = "limit" if taken == one.limit else "done"
        return CrawlReport(inbox="", fetched=taken, known=met, finished=finished)

    first, *others = has
    asked = Asked(("a",), first, limit, more_sources=tuple(others), only_new=only_new, filters=Filters(license="any"))
    assert [source for source, _ in crawl_in_turn(asked, crawl)] == [source for source, _ in given]
    return given


@pytest.mark.parametrize(
    ("limit", "has", "expected"),
    [
        (9, {"a": 99, "b": 99, "c": 99}, [("a", 3), ("b", 3), ("c", 3)]),
        (10, {"a": 99, "b": 99, "c": 99}, [("a", 4), ("b", 3), ("c", 3)]),
        (9, {"a": 1, "b": 99, "c": 99}, [("a", 3), ("b", 4), ("c", 4)]),
        (9, {"a": 0, "b": 0, "c": 99}, [("a", 3), ("b", 5), ("c", 9)]),
        (2, {"a": 99, "b": 99, "c": 99}, [("a", 1), ("b", 1)]),
        (5, {"a": 99}, [("a", 5)]),
        (5, {"a": 2}, [("a", 5)]),
        # What a later one leaves goes back to those that had more.
        (6, {"a": 20, "b": 1}, [("a", 3), ("b", 3), ("a", 2)]),
        (9, {"a": 99, "b": 99, "c": 0}, [("a", 3), ("b", 3), ("c", 3), ("a", 2), ("b", 1)]),
        (9, {"a": 1, "b": 1, "c": 1}, [("a", 3), ("b", 4), ("c", 7)]),
    ],
)
def test_each_source_has_an_even_share_of_what_is_left(
    limit: int, has: dict[str, int], expected: list[tuple[str, int]]
):
    assert shares(limit, has) == expected


def test_known_pictures_count_unless_only_new_ones_do():
    assert shares(6, {"a": 0, "b": 9}, known=2) == [("a", 3), ("b", 4)]
    assert shares(6, {"a": 0, "b": 9}, known=2, only_new=True) == [("a", 3), ("b", 6)]


def test_a_source_that_cannot_be_crawled_costs_no_other():
    def crawl(one: Asked) -> CrawlReport:
        if one.source == "a":
            raise SiteUnreachable("nobody there")
        return CrawlReport(inbox="", fetched=one.limit)

    (_, failed), (name, done) = crawl_in_turn(Asked(("k",), "a", 8, more_sources=("b",)), crawl)

    assert (failed.finished, failed.warnings) == ("failed", ("a: nobody there",))
    assert (name, done.fetched) == ("b", 8)


def test_where_none_can_be_crawled_the_first_error_is_told():
    def crawl(one: Asked) -> CrawlReport:
        raise SiteUnreachable(one.source)

    with pytest.raises(SiteUnreachable, match=r"^a$"):
        list(crawl_in_turn(Asked(("k",), "a", 8, more_sources=("b",)), crawl))


def test_two_folders_are_crawled_by_one_command(tmp_path: Path):
    for number, name in enumerate(("north", "south")):
        (tmp_path / name).mkdir()
        for picture in range(3):
            (tmp_path / name / f"mill-{picture}.png").write_bytes(scene_file(10 * number + picture))
    options = ["--workspace", str(tmp_path / "ws")]
    sources = [part for name in ("north", "south") for part in ("--source", f"folder={tmp_path / name}")]

    crawled = CliRunner().invoke(app, ["crawl", "mill", *sources, "--limit", "4", "--json", *options])
    assert crawled.exit_code == 0, crawled.output
    told = json.loads(crawled.stdout)
    assert [report["fetched"] for report in told] == [2, 2]
    assert [report["source"] for report in told] == [source for source in sources if source != "--source"]

    assert CliRunner().invoke(app, ["ingest", *options]).exit_code == 0
    items = json.loads(CliRunner().invoke(app, ["items", "--json", *options]).stdout)
    assert len(items["items"] if isinstance(items, dict) else items) == 4
    [_, run] = json.loads(CliRunner().invoke(app, ["runs", "list", "--json", *options]).stdout)
    assert run["source"] == ", ".join(report["source"] for report in told)
    assert run["counters"]["fetched"] == 4


def test_a_source_that_is_wrong_is_told_before_any_is_crawled(tmp_path: Path):
    (tmp_path / "mill.png").write_bytes(scene_file(1))
    sources = ["--source", f"folder={tmp_path}", "--source", "openvers"]
    refused = CliRunner().invoke(app, ["crawl", "mill", *sources, "--workspace", str(tmp_path / "ws")])

    assert refused.exit_code == 2
    assert "openverse" in refused.output
    assert not (tmp_path / "ws").exists()

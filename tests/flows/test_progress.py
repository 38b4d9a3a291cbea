from __future__ import annotations

import io

import pytest
from rich.console import Console

from crawler.job import CrawlProgress
from flows.crawl_progress import MAX_HOST_LINES, counts_line, host_lines
from flows.progress import LiveProgress, LiveReporter, PlainReporter, bytes_text, reporting


def drawn(progress: LiveProgress) -> str:
    """The view as it would be drawn now."""
    out = io.StringIO()
    Console(file=out, width=100).print(progress.get_renderable())
    return out.getvalue()


def test_the_live_view_has_a_bar_for_each_stage_and_the_details_under_them():
    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=100))
    reporter = LiveReporter(progress)

    reporter.step("crawl", 12, 50, "12 fetched")
    reporter.details("crawl", ["a.org: 2 under way", "b.org\x1b]0;evil\x07: left alone for 30 s"])
    reporter.step("ingest", 3, None)

    text = drawn(progress)
    crawl, *rest = text.splitlines()
    assert "crawl" in crawl
    assert "12/50" in crawl
    assert "12 fetched" in crawl
    assert "a.org: 2 under way" in text
    assert "\x1b]0" not in text
    assert "\x07" not in text
    assert "ingest" in rest[0]

    reporter.details("crawl", [])

    assert "a.org" not in drawn(progress)


def test_a_narrow_terminal_keeps_the_figures_and_cuts_the_note():
    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=80))
    LiveReporter(progress).step("crawl", 12, 50, "word " * 40)
    out = io.StringIO()

    Console(file=out, width=80).print(progress.get_renderable())

    [line] = out.getvalue().splitlines()
    assert "12/50" in line
    assert "0:00:00" in line
    assert "word" in line


def test_details_take_the_place_of_the_note():
    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=100))
    reporter = LiveReporter(progress)

    reporter.details("crawl", ["12 fetched, 3 known"])
    reporter.step("crawl", 15, 50, "12 fetched, 3 known")

    assert drawn(progress).count("12 fetched") == 1


def test_long_lines_of_details_do_not_wrap():
    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=100))
    LiveReporter(progress).details("crawl", ["x" * 500])

    assert len([line for line in drawn(progress).splitlines() if "x" in line]) == 1


def test_plain_lines_have_the_counts_and_no_details(capsys: pytest.CaptureFixture[str]):
    reporter = PlainReporter()

    reporter.step("crawl", 1, 50, "1 fetched")
    reporter.details("crawl", ["a.org: 2 under way"])
    reporter.step("crawl", 2, 50, "2 fetched")
    reporter.step("crawl", 50, 50, "50 fetched")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("crawl: 1/50 1 fetched")
    assert lines[1].startswith("crawl: 50/50 50 fetched")


def test_quiet_says_nothing(capfd: pytest.CaptureFixture[str]):
    with reporting(quiet=True) as reporter:
        reporter.step("crawl", 1, 2)
        reporter.details("crawl", ["x"])
        reporter.say("x")

    assert capfd.readouterr() == ("", "")


def test_the_counts_of_a_crawl_leave_out_what_did_not_happen():
    assert counts_line(CrawlProgress()) == "0 fetched; 0 pages, 0 bytes"
    assert (
        counts_line(
            CrawlProgress(
                pages=9,
                found=28,
                fetched=12,
                known=3,
                refused=1,
                filtered=4,
                postponed=2,
                failed=6,
                waiting=40,
                bytes_received=3_400_000,
            )
        )
        == "12 fetched, 3 known, 4 filtered, 1 refused, 6 failed, 2 postponed, 40 in line; 9 pages, 3.4 MB"
    )


def test_of_many_hosts_only_some_have_a_line():
    hosts = tuple(f"h{number}.org: 1 under way" for number in range(MAX_HOST_LINES + 3))

    assert host_lines(CrawlProgress(hosts=hosts)) == [*hosts[:MAX_HOST_LINES], "and 3 more hosts"]
    assert host_lines(CrawlProgress(hosts=hosts[:2])) == list(hosts[:2])


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (74_240, "74.2 kB"),
        (999_990, "1.0 MB"),
        (5e12, "5000.0 GB"),
    ],
)
def test_sizes_are_told_in_powers_of_a_thousand(size: float, text: str):
    assert bytes_text(size) == text

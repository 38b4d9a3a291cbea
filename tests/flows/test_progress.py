from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from crawler.job import CrawlProgress
from flows.crawl_progress import MAX_HOST_LINES, counts_line, host_lines
from flows.progress import LiveProgress, LiveReporter, PlainReporter, bytes_text, duration_text, reporting


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

    text = drawn(progress)
    crawl = text.splitlines()[0]
    assert "crawl" in crawl
    assert "12/50" in crawl
    assert "12 fetched" in crawl
    assert "a.org: 2 under way" in text
    assert "\x1b]0" not in text
    assert "\x07" not in text

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


def test_a_stage_is_over_when_the_next_one_begins_and_waits_for_nothing_more():
    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=100))
    reporter = LiveReporter(progress)

    reporter.step("prefect", 0, None, "its server starts")
    for done in range(28):
        reporter.step("crawl", done + 1, 500, "28 fetched")
    under_way = drawn(progress)
    reporter.step("ingest", 3, 31)

    prefect, crawl, ingest = drawn(progress).splitlines()
    assert "28/500" in under_way
    assert " left" in under_way
    assert "28/28" in crawl
    assert "left" not in prefect + crawl
    assert "its server" not in prefect
    assert "3/31" in ingest
    # What comes back is under way again.
    reporter.step("crawl", 29, 500)
    assert "29/500" in drawn(progress)


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
    reporter.step("prefect", 0, None, "its server starts")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[2] == "prefect: its server starts"
    assert lines[0].startswith("crawl: 1/50 1 fetched")
    assert lines[1].startswith("crawl: 50/50 50 fetched")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (90000, "25.0 h")],
)
def test_times_are_told_in_the_unit_that_a_person_would_take(seconds: float, text: str):
    assert duration_text(seconds) == text


def test_json_on_stdout_leaves_the_bars_to_a_person_at_a_terminal():
    code = (
        "from flows.progress import reporting\n"
        "with reporting(quiet=True) as reporter:\n"
        "    reporter.step('crawl', 7, 50)\n"
        "print('[]')\n"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # as Linux says that the other side is closed; until then it comes in pieces
        while read := os.read(ours, 10_000):
            shown += read.decode(errors="replace")
    os.close(ours)

    assert done.stdout == b"[]\n"
    assert "7/50" in shown


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

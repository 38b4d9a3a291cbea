"""How a crawl ends when it is not allowed to end by itself: by the clock, by Ctrl-C, by kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.job import CrawlProgress
from pipeline.errors import InboxUnusable, WorkspaceUnusable
from pipeline.inbox import pending_inboxes, read_inbox, recover
from tests.support.crawls import crawling_child, request_for, run_crawl
from tests.support.web_server import Answer, WebServer, page, picture, web_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARENT = """
import json, sys
from pathlib import Path
from crawler.run import CrawlRequest, crawl
report = crawl(
    CrawlRequest(keywords=("windmill",), source="website", argument=sys.argv[1], limit=500, deadline_seconds=100.0),
    inbox_parent=Path(sys.argv[2]), crawl_id="c1", about={}, catalog=None,
    on_progress=lambda progress: print(progress.fetched, flush=True),
)
print("report", report.finished, report.fetched, flush=True)
"""


@pytest.fixture
def slow_server() -> Iterator[WebServer]:
    """Many pictures that come at once, and then one that comes a byte a second."""
    names = [f"/{number}.jpg" for number in range(30)]
    routes = {name: picture(name.encode() * 1000, wait_seconds=0.1) for name in names}
    dripping = picture(b"y" * 1000, drip_seconds=1.0)
    with web_server({**routes, "/": page(*names, "/drip.jpg"), "/drip.jpg": dripping}) as server:
        yield server


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie of a parent that is gone is reaped by init in its own time.
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(status.stdout.strip()) and not status.stdout.strip().startswith("Z")


def wait_for(condition: object, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]  # a test's shorthand
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def start_parent(server: WebServer, inbox: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that crawls, once it has its third picture; and the pid of its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, server.url, str(inbox)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 3:
        pass
    return process, children_of(process.pid)[0]


def test_the_deadline_holds_against_a_server_that_drips_and_what_came_is_kept(
    tmp_path: Path, slow_server: WebServer
) -> None:
    began = time.monotonic()
    crawled = run_crawl(tmp_path, request_for("website", slow_server.url, "windmill", deadline_seconds=3.0))

    assert time.monotonic() - began < 25
    assert crawled.report.seconds < 7
    assert crawled.report.finished == "deadline"
    assert crawled.report.fetched == len(crawled.records) == 30


def test_ctrl_c_ends_the_crawl_seals_what_there_is_and_goes_on_to_the_caller(
    tmp_path: Path, slow_server: WebServer
) -> None:
    parent, child = start_parent(slow_server, tmp_path)

    parent.send_signal(signal.SIGINT)
    output, _ = parent.communicate(timeout=30)

    assert parent.returncode == -signal.SIGINT
    assert "report" not in output
    inbox = read_inbox(tmp_path / "c1")
    assert inbox.report.finished == "interrupted"
    assert len(list(inbox.records())) == inbox.report.fetched >= 3
    assert not is_alive(child)


def test_the_child_of_a_killed_parent_seals_its_inbox_and_ends(tmp_path: Path, slow_server: WebServer) -> None:
    parent, child = start_parent(slow_server, tmp_path)

    parent.kill()
    parent.wait()

    wait_for(lambda: not is_alive(child))
    inbox = read_inbox(tmp_path / "c1")
    assert inbox.report.finished == "interrupted"
    assert len(list(inbox.records())) >= 3
    assert parent.stdout is not None
    parent.stdout.close()


def test_the_inbox_of_a_killed_child_is_recovered_with_every_record_whole(
    tmp_path: Path, slow_server: WebServer
) -> None:
    request = request_for("website", slow_server.url, "windmill")
    with (
        crawling_child(tmp_path, request, crawl_id="c1", fetched=3),
        pytest.raises(InboxUnusable, match="still writing"),
    ):
        recover(tmp_path / "c1")

    assert pending_inboxes(tmp_path) == [tmp_path / "c1"]
    report = recover(tmp_path / "c1")
    inbox = read_inbox(tmp_path / "c1")
    records = list(inbox.records())
    assert len(records) == report.fetched >= 3
    assert report.warnings == ()
    for record in records:
        path = record.image_url.removeprefix(slow_server.url)
        assert inbox.open_blob(str(record.sha256)) == b"\xff\xd8\xff" + path.encode() * 1000


def test_a_child_that_dies_leaves_a_report_of_what_it_had(tmp_path: Path, slow_server: WebServer) -> None:
    def kill_the_child(progress: CrawlProgress) -> None:
        if progress.fetched >= 3:
            for child in children_of(os.getpid()):
                os.kill(child, signal.SIGKILL)

    crawled = run_crawl(tmp_path, request_for("website", slow_server.url, "windmill"), on_progress=kill_the_child)

    assert crawled.report.finished == "interrupted"
    assert crawled.report.fetched == len(crawled.records) >= 3
    assert any("killed by SIGKILL" in warning for warning in crawled.report.warnings)
    assert crawled.report.bytes_received > 0


def test_a_failing_progress_function_stops_the_crawl_and_is_raised(tmp_path: Path, slow_server: WebServer) -> None:
    def fail(progress: CrawlProgress) -> None:
        if progress.fetched >= 2:
            raise RuntimeError("the terminal is gone")

    # Those that are there already are other tests'.
    before = set(children_of(os.getpid()))

    with pytest.raises(RuntimeError, match="the terminal is gone"):
        run_crawl(tmp_path, request_for("website", slow_server.url, "windmill"), on_progress=fail)

    assert read_inbox(tmp_path / "c1").report.fetched >= 2
    assert set(children_of(os.getpid())) <= before


def test_an_inbox_that_cannot_be_made_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("in the way")
    with web_server({"/": Answer(b"<p>hello</p>")}) as server, pytest.raises(WorkspaceUnusable, match="inbox"):
        run_crawl(tmp_path / "inbox", request_for("website", server.url, "windmill"))

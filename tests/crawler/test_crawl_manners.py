"""How often a crawl asks, as the server's own clock sees it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pipeline.errors import Reason
from pipeline.records import Outcome
from tests.support.crawls import request_for, run_crawl
from tests.support.web_server import Answer, page, picture, web_server

pytestmark = pytest.mark.slow


def test_a_busy_host_is_left_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    def busy_once(before: int) -> Answer:
        return picture(b"a") if before else Answer(status=429, headers={"Retry-After": "3"})

    names = [f"/{number}.jpg" for number in range(6)]
    routes = {name: picture(name.encode(), wait_seconds=0.2) for name in names}
    with web_server({**routes, "/": page("/a.jpg", *names), "/a.jpg": busy_once}) as server:
        crawled = run_crawl(tmp_path, request_for("website", server.url, "windmill", concurrency_per_host=2))

        refused_at = server.times("/a.jpg")[0]
        later = [asked.at for asked in server.log if asked.at > refused_at + 0.3]
    # Retry-After counts from the answer, which is at most moments after the request.
    assert min(later) - refused_at >= 2.9
    assert crawled.report.fetched == 7


def test_a_host_that_asks_for_hours_is_not_asked_again(tmp_path: Path) -> None:
    busy = Answer(status=503, headers={"Retry-After": "7200"})
    with web_server({"/": page("/a.jpg", "/b.jpg"), "/a.jpg": busy, "/b.jpg": picture()}) as server:
        crawled = run_crawl(tmp_path, request_for("website", server.url, "windmill", concurrency_per_host=1))

        assert [path for path in server.paths() if not path.endswith((".txt", ".json"))] == ["/", "/a.jpg"]
    assert {record.reason for record in crawled.records} == {Reason.TOO_MANY_REQUESTS}
    assert {record.outcome for record in crawled.records} == {Outcome.POSTPONED}
    assert crawled.report.finished == "done"


def test_crawl_delay_is_kept_and_makes_it_one_request_at_a_time(tmp_path: Path) -> None:
    robots = Answer(b"User-agent: *\nCrawl-delay: 0.6\n", content_type="text/plain")
    names = [f"/{number}.jpg" for number in range(4)]
    routes = {name: picture(name.encode()) for name in names}
    with web_server({**routes, "/robots.txt": robots, "/": page(*names)}) as server:
        crawled = run_crawl(tmp_path, request_for("website", server.url, "windmill"))

        times = [asked.at for asked in server.log if asked.path != "/robots.txt"]
    assert len(times) >= 5
    assert all(later - earlier >= 0.55 for earlier, later in itertools.pairwise(times))
    assert crawled.report.fetched == 4


def test_pages_depth_and_pictures_stay_within_their_limits(tmp_path: Path) -> None:
    routes = {f"/{n}.jpg": picture(str(n).encode()) for n in range(40)}
    routes |= {f"/page{n}": page(f"/{n}.jpg", links=(f"/page{n + 1}",)) for n in range(40)}
    routes["/"] = page(links=("/page0",))
    with web_server(routes) as server:
        deep = run_crawl(tmp_path, request_for("website", server.url, "windmill", max_depth=3), crawl_id="deep")
        wide = run_crawl(tmp_path, request_for("website", server.url, "windmill", max_pages=4, max_depth=99))
        del server.log[:]
        # A folder of its own: what waits in the other one need not be fetched.
        few = run_crawl(tmp_path / "few", request_for("website", server.url, "windmill", limit=2, max_depth=99))

        pictures = [path for path in server.paths() if path.endswith(".jpg")]
    assert (deep.report.pages, deep.report.fetched) == (4, 3)
    assert wide.report.pages == 4
    assert any("more than 4 pages" in warning for warning in wide.report.warnings)
    assert (few.report.fetched, few.report.finished, len(pictures)) == (2, "limit", 2)


def test_a_thumbnail_is_taken_only_where_its_page_does_not_help(tmp_path: Path) -> None:
    card = '<a href="{page}"><img src="{image}" alt="windmill"></a>'
    cards = "".join(
        card.format(page=page_path, image=image)
        for page_path, image in (("/has", "/t1.jpg"), ("/bare", "/t2.jpg"), ("/lost", "/t3.jpg"), ("/one", "/t4.jpg"))
    )
    routes = {f"/t{n}.jpg": picture(f"thumbnail {n}".encode()) for n in range(1, 5)}
    routes["/"] = Answer(f"<title>Mills</title>{cards}".encode())
    routes["/has"] = page("/full.jpg")
    routes["/full.jpg"] = picture(b"full")
    routes["/bare"] = Answer(b"<p>No picture here.</p>")
    routes["/one"] = Answer(b'<title>Untitled</title><img src="/large.jpg" alt="">')
    routes["/large.jpg"] = picture(b"large")
    with web_server(routes) as server:
        found = run_crawl(tmp_path, request_for("website", server.url, "windmill")).by_path(server.url)

    assert found.keys() == {"/full.jpg", "/t2.jpg", "/t3.jpg", "/large.jpg"}
    assert found["/large.jpg"].alt == "windmill"
    assert {record.outcome for record in found.values()} == {Outcome.FETCHED}

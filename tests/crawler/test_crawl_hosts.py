"""Hosts that want to be left alone, and crawls that come again: as the servers' own logs see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.errors import ContactMissing
from crawler.job import CrawlProgress
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.hosts import CoolDown, HostLedger, Look, Seed
from pipeline.catalog.ledger import Ledger
from pipeline.errors import Reason
from pipeline.images import ImageLimits
from pipeline.inbox import read_inbox, recover
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import CrawlRecord, Outcome
from pipeline.store import Store
from tests.support.crawls import Crawled, crawling_child, request_for, run_crawl
from tests.support.pictures import scene_file
from tests.support.web_server import Answer, Route, WebServer, page, picture, web_server

pytestmark = pytest.mark.slow

CONTACT = "crawl@example.org"


def pictures(server: WebServer) -> list[str]:
    return [path for path in server.paths() if path.endswith(".jpg")]


def ingest(parent: Path, catalog: Path, crawl_id: str) -> None:
    with open_catalog(catalog) as opened:
        limits = ImageLimits()
        store = Store(parent.parent / "store")
        ingest_inbox(parent / crawl_id, catalog=opened, store=store, run_id=None, limits=limits, near_distance=10)


@dataclass(frozen=True)
class Busy:
    """Three crawls of a list, two of whose four pictures lie on a host that is busy during the first two."""

    free: WebServer
    busy: WebServer
    crawls: list[Crawled]
    asked: list[int]
    states: list[tuple[str, int]]
    progress: list[CrawlProgress]
    began: float


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    folder = tmp_path_factory.mktemp("busy")
    catalog, parent = folder / "catalog.sqlite3", folder / "inbox"
    open_catalog(catalog).close()
    answer = Answer(status=429, headers={"Retry-After": "7200"})
    with (
        web_server({f"/{name}.jpg": picture(name.encode()) for name in "ab"}) as free,
        web_server({f"/{name}.jpg": answer for name in "cd"}) as other,
    ):
        urls = [f"{other.url}/c.jpg", f"{free.url}/a.jpg", f"{other.url}/d.jpg", f"{free.url}/b.jpg"]
        (folder / "list.txt").write_text("\n".join(urls))
        allow = tuple(server.url.removeprefix("http://") for server in (free, other))
        request = request_for("urls", str(folder / "list.txt"), contact=CONTACT, allow=allow, concurrency_per_host=1)
        progress: list[CrawlProgress] = []
        done = Busy(free, other, [], [], [], progress, time.time())

        def crawl(crawl_id: str) -> None:
            done.crawls.append(
                run_crawl(parent, request, crawl_id=crawl_id, catalog=catalog, on_progress=progress.append)
            )
            ingest(parent, catalog, crawl_id)
            done.asked.append(len(other.log))
            with Ledger.open(catalog) as ledger:
                entry = ledger.known([urls[0]])[urls[0]]
            done.states.append((entry.state, entry.attempts))

        crawl("first")
        crawl("second")
        other.routes.update({f"/{name}.jpg": picture(name.encode()) for name in "cd"})
        with open_catalog(catalog) as opened:  # two hours later
            ledger = HostLedger(opened)
            name = other.url.removeprefix("http://")
            budget = ledger.do([Look(name)])[0].budget
            later = budget.cooldown_until - 7201
            ledger.do([Seed(type(budget)(name, cooldown_until=later, cooldowns=budget.cooldowns))])
        crawl("third")
        yield done


def test_a_429_parks_its_host_and_the_crawl_goes_on_with_the_others(busy: Busy) -> None:
    first = busy.crawls[0]

    assert first.report.finished == "done"
    assert (first.report.fetched, first.report.postponed, first.report.failed) == (2, 2, 0)
    postponed = [record for record in first.records if record.outcome is Outcome.POSTPONED]
    assert {record.reason for record in postponed} == {Reason.TOO_MANY_REQUESTS}
    # robots.txt and its like, which are not there, and one picture: after that nothing.
    assert [path for path in busy.busy.paths()[: busy.asked[0]] if path.endswith(".jpg")] == ["/c.jpg"]


def test_the_warning_says_which_host_and_when_to_come_back(busy: Busy) -> None:
    name = busy.busy.url.removeprefix("http://")
    [warning] = [line for line in busy.crawls[0].report.warnings if line.startswith(name)]

    told = datetime.strptime(warning.split(" until ")[1][:20], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    assert busy.began + 7200 <= told.timestamp() <= busy.began + 7200 + 120
    figures = busy.crawls[0].report.hosts
    assert figures[name]["status"] == 429
    assert datetime.fromisoformat(figures[name]["cooldown_until"]).timestamp() >= busy.began + 7200
    free = figures[busy.free.url.removeprefix("http://")]
    assert (free["status"], free["cooldown_until"]) == (200, None)
    assert free["requests"] == free["answers"] >= 3


def test_the_next_crawl_keeps_to_the_cool_down_without_asking(busy: Busy) -> None:
    assert busy.asked[1] == busy.asked[0]
    assert busy.crawls[1].report.postponed == 2
    assert busy.crawls[1].report.known == 2


def test_being_postponed_is_no_attempt_and_a_later_crawl_fetches(busy: Busy) -> None:
    assert busy.states[:2] == [("queued", 0), ("queued", 0)]
    assert busy.crawls[2].report.fetched == 2
    assert sorted(pictures(busy.busy)[1:]) == ["/c.jpg", "/d.jpg"]


def test_progress_tells_of_each_host(busy: Busy) -> None:
    name = busy.busy.url.removeprefix("http://")

    assert any(line.startswith(f"{name}: 0 under way") for progress in busy.progress for line in progress.hosts)


def test_without_a_word_about_when_a_busy_host_is_not_asked_within_the_guess(tmp_path: Path) -> None:
    busy = Answer(status=429)
    with web_server({"/": page("/a.jpg", "/b.jpg"), "/a.jpg": busy, "/b.jpg": busy}) as server:
        request = request_for("website", server.url, "windmill", deadline_seconds=4.0, concurrency_per_host=1)
        crawled = run_crawl(tmp_path, request)

        # The guess of five seconds is longer than the crawl may take.
        assert pictures(server) == ["/a.jpg"]
    assert (crawled.report.postponed, crawled.report.finished) == (2, "done")


def test_a_503_without_a_word_pauses_the_host_and_is_a_try(tmp_path: Path) -> None:
    def once(before: int) -> Answer:
        return picture(b"a") if before else Answer(status=503)

    with web_server({"/": page("/a.jpg", "/b.jpg"), "/a.jpg": once, "/b.jpg": picture(b"b")}) as server:
        crawled = run_crawl(tmp_path, request_for("website", server.url, "windmill", concurrency_per_host=1))

        refused_at = server.times("/a.jpg")[0]
        assert min(asked.at for asked in server.log if asked.at > refused_at) - refused_at >= 4.9
    assert crawled.report.fetched == 2


def test_two_crawls_at_once_keep_one_crawl_delay_together(tmp_path: Path) -> None:
    robots = Answer(b"User-agent: *\nCrawl-delay: 0.4\n", content_type="text/plain")
    names = [f"/{number}.jpg" for number in range(3)]
    catalog = tmp_path / "catalog.sqlite3"
    open_catalog(catalog).close()
    routes = {name: picture(name.encode()) for name in names}
    with web_server({**routes, "/robots.txt": robots, "/": page(*names)}) as server:
        request = request_for("website", server.url, "windmill")
        run_crawl(tmp_path / "before", request_for("website", server.url, "nothing"), catalog=catalog)
        del server.log[:]
        crawls = [
            threading.Thread(target=run_crawl, args=(tmp_path / name, request), kwargs={"catalog": catalog})
            for name in ("one", "other")
        ]
        for crawl in crawls:
            crawl.start()
        for crawl in crawls:
            crawl.join()

    # The delay is known from the crawl before, so that both heed it from their first request on.
    times = sorted(asked.at for asked in server.log)
    assert sorted(pictures(server)) == sorted(names * 2)
    # A busy machine may hold up any of them on the way, so the whole is what counts: apart, they would take half of it.
    assert times[-1] - times[0] >= 0.4 * (len(times) - 2)


def test_after_kill_9_a_second_crawl_fetches_only_what_is_missing(tmp_path: Path) -> None:
    names = [f"/{number}.jpg" for number in range(24)]
    routes = {name: picture(name.encode() * 100, wait_seconds=0.1) for name in names}
    lost = Answer(status=404)
    with web_server({**routes, "/": page("/lost.jpg", *names), "/lost.jpg": lost}) as server:
        request = request_for("website", server.url, "windmill")
        with crawling_child(tmp_path, request, crawl_id="killed", fetched=6):
            pass
        del server.log[:]

        again = run_crawl(tmp_path, request, crawl_id="again")

        asked = pictures(server)
    recover(tmp_path / "killed")
    had = {record.image_url.removeprefix(server.url) for record in read_inbox(tmp_path / "killed").records()}
    assert len(had) >= 6
    assert "/lost.jpg" in had
    assert set(asked) == set(names) - had
    assert len(asked) == len(set(asked))
    by_path = again.by_path(server.url)
    assert {path for path in had if by_path[path].outcome is Outcome.KNOWN} == had
    # Ingest finds the bytes of those by their digests, as the killed crawl's inbox comes first.
    assert all(by_path[path].sha256 is not None for path in had - {"/lost.jpg"})


def test_retry_failed_asks_again_for_what_failed_for_whatever_reason(tmp_path: Path) -> None:
    catalog, parent = tmp_path / "catalog.sqlite3", tmp_path / "inbox"
    open_catalog(catalog).close()
    good = scene_file(1)
    routes: dict[str, Route] = {"/": page("/a.jpg", "/b.jpg", "/kept.jpg"), "/kept.jpg": Answer(good, "image/png")}
    with web_server(routes) as server, web_server({"/": page("/x.jpg")}) as other:
        run_crawl(parent, request_for("website", server.url, "windmill"), crawl_id="c1", catalog=catalog)
        run_crawl(parent, request_for("website", other.url, "windmill"), crawl_id="c2", catalog=catalog)
        for crawl_id in ("c1", "c2"):
            ingest(parent, catalog, crawl_id)
        server.routes.update({"/a.jpg": picture(b"a"), "/b.jpg": picture(b"b")})
        other.routes.update({"/x.jpg": picture(b"x")})
        del server.log[:], other.log[:]

        again = run_crawl(parent, request_for("", "", "windmill", retry_failed=True), crawl_id="c3", catalog=catalog)
        nothing = run_crawl(tmp_path / "none", request_for("", "", "sailing boat", retry_failed=True), catalog=catalog)

        assert sorted(pictures(server)) == ["/a.jpg", "/b.jpg"]
        assert pictures(other) == ["/x.jpg"]
        assert "/" not in server.paths()
    assert again.report.fetched == 3
    assert (nothing.report.found, nothing.report.finished) == (0, "done")
    found = {record.image_url: record for record in again.records}[f"{server.url}/a.jpg"]
    assert (found.source, found.source_argument, found.page_url) == ("website", server.url, f"{server.url}/")
    assert [match.keyword for match in found.matches] == ["windmill"]


def test_retry_failed_needs_a_contact_for_any_host_but_this_machine(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.sqlite3"
    record = CrawlRecord(Outcome.FAILED, "website", "example.org", "https://example.org/a.jpg", "p", "t")
    with open_catalog(catalog) as opened, opened.write() as uow:
        uow.ledger.record(record.image_url, state="failed", reason="dns", seen={"record": record.to_json()})

    with pytest.raises(ContactMissing, match=r"example\.org is not this machine"):
        run_crawl(tmp_path / "inbox", request_for("", "", retry_failed=True), catalog=catalog)

    assert not (tmp_path / "inbox").exists()


def test_a_cool_down_that_has_passed_is_no_obstacle(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.sqlite3"
    with web_server({"/": page("/a.jpg"), "/a.jpg": picture()}) as server:
        with open_catalog(catalog) as opened:
            past = HostLedger(opened, clock=lambda: time.time() - 100)
            past.do([CoolDown(server.url.removeprefix("http://"), 50.0)])

        crawled = run_crawl(tmp_path / "inbox", request_for("website", server.url, "windmill"), catalog=catalog)

    assert crawled.report.fetched == 1
    with open_catalog(catalog) as opened:
        # The success was written down, though a host on this machine is else kept in memory.
        assert HostLedger(opened).do([Look(server.url.removeprefix("http://"))])[0].budget.cooldowns == 0

"""One crawl, and one ingest, of a site where everything is a trap."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.images import ImageLimits
from pipeline.ingest.examining import DecodeLimits, Examiner
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import IngestReport, Outcome
from pipeline.store import Store
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.trap_server import Visit
from tests.support.trap_site import MAX_BYTES, TrapSite, trap_site

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 120.0
TIMEOUT_SECONDS = 4.0
LIMITS = ImageLimits()


class Trapped:
    """The site, the crawl of it, and what ingest made of that."""

    def __init__(self, site: TrapSite, crawled: Crawled, seconds: float, root: Path) -> None:
        self.site = site
        self.crawled = crawled
        self.seconds = seconds
        self.root = root
        self.report: IngestReport = IngestReport()
        self.states: dict[str, str] = {}


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trapped]:
    root = tmp_path_factory.mktemp("trap")
    with trap_site(root / "site", dripping=True) as site, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **site.environment,
            # A proxy of the environment must not be used: this one is the port that nobody may connect to.
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), site.proxy),
        }.items():
            patch.setenv(name, value)
        request = request_for(
            "website", site.start, "windmill", contact="someone@example.org", max_image_bytes=MAX_BYTES,
            deadline_seconds=DEADLINE_SECONDS, timeout_seconds=TIMEOUT_SECONDS, allow=site.allow,
        )  # fmt: skip
        began = time.monotonic()
        crawled = run_crawl(root / "inbox", request)
        result = Trapped(site, crawled, time.monotonic() - began, root)
        with (
            open_catalog(root / "catalog.sqlite3") as catalog,
            Examiner(LIMITS, DecodeLimits(seconds=20.0)) as examiner,
        ):
            result.report = ingest_inbox(
                crawled.inbox.path, catalog=catalog, store=Store(root / "store"), run_id=None, limits=LIMITS,
                near_distance=0, examiner=examiner,
            )  # fmt: skip
            with catalog.read() as uow:
                for url, entry in uow.ledger.known(site.ingested).items():
                    result.states[url] = entry.state if entry.state == "kept" else str(entry.reason)
        yield result


def test_every_picture_comes_to_the_end_that_it_must(trapped: Trapped) -> None:
    found: dict[str, tuple[Outcome, object]] = {}
    for record in trapped.crawled.records:
        found.setdefault(record.image_url, (record.outcome, record.reason))

    assert found == trapped.site.crawled
    assert len(found) > 150


def test_every_refusal_says_why(trapped: Trapped) -> None:
    for record in trapped.crawled.records:
        assert (record.reason is None) == (record.outcome in (Outcome.FETCHED, Outcome.KNOWN)), record
        assert bool(record.detail) == (record.reason is not None), record


def test_the_servers_were_asked_for_nothing_that_they_forbid(trapped: Trapped) -> None:
    assert trapped.site.violations() == []


def test_nobody_connected_where_nobody_may(trapped: Trapped) -> None:
    assert trapped.site.log.strangers == []
    assert trapped.site.connections() <= trapped.site.reachable


def test_what_may_be_reached_was_reached(trapped: Trapped) -> None:
    """So that the log of connections is seen to work, IPv6 and a name with private and public addresses included."""
    assert trapped.site.connections() == trapped.site.reachable


def test_the_crawl_ended_by_itself(trapped: Trapped) -> None:
    assert trapped.crawled.report.finished == "done"
    assert trapped.seconds < DEADLINE_SECONDS


def test_a_picture_that_drips_is_given_up_when_its_time_is_up(trapped: Trapped) -> None:
    dripping = [visit for visit in trapped.site.log.visits if visit.path.startswith("/drip/")]

    assert len(dripping) == 6  # two pictures, tried three times each
    assert not [visit for visit in dripping if visit.whole]


def test_every_request_says_who_asks(trapped: Trapped) -> None:
    agents = {visit.user_agent for visit in trapped.site.log.visits}

    assert agents == {"dreamcrawl/0 (+someone@example.org)"}


def test_what_was_fetched_whole_was_asked_for_once(trapped: Trapped) -> None:
    # Answers that are no good as HTTP are asked for again, as they may have been cut on the way.
    broken = {"/body/cut.jpg", "/body/negative.jpg"}
    whole = [(visit.host, visit.path) for visit in trapped.site.log.visits if visit.whole]
    pictures = [(host, path) for host, path in whole if path.endswith(".jpg") and path not in broken]

    assert len(pictures) > 40
    assert sorted(pictures) == sorted(set(pictures))


def test_a_host_that_wants_a_pause_gets_it(trapped: Trapped) -> None:
    visits = sorted(trapped.site.log.of("pausing.test"), key=lambda visit: visit.at)
    (refused,) = (visit for visit in visits if visit.status == 429)

    later = [visit for visit in visits if visit.at > refused.at + 0.2]
    assert later
    assert all(visit.at >= refused.at + 1.0 for visit in later)


def test_a_host_that_wants_a_long_pause_is_left_alone(trapped: Trapped) -> None:
    pictures = [visit for visit in trapped.site.log.of("busy.test") if visit.path not in trapped.site.control]

    assert 1 <= len(pictures) <= 4  # as many as were under way when it first said so
    assert [_again(visit, pictures) for visit in pictures] == [0] * len(pictures)


def test_ingest_keeps_and_rejects_what_it_must(trapped: Trapped) -> None:
    assert trapped.states == trapped.site.ingested
    assert trapped.report.rejected == len([state for state in trapped.states.values() if state != "kept"])
    assert trapped.report.exact_duplicates == 2


def test_hostile_names_leave_no_trace_on_the_disk(trapped: Trapped) -> None:
    names = [path.name.partition(".")[0] for path in (trapped.root / "store").rglob("*") if path.is_file()]

    assert len(names) > 30
    assert not [name for name in names if not re.fullmatch("[0-9a-f]{64}", name)]


def test_hostile_titles_are_kept_as_text(trapped: Trapped) -> None:
    with open_catalog(trapped.root / "catalog.sqlite3") as catalog, catalog.read() as uow:
        texts = {
            sighting.image_url.rpartition("/")[2]: f"{sighting.title} {sighting.alt} {sighting.caption}"
            for item_id in trapped.report.item_ids
            for sighting in uow.sightings.of_item(item_id)
        }

    assert "'); DROP TABLE items; --" in texts["sql.jpg"]
    assert "<script>" in texts["html.jpg"]
    assert max(map(len, texts.values())) < 10_000
    assert not [text for text in texts.values() if "\0" in text or text != text.encode("utf-8", "replace").decode()]


def test_a_name_that_exists_only_for_the_tests_does_not_exist_here() -> None:
    """The made-up name servers are for the crawl's own process."""
    with pytest.raises(OSError, match=r"."):
        socket.getaddrinfo("trap.test", 80)


def _again(visit: Visit, visits: list[Visit]) -> int:
    return sum(other.path == visit.path for other in visits) - 1

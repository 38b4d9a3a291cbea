"""One crawl of a site where everything goes wrong that can: each candidate gets its own typed outcome."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.errors import ContactMissing, SiteUnreachable
from pipeline.errors import Reason
from pipeline.records import CrawlRecord, Outcome
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.web_server import Answer, Route, WebServer, page, picture, web_server

pytestmark = pytest.mark.slow

MAX_BYTES = 2_000_000
INNER = [
    "http://[::1]/b.jpg",
    "http://169.254.169.254/latest/meta.jpg",
    "http://10.0.0.1/d.jpg",
    "http://localhost/e.jpg",
    "http://127.0.0.1:1/f.jpg",
    "https://127.0.0.1/g.jpg",
    "http://2130706433/h.jpg",
    "http://0x7f.1/i.jpg",
    "http://0177.0.0.1/j.jpg",
]


class Troubles:
    """The crawl, and the servers' own logs of it."""

    def __init__(self, crawled: Crawled, server: WebServer, other: WebServer) -> None:
        self.report = crawled.report
        self.crawled = crawled
        self.server = server
        self.other = other
        self.found = crawled.by_path(server.url)

    def of(self, path: str) -> CrawlRecord:
        return self.found[path]


@pytest.fixture(scope="module")
def troubles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubles]:
    with web_server({"/x.jpg": picture(b"of another server")}) as other:
        routes: dict[str, Route] = {
            "/robots.txt": Answer(b"User-agent: *\nDisallow: /closed/\n", content_type="text/plain"),
            "/good.jpg": picture(b"good"),
            "/closed/a.jpg": picture(b"closed"),
            "/moved.jpg": Answer(status=302, headers={"Location": "/moved-here.jpg"}),
            "/to-closed.jpg": Answer(status=302, headers={"Location": "/closed/a.jpg"}),
            "/to-other-port.jpg": Answer(status=302, headers={"Location": f"{other.url}/x.jpg"}),
            "/to-file.jpg": Answer(status=302, headers={"Location": "file:///etc/hostname"}),
            "/loop.jpg": Answer(status=302, headers={"Location": "/loop.jpg"}),
            "/html.jpg": Answer(b"<html>" * 1000),
            "/html-gzip.jpg": Answer(gzip.compress(b"<html>" * 1000), headers={"Content-Encoding": "gzip"}),
            "/html-as-jpeg.jpg": Answer(b"<html>", content_type="image/jpeg"),
            "/untyped.jpg": Answer(b"\xff\xd8\xff untyped", content_type=None),
            "/big.jpg": Answer(b"x" * (MAX_BYTES + 1), content_type="image/jpeg"),
            "/bomb.jpg": Answer(
                gzip.compress(b"\0" * 9 * 2**20), content_type="image/jpeg", headers={"Content-Encoding": "gzip"}
            ),
            "/noai.jpg": picture(b"noai", headers={"X-Robots-Tag": "noai"}),
            "/reserved.jpg": picture(b"reserved", headers={"TDM-Reservation": "1"}),
            "/cut.jpg": picture(b"z" * 1000, send_only=500),
            "/error.jpg": Answer(status=500),
            "/busy-once.jpg": lambda before: picture(b"at last") if before else Answer(status=502),
            "/empty.jpg": Answer(b"", content_type="image/jpeg"),
        }
        shown = [path for path in routes if path.endswith(".jpg")]
        routes["/moved-here.jpg"] = picture(b"moved")
        routes["/"] = page(
            *shown, "/gone.jpg", *INNER, "http://no-such-host.invalid/k.jpg", links=("/second", "/away", "/opted-out")
        )
        routes["/second"] = page("/good.jpg", "/html.jpg", title="Second")
        routes["/away"] = Answer(status=302, headers={"Location": f"{other.url}/"})
        routes["/opted-out"] = page("/mine.jpg", head='<meta name="robots" content="noimageai">')
        with web_server(routes) as server:
            request = request_for(
                "website", server.url, "windmill", max_image_bytes=MAX_BYTES, contact="someone@example.org"
            )
            crawled = run_crawl(tmp_path_factory.mktemp("inbox"), request)
            yield Troubles(crawled, server, other)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/good.jpg", b"\xff\xd8\xffgood"),
        ("/moved.jpg", b"\xff\xd8\xffmoved"),
        ("/untyped.jpg", b"\xff\xd8\xff untyped"),
        ("/busy-once.jpg", b"\xff\xd8\xffat last"),
        ("/empty.jpg", b""),
    ],
)
def test_bytes_come_unchanged_and_are_not_decoded_here(troubles: Troubles, path: str, data: bytes) -> None:
    record = troubles.of(path)

    assert record.outcome is Outcome.FETCHED
    assert troubles.crawled.inbox.open_blob(str(record.sha256)) == data
    assert record.size_bytes == len(data)


@pytest.mark.parametrize(
    ("path", "reason", "status"),
    [
        ("/gone.jpg", Reason.HTTP_CLIENT_ERROR, 404),
        ("/error.jpg", Reason.HTTP_SERVER_ERROR, 500),
        ("/loop.jpg", Reason.TOO_MANY_REDIRECTS, None),
        ("/html.jpg", Reason.NOT_AN_IMAGE, 200),
        ("/html-as-jpeg.jpg", Reason.NOT_AN_IMAGE, 200),
        ("/html-gzip.jpg", Reason.NOT_AN_IMAGE, 200),
        ("/big.jpg", Reason.TOO_MANY_BYTES, 200),
        ("/bomb.jpg", Reason.TOO_MANY_BYTES, None),
        ("/cut.jpg", Reason.CONNECTION, None),
        ("http://no-such-host.invalid/k.jpg", Reason.DNS, None),
    ],
)
def test_what_gives_no_usable_answer_has_failed(
    troubles: Troubles, path: str, reason: Reason, status: int | None
) -> None:
    record = troubles.of(path)

    assert (record.outcome, record.reason) == (Outcome.FAILED, reason)
    assert (record.http.status if record.http else None) == status
    assert record.detail
    assert record.sha256 is None


@pytest.mark.parametrize("path", ["/closed/a.jpg", "/to-closed.jpg", "/noai.jpg", "/reserved.jpg", "/mine.jpg"])
def test_what_the_site_closes_is_refused(troubles: Troubles, path: str) -> None:
    by_robots_txt = path in {"/closed/a.jpg", "/to-closed.jpg"}
    reason = Reason.ROBOTS if by_robots_txt else Reason.OPT_OUT
    assert (troubles.of(path).outcome, troubles.of(path).reason) == (Outcome.REFUSED, reason)


@pytest.mark.parametrize("path", ["/to-other-port.jpg", "/to-file.jpg", *INNER])
def test_addresses_inside_are_refused_in_every_spelling_and_behind_redirects(troubles: Troubles, path: str) -> None:
    record = troubles.of(path)

    assert (record.outcome, record.reason) == (Outcome.REFUSED, Reason.ADDRESS_FORBIDDEN)


def test_what_is_refused_is_never_asked_for(troubles: Troubles) -> None:
    assert troubles.other.paths() == []
    assert not [path for path in troubles.server.paths() if path.startswith("/closed/") or path == "/mine.jpg"]


def test_an_address_on_two_pages_is_fetched_once_and_recorded_twice(troubles: Troubles) -> None:
    records = [record for record in troubles.crawled.records if record.image_url.endswith("/good.jpg")]

    assert len(troubles.server.times("/good.jpg")) == 1
    assert [record.outcome for record in records] == [Outcome.FETCHED, Outcome.KNOWN]
    assert records[0].sha256 == records[1].sha256
    assert {record.page_url.removeprefix(troubles.server.url) for record in records} == {"/", "/second"}
    assert len([record for record in troubles.crawled.records if record.image_url.endswith("/html.jpg")]) == 1


def test_passing_failures_are_tried_three_times_with_pauses(troubles: Troubles) -> None:
    times = troubles.server.times("/error.jpg")

    assert len(times) == 3
    assert times[1] - times[0] >= 0.5
    assert times[2] - times[1] >= 2.0
    assert len(troubles.server.times("/gone.jpg")) == 1


def test_the_report_counts_every_record_once(troubles: Troubles) -> None:
    report, records = troubles.report, troubles.crawled.records

    assert report.found == report.fetched + report.known + report.refused + report.failed == len(records)
    assert sum(report.reasons.values()) == report.refused + report.failed
    assert report.bytes_fetched == sum(r.size_bytes or 0 for r in records if r.outcome is Outcome.FETCHED)
    assert len({(record.image_url, record.page_url) for record in records}) == len(records)
    assert [warning for warning in report.warnings if "redirected to another site" in warning]


def test_the_crawl_says_who_it_is_and_where_it_comes_from(troubles: Troubles) -> None:
    asked = next(asked for asked in troubles.server.log if asked.path == "/good.jpg")

    assert asked.headers["User-Agent"] == "dreamcrawl/0 (+someone@example.org)"
    assert asked.headers["Referer"] == f"{troubles.server.url}/"
    assert "Cookie" not in asked.headers


def test_redirects_are_recorded(troubles: Troubles) -> None:
    http = troubles.of("/moved.jpg").http

    assert http is not None
    assert http.final_url == f"{troubles.server.url}/moved-here.jpg"
    assert http.redirects == (f"{troubles.server.url}/moved.jpg",)


def test_a_site_whose_robots_file_cannot_be_read_is_not_crawled(tmp_path: Path) -> None:
    with web_server({"/robots.txt": Answer(status=503), "/": page("/a.jpg"), "/a.jpg": picture()}) as server:
        with pytest.raises(SiteUnreachable, match=r"robots\.txt could not be read: HTTP 503"):
            run_crawl(tmp_path, request_for("website", server.url, "windmill"))

        assert set(server.paths()) == {"/robots.txt"}
    assert list(tmp_path.iterdir()) == []


def test_a_site_that_does_not_answer_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    with web_server({}) as server:
        gone = server.url
    with pytest.raises(SiteUnreachable, match="the connection was refused"):
        run_crawl(tmp_path, request_for("website", gone, "windmill"))
    assert list(tmp_path.iterdir()) == []


def test_a_site_whose_certificate_is_not_valid_is_not_crawled(tmp_path: Path) -> None:
    with web_server({"/": page("/a.jpg"), "/a.jpg": picture()}, certificate=tmp_path / "self-signed.pem") as server:
        with pytest.raises(SiteUnreachable, match="no secure connection"):
            run_crawl(tmp_path / "inbox", request_for("website", server.url, "windmill"))

        assert server.paths() == []


@pytest.mark.parametrize("contact", [None, "nobody", "a@b\r\nX-Evil: 1", "a@b (c)"])
def test_a_site_elsewhere_must_be_told_whom_to_write_to(tmp_path: Path, contact: str | None) -> None:
    with pytest.raises(ContactMissing, match="DREAMCRAWL_CONTACT"):
        run_crawl(tmp_path, request_for("website", "https://example.org/", "windmill", contact=contact))
    assert list(tmp_path.iterdir()) == []

"""Crawls of sites that opt out in every form, as their own logs tell it; and of sites that change their mind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.values import ItemFilter
from pipeline.errors import Reason
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import CrawlRecord, Outcome
from pipeline.store import Store
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.pictures import scene_file
from tests.support.web_server import Answer, Route, WebServer, page, web_server

pytestmark = pytest.mark.slow

FILES = ["/robots.txt", "/.well-known/tdmrep.json", "/ai.txt"]


def text(body: str | bytes, **changes: object) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    return Answer(data, content_type="text/plain", **changes)  # type: ignore[arg-type]  # a test's shorthand


def jpeg(seed: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(scene_file(seed, "JPEG"), content_type="image/jpeg", headers=named)


ROBOTS = """\
User-agent: *
Disallow: /robots/
Content-Usage: /usage/ train-ai=n
Allow: /robots/open/

User-agent: other
Disallow: /
"""
TDM = [
    {"location": "/tdm/open/", "tdm-reservation": 0},
    {"location": "/tdm/", "tdm-reservation": 1, "tdm-policy": "https://example.org/policy.json"},
]
AI = "User-agent: *\nDisallow: *.png\nAllow: /\n"

# Path -> (rule, value); nothing of these may be asked for.
REFUSED_BEFORE = {
    "/robots/a.jpg": ("robots.txt", "Disallow: /robots/"),
    "/usage/a.jpg": ("Content-Usage", "Content-Usage: /usage/ train-ai=n"),
    "/tdm/a.jpg": ("TDMRep", "tdm-reservation: 1 for /tdm/; tdm-policy: https://example.org/policy.json"),
    "/ai/a.png": ("ai.txt", "Disallow: *.png"),
    "/on-noai.jpg": ("meta robots", "meta robots: noai"),
    "/on-named.jpg": ("meta robots", "meta dreamcrawl: noindex"),
    "/on-reserved.jpg": ("TDMRep", "meta tdm-reservation: 1"),
    "/on-header.jpg": ("X-Robots-Tag", "X-Robots-Tag: noimageai"),
}
# Path -> (headers, rule, value); asked for, and no more than the headers taken.
REFUSED_IN_HEADERS = {
    "/noai.jpg": ({"X_Robots_Tag": "otherbot: none, dreamcrawl: noai"}, "X-Robots-Tag", "dreamcrawl: noai"),
    "/past.jpg": ({"X_Robots_Tag": "unavailable_after: 2010-06-25"}, "X-Robots-Tag", "unavailable_after: 2010-06-25"),
    "/reserved.jpg": ({"TDM_Reservation": "1"}, "TDMRep", "tdm-reservation: 1"),
    "/unused.jpg": ({"Content_Usage": "search=y, train-ai=n"}, "Content-Usage", "train-ai=n"),
}
OPEN = ["/a.jpg", "/robots/open/a.jpg", "/tdm/open/a.jpg", "/others.jpg", "/moved.jpg"]


class Site:
    """The crawl, and the servers' own logs of it."""

    def __init__(self, crawled: Crawled, server: WebServer, elsewhere: dict[str, WebServer]) -> None:
        self.crawled = crawled
        self.server = server
        self.elsewhere = elsewhere
        self.found = crawled.by_path(server.url)

    def of(self, host: str) -> CrawlRecord:
        return self.found[f"{self.elsewhere[host].url}/x.jpg"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    picture: dict[str, Route] = {"/x.jpg": jpeg(90)}
    closed = text("User-agent: *\nDisallow: /\n")
    long_robots = text(b"User-agent: *\n" + b"# words\n" * 100_000 + b"Disallow: /\n")
    loop = {f"/hop{n}": Answer(status=301, headers={"Location": f"/hop{n + 1}"}) for n in range(9)}
    with (
        web_server({**picture, "/robots.txt": closed}) as shut,
        web_server({**picture, "/robots.txt": text("", status=503)}) as broken,
        web_server({**picture, "/robots.txt": long_robots}) as long,
        web_server({**picture, "/theirs.txt": closed}) as target,
        web_server(
            {**picture, "/robots.txt": Answer(status=301, headers={"Location": f"{target.url}/theirs.txt"})}
        ) as moved,
        web_server({**picture, **loop, "/robots.txt": Answer(status=301, headers={"Location": "/hop0"})}) as looping,
        web_server(
            {
                **picture,
                "/ai.txt": Answer(status=302, headers={"Location": f"{shut.url}/closed.txt"}),
                "/.well-known/tdmrep.json": text(b"[" * 5000),
            }
        ) as odd,
    ):
        elsewhere = {
            "shut": shut, "broken": broken, "long": long, "moved": moved, "looping": looping, "odd": odd,
        }  # fmt: skip
        routes: dict[str, Route] = {
            "/robots.txt": text(ROBOTS),
            "/.well-known/tdmrep.json": text(json.dumps(TDM)),
            "/ai.txt": text(AI),
            "/others.jpg": jpeg(2, X_Robots_Tag="otherbot: noai, max-image-preview: none"),
            "/moved.jpg": Answer(status=302, headers={"Location": "/robots/open/b.jpg"}),
            "/robots/open/b.jpg": jpeg(3),
            "/to-closed.jpg": Answer(status=302, headers={"Location": "/tdm/b.jpg"}),
            "/on-noai": page("/on-noai.jpg", head='<meta name="robots" content="noindex, noai">'),
            "/on-named": page("/on-named.jpg", head='<meta name="DreamCrawl" content="noindex">'),
            "/on-reserved": page("/on-reserved.jpg", head='<meta name="tdm-reservation" content="1">'),
            "/on-header": dataclasses.replace(page("/on-header.jpg"), headers={"X-Robots-Tag": "noimageai"}),
        }
        for seed, path in enumerate(["/a.jpg", "/robots/open/a.jpg", "/tdm/open/a.jpg", *REFUSED_BEFORE, "/tdm/b.jpg"]):
            routes.setdefault(path, jpeg(10 + seed))
        for seed, (path, (headers, _, _)) in enumerate(REFUSED_IN_HEADERS.items()):
            routes[path] = jpeg(40 + seed, **headers)
        shown = [path for path in (*OPEN, *REFUSED_BEFORE, *REFUSED_IN_HEADERS, "/to-closed.jpg") if "/on-" not in path]
        links = tuple(path for path in routes if path.startswith("/on-") and not path.endswith(".jpg"))
        routes["/"] = page(*shown, *(f"{host.url}/x.jpg" for host in elsewhere.values()), links=links)
        with web_server(routes) as server:
            hosts = (*elsewhere.values(), target)
            request = request_for(
                "website", server.url, "windmill", allow=tuple(f"127.0.0.1:{host.port}" for host in hosts)
            )
            crawled = run_crawl(tmp_path_factory.mktemp("inbox"), request)
            yield Site(crawled, server, elsewhere)


@pytest.mark.parametrize("path", REFUSED_BEFORE)
def test_what_is_opted_out_is_not_asked_for(site: Site, path: str) -> None:
    record, (rule, value) = site.found[path], REFUSED_BEFORE[path]

    assert path not in site.server.paths()
    assert (record.outcome, record.reason) == (
        Outcome.REFUSED,
        Reason.ROBOTS if rule == "robots.txt" else Reason.OPT_OUT,
    )
    assert record.consent is not None
    assert (record.consent.allowed, record.consent.rule, record.consent.value) == (False, rule, value)
    assert record.consent.where.startswith(site.server.url)
    assert record.consent.checked_at
    assert rule in (*record.consent.checked, "X-Robots-Tag", "TDMRep")


@pytest.mark.parametrize("path", REFUSED_IN_HEADERS)
def test_an_opt_out_in_headers_is_heeded_and_its_place_kept(site: Site, path: str) -> None:
    record, (_, rule, value) = site.found[path], REFUSED_IN_HEADERS[path]

    assert (record.outcome, record.reason, record.sha256) == (Outcome.REFUSED, Reason.OPT_OUT, None)
    assert record.consent is not None
    assert (record.consent.rule, record.consent.where) == (rule, site.server.url + path)
    assert record.consent.value.endswith(value)
    assert record.consent.in_headers


@pytest.mark.parametrize("path", OPEN)
def test_what_is_open_is_fetched_with_the_verdict_that_it_is(site: Site, path: str) -> None:
    record = site.found[path]

    assert record.outcome is Outcome.FETCHED
    assert record.consent is not None
    assert (record.consent.allowed, record.consent.rule) == (True, "none")
    assert set(record.consent.checked) == {
        "robots.txt", "X-Robots-Tag", "TDMRep", "ai.txt", "Content-Usage", "meta robots",
    }  # fmt: skip


def test_a_redirect_is_judged_by_where_it_leads(site: Site) -> None:
    record = site.found["/to-closed.jpg"]

    assert "/tdm/b.jpg" not in site.server.paths()
    assert (record.outcome, record.reason) == (Outcome.REFUSED, Reason.OPT_OUT)


def test_each_file_is_asked_for_once_and_before_anything_else(site: Site) -> None:
    assert sorted(site.server.paths()[:3]) == sorted(FILES)
    assert site.server.paths()[0] == "/robots.txt"
    assert [site.server.paths().count(path) for path in FILES] == [1, 1, 1]


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("shut", ["/robots.txt"]),
        ("moved", ["/robots.txt"]),
        ("looping", ["/robots.txt", "/hop0", "/hop1", "/hop2", "/hop3", "/hop4"]),
    ],
)
def test_a_closed_host_is_asked_for_nothing_more(site: Site, host: str, asked: list[str]) -> None:
    record = site.of(host)

    assert site.elsewhere[host].paths() == asked
    assert (record.outcome, record.reason) == (Outcome.REFUSED, Reason.ROBOTS)
    assert record.consent is not None
    assert record.consent.is_opt_out is (host != "looping")


def test_a_robots_file_that_cannot_be_read_closes_its_host(site: Site) -> None:
    record = site.of("broken")

    assert set(site.elsewhere["broken"].paths()) == {"/robots.txt"}
    assert (record.outcome, record.reason) == (Outcome.REFUSED, Reason.ROBOTS)
    assert record.consent is not None
    assert (record.consent.rule, record.consent.is_opt_out) == ("not read", False)


def test_a_robots_file_beyond_the_limit_is_cut_there(site: Site) -> None:
    assert site.of("long").outcome is Outcome.FETCHED
    assert site.elsewhere["long"].paths() == [*site.elsewhere["long"].paths()[:3], "/x.jpg"]


def test_files_that_cannot_be_understood_or_lead_to_a_closed_place_count_as_missing(site: Site) -> None:
    record = site.of("odd")

    assert record.outcome is Outcome.FETCHED
    assert record.consent is not None
    assert "ai.txt" not in record.consent.checked
    assert sorted(site.elsewhere["odd"].paths()) == sorted([*FILES, "/x.jpg"])


class Museum:
    """A site that changes its mind, and the workspace of those who crawl it again and again."""

    def __init__(self, root: Path, server: WebServer, media: WebServer) -> None:
        self.root = root
        self.server = server
        self.media = media
        self.catalog: Catalog = open_catalog(root / "catalog.sqlite3")
        self.store = Store(root / "store")
        self._count = 0

    def crawl(self, **changes: object) -> list[str]:
        """Crawl and ingest; the pictures that were asked for."""
        self._count += 1
        del self.server.log[:], self.media.log[:]
        allow = (f"127.0.0.1:{self.media.port}",)
        request = request_for("website", self.server.url, "windmill", allow=allow, **changes)
        run_crawl(self.root / "inbox", request, crawl_id=f"c{self._count}", catalog=self.root / "catalog.sqlite3")
        ingest_inbox(
            self.root / "inbox" / f"c{self._count}",
            catalog=self.catalog,
            store=self.store,
            run_id=None,
            limits=ImageLimits(),
            near_distance=DEFAULT_NEAR_DISTANCE,
        )
        return sorted(path for path in (*self.server.paths(), *self.media.paths()) if path.endswith(".jpg"))

    def withdrawn(self) -> list[str]:
        """The paths of the pictures that are withdrawn."""
        with self.catalog.read() as uow:
            items = uow.items.list(ItemFilter(withdrawn=True))
            first = [uow.sightings.of_item(item.id)[0] for item in items]
            assert all(
                sighting.image_url in str(item.withdrawn_reason) for item, sighting in zip(items, first, strict=True)
            )
            assert all(sighting.consent and not sighting.consent["allowed"] for sighting in first)
        return sorted(urlsplit(sighting.image_url).path for sighting in first)


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[Museum]:
    with web_server({"/c/3.jpg": jpeg(3)}) as media:
        shown = page("/a/1.jpg", "/b/2.jpg", f"{media.url}/c/3.jpg")
        with web_server({"/": shown, "/a/1.jpg": jpeg(1), "/b/2.jpg": jpeg(2)}) as server:
            museum = Museum(tmp_path, server, media)
            assert museum.crawl() == ["/a/1.jpg", "/b/2.jpg", "/c/3.jpg"]
            yield museum
            museum.catalog.close()


def test_opt_outs_withdraw_what_is_here_and_their_end_brings_it_back(museum: Museum) -> None:
    museum.server.routes["/robots.txt"] = text("User-agent: *\nDisallow: /a/\n")
    museum.media.routes["/.well-known/tdmrep.json"] = text('[{"location": "/", "tdm-reservation": 1}]')

    assert museum.crawl() == []
    assert museum.withdrawn() == ["/a/1.jpg", "/c/3.jpg"]

    del museum.server.routes["/robots.txt"]

    assert museum.crawl() == []
    assert museum.withdrawn() == ["/c/3.jpg"]


def test_a_page_that_opts_out_withdraws_its_pictures_and_a_broken_robots_file_does_not(museum: Museum) -> None:
    shown = museum.server.routes["/"]
    assert isinstance(shown, Answer)
    museum.media.routes["/robots.txt"] = text("", status=503)

    museum.crawl()
    assert museum.withdrawn() == []

    museum.server.routes["/"] = Answer(b'<meta name="robots" content="noai">' + shown.body)

    assert museum.crawl() == []
    assert museum.withdrawn() == ["/a/1.jpg", "/b/2.jpg", "/c/3.jpg"]


def test_an_opt_out_in_headers_holds_until_headers_no_longer_say_so(museum: Museum) -> None:
    museum.server.routes["/a/1.jpg"] = jpeg(1, X_Robots_Tag="noai")

    assert museum.crawl() == []
    assert museum.withdrawn() == []
    museum.crawl(revalidate=True)
    assert museum.withdrawn() == ["/a/1.jpg"]
    assert museum.crawl() == ["/a/1.jpg"]
    assert museum.withdrawn() == ["/a/1.jpg"]

    museum.server.routes["/a/1.jpg"] = jpeg(1)

    assert museum.crawl() == ["/a/1.jpg"]
    assert museum.withdrawn() == []

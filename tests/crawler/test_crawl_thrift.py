"""What a crawl does not ask for or does not wait for, by the log of the server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from crawler.filters import Filters
from pipeline.catalog.engine import open_catalog
from pipeline.errors import Reason
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import CrawlRecord, Outcome
from pipeline.store import Store
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.pictures import scene_file
from tests.support.web_server import PIECE, Answer, Route, WebServer, page, web_server

pytestmark = pytest.mark.slow

# What may lie in the buffers of both sides, and what comes while the crawl decides.
FIRST_BYTES = 64 * 2**10
PACE_SECONDS = 0.1
HEADER_OF_A_PICTURE = scene_file(1, "JPEG", width=400, height=300)[:PIECE]


def served(data: bytes, content_type: str = "image/jpeg", **changes: object) -> Answer:
    """A picture with an ETag of its own."""
    headers = {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}
    return Answer(data, content_type, headers=headers, **changes)  # type: ignore[arg-type]  # a test's shorthand


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return scene_file(5, "JPEG", width=400, height=300, exif=exif)


def padded(data: bytes) -> bytes:
    return data.ljust(2_000_000, b"\0")


class Workspace:
    """A site, and the folders of one who crawls it again and again."""

    def __init__(self, root: Path, server: WebServer) -> None:
        self.server = server
        self._root = root
        self._count = 0

    def crawl(self, **changes: object) -> Crawled:
        """Crawl, and ingest; the server's log holds only what this crawl asked for."""
        del self.server.log[:]
        self._count += 1
        crawled = run_crawl(
            self._root / "inbox",
            replace(request_for("website", self.server.url, "windmill"), **changes),
            crawl_id=f"c{self._count}",
            catalog=self._root / "catalog.sqlite3",
            page_cache=self._root / "pages",
        )
        with open_catalog(self._root / "catalog.sqlite3") as catalog:
            ingest_inbox(
                crawled.inbox.path,
                catalog=catalog,
                store=Store(self._root / "store"),
                run_id=None,
                limits=ImageLimits(),
                near_distance=0,
            )
        return crawled


class Stopped:
    """A crawl with filters, and the server's log of it."""

    def __init__(self, workspace: Workspace, crawled: Crawled) -> None:
        self.workspace = workspace
        self.server = workspace.server
        self.crawled = crawled
        self.report = crawled.report
        self.found = crawled.by_path(workspace.server.url)

    def of(self, path: str) -> CrawlRecord:
        return self.found[path]


FILTERS = Filters(orientation="landscape", formats=("jpeg", "webp"), min_width=100)
GOOD = {
    "/good.jpg": scene_file(1, "JPEG", width=400, height=300),
    "/progressive.jpg": scene_file(2, "JPEG", width=400, height=300, progressive=True),
    "/large-exif.jpg": scene_file(3, "JPEG", width=400, height=300, icc_profile=os.urandom(100_000)),
    "/upside-down.jpg": turned(3),
    "/webp-called.jpg": scene_file(4, "WEBP", width=400, height=300),
}
STOPPED: dict[str, tuple[Outcome, Reason, tuple[int, int] | None]] = {
    "/endless.jpg": (Outcome.FILTERED, Reason.TOO_SMALL, (80, 70)),
    "/small.jpg": (Outcome.FILTERED, Reason.TOO_SMALL, (90, 80)),
    "/flat.jpg": (Outcome.FILTERED, Reason.TOO_SMALL, (300, 40)),
    "/portrait.jpg": (Outcome.FILTERED, Reason.ASPECT, (300, 400)),
    "/on-its-side.jpg": (Outcome.FILTERED, Reason.ASPECT, (300, 400)),
    "/picture.png": (Outcome.FILTERED, Reason.FORMAT_NOT_ALLOWED, None),
    "/png-called.jpg": (Outcome.FILTERED, Reason.FORMAT_NOT_ALLOWED, (400, 300)),
    "/html.jpg": (Outcome.FAILED, Reason.NOT_AN_IMAGE, None),
    "/short-html.jpg": (Outcome.FAILED, Reason.NOT_AN_IMAGE, None),
    "/avif.jpg": (Outcome.FAILED, Reason.FORMAT_NOT_ALLOWED, None),
    "/huge.jpg": (Outcome.FAILED, Reason.TOO_MANY_BYTES, None),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    paced = {"pace_seconds": PACE_SECONDS}
    routes: dict[str, Route] = {path: served(data) for path, data in GOOD.items()}
    routes |= {
        "/endless.jpg": served(scene_file(6, "JPEG", width=80, height=70), endless=True, **paced),
        "/small.jpg": served(padded(scene_file(6, "JPEG", width=90, height=80)), **paced),
        "/flat.jpg": served(scene_file(6, "JPEG", width=300, height=40)),
        "/portrait.jpg": served(padded(scene_file(7, "JPEG", width=300, height=400)), **paced),
        "/on-its-side.jpg": served(padded(turned(6)), **paced),
        "/picture.png": served(padded(scene_file(8, "PNG")), "image/png", **paced),
        "/png-called.jpg": served(padded(scene_file(9, "PNG", width=400, height=300)), **paced),
        "/html.jpg": served(padded(b"<!doctype html><title>Sign in</title>"), **paced),
        "/short-html.jpg": served(b"<html>"),
        "/avif.jpg": served(padded(b"\0\0\0\x20ftypavif"), **paced),
        "/huge.jpg": served(padded(HEADER_OF_A_PICTURE), **paced),
    }
    routes["/huge.jpg"] = served(HEADER_OF_A_PICTURE.ljust(3_000_000, b"\0"), **paced)
    routes["/"] = page(*routes)
    with web_server(routes) as server:
        workspace = Workspace(tmp_path_factory.mktemp("thrift"), server)
        yield Stopped(workspace, workspace.crawl(filters=FILTERS, max_image_bytes=2_500_000))


@pytest.mark.parametrize("path", GOOD)
def test_what_is_wanted_comes_whole(stopped: Stopped, path: str) -> None:
    record = stopped.of(path)

    assert record.outcome is Outcome.FETCHED
    assert record.sha256 == hashlib.sha256(GOOD[path]).hexdigest()
    assert (record.width, record.height) == (400, 300)
    assert record.media_type == ("image/webp" if "webp" in path else "image/jpeg")


@pytest.mark.parametrize("path", STOPPED)
def test_what_is_not_wanted_is_not_kept_and_its_size_is_remembered(stopped: Stopped, path: str) -> None:
    outcome, reason, size = STOPPED[path]
    record = stopped.of(path)

    assert (record.outcome, record.reason) == (outcome, reason)
    assert record.sha256 is None
    assert record.detail
    assert (record.width, record.height) == (size or (None, None))


def test_the_server_gets_rid_of_a_few_bytes_only(stopped: Stopped) -> None:
    sent = stopped.server.sent

    assert {"/endless.jpg", "/small.jpg", "/on-its-side.jpg", "/html.jpg"} <= sent.keys()
    assert {path: size for path, size in sent.items() if size > FIRST_BYTES} == {}


def test_bytes_and_requests_are_counted(stopped: Stopped) -> None:
    report = stopped.report
    whole = sum(map(len, GOOD.values()))
    broken_off = [path for path in STOPPED if path in stopped.server.sent and path != "/endless.jpg"]

    assert report.bytes_fetched == whole
    assert whole < report.bytes_received <= whole + 20_000 + sum(stopped.server.sent.values())
    # 2 MB each but for what came; the one of 3 MB counts as far as it would have been taken.
    most = 2_000_000 * (len(broken_off) - 1) + 2_500_000
    assert most - FIRST_BYTES * len(broken_off) <= report.bytes_saved <= most
    # robots.txt, and perhaps other files of the site about its wishes.
    assert report.requests == len(stopped.server.log)


def test_the_next_crawls_ask_for_no_picture_again(stopped: Stopped) -> None:
    again = stopped.workspace.crawl(filters=FILTERS, max_image_bytes=2_500_000)

    asked = stopped.server.paths()
    assert [path for path in asked if path.endswith((".jpg", ".png"))] == []
    assert asked.count("/") == 1
    assert again.report.fetched == 0
    filtered = [path for path, (outcome, _, _) in STOPPED.items() if outcome is Outcome.FILTERED]
    assert (again.report.known, again.report.filtered) == (len(GOOD) + len(STOPPED) - len(filtered), len(filtered))
    assert again.report.bytes_saved >= sum(map(len, GOOD.values()))

    for path in STOPPED:
        answer = stopped.server.routes[path]
        assert isinstance(answer, Answer)
        stopped.server.routes[path] = replace(answer, pace_seconds=0.0, endless=False)
    other = stopped.workspace.crawl(filters=Filters(), max_image_bytes=2_500_000)

    fetched = {path for path, record in other.by_path(stopped.server.url).items() if record.outcome is Outcome.FETCHED}
    assert fetched == {
        "/endless.jpg",
        "/portrait.jpg",
        "/on-its-side.jpg",
        "/picture.png",
        "/png-called.jpg",
        "/small.jpg",
    }


def test_known_pictures_are_asked_for_again_only_when_that_is_wanted(tmp_path: Path) -> None:
    old, new = scene_file(11, "JPEG"), scene_file(12, "JPEG")
    changed = {"/changed.jpg": served(old)}
    routes: dict[str, Route] = {
        "/same.jpg": served(scene_file(10, "JPEG")),
        "/opted-out.jpg": served(scene_file(13, "JPEG")),
        "/changed.jpg": lambda _before: changed["/changed.jpg"],
        "/": page("/same.jpg", "/opted-out.jpg", "/changed.jpg"),
    }
    with web_server(routes) as server:
        workspace = Workspace(tmp_path, server)
        workspace.crawl()
        changed["/changed.jpg"] = served(new)
        tag = hashlib.md5(scene_file(13, "JPEG")).hexdigest()
        routes["/opted-out.jpg"] = Answer(status=304, headers={"ETag": f'"{tag}"', "X-Robots-Tag": "noai"})

        plain = workspace.crawl()
        asked_plain = server.paths()
        revalidated = workspace.crawl(revalidate=True, limit=2)
        by_path = revalidated.by_path(server.url)

        assert not [path for path in asked_plain if path.endswith(".jpg")]
        assert plain.report.known == 3
        assert {path: record.outcome for path, record in by_path.items()} == {
            "/same.jpg": Outcome.KNOWN,
            "/opted-out.jpg": Outcome.REFUSED,
            "/changed.jpg": Outcome.FETCHED,
        }
        assert by_path["/opted-out.jpg"].reason is Reason.OPT_OUT
        assert by_path["/changed.jpg"].sha256 == hashlib.sha256(new).hexdigest()
        assert [asked.headers.get("If-None-Match") for asked in server.log if asked.path == "/same.jpg"] == [
            f'"{hashlib.md5(scene_file(10, "JPEG")).hexdigest()}"'
        ]
        # Both that are still here and were fetched anew count.
        assert revalidated.report.finished == "limit"
        assert revalidated.report.bytes_saved == len(scene_file(10, "JPEG"))


def test_an_unchanged_page_is_not_sent_again(tmp_path: Path) -> None:
    def kept(answer: Answer, tag: str) -> Answer:
        return Answer(answer.body, headers={"ETag": f'"{tag}"'})

    first = page("/a.jpg", links=("/second", "/moved"))
    routes: dict[str, Route] = {
        "/": kept(first, "front"),
        "/second": kept(page("/b.jpg", title="Second"), "second"),
        "/moved": Answer(status=302, headers={"Location": "/third", "ETag": '"front"'}),
        "/third": page("/c.jpg"),
        **{path: served(scene_file(seed, "JPEG")) for seed, path in enumerate(("/a.jpg", "/b.jpg", "/c.jpg"))},
    }
    with web_server(routes) as server:
        workspace = Workspace(tmp_path, server)
        before = workspace.crawl()
        again = workspace.crawl()
        asked = {asked.path: asked.headers.get("If-None-Match") for asked in server.log}
        paths = server.paths()
        pages = list((tmp_path / "pages").iterdir())
        for path in pages:
            path.write_bytes(path.read_bytes().replace(b"windmill", b"sawmill!"))
        damaged = workspace.crawl()
        damaged_asked = {asked.headers.get("If-None-Match") for asked in server.log}
        routes["/second"] = kept(page("/b.jpg", "/a.jpg", title="Second"), "changed")
        changed = workspace.crawl()

    assert (before.report.pages, before.report.fetched) == (3, 3)
    assert (again.report.pages, again.report.fetched, again.report.known) == (3, 0, 3)
    assert len(paths) == len(set(paths))
    assert {path: tag for path, tag in asked.items() if path in routes} == {
        "/": '"front"',
        "/second": '"second"',
        "/moved": None,
        "/third": None,
    }
    assert again.report.bytes_received < before.report.bytes_received - sum(len(first.body) for _ in range(2))
    assert len(pages) == 2
    assert (damaged.report.known, damaged_asked) == (3, {None})
    assert changed.report.pages == 3
    assert len([record for record in changed.records if record.image_url.endswith("/a.jpg")]) == 2


def test_a_source_that_announces_size_and_digest_is_taken_at_its_word(tmp_path: Path) -> None:
    data, other = scene_file(20, "JPEG"), scene_file(21, "JPEG")
    sha1 = hashlib.sha1(data).hexdigest()
    rows = [
        ("/right.jpg", sha1, 160, 120),
        ("/wrong.jpg", sha1, 160, 120),
        ("/small.jpg", "", 160, 12),
        ("/vast.jpg", "", 100_000, 100_000),
    ]
    with web_server({"/right.jpg": served(data), "/moved.jpg": served(data), "/wrong.jpg": served(other)}) as server:
        workspace = Workspace(tmp_path, server)

        def crawl_list(rows: list[tuple[str, str, int, int]]) -> dict[str, CrawlRecord]:
            lines = [f"{server.url}{path},{digest},{width},{height}" for path, digest, width, height in rows]
            (tmp_path / "list.csv").write_text("\n".join(["url,sha1,width,height", *lines]))
            crawled = workspace.crawl(
                source="urls",
                argument=str(tmp_path / "list.csv"),
                keywords=(),
                contact="someone@example.org",
                allow=(f"127.0.0.1:{server.port}",),
            )
            return crawled.by_path(server.url)

        found = crawl_list(rows)
        asked = server.paths()
        again = crawl_list([("/moved.jpg", sha1, 160, 120)])
        asked_again = server.paths()

    assert {path: (record.outcome, record.reason) for path, record in found.items()} == {
        "/right.jpg": (Outcome.FETCHED, None),
        "/wrong.jpg": (Outcome.FAILED, Reason.WRONG_HASH),
        "/small.jpg": (Outcome.FILTERED, Reason.TOO_SMALL),
        "/vast.jpg": (Outcome.FILTERED, Reason.TOO_MANY_PIXELS),
    }
    assert found["/wrong.jpg"].sha256 is None
    assert {"/small.jpg", "/vast.jpg"}.isdisjoint(asked)
    assert again["/moved.jpg"].outcome is Outcome.KNOWN
    assert "/moved.jpg" not in asked_again

"""A site where everything is a trap: what it shows, what must come of each picture, what must never be asked for."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path

from pipeline.errors import Reason
from pipeline.records import Outcome
from tests.support.pictures import scene_file
from tests.support.trap_server import Log, Reply, Route, has_ipv6, sentinel, serve

MAX_BYTES = 300_000
PUBLIC = "93.184.215.14"
"""Stands in for the internet; connections there end at a server here, see `made_up_names`."""
AT_START = Path(__file__).parent / "at_start"

FETCHED, REFUSED, FAILED = Outcome.FETCHED, Outcome.REFUSED, Outcome.FAILED
FILTERED, POSTPONED = Outcome.FILTERED, Outcome.POSTPONED
KEPT = "kept"
End = tuple[Outcome, Reason | None]

_picture = partial(scene_file, kind="JPEG", width=96, height=80, quality=80)


@dataclass
class TrapSite:
    """The running site.

    Attributes:
        crawled: Image address -> what the crawl must make of it.
        ingested: Image address -> `kept`, or why ingest must reject it; for those that are fetched.
        forbidden: Host, and the beginning of a path, that must never be asked for.
        control: Paths that every host may be asked for.
        reachable: IP address and port of every connection that a crawl may make.
        proxy: Where a proxy would be that nobody may use.
    """

    log: Log
    folder: Path
    start: str = ""
    allow: tuple[str, ...] = ()
    routes: dict[tuple[str, str], Route] = field(default_factory=dict)
    crawled: dict[str, End] = field(default_factory=dict)
    ingested: dict[str, str] = field(default_factory=dict)
    forbidden: list[tuple[str, str]] = field(default_factory=list)
    reachable: set[tuple[str, int]] = field(default_factory=set)
    proxy: str = ""
    control: tuple[str, ...] = ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt")
    _shown: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs so that the names of the site exist for it."""
        return {
            "DREAMCRAWL_TEST_NAMES": str(self.folder / "names.json"),
            "PYTHONPATH": str(AT_START),
        }

    def connections(self) -> set[tuple[str, int]]:
        """Every IP address and port that a crawl tried to connect to."""
        lines = (self.folder / "connections.log").read_text().splitlines()
        return {(host, int(port)) for host, port in (line.split() for line in lines)}

    def violations(self) -> list[str]:
        """What the servers were asked for that they must not be, by their own log."""
        return [
            f"{visit.host}{visit.path}"
            for visit in self.log.visits
            if visit.path not in self.control
            and any(visit.host == host and visit.path.startswith(path) for host, path in self.forbidden)
        ]

    def show(
        self, url: str, outcome: Outcome, reason: Reason | None = None, *, then: str = KEPT, alt: str = ""
    ) -> None:
        """Put a picture on the front page; `then` is what ingest makes of it."""
        self._shown.append(image(url, alt))
        self.expect(url, outcome, reason, then=then)

    def expect(self, url: str, outcome: Outcome, reason: Reason | None = None, *, then: str = KEPT) -> None:
        """Say what must come of a picture."""
        self.crawled[url] = outcome, reason
        if outcome is FETCHED:
            self.ingested[url] = then

    def front_page(self, *links: str) -> Reply:
        """All that was shown, and links."""
        anchors = "".join(f'<a href="{link}">windmill</a>' for link in links)
        return html("".join(self._shown) + anchors)


def image(url: str, alt: str = "") -> str:
    """An image on a page that matches the keyword."""
    return f'<figure><img src="{escape(url)}" alt="windmill {alt}"></figure>'


def html(body: str, head: str = "", **changes: object) -> Reply:
    """A page."""
    data = f"<!doctype html><title>Mills</title>{head}<body>{body}".encode()
    return Reply(data, "text/html; charset=utf-8", **changes)  # type: ignore[arg-type]  # a test's shorthand


def text(body: str) -> Reply:
    return Reply(body.encode(), "text/plain")


def moved(target: str) -> Reply:
    return Reply(b"", None, 302, (("Location", target),))


def png_of(width: int, height: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header claims this size, with some grey rows."""
    rows = zlib.compress((b"\0" + b"\x80" * 3 * min(width, 100)) * min(height, 100))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@contextlib.contextmanager
def trap_site(folder: Path, *, dripping: bool = False) -> Iterator[TrapSite]:
    """The site with all its servers; `folder` takes its files.

    dripping: Whether to have pictures that take three times a crawl's time limit.
    """
    from tests.support.trap_traps import set_traps

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "connections.log").touch()
    log = Log()
    site = TrapSite(log, folder)
    with contextlib.ExitStack() as stack:
        ports = {
            "main": stack.enter_context(serve(site.routes, log)),
            "internet": stack.enter_context(serve(site.routes, log)),
            "tls": stack.enter_context(serve(site.routes, log, certificate=folder / "self-signed.pem")),
            "closed": stack.enter_context(sentinel(log)),
        }
        if has_ipv6():
            ports["six"] = stack.enter_context(serve(site.routes, log, address="::1"))
            ports["closed6"] = stack.enter_context(sentinel(log, "::1"))
        site.proxy = f"http://127.0.0.1:{ports['closed']}"
        names = set_traps(site, ports, dripping=dripping)
        told = {
            "names": names,
            "elsewhere": {f"{PUBLIC}:80": ports["internet"]},
            "log": str(folder / "connections.log"),
        }
        (folder / "names.json").write_text(json.dumps(told))
        yield site


def packed(body: bytes, level: int = 9) -> bytes:
    """As `Content-Encoding: gzip` sends it."""
    return gzip.compress(body, level)

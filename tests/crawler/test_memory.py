"""A crawl remembers of each picture that it had it, and little more."""

from __future__ import annotations

import asyncio
import itertools
import random
import tracemalloc
from collections import deque
from collections.abc import Iterator
from hashlib import sha256

import pytest
from scrapy.http import Request, Response

from crawler.items import ImageItem
from crawler.job import CrawlRequest
from crawler.network import consent_gate
from crawler.pictures.candidates import MOST_UNDER_WAY, Candidate
from crawler.pictures.finds import RecordMaker
from crawler.pictures.queue import FetchImage
from crawler.search.frontier import Frontier, Visit
from crawler.search.listed import ListedSearch
from pipeline.records import KeywordMatch
from tests.support.crawls import EmptyLedger

COUNT = 20_000
MOST_BYTES_EACH = 250


class NoNotes:
    def page_read(self, host: str) -> None: ...
    def page_failed(self, line: str) -> None: ...
    def start_failed(self, line: str) -> None: ...
    def warn(self, line: str) -> None: ...


def shown() -> Iterator[Candidate]:
    match = (KeywordMatch("windmill", ("alt",), 0.5),)
    for number in range(COUNT):
        url = f"https://images.example.org/collection/{number:08d}/original-{number}.jpg"
        yield Candidate(ImageItem(url, f"https://example.org/page/{number // 20}", title=f"Mill {number}"), match)


def settle_all(search: ListedSearch) -> tuple[int, int, int]:
    """Fetch each picture as soon as it is asked for; how many, and the most under way and in line."""
    under_way = deque(search.begin())
    settled = most = most_waiting = 0
    while under_way or (more := search.nothing_under_way()):
        if not under_way:
            under_way.extend(more)
        most = max(most, len(under_way))
        most_waiting = max(most_waiting, search.waiting())
        step = under_way.popleft()
        if isinstance(step, FetchImage):
            settled += 1
            digest = sha256(step.candidate.item.image_url.encode()).hexdigest()
            under_way.extend(search.image_settled(step.candidate, digest, counts=True))
    return settled, most, most_waiting


def test_memory_stays_flat_over_many_pictures() -> None:
    request = CrawlRequest(keywords=("windmill",), source="list", argument="", limit=COUNT)
    search = ListedSearch(shown(), request, records=RecordMaker("list", ""), ledger=EmptyLedger(), notes=NoNotes())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        settled, most, most_waiting = settle_all(search)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert settled == COUNT
    assert most <= MOST_UNDER_WAY
    assert most_waiting <= 1000
    assert (now - before) / COUNT < MOST_BYTES_EACH
    # Those under way and in line are whole, but they are a fixed number; growing the table copies it once.
    assert (peak - before) / COUNT < MOST_BYTES_EACH + 150


def test_a_list_of_pictures_that_are_left_out_is_not_read_into_memory_at_once() -> None:
    def refused() -> Iterator[Candidate]:
        for number in range(20_000):
            yield Candidate(ImageItem(f"https://example.org/{number}.jpg", "p", width=1, height=1), ())

    request = CrawlRequest(keywords=(), source="list", argument="", limit=10)
    search = ListedSearch(refused(), request, records=RecordMaker("list", ""), ledger=EmptyLedger(), notes=NoNotes())

    sizes = [len(steps) for steps in itertools.chain([search.begin()], iter(search.nothing_under_way, []))]

    assert sum(sizes) == 20_000
    assert max(sizes) <= 1024
    assert isinstance(search.nothing_under_way(), list)


def test_pages_that_were_read_are_remembered_by_digest() -> None:
    frontier: Frontier[str] = Frontier(max_pages=COUNT, at_once=1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            frontier.add(Visit(f"https://example.org/a/rather/long/path/to/page-{number:08d}.html"), priority=0)
            [visit] = frontier.to_ask()
            frontier.answered(visit.url, "page")
            assert frontier.take() is not None
        each = (tracemalloc.get_traced_memory()[0] - before) / 20_000
    finally:
        tracemalloc.stop()

    assert each < 160


def test_pages_that_can_never_be_read_are_let_go() -> None:
    frontier: Frontier[str] = Frontier(max_pages=100, at_once=1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(50_000):
            frontier.add(Visit(f"https://example.org/a/rather/long/path/to/page-{number:08d}.html"), priority=number)
        each = (tracemalloc.get_traced_memory()[0] - before) / 50_000
    finally:
        tracemalloc.stop()

    assert each < 160


def test_letting_pages_go_changes_neither_which_are_read_nor_in_which_order() -> None:
    chance = random.Random(7)
    pages = 300
    frontier: Frontier[str] = Frontier(max_pages=pages, at_once=1)
    line: list[tuple[int, int, str]] = []
    read, expected = [], []
    for number in range(40_000):
        priority = chance.randrange(50)
        line.append((-priority, number, f"p{number}"))
        frontier.add(Visit(f"p{number}"), priority=priority)
        if number % 120 == 119 and len(expected) < pages:
            line.sort()
            expected.append(line.pop(0)[2])
            [visit] = frontier.to_ask()
            frontier.answered(visit.url, "page")
            taken = frontier.take()
            assert taken is not None
            read.append(taken[0].url)

    assert read == expected
    assert len(read) == pages
    assert frontier.was_cut


def test_what_sites_say_is_kept_of_so_many_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Engine:
        async def download_async(self, request: Request) -> Response:
            asked.append(request.url)
            return Response(request.url, status=404)

    class Crawler:
        engine = Engine()

        def get_downloader_middleware(self, _kind: object) -> None:
            return None

    async def visit(hosts: list[str]) -> None:
        gate = consent_gate.ConsentGateMiddleware(Crawler())  # type: ignore[arg-type]  # all that it needs of one
        for host in hosts:
            await gate.process_request(Request(f"http://{host}/a.jpg"))

    monkeypatch.setattr(consent_gate, "MOST_ORIGINS", 2)
    asyncio.run(visit(["a", "b", "a", "c", "a", "b"]))

    robots = [url for url in asked if url.endswith("robots.txt")]
    assert robots == [f"http://{host}/robots.txt" for host in ("a", "b", "c", "b")]

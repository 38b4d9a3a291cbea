"""The search decides alike, whichever page or picture comes first."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.pictures.finds import Find, RecordMaker
from crawler.pictures.queue import FetchImage
from crawler.search.frontier import Frontier, Visit
from crawler.search.site import Page, ReadPage, Search, Step
from crawler.sources.website import Website
from tests.support.crawls import EmptyLedger, request_for

SITE = "http://example.org"
RECORDS = RecordMaker("website", SITE)


@dataclass
class Notes:
    """What the search told."""

    pages: int = 0
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def page_read(self, host: str) -> None:
        assert host == "example.org"
        self.pages += 1

    def page_failed(self, line: str) -> None:
        self.failed.append(line)

    def start_failed(self, line: str) -> None:
        self.failed.append(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)


def make_site(shape: random.Random) -> tuple[dict[str, str | None], set[str]]:
    """Pages by address (None: does not come), and pictures that do not come."""
    names = ["/", *(f"/p{n}" for n in range(shape.randint(1, 25)))]
    pages: dict[str, str | None] = {}
    bad = set()
    for position, name in enumerate(names):
        links = shape.sample(names, shape.randint(0, min(5, len(names))))
        words = [shape.choice(["mill", "windmill", "other"]) for _ in links]
        anchors = "".join(f'<a href="{link}">{word}</a>' for link, word in zip(links, words, strict=True))
        # Each once on a page, where its first mention decides.
        images = [f"/i{number}.jpg" for number in shape.sample(range(41), shape.randint(0, 4))]
        shown = "".join(f'<img src="{image}" alt="{shape.choice(["windmill", "boat"])}">' for image in images)
        bad.update(image for image in images if shape.random() < 0.2)
        pages[SITE + name] = None if position and shape.random() < 0.1 else f"<body>{anchors}{shown}"
    return pages, {SITE + image for image in bad}


def crawl(shape_seed: int, order_seed: int, *, limit: int, max_pages: int) -> tuple[list[str], int, list[str]]:
    """Pictures that came, pages read and warnings, with steps carried out in a random order."""
    pages, bad = make_site(random.Random(shape_seed))
    order = random.Random(order_seed)
    request = request_for(
        "website", SITE, "windmill", limit=limit, max_pages=max_pages, max_depth=99, concurrency_per_host=3
    )
    notes, got = Notes(), []
    search = Search(Website(SITE), request, records=RECORDS, ledger=EmptyLedger(), notes=notes)
    under_way: list[Step] = search.begin()
    while not search.is_full:
        under_way = [step for step in under_way if not isinstance(step, Find)]
        if not under_way:
            under_way = search.nothing_under_way()
            if not any(not isinstance(step, Find) for step in under_way):
                break
            continue
        step = under_way.pop(order.randrange(len(under_way)))
        if isinstance(step, ReadPage):
            html = pages.get(step.url)
            came = (
                search.page_failed(step.url, "gone")
                if html is None
                else search.page_came(step.url, Page(step.url, html))
            )
            under_way += came
        elif isinstance(step, FetchImage):
            url = step.candidate.item.image_url
            if url not in bad:
                got.append(url)
            under_way += search.image_settled(step.candidate, None if url in bad else "d" * 64, counts=url not in bad)
    return sorted(got), notes.pages, notes.warnings


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_the_same_site_gives_the_same_pictures_in_whatever_order_its_answers_come(
    shape: int, limit: int, one_order: int, other_order: int
) -> None:
    one, _, _ = crawl(shape, one_order, limit=limit, max_pages=1000)
    other, _, _ = crawl(shape, other_order, limit=limit, max_pages=1000)

    assert one == other
    assert len(one) == len(set(one)) <= limit


@given(st.integers(0, 10_000), st.integers(0, 99), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_with_room_enough_everything_that_matches_is_found_and_no_more_pages_than_allowed_are_read(
    shape: int, order: int, max_pages: int
) -> None:
    pages, bad = make_site(random.Random(shape))
    reachable, queue = {f"{SITE}/"}, [f"{SITE}/"]
    while queue:
        html = pages[queue.pop()] or ""
        for name in pages:
            if f'href="{name.removeprefix(SITE)}"' in html and name not in reachable:
                reachable.add(name)
                queue.append(name)
    expected = {
        f"{SITE}/i{n}.jpg"
        for n in range(41)
        if any(f'src="/i{n}.jpg" alt="windmill"' in (pages[name] or "") for name in reachable)
    }

    everything, read, warnings = crawl(shape, order, limit=1000, max_pages=1000)
    _, read_few, warnings_few = crawl(shape, order, limit=1000, max_pages=max_pages)

    # A picture shown twice on one page is matched by its first mention; those sites are left to the other tests.
    twice = {
        url
        for url in expected
        if any((pages[name] or "").count(f'"{url.removeprefix(SITE)}"') > 1 for name in reachable)
    }
    assert set(everything) - twice == expected - bad - twice
    assert read == sum(pages[name] is not None for name in reachable)
    assert warnings == []
    assert read_few <= max_pages
    assert bool(warnings_few) == (len(reachable) > max_pages)


def test_a_page_that_takes_too_long_is_passed_and_read_when_it_comes() -> None:
    search = Search(
        Website(SITE), request_for("website", SITE, "windmill"), records=RECORDS, ledger=EmptyLedger(), notes=Notes()
    )
    search.begin()
    steps = search.page_came(f"{SITE}/", Page(f"{SITE}/", '<a href="/slow">windmill</a><a href="/fast">x</a>'))
    assert [step.url for step in steps if isinstance(step, ReadPage)] == [f"{SITE}/slow", f"{SITE}/fast"]

    assert search.page_came(f"{SITE}/fast", Page(f"{SITE}/fast", '<img src="/a.jpg" alt="windmill">')) == []
    assert search.is_held_up
    passed = search.go_past()
    late = search.page_came(f"{SITE}/slow", Page(f"{SITE}/slow", '<img src="/b.jpg" alt="windmill">'))

    assert [step.candidate.item.image_url for step in passed if isinstance(step, FetchImage)] == [f"{SITE}/a.jpg"]
    assert [step.candidate.item.image_url for step in late if isinstance(step, FetchImage)] == [f"{SITE}/b.jpg"]
    assert not search.is_held_up


def test_a_page_that_breaks_the_parser_is_only_one_page() -> None:
    class Fragile(Website):
        def parse(self, url: str, html: str):  # type: ignore[no-untyped-def]  # a test's
            if "boom" in html:
                raise RuntimeError("boom")
            return super().parse(url, html)

    notes = Notes()
    search = Search(
        Fragile(SITE), request_for("website", SITE, "windmill"), records=RECORDS, ledger=EmptyLedger(), notes=notes
    )
    search.begin()
    search.page_came(f"{SITE}/", Page(f"{SITE}/", '<a href="/bad">x</a><a href="/good">x</a>'))
    search.page_came(f"{SITE}/bad", Page(f"{SITE}/bad", "boom"))
    steps = search.page_came(f"{SITE}/good", Page(f"{SITE}/good", '<img src="/a.jpg" alt="windmill">'))

    assert [type(step) for step in steps] == [FetchImage]
    assert notes.failed == [f"{SITE}/bad: could not be understood: RuntimeError('boom')"]


def test_two_addresses_of_one_page_are_read_once() -> None:
    notes = Notes()
    search = Search(
        Website(SITE), request_for("website", SITE, "windmill"), records=RECORDS, ledger=EmptyLedger(), notes=notes
    )
    search.begin()
    search.page_came(f"{SITE}/", Page(f"{SITE}/", '<a href="/a">x</a><a href="/b">x</a>'))

    search.page_came(f"{SITE}/a", Page(f"{SITE}/final", "<p>"))
    search.page_came(f"{SITE}/b", Page(f"{SITE}/final", "<p>"))

    assert notes.pages == 2


def test_pages_are_asked_for_best_first_and_never_more_than_allowed_at_once() -> None:
    frontier: Frontier[str] = Frontier(max_pages=100, at_once=2)
    for name, priority in (("a", 0), ("b", 5), ("c", 5), ("d", 9)):
        frontier.add(Visit(name), priority=priority)

    assert [visit.url for visit in frontier.to_ask()] == ["d", "b"]
    assert list(frontier.to_ask()) == []
    frontier.answered("b", "page b")
    assert frontier.take() is None
    assert frontier.is_held_up
    frontier.answered("d", "page d")
    assert frontier.take() == (Visit("d"), "page d")
    assert frontier.take() == (Visit("b"), "page b")
    assert [visit.url for visit in frontier.to_ask()] == ["c", "a"]


@pytest.mark.parametrize("max_pages", [1, 2, 3])
def test_no_more_pages_are_taken_than_allowed(max_pages: int) -> None:
    frontier: Frontier[str] = Frontier(max_pages=max_pages, at_once=8)
    for name in "abcde":
        frontier.add(Visit(name), priority=0)
    asked = [visit.url for visit in frontier.to_ask()]
    for name in asked:
        frontier.answered(name, name)

    taken = []
    while (arrival := frontier.take()) is not None:
        taken.append(arrival[1])

    assert taken == list("abcde")[:max_pages]
    assert len(asked) == max_pages
    assert frontier.was_cut

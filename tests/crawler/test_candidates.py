from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crawler.items import ImageItem
from crawler.pictures.candidates import MAX_SIGHTINGS, Candidate, Candidates
from pipeline.records import KeywordMatch


def candidate(name: str, *, page: str = "p", score: float = 0.5, thumbnail_of: str | None = None) -> Candidate:
    return Candidate(ImageItem(name, page, thumbnail_of=thumbnail_of), (KeywordMatch("k", ("alt",), score),))


def take(queue: Candidates) -> list[str]:
    names = []
    while (found := queue.next()) is not None:
        names.append(found.item.image_url)
    return names


def test_candidates_come_in_the_order_found_and_each_once() -> None:
    queue = Candidates(limit=10)
    for name in ("a", "b", "a", "c"):
        queue.offer(candidate(name))

    assert take(queue) == ["a", "b", "c"]


@given(st.integers(1, 8), st.lists(st.booleans(), max_size=40))
def test_never_more_than_the_limit_are_collected_and_never_fewer_than_there_are(limit: int, good: list[bool]) -> None:
    queue = Candidates(limit)
    for number in range(len(good)):
        queue.offer(candidate(str(number)))

    collected = 0
    while batch := [found for _ in range(3) if (found := queue.next()) is not None]:
        assert collected + len(batch) <= limit
        for found in batch:
            is_good = good[int(found.item.image_url)]
            collected += is_good
            queue.settle(found, sha256="5" * 64 if is_good else None, counts=is_good)

    assert collected == min(limit, sum(good))
    assert queue.is_full == (collected == limit)


def test_an_address_is_fetched_once_and_its_other_pages_are_sightings() -> None:
    queue = Candidates(limit=10)
    queue.offer(candidate("a", page="p1"))
    queue.offer(candidate("a", page="p2"))
    queue.offer(candidate("a", page="p2"))
    first = queue.next()
    assert first is not None

    sightings = queue.settle(first, sha256="d1" * 32, counts=True)

    assert [sighting.item.page_url for sighting in sightings] == ["p2"]
    assert queue.next() is None
    assert queue.offer(candidate("a", page="p3")) is True
    assert queue.sha256_of("a") == "d1" * 32
    assert queue.offer(candidate("a", page=f"p{MAX_SIGHTINGS + 1}")) is False


def test_what_came_to_nothing_has_no_sightings() -> None:
    queue = Candidates(limit=10)
    queue.offer(candidate("a", page="p1"))
    queue.offer(candidate("a", page="p2"))
    first = queue.next()
    assert first is not None

    assert queue.settle(first, sha256=None, counts=False) == []
    assert queue.offer(candidate("a", page="p3")) is False


def test_a_thumbnail_waits_for_its_page_and_is_dropped_when_that_has_the_picture() -> None:
    queue = Candidates(limit=10)
    queue.defer(candidate("t1", thumbnail_of="page1"))
    queue.defer(candidate("t2", thumbnail_of="page2"))
    assert queue.next() is None

    queue.has_full_size("page1")
    queue.defer(candidate("t1", page="other", thumbnail_of="page1"))

    assert [found.item.image_url for found in queue.take_thumbnails()] == ["t2"]
    assert queue.take_thumbnails() == []

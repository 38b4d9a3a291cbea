from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Counts, IngestProgress, ItemFilter, NewItem, NewSighting
from tests.support.items import representatives_of_run

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def uow(address: str) -> Iterator[UnitOfWork]:
    with open_catalog(address) as catalog, catalog.write() as unit:
        yield unit


def digest(number: int) -> str:
    return f"{number:064x}"


def add_run(uow: UnitOfWork, **facts: Any) -> int:
    values = {
        "keywords": ["mill"],
        "source": "website=x",
        "parameters": {"limit": 3},
        "process": "h:1:1",
        "version": "1",
    }
    return uow.runs.start("run", **{**values, **facts})


def add_item(uow: UnitOfWork, number: int, **facts: Any) -> int:
    uow.blobs.add(digest(number), size_bytes=100 * number, media_type="image/png")
    item_id = uow.items.add(
        NewItem(
            **{
                "blob_sha256": digest(number),
                "pixel_sha256": digest(1000 + number),
                "width": 80,
                "height": 70,
                "format": "PNG",
                "frames": 1,
                **facts,
            }
        )
    )
    assert item_id is not None
    return item_id


def new_sighting(item_id: int, number: int, **facts: Any) -> NewSighting:
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(NewSighting)} | {
        "item_id": item_id,
        "blob_sha256": digest(number),
        "relation": "first",
        "source": "website",
        "source_argument": "x",
        "image_url": f"https://example.org/{number}.png",
        "page_url": "https://example.org/",
        "tags": ("a", "b"),
        "http": {"status": 200},
        "fetched_at": MOMENT,
        "last_seen_at": MOMENT,
    }
    return NewSighting(**{**values, **facts})


def add_derivation(uow: UnitOfWork, item_id: int, number: int, **facts: Any) -> int:
    uow.blobs.add(digest(number), size_bytes=7, media_type="image/png")
    values: dict[str, Any] = {
        "key": digest(2000 + number),
        "item_id": item_id,
        "run_id": None,
        "preset": "classic",
        "network": "inception",
        "recipe": {"octaves": 3},
        "recipe_sha256": digest(1),
        "weights_sha256": digest(2),
        "blob_sha256": digest(number),
        "pixel_sha256": digest(3000 + number),
        "width": 80,
        "height": 70,
        "file_name": f"{number}.png",
        "manifest": {"made": True},
        "manifest_sha256": digest(3),
        "seconds": 1.5,
    }
    return uow.derivations.add(**{**values, **facts})


def test_a_run_is_kept_as_it_was_told(uow: UnitOfWork) -> None:
    run_id = add_run(uow, flow_run_id="f", collection="daily")
    uow.runs.update_counters(run_id, {"found": 3})
    running = uow.runs.get(run_id)
    uow.runs.finish(run_id, "failed", {"found": 4}, error="no network")
    ended = uow.runs.get(run_id)

    assert (running.status, running.counters, running.finished_at) == ("running", {"found": 3}, None)
    assert (ended.status, ended.counters, ended.error) == ("failed", {"found": 4}, "no network")
    assert (ended.keywords, ended.parameters, ended.collection) == (("mill",), {"limit": 3}, "daily")
    assert running.started_at <= ended.finished_at
    assert ended.finished_at.tzinfo is not None
    assert uow.runs.get(99) is None


def test_runs_are_listed_newest_first(uow: UnitOfWork) -> None:
    ids = [add_run(uow) for _ in range(4)]

    assert [run.id for run in uow.runs.list(limit=3)] == ids[:0:-1]


def test_a_run_keeps_the_strongest_role_and_the_first_place(uow: UnitOfWork) -> None:
    run_id = add_run(uow)
    first, second, third = (add_item(uow, number) for number in (1, 2, 3))
    for met in [(third, "known"), (first, "exact_duplicate"), (third, "accepted"), (second, "accepted")]:
        uow.runs.add_items(run_id, [met])
    uow.runs.add_items(run_id, [(third, "exact_duplicate")])

    assert representatives_of_run(uow, run_id) == [third, first, second]
    from sqlalchemy import text

    roles = dict(uow.session.execute(text("SELECT item_id, role FROM run_item")).tuples().all())
    assert roles == {third: "accepted", first: "exact_duplicate", second: "accepted"}


def test_near_duplicates_are_stood_for_by_what_they_resemble(uow: UnitOfWork) -> None:
    run_id = add_run(uow)
    original, other = add_item(uow, 1), add_item(uow, 2)
    near = add_item(uow, 3, near_duplicate_of_id=original, near_duplicate_distance=4)
    uow.runs.add_items(run_id, [(item_id, "accepted") for item_id in (near, other, original)])

    assert representatives_of_run(uow, run_id) == [original, other]
    assert uow.items.representatives([other, near, original, 99]) == [other, original]
    assert uow.items.representative_ids() == [original, other]


def test_neither_bytes_nor_pixels_are_kept_twice(uow: UnitOfWork) -> None:
    add_item(uow, 1)
    uow.blobs.add(digest(5), size_bytes=1, media_type="image/png")
    same = {"width": 1, "height": 1, "format": "PNG", "frames": 1}

    assert uow.items.add(NewItem(blob_sha256=digest(1), pixel_sha256=digest(9), **same)) is None
    assert uow.items.add(NewItem(blob_sha256=digest(5), pixel_sha256=digest(1001), **same)) is None
    assert uow.items.count() == 1


def test_an_item_that_breaks_another_rule_is_no_duplicate(uow: UnitOfWork) -> None:
    from sqlalchemy.exc import IntegrityError

    same = {"width": 1, "height": 1, "format": "PNG", "frames": 1}

    with pytest.raises(IntegrityError), uow.session.begin_nested():
        uow.items.add(NewItem(blob_sha256=digest(7), pixel_sha256=digest(8), **same))  # no such blob
    uow.blobs.add(digest(7), size_bytes=1, media_type="image/png")
    with pytest.raises(IntegrityError), uow.session.begin_nested():
        uow.items.add(NewItem(blob_sha256=digest(7), pixel_sha256=digest(8), near_duplicate_of_id=99, **same))


def test_an_item_is_found_by_its_pixels_and_by_any_of_its_files(uow: UnitOfWork) -> None:
    item_id = add_item(uow, 1, title="Mill")
    uow.blobs.add(digest(2), size_bytes=5, media_type="image/webp")
    uow.sightings.add(new_sighting(item_id, 2, relation="same_pixels"))

    found = uow.items.get(item_id)

    assert found.title == "Mill"
    assert uow.items.by_pixel_sha256(digest(1001)) == found
    assert uow.items.by_sha256(digest(1)) == found
    assert uow.items.by_sha256(digest(2)) == found
    assert uow.items.by_sha256(digest(3)) is None
    assert uow.items.get(99) is None


def test_what_an_item_lacks_is_filled_in_and_what_it_has_stays(uow: UnitOfWork) -> None:
    bare, licensed = add_item(uow, 1), add_item(uow, 2, license_id="CC0-1.0", creator="Ada")
    facts = {"title": "Mill", "creator": "Bob", "license_id": "CC-BY-4.0", "license_url": "https://example.org/by"}
    for item_id in (bare, licensed):
        uow.items.fill_in(item_id, facts)
    uow.items.fill_in(99, facts)

    first, second = uow.items.get(bare), uow.items.get(licensed)

    assert (first.title, first.creator) == ("Mill", "Bob")
    assert (first.license_id, first.license_url) == ("CC-BY-4.0", "https://example.org/by")
    assert (second.title, second.creator) == ("Mill", "Ada")
    assert (second.license_id, second.license_url) == ("CC0-1.0", None)


def test_the_same_sighting_is_kept_once_and_moves_on(uow: UnitOfWork) -> None:
    item_id = add_item(uow, 1)
    later = MOMENT + timedelta(days=2)

    assert uow.sightings.add(new_sighting(item_id, 1))
    assert not uow.sightings.add(new_sighting(item_id, 1, last_seen_at=later, title="other"))
    assert not uow.sightings.add(new_sighting(item_id, 1, last_seen_at=MOMENT - timedelta(days=2)))
    assert uow.sightings.add(new_sighting(item_id, 1, page_url="https://example.org/other"))

    first, second = uow.sightings.of_item(item_id)
    assert (first.fetched_at, first.last_seen_at, first.title) == (MOMENT, later, None)
    assert (first.tags, first.http) == (("a", "b"), {"status": 200})
    assert second.page_url == "https://example.org/other"


def test_touching_an_address_moves_all_its_sightings(uow: UnitOfWork) -> None:
    item_id = add_item(uow, 1)
    for page in ("a", "b"):
        uow.sightings.add(new_sighting(item_id, 1, page_url=page))
    uow.sightings.touch("https://example.org/1.png", seen_at=MOMENT + timedelta(hours=1))
    uow.sightings.touch("https://example.org/other.png", seen_at=MOMENT + timedelta(hours=9))

    assert {s.last_seen_at for s in uow.sightings.of_item(item_id)} == {MOMENT + timedelta(hours=1)}


def test_of_several_matches_of_a_keyword_the_best_is_kept(uow: UnitOfWork) -> None:
    item_id = add_item(uow, 1)
    for keyword, fields, score in [("Mill", ("alt",), 0.4), ("mill", ("title",), 0.9), ("MILL", ("tags",), 0.2)]:
        uow.items.add_keyword(item_id, keyword, fields=fields, score=score)
    uow.items.add_keyword(item_id, "water", fields=("tags",), score=0.95)
    uow.items.add_keyword(item_id, "x" * 500, fields=(), score=0.1)

    found = uow.items.keywords(item_id)

    assert [(entry.keyword, entry.fields, entry.score) for entry in found[:2]] == [
        ("water", ("tags",), 0.95),
        ("mill", ("title",), 0.9),
    ]
    assert len(found[2].keyword) == 200


def test_hashes_are_listed_from_an_id_on_and_kept_once(uow: UnitOfWork) -> None:
    first, second = add_item(uow, 1), add_item(uow, 2)
    for item_id in (first, second, first):
        hashes = {"a": bytes([item_id]) * 32, "b": b"\xff" * 32} if item_id == first else {"a": b"\x02" * 32}
        uow.duplicates.sign(item_id, algorithm="a", hashes=hashes, views=b"views", searched=True)

    ((ids, bits),) = uow.duplicates.hashes_after(0, ("a", "b"))

    assert bits == b"\x01" * 32 + b"\xff" * 32 + b"\x02" * 32
    assert [(one.item_id, one.algorithm) for one in uow.duplicates.fingerprints(ids).values()] == [
        (first, "a"),
        (first, "b"),
        (second, "a"),
    ]
    assert list(uow.duplicates.hashes_after(ids[1], ("a", "b"))) == [([ids[2]], b"\x02" * 32)]
    assert list(uow.duplicates.hashes_after(ids[0], ("a",))) == [([ids[2]], b"\x02" * 32)]
    assert list(uow.duplicates.hashes_after(ids[2], ("a", "b"))) == []
    assert uow.duplicates.hashes_of(first, ("a",)) == {"a": b"\x01" * 32}
    assert uow.duplicates.views([first, second, 99], "a") == {first: b"views", second: b"views"}


@pytest.fixture
def furnished(uow: UnitOfWork) -> dict[str, int]:
    run_id = add_run(uow)
    mill = add_item(uow, 1, title="Old Mill 100%", license_id="CC0-1.0")
    boat = add_item(uow, 2, title="Boat", license_id="CC-BY-4.0", creator="Ünal")
    plain = add_item(uow, 3)
    near = add_item(uow, 4, near_duplicate_of_id=mill, near_duplicate_distance=3, title="mill again")
    uow.items.add_keyword(mill, "windmill", fields=(), score=0.5)
    uow.items.add_keyword(boat, "lake", fields=(), score=0.5)
    uow.sightings.add(new_sighting(mill, 1, caption="by the river"))
    uow.sightings.add(new_sighting(boat, 2, source="folder", alt="A red BOAT"))
    uow.runs.add_items(run_id, [(boat, "accepted")])
    add_derivation(uow, boat, 9)
    return {"mill": mill, "boat": boat, "plain": plain, "near": near}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ItemFilter(), ["mill", "boat", "plain", "near"]),
        (ItemFilter(near_duplicates=False), ["mill", "boat", "plain"]),
        (ItemFilter(keyword="WindMill"), ["mill"]),
        (ItemFilter(keyword="wind"), []),
        (ItemFilter(source="folder"), ["boat"]),
        (ItemFilter(license_id="CC0-1.0"), ["mill"]),
        (ItemFilter(license_id=""), ["plain", "near"]),
        (ItemFilter(dreamed=True), ["boat"]),
        (ItemFilter(dreamed=False, near_duplicates=False), ["mill", "plain"]),
        (ItemFilter(run_id=1), ["boat"]),
        (ItemFilter(ids=(2, 3, 99)), ["boat", "plain"]),
        (ItemFilter(ids=()), []),
        (ItemFilter(text="mill"), ["mill", "near"]),
        (ItemFilter(text="MILL river"), ["mill"]),
        (ItemFilter(text="red"), ["boat"]),
        (ItemFilter(text="lak"), ["boat"]),
        (ItemFilter(text="100%"), ["mill"]),
        (ItemFilter(text="100% mil"), ["mill"]),
        (ItemFilter(text="%"), []),
        (ItemFilter(text="  "), ["mill", "boat", "plain", "near"]),
        (ItemFilter(text="ill"), []),
        (ItemFilter(text="_"), []),
        (ItemFilter(keyword="lake", source="website"), []),
    ],
)
def test_filters_narrow_the_list(
    uow: UnitOfWork, furnished: dict[str, int], wanted: ItemFilter, names: list[str]
) -> None:
    expected = [furnished[name] for name in names]

    assert [item.id for item in uow.items.list(wanted)] == expected
    assert uow.items.count(wanted) == len(expected)


def test_lists_go_on_after_an_id(uow: UnitOfWork, furnished: dict[str, int]) -> None:
    ids = sorted(furnished.values())

    assert [item.id for item in uow.items.list(limit=2)] == ids[:2]
    assert [item.id for item in uow.items.list(limit=2, after_id=ids[1])] == ids[2:]
    assert [item.id for item in uow.items.list(limit=None)] == ids


def test_counts_tell_what_there_is(uow: UnitOfWork, furnished: dict[str, int]) -> None:
    assert uow.counts() == Counts(
        items=len(furnished), near_duplicates=1, withdrawn=0, sightings=2, derivations=1, runs=1, blobs=5, bytes=1007
    )


def test_an_empty_catalog_counts_nothing(uow: UnitOfWork) -> None:
    assert uow.counts() == Counts(0, 0, 0, 0, 0, 0, 0, 0)


def test_a_derivation_is_kept_once_by_its_key(uow: UnitOfWork) -> None:
    run_id, item_id = add_run(uow), add_item(uow, 1)
    first = add_derivation(uow, item_id, 5, run_id=run_id)
    again = add_derivation(uow, item_id, 5, run_id=None, seconds=99.0)
    other = add_derivation(uow, item_id, 6)

    found = uow.derivations.get(first)

    assert first == again != other
    assert (found.seconds, found.recipe, found.manifest) == (1.5, {"octaves": 3}, {"made": True})
    assert uow.derivations.by_key(digest(2005)) == found
    assert uow.derivations.by_blob_sha256(digest(5)) == found
    assert uow.derivations.by_pixel_sha256(digest(3005)) == found
    assert uow.derivations.by_file_name("5.png") == found
    assert uow.derivations.by_key("x") is None
    assert [derivation.id for derivation in uow.derivations.of_item(item_id)] == [first, other]
    assert [derivation.id for derivation in uow.derivations.of_run(run_id)] == [first]
    assert uow.derivations.all_ids() == [first, other]
    assert [derivation.id for derivation in uow.derivations.list(after_id=first)] == [other]


def test_of_several_reasons_within_a_run_the_last_stays(uow: UnitOfWork) -> None:
    run_id, other = add_run(uow), add_run(uow)
    told = {"page_url": None, "stage": "crawl", "detail": "d", "at": MOMENT}
    uow.rejections.add(run_id, "https://a", reason="timeout", **told)
    uow.rejections.add(run_id, "https://b", reason="robots", **told)
    uow.rejections.add(run_id, "https://a", reason="corrupt", **{**told, "stage": "ingest"})
    uow.rejections.add(other, "https://a", reason="robots", **told)

    found = uow.rejections.of_run(run_id)

    assert [(r.image_url, r.reason, r.stage, r.at) for r in found] == [
        ("https://a", "corrupt", "ingest", MOMENT),
        ("https://b", "robots", "crawl", MOMENT),
    ]
    assert len(uow.rejections.of_run(run_id, limit=1)) == 1


def test_collections_are_kept_by_name(uow: UnitOfWork) -> None:
    facts = {
        "keywords": ["mill", "lake"],
        "source": "website=https://example.org/",
        "limit": 5,
        "preset": "classic",
        "network": None,
        "cron": "0 6 * * *",
        "timezone": "Europe/Berlin",
    }
    uow.collections.add(name="zoo", **facts)
    first = uow.collections.add(name="mills", **facts)

    assert uow.collections.add(name="mills", **facts) is None
    found = uow.collections.get("mills")
    assert (found.id, found.keywords, found.limit, found.network) == (first, ("mill", "lake"), 5, None)
    assert [collection.name for collection in uow.collections.list()] == ["mills", "zoo"]
    assert uow.collections.remove("mills")
    assert not uow.collections.remove("mills")
    assert uow.collections.get("mills") is None


def test_progress_is_kept_for_each_inbox_until_it_is_forgotten(uow: UnitOfWork) -> None:
    first = IngestProgress("one", 3, "rejected", None, "corrupt", "d")
    second = IngestProgress("one", 4, "known")
    uow.ingest_progress.add_all([first, second])
    uow.ingest_progress.add_all([IngestProgress("one", 3, "accepted"), IngestProgress("two", 3, "known")])

    assert uow.ingest_progress.of_crawl("one") == {3: first, 4: second}
    assert uow.ingest_progress.of_positions("one", [2, 3, 9]) == {3: first}
    uow.ingest_progress.forget("one")
    assert uow.ingest_progress.of_crawl("one") == {}
    assert len(uow.ingest_progress.of_crawl("two")) == 1


def test_naive_moments_are_refused(uow: UnitOfWork) -> None:
    from sqlalchemy.exc import StatementError

    item_id = add_item(uow, 1)

    with pytest.raises(StatementError, match="aware"):
        uow.sightings.add(new_sighting(item_id, 1, fetched_at=datetime(2026, 1, 1)))  # noqa: DTZ001  # the point

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from pipeline.catalog.ledger import Ledger
from pipeline.duplicates.search import ALGORITHMS
from pipeline.errors import ImageRejected, InboxUnusable, NotFound, Reason, StoreCorrupt, WorkspaceUnusable
from pipeline.fingerprints import pixel_sha256, sha256
from pipeline.images import ImageLimits
from pipeline.ingest.single import ingest_file
from pipeline.records import HttpFacts, IngestReport
from tests.support.inboxes import FOUND_AT, failed, fetched, known, refused
from tests.support.ingesting import IngestWorkshop
from tests.support.items import representatives_of_run
from tests.support.pictures import file_of, scene, scene_file


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[IngestWorkshop]:
    workshop = IngestWorkshop(tmp_path)
    yield workshop
    workshop.catalog.close()


def test_a_new_picture_becomes_an_item_with_its_bytes_in_the_store(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    rgb = scene(1)
    data = file_of(rgb)
    record = fetched("a.png", keyword="Wind Mill", title="Mill", alt="a mill", tags=("old", "mill"), creator="Ada")

    report = shop.ingest((record, data), run_id=run_id)

    assert report == IngestReport(fetched=1, accepted=1, item_ids=(1,))
    with shop.catalog.read() as uow:
        item, (sighting,), (keyword,) = uow.items.get(1), uow.sightings.of_item(1), uow.items.keywords(1)
        entry = uow.ledger.known(["https://example.org/a.png"])["https://example.org/a.png"]
        blob = uow.blobs.get(sha256(data))
        assert representatives_of_run(uow, run_id) == [1]
        assert [len(bits) for bits in uow.duplicates.hashes_of(1, ALGORITHMS).values()] == [32]
    assert (item.blob_sha256, item.pixel_sha256) == (sha256(data), pixel_sha256(rgb))
    assert (item.width, item.height, item.format, item.frames) == (160, 120, "PNG", 1)
    assert (item.title, item.creator, item.license_id, item.first_run_id) == ("Mill", "Ada", None, run_id)
    assert (sighting.relation, sighting.run_id, sighting.source) == ("first", run_id, "website")
    assert (sighting.alt, sighting.tags) == ("a mill", ("old", "mill"))
    assert sighting.fetched_at == sighting.last_seen_at == datetime.fromisoformat(FOUND_AT)
    assert (keyword.keyword, keyword.fields, keyword.score) == ("wind mill", ("title",), 0.5)
    assert (entry.state, entry.item_id, entry.sha256) == ("kept", 1, sha256(data))
    assert (blob.size_bytes, blob.media_type) == (len(data), "image/png")
    assert shop.store.read(sha256(data)) == data


def test_the_inbox_is_gone_afterwards(shop: IngestWorkshop) -> None:
    path = shop.inbox((fetched("a.png"), scene_file(1)))

    shop.take(path)

    assert list((shop.root / "inbox").iterdir()) == []
    with shop.catalog.read() as uow:
        assert uow.ingest_progress.of_crawl("crawl-1") == {}
    with pytest.raises(InboxUnusable):
        shop.take(path)


def test_bad_pictures_are_rejected_with_their_reason_and_stop_nothing(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    bad = {
        "page.jpg": (b"<html>404</html>", Reason.NOT_AN_IMAGE),
        "cut.jpg": (scene_file(1, "JPEG")[:-500], Reason.TRUNCATED),
        "icon.png": (scene_file(1, width=16, height=16), Reason.TOO_SMALL),
        "scan.tif": (scene_file(1, "TIFF"), Reason.FORMAT_NOT_ALLOWED),
        "empty.png": (b"", Reason.EMPTY),
        "big.png": (scene_file(3, width=500, height=300), Reason.TOO_MANY_PIXELS),
    }
    candidates = [(fetched(name), data) for name, (data, _) in bad.items()]

    report = shop.ingest(
        *candidates, (fetched("good.png"), scene_file(2)), run_id=run_id, limits=ImageLimits(max_pixels=100_000)
    )

    reasons = {reason.value: 1 for _, reason in bad.values()}
    assert report == IngestReport(fetched=7, accepted=1, rejected=6, reasons=reasons, item_ids=(1,))
    with shop.catalog.read() as uow:
        rejections = {r.image_url.rsplit("/", 1)[1]: r for r in uow.rejections.of_run(run_id)}
        entries = uow.ledger.known(f"https://example.org/{name}" for name in bad)
        assert uow.counts().blobs == 1
    assert {name: r.reason for name, r in rejections.items()} == {name: reason for name, (_, reason) in bad.items()}
    assert {r.stage for r in rejections.values()} == {"ingest"}
    assert all(r.detail for r in rejections.values())
    assert {entry.state for entry in entries.values()} == {"rejected"}
    assert not any(entry.fetch_again for entry in entries.values())
    assert list(shop.store.digests()) == [sha256(scene_file(2))]


def test_what_the_crawl_did_not_get_goes_to_ledger_and_run(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    http = HttpFacts("https://example.org/c.png", 503)

    report = shop.ingest(
        (refused("a.png"), None),
        (failed("b.png"), None),
        (failed("c.png", Reason.HTTP_SERVER_ERROR, http=http), None),
        (fetched("d.png"), scene_file(1)),
        run_id=run_id,
    )

    assert report == IngestReport(fetched=1, accepted=1, item_ids=(1,))
    with Ledger.open(shop.root / "catalog.sqlite3") as ledger:
        entries = ledger.known(f"https://example.org/{name}.png" for name in "abcd")
    states = {url[-5]: (entry.state, entry.fetch_again) for url, entry in entries.items()}
    assert states == {"a": ("refused", False), "b": ("failed", True), "c": ("failed", True), "d": ("kept", False)}
    with shop.catalog.read() as uow:
        found = [(r.stage, r.reason, r.detail) for r in uow.rejections.of_run(run_id)]
    assert found == [
        ("crawl", "robots", "robots.txt says no"),
        ("crawl", "timeout", "no answer"),
        ("crawl", "http_5xx", "no answer"),
    ]


def test_known_pictures_are_listed_and_seen_again(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    shop.ingest((fetched("a.png", keyword="mill"), scene_file(1)), (fetched("bad.png"), b"text"))
    later = "2026-05-01T00:00:00+00:00"

    report = shop.ingest(
        (known("a.png", keyword="lake", found_at=later), None),
        (known("bad.png"), None),
        (known("never-heard-of.png"), None),
        run_id=run_id,
    )

    assert report == IngestReport(known=3, item_ids=(1,))
    with shop.catalog.read() as uow:
        (sighting,) = uow.sightings.of_item(1)
        assert sighting.last_seen_at == datetime(2026, 5, 1, tzinfo=UTC)
        assert sighting.fetched_at == datetime.fromisoformat(FOUND_AT)
        assert {keyword.keyword for keyword in uow.items.keywords(1)} == {"mill", "lake"}
        assert representatives_of_run(uow, run_id) == [1]


def test_a_known_picture_is_found_by_its_digest_too(shop: IngestWorkshop) -> None:
    shop.ingest((fetched("a.png"), scene_file(1)))

    report = shop.ingest((known("moved.png", sha256=sha256(scene_file(1))), None))

    assert report.item_ids == (1,)


def test_items_are_listed_once_in_the_order_met(shop: IngestWorkshop) -> None:
    shop.ingest(*((fetched(f"{n}.png"), scene_file(n)) for n in (1, 2, 3)))
    run_id = shop.run()

    report = shop.ingest(
        (known("3.png"), None),
        (fetched("new.png"), scene_file(4)),
        (fetched("copy.png"), scene_file(1)),
        (known("3.png"), None),
        (fetched("copy2.png"), scene_file(4)),
        run_id=run_id,
    )

    assert report.item_ids == (3, 4, 1)
    assert (report.accepted, report.exact_duplicates, report.known) == (1, 2, 2)
    with shop.catalog.read() as uow:
        assert representatives_of_run(uow, run_id) == [3, 4, 1]


def test_without_a_run_the_run_that_crawled_is_taken(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    path = shop.inbox((fetched("a.png"), scene_file(1)), (failed("b.png"), None), run_id=run_id)
    unknown = shop.inbox((fetched("c.png"), scene_file(2)), (failed("d.png"), None), run_id=99)

    shop.take(path)
    shop.take(unknown)

    with shop.catalog.read() as uow:
        assert uow.items.get(1).first_run_id == run_id
        assert len(uow.rejections.of_run(run_id)) == 1
        assert uow.items.get(2).first_run_id is None
        assert uow.ledger.known(["https://example.org/d.png"])


def test_an_inbox_that_came_back_changes_nothing(shop: IngestWorkshop) -> None:
    """As when a kill came after the last row and before the inbox was deleted, and its progress was lost too."""
    candidates = [(fetched("a.png"), scene_file(1)), (fetched("b.png"), scene_file(2))]
    run_id = shop.run()
    shop.ingest(*candidates, run_id=run_id)

    report = shop.ingest(*candidates, run_id=run_id)

    assert report == IngestReport(fetched=2, exact_duplicates=2, item_ids=(1, 2))
    with shop.catalog.read() as uow:
        assert (uow.counts().items, uow.counts().sightings) == (2, 2)


def test_bytes_lost_in_the_inbox_cost_one_picture_and_are_fetched_again(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    path = shop.inbox(*((fetched(f"{n}.png"), scene_file(n)) for n in (1, 2, 3)))
    blobs = path / "blobs.bin"
    blobs.write_bytes(blobs.read_bytes().replace(scene_file(2), b"x" * len(scene_file(2))))

    report = shop.take(path, run_id=run_id)

    assert report == IngestReport(fetched=3, accepted=2, rejected=1, reasons={"unreadable": 1}, item_ids=(1, 2))
    with shop.catalog.read() as uow:
        assert uow.ledger.known(["https://example.org/2.png"])["https://example.org/2.png"].fetch_again


def test_a_file_lost_from_the_store_comes_back_with_its_bytes(shop: IngestWorkshop) -> None:
    data = scene_file(1)
    shop.ingest((fetched("a.png"), data))
    shop.store.path(sha256(data)).unlink()
    with pytest.raises(StoreCorrupt):
        shop.store.read(sha256(data))

    shop.ingest((fetched("b.png"), data))

    assert shop.store.read(sha256(data)) == data


def test_a_store_that_cannot_be_written_leaves_the_inbox_to_be_taken_later(shop: IngestWorkshop) -> None:
    path = shop.inbox((fetched("bad.png"), b"text"), (fetched("a.png"), scene_file(1)))
    (shop.root / "store").write_text("in the way")

    with pytest.raises(WorkspaceUnusable):
        shop.take(path)

    with shop.catalog.read() as uow:
        assert (uow.counts().items, uow.counts().blobs, uow.counts().sightings) == (0, 0, 0)
    (shop.root / "store").unlink()
    assert shop.take(path) == IngestReport(
        fetched=2, accepted=1, rejected=1, reasons={"not_an_image": 1}, item_ids=(1,)
    )


def test_an_inbox_that_is_not_sealed_is_left_alone(shop: IngestWorkshop) -> None:
    path = shop.inbox((fetched("a.png"), scene_file(1)))
    (path / "sealed.json").unlink()

    with pytest.raises(InboxUnusable, match="sealed"):
        shop.take(path)

    assert (path / "records.jsonl").exists()


def test_progress_is_told_for_every_record(shop: IngestWorkshop) -> None:
    told: list[tuple[int, int]] = []
    candidates = [(fetched("a.png"), scene_file(1)), (failed("b.png"), None), (fetched("c.png"), b"text")]

    shop.ingest(*candidates, on_progress=lambda done, of: told.append((done, of)))

    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_empty_inbox_is_fine(shop: IngestWorkshop) -> None:
    assert shop.ingest() == IngestReport()


def test_one_file_of_the_users_is_taken_without_a_crawl(shop: IngestWorkshop, tmp_path: Path) -> None:
    run_id = shop.run()
    file = tmp_path / "my photo ä.jpg"
    file.write_bytes(scene_file(1, "JPEG"))
    options = {"catalog": shop.catalog, "store": shop.store, "limits": ImageLimits(), "near_distance": 48}

    first = ingest_file(file, run_id=run_id, **options)
    again = ingest_file(file, run_id=None, **options)

    assert first == again == 1
    with shop.catalog.read() as uow:
        (sighting,) = uow.sightings.of_item(1)
        assert (sighting.source, sighting.image_url) == ("file", file.as_uri())
        assert representatives_of_run(uow, run_id) == [1]


def test_a_file_that_is_no_picture_is_told(shop: IngestWorkshop, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "long.png").write_bytes(scene_file(1))
    options = {"catalog": shop.catalog, "store": shop.store, "run_id": None, "near_distance": 48}

    with pytest.raises(ImageRejected, match=r"notes\.txt: text"):
        ingest_file(tmp_path / "notes.txt", limits=ImageLimits(), **options)
    with pytest.raises(ImageRejected, match="at most 1000"):
        ingest_file(tmp_path / "long.png", limits=ImageLimits(max_bytes=1000), **options)
    with pytest.raises(NotFound, match="cannot be read"):
        ingest_file(tmp_path / "nothing.png", limits=ImageLimits(), **options)
    with pytest.raises(NotFound, match="is a folder"):
        ingest_file(tmp_path, limits=ImageLimits(), **options)


def test_a_report_is_made_of_plain_values(shop: IngestWorkshop) -> None:
    import dataclasses

    report = shop.ingest((fetched("a.png"), scene_file(1)), (fetched("b.png"), b"x"))

    assert json.loads(json.dumps(dataclasses.asdict(report)))["reasons"] == {"not_an_image": 1}


def test_the_ledger_knows_a_kept_picture_as_it_was_decoded(shop: IngestWorkshop) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = file_of(scene(9, width=200, height=100), "WEBP", exif=exif)
    record = fetched("turned.webp", width=200, height=100, media_type="image/jpeg")

    shop.ingest((record, data))

    entry = Ledger(shop.catalog).find(record, source="website")
    assert entry is not None
    assert (entry.width, entry.height, entry.media_type) == (100, 200, "image/webp")
    assert entry.size_bytes == len(data)

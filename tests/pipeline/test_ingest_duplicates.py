"""What is kept once, and what is linked: the same bytes, the same pixels, near duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.duplicates.signatures import sign
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE, sha256
from pipeline.records import IngestReport
from tests.support.hashes import hamming_distance
from tests.support.inboxes import fetched
from tests.support.ingesting import IngestWorkshop
from tests.support.items import representatives_of_run
from tests.support.pictures import file_of, scene, scene_file


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[IngestWorkshop]:
    workshop = IngestWorkshop(tmp_path)
    yield workshop
    workshop.catalog.close()


def test_the_same_bytes_elsewhere_are_a_sighting_of_the_same_item(shop: IngestWorkshop) -> None:
    data = scene_file(1)
    first, second = shop.run(), shop.run()
    shop.ingest((fetched("a.png"), data), run_id=first)

    report = shop.ingest((fetched("b.png", page_url="https://other.example/"), data), run_id=second)

    assert report == IngestReport(fetched=1, exact_duplicates=1, item_ids=(1,))
    with shop.catalog.read() as uow:
        assert [(s.relation, s.run_id, s.image_url) for s in uow.sightings.of_item(1)] == [
            ("first", first, "https://example.org/a.png"),
            ("same_bytes", second, "https://example.org/b.png"),
        ]
        assert uow.counts().items == 1
        assert representatives_of_run(uow, second) == [1]


def test_the_same_pixels_in_another_file_are_a_sighting_of_the_same_item(shop: IngestWorkshop) -> None:
    rgb = scene(1)
    variants = [file_of(rgb), file_of(rgb, compress_level=1), file_of(rgb, "WEBP", lossless=True)]

    report = shop.ingest(*((fetched(f"{n}.png"), data) for n, data in enumerate(variants)))

    assert report == IngestReport(fetched=3, accepted=1, exact_duplicates=2, item_ids=(1,))
    with shop.catalog.read() as uow:
        assert [s.relation for s in uow.sightings.of_item(1)] == ["first", "same_pixels", "same_pixels"]
        assert uow.counts().blobs == 3
    for data in variants:
        assert shop.store.read(sha256(data)) == data
    again = shop.ingest((fetched("again.webp"), variants[2]))
    assert again.exact_duplicates == 1
    with shop.catalog.read() as uow:
        assert uow.sightings.of_item(1)[-1].relation == "same_bytes"


def _edited(rgb: np.ndarray) -> dict[str, bytes]:
    image = Image.fromarray(rgb)
    return {
        "jpeg": file_of(rgb, "JPEG", quality=60),
        "half": file_of(image.resize((image.width // 2, image.height // 2)), "JPEG", quality=90),
        "brighter": file_of(ImageEnhance.Brightness(image).enhance(1.1)),
    }


def test_what_resembles_an_item_is_kept_and_linked_to_it(shop: IngestWorkshop) -> None:
    run_id = shop.run()
    rgb = scene(1, width=320, height=240)
    shop.ingest((fetched("other.png"), scene_file(2)), (fetched("a.png"), file_of(rgb)))

    report = shop.ingest(*((fetched(name), data) for name, data in _edited(rgb).items()), run_id=run_id)

    assert report == IngestReport(fetched=3, near_duplicates=3, item_ids=(2,))
    with shop.catalog.read() as uow:
        near = [uow.items.get(item_id) for item_id in (3, 4, 5)]
        assert representatives_of_run(uow, run_id) == [2]
    assert {item.near_duplicate_of_id for item in near} == {2}
    assert all(0 <= item.near_duplicate_distance <= DEFAULT_NEAR_DISTANCE for item in near)


def test_links_are_stars_and_never_chains(shop: IngestWorkshop) -> None:
    first, last = scene(1).astype(float), scene(2).astype(float)
    steps = [np.clip(first + (last - first) * part, 0, 255).astype(np.uint8) for part in np.linspace(0, 1, 13)]

    shop.ingest(*((fetched(f"{n}.png"), file_of(rgb)) for n, rgb in enumerate(steps)))

    with shop.catalog.read() as uow:
        items = {item.id: item for item in uow.items.list(limit=None)}
    linked = [item for item in items.values() if item.near_duplicate_of_id is not None]
    assert linked
    assert len(items) - len(linked) >= 2  # the two ends are different pictures
    for item in linked:
        assert items[item.near_duplicate_of_id].near_duplicate_of_id is None


@pytest.mark.parametrize(("spare", "links"), [(0, 1), (-1, 0)])
def test_the_radius_decides(shop: IngestWorkshop, spare: int, links: int) -> None:
    rgb = scene(1, width=320, height=240)
    edited = np.asarray(Image.fromarray(rgb).crop((3, 3, 317, 237)))
    distance = hamming_distance(sign(rgb).bits, sign(edited).bits)
    assert distance > 0

    report = shop.ingest(
        (fetched("a.png"), file_of(rgb)), (fetched("b.png"), file_of(edited)), near_distance=distance + spare
    )

    assert (report.accepted, report.near_duplicates) == (2 - links, links)
    with shop.catalog.read() as uow:
        assert uow.items.get(2).near_duplicate_distance == (distance if links else None)


def test_plain_pictures_are_all_kept_apart(shop: IngestWorkshop) -> None:
    colors = [(200, 30, 30), (30, 200, 30), (255, 255, 255), (128, 128, 128)]

    report = shop.ingest(
        *((fetched(f"{n}.png"), file_of(Image.new("RGB", (100, 80), color))) for n, color in enumerate(colors))
    )

    assert report == IngestReport(fetched=4, accepted=4, item_ids=(1, 2, 3, 4))

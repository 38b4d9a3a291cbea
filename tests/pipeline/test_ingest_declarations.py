"""What is taken for title, author and licence: of the page, of the file, and of later sightings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from pipeline.records import DeclaredLicense, HttpFacts
from tests.support.inboxes import failed, fetched
from tests.support.ingesting import IngestWorkshop
from tests.support.pictures import file_of, scene, scene_file, xmp_packet


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[IngestWorkshop]:
    workshop = IngestWorkshop(tmp_path)
    yield workshop
    workshop.catalog.close()


def test_the_licence_of_the_page_is_preferred_to_that_in_the_file(shop: IngestWorkshop) -> None:
    by = DeclaredLicense("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/", "rel=license", "some rights")
    packet = xmp_packet(rights="CC BY 4.0", web_statement="https://example.org/terms")
    data = file_of(scene(1), "WEBP", xmp=packet)

    shop.ingest((fetched("a.webp", license=by), data))

    with shop.catalog.read() as uow:
        item, (sighting,) = uow.items.get(1), uow.sightings.of_item(1)
    assert (item.license_id, item.license_url) == (by.id, by.url)
    assert (sighting.license_declared_by, sighting.license_text) == ("rel=license", "some rights")


def test_two_licences_of_page_and_file_are_none_and_both_are_kept(shop: IngestWorkshop) -> None:
    cc0 = DeclaredLicense("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "rel=license", "CC0")
    packet = xmp_packet(license_url="https://creativecommons.org/licenses/by/4.0/")

    shop.ingest((fetched("a.webp", license=cc0), file_of(scene(1), "WEBP", xmp=packet)))

    with shop.catalog.read() as uow:
        item, (sighting,) = uow.items.get(1), uow.sightings.of_item(1)
    assert (item.license_id, item.license_url) == ("unknown", None)
    assert sighting.license_text == (
        "CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/), but "
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"
    )


def test_the_file_tells_title_author_and_licence_when_the_page_does_not(shop: IngestWorkshop) -> None:
    packet = xmp_packet(
        title="Mill", creator="Ada", rights="some rights", license_url="https://creativecommons.org/licenses/by/4.0/"
    )

    shop.ingest((fetched("a.webp"), file_of(scene(1), "WEBP", xmp=packet)))

    with shop.catalog.read() as uow:
        item, (sighting,) = uow.items.get(1), uow.sightings.of_item(1)
    assert (item.title, item.creator, item.license_id) == ("Mill", "Ada", "CC-BY-4.0")
    assert item.license_url == "https://creativecommons.org/licenses/by/4.0/"
    assert (sighting.title, sighting.creator) == (None, None)
    assert (sighting.license_id, sighting.license_declared_by) == ("CC-BY-4.0", "xmp")


@pytest.mark.parametrize(
    ("rights", "license_id"), [("CC BY-SA 4.0", "CC-BY-SA-4.0"), ("© 2020 Ada, all rights reserved", "unknown")]
)
def test_rights_in_exif_count_as_a_declaration(shop: IngestWorkshop, rights: str, license_id: str) -> None:
    exif = Image.Exif()
    exif[0x8298] = rights.replace("©", "(c)")

    shop.ingest((fetched("a.jpg"), file_of(scene(1), "JPEG", exif=exif.tobytes())))

    with shop.catalog.read() as uow:
        (sighting,) = uow.sightings.of_item(1)
    assert (sighting.license_id, sighting.license_declared_by) == (license_id, "exif")
    assert sighting.license_text == rights.replace("©", "(c)")


def test_a_later_sighting_gives_a_licence_where_there_is_none_and_changes_no_other(shop: IngestWorkshop) -> None:
    data = scene_file(1)
    by = DeclaredLicense("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/", "schema.org")
    older = DeclaredLicense("CC-BY-2.0", "https://creativecommons.org/licenses/by/2.0/", "rel=license")
    terms = DeclaredLicense("unknown", "https://example.org/terms", "rel=license", "Our terms")

    for name, declared in (("a", None), ("b", by), ("c", older), ("d", terms)):
        shop.ingest((fetched(name, license=declared), data))

    with shop.catalog.read() as uow:
        item, sightings = uow.items.get(1), uow.sightings.of_item(1)
    assert (item.license_id, item.license_url) == (by.id, by.url)
    assert [s.license_id for s in sightings] == [None, "CC-BY-4.0", "CC-BY-2.0", "unknown"]


@pytest.mark.parametrize(
    "later",
    [
        DeclaredLicense("CC-BY-NC-ND-4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/", "rel=license"),
        DeclaredLicense("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "rel=license"),
        DeclaredLicense("unknown", None, "schema.org", "Photo agency. All rights reserved."),
    ],
)
def test_where_a_later_sighting_goes_against_the_licence_none_is_known(
    shop: IngestWorkshop, later: DeclaredLicense
) -> None:
    data = scene_file(1)
    by = DeclaredLicense("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/", "schema.org")

    for name, declared in (("a", by), ("b", later), ("c", by)):
        shop.ingest((fetched(name, license=declared), data))

    with shop.catalog.read() as uow:
        item, sightings = uow.items.get(1), uow.sightings.of_item(1)
    assert (item.license_id, item.license_url) == ("unknown", None)
    assert [s.license_id for s in sightings] == ["CC-BY-4.0", later.id, "CC-BY-4.0"]


def test_hostile_text_is_made_fit_for_the_database(shop: IngestWorkshop) -> None:
    record = fetched(
        "a.png",
        title="nul \0 and half a pair \ud800",
        caption="x" * 100_000,
        tags=tuple("\udfff" for _ in range(1000)),
        keyword="k\0\ud800",
        http=HttpFacts("https://example.org/\ud800", 200, etag="\0"),
        found_at="yesterday",
    )

    report = shop.ingest((record, scene_file(1)), (failed("\udfff"), None))

    assert report.accepted == 1
    with shop.catalog.read() as uow:
        (sighting,) = uow.sightings.of_item(1)
    assert sighting.title == "nul  and half a pair ?"
    assert len(sighting.caption) == 4000
    assert len(sighting.tags) == 100
    assert abs((datetime.now(UTC) - sighting.fetched_at).total_seconds()) < 60

"""What is taken for title, author and licence: of the page, of the file, and of later sightings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from pipeline.provenance.attribution import credit_original
from pipeline.provenance.described_pictures import described_input, described_source
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


CC = "https://creativecommons.org"
BY = DeclaredLicense("CC-BY-4.0", f"{CC}/licenses/by/4.0/", "rel=license", "CC BY 4.0")
BY_NC = DeclaredLicense("CC-BY-NC-4.0", f"{CC}/licenses/by-nc/4.0/", "rel=license", "CC BY-NC 4.0")
MARK = DeclaredLicense("PDM-1.0", f"{CC}/publicdomain/mark/1.0/", "europeana", "")
ZERO = DeclaredLicense("CC0-1.0", f"{CC}/publicdomain/zero/1.0/", "rel=license", "CC0")
OWNER = DeclaredLicense("unknown", None, "exif", "Copyright 2021 Jane Doe")
UNPAID = DeclaredLicense("unknown", None, "caption", "Not for commercial use")
FAR = DeclaredLicense("unknown", None, "page", "The mill. " * 40 + "All rights reserved")


@pytest.mark.parametrize(
    ("declared", "license_ids"),
    [
        ((OWNER, BY), {"CC-BY-4.0"}),
        ((OWNER, BY, OWNER), {"CC-BY-4.0"}),
        ((UNPAID, BY), {"unknown"}),
        ((UNPAID, BY_NC), {"CC-BY-NC-4.0"}),
        ((UNPAID, BY_NC, BY), {"unknown"}),
        ((OWNER, BY, BY_NC), {"unknown"}),
        ((FAR, BY, OWNER), {"unknown"}),
        # Either lets the same be done.
        ((MARK, ZERO), {"PDM-1.0", "CC0-1.0"}),
        ((MARK, BY), {"unknown"}),
    ],
)
def test_a_picture_has_the_same_licence_in_whatever_order_it_was_met(
    shop: IngestWorkshop, declared: tuple[DeclaredLicense, ...], license_ids: set[str]
) -> None:
    found = set()
    for item_id, order in enumerate(itertools.permutations(declared), start=1):
        records = [fetched(f"{item_id}-{place}.png", license=each) for place, each in enumerate(order)]
        shop.ingest(*((record, scene_file(item_id)) for record in records))
        with shop.catalog.read() as uow:
            item = uow.items.get(item_id)
        assert item is not None
        assert (item.license_url is None) == (item.license_id == "unknown")
        found.add(item.license_id)

    assert found == license_ids


def test_a_picture_is_credited_to_the_page_that_declares_its_licence(shop: IngestWorkshop) -> None:
    for page, declared in (("repost", None), ("about", OWNER), ("original", BY), ("other", BY)):
        record = fetched(f"{page}.png", license=declared, page_url=f"https://example.org/{page}")
        shop.ingest((record, scene_file(1)))

    with shop.catalog.read() as uow:
        item, sightings = uow.items.get(1), uow.sightings.of_item(1)
    assert item is not None
    assert "https://example.org/original, CC BY 4.0" in credit_original(item, sightings)
    described = described_source(item, sightings)
    assert described["page_url"] == described_input(item, sightings)["page_url"] == "https://example.org/original"
    assert described["image_url"] == "https://example.org/repost.png"


def test_a_page_that_says_otherwise_than_before_tells_why_the_licence_is_unknown(shop: IngestWorkshop) -> None:
    reserved = DeclaredLicense("unknown", None, "schema.org", "All rights reserved")

    for name, declared in (("a.png", BY), ("a.png", reserved), ("b.png", BY)):
        shop.ingest((fetched(name, license=declared), scene_file(1)))

    with shop.catalog.read() as uow:
        item, sightings = uow.items.get(1), uow.sightings.of_item(1)
    assert item is not None
    assert item.license_id == "unknown"
    assert [each.license_id for each in sightings] == ["unknown", "CC-BY-4.0"]
    assert sightings[0].license_text == f"CC BY 4.0 ({BY.url}), but All rights reserved"


@pytest.mark.parametrize("first", [None, OWNER])
def test_what_a_page_says_later_is_not_forgotten(shop: IngestWorkshop, first: DeclaredLicense | None) -> None:
    reserved = DeclaredLicense("unknown", None, "schema.org", "All rights reserved")

    for name, declared in (("a.png", first), ("a.png", reserved), ("b.png", BY)):
        shop.ingest((fetched(name, license=declared), scene_file(1)))

    with shop.catalog.read() as uow:
        item, sightings = uow.items.get(1), uow.sightings.of_item(1)
    assert item is not None
    assert item.license_id == "unknown"
    assert sightings[0].license_text == "All rights reserved"


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

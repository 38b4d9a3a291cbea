"""What is declared of one picture must go together: else no licence is known, and both sides are kept in the words."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipeline.images import embedded_facts
from pipeline.ingest.describing import license_of
from pipeline.license_declarations import agreed, declare
from pipeline.records import DeclaredLicense
from tests.support.inboxes import fetched
from tests.support.ingesting import IngestWorkshop
from tests.support.inverting import workshop
from tests.support.pictures import file_of, scene, scene_file, xmp_packet

CC = "https://creativecommons.org"
BY = f"{CC}/licenses/by/4.0/"
BY_NC = f"{CC}/licenses/by-nc/4.0/"
BY_ND = f"{CC}/licenses/by-nd/4.0/"
ZERO = f"{CC}/publicdomain/zero/1.0/"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (BY, "All rights reserved"),
        (BY, "\u00a9 2021 Jane Doe. All Rights Reserved."),
        (BY, "Alle Rechte vorbehalten"),
        (BY, "Tous droits r\u00e9serv\u00e9s"),
        (BY, "NoAI"),
        (BY, "No AI, no image generators"),
        (BY, "May not be used to train AI models"),
        (BY, "Text and data mining is prohibited"),
        (BY, "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-GENAIMLTRAINING"),
        (BY, "Not for commercial use"),
        (BY, "Free for non-commercial use"),
        (BY, "Commercial use prohibited"),
        (BY, "Keine kommerzielle Nutzung"),
        (BY, "No derivatives, please"),
        (BY, "Do not alter this picture"),
        (BY, "For personal use only"),
        (BY, "Editorial use only"),
        (BY, "Please don't use this picture on other sites without my explicit permission"),
        (BY, "No commercial use without permission"),
        (BY, "Permission is required for commercial use"),
        (BY, "Commercial use is not allowed without permission"),
        (BY, "No commercial or non-commercial use"),
        (BY, "You may not distribute the modified material"),
        (BY, "Not to be cropped"),
        (BY, "It is not allowed to modify it"),
        (BY, "Cannot be used commercially"),
        (BY, "Free for noncommercial, commercial use needs a licence"),
        (BY, "May not be edited or used for AI training"),
        (BY, "Must not be made available for machine learning"),
        (BY, "Please don't crop"),
        (BY, "No changes, please"),
        (BY_NC, "No commercial use or reproduction without permission"),
        (BY_ND, "May not be reproduced or altered"),
        (ZERO, "No copyrighted part may be used without permission"),
        (BY, "Do not copy or repost"),
        (BY, "No part of this picture may be reproduced without the written permission of the author"),
        (BY, "Permission required"),
        (BY, "May not be copied, sold or shown elsewhere"),
        (BY, "Nutzung nur mit schriftlicher Genehmigung"),
        (BY, "CC BY-NC 4.0"),
        (BY, "CC BY-NC"),
        (BY, "CC BY 2.0"),
        (BY, "Attribution-NonCommercial 4.0 International"),
        (BY, "Creative Commons Attribution-ShareAlike"),
        (BY, "Not CC BY 4.0"),
        (BY_NC, "CC BY 4.0"),
        (BY_NC, "All rights reserved"),
        (ZERO, "CC BY 4.0"),
        (ZERO, "Not to be used without the consent of the museum"),
    ],
)
def test_words_that_cannot_be_true_with_the_deed_beside_them_leave_no_licence(url: str, words: str) -> None:
    for found in (
        declare("page", urls=[url], names=[words]),
        declare("page", urls=[url], terms=[words]),
        agreed([declare("page", urls=[url])], beside=[words]),
    ):
        assert found is not None
        assert (found.id, found.url, found.declared_by) == ("unknown", None, "page")
        assert url in found.text
        assert words in found.text


@pytest.mark.parametrize(
    ("url", "words", "license_id"),
    [
        (BY, "Some rights reserved", "CC-BY-4.0"),
        (BY, "\u00a9 2021 Jane Doe", "CC-BY-4.0"),
        (BY, "This work is licensed under a Creative Commons Attribution 4.0 International License.", "CC-BY-4.0"),
        (BY, "CC BY", "CC-BY-4.0"),
        (BY, "CC BY 4.0. I am not responsible for what is made of it.", "CC-BY-4.0"),
        (BY, "CC by Jane Doe", "CC-BY-4.0"),
        (BY, "May be used freely, also commercially, with credit", "CC-BY-4.0"),
        (BY, "For commercial and non-commercial use", "CC-BY-4.0"),
        (BY, "Please do not imply that I endorse you", "CC-BY-4.0"),
        (BY, "No AI was used to make this photograph", "CC-BY-4.0"),
        (BY, "You do not need permission to use or copy this picture", "CC-BY-4.0"),
        (BY, "No permission is required", "CC-BY-4.0"),
        (BY, "May be used for any purpose without permission", "CC-BY-4.0"),
        (BY, "The author cannot be held liable for any use of it", "CC-BY-4.0"),
        (BY, "Must not be used without attribution", "CC-BY-4.0"),
        (BY, "Must not be used without a link to this page", "CC-BY-4.0"),
        (BY, "No prior permission is required", "CC-BY-4.0"),
        (BY, "For any purpose, including but not limited to commercial use", "CC-BY-4.0"),
        (BY, "For non-commercial as well as commercial purposes", "CC-BY-4.0"),
        (BY, "F\u00fcr kommerzielle und nicht-kommerzielle Zwecke", "CC-BY-4.0"),
        (BY, "Usage commercial ou non commercial autoris\u00e9", "CC-BY-4.0"),
        (BY, "Jane Doe, CC BY 4.0, no changes made", "CC-BY-4.0"),
        (BY, "No modifications were made", "CC-BY-4.0"),
        (BY, "The picture has not been altered or cropped", "CC-BY-4.0"),
        (BY, '"Don\'t look back" by Jane Doe is licensed under CC BY 4.0', "CC-BY-4.0"),
        (BY, "\u201cNot a Number\u201d by Jane Doe, CC BY 4.0", "CC-BY-4.0"),
        (BY, "Wissant, Pas-de-Calais, Jane Doe, CC BY 4.0", "CC-BY-4.0"),
        (BY, "No AI enhancement was applied", "CC-BY-4.0"),
        (BY, "Not created with artificial intelligence", "CC-BY-4.0"),
        (BY, "No training aims are behind this picture", "CC-BY-4.0"),
        # As the deeds themselves have it.
        (BY_ND, "If you remix the material, you may not distribute the modified material", "CC-BY-ND-4.0"),
        (BY_NC, "You may not use the material for commercial purposes", "CC-BY-NC-4.0"),
        (BY_NC, "No commercial use without permission", "CC-BY-NC-4.0"),
        (BY_NC, "Permission is required for commercial use", "CC-BY-NC-4.0"),
        (ZERO, "No copyright: copy and use it without asking permission", "CC0-1.0"),
        (ZERO, "Public Domain Mark 1.0", "CC0-1.0"),
        (f"{CC}/publicdomain/mark/1.0/", "No known restrictions on publication", "PDM-1.0"),
        (BY, "http://ns.useplus.org/ldf/vocab/DMI-UNSPECIFIED", "CC-BY-4.0"),
        (BY_NC, "Not for commercial use", "CC-BY-NC-4.0"),
        (BY_NC, "Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)", "CC-BY-NC-4.0"),
        (BY_ND, "No derivatives", "CC-BY-ND-4.0"),
        (f"{CC}/licenses/by-sa/3.0/de/", "CC BY-SA 3.0", "CC-BY-SA-3.0-DE"),
        (f"{CC}/publicdomain/mark/1.0/", "No known copyright restrictions", "PDM-1.0"),
        (f"{CC}/publicdomain/mark/1.0/", "The institution believes that this item is not in copyright", "PDM-1.0"),
        (ZERO, "No rights reserved", "CC0-1.0"),
    ],
)
def test_words_that_go_with_the_deed_change_nothing(url: str, words: str, license_id: str) -> None:
    for found in (declare("page", urls=[url], terms=[words]), agreed([declare("page", urls=[url])], beside=[words])):
        assert found is not None
        assert found.id == license_id
        assert found.url is not None


def test_two_addresses_and_two_places_must_name_one_licence() -> None:
    both = declare("feed", urls=[BY, BY_NC])
    apart = agreed([declare("rel=license", urls=[BY]), declare("schema.org", urls=[BY_NC])])
    plain, ported = (declare("x", urls=[f"{CC}/licenses/by/3.0/{port}"]) for port in ("", "us"))
    same = agreed([plain, ported])

    for found in (both, apart):
        assert found is not None
        assert found.id == "unknown"
        assert BY in found.text
        assert BY_NC in found.text
    assert same is not None
    assert (same.id, same.url) == ("CC-BY-3.0-US", f"{CC}/licenses/by/3.0/us/")


def test_an_address_of_ones_own_terms_is_no_licence_and_goes_against_none() -> None:
    terms = declare("schema.org", urls=["https://example.org/terms"])

    assert terms == DeclaredLicense("unknown", "https://example.org/terms", "schema.org", "https://example.org/terms")
    assert agreed([terms, declare("rel=license", urls=[BY])]) == declare("rel=license", urls=[BY])
    assert agreed([terms, None]) == terms
    assert agreed([None]) is None
    assert declare("xmp", terms=["\u00a9 Jane Doe"]) is None


def test_pictures_that_are_free_by_two_names_are_free() -> None:
    zero, mark = declare("x", urls=[ZERO]), declare("y", urls=[f"{CC}/publicdomain/mark/1.0/"])

    assert agreed([zero, mark]) == zero
    assert agreed([mark, zero]) == mark
    assert declare("x", urls=[ZERO], names=["Public Domain Mark 1.0"]) is not None


def test_words_far_down_a_text_count_wherever_it_is_kept() -> None:
    far = "Photographed at the old mill in May. " * 20 + "All rights reserved."
    contradicted = declare("page", urls=[BY], terms=[far])
    alone = declare("schema.org", terms=[far])

    for found in (contradicted, alone, declare("sidecar", names=[far])):
        assert found is not None
        assert found.id == "unknown"
        assert found.text.endswith("All rights reserved.")
        assert len(found.text) <= 500
    both = agreed([declare("rel=license", urls=[BY]), alone])
    assert both is not None
    assert both.id == "unknown"


def test_of_what_cannot_be_read_that_which_keeps_rights_is_remembered() -> None:
    terms = declare("rel=license", urls=["https://example.org/terms"])
    caption = declare("caption", terms=["Jane Doe. All rights reserved."])

    assert agreed([terms, caption]) == agreed([caption, terms]) == caption
    beside = declare("schema.org", urls=["https://example.org/terms"], names=["Our terms", "Not for commercial use"])
    assert beside is not None
    assert beside.text == "Not for commercial use"


def test_both_sides_of_a_contradiction_are_kept_however_long_they_are() -> None:
    found = declare("page", urls=[BY], names=["All rights reserved. " + "x" * 5_000])

    assert found is not None
    assert found.text.startswith(f"CC BY 4.0 ({BY}), but All rights reserved. xxx")
    assert len(found.text) <= 500


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[IngestWorkshop]:
    made = IngestWorkshop(tmp_path)
    yield made
    made.catalog.close()


def told(shop: IngestWorkshop, data: bytes, **facts: object) -> tuple[str | None, str | None, str | None]:
    """Licence and address of the item, and the words on record."""
    shop.ingest((fetched("a.jpg", **facts), data))
    with shop.catalog.read() as uow:
        item, (sighting,) = uow.items.get(1), uow.sightings.of_item(1)
    assert item is not None
    return item.license_id, item.license_url, sighting.license_text


def with_iptc(data: bytes, *, copyright_: str = "", instructions: str = "") -> bytes:
    """A JPEG with a Photoshop block that holds an IPTC record, as agencies write them (IIM 4.2, record 2)."""
    sets = [b"\x1c\x02\x00\x00\x02\x00\x04"]
    for number, text in ((40, instructions), (116, copyright_)):
        if text:
            raw = text.encode()
            sets.append(bytes([0x1C, 2, number]) + len(raw).to_bytes(2, "big") + raw)
    record = b"".join(sets)
    block = b"8BIM\x04\x04\x00\x00" + len(record).to_bytes(4, "big") + record + b"\0" * (len(record) % 2)
    segment = b"Photoshop 3.0\0" + block
    return data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]


@pytest.mark.parametrize(
    "words",
    [
        {"rights": "\u00a9 Jane Doe, all rights reserved"},
        {"usage_terms": "Rights managed. Editorial use only."},
        {"instructions": "NoAI"},
        {"data_mining": "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"},
        {"web_statement": BY_NC},
    ],
)
def test_a_deed_in_a_file_does_not_count_beside_words_in_it_that_go_against_it(
    shop: IngestWorkshop, words: dict[str, str]
) -> None:
    data = file_of(scene(1), "JPEG", xmp=xmp_packet(license_url=BY, **words))

    license_id, url, text = told(shop, data)

    assert (license_id, url) == ("unknown", None)
    assert text is not None
    assert BY in text
    assert next(iter(words.values())).removeprefix("\u00a9 ") in text


def test_what_the_file_says_counts_beside_what_the_page_says(shop: IngestWorkshop) -> None:
    by = DeclaredLicense("CC-BY-4.0", BY, "rel=license", "CC BY 4.0")
    data = with_iptc(file_of(scene(1), "JPEG"), copyright_="Copyright Example Press. All rights reserved")

    license_id, url, text = told(shop, data, license=by)

    assert (license_id, url) == ("unknown", None)
    assert text == f"CC BY 4.0 ({BY}), but Copyright Example Press. All rights reserved"


def test_a_camera_that_names_its_owner_takes_nothing_back(shop: IngestWorkshop) -> None:
    exif = Image.Exif()
    exif[0x8298] = "Copyright 2021 Jane Doe"
    by = DeclaredLicense("CC-BY-4.0", BY, "rel=license", "CC BY 4.0")

    assert told(shop, file_of(scene(1), "JPEG", exif=exif.tobytes()), license=by) == ("CC-BY-4.0", BY, "CC BY 4.0")


def test_the_terms_of_a_file_name_its_licence_where_nothing_else_does(shop: IngestWorkshop) -> None:
    packet = xmp_packet(usage_terms="This work is licensed under CC BY-SA 4.0")

    assert told(shop, file_of(scene(1), "JPEG", xmp=packet))[:2] == (
        "CC-BY-SA-4.0",
        f"{CC}/licenses/by-sa/4.0/",
    )


def test_each_block_of_a_file_is_read_for_what_it_says_of_rights() -> None:
    exif = Image.Exif()
    exif[0x8298] = "Jane Doe"
    packet = xmp_packet(rights="CC BY 4.0", usage_terms="with credit", instructions="call me")
    plain = file_of(scene(1), "JPEG", exif=exif.tobytes(), xmp=packet)
    data = with_iptc(plain, copyright_="Doe", instructions="one use")

    found = embedded_facts(data)

    assert (found["copyright"], found["usage_terms"], found["declared_by"]) == ("CC BY 4.0", "with credit", "xmp")
    assert found["terms"] == "call me; Jane Doe; Doe; one use"
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (160, 120)


@pytest.mark.parametrize(
    "license_id", ["CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-2.0", "CC0-1.0", "unknown"]
)
def test_a_dream_of_ours_declares_the_licence_it_must_carry_or_that_of_its_original(
    tmp_path: Path, license_id: str
) -> None:
    with workshop(tmp_path) as made:
        item_id = made.add(scene_file(1), license_id=license_id)
        dream = made.dream(
            item_id, output_format="JPEG", responsibility="" if license_id != "unknown" else "I may do so"
        )
        embedded = embedded_facts(made.store.read(dream.blob_sha256))

    found = license_of(fetched("dream.jpg"), embedded)

    assert found is not None
    assert found.id == license_id

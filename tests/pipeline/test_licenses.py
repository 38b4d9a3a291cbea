"""Licences as pages declare them: what is read of an address or a text, and what is not guessed."""

from __future__ import annotations

import pytest
from packaging.licenses import canonicalize_license_expression

from pipeline.license_texts import license_from_text
from pipeline.licenses import UNKNOWN, joint_terms, license_by_id, license_from_url, strictest
from pipeline.provenance.attribution import credit_original
from pipeline.provenance.permission import license_of
from pipeline.provenance.sharing import sharing_of
from pipeline.provenance.xmp import write_xmp
from tests.support.manifests import item_of, manifest_of

CC = "https://creativecommons.org"


@pytest.mark.parametrize(
    ("text", "license_id"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("cc-by-nc-nd-2.5", "CC-BY-NC-ND-2.5"),
        ("CC BY NC ND4.0", "CC-BY-NC-ND-4.0"),
        ("Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)", "CC-BY-NC-4.0"),
        ("Photo: Jane Doe / CC BY 4.0, some rights reserved", "CC-BY-4.0"),
        ("CC BY 4.0 by Jane Doe", "CC-BY-4.0"),
        (f"[CC BY 4.0]({CC}/licenses/by/4.0/deed.en)", "CC-BY-4.0"),
        (f"see www.creativecommons.org/licenses/by/4.0/. Thanks to {CC}/", "CC-BY-4.0"),
        ("CC0", "CC0-1.0"),
        ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0"),
        ("CC-Zero: no rights reserved", "CC0-1.0"),
        ("CC Zero", "CC0-1.0"),
        ("Public Domain Mark 1.0", "PDM-1.0"),
        ("NASA-media-guidelines", "NASA-media-guidelines"),
        ("CC-PDDC", "CC-PDDC"),
        ("CC BY 3.0 US", "CC-BY-3.0-US"),
        ("CC BY-SA 3.0 de", "CC-BY-SA-3.0-DE"),
        ("cc-by-sa-2.0-uk", "CC-BY-SA-2.0-UK"),
        ("CC BY 3.0 at the old mill", "CC-BY-3.0"),
        ("CC BY-SA 2.5 IT", "CC-BY-SA-2.5"),
        (f"CC BY 3.0 ({CC}/licenses/by/3.0/us/)", "CC-BY-3.0-US"),
    ],
)
def test_a_text_that_names_one_licence_is_read(text: str, license_id: str) -> None:
    found = license_from_text(text)

    assert found is not None
    assert found.id == license_id


@pytest.mark.parametrize(
    "text",
    [
        "Photo CC BY-NC 4.0, metadata CC0",
        "CC BY-ND 4.0 (text: CC BY 4.0)",
        f"{CC}/licenses/by-nc-nd/4.0/ text under {CC}/licenses/by/4.0/",
        f"CC BY 4.0 <{CC}/licenses/by-nc/4.0/>",
        "CC0 or public domain mark",
        "CC BY 3.0 US and CC BY 3.0 AT",
        "Not CC0",
        "This is no longer CC0",
        "isn't CC BY 4.0",
        "Kein CC0",
        "All rights reserved. Not CC BY 4.0",
        "© Jane Doe, all rights reserved (was CC BY 4.0)",
        "Tous droits réservés; CC BY 4.0",
        "CC BY 4.0 except where noted",
        "CC BY 4.0, no derivatives",
        "Creative Commons Attribution Non-Commercial (CC BY 4.0)",
        "CC0 for non commercial use",
        "see cc zero tolerance",
        "CC 0.5",
        "CC0.5",
        "CC0 2.0",
        "cc by 4.0-nc",
        "CC BY 4.0 (NC)",
        "CC BY-NC-SA-ND 4.0",
        "CC-BY-9.9",
        "CC BY 4.01",
        "CC BY 4.0.1",
        "CC BY",
        "cc bypass 4.0",
        "public domain mark 2.0",
        f"https://evil.example/?to={CC}/licenses/by/4.0/",
        "https://evil.example/creativecommons.org/licenses/by/4.0/",
        "notcreativecommons.org/licenses/by/4.0/",
        f"{CC}/licenses/by/4.0/../../../licenses/by-nd/4.0/",
        f"{CC}/licenses/by/7.7/",
        "",
    ],
)
def test_what_names_no_licence_or_several_or_denies_one_is_not_guessed(text: str) -> None:
    assert license_from_text(text) is None


@pytest.mark.parametrize(
    ("path", "license_id", "name", "kept"),
    [
        ("by/3.0/us/", "CC-BY-3.0-US", "CC BY 3.0 US", "by/3.0/us/"),
        ("by-sa/3.0/at/legalcode", "CC-BY-SA-3.0-AT", "CC BY-SA 3.0 AT", "by-sa/3.0/at/"),
        ("by/3.0/igo", "CC-BY-3.0-IGO", "CC BY 3.0 IGO", "by/3.0/igo/"),
        ("by/2.0/de/deed.de", "CC-BY-2.0", "CC BY 2.0 DE", "by/2.0/de/"),
        ("by/2.5/scotland/", "CC-BY-2.5", "CC BY 2.5 SCOTLAND", "by/2.5/scotland/"),
        ("by/3.0/deed.us", "CC-BY-3.0", "CC BY 3.0", "by/3.0/"),
        ("by/4.0/us/", "CC-BY-4.0", "CC BY 4.0", "by/4.0/"),  # there is none for one country any more
    ],
)
def test_a_licence_for_the_law_of_one_country_keeps_its_own_deed(
    path: str, license_id: str, name: str, kept: str
) -> None:
    found = license_from_url(f"{CC}/licenses/{path}")
    assert found is not None
    item = item_of(license_id=found.id, license_url=found.url)

    packet = write_xmp(manifest_of(item)).decode()

    assert (found.id, found.name, found.url) == (license_id, name, f"{CC}/licenses/{kept}")
    assert canonicalize_license_expression(found.id) == license_id
    assert license_of(item) == found
    assert f"{name} ({CC}/licenses/{kept})" in credit_original(item, [])
    assert f"<xmpRights:WebStatement>{CC}/licenses/{kept}</xmpRights:WebStatement>" in packet
    assert f", {name} ({CC}/licenses/{kept}); altered by" in packet


def test_an_address_that_is_not_of_the_licence_on_record_does_not_count() -> None:
    item = item_of(license_id="CC-BY-4.0", license_url=f"{CC}/licenses/by-nd/3.0/de/")

    assert license_of(item).url == f"{CC}/licenses/by/4.0/"


def test_ported_licences_go_together_with_those_they_were_made_from() -> None:
    def joint(*ids: str) -> str | None:
        terms = joint_terms([license_by_id(each) for each in ids])
        return terms.license.id if terms and terms.license else None

    assert joint("CC-BY-SA-3.0-DE", "CC-BY-SA-3.0") == "CC-BY-SA-3.0-DE"
    assert joint("CC-BY-SA-4.0", "CC-BY-SA-3.0-DE") == "CC-BY-SA-4.0"
    assert joint("CC-BY-SA-3.0-IGO", "CC-BY-SA-3.0") == "CC-BY-SA-3.0"
    assert joint("CC-BY-NC-SA-3.0-DE", "CC-BY-SA-3.0-DE") is None
    assert sharing_of(license_by_id("CC-BY-SA-3.0-DE")).license_url == f"{CC}/licenses/by-sa/3.0/de/"


@pytest.mark.parametrize("license_id", ["CC-BY-9.9", "CC-BY-3.0-FR", "CC-BY-4.0-US", "CC-BY-4.0\n", "cc-by-4.0", "CC0"])
def test_ids_that_there_are_not_are_unknown(license_id: str) -> None:
    assert license_by_id(license_id).id == UNKNOWN


def test_of_several_licences_the_strictest_is_the_one_that_lets_the_least_be_done() -> None:
    order = ["unknown", "CC-BY-ND-4.0", "CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0", "CC-BY-4.0", "CC0-1.0"]

    for place in range(len(order)):
        left = [license_by_id(each) for each in order[place:]]
        assert strictest(left).id == strictest(left[::-1]).id == order[place]

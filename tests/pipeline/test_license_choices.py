"""What `--license` takes, the same in every command: groups, kinds, versions, countries."""

from __future__ import annotations

import pytest

from crawler.filters import Filters
from crawler.items import ImageItem
from pipeline.export.selection import What, check_licenses, objection_to_license
from pipeline.license_choices import GROUPS, chosen_kinds, chosen_licenses, is_chosen, license_choice
from pipeline.licenses import every_license, license_by_id, license_from_url
from pipeline.records import DeclaredLicense


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ("cc-by-3.0-us", "CC-BY-3.0-US"),
        ("cc0-1.0", "CC0-1.0"),
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        (" Adaptable ", "adaptable"),
        ("SHAREABLE", "shareable"),
        ("unknown", "unknown"),
        ("CC-BY", "CC-BY"),
        ("cc by nc sa", "CC-BY-NC-SA"),
        ("cc0", "CC0"),
        ("pdm", "PDM"),
        ("nasa-media-guidelines", "NASA-media-guidelines"),
        ("https://creativecommons.org/licenses/by/4.0/deed.de", "CC-BY-4.0"),
    ],
)
def test_a_choice_takes_groups_kinds_ids_in_any_case_names_and_addresses(asked: str, choice: str) -> None:
    assert license_choice(asked) == choice


@pytest.mark.parametrize(
    ("asked", "proposed"),
    [
        ("CC-BY-9.9", "did you mean CC-BY"),
        ("comercial", "did you mean commercial"),
        ("adaptible", "did you mean adaptable"),
        ("CC-BY-ND-SA-4.0", "did you mean CC-BY-"),
        ("MIT", "got 'MIT'"),
        ("", "got ''"),
        # It would come to mean all countries.
        ("CC BY-SA 2.5 IT", "is kept as CC-BY-SA-2.5"),
    ],
)
def test_what_there_is_not_is_an_error_with_what_comes_near(asked: str, proposed: str) -> None:
    with pytest.raises(ValueError, match="CC-BY") as told:
        license_choice(asked)

    assert proposed in str(told.value)


@pytest.mark.parametrize(
    ("choice", "taken", "left"),
    [
        (
            "CC-BY",
            "CC-BY-1.0 CC-BY-3.0 CC-BY-3.0-US CC-BY-2.5-AU CC-BY-4.0",
            "CC-BY-SA-4.0 CC-BY-NC-4.0 CC0-1.0 unknown",
        ),
        ("CC-BY-3.0", "CC-BY-3.0 CC-BY-3.0-US CC-BY-3.0-IGO", "CC-BY-2.0 CC-BY-4.0 CC-BY-SA-3.0 unknown"),
        ("CC-BY-3.0-US", "CC-BY-3.0-US", "CC-BY-3.0 CC-BY-3.0-AT CC-BY-4.0 unknown"),
        ("CC0", "CC0-1.0", "PDM-1.0 CC-BY-4.0 unknown"),
        ("shareable", "CC-BY-ND-4.0 CC-BY-NC-ND-3.0 CC0-1.0", "unknown"),
        ("adaptable", "CC-BY-NC-SA-4.0 CC-BY-4.0 PDM-1.0", "CC-BY-ND-4.0 unknown"),
        ("commercial", "CC-BY-SA-4.0 CC0-1.0 NASA-media-guidelines", "CC-BY-NC-4.0 CC-BY-ND-4.0 unknown"),
        ("unknown", "unknown", "CC0-1.0 CC-BY-ND-4.0"),
        ("any", "unknown CC-BY-NC-ND-4.0 CC0-1.0", ""),
    ],
)
def test_the_words_mean_the_same_in_a_crawl_and_in_an_export(choice: str, taken: str, left: str) -> None:
    def crawled(license_id: str) -> bool:
        declared = DeclaredLicense(license_id, None, "schema.org")
        item = ImageItem("https://example.org/a.jpg", "https://example.org/", license=declared)
        return Filters(license=choice, license_required=True).objection(item) is None

    def exported(license_id: str) -> bool:
        return objection_to_license(license_by_id(license_id), check_licenses([choice]), What.ORIGINALS) is None

    for license_id in (*taken.split(), *left.split()):
        expected = license_id in taken.split()
        assert is_chosen(license_by_id(license_id), choice) is expected, license_id
        assert crawled(license_id) is expected, license_id
        assert exported(license_id) is expected, license_id


def test_a_deed_of_one_country_without_an_id_of_its_own_is_one_of_its_version() -> None:
    german = license_from_url("https://creativecommons.org/licenses/by/2.0/de/")

    assert german is not None
    assert [is_chosen(german, choice) for choice in ("CC-BY", "CC-BY-2.0", "CC-BY-2.5")] == [True, True, False]


def test_every_licence_can_be_asked_for_by_its_id_and_gives_itself() -> None:
    for each in every_license():
        assert license_choice(each.id) == license_choice(each.id.lower()) == each.id
        assert each in chosen_licenses(each.id)
        assert is_chosen(each, "shareable")


def test_sources_that_know_no_versions_are_asked_for_kinds() -> None:
    assert chosen_kinds("CC-BY-3.0-US") == chosen_kinds("CC-BY") == {"CC-BY"}
    assert chosen_kinds("unknown") == frozenset()
    assert {"CC-BY", "CC-BY-SA", "CC0", "PDM"} <= chosen_kinds("commercial")
    assert not {"CC-BY-ND", "CC-BY-NC"} & chosen_kinds("commercial")
    assert set(GROUPS) == {"shareable", "adaptable", "commercial", "unknown", "any"}

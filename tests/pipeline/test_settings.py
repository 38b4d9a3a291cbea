from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.duplicates.tiers import REVIEW_DISTANCE
from pipeline.errors import SettingsInvalid
from pipeline.settings import environment_name, load_settings


def origins(settings):
    return {row.name: (row.value, row.origin) for row in settings.listing()}


def test_later_layers_win_and_each_value_names_its_origin(tmp_path: Path):
    (tmp_path / "dreamcrawl.toml").write_text('contact = "a@example.org"\n[crawl]\nlimit = 5\nmax_pages = 9\n')

    settings = load_settings(
        environment={"DREAMCRAWL_CRAWL_LIMIT": "6", "DREAMCRAWL_DREAM_FORMAT": "JPEG"},
        folder=tmp_path,
        overrides={"dream.format": "PNG", "contact": None},
    )

    rows = origins(settings)
    file = f"file {tmp_path / 'dreamcrawl.toml'}"
    assert rows["contact"] == ("a@example.org", file)
    assert rows["crawl.limit"] == (6, "environment DREAMCRAWL_CRAWL_LIMIT")
    assert rows["crawl.max_pages"] == (9, file)
    assert rows["dream.format"] == ("PNG", "command line")
    assert rows["ingest.near_distance"] == (80, "default")


def test_every_setting_can_be_set_by_the_variable_that_the_listing_names(tmp_path: Path):
    defaults = load_settings(environment={}, folder=tmp_path)
    samples = {
        "crawl.concurrency_per_host": "7",
        "ingest.max_pixels": "7000",
        "dream.format": "JPEG",
        "ingest.near_distance": "7",
        "browse.host": "127.0.0.2",
        "dream.offline": "true",
        "dream.profile": "fast",
        "crawl.license": "any",
        "crawl.require_license": "true",
        "crawl.mature": "true",
    }

    for row in defaults.listing():
        sample = samples.get(row.name, "2077" if isinstance(row.value, (int, float)) else "something said here")
        changed = load_settings(environment={row.environment: sample}, folder=tmp_path)
        assert origins(changed)[row.name][1] == f"environment {environment_name(row.name)}"
        assert origins(changed)[row.name][0] != row.value


def test_near_duplicates_are_linked_at_most_as_far_as_pictures_are_compared(tmp_path: Path):
    def setting(distance: int) -> dict[str, str]:
        return {"DREAMCRAWL_INGEST_NEAR_DISTANCE": str(distance)}

    load_settings(environment=setting(REVIEW_DISTANCE), folder=tmp_path)
    with pytest.raises(SettingsInvalid, match=r"ingest\.near_distance"):
        load_settings(environment=setting(REVIEW_DISTANCE + 1), folder=tmp_path)


def test_a_relative_workspace_starts_from_the_file_that_names_it(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "my.toml").write_text('workspace = "pictures"\n')

    settings = load_settings(environment={"DREAMCRAWL_CONFIG": str(elsewhere / "my.toml")}, folder=tmp_path)

    assert settings.values.workspace == elsewhere / "pictures"
    assert load_settings(environment={}, folder=tmp_path).values.workspace == tmp_path / "dreamcrawl-data"


@pytest.mark.parametrize(
    ("environment", "text", "expected"),
    [
        ({"DREAMCRAWL_CRAWL_LIMIT": "many"}, "", "crawl.limit"),
        ({"DREAMCRAWL_CRAWL_LIMIT": "0"}, "", "crawl.limit"),
        ({"DREAMCRAWL_DREAM_FORMAT": "TIFF"}, "", "dream.format"),
        ({"DREAMCRAWL_CONFIG": "/nowhere/at-all.toml"}, "", "at-all.toml"),
        ({}, "[crawl]\nlimits = 3\n", "crawl.limit"),
        ({}, "this is not toml", "dreamcrawl.toml"),
        ({}, 'crawl = "x"\n', "crawl"),
        ({}, '[crawl]\nlicense = "CC-BYE"\n', "CC-BY-4.0"),
    ],
)
def test_a_wrong_setting_is_named_with_a_way_out(tmp_path: Path, environment, text, expected):
    if text:
        (tmp_path / "dreamcrawl.toml").write_text(text)

    with pytest.raises(SettingsInvalid, match=expected):
        load_settings(environment=environment, folder=tmp_path)


SECRET = "s3cr3t-of-the-operator"


def test_a_key_is_used_but_never_shown(tmp_path: Path):
    (tmp_path / "dreamcrawl.toml").write_text(f'[credentials]\neuropeana = "{SECRET}"\nmuseum = "{SECRET}2"\n')

    settings = load_settings(
        environment={"DREAMCRAWL_CREDENTIALS_FLICKR": SECRET, "DREAMCRAWL_CREDENTIALS_ZOO": SECRET}, folder=tmp_path
    )

    rows = origins(settings)
    assert rows["credentials.flickr"] == ("set", "environment DREAMCRAWL_CREDENTIALS_FLICKR")
    assert rows["credentials.openverse"] == ("not set", "default")
    assert rows["credentials.museum"][0] == "set"
    assert settings.values.credentials.by_name() == {
        "europeana": SECRET,
        "flickr": SECRET,
        "museum": SECRET + "2",
        "zoo": SECRET,
    }
    assert SECRET not in repr(settings) + str(settings.listing()) + settings.values.model_dump_json()


def test_a_key_of_the_wrong_kind_is_named_without_its_value(tmp_path: Path):
    (tmp_path / "dreamcrawl.toml").write_text("[credentials]\nflickr = 8246015\n")

    with pytest.raises(SettingsInvalid, match=r"credentials\.flickr") as error:
        load_settings(environment={}, folder=tmp_path)

    assert "8246015" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ANY", "any"), ("cc0-1.0", "CC0-1.0"), ("CC BY-SA 4.0", "CC-BY-SA-4.0"), (" commercial ", "commercial")],
)
def test_a_licence_is_taken_in_any_usual_spelling(tmp_path: Path, text, expected):
    settings = load_settings(environment={"DREAMCRAWL_CRAWL_LICENSE": text}, folder=tmp_path)

    assert settings.values.crawl.license == expected

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.licenses import license_by_id
from pipeline.provenance.canonical import (
    NotJson,
    canonical_json,
    clean_text,
    cut_text,
    escape_xml,
    json_sha256,
    parse_object,
)
from pipeline.provenance.described_pictures import MAX_SIGHTINGS_BYTES
from pipeline.provenance.manifest import Manifest, ManifestUnreadable, Output, manifest_sha256
from pipeline.provenance.permission import Basis, Permission
from pipeline.provenance.sharing import public_url, sharing_of, web_address
from tests.support.inverting import FACTS, identity_of
from tests.support.manifests import ANY_TEXT, item_of, manifest_of, sighting

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_manifest_says_where_the_picture_came_from_and_how_the_dream_was_made() -> None:
    manifest = manifest_of(item_of(), [sighting(1), sighting(2, page_url="https://else.example/")])

    assert manifest["schema"] == "dreamcrawl.manifest/1"
    assert manifest["created_at"] == "2026-06-07T08:09:08Z"
    source = manifest["source"]
    assert source["item"] == "i12"
    assert (source["sha256"], source["pixel_sha256"]) == ("0a" * 32, "0b" * 32)
    assert source["page_url"] == "https://pictures.example/bridges?page=1&lang=en"
    assert source["fetched_at"] == "2026-05-04T03:02:01Z"
    assert source["license"]["id"] == "CC-BY-SA-4.0"
    assert source["license"]["url"] == "https://creativecommons.org/licenses/by-sa/4.0/"
    assert [each["page_url"] for each in source["sightings"]][1] == "https://else.example/"
    assert manifest["recipe"] == {"kind": "invert", "strength": 1.0}
    assert manifest["recipe_sha256"] == hashlib.sha256(b'{"kind":"invert","strength":1.0}').hexdigest()
    assert manifest["network"] == {"name": "tiny", "weights_sha256": "cd" * 32, "license": "CC0-1.0"}
    for fact in ("octave_sizes", "seed", "jitter_sha256", "objective", "device", "threads"):
        assert manifest["render"][fact] == FACTS[fact]
    assert manifest["sharing"]["license_id"] == "CC-BY-SA-4.0"


def test_a_manifest_keeps_its_digest_through_any_json_text() -> None:
    manifest = manifest_of(item_of(title="Brücke ☂ \u2028 \x85 <&> ]]>"))

    pretty = json.dumps(manifest, indent=3)
    sorted_keys = json.dumps(manifest, sort_keys=True, ensure_ascii=False)

    digest = manifest_sha256(manifest)
    assert manifest_sha256(json.loads(pretty)) == digest
    assert manifest_sha256(parse_object(sorted_keys)) == digest
    compact = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(compact.encode()).hexdigest() == digest


def test_what_is_read_is_what_was_built() -> None:
    manifest = manifest_of()

    read = Manifest.read(json.loads(json.dumps(manifest)))

    assert read.recomputed_key == read.derivation_key == manifest["derivation_key"]
    assert read.output == Output("PNG", 80, 64, "0d" * 32, "0d" * 32)
    assert (read.preset, read.network, read.max_side, read.engine_version) == ("inverted", "tiny", 512, 1)
    assert read.raw == manifest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "dreamcrawl.manifest/2"),
        (("schema",), None),
        (("source",), []),
        (("source", "sha256"), "0A" * 32),
        (("output", "pixel_sha256"), "0d" * 31),
        (("output", "width"), True),
        (("output", "height"), "64"),
        (("engine_version",), 1.0),
        (("recipe",), None),
        (("preset",), 3),
        (("network",), "tiny"),
        (("software",), None),
    ],
)
def test_a_manifest_with_a_wrong_field_is_not_read(path: tuple[str, ...], value: object) -> None:
    manifest = manifest_of()
    inner: Any = manifest
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value

    with pytest.raises(ManifestUnreadable, match=path[-1]):
        Manifest.read(manifest)


@given(JSON_VALUES)
def test_anything_else_is_not_read_as_a_manifest(value: Any) -> None:
    with pytest.raises(ManifestUnreadable):
        Manifest.read(value)


def test_a_recipe_that_does_not_have_its_digest_is_not_recorded() -> None:
    identity = dataclasses.replace(identity_of({"steps": 1}), recipe={"steps": 2})

    with pytest.raises(ValueError, match="digest of the recipe"):
        manifest_of(identity=identity)


def test_what_pages_declare_is_cut_and_cleaned_but_never_makes_the_record_fail() -> None:
    long = "&<\ud800\x00\ufffe" * 50_000
    hostile = sighting(1, image_url=f"https://x.example/{long}", page_url=long, license_declared_by=long)

    manifest = manifest_of(item_of(title=long, creator=long, license_id="unknown", license_url=long), [hostile] * 50)

    text = canonical_json(manifest)
    assert clean_text(text) == text
    assert len(escape_xml(text).encode()) < 45_000
    assert len(escape_xml(canonical_json(manifest["source"]["sightings"])).encode()) < MAX_SIGHTINGS_BYTES + 500
    assert manifest["source"]["sighting_count"] == 50
    assert manifest["source"]["license"]["url"] is None


def test_folders_of_this_machine_and_passwords_stay_out_of_the_record() -> None:
    own = sighting(
        1, image_url="file:///home/jane/private/My%20bridge.png", page_url="file:///home/jane/private/", source="folder"
    )
    secret = sighting(2, image_url="https://jane:hunter2@pictures.example/a.png")

    manifest = manifest_of(item_of(), [own, secret])

    text = canonical_json(manifest)
    assert manifest["source"]["image_url"] == "file:My bridge.png"
    assert manifest["source"]["page_url"] == "file:private"
    assert "/home/jane" not in text
    assert "hunter2" not in text
    assert "https://pictures.example/a.png" in text


def test_items_without_any_sighting_have_a_record_too() -> None:
    source = manifest_of(item_of(title=None, creator=None, license_id=None), [])["source"]

    assert source["page_url"] is None
    assert source["license"] == {"id": "unknown", "name": "Unknown licence", "url": None, "declared_by": None}


@pytest.mark.parametrize(
    ("license_id", "terms", "must_carry"),
    [
        ("CC0-1.0", "free", None),
        ("PDM-1.0", "free", None),
        ("CC-BY-4.0", "attribution", None),
        ("CC-BY-SA-3.0", "share-alike", "CC-BY-SA-3.0"),
        ("CC-BY-NC-4.0", "non-commercial", None),
        ("CC-BY-NC-SA-4.0", "non-commercial-share-alike", "CC-BY-NC-SA-4.0"),
        ("CC-BY-ND-4.0", "private", None),
        ("CC-BY-NC-ND-4.0", "private", None),
        ("unknown", "private", None),
        ("GPL-3.0", "private", None),
    ],
)
def test_the_terms_follow_from_the_licence(license_id: str, terms: str, must_carry: str | None) -> None:
    sharing = sharing_of(license_by_id(license_id))

    assert (sharing.terms, sharing.license_id) == (terms, must_carry)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.example/b?c=d#e", "https://a.example/b?c=d#e"),
        ("https://u:p@a.example/b", "https://a.example/b"),
        ("FILE:///C:/Users/jane/x.png", "file:x.png"),
        ("file:///C:%5CUsers%5Cjane%5Cx.png", "file:x.png"),
        ("http://[broken", ""),
    ],
)
def test_addresses_are_made_public(url: str, kept: str) -> None:
    assert public_url(url) == kept


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "/licence", "https://", "http://[x", None])
def test_only_web_addresses_count_as_licence_addresses(url: str | None) -> None:
    assert web_address(url) is None


@given(JSON_VALUES)
def test_canonical_json_reads_back_and_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    def reversed_keys(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {key: reversed_keys(inner[key]) for key in reversed(inner)}
        return [reversed_keys(each) for each in inner] if isinstance(inner, list) else inner

    text = canonical_json(value)

    assert json.loads(text) == value
    assert canonical_json(reversed_keys(value)) == text
    assert json_sha256(json.loads(text)) == json_sha256(value)


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "",
        "{",
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1,"a":2}',
        '{"a":' * 100_000,
        b"\xff{}",
        b'{"a":"',
        '{"a":1e999}',
        '{"a":[-1e999]}',
        '{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        '{"a":"\ud800"}',
        f'{{"a":{"9" * 5_000}}}',
    ],
)
def test_hostile_json_is_refused_with_one_error(text: str | bytes) -> None:
    with pytest.raises(NotJson):
        parse_object(text)


@given(ANY_TEXT, st.integers(min_value=3, max_value=60))
def test_cut_texts_fit_once_written_as_json_in_xml(text: str, limit: int) -> None:
    cut = cut_text(text, limit)

    inside = escape_xml(json.dumps(cut, ensure_ascii=False)[1:-1])
    assert len(inside.encode("utf-8")) <= limit
    assert cut == clean_text(text) or (cut.endswith("…") and clean_text(text).startswith(cut[:-1]))


def verdict(**changes: Any) -> dict[str, Any]:
    """What ingest writes down of a site's consent."""
    values = {
        "allowed": True,
        "rule": "robots.txt",
        "value": "Allow: /",
        "where": "https://pictures.example/robots.txt",
        "checked_at": "2026-05-04T03:02:01+00:00",
        "checked": ["robots.txt", "X-Robots-Tag"],
        "in_headers": False,
    }
    return values | changes


def test_the_last_verdict_of_consent_stands_in_the_record_with_rule_place_and_time() -> None:
    later = verdict(checked_at="2026-06-01T00:00:00+00:00", rule="none", value="", where="")

    one = manifest_of(sightings=[sighting(1, consent=verdict())])
    two = manifest_of(sightings=[sighting(1, consent=later), sighting(2, consent=verdict()), sighting(3)])
    none = manifest_of()

    told = {name: value for name, value in verdict().items() if name != "in_headers"}
    assert one["source"]["consent"] == told
    assert two["source"]["consent"]["checked_at"] == "2026-06-01T00:00:00+00:00"
    assert none["source"]["consent"] is None


def test_a_verdict_may_say_anything_and_the_record_stays_small_and_readable() -> None:
    hostile = verdict(value="<x>\x00" * 5_000, where="file:///home/me/robots.txt", checked=["\ud800"] * 500, rule=None)

    told = manifest_of(sightings=[sighting(1, consent=hostile)])["source"]["consent"]

    assert told["where"] == "file:robots.txt"
    assert (told["rule"], len(told["checked"])) == ("", 16)
    assert len(canonical_json(told)) < 1_500
    assert manifest_of(sightings=[sighting(1, consent={"checked": 3})])["source"]["consent"]["allowed"] is False


def test_a_record_names_on_what_grounds_it_was_made_and_only_then() -> None:
    assert "permission" not in manifest_of()
    assert manifest_of(permission=Permission(Basis.LICENSE))["permission"] == {"basis": "license"}

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pipeline.catalog.tables import ItemRow
from pipeline.errors import Objection
from pipeline.licenses import joint_terms, license_by_id, responsibility_words
from pipeline.provenance.permission import (
    Basis,
    Part,
    Permission,
    Refusal,
    permission_on_record,
    permission_to_dream,
    to_dream_on,
)
from pipeline.provenance.sharing import sharing_of
from pipeline.stylize import sizes_to_render
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture, sighting_of, workshop

WORDS = "I have the photographer's permission, mail of 3 May"


@pytest.fixture
def shop(tmp_path: Path):
    with workshop(tmp_path) as made:
        yield made


def part(license_id: str, *, own: bool = False, name: str = "i1") -> Part:
    return Part(name, license_by_id(license_id), own)


@pytest.mark.parametrize(
    ("license_id", "own", "outcome"),
    [
        ("CC0-1.0", False, Basis.LICENSE),
        ("PDM-1.0", False, Basis.LICENSE),
        ("NASA-media-guidelines", False, Basis.LICENSE),
        ("CC-BY-4.0", False, Basis.LICENSE),
        ("CC-BY-NC-SA-2.0", False, Basis.LICENSE),
        ("CC-BY-4.0", True, Basis.LICENSE),
        ("CC-BY-ND-4.0", False, Objection.NO_DERIVATIVES),
        ("CC-BY-NC-ND-3.0", False, Objection.NO_DERIVATIVES),
        # Somebody wrote that licence beside it.
        ("CC-BY-ND-4.0", True, Objection.NO_DERIVATIVES),
        ("unknown", False, Objection.LICENSE_UNKNOWN),
        ("All rights reserved", False, Objection.LICENSE_UNKNOWN),
        ("unknown", True, Basis.OWN_FILE),
    ],
)
def test_each_kind_of_licence_is_dreamed_on_or_not(license_id: str, own: bool, outcome: Basis | Objection) -> None:
    plain = permission_to_dream([part(license_id, own=own)])
    with_words = permission_to_dream([part(license_id, own=own)], WORDS)

    if isinstance(outcome, Basis):
        assert plain == with_words == Permission(outcome)
    else:
        assert isinstance(plain, Refusal)
        assert plain.objection is outcome
        assert with_words == Permission(Basis.RESPONSIBILITY, WORDS)


@pytest.mark.parametrize(
    ("first", "second", "carries"),
    [
        ("CC-BY-4.0", "CC0-1.0", None),
        ("CC-BY-SA-4.0", "CC-BY-4.0", "CC-BY-SA-4.0"),
        ("PDM-1.0", "CC-BY-SA-3.0", "CC-BY-SA-3.0"),
        # A later version of the same licence may be taken, but not of 1.0, which says nothing of later ones.
        ("CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-SA-4.0"),
        ("CC-BY-SA-1.0", "CC-BY-SA-4.0", "clash"),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", "clash"),
        ("CC-BY-SA-4.0", "CC-BY-NC-4.0", "clash"),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"),
        ("CC-BY-NC-SA-4.0", "CC-BY-4.0", "CC-BY-NC-SA-4.0"),
    ],
)
def test_two_licences_in_one_dream_are_kept_both_or_refused(first: str, second: str, carries: str | None) -> None:
    """By the chart of Creative Commons for adaptations."""
    for pair in ((first, second), (second, first)):
        licenses = [license_by_id(each) for each in pair]
        found = permission_to_dream([part(pair[0]), part(pair[1], name="i2")])
        terms = joint_terms(licenses)
        if carries == "clash":
            assert isinstance(found, Refusal)
            assert found.objection is Objection.LICENSES_CLASH
            assert all(each.name in found.line for each in licenses)
            assert sharing_of(*licenses).terms == "private"
            continue
        assert found == Permission(Basis.LICENSE)
        assert terms is not None
        assert sharing_of(*licenses).license_id == carries


def test_a_guide_counts_as_much_as_the_original_and_is_named() -> None:
    found = permission_to_dream([part("CC0-1.0"), part("CC-BY-ND-4.0", name="i7")])

    assert isinstance(found, Refusal)
    assert found.line.startswith("CC BY-ND 4.0 of i7, a guide or mask, does not permit")
    assert permission_to_dream([part("CC0-1.0"), part("unknown", own=True, name="i7")]) == Permission(Basis.OWN_FILE)


@pytest.mark.parametrize("text", ["yes", "I may", "ok ok 5 5", "??? !!! ...", "许可"])
def test_too_few_words_are_no_responsibility(text: str) -> None:
    with pytest.raises(ValueError, match="words that say why"):
        responsibility_words(text)


def test_words_are_kept_on_one_line_and_nothing_is_nothing() -> None:
    assert responsibility_words("") == responsibility_words(" \n") == ""
    assert responsibility_words("  I have\nher\x1b[31m permission ") == "I have her [31m permission"
    assert responsibility_words("我有摄影师的书面许可") == "我有摄影师的书面许可"
    with pytest.raises(ValueError, match="1000 bytes"):
        responsibility_words("word " * 300)


def test_what_no_licence_permits_is_left_out_with_the_reason_and_made_when_words_are_given(shop: Workshop) -> None:
    ids = {name: shop.add(picture(n), license_id=name) for n, name in enumerate(("CC-BY-ND-4.0", "unknown", "CC0-1.0"))}
    identity = InvertingRenderer().identity
    sizes = [
        len(sizes_to_render(list(ids.values()), identity=identity, catalog=shop.catalog, responsibility=words))
        for words in ("", WORDS)
    ]

    report = shop.stylize(*ids.values())
    private = shop.stylize(*ids.values(), responsibility=WORDS)
    after = shop.stylize(*ids.values())

    assert sizes == [1, 3]
    assert (report.made, dict(report.skip_reasons)) == (1, {"no_derivatives": 1, "license_unknown": 1})
    assert dict(report.skipped)[ids["CC-BY-ND-4.0"]] == "CC BY-ND 4.0 does not permit adapted pictures"
    assert (private.made, private.already, private.skipped) == (2, 1, ())
    # What was made stays, also for those who say nothing.
    assert (after.made, after.already, after.skipped) == (0, 3, ())
    by_item = {shop.derivation(number).item_id: shop.derivation(number).manifest for number in private.derivation_ids}
    for name in ("CC-BY-ND-4.0", "unknown"):
        manifest = by_item[ids[name]]
        assert manifest["permission"] == {"basis": "responsibility", "words": WORDS}
        assert manifest["sharing"]["terms"] == "private"
        assert WORDS in manifest["sharing"]["note"]
    # Where the licence permits it, nobody took responsibility.
    assert by_item[ids["CC0-1.0"]]["permission"] == {"basis": "license"}
    assert WORDS not in json.dumps(by_item[ids["CC0-1.0"]])


def test_where_only_a_near_copy_has_a_licence_the_reason_names_it(shop: Workshop) -> None:
    first, farther, nearer, alone = (
        shop.add(picture(n), license_id=name) for n, name in enumerate(("unknown", "CC0-1.0", "CC-BY-4.0", "unknown"))
    )
    unusable = shop.add(picture(9), license_id="CC-BY-ND-4.0")
    with shop.catalog.write() as uow:
        for item_id, distance in ((farther, 9), (nearer, 3), (unusable, 1)):
            near = {"near_duplicate_of_id": first, "near_duplicate_distance": distance}
            uow.session.execute(update(ItemRow).where(ItemRow.id == item_id).values(**near))

    told = dict(shop.stylize(first, alone).skipped)

    assert told[first].endswith(f"; i{nearer}, near to it, may be (CC BY 4.0): dreamcrawl dream --item i{nearer}")
    assert told[alone] == "the licence is unknown, so that nothing permits an adapted picture"


def test_a_near_copy_that_may_be_dreamed_on_stands_in_for_the_one_in_front_and_says_so(shop: Workshop) -> None:
    front, forbidden, farther, nearer = (
        shop.add(picture(n), license_id=name)
        for n, name in enumerate(("unknown", "CC-BY-ND-4.0", "CC0-1.0", "CC-BY-4.0"))
    )
    free, copy = (shop.add(picture(n), license_id="CC0-1.0") for n in (5, 6))
    with shop.catalog.write() as uow:
        for item_id, of, distance in ((forbidden, front, 1), (farther, front, 9), (nearer, front, 3), (copy, free, 1)):
            near = {"near_duplicate_of_id": of, "near_duplicate_distance": distance}
            uow.session.execute(update(ItemRow).where(ItemRow.id == item_id).values(**near))
        items = {each.id: each for each in uow.items.list(limit=None)}

        def chosen(item_id: int, words: str = "", asked: str | None = None) -> int | None:
            found = to_dream_on(uow, items[item_id], words, license=asked)
            return found.id if found else None

        assert chosen(front) == nearer
        assert chosen(front, asked="CC0") == farther
        assert chosen(front, asked="CC-BY-ND") is None
        # Words are given for the one that is in front.
        assert chosen(front, WORDS) == front
        assert (chosen(free), chosen(free, asked="CC-BY")) == (free, None)

    report = shop.stylize(nearer, copy)

    (told,) = report.stand_ins
    assert told[0] == nearer
    assert told[1].startswith(f"in place of i{front}, which it is near to: the licence is unknown")
    assert report.made == 2
    assert shop.stylize(nearer).stand_ins == ()


def test_a_file_of_ones_own_is_dreamed_on_and_recorded_as_such(shop: Workshop) -> None:
    own: dict[str, Any] = {"license_id": None, "page_url": "file:///home/me", "image_url": "file:///home/me/a.png"}
    mine = shop.add(picture(1), source="folder", **own)
    given = shop.add(picture(2), source="file", **own)
    # One's own folder may hold what was also met on the web, where nobody says that it is free.
    met = shop.add(picture(3), source="folder", **own)
    with shop.catalog.write() as uow:
        uow.sightings.add(sighting_of(met, shop.item(met).blob_sha256, relation="same_bytes", license_id=None))

    report = shop.stylize(mine, given, met)

    assert (report.made, [number for number, _line in report.skipped]) == (2, [met])
    manifest = shop.derivation(report.derivation_ids[0]).manifest
    assert manifest["permission"] == {"basis": "own-file"}
    assert manifest["sharing"]["terms"] == "private"
    assert "its maker's to decide" in manifest["sharing"]["note"]


def test_share_alike_goes_on_from_original_and_guide_alike(shop: Workshop) -> None:
    free = shop.add(picture(1), license_id="CC-BY-4.0")
    alike = shop.add(picture(2), license_id="CC-BY-SA-3.0")
    other = shop.add(picture(3), license_id="CC-BY-NC-SA-4.0")
    guide = shop.add(picture(4), license_id="CC-BY-SA-4.0", title="A guide", creator="Gil")
    base = identity_of({"kind": "invert"})
    renderer = InvertingRenderer(dataclasses.replace(base, pictures=(shop.item(guide).pixel_sha256,)))

    report = shop.stylize(free, alike, other, renderer=renderer)
    alone = shop.dream(alike)

    assert [shop.derivation(number).manifest["sharing"]["license_id"] for number in report.derivation_ids] == [
        "CC-BY-SA-4.0",
        "CC-BY-SA-4.0",
    ]
    assert dict(report.skip_reasons) == {"licenses_clash": 1}
    assert dict(report.skipped)[other] == (
        "no licence could be given to a dream made under CC BY-NC-SA 4.0 and CC BY-SA 4.0 together"
    )
    assert alone.manifest["sharing"]["license_id"] == "CC-BY-SA-3.0"
    assert shop.stylize(other, renderer=renderer, responsibility=WORDS).made == 1


@pytest.mark.parametrize("told", [None, "license", {"basis": "god"}, {"basis": ["license"]}, {}])
def test_a_record_that_says_no_such_thing_is_none(told: Any) -> None:
    assert permission_on_record({"permission": told}) is None
    assert permission_on_record({}) is None

"""What verify says of pictures that others made: what they claim, what of it holds, and what nothing proves."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from sqlalchemy import update

from pipeline.catalog.tables import ItemRow
from pipeline.errors import NotFound
from pipeline.images import encode
from pipeline.provenance import credential_checks
from pipeline.provenance.credential_checks import Trust
from pipeline.provenance.unproven import unproven_claims
from pipeline.provenance.verify import verify_all, verify_file, verify_item
from pipeline.records import VerifyReport
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture, workshop

RGB = np.full((8, 8, 3), 90, dtype=np.uint8)
PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:r="http://ns.adobe.com/xap/1.0/rights/"
  xmp:CreatorTool="Paint 3" e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Sea&#10;shore</rdf:li>
  <rdf:li xml:lang="fr">Rivage</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Ann</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>
<r:WebStatement rdf:resource="https://example.org/licence"/>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
CLAIMS = {
    "title": "Sea shore",
    "creator": "Ann, Bo",
    "licence": "https://example.org/licence",
    "digital source type": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt",
    "software": "Paint 3",
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path / "workspace") as made:
        yield made


def signed(tmp_path: Path) -> bytes:
    """A picture as a stranger's camera signs it."""
    pytest.importorskip("c2pa", reason="needs the extra c2pa")
    from tests.support.signing import signed_by_stranger

    return signed_by_stranger(picture(1), "image/png", tmp_path / "stranger")


def credentials(report: VerifyReport) -> list[tuple[bool, str]]:
    return [(check.ok, check.found) for check in report.checks if check.name == "content credentials"]


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_what_a_stranger_claims_without_proof_is_told(tmp_path: Path, image_format: Any) -> None:
    data = encode(RGB, format=image_format, xmp=PACKET.encode())
    file = tmp_path / "sea"
    file.write_bytes(data)

    with pytest.raises(NotFound) as refused:
        verify_file(file)

    assert unproven_claims(data) == CLAIMS
    assert "Its XMP says, with no proof of it: title: Sea shore; creator: Ann, Bo;" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_claims_are_read_from_any_bytes() -> None:
    assert unproven_claims(encode(RGB, format="PNG")) == {}
    broken = PACKET.replace("</dc:creator>", "")
    assert unproven_claims(encode(RGB, format="PNG", xmp=broken.encode())) == {}
    long = PACKET.replace("Ann", "x" * 100_000)
    assert len(unproven_claims(encode(RGB, format="PNG", xmp=long.encode()))["creator"].encode()) <= 200


@given(st.binary(max_size=300))
def test_no_packet_makes_reading_claims_fail(packet: bytes) -> None:
    assert isinstance(unproven_claims(encode(RGB, format="JPEG", xmp=packet)), dict)


def test_the_credentials_that_an_original_came_with_are_told(shop: Workshop, tmp_path: Path) -> None:
    plain, theirs = shop.add(picture(2)), shop.add(signed(tmp_path))

    report = verify_item(theirs, catalog=shop.catalog, store=shop.store)

    assert report.ok
    assert credentials(report) == [(True, "as it came: valid, signed by Stranger")]
    told = {check.name: check.found for check in report.checks}
    assert told["claimed software"] == "Strange Camera 3"
    assert told["claimed actions"] == "c2pa.created (digitalCapture)"
    assert credentials(verify_item(plain, catalog=shop.catalog, store=shop.store)) == []
    anchors = Trust((tmp_path / "stranger" / "root.pem").read_bytes())
    trusted = verify_item(theirs, catalog=shop.catalog, store=shop.store, trust=anchors)
    assert credentials(trusted) == [(True, "as it came: trusted, signed by Stranger")]


def test_credentials_of_a_gif_are_told_too(shop: Workshop, tmp_path: Path) -> None:
    pytest.importorskip("c2pa", reason="needs the extra c2pa")
    from tests.support.signing import signed_by_stranger

    plain = io.BytesIO()
    Image.fromarray(np.tile(RGB, (8, 8, 1))).save(plain, "GIF")
    theirs = shop.add(signed_by_stranger(plain.getvalue(), "image/gif", tmp_path / "stranger"))

    report = verify_item(theirs, catalog=shop.catalog, store=shop.store)

    assert credentials(report) == [(True, "as it came: valid, signed by Stranger")]


@pytest.mark.parametrize(("image_format", "media_type"), [("TIFF", "image/tiff"), ("AVIF", "image/avif")])
def test_credentials_are_told_of_pictures_that_are_not_taken_here(
    tmp_path: Path, image_format: str, media_type: str
) -> None:
    pytest.importorskip("c2pa", reason="needs the extra c2pa")
    if image_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    from tests.support.signing import signed_by_stranger

    plain = io.BytesIO()
    Image.fromarray(np.tile(RGB, (8, 8, 1))).save(plain, image_format)
    data = signed_by_stranger(plain.getvalue(), media_type, tmp_path / "stranger")
    file, changed, without = tmp_path / "whole", tmp_path / "changed", tmp_path / "without"
    file.write_bytes(data)
    without.write_bytes(plain.getvalue())
    place = data.index(b"Strange Camera")
    changed.write_bytes(data[:place] + b"Another" + data[place + 7 :])

    whole, broken = verify_file(file), verify_file(changed)

    assert credentials(whole) == [(True, "valid, signed by Stranger, who is not among those trusted here")]
    assert {check.name for check in whole.checks} >= {"claimed software", "claimed actions"}
    assert [ok for ok, _ in credentials(broken)] == [False]
    with pytest.raises(NotFound, match="no picture that can be read"):
        verify_file(without)


def test_credentials_that_came_broken_are_told_and_fail_nothing_that_is_kept(shop: Workshop, tmp_path: Path) -> None:
    # Other pixels in the file than were signed; whole otherwise.
    donor, other = signed(tmp_path), picture(3)
    start = donor.index(b"caBX") - 4
    store = donor[start : start + 12 + int.from_bytes(donor[start : start + 4], "big")]
    shop.add(other[:33] + store + other[33:])

    report = verify_all(catalog=shop.catalog, store=shop.store)

    assert report.ok
    [(_, found)] = credentials(report)
    assert found.startswith("as it came: does not hold: assertion.dataHash")


def test_without_the_library_they_are_told_to_be_unchecked(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = shop.add(signed(tmp_path))
    monkeypatch.setattr(credential_checks, "is_installed", lambda: False)

    report = verify_item(theirs, catalog=shop.catalog, store=shop.store)

    assert report.ok
    assert [check.found for check in report.skipped] == [
        "there, as it came, and not checked; pip install 'dreamcrawl[c2pa]'"
    ]


def test_what_was_withdrawn_is_said_of_the_picture_and_of_what_was_made_of_it(shop: Workshop, tmp_path: Path) -> None:
    guide = shop.add(picture(2))
    identity = dataclasses.replace(identity_of({"kind": "guided"}), pictures=(shop.item(guide).pixel_sha256,))
    dream = shop.dream(shop.add(picture(1)), renderer=InvertingRenderer(identity))
    with shop.catalog.write() as uow:
        withdrawn = update(ItemRow).where(ItemRow.id == guide)
        uow.session.execute(withdrawn.values(withdrawn_at=datetime(2026, 3, 1, tzinfo=UTC), withdrawn_reason="noai"))
    original = tmp_path / "original.png"
    original.write_bytes(picture(2))

    def said(report: VerifyReport) -> list[str]:
        assert report.ok
        return [check.found for check in report.checks if check.name == "withdrawn"]

    words = [f"i{guide}, on 2026-03-01: not to be used; noai"]
    assert said(verify_file(shop.dreams / dream.file_name, catalog=shop.catalog, store=shop.store)) == words
    assert said(verify_file(original, catalog=shop.catalog, store=shop.store)) == words
    assert said(verify_item(guide, catalog=shop.catalog, store=shop.store)) == words
    assert said(verify_item(dream.item_id, catalog=shop.catalog, store=shop.store)) == []

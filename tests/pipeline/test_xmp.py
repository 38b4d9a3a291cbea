from __future__ import annotations

import io
import json
import struct
import xml.etree.ElementTree as ET
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pipeline.images import encode
from pipeline.provenance.canonical import canonical_json
from pipeline.provenance.manifest import manifest_sha256
from pipeline.provenance.permission import Basis, Permission
from pipeline.provenance.xmp import (
    JPEG_MAX_PACKET_BYTES,
    MAX_ATTRIBUTION_BYTES,
    NAMESPACE,
    Embedded,
    attribution,
    read_xmp,
    write_xmp,
)
from tests.support.inverting import FACTS, identity_of
from tests.support.manifests import ANY_TEXT, item_of, manifest_of, sighting

RGB = np.full((8, 8, 3), 90, dtype=np.uint8)
NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "own": "urn:dreamcrawl:xmp:1.0:",
}


def texts(packet: bytes, path: str) -> list[str]:
    """The texts at a path of the packet, read with the standard library's parser."""
    root = ET.fromstring(packet)
    return [element.text or "" for element in root.findall(f"./rdf:RDF/rdf:Description/{path}", NAMES)]


def png_with(packet: bytes) -> bytes:
    return encode(RGB, format="PNG", xmp=packet)


def wrapped(properties: str, *, attributes: str = "") -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{NAMES["rdf"]}">'
        f'<rdf:Description xmlns:o="{NAMESPACE}"{attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def test_the_packet_names_author_source_licence_and_what_was_done() -> None:
    manifest = manifest_of()

    packet = write_xmp(manifest)

    assert texts(packet, "dc:title/rdf:Alt/rdf:li") == ["A stone bridge"]
    assert texts(packet, "dc:creator/rdf:Seq/rdf:li") == ["Jane Doe"]
    assert texts(packet, "dc:contributor/rdf:Bag/rdf:li") == ["dreamcrawl 0.1.0"]
    assert texts(packet, "dc:source") == ["https://pictures.example/bridges?page=1&lang=en"]
    assert texts(packet, "photoshop:Source") == ["https://pictures.example/bridges?page=1&lang=en"]
    assert texts(packet, "photoshop:Credit") == ["Jane Doe / website"]
    assert texts(packet, "xmpRights:WebStatement") == ["https://creativecommons.org/licenses/by-sa/4.0/"]
    assert texts(packet, "xmpRights:Marked") == ["True"]
    assert "CC BY-SA 4.0" in texts(packet, "xmpRights:UsageTerms/rdf:Alt/rdf:li")[0]
    assert texts(packet, "Iptc4xmpExt:DigitalSourceType") == [
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    ]
    assert texts(packet, "xmpMM:DerivedFrom/stRef:documentID") == [f"urn:sha256:{'0a' * 32}"]
    assert texts(packet, "xmp:CreatorTool") == ["dreamcrawl 0.1.0"]
    assert "neural network" in texts(packet, "dc:description/rdf:Alt/rdf:li")[0]
    rights = texts(packet, "dc:rights/rdf:Alt/rdf:li")[0]
    assert rights == attribution(manifest)
    assert rights == (
        '"A stone bridge" by Jane Doe (https://pictures.example/bridges?page=1&lang=en), CC BY-SA 4.0 '
        "(https://creativecommons.org/licenses/by-sa/4.0/); altered by a neural network"
    )
    assert texts(packet, "own:Manifest") == [canonical_json(manifest)]
    assert texts(packet, "own:ManifestSHA256") == [manifest_sha256(manifest)]
    assert texts(packet, "own:DerivationKey") == [manifest["derivation_key"]]


def test_the_fields_of_iptc_that_readers_show_are_there() -> None:
    packet = write_xmp(manifest_of())

    assert texts(packet, "photoshop:Credit") == ["Jane Doe / website"]
    (instructions,) = texts(packet, "photoshop:Instructions")
    assert instructions.startswith("name the creator, the source and the licence")
    assert instructions.endswith("share it under CC BY-SA 4.0")
    assert texts(packet, "photoshop:DateCreated") == ["2026-06-07T08:09:08Z"]
    assert texts(packet, "Iptc4xmpCore:AltTextAccessibility/rdf:Alt/rdf:li") == ["DeepDream of: A stone bridge"]
    assert texts(packet, "Iptc4xmpExt:AISystemUsed") == ["dreamcrawl 0.1.0, network tiny"]
    assert texts(packet, "Iptc4xmpExt:AISystemVersionUsed") == ["0.1.0"]


def test_a_dream_from_noise_is_not_called_an_altered_picture() -> None:
    packet = write_xmp(manifest_of(identity=identity_of({"kind": "invert", "start": "noise"})))

    assert texts(packet, "Iptc4xmpExt:DigitalSourceType") == [
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    ]
    assert texts(packet, "dc:description/rdf:Alt/rdf:li")[0].startswith("Made by a neural network")


@pytest.mark.parametrize(
    ("license_id", "marked"),
    [
        *((each, ["False"]) for each in ("CC0-1.0", "PDM-1.0", "CC-PDDC", "NASA-media-guidelines")),
        (None, []),
        ("CC-BY-4.0", ["True"]),
    ],
)
def test_rights_are_marked_only_as_far_as_they_are_known(license_id: str | None, marked: list[str]) -> None:
    packet = write_xmp(manifest_of(item_of(license_id=license_id, creator=None), []))

    assert texts(packet, "xmpRights:Marked") == marked
    assert texts(packet, "dc:creator") == []
    assert "author unknown" in texts(packet, "dc:rights/rdf:Alt/rdf:li")[0]


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_pillow_finds_the_attribution_in_our_files(image_format: Any) -> None:
    data = encode(RGB, format=image_format, xmp=write_xmp(manifest_of()))

    with Image.open(io.BytesIO(data)) as image:
        description = image.getxmp()["xmpmeta"]["RDF"]["Description"]

    assert description["creator"]["Seq"]["li"] == "Jane Doe"
    assert description["WebStatement"] == "https://creativecommons.org/licenses/by-sa/4.0/"


@settings(deadline=None, max_examples=60)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_whatever_pages_say_comes_back_as_the_same_manifest(
    title: str, creator: str, url: str, image_format: Any
) -> None:
    manifest = manifest_of(item_of(title=title, creator=creator), [sighting(page_url=url, image_url=url + "/x")])

    embedded = read_xmp(encode(RGB, format=image_format, xmp=write_xmp(manifest, max_bytes=JPEG_MAX_PACKET_BYTES)))

    assert embedded == Embedded(manifest, manifest_sha256(manifest), manifest["derivation_key"])


@pytest.mark.parametrize("hostile", ["]]>", "<!--", "<?xpacket end='w'?>", "&amp;&#0;", "</rdf:li>", "\x00\x1f\ud800￾"])
def test_hostile_titles_stay_texts(hostile: str) -> None:
    packet = write_xmp(manifest_of(item_of(title=f"a {hostile} b" * 1000)))

    assert texts(packet, "dc:title/rdf:Alt/rdf:li")[0].startswith("a ")
    assert len(texts(packet, "own:Manifest")) == 1


def test_the_longest_texts_still_fit_into_a_jpeg() -> None:
    long = "&<>" * 100_000
    manifest = manifest_of(
        item_of(title=long, creator=long, license_id="unknown", license_url=f"https://x.example/{long}"),
        [
            sighting(
                n,
                image_url=f"https://{n}.example/{long}",
                page_url=f"https://{n}.example/{long}",
                consent={"rule": long, "value": long, "where": long, "checked_at": long, "checked": [long] * 99},
            )
            for n in range(9)
        ],
        permission=Permission(Basis.RESPONSIBILITY, "&<>" * 333),
    )

    packet = write_xmp(manifest, max_bytes=JPEG_MAX_PACKET_BYTES)

    assert read_xmp(encode(RGB, format="JPEG", xmp=packet)).manifest == manifest
    assert texts(packet, "dc:title/rdf:Alt/rdf:li")[0].endswith("…")


def test_a_packet_of_the_largest_size_fits_into_a_jpeg_and_a_larger_one_is_refused() -> None:
    room = JPEG_MAX_PACKET_BYTES - len(write_xmp(manifest_of(facts=FACTS | {"notes": ""})))
    full = manifest_of(facts=FACTS | {"notes": "x" * room})

    packet = write_xmp(full, max_bytes=JPEG_MAX_PACKET_BYTES)

    assert len(packet) == JPEG_MAX_PACKET_BYTES
    assert read_xmp(encode(RGB, format="JPEG", xmp=packet)).manifest == full
    with pytest.raises(ValueError, match="PNG"):
        write_xmp(manifest_of(facts=FACTS | {"notes": "x" * (room + 1)}), max_bytes=JPEG_MAX_PACKET_BYTES)


def test_records_are_found_where_other_tools_may_put_them() -> None:
    manifest = manifest_of()
    packet = write_xmp(manifest)
    image = Image.fromarray(RGB)
    compressed, webp = io.BytesIO(), io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Comment", "before")
    info.add_itxt("XML:com.adobe.xmp", packet.decode(), "en", "XMP", zip=True)
    image.save(compressed, "PNG", pnginfo=info)
    image.save(webp, "WEBP", xmp=packet)
    digest, key, text = manifest_sha256(manifest), manifest["derivation_key"], canonical_json(manifest)
    quoted = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    as_attributes = wrapped(
        "", attributes=f' o:Manifest="{quoted}" o:ManifestSHA256="{digest}" o:DerivationKey="{key}"'
    )

    for data in (compressed.getvalue(), webp.getvalue(), png_with(as_attributes), png_with(packet + b"\n" * 2000)):
        assert read_xmp(data) == Embedded(manifest, digest, key)


def test_pictures_without_our_record_have_none() -> None:
    stranger = wrapped("").replace(NAMESPACE.encode(), b"urn:other:")

    for data in (
        b"",
        b"plain text",
        encode(RGB, format="PNG"),
        encode(RGB, format="JPEG"),
        png_with(stranger),
        png_with(wrapped("")),
    ):
        assert read_xmp(data) is None


@pytest.mark.parametrize(
    ("packet", "problem"),
    [
        (wrapped("<o:Manifest>{</o:Manifest>"), "no JSON"),
        (wrapped("<o:Manifest>[1]</o:Manifest>"), "no JSON"),
        (wrapped(f"<o:Manifest>{'[' * 200_000}</o:Manifest>"), "nested too deeply"),
        (wrapped('<o:Manifest>{"a":1,"a":2}</o:Manifest>'), "twice"),
        (wrapped("<o:Manifest>{}</o:Manifest>")[:-5], "cannot be read"),
        (wrapped("<o:ManifestSHA256>x</o:ManifestSHA256>"), "holds no manifest"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + wrapped("<o:Manifest>&a;</o:Manifest>"), "cannot be read"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x">' + wrapped("<o:Manifest>{}</o:Manifest>"), "cannot be read"),
        (b'<?xml version="1.0" encoding="martian"?>' + wrapped("<o:Manifest>{}</o:Manifest>"), "cannot be read"),
        (b"<a>" * 50_000 + NAMESPACE.encode(), "cannot be read"),
    ],
)
def test_damaged_records_are_told_from_absent_ones(packet: bytes, problem: str) -> None:
    embedded = read_xmp(png_with(packet))

    assert embedded is not None
    assert embedded.manifest is None
    assert problem in embedded.problem


def test_a_packet_that_unpacks_to_too_much_is_left_alone() -> None:
    bomb = zlib.compress(NAMESPACE.encode() + b" " * 50_000_000, 9)
    body = b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + bomb
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    plain = encode(RGB, format="PNG")

    assert read_xmp(plain[:33] + chunk + plain[33:]) is None


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_reading_never_raises_for_mutilated_files(data: st.DataObject, image_format: str) -> None:
    out = io.BytesIO()
    if image_format == "WEBP":
        Image.fromarray(RGB).save(out, "WEBP", xmp=write_xmp(manifest_of()))
        whole = bytearray(out.getvalue())
    else:
        whole = bytearray(encode(RGB, format=image_format, xmp=write_xmp(manifest_of())))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))

    embedded = read_xmp(bytes(whole[:end]) + data.draw(st.binary(max_size=8)))

    assert embedded is None or isinstance(embedded, Embedded)


@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF\x00\x00\x00\x00WEBP"]), st.binary(max_size=200))
def test_reading_never_raises_for_any_bytes(start: bytes, rest: bytes) -> None:
    assert read_xmp(start + rest) is None or json.dumps(read_xmp(start + rest).manifest)


def test_texts_of_any_length_push_neither_licence_nor_guide_out_of_the_credit() -> None:
    guide = item_of(id=13, title="g" * 5_000, creator="h" * 5_000, license_id="CC-BY-SA-4.0")
    long = item_of(title="t" * 5_000, creator="c" * 5_000)

    line = attribution(manifest_of(long, [sighting(1, page_url="https://x.example/" + "p" * 5_000)], inputs=(guide,)))

    assert "CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/); altered by a neural network; with " in line
    assert line.endswith(", CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)")
    assert len(line.encode()) < MAX_ATTRIBUTION_BYTES

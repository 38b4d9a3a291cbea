"""What a signed dream says of what it was made of, whatever its original carries."""

from __future__ import annotations

import dataclasses
import io
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.provenance.c2pa import C2paSigner, read_credentials
from pipeline.provenance.verify import verify_file
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture
from tests.support.signing import (
    MEDIA_TYPES,
    actions_of,
    active_manifest,
    file_of,
    own_trust,
    signed_by_stranger,
    state_of,
    told_by_reader,
)

FORMATS = ("JPEG", "PNG", "WEBP")
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(
    ("recipe", "from_noise"),
    [
        ({"kind": "x", "start": "noise"}, True),
        ({"kind": "x", "start": "blank", "strength": 1.0, "mask": None}, True),
        ({"kind": "x", "start": "noise", "strength": 0.5}, False),
        ({"kind": "x", "start": "noise", "mask": {"kind": "box"}}, False),
        ({"kind": "x", "start": "image"}, False),
    ],
)
def test_a_dream_from_noise_is_created_and_has_no_parent(
    shop: Workshop, signer: C2paSigner, image_format: str, recipe: dict[str, Any], from_noise: bool
) -> None:
    renderer = InvertingRenderer(identity_of(recipe))
    shop.dream(shop.add(picture(1)), renderer=renderer, output_format=image_format, signer=signer)
    data = file_of(shop).read_bytes()

    told = told_by_reader(data, MEDIA_TYPES[image_format], signer.keys.anchors_pem)

    kind = f"{IPTC}{'trainedAlgorithmicMedia' if from_noise else 'compositeWithTrainedAlgorithmicMedia'}"
    assert told["validation_state"] == "Trusted"
    assert [each["action"] for each in actions_of(told)] == (
        ["c2pa.created"] if from_noise else ["c2pa.opened", "c2pa.edited"]
    )
    assert actions_of(told)[-1]["digitalSourceType"] == kind
    assert len(active_manifest(told).get("ingredients", [])) == (0 if from_noise else 1)
    assert f"DigitalSourceType>{kind}<".encode() in data


def test_a_guide_is_an_input_and_not_a_parent(shop: Workshop, signer: C2paSigner) -> None:
    guide = shop.item(shop.add(picture(2), title="A pattern", creator=None))
    identity = dataclasses.replace(identity_of({"kind": "guided"}), pictures=(guide.pixel_sha256,))

    derivation = shop.dream(shop.add(picture(1)), renderer=InvertingRenderer(identity), signer=signer)

    told = told_by_reader(file_of(shop, derivation).read_bytes(), "image/png", signer.keys.anchors_pem)
    assert told["validation_state"] == "Trusted"
    parent, other = active_manifest(told)["ingredients"]
    assert (parent["relationship"], other["relationship"], other["title"]) == ("parentOf", "inputTo", "A pattern")
    edited = actions_of(told)[-1]
    assert [each["url"].rpartition("/")[2] for each in edited["parameters"]["ingredients"]] == [other["label"]]


def test_a_reduced_original_is_told(shop: Workshop, signer: C2paSigner) -> None:
    renderer = InvertingRenderer(identity_of({"kind": "invert"}, max_side=40))

    derivation = shop.dream(shop.add(picture(1, width=80, height=64)), renderer=renderer, signer=signer)

    actions = actions_of(told_by_reader(file_of(shop, derivation).read_bytes(), "image/png"))
    assert [each["action"] for each in actions] == ["c2pa.opened", "c2pa.resized", "c2pa.edited"]
    assert actions[1]["parameters"]["description"] == "from 80x64 to 40x32 pixels (Lanczos)"


class TestAnOriginalThatCarriesAManifest:
    def test_keeps_its_bytes_and_is_carried_on_with_its_state(
        self, shop: Workshop, signer: C2paSigner, tmp_path: Path
    ) -> None:
        original = signed_by_stranger(picture(1), "image/png", tmp_path / "stranger")
        derivation = shop.dream(shop.add(original), signer=signer)

        told = told_by_reader(file_of(shop, derivation).read_bytes(), "image/png", signer.keys.anchors_pem)

        assert shop.store.read(shop.item(1).blob_sha256) == original
        assert told["validation_state"] == "Trusted"
        assert len(told["manifests"]) == 2
        (parent,) = active_manifest(told)["ingredients"]
        carried = told["manifests"][parent["active_manifest"]]
        assert carried["claim_generator_info"][0]["name"] == "Strange Camera"
        failures = [each["code"] for each in parent["validation_results"]["activeManifest"]["failure"]]
        assert failures == ["signingCredential.untrusted"]
        credentials = read_credentials(
            file_of(shop, derivation).read_bytes(), media_type="image/png", anchors_pem=signer.keys.anchors_pem
        )
        assert credentials is not None
        assert [(each.relationship, each.state) for each in credentials.ingredients] == [("parentOf", "valid")]

    @pytest.mark.parametrize("image_format", FORMATS)
    def test_may_be_longer_than_one_segment_of_a_jpeg(
        self, shop: Workshop, signer: C2paSigner, tmp_path: Path, image_format: Any
    ) -> None:
        notes = "many words " * 20_000
        original = signed_by_stranger(picture(1), "image/png", tmp_path / "stranger", notes=notes)
        derivation = shop.dream(shop.add(original), signer=signer, output_format=image_format)
        data = file_of(shop, derivation).read_bytes()
        alone = tmp_path / "alone"

        assert len(data) > len(notes)
        assert state_of(data, MEDIA_TYPES[image_format], signer.keys.anchors_pem) == "Trusted"
        alone.write_bytes(data)
        assert verify_file(alone, trust=own_trust(signer)).ok
        if image_format == "JPEG":
            starts = [place for place in range(len(data)) if data.startswith(b"JP\x02\x11", place)]
            assert len(starts) == 4
            for place in (*range(starts[2] - 4, starts[2] + 16), starts[3] + 500):
                damaged = bytearray(data)
                damaged[place] ^= 0x04
                alone.write_bytes(damaged)
                assert not verify_file(alone, trust=own_trust(signer)).ok, place - starts[2]

    def test_that_does_not_hold_is_carried_on_as_such(self, shop: Workshop, signer: C2paSigner, tmp_path: Path) -> None:
        honest = signed_by_stranger(picture(1), "image/png", tmp_path / "stranger")
        # The same manifest over other pixels.
        begin = honest.index(b"caBX") - 4
        length = int.from_bytes(honest[begin : begin + 4], "big") + 12
        other = picture(2)
        forged = other[:33] + honest[begin : begin + length] + other[33:]
        derivation = shop.dream(shop.add(forged), signer=signer)

        told = told_by_reader(file_of(shop, derivation).read_bytes(), "image/png", signer.keys.anchors_pem)

        (parent,) = active_manifest(told)["ingredients"]
        failures = [each["code"] for each in parent["validation_results"]["activeManifest"]["failure"]]
        assert "assertion.dataHash.mismatch" in failures
        assert told["validation_state"] == "Trusted"

    def test_that_cannot_be_read_is_named_without_it(self, shop: Workshop, signer: C2paSigner, tmp_path: Path) -> None:
        broken = bytearray(signed_by_stranger(picture(1), "image/png", tmp_path / "stranger"))
        begin = broken.index(b"caBX")
        end = begin + 4 + int.from_bytes(broken[begin - 4 : begin], "big")
        broken[begin + 300 : begin + 400] = bytes(100)
        broken[end : end + 4] = zlib.crc32(broken[begin:end]).to_bytes(4, "big")
        derivation = shop.dream(shop.add(bytes(broken)), signer=signer)

        told = told_by_reader(file_of(shop, derivation).read_bytes(), "image/png", signer.keys.anchors_pem)

        assert told["validation_state"] == "Trusted"
        assert [each["relationship"] for each in active_manifest(told)["ingredients"]] == ["parentOf"]
        assert len(told["manifests"]) == 1
        assert verify_file(file_of(shop, derivation), trust=own_trust(signer)).ok


def test_no_address_in_a_picture_is_ever_called(shop: Workshop, signer: C2paSigner, tmp_path: Path) -> None:
    called: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_error(404)

        def log_message(self, *_given: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Listening)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/manifest.c2pa"
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture(1))) as image:
        image.save(out, "JPEG", xmp=packet)
    original = tmp_path / "named-elsewhere.jpg"
    original.write_bytes(out.getvalue())

    try:
        derivation = shop.dream(shop.add(out.getvalue()), signer=signer)
        with pytest.raises(Exception, match="content credentials at an address, which is not fetched"):
            verify_file(original)
    finally:
        server.shutdown()
        server.server_close()

    assert called == []
    assert state_of(file_of(shop, derivation).read_bytes(), "image/png", signer.keys.anchors_pem) == "Trusted"

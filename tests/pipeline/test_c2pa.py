"""Signed dreams: what C2PA's own reader says of them, and what verify finds that the reader does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import KeysUnusable, NotFound
from pipeline.images import decode, encode
from pipeline.provenance import credential_checks
from pipeline.provenance.c2pa import C2paSigner, read_credentials
from pipeline.provenance.containers import find_manifest_store
from pipeline.provenance.credential_checks import Trust
from pipeline.provenance.keys import make_keys, read_keys
from pipeline.provenance.verify import verify_all, verify_file
from pipeline.provenance.xmp import write_xmp
from pipeline.records import VerifyReport
from tests.support.inverting import Workshop, picture, workshop
from tests.support.signing import (
    MEDIA_TYPES,
    actions_of,
    active_manifest,
    file_of,
    own_trust,
    signed_by_stranger,
    state_of,
    told_by_reader,
    write_keys,
)

FORMATS = ("JPEG", "PNG", "WEBP")


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory, signer: C2paSigner) -> Iterator[dict[str, Workshop]]:
    """A workspace with one signed dream for each format; tests put back what they change."""
    root = tmp_path_factory.mktemp("shops")
    with workshop(root / "JPEG") as jpeg, workshop(root / "PNG") as png, workshop(root / "WEBP") as webp:
        made = {"JPEG": jpeg, "PNG": png, "WEBP": webp}
        for image_format, shop in made.items():
            shop.dream(shop.add(picture(1, width=64, height=64)), output_format=image_format, signer=signer)
        yield made


def failed(report: VerifyReport) -> dict[str, str]:
    return {check.name: check.found for check in report.checks if not check.ok}


def found(report: VerifyReport, name: str) -> list[str]:
    return [check.found for check in report.checks if check.name == name]


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_dream_is_trusted_with_our_anchor_and_valid_without(
    shops: dict[str, Workshop], signer: C2paSigner, image_format: str, tmp_path: Path
) -> None:
    data, media_type = file_of(shops[image_format]).read_bytes(), MEDIA_TYPES[image_format]
    other = write_keys(tmp_path, ed25519.Ed25519PrivateKey.generate())

    assert state_of(data, media_type, signer.keys.anchors_pem) == "Trusted"
    assert state_of(data, media_type, (other / "root.pem").read_bytes()) == "Valid"
    assert state_of(data, media_type) == "Valid"


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_manifest_tells_the_original_what_was_done_and_by_what(
    shops: dict[str, Workshop], image_format: str
) -> None:
    shop = shops[image_format]
    derivation, item = shop.derivation(1), shop.item(1)

    told = told_by_reader(file_of(shop).read_bytes(), MEDIA_TYPES[image_format])

    (parent,) = active_manifest(told)["ingredients"]
    assert (parent["relationship"], parent["title"]) == ("parentOf", "A stone bridge")
    assert parent["instance_id"] == f"urn:sha256:{item.blob_sha256}"
    assert parent["description"] == "by Jane Doe, CC BY 4.0"
    opened, edited = actions_of(told)
    assert opened["action"] == "c2pa.opened"
    assert edited["action"] == "c2pa.edited"
    assert (
        edited["digitalSourceType"]
        == "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert edited["softwareAgent"]["name"] == "dreamcrawl"
    parameters = edited["parameters"]
    assert parameters["dreamcrawl.recipe_sha256"] == derivation.recipe_sha256
    assert parameters["dreamcrawl.manifest_sha256"] == derivation.manifest_sha256
    assert (parameters["dreamcrawl.network"], parameters["dreamcrawl.seed"]) == ("tiny", 7)
    assert active_manifest(told)["signature_info"]["common_name"] == "Jane Doe"


@pytest.mark.parametrize("image_format", FORMATS)
def test_signing_comes_last_and_changes_no_byte_of_picture_or_xmp(
    shops: dict[str, Workshop], image_format: Any
) -> None:
    shop = shops[image_format]
    manifest = shop.derivation(1).manifest
    signed = file_of(shop).read_bytes()

    pixels = decode(shop.store.read(shop.item(1).blob_sha256)).rgb
    plain = encode(255 - pixels, format=image_format, xmp=write_xmp(manifest))

    store = find_manifest_store(signed)
    assert store is not None
    if image_format == "JPEG":
        begin = signed.index(b"\xff\xeb")
        assert signed[:begin] + signed[begin + len(store.data) + 12 :] == plain
    elif image_format == "PNG":
        begin = signed.index(b"caBX") - 4
        assert signed[:begin] + signed[begin + len(store.data) + 12 :] == plain
    else:  # the size of the whole stands in the first bytes
        assert signed[8 : len(plain)] == plain[8:]
        assert signed[len(plain) : len(plain) + 4] == b"C2PA"


@pytest.mark.parametrize("image_format", FORMATS)
def test_what_is_stored_is_what_is_handed_out_and_verifies(
    shops: dict[str, Workshop], signer: C2paSigner, image_format: str
) -> None:
    shop = shops[image_format]
    derivation = shop.derivation(1)

    report = verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams, trust=own_trust(signer))

    assert file_of(shop).read_bytes() == shop.store.read(derivation.blob_sha256)
    assert report.ok, failed(report)
    assert found(report, "content credentials") == ["trusted, signed by Jane Doe"]


def _places(store_from: int, store_to: int, size: int) -> list[int]:
    """Thirty places before or after the manifest, and thirty in it, the first and last bytes among them."""
    outside = [*range(store_from), *range(store_to, size)]
    return [
        *(outside[int(number * (len(outside) - 1) / 29)] for number in range(30)),
        *(store_from + int(number * (store_to - store_from - 1) / 29) for number in range(30)),
    ]


@pytest.mark.parametrize("image_format", FORMATS)
def test_after_one_flipped_byte_the_reader_never_says_that_the_picture_or_the_claim_holds(
    shops: dict[str, Workshop], signer: C2paSigner, image_format: str, tmp_path: Path
) -> None:
    """Everywhere but in the few kinds of bytes that C2PA leaves unsigned, which are checked below."""
    data, media_type = file_of(shops[image_format]).read_bytes(), MEDIA_TYPES[image_format]
    store = find_manifest_store(data)
    assert store is not None
    begin = data.index(store.data[8:200]) - 8
    tolerated = []

    for place in _places(begin, begin + len(store.data), len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x01
        state = state_of(bytes(damaged), media_type, signer.keys.anchors_pem)
        if state in {"Trusted", "Valid"}:
            tolerated.append(place)

    assert all(begin <= place for place in tolerated)
    # The room kept after the signature, at the end of the store, is a quarter of it.
    assert 0 < len(tolerated) <= 12
    alone = tmp_path / "alone.bin"
    for place in tolerated:  # what the reader lets pass, verify does not
        damaged = bytearray(data)
        damaged[place] ^= 0x01
        alone.write_bytes(damaged)
        assert "content credentials" in failed(verify_file(alone, trust=own_trust(signer)))


@settings(deadline=None, max_examples=120)
@given(
    image_format=st.sampled_from(FORMATS),
    where=st.floats(0, 1, exclude_max=True),
    flip=st.integers(1, 255),
    in_manifest=st.booleans(),
)
def test_verify_finds_one_changed_byte_anywhere_with_the_file_alone(
    shops: dict[str, Workshop],
    signer: C2paSigner,
    image_format: str,
    where: float,
    flip: int,
    in_manifest: bool,
) -> None:
    data = file_of(shops[image_format]).read_bytes()
    store = find_manifest_store(data)
    assert store is not None
    begin, length = (data.index(store.data[8:200]) - 8, len(store.data)) if in_manifest else (0, len(data))
    damaged = bytearray(data)
    damaged[begin + int(where * length)] ^= flip
    alone = file_of(shops[image_format]).parent / "alone.bin"
    alone.write_bytes(damaged)

    try:
        holds = verify_file(alone, trust=own_trust(signer)).ok
    except NotFound:  # no picture any more, or neither record nor manifest is to be found
        holds = False
    finally:
        alone.unlink()

    assert not holds


def test_a_second_run_signs_nothing_again(shop: Workshop, signer: C2paSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    item_id = shop.add(picture(1))
    first = shop.dream(item_id, signer=signer)
    before = {
        path: path.read_bytes() for path in [*shop.store.root.rglob("*"), *shop.dreams.iterdir()] if path.is_file()
    }
    file_of(shop).unlink()
    signed: list[str] = []
    monkeypatch.setattr(C2paSigner, "sign", lambda *_given, **_named: signed.append("again"))

    second = shop.dream(item_id, signer=signer)

    assert signed == []
    assert second == first
    after = [path for path in [*shop.store.root.rglob("*"), *shop.dreams.iterdir()] if path.is_file()]
    assert {path: path.read_bytes() for path in after} == before


def test_without_keys_dreams_are_as_they_were(shop: Workshop) -> None:
    derivation = shop.dream(shop.add(picture(1)))

    assert "signature" not in derivation.manifest
    assert find_manifest_store(file_of(shop).read_bytes()) is None
    assert verify_file(file_of(shop)).ok


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "Ed25519", "RSA"],
)
def test_keys_of_the_user_sign_as_well(shop: Workshop, tmp_path: Path, key: Any) -> None:
    folder = write_keys(tmp_path / "mine", key, name="Me")
    signer = C2paSigner(read_keys(folder / "key.pem", folder / "chain.pem", folder / "root.pem"))

    signer.check()
    derivation = shop.dream(shop.add(picture(1)), signer=signer)

    data = file_of(shop, derivation).read_bytes()
    assert state_of(data, "image/png", (folder / "root.pem").read_bytes()) == "Trusted"


def test_keys_that_c2pa_refuses_are_found_before_anything_is_made(tmp_path: Path) -> None:
    folder = make_keys(tmp_path / "keys") and tmp_path / "keys"
    # A root signs certificates, and may sign nothing else.
    keys = read_keys(folder / "root-key.pem", folder / "trust-anchor.pem")

    with pytest.raises(KeysUnusable, match=r"C2PA|does not hold"):
        C2paSigner(keys).check()


class TestVerify:
    def test_a_signature_that_was_taken_out_is_missed(self, shops: dict[str, Workshop], tmp_path: Path) -> None:
        shop = shops["PNG"]
        stripped = tmp_path / "stripped.png"
        pixels = decode(file_of(shop).read_bytes()).rgb
        stripped.write_bytes(encode(pixels, format="PNG", xmp=write_xmp(shop.derivation(1).manifest)))

        report = verify_file(stripped)

        assert failed(report) == {"content credentials": "absent"}

    def test_a_signature_by_another_is_not_taken_for_the_one_on_record(
        self, shops: dict[str, Workshop], tmp_path: Path
    ) -> None:
        shop = shops["PNG"]
        pixels = decode(file_of(shop).read_bytes()).rgb
        plain = encode(pixels, format="PNG", xmp=write_xmp(shop.derivation(1).manifest))
        forged = tmp_path / "forged.png"
        forged.write_bytes(signed_by_stranger(plain, "image/png", tmp_path / "stranger"))

        report = verify_file(forged, trust=Trust((tmp_path / "stranger" / "root.pem").read_bytes()))

        assert list(failed(report)) == ["content credentials"]
        assert failed(report)["content credentials"].startswith("signed by Stranger")

    def test_a_strangers_picture_is_told_as_far_as_it_tells(self, shop: Workshop, tmp_path: Path) -> None:
        path = tmp_path / "strange.jpg"
        path.write_bytes(signed_by_stranger(picture(1, image_format="JPEG"), "image/jpeg", tmp_path / "stranger"))
        anchors = (tmp_path / "stranger" / "root.pem").read_bytes()

        plain = verify_file(path, catalog=shop.catalog, store=shop.store)
        trusting = verify_file(path, trust=Trust(anchors, required=True))
        demanding = verify_file(path, trust=Trust(make_keys(tmp_path / "k").anchors_pem, required=True))

        assert plain.ok
        assert found(plain, "content credentials") == ["valid, signed by Stranger, who is not among those trusted here"]
        assert found(plain, "claimed software") == ["Strange Camera 3"]
        assert found(plain, "claimed actions") == ["c2pa.created (digitalCapture)"]
        assert found(trusting, "content credentials") == ["trusted, signed by Stranger"]
        assert failed(demanding) == {"content credentials": "signed by Stranger"}

    def test_a_strangers_picture_that_was_changed_does_not_hold(self, tmp_path: Path) -> None:
        data = bytearray(signed_by_stranger(picture(1, image_format="JPEG"), "image/jpeg", tmp_path / "stranger"))
        data[-40] ^= 1
        path = tmp_path / "changed.jpg"
        path.write_bytes(data)

        report = verify_file(path)

        assert failed(report) == {"content credentials": "assertion.dataHash.mismatch"}

    def test_without_the_library_the_signature_is_left_unchecked_and_said_so(
        self, shops: dict[str, Workshop], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(credential_checks, "is_installed", lambda: False)

        report = verify_file(file_of(shops["PNG"]))

        assert report.ok
        assert found(report, "content credentials") == ["there, and not checked; pip install 'dreamcrawl[c2pa]'"]

    def test_without_the_library_a_missing_signature_is_missed_all_the_same(
        self, shops: dict[str, Workshop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(credential_checks, "is_installed", lambda: False)
        shop = shops["PNG"]
        pixels = decode(file_of(shop).read_bytes()).rgb
        stripped = tmp_path / "stripped.png"
        stripped.write_bytes(encode(pixels, format="PNG", xmp=write_xmp(shop.derivation(1).manifest)))

        assert failed(verify_file(stripped)) == {"content credentials": "absent"}


@settings(deadline=None, max_examples=60)
@given(data=st.data(), image_format=st.sampled_from(FORMATS))
def test_reading_never_raises_for_mutilated_files(
    shops: dict[str, Workshop], data: st.DataObject, image_format: str
) -> None:
    whole = bytearray(file_of(shops[image_format]).read_bytes())
    for _ in range(data.draw(st.integers(0, 12))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])

    credentials = read_credentials(cut, media_type=MEDIA_TYPES[image_format])

    assert credentials is None or credentials.state in {"valid", "invalid", "elsewhere"}

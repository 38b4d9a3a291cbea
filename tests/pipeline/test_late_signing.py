"""Dreams signed after they were made, stopped anywhere, and certificates renewed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from pipeline.catalog.tables import ItemRow
from pipeline.errors import KeysUnusable, NotFound, UsageError
from pipeline.images import decode
from pipeline.provenance import late_signing
from pipeline.provenance.c2pa import C2paSigner
from pipeline.provenance.containers import find_manifest_store, find_xmp
from pipeline.provenance.credential_checks import Trust
from pipeline.provenance.key_renewal import renew_keys
from pipeline.provenance.keys import ROOT_KEY, SIGNING_CHAIN, SIGNING_KEY, TRUST_ANCHOR, make_keys
from pipeline.provenance.late_signing import SigningReport, sign_dreams
from pipeline.provenance.replay import replay_derivation
from pipeline.provenance.rewriting import NotRewritable, with_packet
from pipeline.provenance.verify import verify_all, verify_file
from pipeline.store import Store
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture
from tests.support.signing import MEDIA_TYPES, state_of, write_keys


def sign(shop: Workshop, signer: C2paSigner, *ids: int, **options: Any) -> SigningReport:
    given_ = {"catalog": shop.catalog, "store": shop.store, "dreams_folder": shop.dreams, "signer": signer}
    return sign_dreams(ids or None, **given_, **options)


def holds(shop: Workshop, signer: C2paSigner) -> bool:
    report = verify_all(
        catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams, trust=Trust(signer.keys.anchors_pem)
    )
    assert not [check for check in report.checks if not check.ok]
    return True


@pytest.mark.parametrize("image_format", MEDIA_TYPES)
def test_a_dream_of_before_is_signed_with_its_pixels_untouched(
    shop: Workshop, signer: C2paSigner, image_format: str
) -> None:
    guide = shop.item(shop.add(picture(5), title="A pattern"))
    renderer = InvertingRenderer(dataclasses.replace(identity_of({"k": 1}), pictures=(guide.pixel_sha256,)))
    before = shop.dream(shop.add(picture(1)), output_format=image_format, renderer=renderer)
    file = shop.dreams / before.file_name
    unsigned = file.read_bytes()

    report = sign(shop, signer)
    again = sign(shop, signer)

    after = shop.derivation(before.id)
    data = file.read_bytes()
    assert (report.signed, again.signed, again.already) == ((before.id,), (), 1)
    assert state_of(data, MEDIA_TYPES[image_format], signer.keys.anchors_pem) == "Trusted"
    assert hashlib.sha256(data).hexdigest() == after.blob_sha256 != before.blob_sha256
    assert shop.store.read(after.blob_sha256) == data
    assert decode(data).rgb.tobytes() == decode(unsigned).rgb.tobytes()
    assert (after.key, after.pixel_sha256, after.file_name) == (before.key, before.pixel_sha256, before.file_name)
    signature = after.manifest["signature"]
    assert signature["certificate_sha256"] == signer.keys.certificate_sha256
    assert signature["earlier_files"] == [before.blob_sha256]
    assert {name: value for name, value in after.manifest.items() if name != "signature"} == before.manifest
    assert json.loads(file.with_name(f"{file.name}.json").read_text())["sha256"] == after.blob_sha256
    assert holds(shop, signer)


def test_the_file_of_before_is_still_known_and_said_to_be_so(
    shop: Workshop, signer: C2paSigner, tmp_path: Path
) -> None:
    before = shop.dream(shop.add(picture(1)))
    elsewhere = tmp_path / "given-away.png"
    elsewhere.write_bytes((shop.dreams / before.file_name).read_bytes())
    sign(shop, signer)

    report = verify_file(elsewhere, catalog=shop.catalog, store=shop.store)

    assert report.ok
    assert "those of d1 before it was signed or made again" in [check.found for check in report.checks]


def test_a_dream_with_a_withdrawn_guide_is_left_as_it_is(shop: Workshop, signer: C2paSigner) -> None:
    guide = shop.item(shop.add(picture(5)))
    renderer = InvertingRenderer(dataclasses.replace(identity_of({"k": 1}), pictures=(guide.pixel_sha256,)))
    dream = shop.dream(shop.add(picture(1)), renderer=renderer)
    with shop.catalog.write() as uow:
        withdrawn = update(ItemRow).where(ItemRow.id == guide.id)
        uow.session.execute(withdrawn.values(withdrawn_at=datetime.now(UTC), withdrawn_reason="noai"))

    report = sign(shop, signer)

    assert (report.signed, report.left_out, report.failed) == ((), 1, ())
    assert shop.derivation(dream.id).blob_sha256 == dream.blob_sha256


def test_a_signed_dream_that_is_lost_is_made_again_and_signed(shop: Workshop, signer: C2paSigner) -> None:
    guide = shop.item(shop.add(picture(5)))
    renderer = InvertingRenderer(dataclasses.replace(identity_of({"k": 1}), pictures=(guide.pixel_sha256,)))
    before = shop.dream(shop.add(picture(1)), renderer=renderer, signer=signer)
    shop.store.path(before.blob_sha256).unlink()
    (shop.dreams / before.file_name).unlink()

    report = replay_derivation(
        before.id, catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams, make_signer=lambda: signer,
        make_renderer=lambda *_named, **_given: renderer,
    )  # fmt: skip

    assert report.put_back == "another file with the same pixels"
    after = shop.derivation(before.id)
    assert after.manifest["made_again"]["earlier_files"] == [before.blob_sha256]
    data = (shop.dreams / after.file_name).read_bytes()
    assert state_of(data, MEDIA_TYPES["PNG"], signer.keys.anchors_pem) == "Trusted"
    assert holds(shop, signer)


def _after(name: str, owner: Any, calls: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Stops the process, as Ctrl-C would, after so many calls of a function."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        real, seen = getattr(owner, name), []

        def stopping(*given: Any, **named: Any) -> Any:
            made = real(*given, **named)
            seen.append(name)
            if len(seen) == calls:
                raise KeyboardInterrupt
            return made

        patch.setattr(owner, name, stopping)

    return prepare


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(_after("put", Store, 1), id="stored"),
        pytest.param(_after("take", late_signing._Signing, 1), id="one done"),
        pytest.param(_after("digest_of", late_signing, 1), id="row written"),
        pytest.param(_after("write_whole", late_signing, 1), id="copy written"),
        pytest.param(_after("write_whole", late_signing, 2), id="sidecar written"),
    ],
)
def test_stopped_anywhere_another_run_completes_it(shop: Workshop, signer: C2paSigner, stop: Any) -> None:
    for number in range(2):
        shop.dream(shop.add(picture(number)))

    with pytest.MonkeyPatch.context() as patch:
        stop(patch)
        with pytest.raises(KeyboardInterrupt):
            sign(shop, signer)
    sign(shop, signer)

    for number in (1, 2):
        made = shop.derivation(number)
        copy = shop.dreams / made.file_name
        assert state_of(copy.read_bytes(), "image/png", signer.keys.anchors_pem) == "Trusted"
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == made.blob_sha256
        assert len(made.manifest["signature"]["earlier_files"]) == 1
    assert holds(shop, signer)


def test_a_copy_that_somebody_changed_and_a_dream_without_its_file_are_told_and_left_alone(
    shop: Workshop, signer: C2paSigner
) -> None:
    painted, lost, fine = (shop.dream(shop.add(picture(number))) for number in range(3))
    (shop.dreams / painted.file_name).write_bytes(b"my own brush strokes")
    shop.store.path(lost.blob_sha256).unlink()

    report = sign(shop, signer)

    assert report.signed == (painted.id, fine.id)
    assert report.changed_copies == (painted.file_name,)
    assert [number for number, _line in report.failed] == [lost.id]
    assert (shop.dreams / painted.file_name).read_bytes() == b"my own brush strokes"
    assert shop.derivation(lost.id) == lost


def test_a_row_that_another_process_signed_meanwhile_stands(
    shop: Workshop, signer: C2paSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.dream(shop.add(picture(1)))
    real = C2paSigner.sign

    def slow(self: C2paSigner, *given: Any, **named: Any) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(C2paSigner, "sign", real)
            sign(shop, signer)
        return real(self, *given, **named)

    monkeypatch.setattr(C2paSigner, "sign", slow)
    report = sign(shop, signer)

    assert (report.signed, report.already) == ((), 1)
    assert len(shop.derivation(1).manifest["signature"]["earlier_files"]) == 1
    assert holds(shop, signer)


def test_only_the_dreams_asked_for_are_signed_and_a_stranger_is_refused(shop: Workshop, signer: C2paSigner) -> None:
    for number in range(2):
        shop.dream(shop.add(picture(number)))

    assert sign(shop, signer, 2).signed == (2,)
    assert "signature" not in shop.derivation(1).manifest
    with pytest.raises(NotFound, match="d9"):
        sign(shop, signer, 1, 9)


@pytest.mark.parametrize("years", [1, 50])
def test_a_renewed_certificate_leaves_old_dreams_as_they_were_and_signs_new_ones(
    shop: Workshop, tmp_path: Path, years: float
) -> None:
    """For one year the root lasts; for fifty it is made to last, with the same key and name."""
    folder = tmp_path / "keys"
    old = C2paSigner(make_keys(folder, name="Jane Doe", organization="Example", years=2))
    first_anchor = (folder / TRUST_ANCHOR).read_bytes()
    key = (folder / SIGNING_KEY).read_bytes()
    former = shop.dream(shop.add(picture(1)), signer=old)

    new = C2paSigner(renew_keys(folder, years=years))
    latter = shop.dream(shop.add(picture(2)), signer=new)

    assert (folder / SIGNING_KEY).read_bytes() == key
    assert new.keys.certificate_sha256 != old.keys.certificate_sha256
    assert (new.keys.signer, new.keys.issuer) == (old.keys.signer, old.keys.issuer)
    assert new.keys.not_after > datetime.now(UTC) + timedelta(days=365 * years - 2)
    assert ((folder / TRUST_ANCHOR).read_bytes() == first_anchor) is (years == 1)
    leaf, root = x509.load_pem_x509_certificates((folder / SIGNING_CHAIN).read_bytes())
    leaf.verify_directly_issued_by(root)
    assert root.not_valid_after_utc >= leaf.not_valid_after_utc
    for dream in (former, latter):
        data = (shop.dreams / dream.file_name).read_bytes()
        for anchor in (first_anchor, (folder / TRUST_ANCHOR).read_bytes()):
            assert state_of(data, "image/png", anchor) == "Trusted"
    assert holds(shop, new)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    # Those of before are signed again only when that is asked for.
    assert sign(shop, new).signed == ()
    assert sign(shop, new, again=True).signed == (former.id,)
    signature = shop.derivation(former.id).manifest["signature"]
    assert signature["certificate_sha256"] == new.keys.certificate_sha256
    assert signature["earlier_files"] == [former.blob_sha256]
    assert holds(shop, new)


def test_keys_out_of_date_can_be_renewed_too(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keys(folder, years=1)
    later = datetime.now(UTC) + timedelta(days=500)

    renewed = renew_keys(folder, years=1, at=later)

    assert renewed.not_before < later < renewed.not_after


def test_without_the_roots_key_or_with_anothers_nothing_is_renewed(tmp_path: Path) -> None:
    folder, away = tmp_path / "keys", tmp_path / "away"
    make_keys(folder)
    make_keys(away)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / ROOT_KEY).rename(tmp_path / "safe.pem")

    with pytest.raises(KeysUnusable, match="--root-key"):
        renew_keys(folder)
    with pytest.raises(KeysUnusable, match="is not the key of the root"):
        renew_keys(folder, root_key=away / ROOT_KEY)
    for years in (101, 1e-12):
        with pytest.raises(UsageError, match="years"):
            renew_keys(folder, root_key=tmp_path / "safe.pem", years=years)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: data for name, data in before.items() if name != ROOT_KEY
    }
    assert renew_keys(folder, root_key=tmp_path / "safe.pem").signer == "dreamcrawl"


def test_keys_made_elsewhere_are_not_renewed_here(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match="there is no file"):
        renew_keys(write_keys(tmp_path / "others", ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize("image_format", MEDIA_TYPES)
def test_another_packet_changes_nothing_else(shop: Workshop, signer: C2paSigner, image_format: str) -> None:
    plain = (shop.dreams / shop.dream(shop.add(picture(1)), output_format=image_format).file_name).read_bytes()
    packet = find_xmp(plain)
    assert packet is not None

    changed = with_packet(plain, packet + b" " * 3)
    signed = shop.dreams / shop.dream(shop.add(picture(2)), output_format=image_format, signer=signer).file_name

    assert find_xmp(changed) == packet + b" " * 3
    assert with_packet(changed, packet) == plain == with_packet(plain, packet)
    stripped = with_packet(signed.read_bytes(), packet)
    assert find_manifest_store(signed.read_bytes()) is not None
    assert find_manifest_store(stripped) is None
    assert decode(stripped).rgb.tobytes() == decode(signed.read_bytes()).rgb.tobytes()


@given(cut=st.integers(0, 400), data=st.binary(max_size=60))
def test_a_file_that_is_laid_out_in_another_way_is_refused_and_never_half_rewritten(cut: int, data: bytes) -> None:
    for image_format in ("PNG", "JPEG", "WEBP"):
        whole = picture(1, width=16, height=16, image_format=image_format)
        for odd in (whole, whole[:cut], data, whole[:40] + data):
            with pytest.raises(NotRewritable):
                with_packet(odd, b"<x/>")

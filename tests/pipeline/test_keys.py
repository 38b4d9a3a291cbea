from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pipeline.errors import KeysUnusable, UsageError, WorkspaceUnusable
from pipeline.provenance.keys import ROOT_KEY, SIGNING_CHAIN, SIGNING_KEY, TRUST_ANCHOR, make_keys, read_keys
from tests.support.signing import write_keys


def certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def test_new_keys_are_a_root_and_a_signing_certificate_under_it(tmp_path: Path) -> None:
    folder = tmp_path / "keys"

    keys = make_keys(folder, name="Jane Doe", organization="Example", years=3)

    leaf, root = certificates(folder / SIGNING_CHAIN)
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert certificates(folder / TRUST_ANCHOR) == [root]
    assert leaf.subject.rfc4514_string() == "O=Example,CN=Jane Doe"
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is True
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc > timedelta(days=3 * 365)
    for name, certificate in ((SIGNING_KEY, leaf), (ROOT_KEY, root)):
        key: Any = serialization.load_pem_private_key((folder / name).read_bytes(), None)
        assert key.public_key() == certificate.public_key()
        assert isinstance(key.curve, ec.SECP256R1)
    assert (keys.signer, keys.issuer, keys.algorithm) == ("Jane Doe, Example", "Jane Doe root, Example", "es256")
    assert keys.not_after == leaf.not_valid_after_utc


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_nobody_else_may_read_the_keys(tmp_path: Path) -> None:
    folder = tmp_path / "keys"

    make_keys(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keys(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match="never overwritten"):
        make_keys(folder)
    with pytest.raises(UsageError, match=r"holds notes\.txt already"):
        make_keys(other)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("name", ["keys", "link"])
def test_an_empty_folder_is_taken_and_so_is_a_link_to_one(tmp_path: Path, name: str, is_there: bool) -> None:
    if is_there:
        (tmp_path / "keys").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "keys")

    make_keys(tmp_path / name)

    assert {path.name for path in tmp_path.iterdir()} == {"keys", "link"}
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "keys").iterdir())) == 4


def test_what_was_stopped_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = os.fsync

    def full_disk(descriptor: int) -> None:
        written.append("")
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_disk)

    with pytest.raises(WorkspaceUnusable, match="No space left"):
        make_keys(tmp_path / "keys")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": "é" * 33},
        {"name": "a\nb"},
        {"organization": "\x00"},
        {"years": 0},
        {"years": 1e-12},
        {"years": float("nan")},
        {"years": 101},
    ],
)
def test_what_no_certificate_can_say_is_refused(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="certificate"):
        make_keys(tmp_path / "keys", **asked)

    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_still_makes_certificates(tmp_path: Path) -> None:
    assert make_keys(tmp_path / "keys", name="é" * 32).signer == "é" * 32


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ec.generate_private_key(ec.SECP521R1()), "es512"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_keys_of_the_user_are_read_with_their_algorithm(tmp_path: Path, key: Any, algorithm: str) -> None:
    folder = write_keys(tmp_path, key)

    keys = read_keys(folder / "key.pem", folder / "chain.pem")

    assert (keys.algorithm, keys.signer) == (algorithm, "Stranger")
    assert keys.anchors_pem == (folder / "root.pem").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "key.pem").unlink(), "there is no file"),
        (
            lambda folder: (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nsecretstuff\n"),
            "no private key",
        ),
        (lambda folder: (folder / "chain.pem").write_bytes(b"\x00" * 99), "no certificate"),
        (lambda folder: (folder / "chain.pem").write_bytes((folder / "root.pem").read_bytes()), "is not the key of"),
        (lambda folder: write_keys(folder, ec.generate_private_key(ec.SECP256R1()), days=0.5), "out of date since"),
        (lambda folder: write_keys(folder, ec.generate_private_key(ec.SECP256R1()), begun=-2), "valid from"),
        (lambda folder: write_keys(folder, rsa.generate_private_key(65537, 1024)), "does not sign with"),
        (lambda folder: write_keys(folder, ec.generate_private_key(ec.SECP256K1())), "does not sign with"),
    ],
)
def test_keys_that_cannot_sign_are_refused_with_the_reason(tmp_path: Path, spoil: Any, reason: str) -> None:
    folder = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    spoil(folder)

    with pytest.raises(KeysUnusable, match=reason) as caught:
        read_keys(folder / "key.pem", folder / "chain.pem")

    assert "secretstuff" not in str(caught.value)
    assert caught.value.__cause__ is None or "secretstuff" not in str(caught.value.__cause__)


def test_a_key_under_a_passphrase_is_refused_as_such(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    folder = write_keys(tmp_path, key)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"please"),
        )
    )

    with pytest.raises(KeysUnusable, match="is encrypted"):
        read_keys(folder / "key.pem", folder / "chain.pem")


def test_a_certificate_is_judged_by_the_moment_it_is_used(tmp_path: Path) -> None:
    folder = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()), days=5)
    files = (folder / "key.pem", folder / "chain.pem")

    read_keys(*files, at=datetime.now(UTC) + timedelta(days=3))
    with pytest.raises(KeysUnusable, match="out of date"):
        read_keys(*files, at=datetime.now(UTC) + timedelta(days=5))


def test_the_private_key_is_in_no_representation(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")

    assert "PRIVATE" not in repr(keys)
    assert "PRIVATE" in keys.key_pem.decode()

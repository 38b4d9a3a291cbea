"""Keys to sign dreams with: a root certificate of one's own, and a signing certificate under it that C2PA accepts.

C2PA asks of a signing certificate that it is no authority, is for digital signatures only, names e-mail protection (or
document signing) as its purpose, and names the key of its issuer, which must be another certificate: a certificate that
signs itself is refused. Source: C2PA specification 2.2, section 14.5, certificate profiles.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from pipeline.errors import KeysUnusable, UsageError, WorkspaceUnusable
from pipeline.provenance.certificates import (
    key_pem,
    make_leaf,
    make_root,
    pem_of,
    public_bytes,
    subject_of,
)

SIGNING_KEY = "signing-key.pem"
SIGNING_CHAIN = "signing-chain.pem"
TRUST_ANCHOR = "trust-anchor.pem"
ROOT_KEY = "root-key.pem"

DEFAULT_NAME = "dreamcrawl"
DAYS_IN_YEAR = 365.25
LEAST_YEARS, MOST_YEARS = 1 / DAYS_IN_YEAR, 100
DEFAULT_YEARS = 10
"""Without a time-stamp authority a signature holds no longer than its certificate, so that it must live long."""

MAX_NAME = 64
"""Bytes of a common name or an organization: the upper bounds of RFC 5280, appendix A.1, which readers differ on."""

ROOT_LIVES = 2
"""How many times as long as a signing certificate its root is valid."""

_ROOT = " root"
_MAX_FILE = 2**20
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True)
class SigningKeys:
    """A private key with its certificates, seen to fit together and to be in date.

    Attributes:
        key_pem: The private key, PKCS #8, not encrypted; keep it out of messages and logs.
        chain_pem: The signing certificate, then those that lead to its root.
        anchors_pem: The certificates whose signatures are trusted; those of strangers are not among them.
        algorithm: C2PA's name of it: es256, es384, es512, ed25519 or ps256.
        signer: Whom the signing certificate names.
        issuer: Who signed that.
        certificate_sha256: Digest, in hex, of the signing certificate (DER).
        not_before: UTC.
        not_after: UTC.
    """

    key_pem: bytes
    chain_pem: bytes
    anchors_pem: bytes
    algorithm: str
    signer: str
    issuer: str
    certificate_sha256: str
    not_before: datetime
    not_after: datetime

    def __repr__(self) -> str:
        """Without the private key, which no message or log may show."""
        return f"SigningKeys(signer={self.signer!r}, certificate_sha256={self.certificate_sha256!r})"


def make_keys(
    folder: Path, *, name: str = DEFAULT_NAME, organization: str = "", years: float = DEFAULT_YEARS
) -> SigningKeys:
    """Make a root and a signing certificate, both with P-256 keys (ES256), and write them to `folder`.

    folder: new or empty, or a link to such a one. All four files appear in it at once, readable by their owner only.
    name: common name of the signing certificate; anybody who gets a signed picture can read it.
    years: how long the signing certificate is valid, from now on; the root is for twice as long, for those to come.

    Raises:
        UsageError: The folder has something in it, which is never overwritten; or a name that is empty or too long.
        WorkspaceUnusable: The folder cannot be written.
    """
    for what, text in (("name", name), ("organization", organization)):
        is_text = text.isprintable() and (text.strip() or what != "name")
        if not is_text or len(text.encode()) > MAX_NAME:
            raise UsageError(f"the {what} in a certificate has 1 to {MAX_NAME} printable bytes in UTF-8, got {text!r}")
    content = _pair(name.strip(), organization.strip(), lifetime_of(years))
    try:
        folder = Path(os.path.realpath(folder))  # the link itself could not be replaced by a folder
        if folder.exists() and (found := sorted(each.name for each in folder.iterdir())):
            raise UsageError(
                f"{folder} holds {found[0]} already, and keys are never overwritten: what was signed with them could "
                "no longer be told from what others signed; choose another folder with --to, or move it away"
            )
        _write_folder(folder, content)
    except OSError as error:
        raise WorkspaceUnusable(f"{folder} cannot be written: {error.strerror or error}") from error
    return read_keys(folder / SIGNING_KEY, folder / SIGNING_CHAIN, folder / TRUST_ANCHOR)


def lifetime_of(years: float) -> timedelta:
    """How long a certificate is valid for which so many years are asked.

    Raises:
        UsageError: Less than a day, with which nothing could be signed for long, or too long.
    """
    if not LEAST_YEARS <= years <= MOST_YEARS:
        raise UsageError(f"certificates are valid for a day to {MOST_YEARS} years, got {years:g} years")
    return timedelta(days=years * DAYS_IN_YEAR)


def exposure(key: Path) -> str:
    """Who else than its owner can read or change a private key's file, in words; empty where nobody can.

    On Windows nothing is known of it.
    """
    try:
        mode = key.stat().st_mode
    except OSError:
        return ""
    if os.name != "posix" or not mode & 0o066:
        return ""
    return f"others can {'change' if mode & 0o022 else 'read'} {key}; `chmod 600` makes it yours alone"


def read_keys(key: Path, chain: Path, anchors: Path | None = None, *, at: datetime | None = None) -> SigningKeys:
    """The private key and certificates in these PEM files.

    anchors: certificates to trust; None for the last one of the chain.
    at: the moment at which the signing certificate must be valid; None for now.

    Raises:
        KeysUnusable: A file cannot be read, the key is not that of the first certificate, is encrypted or of a kind
            that C2PA has not, or the certificate is not valid at that moment.
    """
    private = read_private_key(key)
    certificates = read_certificates(chain)
    leaf = certificates[0]
    if public_bytes(private.public_key()) != public_bytes(leaf.public_key()):
        raise KeysUnusable(
            f"{key} is not the key of the first certificate in {chain}; give the pair that belongs together"
        )
    moment = at or datetime.now(UTC)
    for when, is_wrong in (
        (f"valid from {leaf.not_valid_before_utc:%Y-%m-%d} on", moment < leaf.not_valid_before_utc),
        (f"out of date since {leaf.not_valid_after_utc:%Y-%m-%d}", moment > leaf.not_valid_after_utc),
    ):
        if is_wrong:
            raise KeysUnusable(
                f"the signing certificate in {chain} is {when}; `dreamcrawl keys renew` makes another "
                "for the keys of `keys init`; or name others"
            )
    trusted = read_certificates(anchors) if anchors is not None else certificates[-1:]
    return SigningKeys(
        key_pem=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        chain_pem=pem_of(certificates),
        anchors_pem=pem_of(trusted),
        algorithm=_algorithm(private, key),
        signer=_named(leaf.subject),
        issuer=_named(leaf.issuer),
        certificate_sha256=leaf.fingerprint(hashes.SHA256()).hex(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file, at least one.

    Raises:
        KeysUnusable: There is no such file, or it holds no certificate that can be read.
    """
    data = _read(path)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise KeysUnusable(f"{path} holds no certificate in PEM that can be read") from error


def certificates_pem(path: Path, *, last_only: bool = False) -> bytes:
    """The certificates in a PEM file, and nothing else that may stand in it.

    last_only: only the last, which in a chain is its root.

    Raises:
        KeysUnusable: As `read_certificates`.
    """
    found = read_certificates(path)
    return pem_of(found[-1:] if last_only else found)


def certificate_name(der: bytes) -> str | None:
    """Whom a certificate names, or None when it cannot be read; it may come from anyone."""
    try:
        return _named(x509.load_der_x509_certificate(der).subject)
    except ValueError:
        return None


def _pair(name: str, organization: str, lifetime: timedelta) -> dict[str, bytes]:
    """File name -> content of a new root and a signing certificate under it."""
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC)
    cut = name.encode()[: MAX_NAME - len(_ROOT)].decode(errors="ignore")
    root = make_root(subject_of(cut + _ROOT, organization), root_key, begin, begin + lifetime * ROOT_LIVES)
    leaf = make_leaf(subject_of(name, organization), leaf_key.public_key(), root, root_key, begin, begin + lifetime)
    return {
        ROOT_KEY: key_pem(root_key),
        TRUST_ANCHOR: pem_of([root]),
        SIGNING_CHAIN: pem_of([leaf, root]),
        SIGNING_KEY: key_pem(leaf_key),
    }


def _write_folder(folder: Path, content: dict[str, bytes]) -> None:
    """Write files to a folder that appears with all of them, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-keys-", dir=folder.parent))  # for its owner only
    try:
        for name, data in content.items():
            # Never readable by others, not for a moment either.
            descriptor = os.open(temporary / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            folder.rmdir()  # empty, or this raises; Windows renames to no folder that is there
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_private_key(path: Path) -> PrivateKeyTypes:
    """The private key in a PEM file.

    Raises:
        KeysUnusable: There is no such file, or it holds none that can be read without a passphrase.
    """
    data = _read(path)
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError as error:  # what is raised for a passphrase
        raise KeysUnusable(f"the private key in {path} is encrypted; write one without a passphrase") from error
    except ValueError:
        # Without the cause: its text may quote what it could not read.
        raise KeysUnusable(f"{path} holds no private key in PEM that can be read") from None


def _algorithm(key: PrivateKeyTypes, path: Path) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        return "ps256"
    raise KeysUnusable(
        f"{path} is of a kind that C2PA does not sign with; it takes P-256, P-384, P-521, Ed25519, and RSA of "
        f"{_LEAST_RSA_BITS} bits or more"
    )


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise KeysUnusable(f"there is no file {path}")
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError as error:
        raise KeysUnusable(f"{path} cannot be read: {error.strerror or error}") from error


def _named(name: x509.Name) -> str:
    """The common name and the organization, as far as there are any."""
    found = [
        str(part.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for part in name.get_attributes_for_oid(oid)
    ]
    return re.sub(r"\s+", " ", ", ".join(found)) or "somebody without a name"

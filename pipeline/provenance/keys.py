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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.errors import KeysUnusable, UsageError, WorkspaceUnusable

SIGNING_KEY = "signing-key.pem"
SIGNING_CHAIN = "signing-chain.pem"
TRUST_ANCHOR = "trust-anchor.pem"
ROOT_KEY = "root-key.pem"

DEFAULT_NAME = "dreamcrawl"
DEFAULT_YEARS = 10
"""Without a time-stamp authority a signature holds no longer than its certificate, so that it must live long."""

MAX_NAME = 64
"""Bytes of a common name or an organization: the upper bounds of RFC 5280, appendix A.1, which readers differ on."""

_ROOT = " root"
_MAX_FILE = 2**20
_DAYS_IN_YEAR = 365.25
_CLOCKS_DIFFER = timedelta(hours=1)
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

    folder: new or empty. All four files appear in it at once, readable by their owner only.
    name: common name of the signing certificate; anybody who gets a signed picture can read it.
    years: how long both certificates are valid, from now on.

    Raises:
        UsageError: The folder has something in it, which is never overwritten; or a name that is empty or too long.
        WorkspaceUnusable: The folder cannot be written.
    """
    for what, text in (("name", name), ("organization", organization)):
        is_text = text.isprintable() and (text.strip() or what != "name")
        if not is_text or len(text.encode()) > MAX_NAME:
            raise UsageError(f"the {what} in a certificate has 1 to {MAX_NAME} printable bytes in UTF-8, got {text!r}")
    if not 0 < years <= 100:
        raise UsageError(f"certificates are valid for more than 0 and up to 100 years, got {years:g}")
    content = _pair(name.strip(), organization.strip(), timedelta(days=years * _DAYS_IN_YEAR))
    try:
        if folder.exists() and (found := sorted(each.name for each in folder.iterdir())):
            raise UsageError(
                f"{folder} holds {found[0]} already, and keys are never overwritten: what was signed with them could "
                "no longer be told from what others signed; choose another folder with --to, or move it away"
            )
        _write_folder(folder, content)
    except OSError as error:
        raise WorkspaceUnusable(f"{folder} cannot be written: {error.strerror or error}") from error
    return read_keys(folder / SIGNING_KEY, folder / SIGNING_CHAIN, folder / TRUST_ANCHOR)


def has_keys(folder: Path) -> bool:
    """Whether `make_keys` has written to this folder."""
    return (folder / SIGNING_KEY).is_file() and (folder / SIGNING_CHAIN).is_file()


def read_keys(key: Path, chain: Path, anchors: Path | None = None, *, at: datetime | None = None) -> SigningKeys:
    """The private key and certificates in these PEM files.

    anchors: certificates to trust; None for the last one of the chain.
    at: the moment at which the signing certificate must be valid; None for now.

    Raises:
        KeysUnusable: A file cannot be read, the key is not that of the first certificate, is encrypted or of a kind
            that C2PA has not, or the certificate is not valid at that moment.
    """
    private = _private_key(key)
    certificates = read_certificates(chain)
    leaf = certificates[0]
    if _public_bytes(private.public_key()) != _public_bytes(leaf.public_key()):
        raise KeysUnusable(
            f"{key} is not the key of the first certificate in {chain}; give the pair that belongs together"
        )
    moment = at or datetime.now(UTC)
    for when, is_wrong in (
        (f"valid from {leaf.not_valid_before_utc:%Y-%m-%d} on", moment < leaf.not_valid_before_utc),
        (f"out of date since {leaf.not_valid_after_utc:%Y-%m-%d}", moment > leaf.not_valid_after_utc),
    ):
        if is_wrong:
            raise KeysUnusable(f"the signing certificate in {chain} is {when}; make new keys or name others")
    trusted = read_certificates(anchors) if anchors is not None else certificates[-1:]
    return SigningKeys(
        key_pem=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        chain_pem=_pem(certificates),
        anchors_pem=_pem(trusted),
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
        raise KeysUnusable(f"{path} holds no certificate in PEM that can be read: {_line(error)}") from error


def certificates_pem(path: Path, *, last_only: bool = False) -> bytes:
    """The certificates in a PEM file, and nothing else that may stand in it.

    last_only: only the last, which in a chain is its root.

    Raises:
        KeysUnusable: As `read_certificates`.
    """
    found = read_certificates(path)
    return _pem(found[-1:] if last_only else found)


def certificate_name(der: bytes) -> str | None:
    """Whom a certificate names, or None when it cannot be read; it may come from anyone."""
    try:
        return _named(x509.load_der_x509_certificate(der).subject)
    except ValueError:
        return None


def _pair(name: str, organization: str, lifetime: timedelta) -> dict[str, bytes]:
    """File name -> content of a new root and a signing certificate under it."""
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC) - _CLOCKS_DIFFER
    end = begin + lifetime + _CLOCKS_DIFFER
    cut = name.encode()[: MAX_NAME - len(_ROOT)].decode(errors="ignore")
    root_name = _subject(cut + _ROOT, organization)
    root = (
        _certificate(root_name, root_name, root_key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _certificate(_subject(name, organization), root_name, leaf_key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return {
        ROOT_KEY: _key_pem(root_key),
        TRUST_ANCHOR: _pem([root]),
        SIGNING_CHAIN: _pem([leaf, root]),
        SIGNING_KEY: _key_pem(leaf_key),
    }


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


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


def _private_key(path: Path) -> PrivateKeyTypes:
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
            raise KeysUnusable(f"there is no file {path}; `dreamcrawl keys init` makes keys")
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError as error:
        raise KeysUnusable(f"{path} cannot be read: {error.strerror or error}") from error


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def _public_bytes(key: object) -> bytes:
    public_bytes = getattr(key, "public_bytes")  # noqa: B009 - kinds that do not sign have no common type
    return bytes(public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _named(name: x509.Name) -> str:
    """The common name and the organization, as far as there are any."""
    found = [
        str(part.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for part in name.get_attributes_for_oid(oid)
    ]
    return re.sub(r"\s+", " ", ", ".join(found)) or "somebody without a name"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

"""C2PA without our own code: pictures signed by strangers, and what the library's own reader says of any file."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.catalog.values import Derivation
from pipeline.provenance.c2pa import C2paSigner
from pipeline.provenance.credential_checks import Trust
from tests.support.inverting import Workshop

MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def file_of(shop: Workshop, derivation: Derivation | None = None) -> Path:
    """The copy of a dream that people see; of the first one unless told otherwise."""
    return shop.dreams / (derivation or shop.derivation(1)).file_name


def own_trust(signer: C2paSigner) -> Trust:
    """Trust in whoever has this signer's root."""
    return Trust(signer.keys.anchors_pem)


def told_by_reader(data: bytes, media_type: str, anchors: bytes = b"") -> dict[str, Any]:
    """All that the C2PA library's own reader says; raises what it raises."""
    with (
        c2pa.Context(_settings(anchors)) as context,
        c2pa.Reader(media_type, io.BytesIO(data), context=context) as reader,
    ):
        told: dict[str, Any] = json.loads(reader.json())
        return told


def state_of(data: bytes, media_type: str, anchors: bytes = b"") -> str:
    """`Trusted`, `Valid`, `Invalid`, or `none` when the reader finds no manifest that it can read."""
    try:
        return str(told_by_reader(data, media_type, anchors)["validation_state"])
    except c2pa.C2paError:
        return "none"


def active_manifest(told: dict[str, Any]) -> dict[str, Any]:
    """The manifest that speaks for the file itself."""
    found: dict[str, Any] = told["manifests"][told["active_manifest"]]
    return found


def actions_of(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The actions of the active manifest."""
    (data,) = [each["data"] for each in active_manifest(told)["assertions"] if each["label"] == "c2pa.actions.v2"]
    actions: list[dict[str, Any]] = data["actions"]
    return actions


def write_keys(folder: Path, key: Any, *, name: str = "Stranger", days: float = 30.0, begun: float = 1.0) -> Path:
    """A key with its certificate under a root of its own, as somebody else would make them; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} root")])
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def begin(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=begun))
            .not_valid_after(now - timedelta(days=begun) + timedelta(days=days))
        )

    def usage(*granted: str) -> x509.KeyUsage:
        return x509.KeyUsage(**{name: name in granted for name in _USAGES})

    root = (
        begin(root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        begin(leaf_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = [each.public_bytes(serialization.Encoding.PEM) for each in (leaf, root)]
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "chain.pem").write_bytes(b"".join(pem))
    (folder / "root.pem").write_bytes(pem[1])
    return folder


def signed_by_stranger(data: bytes, media_type: str, folder: Path, *, notes: str = "") -> bytes:
    """The file as a stranger's camera or editor would sign it, with a long assertion of its own if there are notes."""
    write_keys(folder, ed25519.Ed25519PrivateKey.generate())
    definition: dict[str, Any] = {
        "claim_generator_info": [{"name": "Strange Camera", "version": "3"}],
        "title": "strange",
        "format": media_type,
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
                        }
                    ]
                },
            }
        ],
    }
    if notes:
        definition["assertions"].append({"label": "com.example.notes", "data": {"notes": notes}})
    info = c2pa.C2paSignerInfo(
        c2pa.C2paSigningAlg.ED25519, (folder / "chain.pem").read_bytes(), (folder / "key.pem").read_bytes(), None
    )
    out = io.BytesIO()
    with (
        c2pa.Context(_settings((folder / "root.pem").read_bytes())) as context,
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(json.dumps(definition), context) as builder,
    ):
        builder.sign(signer, media_type, io.BytesIO(data), out)
    return out.getvalue()


def _settings(anchors: bytes) -> Any:
    values: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if anchors:
        values["trust"] = {"trust_anchors": anchors.decode()}
    return c2pa.Settings.from_dict(values)

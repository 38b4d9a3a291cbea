"""Another signing certificate for the same key and under the same root, before the old one is out of date.

Whoever trusts the root trusts the new certificate as well, and what was signed under the old one holds as before.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.errors import KeysUnusable, WorkspaceUnusable
from pipeline.provenance.certificates import make_leaf, make_root, pem_of, public_bytes
from pipeline.provenance.keys import (
    DEFAULT_YEARS,
    ROOT_KEY,
    ROOT_LIVES,
    SIGNING_CHAIN,
    SIGNING_KEY,
    TRUST_ANCHOR,
    SigningKeys,
    lifetime_of,
    read_certificates,
    read_keys,
    read_private_key,
)


def renew_keys(
    folder: Path, *, root_key: Path | None = None, years: float = DEFAULT_YEARS, at: datetime | None = None
) -> SigningKeys:
    """Make the signing certificate of `make_keys` anew, valid for so many years from now.

    Only `signing-chain.pem` is replaced, at once; and before it `trust-anchor.pem`, where the root would be out of date
    first: then it is the same root, with the same key and name, valid for longer. Whoever has the former anchor needs
    no other until that one is out of date. Killed at any moment, both files are whole and fit together.

    folder: where `make_keys` wrote.
    root_key: the root's private key; None for the one in the folder.
    at: the moment taken for now.

    Raises:
        KeysUnusable: A file is missing or cannot be read, or the root's key is another's.
        UsageError: So many years are none, or too many.
        WorkspaceUnusable: The folder cannot be written.
    """
    now, lifetime = at or datetime.now(UTC), lifetime_of(years)
    leaf, root, authority = _present(folder, root_key or folder / ROOT_KEY)
    end = now + lifetime
    public = leaf.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise KeysUnusable(f"{folder / SIGNING_CHAIN} was not made by `dreamcrawl keys init`; renew it where it was")
    if end > root.not_valid_after_utc:
        root = make_root(root.subject, authority, now, now + lifetime * ROOT_LIVES)
        _replace(folder / TRUST_ANCHOR, pem_of([root]))
    made = make_leaf(leaf.subject, public, root, authority, now, end)
    _replace(folder / SIGNING_CHAIN, pem_of([made, root]))
    return read_keys(folder / SIGNING_KEY, folder / SIGNING_CHAIN, folder / TRUST_ANCHOR, at=now)


def _present(folder: Path, root_key: Path) -> tuple[x509.Certificate, x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The signing certificate, its root, and the root's private key."""
    leaf, *_ = read_certificates(folder / SIGNING_CHAIN)
    root = read_certificates(folder / TRUST_ANCHOR)[0]
    signing = read_private_key(folder / SIGNING_KEY)
    if public_bytes(signing.public_key()) != public_bytes(leaf.public_key()):
        raise KeysUnusable(f"{folder / SIGNING_KEY} is not the key of the certificate in {folder / SIGNING_CHAIN}")
    if not root_key.is_file():
        raise KeysUnusable(
            f"there is no file {root_key}, and only the root's key makes certificates; name it with --root-key, from "
            "where you keep it"
        )
    authority = read_private_key(root_key)
    is_its = public_bytes(authority.public_key()) == public_bytes(root.public_key())
    if not isinstance(authority, ec.EllipticCurvePrivateKey) or not is_its:
        raise KeysUnusable(f"{root_key} is not the key of the root in {folder / TRUST_ANCHOR}")
    return leaf, root, authority


def _replace(path: Path, data: bytes) -> None:
    """Put another content in place of a file at once, readable by its owner only."""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".tmp-keys-", dir=path.parent)  # for its owner only
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise WorkspaceUnusable(f"{path} cannot be written: {error.strerror or error}") from error

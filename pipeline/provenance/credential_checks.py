"""What verification says of a picture's C2PA manifest: whether it holds, who signed it, and what it claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.formats import MEDIA_TYPES, sniff
from pipeline.provenance.c2pa import Credentials, State, is_installed, read_credentials
from pipeline.provenance.checks import Checks
from pipeline.provenance.containers import find_manifest_store

# Besides what is kept here, in the library's words: pictures of others that can be told of without being decoded.
READABLE = MEDIA_TYPES | {
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "JPEG XL": "image/jxl",
    "SVG": "image/svg+xml",
}
NAME = "content credentials"
HOW_TO_INSTALL = "pip install 'dreamcrawl[c2pa]'"

_MOST_CODES = 3


@dataclass(frozen=True)
class Trust:
    """Whose signatures are believed.

    Attributes:
        anchors_pem: Certificates that are trusted, with those below them.
        required: Whether no signature, or one by anybody else, is a failure; else it is told, and holds.
        problem: Why those who should be trusted are not known; empty when they are, or when nobody should.
    """

    anchors_pem: bytes = b""
    required: bool = False
    problem: str = ""


NOBODY = Trust()


def signature_on_record(manifest: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What a dream's record says of the signature that its file was given; None when it was given none."""
    signature = manifest.get("signature") if manifest is not None else None
    return signature if isinstance(signature, Mapping) else None


def earlier_files(manifest: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Digests of what a dream's file was before it was signed later, or was lost and made again; oldest first."""
    found: dict[str, None] = {}
    for part in (manifest.get("made_again") if manifest is not None else None, signature_on_record(manifest)):
        told = part.get("earlier_files") if isinstance(part, Mapping) else None
        found |= dict.fromkeys(str(each) for each in told) if isinstance(told, list | tuple) else {}
    return tuple(found)


def check_credentials(
    checks: Checks, data: bytes, *, expected: Mapping[str, Any] | None, trust: Trust, path: Path
) -> State | None:
    """Check the C2PA manifest in a file; what came of it, or None when there is none and none was expected.

    expected: `signature_on_record` of the dream that the file holds. Without one the manifest may be anybody's. Whoever
    takes the signature out can take this out as well, so that only `trust.required` tells one that never had any.
    """
    kind = sniff(data).name
    if kind not in READABLE:
        return _absent(checks, expected, trust=trust, path=path)
    if not is_installed():
        return _without_library(checks, data, expected=expected, trust=trust, path=path)
    found = read_credentials(data, media_type=READABLE[kind], anchors_pem=trust.anchors_pem)
    if found is None:
        return _absent(checks, expected, trust=trust, path=path)
    if found.state == "elsewhere":
        return _absent(checks, expected, trust=trust, path=path) or found.state
    _check_signature(checks, found, expected=expected, trust=trust, path=path)
    if expected is None:
        _tell_claims(checks, found)
    return found.state


def tell_carried(checks: Checks, data: bytes, *, trust: Trust) -> None:
    """Note the C2PA manifest that an original came with, and whether it holds: as it is kept as it came, no failure."""
    kind, is_seen = sniff(data).name, find_manifest_store(data) is not None
    if not is_seen and kind != "GIF":  # in which only the library finds one
        return
    if not is_installed():
        if is_seen:
            checks.skips(NAME, found=f"there, as it came, and not checked; {HOW_TO_INSTALL}")
        return
    found = read_credentials(data, media_type=MEDIA_TYPES[kind], anchors_pem=trust.anchors_pem)
    if found is None or found.state == "elsewhere":
        return
    if found.state == "invalid":
        checks.holds(NAME, found=f"as it came: does not hold: {_problems(found)}")
    else:
        checks.holds(NAME, found=f"as it came: {found.state}, signed by {_signer(found)}")
    _tell_claims(checks, found)


def check_unsigned(checks: Checks, *, trust: Trust, path: Path) -> None:
    """Note that something without a signature is no proof to those who ask for one."""
    if trust.required:
        checks.fails(NAME, expected="a signature under the trust anchors given", found="absent", path=path)


def _absent(checks: Checks, expected: Mapping[str, Any] | None, *, trust: Trust, path: Path) -> State | None:
    if expected is None:
        check_unsigned(checks, trust=trust, path=path)
        return None
    checks.fails(NAME, expected=f"signed by {expected.get('signer')}", found="absent", path=path)
    return "invalid"


def _without_library(
    checks: Checks, data: bytes, *, expected: Mapping[str, Any] | None, trust: Trust, path: Path
) -> State | None:
    if find_manifest_store(data) is None:
        return _absent(checks, expected, trust=trust, path=path)
    found = f"there, and not checked; {HOW_TO_INSTALL}"
    if trust.required:
        checks.fails(NAME, expected="a signature under the trust anchors given", found=found, path=path)
    else:
        checks.skips(NAME, found=found)
    return "valid"


def _check_signature(
    checks: Checks, found: Credentials, *, expected: Mapping[str, Any] | None, trust: Trust, path: Path
) -> None:
    signer = _signer(found)
    if found.state == "invalid":
        checks.fails(NAME, expected="a signature that holds", found=_problems(found), path=path)
    elif expected is not None and found.certificate_sha256 != expected.get("certificate_sha256"):
        checks.fails(
            NAME,
            expected=f"signed by {expected.get('signer')}, certificate {_start(expected.get('certificate_sha256'))}",
            found=f"signed by {signer}, certificate {_start(found.certificate_sha256)}",
            path=path,
        )
    elif expected is not None and found.unsigned_change:
        checks.fails(NAME, expected="a file as it was signed", found=found.unsigned_change, path=path)
    elif found.state == "trusted":
        checks.holds(NAME, found=f"trusted, signed by {signer}")
    elif trust.required:
        checks.fails(NAME, expected="a signer under the trust anchors given", found=f"signed by {signer}", path=path)
    else:
        checks.holds(NAME, found=f"valid, signed by {signer}, who is not among those trusted here")


def _signer(found: Credentials) -> str:
    return found.signer or "somebody without a name"


def _problems(found: Credentials) -> str:
    return ", ".join(found.problems[:_MOST_CODES]) or "invalid"


def _tell_claims(checks: Checks, found: Credentials) -> None:
    if found.generator:
        checks.holds("claimed software", found=found.generator)
    if found.actions:
        checks.holds("claimed actions", found=", ".join(found.actions))
    for each in found.ingredients:
        state = f"its own credentials were {each.state}" if each.state else "without credentials of its own"
        checks.holds(f"claimed {each.relationship}", found=f"{each.title}; {state}")


def _start(digest: object) -> str:
    return str(digest)[:16] or "unknown"

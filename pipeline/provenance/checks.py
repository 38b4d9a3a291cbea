"""What verification compares, one thing at a time; each function adds checks and never raises for what files hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.catalog.values import Derivation, Item
from pipeline.errors import ImageRejected
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode
from pipeline.provenance.canonical import NotJson, canonical_json, clean_text, json_sha256, parse_object
from pipeline.provenance.copies import sidecar_of
from pipeline.provenance.manifest import Manifest, manifest_sha256
from pipeline.provenance.preparation import STORED_LIMITS
from pipeline.provenance.xmp import Embedded, read_xmp
from pipeline.records import Check
from pipeline.store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN_DIGITS = 16
_MAX_SHOWN = 200


class Checks:
    """The checks of one subject, in order."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.done: list[Check] = []

    def equal(self, name: str, expected: str, *, found: str, path: Path | None = None) -> bool:
        """Check that two values are equal; whether they are."""
        holds = expected == found
        self._add(name, holds, expected=expected, found=found, path=path)
        return holds

    def fails(self, name: str, *, expected: str, found: str, path: Path | None = None) -> None:
        """Note a check that does not hold."""
        self._add(name, False, expected=expected, found=found, path=path)

    def holds(self, name: str, *, found: str, path: Path | None = None) -> None:
        """Note a check that holds."""
        self._add(name, True, expected="", found=found, path=path)

    def skips(self, name: str, *, found: str) -> None:
        """Note something that there is, and that could not be checked here: no failure, and no proof."""
        self._add(name, True, expected="", found=found, path=None, skipped=True)

    def _add(self, name: str, ok: bool, *, expected: str, found: str, path: Path | None, skipped: bool = False) -> None:
        shown = str(path) if path else None
        self.done.append(Check(self.subject, name, ok, _shown(expected), _shown(found), shown, skipped))


def tell_withdrawal(checks: Checks, item: Item) -> None:
    """Note that a picture must not be used any more, if its site has said so; its record holds all the same."""
    if item.withdrawn_at is not None:
        words = clean_text(item.withdrawn_reason or "without a reason on record")
        checks.holds("withdrawn", found=f"i{item.id}, on {item.withdrawn_at:%Y-%m-%d}: not to be used; {words}")


def check_stored(checks: Checks, sha256: str, *, pixels: str, store: Store) -> bytes | None:
    """The stored file under a digest: there, of these bytes, and of these pixels. Gives its bytes if it can be read."""
    if not _SHA256.fullmatch(sha256):
        checks.fails("stored bytes", expected="a SHA-256 on record", found=sha256)
        return None
    path = store.path(sha256)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        checks.fails("stored bytes", expected=sha256, found="missing", path=path)
        return None
    except OSError as error:
        checks.fails("stored bytes", expected=sha256, found=f"cannot be read: {error.strerror or error}", path=path)
        return None
    checks.equal("stored bytes", sha256, found=digest_of(data), path=path)
    check_pixels(checks, data, expected=pixels, path=path)
    return data


def check_pixels(checks: Checks, data: bytes, *, expected: str, path: Path) -> None:
    """The picture in these bytes decodes to the pixels on record."""
    found, problem = pixels_of(data)
    checks.equal("pixels", expected, found=found or f"does not decode: {problem}", path=path)


def check_manifest_itself(checks: Checks, data: Mapping[str, Any], *, name: str, path: Path | None) -> Manifest | None:
    """A manifest agrees with itself: the fields are there, digest and key follow from what they are taken over."""
    try:
        manifest = Manifest.read(data)
        recipe, key = json_sha256(dict(manifest.recipe)), manifest.recomputed_key
    except (ValueError, TypeError) as error:
        checks.fails(name, expected="a readable manifest", found=str(error), path=path)
        return None
    checks.equal("recipe", manifest.recipe_sha256, found=recipe, path=path)
    checks.equal("derivation key", manifest.derivation_key, found=key, path=path)
    return manifest


def check_record_on_file(checks: Checks, derivation: Derivation) -> None:
    """The catalog's manifest has the digest beside it and says what the row's columns say."""
    try:
        found = manifest_sha256(derivation.manifest)
    except ValueError as error:
        found = f"no digest: {error}"
    checks.equal("manifest", derivation.manifest_sha256, found=found)
    manifest = check_manifest_itself(checks, derivation.manifest, name="manifest", path=None)
    if manifest is None:
        return
    columns = {
        "derivation key": (derivation.key, manifest.derivation_key),
        "recipe digest": (derivation.recipe_sha256, manifest.recipe_sha256),
        "recipe": (_digest_or_problem(derivation.recipe), manifest.recipe_sha256),
        "network": (derivation.network, manifest.network),
        "weights": (derivation.weights_sha256, manifest.weights_sha256),
        "output pixels": (derivation.pixel_sha256, manifest.output.pixel_sha256),
        "output size": (f"{derivation.width}x{derivation.height}", f"{manifest.output.width}x{manifest.output.height}"),
        "source": (f"i{derivation.item_id}", manifest.item),
    }
    for field, (in_row, in_manifest) in columns.items():
        if in_row != in_manifest:
            checks.fails("catalog row", expected=f"{field} {_shown(in_manifest)}", found=f"{field} {_shown(in_row)}")
            return
    checks.holds("catalog row", found="agrees with the manifest")


def check_embedded(checks: Checks, data: bytes, *, derivation: Derivation, path: Path) -> None:
    """The record inside the picture is the one in the catalog."""
    embedded = read_xmp(data)
    if embedded is None:
        checks.fails("embedded record", expected=derivation.manifest_sha256, found="absent", path=path)
        return
    if (digest := check_embedded_itself(checks, embedded, path=path)) is None:
        return
    if digest != derivation.manifest_sha256:
        checks.fails("embedded record", expected=derivation.manifest_sha256, found=digest, path=path)
    elif embedded.derivation_key != derivation.key:
        checks.fails(
            "embedded record",
            expected=f"key {_shown(derivation.key)}",
            found=f"key {_shown(embedded.derivation_key)}",
            path=path,
        )
    else:
        checks.holds("embedded record", found=digest, path=path)


def check_embedded_itself(checks: Checks, embedded: Embedded, *, path: Path) -> str | None:
    """The manifest's digest when an embedded record can be read and has the digest that stands beside it, else None."""
    if embedded.manifest is None:
        checks.fails("embedded record", expected="a manifest", found=embedded.problem, path=path)
        return None
    digest = _digest_or_problem(embedded.manifest)
    if digest != embedded.manifest_sha256:
        checks.fails("embedded record", expected=embedded.manifest_sha256 or "a digest", found=digest, path=path)
        return None
    return digest


def check_sidecar(checks: Checks, data: bytes, *, expected: Mapping[str, Any], path: Path) -> None:
    """The sidecar says what it should; its layout does not matter."""
    try:
        found = parse_object(data)
    except NotJson as error:
        checks.fails("sidecar", expected="readable JSON", found=str(error), path=path)
        return
    for field in dict.fromkeys((*expected, *found)):
        if canonical_json(expected.get(field)) != canonical_json(found.get(field)):
            checks.fails(
                "sidecar",
                expected=f"{field} {_shown(_digest_if_object(expected.get(field)))}",
                found=f"{field} {_shown(_digest_if_object(found.get(field)))}",
                path=path,
            )
            return
    checks.holds("sidecar", found="agrees with the catalog", path=path)


def check_copy(checks: Checks, derivation: Derivation, *, copy: Path, sidecar: Path) -> None:
    """The copy for people has the stored bytes and its sidecar says so; a missing one can be restored."""
    for name, path in (("copy", copy), ("sidecar", sidecar)):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            checks.holds(name, found="absent, can be restored", path=path)
            continue
        except OSError as error:
            checks.fails(name, expected="a readable file", found=str(error.strerror or error), path=path)
            continue
        if name == "copy":
            checks.equal(name, derivation.blob_sha256, found=digest_of(data), path=path)
        else:
            check_sidecar(checks, data, expected=sidecar_of(derivation), path=path)


def digest_of(data: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def pixels_of(data: bytes) -> tuple[str | None, str]:
    """The pixel digest of the picture in these bytes; or None, and why they are none."""
    try:
        return pixel_sha256(decode(data, limits=STORED_LIMITS).rgb), ""
    except ImageRejected as rejected:
        return None, rejected.detail


def _digest_or_problem(value: Mapping[str, Any]) -> str:
    try:
        return json_sha256(dict(value))
    except (TypeError, ValueError) as error:
        return f"no digest: {error}"


def _digest_if_object(value: Any) -> str:
    return _digest_or_problem(value) if isinstance(value, dict) else str(value)


def _shown(value: str) -> str:
    """A value for people: digests by their start, hostile text cleaned and cut."""
    if _SHA256.fullmatch(value):
        return value[:_SHOWN_DIGITS]
    return " ".join(clean_text(value).split())[:_MAX_SHOWN]

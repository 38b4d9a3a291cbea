"""Verification of one file, wherever it lies, with a catalog or without one."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Derivation, Item
from pipeline.errors import NotFound
from pipeline.provenance.c2pa import State
from pipeline.provenance.canonical import NotJson
from pipeline.provenance.checks import (
    Checks,
    check_embedded_itself,
    check_manifest_itself,
    check_pixels,
    check_sidecar,
    digest_of,
    pixels_of,
    tell_withdrawal,
)
from pipeline.provenance.copies import SIDECAR_SUFFIX, SUFFIX_OF_FORMAT, read_sidecar, sidecar_of, sidecar_path
from pipeline.provenance.credential_checks import (
    NOBODY,
    Trust,
    check_credentials,
    check_unsigned,
    earlier_files,
    signature_on_record,
)
from pipeline.provenance.manifest import manifest_sha256
from pipeline.provenance.preparation import STORED_LIMITS
from pipeline.provenance.unproven import unproven_claims
from pipeline.provenance.xmp import Embedded, read_xmp
from pipeline.records import VerifyReport
from pipeline.store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")


def verify_file(
    path: Path, *, catalog: Catalog | None = None, store: Store | None = None, trust: Trust = NOBODY
) -> VerifyReport:
    """Check any picture or sidecar, ours or not, inside the workspace or outside of it.

    A dream is checked against the record inside it, against the sidecar beside it, and against the catalog where it
    is known there; an original against the catalog. Without a catalog the first two are all there is. The C2PA manifest
    of any picture is checked, and what it claims is told; where `trust` asks for a signature, there must be one.
    store: names the files whose name is their digest; may be None.

    Raises:
        NotFound: No such file; or one that nothing is known of: without record, C2PA manifest and row in the catalog.
    """
    data = _read(path)
    if path.name.lower().endswith(SIDECAR_SUFFIX):
        return _verify_sidecar(path, data, catalog=catalog, store=store, trust=trust)
    checks = Checks(path.name)
    embedded = read_xmp(data)
    known = _look_up(catalog, path, data=data, embedded=embedded, store=store)
    sidecar = _sidecar_beside(path)
    record = embedded.manifest if embedded is not None else None
    if record is None and known.derivation is not None:
        record = known.derivation.manifest
    credentials = Checks(path.name)
    state = check_credentials(credentials, data, expected=signature_on_record(record), trust=trust, path=path)
    if embedded is None and known.nothing and sidecar is None and state in {None, "elsewhere"}:
        raise NotFound(_stranger(path, data, with_catalog=catalog is not None, state=state))
    if embedded is not None:
        _check_own_record(checks, data, embedded=embedded, path=path)
    if known.derivation is not None:
        _check_derivation(checks, data, derivation=known.derivation, embedded=embedded, path=path)
    elif known.item is not None:
        _check_item(checks, data, item=known.item, originals=known.originals, path=path)
    elif catalog is not None:
        checks.holds("catalog", found="not in this catalog; the record inside is all there is")
    for item in known.withdrawn:
        tell_withdrawal(checks, item)
    checks.done += credentials.done
    if sidecar is not None:
        expected = sidecar.get("sha256")
        checks.equal("bytes as the sidecar says", str(expected), found=digest_of(data), path=path)
    return VerifyReport(tuple(checks.done))


@dataclass(frozen=True)
class _Known:
    """What the catalog knows about a file: a dream, or an item and the digests of its originals, or nothing.

    Attributes:
        withdrawn: The pictures, of those that it is or was made of, that must not be used any more.
    """

    derivation: Derivation | None = None
    item: Item | None = None
    originals: frozenset[str] = frozenset()
    withdrawn: tuple[Item, ...] = ()

    @property
    def nothing(self) -> bool:
        return self.derivation is None and self.item is None


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise NotFound(f"{path} cannot be read: it is a folder; name the files in it, such as {path}/*.jpg")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            raise NotFound(f"{path} cannot be read: it is not a file")
        if status.st_size > STORED_LIMITS.max_bytes:
            raise NotFound(f"{path} is too large to be a picture made or kept here")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise NotFound(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _look_up(
    catalog: Catalog | None, path: Path, *, data: bytes, embedded: Embedded | None, store: Store | None
) -> _Known:
    """By the digest that the file is stored under, else its bytes, its record, its name, its pixels."""
    if catalog is None:
        return _Known()
    digests = [digest_of(data)]
    if store is not None and _SHA256.fullmatch(path.name) and store.path(path.name).absolute() == path.absolute():
        digests.insert(0, path.name)
    with catalog.read() as uow:
        known = next(filter(None, (_by_digest(uow, digest) for digest in digests)), None)
        if known is None:
            key = embedded.derivation_key if embedded else ""
            derivation = uow.derivations.by_key(key) or uow.derivations.by_file_name(path.name)
            known = _Known(derivation) if derivation else _by_pixels(uow, data)
        return replace(known, withdrawn=_withdrawn(uow, known))


def _withdrawn(uow: UnitOfWork, known: _Known) -> tuple[Item, ...]:
    items = [known.item]
    if (dream := known.derivation) is not None:
        items = [uow.items.get(each) for each in (dream.item_id, *uow.derivations.withdrawn_inputs(dream.id))]
    return tuple(item for item in items if item is not None and item.withdrawn_at is not None)


def _by_digest(uow: UnitOfWork, digest: str) -> _Known | None:
    if derivation := uow.derivations.by_blob_sha256(digest):
        return _Known(derivation)
    item = uow.items.by_sha256(digest)
    return _known_item(uow, item) if item else None


def _by_pixels(uow: UnitOfWork, data: bytes) -> _Known:
    pixels, _problem = pixels_of(data)
    if pixels is None:
        return _Known()
    if derivation := uow.derivations.by_pixel_sha256(pixels):
        return _Known(derivation)
    item = uow.items.by_pixel_sha256(pixels)
    return _known_item(uow, item) if item else _Known()


def _known_item(uow: UnitOfWork, item: Item) -> _Known:
    others = (each.blob_sha256 for each in uow.sightings.of_item(item.id))
    return _Known(item=item, originals=frozenset({item.blob_sha256, *others}))


def _check_own_record(checks: Checks, data: bytes, *, embedded: Embedded, path: Path) -> None:
    """The record inside the picture agrees with itself and with the pixels around it."""
    digest = check_embedded_itself(checks, embedded, path=path)
    if digest is None or embedded.manifest is None:
        return
    checks.holds("embedded record", found=digest, path=path)
    manifest = check_manifest_itself(checks, embedded.manifest, name="embedded record", path=path)
    if manifest is not None:
        check_pixels(checks, data, expected=manifest.output.pixel_sha256, path=path)


def _check_derivation(
    checks: Checks, data: bytes, *, derivation: Derivation, embedded: Embedded | None, path: Path
) -> None:
    checks.holds("catalog", found=f"d{derivation.id}, made from i{derivation.item_id}")
    found = digest_of(data)
    if found in earlier_files(derivation.manifest):
        checks.holds("bytes", found=f"those of d{derivation.id} before it was signed or made again")
        check_pixels(checks, data, expected=derivation.pixel_sha256, path=path)
        return
    checks.equal("bytes", derivation.blob_sha256, found=found, path=path)
    if embedded is None:
        checks.fails("embedded record", expected=derivation.manifest_sha256, found="absent", path=path)
        check_pixels(checks, data, expected=derivation.pixel_sha256, path=path)
        return
    if embedded.manifest is None:  # noted already
        check_pixels(checks, data, expected=derivation.pixel_sha256, path=path)
        return
    checks.equal("manifest in the catalog", derivation.manifest_sha256, found=embedded.manifest_sha256, path=path)


def _check_item(checks: Checks, data: bytes, *, item: Item, originals: frozenset[str], path: Path) -> None:
    checks.holds("catalog", found=f"an original of i{item.id}")
    found = digest_of(data)
    checks.equal("bytes", found if found in originals else item.blob_sha256, found=found, path=path)
    check_pixels(checks, data, expected=item.pixel_sha256, path=path)


def _sidecar_beside(path: Path) -> dict[str, Any] | None:
    """The sidecar of this picture, if one lies beside it that can be read."""
    try:
        return read_sidecar(sidecar_path(path).read_bytes())
    except (OSError, NotJson):
        return None


def _verify_sidecar(
    path: Path, data: bytes, *, catalog: Catalog | None, store: Store | None, trust: Trust
) -> VerifyReport:
    picture = path.with_name(path.name[: -len(SIDECAR_SUFFIX)])
    checks = Checks(path.name)
    derivation = None
    if catalog is not None:
        with catalog.read() as uow:
            derivation = uow.derivations.by_file_name(picture.name)
    try:
        sidecar = read_sidecar(data)
    except NotJson as error:
        if picture.suffix.lower() not in SUFFIX_OF_FORMAT.values() or (derivation is None and not picture.is_file()):
            raise NotFound(f"{path} is no sidecar that dreamcrawl wrote: {error}") from error
        checks.fails("sidecar", expected="a readable sidecar", found=str(error), path=path)
        sidecar = None
    if sidecar is not None:
        manifest = check_manifest_itself(checks, sidecar["manifest"], name="sidecar", path=path)
        if manifest is not None:
            digest = manifest_sha256(sidecar["manifest"])
            checks.equal("manifest", str(sidecar.get("manifest_sha256")), found=digest, path=path)
        if derivation is not None:
            check_sidecar(checks, data, expected=sidecar_of(derivation), path=path)
    if not picture.is_file():
        checks.holds("picture", found="not beside its sidecar", path=picture)
        check_unsigned(checks, trust=trust, path=path)
        return VerifyReport(tuple(checks.done))
    return VerifyReport((*checks.done, *verify_file(picture, catalog=catalog, store=store, trust=trust).checks))


def _stranger(path: Path, data: bytes, *, with_catalog: bool, state: State | None) -> str:
    pixels, problem = pixels_of(data)
    what = "carries no dreamcrawl record" if pixels is not None else f"is no picture that can be read ({problem})"
    if pixels is not None:
        elsewhere = ", names content credentials at an address, which is not fetched"
        what += elsewhere if state == "elsewhere" else " and no content credentials"
    where = ", and the catalog does not know it" if with_catalog else ", and there is no catalog to look it up in"
    claims = "; ".join(f"{name}: {text}" for name, text in unproven_claims(data).items())
    return f"{path} {what}{where}" + (f". Its XMP says, with no proof of it: {claims}" if claims else "")

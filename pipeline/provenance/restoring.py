"""Puts the file of a dream back into the store that was lost there, from pixels that were rendered again.

Where nothing was signed and the encoders are the same, the file has the same bytes. Else it is another file with the
same pixels, and the record says so: when it was made again, and the digests of what it was before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.catalog import upkeep_queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Derivation, Item
from pipeline.errors import ImageRejected, StoreCorrupt
from pipeline.formats import MEDIA_TYPES
from pipeline.provenance.checks import digest_of
from pipeline.provenance.credential_checks import earlier_files, signature_on_record
from pipeline.provenance.derivation import RgbImage
from pipeline.provenance.dream_files import OutputFormat, dream_file, ingredients_of
from pipeline.provenance.late_signing import bring_copy
from pipeline.provenance.manifest import Manifest, manifest_sha256
from pipeline.store import Store

if TYPE_CHECKING:
    from pipeline.provenance.c2pa import C2paSigner

SAME_FILE, OTHER_FILE = "the same file", "another file with the same pixels"
_FORMATS: Mapping[str, OutputFormat] = {"PNG": "PNG", "JPEG": "JPEG", "WEBP": "WEBP"}
_MOST_EARLIER = 10


def restore_dream(
    derivation: Derivation,
    item: Item,
    inputs: Sequence[Item],
    *,
    pixels: RgbImage,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path,
    signer: C2paSigner | None,
) -> str:
    """Store a dream whose file is missing; `SAME_FILE` or `OTHER_FILE`. Its copy comes back where that is missing too.

    inputs: the guides and masks that its record names.
    pixels: as the renderer gave them on record.
    signer: signs the file, if the one that was lost was signed; None leaves it unsigned.

    Raises:
        StoreCorrupt: The file cannot be made with the pixels on record, or what it was made of is missing.
        WorkspaceUnusable: The disk is full or a folder cannot be written.
    """
    image_format = Manifest.read(derivation.manifest).output.format
    is_signed = signature_on_record(derivation.manifest) is not None
    manifest: dict[str, Any] = json.loads(json.dumps(dict(derivation.manifest)))
    try:
        data = _copied(dreams_folder / derivation.file_name, derivation.blob_sha256)
        if not data and not is_signed:
            data = dream_file(pixels, manifest, image_format=_format(image_format), signer=None)
        if digest_of(data) != derivation.blob_sha256:
            manifest = _told(derivation, manifest, signer if is_signed else None)
            ingredients = ingredients_of(manifest, item, inputs, store=store) if is_signed and signer else []
            data = dream_file(
                pixels,
                manifest,
                image_format=_format(image_format),
                signer=signer if is_signed else None,
                ingredients=ingredients,
            )
    except (ValueError, ImageRejected) as error:
        raise StoreCorrupt(f"d{derivation.id} cannot be put back: {error}; restore it from a backup") from error
    sha256 = store.put(data)
    is_same = sha256 == derivation.blob_sha256
    with catalog.write() as uow:
        uow.blobs.add(sha256, size_bytes=len(data), media_type=MEDIA_TYPES[image_format])
        uow.blobs.came_back(sha256, item_id=item.id)
        if not is_same:
            uow.derivations.replace_file(
                derivation.id,
                former_sha256=derivation.blob_sha256,
                blob_sha256=sha256,
                manifest=manifest,
                manifest_sha256=manifest_sha256(manifest),
            )
            if not upkeep_queries.references(uow.session, derivation.blob_sha256):
                upkeep_queries.mark_removed(uow.session, [derivation.blob_sha256], at=datetime.now(UTC))
        recorded = uow.derivations.get(derivation.id) or derivation
    bring_copy(recorded, store=store, dreams_folder=dreams_folder)
    return SAME_FILE if is_same else OTHER_FILE


def _told(derivation: Derivation, manifest: dict[str, Any], signer: C2paSigner | None) -> dict[str, Any]:
    """The manifest of a file that is another one than the one that was lost."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    earlier = [*earlier_files(manifest), derivation.blob_sha256][-_MOST_EARLIER:]
    told = {name: value for name, value in manifest.items() if name != "signature"}
    told["made_again"] = {"at": now, "earlier_files": earlier}
    return told | ({"signature": {**signer.identity, "signed_at": now}} if signer is not None else {})


def _copied(copy: Path, sha256: str) -> bytes:
    """The bytes of the copy for people, if they are those that were stored."""
    try:
        data = copy.read_bytes()
    except OSError:
        return b""
    return data if digest_of(data) == sha256 else b""


def _format(name: str) -> OutputFormat:
    if name not in _FORMATS:
        raise ValueError(f"dreams are not written as {name[:20]}")
    return _FORMATS[name]

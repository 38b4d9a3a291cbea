"""Signs dreams that were made before there were keys, or again with newer ones.

The record of such a dream says that it was signed later and what its file was before. The order makes a killed run
harmless: the signed file is stored, then the row points at it, then the copies for people follow; a later run finds
what is missing by the digests on record. The former file stays in the store until `gc` takes what nothing refers to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Derivation, Item
from pipeline.errors import ImageRejected, NotFound, StoreCorrupt
from pipeline.fingerprints import pixel_sha256
from pipeline.formats import MEDIA_TYPES
from pipeline.images import decode
from pipeline.provenance.attribution import inputs_on_record
from pipeline.provenance.canonical import NotJson
from pipeline.provenance.checks import digest_of
from pipeline.provenance.copies import read_sidecar, restore_copy, sidecar_of, sidecar_path, write_whole
from pipeline.provenance.credential_checks import earlier_files, signature_on_record
from pipeline.provenance.dream_files import ingredients_of
from pipeline.provenance.manifest import Manifest, manifest_sha256
from pipeline.provenance.preparation import STORED_LIMITS
from pipeline.provenance.rewriting import with_packet
from pipeline.provenance.xmp import JPEG_MAX_PACKET_BYTES, write_xmp
from pipeline.store import Store

if TYPE_CHECKING:
    from pipeline.provenance.c2pa import C2paSigner

_MOST_EARLIER = 10


@dataclass(frozen=True)
class SigningReport:
    """What was signed.

    Attributes:
        signed: Ids of the dreams signed now.
        already: Dreams that were signed before; their copies were brought up to date where they had to be.
        failed: (id, line) of those that could not be signed.
        left_out: Dreams of which a picture, guides and masks included, was withdrawn, or whose file is gone.
        changed_copies: Names of copies that somebody has changed, and that were left as they are.
    """

    signed: tuple[int, ...] = ()
    already: int = 0
    failed: tuple[tuple[int, str], ...] = ()
    left_out: int = 0
    changed_copies: tuple[str, ...] = ()


def sign_dreams(
    ids: Sequence[int] | None,
    *,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path,
    signer: C2paSigner,
    again: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> SigningReport:
    """Sign dreams that are not; each by itself, so that what is done stays done.

    ids: these dreams; None for all.
    again: also those that were signed with another certificate than the signer's.

    Raises:
        NotFound: There is no such dream.
        WorkspaceUnusable: The disk is full or a folder cannot be written.
        CatalogBusy: Another process kept the catalog locked for too long.
    """
    with catalog.read() as uow:
        wanted = uow.derivations.all_ids() if ids is None else list(dict.fromkeys(ids))
        if missing := [each for each in wanted if ids is not None and uow.derivations.get(each) is None]:
            raise NotFound(f"there is no dream d{missing[0]}; `dreamcrawl browse` shows those there are")
    work = _Signing(catalog, store, dreams_folder, signer, again)
    for done, derivation_id in enumerate(wanted):
        on_progress(done, len(wanted))
        work.take(derivation_id)
    on_progress(len(wanted), len(wanted))
    return SigningReport(
        tuple(work.signed), work.already, tuple(work.failed), work.left_out, tuple(work.changed_copies)
    )


@dataclass
class _Signing:
    catalog: Catalog
    store: Store
    dreams: Path
    signer: C2paSigner
    again: bool
    signed: list[int] = field(default_factory=list)
    already: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    left_out: int = 0
    changed_copies: list[str] = field(default_factory=list)

    def take(self, derivation_id: int) -> None:
        with self.catalog.read() as uow:
            dream = uow.derivations.get(derivation_id)
            item = uow.items.get(dream.item_id) if dream else None
            inputs = [uow.items.by_pixel_sha256(digest) for digest in _inputs(dream)]
            removed = uow.blobs.removed([dream.blob_sha256]) if dream else frozenset()
        if dream is None or item is None or removed or any(each and each.withdrawn_at for each in (item, *inputs)):
            self.left_out += 1
            return
        if not self._is_to_sign(dream):
            self.already += 1
            if earlier_files(dream.manifest):
                self._bring_copy(dream)
            return
        if None in inputs:
            self.failed.append((dream.id, "a guide or mask that it was made with is not in the catalog"))
            return
        try:
            made = self._sign(dream, item, [each for each in inputs if each is not None])
        except (StoreCorrupt, ImageRejected, ValueError) as problem:
            self.failed.append((dream.id, " ".join(str(problem).split())))
            return
        if made is None:  # another process was faster
            self.already += 1
        else:
            self.signed.append(dream.id)
            self._bring_copy(made)

    def _is_to_sign(self, dream: Derivation) -> bool:
        signature = signature_on_record(dream.manifest)
        if signature is None:
            return True
        return self.again and signature.get("certificate_sha256") != self.signer.keys.certificate_sha256

    def _sign(self, dream: Derivation, item: Item, inputs: Sequence[Item]) -> Derivation | None:
        """The dream with its file signed; None where its row was changed meanwhile.

        Raises:
            StoreCorrupt: Its file or its original is missing or damaged.
            ValueError: The file cannot be rewritten or signed, or has no room for the record.
        """
        before = self.store.read(dream.blob_sha256)
        manifest = self._manifest(dream)
        read = Manifest.read(manifest)
        image_format = read.output.format
        limit = JPEG_MAX_PACKET_BYTES if image_format == "JPEG" else None
        unsigned = with_packet(before, write_xmp(manifest, max_bytes=limit))
        data = self.signer.sign(
            unsigned,
            media_type=MEDIA_TYPES[image_format],
            manifest=manifest,
            ingredients=ingredients_of(manifest, item, inputs, store=self.store),
        )
        if pixel_sha256(decode(data, limits=STORED_LIMITS).rgb) != read.output.pixel_sha256:
            raise ValueError("the signed file does not show the pixels on record")
        sha256 = self.store.put(data)
        with self.catalog.write() as uow:
            uow.blobs.add(sha256, size_bytes=len(data), media_type=MEDIA_TYPES[image_format])
            replaced = uow.derivations.replace_file(
                dream.id,
                former_sha256=dream.blob_sha256,
                blob_sha256=sha256,
                manifest=manifest,
                manifest_sha256=manifest_sha256(manifest),
            )
            return uow.derivations.get(dream.id) if replaced else None

    def _manifest(self, dream: Derivation) -> dict[str, Any]:
        earlier = [*earlier_files(dream.manifest), dream.blob_sha256][-_MOST_EARLIER:]
        signature = {
            **self.signer.identity,
            "signed_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "earlier_files": earlier,
        }
        return {**json.loads(json.dumps(dict(dream.manifest))), "signature": signature}

    def _bring_copy(self, dream: Derivation) -> None:
        try:
            if not bring_copy(dream, store=self.store, dreams_folder=self.dreams):
                self.changed_copies.append(dream.file_name)
        except StoreCorrupt as problem:
            self.failed.append((dream.id, " ".join(str(problem).split())))


def bring_copy(dream: Derivation, *, store: Store, dreams_folder: Path) -> bool:
    """Make the copy and the sidecar as the row has them; False when somebody has changed the copy, which then stays.

    Raises:
        StoreCorrupt: The dream's file is missing or damaged.
        WorkspaceUnusable: The folder cannot be written.
    """
    earlier = earlier_files(dream.manifest)
    copy = dreams_folder / dream.file_name
    sidecar = sidecar_path(copy)
    if _is_former(copy, earlier):
        write_whole(copy, store.read(dream.blob_sha256))
    is_ours = _digest(copy) in {None, dream.blob_sha256}
    if _is_former_sidecar(sidecar, earlier):
        text = json.dumps(sidecar_of(dream), ensure_ascii=False, indent=2) + "\n"
        write_whole(sidecar, text.encode("utf-8"))
    restore_copy(dream, store, dreams_folder)
    return is_ours


def _inputs(dream: Derivation | None) -> list[str]:
    return [str(each.get("pixel_sha256")) for each in inputs_on_record(dream.manifest)] if dream is not None else []


def _digest(path: Path) -> str | None:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return None


def _is_former(copy: Path, earlier: Sequence[str]) -> bool:
    return bool(earlier) and _digest(copy) in earlier


def _is_former_sidecar(sidecar: Path, earlier: Sequence[str]) -> bool:
    try:
        return read_sidecar(sidecar.read_bytes()).get("sha256") in earlier
    except (OSError, NotJson):
        return False

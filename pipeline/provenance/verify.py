"""Verification: every digest is computed again from the files, and whatever differs is named with its file.

It finds damage and careless changes. Digests are no signature: who can rewrite the catalog and every file can also make
new ones that agree. What was signed as well (C2PA) cannot be made anew without the key.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Derivation, Item, ItemFilter
from pipeline.errors import NotFound
from pipeline.provenance.checks import (
    Checks,
    check_copy,
    check_embedded,
    check_record_on_file,
    check_stored,
    tell_withdrawal,
)
from pipeline.provenance.copies import sidecar_path
from pipeline.provenance.credential_checks import NOBODY, Trust, check_credentials, signature_on_record, tell_carried
from pipeline.provenance.files import verify_file
from pipeline.records import Check, VerifyReport
from pipeline.store import Store

__all__ = ["verify_all", "verify_derivation", "verify_file", "verify_item"]

REMOVED = "removed after a withdrawal"
_EVERY_ITEM = ItemFilter(near_duplicates=True)


def verify_item(item_id: int, *, catalog: Catalog, store: Store, trust: Trust = NOBODY) -> VerifyReport:
    """Check the stored originals of one item: bytes, and the pixels they decode to; and tell what they came with.

    Raises:
        NotFound: There is no such item.
    """
    return VerifyReport(tuple(_item_checks(item_id, catalog, store=store, trust=trust)))


def verify_derivation(
    derivation_id: int, *, catalog: Catalog, store: Store, dreams_folder: Path | None = None, trust: Trust = NOBODY
) -> VerifyReport:
    """Check one dream: its source, stored bytes, pixels, manifest, embedded record, signature, copy and sidecar.

    dreams_folder: where the copy lies; None leaves copy and sidecar out.

    Raises:
        NotFound: There is no such dream.
    """
    with catalog.read() as uow:
        derivation = uow.derivations.get(derivation_id)
        if derivation is None:
            raise NotFound(f"there is no dream d{derivation_id}; `dreamcrawl browse` shows those there are")
        item = uow.items.get(derivation.item_id)
    source = _item_checks(derivation.item_id, catalog, store=store, trust=trust)
    own = _derivation_checks(derivation, item, catalog=catalog, store=store, dreams_folder=dreams_folder, trust=trust)
    return VerifyReport((*source, *own))


def verify_all(
    *,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path | None = None,
    trust: Trust = NOBODY,
    on_progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check every item and every dream of the catalog.

    on_progress: called with how many are done, of how many.
    """
    with catalog.read() as uow:
        item_ids = [item.id for item in uow.items.list(_EVERY_ITEM, limit=None)]
        derivation_ids = uow.derivations.all_ids()
    total = len(item_ids) + len(derivation_ids)
    checks: list[Check] = []
    for done, item_id in enumerate(item_ids, start=1):
        checks += _item_checks(item_id, catalog, store=store, trust=trust)
        if on_progress is not None:
            on_progress(done, total)
    for done, derivation_id in enumerate(derivation_ids, start=len(item_ids) + 1):
        with catalog.read() as uow:
            derivation = uow.derivations.get(derivation_id)
            item = uow.items.get(derivation.item_id) if derivation else None
        if derivation is not None:
            checks += _derivation_checks(
                derivation, item, catalog=catalog, store=store, dreams_folder=dreams_folder, trust=trust
            )
        if on_progress is not None:
            on_progress(done, total)
    return VerifyReport(tuple(checks))


def _item_checks(item_id: int, catalog: Catalog, *, store: Store, trust: Trust) -> list[Check]:
    with catalog.read() as uow:
        item = uow.items.get(item_id)
        if item is None:
            raise NotFound(f"there is no item i{item_id}; `dreamcrawl items` lists them")
        sightings = uow.sightings.of_item(item_id)
        # The same pixels may have been met in several files; each was kept.
        digests = dict.fromkeys((item.blob_sha256, *(each.blob_sha256 for each in sightings)))
        removed = uow.blobs.removed(list(digests))
    checks = Checks(f"i{item_id}")
    tell_withdrawal(checks, item)
    for sha256 in digests:
        if sha256 in removed and not store.has(sha256):
            checks.holds("stored bytes", found=REMOVED)
            continue
        data = check_stored(checks, sha256, pixels=item.pixel_sha256, store=store)
        if data is not None:
            tell_carried(checks, data, trust=trust)
    return checks.done


def _derivation_checks(
    derivation: Derivation,
    item: Item | None,
    *,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path | None,
    trust: Trust,
) -> list[Check]:
    checks = Checks(f"d{derivation.id}")
    with catalog.read() as uow:
        removed = uow.blobs.removed([derivation.blob_sha256])
    if removed and not store.has(derivation.blob_sha256):  # and with it its copy, and the right to look at it
        checks.holds("stored bytes", found=REMOVED)
        check_record_on_file(checks, derivation)
        return checks.done
    data = check_stored(checks, derivation.blob_sha256, pixels=derivation.pixel_sha256, store=store)
    check_record_on_file(checks, derivation)
    _check_source(checks, derivation, item)
    if data is not None:
        path = store.path(derivation.blob_sha256)
        check_embedded(checks, data, derivation=derivation, path=path)
        signature = signature_on_record(derivation.manifest)
        if signature is not None or trust.required:
            check_credentials(checks, data, expected=signature, trust=trust, path=path)
    if dreams_folder is not None:
        copy = dreams_folder / derivation.file_name
        check_copy(checks, derivation, copy=copy, sidecar=sidecar_path(copy))
    return checks.done


def _check_source(checks: Checks, derivation: Derivation, item: Item | None) -> None:
    """The manifest's source is the item that the row points at."""
    source = derivation.manifest.get("source")
    if item is None or not isinstance(source, dict):
        checks.fails("source", expected=f"i{derivation.item_id}", found="nothing on record")
        return
    for name, expected in (("sha256", item.blob_sha256), ("pixel_sha256", item.pixel_sha256)):
        if source.get(name) != expected:
            checks.fails("source", expected=expected, found=str(source.get(name)))
            return
    checks.holds("source", found=f"i{item.id}")

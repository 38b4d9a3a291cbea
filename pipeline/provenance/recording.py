"""Puts finished dreams on record: the file first, then the row; and finds those again whose row was never written.

Before its file comes, a dream is announced in the store under its derivation key. Where its row cannot be written, as
on a full disk, or the process is killed before it, whoever dreams the same next finds the very file and records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Derivation, Item
from pipeline.errors import ImageRejected, StoreCorrupt, WorkspaceUnusable
from pipeline.fingerprints import pixel_sha256
from pipeline.formats import MEDIA_TYPES
from pipeline.images import decode
from pipeline.provenance.checks import digest_of
from pipeline.provenance.copies import SHORT_KEY, file_name_of
from pipeline.provenance.manifest import Manifest, manifest_sha256
from pipeline.provenance.preparation import STORED_LIMITS
from pipeline.provenance.xmp import read_xmp
from pipeline.store import Store


def record_dream(
    item: Item,
    manifest: Mapping[str, Any],
    *,
    data: bytes,
    seconds: float,
    run_id: int | None,
    catalog: Catalog,
    store: Store,
) -> tuple[Derivation, bool]:
    """Store a dream's file, then write its row; the row that stands, and whether its file is this one.

    Of two processes that made the same dream the first one's stands, and the other's file goes.

    Raises:
        WorkspaceUnusable: The disk is full or a folder cannot be written.
        CatalogBusy: Another process kept the catalog locked; the file stays, and is found by `adopt_dream`.
    """
    about = Manifest.read(manifest)
    key, sha256 = about.derivation_key, digest_of(data)
    store.announce(key, sha256)
    try:
        store.put(data)
    except WorkspaceUnusable:
        store.settle(key, sha256)  # there is nothing to be found
        raise
    with catalog.write() as uow:
        recorded = uow.derivations.by_key(key)
        if recorded is None:
            uow.blobs.add(sha256, size_bytes=len(data), media_type=MEDIA_TYPES[about.output.format])
            uow.derivations.add(
                key=key,
                item_id=item.id,
                run_id=run_id,
                preset=about.preset,
                network=about.network,
                recipe=about.recipe,
                recipe_sha256=about.recipe_sha256,
                weights_sha256=about.weights_sha256,
                blob_sha256=sha256,
                pixel_sha256=about.output.pixel_sha256,
                width=about.output.width,
                height=about.output.height,
                file_name=_file_name(uow, item, about),
                manifest=manifest,
                manifest_sha256=manifest_sha256(manifest),
                seconds=seconds,
            )
            recorded = uow.derivations.by_key(key)
        elif uow.blobs.get(sha256) is None:
            store.discard(sha256)  # while nobody else can write a row that names it
    assert recorded is not None  # added above
    store.settle(key, sha256)
    return recorded, recorded.blob_sha256 == sha256


def adopt_dream(key: str, item: Item, *, run_id: int | None, catalog: Catalog, store: Store) -> Derivation | None:
    """Record the dream of an item with this derivation key whose file was stored and never recorded, if there is one.

    Raises:
        WorkspaceUnusable: The disk is full or a folder cannot be written.
        CatalogBusy: Another process kept the catalog locked.
    """
    for sha256 in store.announced(key):
        try:
            data = store.read(sha256)
            manifest = _manifest_in(data, key=key, item=item)
        except (StoreCorrupt, ImageRejected, ValueError):
            continue  # not what it was announced as: `fsck --mend` takes it away
        spent = manifest["render"].get("seconds")
        seconds = float(spent) if isinstance(spent, int | float) else 0.0
        return record_dream(item, manifest, data=data, seconds=seconds, run_id=run_id, catalog=catalog, store=store)[0]
    return None


def _manifest_in(data: bytes, *, key: str, item: Item) -> dict[str, Any]:
    """The manifest inside the file of a dream, if it is that of this item with this key.

    Raises:
        ValueError: It is another one, or damaged.
        ImageRejected: The file cannot be decoded.
    """
    embedded = read_xmp(data)
    if embedded is None or embedded.manifest is None:
        raise ValueError("there is no record in the file")
    manifest = dict(embedded.manifest)
    about = Manifest.read(manifest)
    is_of_item = (about.item, about.source_sha256) == (f"i{item.id}", item.blob_sha256)
    if not (key == about.derivation_key == about.recomputed_key and is_of_item):
        raise ValueError("it is the record of another dream")
    if manifest_sha256(manifest) != embedded.manifest_sha256:
        raise ValueError("the record is damaged")
    if pixel_sha256(decode(data, limits=STORED_LIMITS).rgb) != about.output.pixel_sha256:
        raise ValueError("it does not show the picture on record")
    return manifest


def _file_name(uow: UnitOfWork, item: Item, about: Manifest) -> str:
    def name(part: str) -> str:
        return file_name_of(item.title, about.preset, item_id=item.id, key=part, image_format=about.output.format)

    key = about.derivation_key
    same_name = uow.derivations.by_file_name(name(key[:SHORT_KEY]))
    # Two keys that begin alike: as good as never, but a copy must not stand for two dreams.
    return name(key[:SHORT_KEY] if same_name is None or same_name.key == key else key)

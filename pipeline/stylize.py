"""Stylize: a dream of each item, made once, stored, recorded, and copied to the dreams folder. No TensorFlow here.

The order makes a killed run harmless: stored bytes first, then the row, then the copy for people, which is always made
from the row and is made again by the next run where it is missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Derivation, Item, Sighting
from pipeline.errors import ImageRejected, StoreCorrupt
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode, encode
from pipeline.provenance.canonical import clean_text
from pipeline.provenance.copies import SHORT_KEY, file_name_of, restore_copy, sweep
from pipeline.provenance.derivation import Renderer, RendererIdentity, RgbImage, derivation_key
from pipeline.provenance.manifest import Output, build_manifest, license_of, manifest_sha256, software_version
from pipeline.provenance.preparation import STORED_LIMITS, prepare
from pipeline.provenance.xmp import JPEG_MAX_PACKET_BYTES, write_xmp
from pipeline.records import StylizeReport
from pipeline.store import Store

__all__ = [
    "OutputFormat",
    "Renderer",
    "RendererIdentity",
    "RgbImage",
    "StylizeProgress",
    "derivation_key",
    "stylize_items",
]

OutputFormat = Literal["PNG", "JPEG"]

_MAX_LINE = 300
_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg"}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StylizeProgress:
    """How far stylizing has come.

    Attributes:
        index: Of the picture at hand, from 0.
        total: How many pictures were asked for.
        item_id: The picture at hand.
        fraction: Of this picture, 0-1.
        made: Dreams made so far.
        already: Found finished so far.
        failed: Could not be dreamed so far.
    """

    index: int
    total: int
    item_id: int
    fraction: float
    made: int
    already: int
    failed: int


def stylize_items(
    item_ids: Sequence[int],
    *,
    renderer: Renderer,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path,
    run_id: int | None,
    output_format: OutputFormat = "PNG",
    allow_no_derivatives: bool = False,
    on_progress: Callable[[StylizeProgress], None] | None = None,
) -> StylizeReport:
    """Dream on these items, each at most once; what is finished is found by its key and not rendered again.

    A picture that cannot be dreamed is in the report's `failed`, and the others go on. Items whose licence forbids
    adaptations are `skipped`, unless `allow_no_derivatives`: then their dreams are marked as private.

    Raises:
        WorkspaceUnusable: The disk is full or a folder cannot be written; what was made until then is kept.
        CatalogBusy: Another process kept the catalog locked for too long.
    """
    started = time.monotonic()
    sweep(dreams_folder)
    wanted = tuple(dict.fromkeys(item_ids))
    work = _Stylizing(
        renderer=renderer,
        catalog=catalog,
        store=store,
        dreams_folder=dreams_folder,
        run_id=run_id,
        output_format=output_format,
        allow_no_derivatives=allow_no_derivatives,
    )
    for index, item_id in enumerate(wanted):

        def report(fraction: float, *, index: int = index, item_id: int = item_id) -> None:
            if on_progress is not None:
                on_progress(work.progress(index, len(wanted), item_id=item_id, fraction=fraction))

        report(0.0)
        work.take(item_id, report)
        report(1.0)
    return StylizeReport(
        made=work.made,
        already=work.already,
        failed=tuple(work.failed),
        skipped=tuple(work.skipped),
        derivation_ids=tuple(work.derivation_ids),
        seconds=time.monotonic() - started,
    )


class _NotDreamed(Exception):
    """This picture could not be dreamed; the text is the line for the report."""


@dataclass
class _Stylizing:
    """One call of `stylize_items`: what it works with, and its counts so far."""

    renderer: Renderer
    catalog: Catalog
    store: Store
    dreams_folder: Path
    run_id: int | None
    output_format: OutputFormat
    allow_no_derivatives: bool
    made: int = 0
    already: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    derivation_ids: list[int] = field(default_factory=list)

    def progress(self, index: int, total: int, *, item_id: int, fraction: float) -> StylizeProgress:
        return StylizeProgress(
            index=index,
            total=total,
            item_id=item_id,
            fraction=min(1.0, max(0.0, fraction)),
            made=self.made,
            already=self.already,
            failed=len(self.failed),
        )

    def take(self, item_id: int, report: Callable[[float], None]) -> None:
        """Dream on one item, or note why not."""
        try:
            with self.catalog.read() as uow:
                item = _item(uow, item_id)
                sightings = uow.sightings.of_item(item_id)
                found = uow.derivations.by_key(derivation_key(item.pixel_sha256, self.renderer.identity))
            if found is None and (forbidden := self._forbidden(item)):
                self.skipped.append((item_id, forbidden))
                return
            derivation, is_new = (found, False) if found else self._make(item, sightings, report)
            restore_copy(derivation, self.store, self.dreams_folder)
        except (_NotDreamed, StoreCorrupt, ImageRejected) as problem:
            self.failed.append((item_id, _line(str(problem))))
            return
        self.made += is_new
        self.already += not is_new
        self.derivation_ids.append(derivation.id)

    def _forbidden(self, item: Item) -> str | None:
        license_ = license_of(item)
        if license_.permits_adaptation is not False or self.allow_no_derivatives:
            return None
        return f"{license_.name} does not permit adapted pictures"

    def _make(
        self, item: Item, sightings: Sequence[Sighting], report: Callable[[float], None]
    ) -> tuple[Derivation, bool]:
        """Render, store and record one dream; and whether it is ours, not that of a process that was faster."""
        identity = self.renderer.identity
        source = decode(self.store.read(item.blob_sha256), limits=STORED_LIMITS).rgb
        if pixel_sha256(source) != item.pixel_sha256:
            raise _NotDreamed(
                f"the original of i{item.id} is whole, but this version of Pillow decodes it to other pixels than "
                "those on record"
            )
        prepared, preparation = prepare(source, identity.max_side)
        before = time.monotonic()
        pixels, facts = self._render(prepared, report)
        seconds = time.monotonic() - before
        output = self._output(pixels)
        try:
            manifest = build_manifest(
                item,
                sightings,
                identity=identity,
                facts=facts,
                preparation=preparation,
                output=output,
                created_at=datetime.now(UTC),
                software_version=software_version(),
            )
            xmp = write_xmp(manifest, max_bytes=JPEG_MAX_PACKET_BYTES if output.format == "JPEG" else None)
        except (TypeError, ValueError) as error:  # a renderer's facts may be anything
            raise _NotDreamed(str(error)) from error
        data = encode(pixels, format=self.output_format, xmp=xmp)
        if pixel_sha256(_decoded(data)) != output.pixel_sha256:
            raise _NotDreamed("the encoded picture does not decode to the pixels that were rendered")
        return self._record(item, manifest, data=data, output=output, seconds=seconds)

    def _output(self, pixels: RgbImage) -> Output:
        """What the file will show. For JPEG that is known only once encoded; the record inside does not matter."""
        shown = pixels if self.output_format == "PNG" else _decoded(encode(pixels, format=self.output_format))
        return Output(
            format=self.output_format,
            width=pixels.shape[1],
            height=pixels.shape[0],
            pixel_sha256=pixel_sha256(shown),
            rendered_pixel_sha256=pixel_sha256(pixels),
        )

    def _render(self, prepared: RgbImage, report: Callable[[float], None]) -> tuple[RgbImage, Mapping[str, Any]]:
        try:
            result, facts = self.renderer.render(prepared, report)
            pixels = np.asarray(result)
        except Exception as error:  # whatever a renderer raises for one picture, the others go on
            _logger.debug("a renderer failed", exc_info=True)
            raise _NotDreamed(f"{type(error).__name__}: {error}") from error
        if pixels.dtype != np.uint8 or pixels.shape != prepared.shape:
            raise _NotDreamed(
                f"the renderer gave {pixels.dtype} of shape {pixels.shape}, expected uint8 of shape {prepared.shape}"
            )
        return pixels, facts

    def _record(
        self, item: Item, manifest: dict[str, Any], *, data: bytes, output: Output, seconds: float
    ) -> tuple[Derivation, bool]:
        """Store the file, then write the row; gives the row that stands, and whether it is this one."""
        identity = self.renderer.identity
        blob_sha256 = self.store.put(data)
        key = manifest["derivation_key"]
        with self.catalog.write() as uow:
            uow.blobs.add(blob_sha256, size_bytes=len(data), media_type=_MEDIA_TYPES[output.format])
            uow.derivations.add(
                key=key,
                item_id=item.id,
                run_id=self.run_id,
                preset=identity.preset,
                network=identity.network,
                recipe=manifest["recipe"],
                recipe_sha256=identity.recipe_sha256,
                weights_sha256=identity.weights_sha256,
                blob_sha256=blob_sha256,
                pixel_sha256=output.pixel_sha256,
                width=output.width,
                height=output.height,
                file_name=_file_name(uow, item, identity=identity, key=key, image_format=output.format),
                manifest=manifest,
                manifest_sha256=manifest_sha256(manifest),
                seconds=seconds,
            )
            recorded = uow.derivations.by_key(key)
        assert recorded is not None  # added above
        return recorded, recorded.blob_sha256 == blob_sha256


def _item(uow: UnitOfWork, item_id: int) -> Item:
    item = uow.items.get(item_id)
    if item is None:
        raise _NotDreamed(f"there is no item i{item_id}")
    return item


def _file_name(uow: UnitOfWork, item: Item, *, identity: RendererIdentity, key: str, image_format: str) -> str:
    def name(part: str) -> str:
        return file_name_of(item.title, identity.preset, item_id=item.id, key=part, image_format=image_format)

    same_name = uow.derivations.by_file_name(name(key[:SHORT_KEY]))
    # Two keys that begin alike: as good as never, but a copy must not stand for two dreams.
    return name(key[:SHORT_KEY] if same_name is None or same_name.key == key else key)


def _decoded(data: bytes) -> RgbImage:
    return decode(data, limits=STORED_LIMITS).rgb


def _line(text: str) -> str:
    line = " ".join(clean_text(text).split()) or "no reason was given"
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "\u2026"

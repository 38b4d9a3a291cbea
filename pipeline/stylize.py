"""Stylize: a dream of each item, made once, stored, recorded, and copied to the dreams folder. No TensorFlow here.

The order makes a killed run harmless: stored bytes first, then the row, then the copy for people, which is always made
from the row and is made again by the next run where it is missing. Bytes that are stored and have no row are found by
the next run, too, which records them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Derivation, Item, Sighting
from pipeline.errors import ImageRejected, Objection, StoreCorrupt
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode, fitted_size
from pipeline.provenance.canonical import clean_text
from pipeline.provenance.copies import restore_copy, sweep
from pipeline.provenance.derivation import (
    Renderer,
    RendererIdentity,
    RenderOutcome,
    RenderProgress,
    RenderRequest,
    RgbImage,
    derivation_key,
)
from pipeline.provenance.dream_files import OutputFormat, dream_file, ingredients_of, output_of
from pipeline.provenance.manifest import Preparation, build_manifest, software_version
from pipeline.provenance.permission import (
    Permission,
    Refusal,
    parts_of,
    permission_to_dream,
    permitted_copy,
    stands_in_for,
)
from pipeline.provenance.preparation import STORED_LIMITS, prepare
from pipeline.provenance.recording import adopt_dream, record_dream
from pipeline.records import StylizeProgress, StylizeReport
from pipeline.store import Store

if TYPE_CHECKING:
    from pipeline.provenance.c2pa import C2paSigner

__all__ = [
    "OutputFormat",
    "RenderOutcome",
    "RenderProgress",
    "RenderRequest",
    "Renderer",
    "RendererIdentity",
    "RgbImage",
    "StylizeProgress",
    "derivation_key",
    "sizes_to_render",
    "stylize_items",
]

_MAX_LINE = 300
_MOST_WAITING = 2
_logger = logging.getLogger(__name__)


def stylize_items(
    item_ids: Sequence[int],
    *,
    renderer: Renderer,
    catalog: Catalog,
    store: Store,
    dreams_folder: Path,
    run_id: int | None,
    output_format: OutputFormat = "PNG",
    signer: C2paSigner | None = None,
    responsibility: str = "",
    on_progress: Callable[[StylizeProgress], None] | None = None,
) -> StylizeReport:
    """Dream on these items, each at most once; what is finished is found by its key and not rendered again.

    A picture that cannot be dreamed is in the report's `failed`, and the others go on. Items that may not be adapted
    (`permission_to_dream`) are `skipped`, unless the user takes responsibility in words, which their private dreams
    then carry. Those that were withdrawn are skipped always. A near duplicate whose representative may not be dreamed
    on is named among the `stand_ins`. Files are signed by the `signer`, if there is one, as they
    are made. While one picture is rendered, the last one is encoded and recorded.

    Raises:
        WorkspaceUnusable: The disk is full or a folder cannot be written; what was made until then is kept.
        CatalogBusy: Another process kept the catalog locked for too long.
        Exception: What the renderer raises where it cannot render at all, such as weights that cannot be had.
    """
    started = time.monotonic()
    sweep(dreams_folder)
    work = _Stylizing(
        renderer=renderer,
        catalog=catalog,
        store=store,
        dreams_folder=dreams_folder,
        run_id=run_id,
        output_format=output_format,
        signer=signer,
        responsibility=responsibility,
        total=len(set(item_ids)),
        on_progress=on_progress,
    )
    with catalog.read() as uow:
        work.inputs = inputs_of_look(uow, renderer.identity)
        work.input_sightings = {each.id: uow.sightings.of_item(each.id) for each in work.inputs}
    jobs = [job for item_id in dict.fromkeys(item_ids) if (job := work.take(item_id)) is not None]
    work.render(jobs)
    return StylizeReport(
        made=work.made,
        already=work.already,
        failed=tuple(work.failed),
        skipped=tuple(work.skipped),
        skip_reasons=dict(work.skip_reasons),
        stand_ins=tuple(work.stand_ins),
        derivation_ids=tuple(
            work.derivation_ids[item_id] for item_id in dict.fromkeys(item_ids) if item_id in work.derivation_ids
        ),
        seconds=time.monotonic() - started,
    )


def sizes_to_render(
    item_ids: Sequence[int], *, identity: RendererIdentity, catalog: Catalog, responsibility: str = ""
) -> tuple[tuple[int, int], ...]:
    """(height, width) of the renderer's input for each of these items that has no such dream and may have one."""
    sizes = []
    with catalog.read() as uow:
        inputs = inputs_of_look(uow, identity)
        for item_id in dict.fromkeys(item_ids):
            item = uow.items.get(item_id)
            if item is None or any(each.withdrawn_at is not None for each in (item, *inputs)):
                continue
            if isinstance(permission_to_dream(parts_of(uow, (item, *inputs)), responsibility), Refusal):
                continue
            if uow.derivations.by_key(derivation_key(item.pixel_sha256, identity)) is None:
                sizes.append(fitted_size(item.height, item.width, identity.max_side))
    return tuple(sizes)


def inputs_of_look(uow: UnitOfWork, identity: RendererIdentity) -> tuple[Item, ...]:
    """The items that a recipe has as guides or masks."""
    found = (uow.items.by_pixel_sha256(digest) for digest in identity.pictures)
    return tuple(item for item in found if item is not None)


class _NotDreamed(Exception):
    """This picture could not be dreamed; the text is the line for the report."""


@dataclass
class _Job:
    """A dream to be made."""

    key: str
    item: Item
    sightings: Sequence[Sighting]
    size: tuple[int, int]
    permission: Permission
    preparation: Preparation | None = None
    asked_at: float = field(default_factory=time.monotonic)


@dataclass
class _Stylizing:
    """One call of `stylize_items`: what it works with, and its counts so far."""

    renderer: Renderer
    catalog: Catalog
    store: Store
    dreams_folder: Path
    run_id: int | None
    output_format: OutputFormat
    signer: C2paSigner | None
    responsibility: str
    total: int
    on_progress: Callable[[StylizeProgress], None] | None
    to_render: int = 0
    made: int = 0
    already: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    skip_reasons: Counter[str] = field(default_factory=Counter)
    derivation_ids: dict[int, int] = field(default_factory=dict)
    inputs: tuple[Item, ...] = ()
    input_sightings: Mapping[int, Sequence[Sighting]] = field(default_factory=dict)
    stand_ins: list[tuple[int, str]] = field(default_factory=list)

    def take(self, item_id: int) -> _Job | None:
        """The dream that is to be made of one item; None where there is one, or may not or cannot be one."""
        try:
            with self.catalog.read() as uow:
                item = _item(uow, item_id)
                sightings = uow.sightings.of_item(item_id)
                key = derivation_key(item.pixel_sha256, self.renderer.identity)
                found = uow.derivations.by_key(key)
                allowed = permission_to_dream(parts_of(uow, (item, *self.inputs)), self.responsibility)
                refused = isinstance(allowed, Refusal)
                copy = permitted_copy(uow, item, self.inputs) if refused else ""
                instead = "" if refused else stands_in_for(uow, item, self.inputs)
            if withdrawn := next((each for each in (item, *self.inputs) if each.withdrawn_at is not None), None):
                whose = "" if withdrawn is item else f"i{withdrawn.id}, a guide or mask, was "
                self._skip(item_id, Objection.WITHDRAWN, f"{whose}withdrawn: {withdrawn.withdrawn_reason}")
                return None
            if found is None:
                if isinstance(allowed, Refusal):
                    self._skip(item_id, allowed.objection, allowed.line + copy)
                    return None
                found = adopt_dream(key, item, run_id=self.run_id, catalog=self.catalog, store=self.store)
                if found is None:
                    if instead:
                        self.stand_ins.append((item_id, instead))
                    size = fitted_size(item.height, item.width, self.renderer.identity.max_side)
                    return _Job(key, item, sightings, size, allowed)
            restore_copy(found, self.store, self.dreams_folder)
        except (_NotDreamed, StoreCorrupt, ImageRejected) as problem:
            self.failed.append((item_id, _line(str(problem))))
            return None
        self.already += 1
        self.derivation_ids[item_id] = found.id
        self.renderer.forget(key)
        self._tell(0.0, None, item_id=item_id)
        return None

    def render(self, jobs: Sequence[_Job]) -> None:
        """Makes the dreams, and records each while the next one is being rendered."""
        if not jobs:
            return
        by_key = {job.key: job for job in jobs}
        requests = [RenderRequest(job.key, job.size, partial(self._load, job)) for job in jobs]

        def report(progress: RenderProgress) -> None:
            self._tell(progress.done, progress.seconds_left, item_id=by_key[progress.key].item.id)

        self.to_render = len(jobs)
        self._tell(0.0, None, item_id=jobs[0].item.id)
        # One thread, so that rows come one after the other; at most two rendered pictures wait for it.
        with ThreadPoolExecutor(1, thread_name_prefix="record") as recorder:
            waiting: deque[Future[None]] = deque()
            try:
                for outcome in self.renderer.render_all(requests, report):
                    waiting.append(recorder.submit(self._finish, by_key[outcome.key], outcome))
                    if len(waiting) > _MOST_WAITING:
                        waiting.popleft().result()
                for future in waiting:
                    future.result()
            except BaseException:
                # What waits is whole and may be recorded; what it raises is no news beside the error at hand.
                recorder.shutdown(wait=True)
                raise
        self._tell(1.0, 0.0, item_id=jobs[-1].item.id)

    def _tell(self, done: float, seconds_left: float | None, *, item_id: int) -> None:
        """done: 0-1, of the pictures to be rendered."""
        if self.on_progress is None:
            return
        settled = self.total - self.to_render if self.to_render else self.already
        self.on_progress(
            StylizeProgress(
                done=(settled + min(1.0, max(0.0, done)) * self.to_render) / self.total,
                seconds_left=seconds_left,
                total=self.total,
                item_id=item_id,
                made=self.made,
                already=self.already,
                failed=len(self.failed),
            )
        )

    def _skip(self, item_id: int, objection: Objection, line: str) -> None:
        self.skipped.append((item_id, _line(line)))
        self.skip_reasons[objection.value] += 1

    def _load(self, job: _Job) -> RgbImage:
        """The renderer's input; called by it, perhaps on another thread."""
        item = job.item
        source = decode(self.store.read(item.blob_sha256), limits=STORED_LIMITS).rgb
        if pixel_sha256(source) != item.pixel_sha256:
            raise _NotDreamed(
                f"the original of i{item.id} is whole, but this version of Pillow decodes it to other pixels than "
                "those on record"
            )
        prepared, job.preparation = prepare(source, self.renderer.identity.max_side)
        return prepared

    def _finish(self, job: _Job, outcome: RenderOutcome) -> None:
        """Encode, store and record one dream, or note why there is none."""
        try:
            pixels, facts = self._rendered(job, outcome)
            derivation, is_new = self._make(job, pixels, facts)
            restore_copy(derivation, self.store, self.dreams_folder)
        except (_NotDreamed, StoreCorrupt, ImageRejected) as problem:
            self.failed.append((job.item.id, _line(str(problem))))
            return
        self.made += is_new
        self.already += not is_new
        self.derivation_ids[job.item.id] = derivation.id
        self.renderer.forget(job.key)

    def _rendered(self, job: _Job, outcome: RenderOutcome) -> tuple[RgbImage, Mapping[str, Any]]:
        if isinstance(outcome.error, _NotDreamed | StoreCorrupt | ImageRejected):
            raise outcome.error
        if outcome.error is not None or outcome.image is None or outcome.facts is None:
            error = outcome.error or RuntimeError("the renderer gave no picture")
            _logger.debug("a renderer failed", exc_info=error)
            raise _NotDreamed(f"{type(error).__name__}: {error}") from error
        pixels = np.asarray(outcome.image)
        if pixels.dtype != np.uint8 or pixels.shape != (*job.size, 3):
            raise _NotDreamed(
                f"the renderer gave {pixels.dtype} of shape {pixels.shape}, expected uint8 of shape {(*job.size, 3)}"
            )
        return pixels, outcome.facts

    def _make(self, job: _Job, pixels: RgbImage, facts: Mapping[str, Any]) -> tuple[Derivation, bool]:
        """Record one dream; and whether it is ours, not that of a process that was faster."""
        if job.preparation is None:
            raise _NotDreamed("the renderer did not ask for the picture")
        try:
            output = output_of(pixels, self.output_format)
            manifest = build_manifest(
                job.item,
                job.sightings,
                identity=self.renderer.identity,
                facts=facts,
                preparation=job.preparation,
                output=output,
                created_at=datetime.now(UTC),
                software_version=software_version(),
                inputs=self.inputs,
                input_sightings=self.input_sightings,
                permission=job.permission,
                signature=self.signer.identity if self.signer else None,
            )
            ingredients = ingredients_of(manifest, job.item, self.inputs, store=self.store) if self.signer else []
            data = dream_file(
                pixels, manifest, image_format=self.output_format, signer=self.signer, ingredients=ingredients
            )
        except (TypeError, ValueError) as error:  # a renderer's facts may be anything
            raise _NotDreamed(str(error)) from error
        spent = facts.get("seconds")
        seconds = float(spent) if isinstance(spent, int | float) else time.monotonic() - job.asked_at
        return record_dream(
            job.item,
            manifest,
            data=data,
            seconds=seconds,
            run_id=self.run_id,
            catalog=self.catalog,
            store=self.store,
        )


def _item(uow: UnitOfWork, item_id: int) -> Item:
    item = uow.items.get(item_id)
    if item is None:
        raise _NotDreamed(f"there is no item i{item_id}")
    return item


def _line(text: str) -> str:
    line = " ".join(clean_text(text).split()) or "no reason was given"
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "\u2026"

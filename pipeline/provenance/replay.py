"""Replay: make a dream again from its record, and say how near the new picture is and what differs around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Derivation, Item
from pipeline.errors import NotFound, StoreCorrupt, UsageError, Withdrawn
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode, encode
from pipeline.provenance.attribution import inputs_on_record
from pipeline.provenance.copies import write_whole
from pipeline.provenance.credential_checks import signature_on_record
from pipeline.provenance.derivation import Renderer, RendererFactory, RgbImage, render_one
from pipeline.provenance.manifest import (
    ENVIRONMENT_FACTS,
    REQUIRED_FACTS,
    SOFTWARE,
    Manifest,
    digital_source_type,
    software_version,
)
from pipeline.provenance.preparation import STORED_LIMITS, prepare
from pipeline.provenance.restoring import restore_dream
from pipeline.provenance.xmp import attribution, write_credit_xmp
from pipeline.store import Store

if TYPE_CHECKING:
    from pipeline.provenance.c2pa import C2paSigner

# Gradient ascent is chaotic: one changed rounding grows until, measured over full runs, the results lie 36 to 42 dB
# apart and still look the same. Below that something else than rounding has changed.
TOLERANCE_PSNR_DB = 36.0

# The rest of the facts, such as times and the objective's values, differs with every other rounding.
_COMPARED_FACTS = (*REQUIRED_FACTS, *ENVIRONMENT_FACTS)
_ABSENT = "absent"


@dataclass(frozen=True)
class ReplayReport:
    """How a dream made again compares with the one on record.

    Attributes:
        identical: Whether every rendered pixel is equal.
        psnr_db: Peak signal-to-noise ratio in dB between the stored picture and the new one in the same file format;
            None when these are equal, or differ in size.
        differing_pixels: Pixels with a difference in any channel, in the same comparison.
        environment_differences: (field, recorded, now) for each version, device, switch or plan that is another now.
        source_ok: Whether the original still decodes to the pixels on record.
        picture_ok: Whether the dream's file still shows the pixels on record.
        written_to: Where the new picture was kept, if it was.
        was_missing: Whether the dream's file was not in the store, so that only rendered pixels could be compared.
        put_back: As what the missing file is in the store again; None where it is not.
    """

    identical: bool
    psnr_db: float | None
    differing_pixels: int
    environment_differences: tuple[tuple[str, str, str], ...] = ()
    source_ok: bool = True
    picture_ok: bool = True
    written_to: str | None = None
    was_missing: bool = False
    put_back: str | None = None

    @property
    def verdict(self) -> Literal["identical", "within tolerance", "different"]:
        """`within tolerance` only where the surroundings differ: in the same ones a replay must give equal pixels."""
        if self.identical:
            return "identical"
        if self.was_missing:  # how near it is nobody can tell
            return "different"
        near = self.differing_pixels == 0 or (self.psnr_db is not None and self.psnr_db >= TOLERANCE_PSNR_DB)
        return "within tolerance" if near and self.environment_differences else "different"


def replay_derivation(
    derivation_id: int,
    *,
    catalog: Catalog,
    store: Store,
    make_renderer: RendererFactory,
    dreams_folder: Path | None = None,
    make_signer: Callable[[], C2paSigner | None] = lambda: None,
    write_to: Path | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> ReplayReport:
    """Make a dream again from the record and the stored original, and compare.

    Nothing stored is changed, but that a file that is missing there is put back, if the pixels are those on record.

    dreams_folder: where copies for people lie; None to put nothing back.
    make_signer: gives what signs a file that is put back.
    write_to: a new `.png` file for the new picture, with attribution and without a record inside.
    on_progress: called with the fraction done, 0-1.

    Raises:
        NotFound: There is no such dream, or the network here has other weights than those on record.
        Withdrawn: The original was removed after a withdrawal.
        StoreCorrupt: The original, the dream or its record is damaged; `verify` names the value.
        UsageError: `write_to` is no `.png`, or is there.
        WorkspaceUnusable: `write_to` cannot be written.
        Exception: Whatever `make_renderer` and the renderer raise.
    """
    derivation, item, manifest = _on_record(derivation_id, catalog)
    with catalog.read() as uow:
        removed = uow.blobs.removed([item.blob_sha256])
        inputs = [uow.items.by_pixel_sha256(str(each.get("pixel_sha256"))) for each in inputs_on_record(manifest.raw)]
        is_withdrawn = item.withdrawn_at is not None or bool(uow.derivations.withdrawn_inputs(derivation.id))
    if removed and not store.has(item.blob_sha256):
        raise Withdrawn(
            f"the original of d{derivation.id}, i{item.id}, was removed after a withdrawal: it cannot be made again"
        )
    is_missing = not store.has(derivation.blob_sha256)
    put_back: list[str] = []

    def keep(pixels: RgbImage) -> None:
        if dreams_folder is None or None in inputs:
            return
        made_of = [each for each in inputs if each is not None]
        put_back.append(
            restore_dream(
                derivation,
                item,
                made_of,
                pixels=pixels,
                catalog=catalog,
                store=store,
                dreams_folder=dreams_folder,
                signer=make_signer() if signature_on_record(manifest.raw) is not None else None,
            )
        )

    report = replay_record(
        manifest,
        source=_decoded(store.read(item.blob_sha256)),
        recorded=None if is_missing else _decoded(store.read(derivation.blob_sha256)),
        named=f"d{derivation.id}",
        make_renderer=make_renderer,
        write_to=write_to,
        on_progress=on_progress,
        on_identical=keep if is_missing and not is_withdrawn else _ignore_pixels,
    )
    return replace(report, was_missing=is_missing, put_back=next(iter(put_back), None))


def replay_record(
    manifest: Manifest,
    *,
    source: RgbImage,
    recorded: RgbImage | None,
    named: str,
    make_renderer: RendererFactory,
    write_to: Path | None = None,
    on_progress: Callable[[float], None] | None = None,
    on_identical: Callable[[RgbImage], None] = lambda _pixels: None,
) -> ReplayReport:
    """Make the dream of a record again, wherever that came from, and compare.

    source: the original's pixels.
    recorded: the dream's pixels, as its file shows them; None where there is no file, and nothing to compare with.
    named: what errors call the dream.
    on_identical: called with the pixels if they are those on record.

    Raises:
        NotFound: The network here has other weights than those on record.
        UsageError: `write_to` is no `.png`, or is there.
        WorkspaceUnusable: `write_to` cannot be written.
        Exception: Whatever `make_renderer` and the renderer raise.
    """
    if write_to is not None and write_to.suffix.lower() != ".png":
        raise UsageError(f"a replay is written as PNG, which keeps every pixel: {write_to} should end in .png")
    if write_to is not None and (write_to.exists() or write_to.is_symlink()):
        raise UsageError(f"{write_to} is there already; name a file that does not exist")
    renderer = make_renderer(dict(manifest.recipe), manifest.network, manifest.max_side, manifest.profile)
    _check_weights(named, manifest, renderer=renderer)
    prepared, preparation = prepare(source, manifest.max_side)
    # Under a key of its own: what another process keeps of the same dream is not to be taken up or removed.
    key = f"replay-{manifest.derivation_key}"
    pixels, facts = render_one(renderer, prepared, key=key, on_progress=on_progress or _ignore)
    renderer.forget(key)
    differences = _environment_differences(manifest, facts, renderer=renderer)
    if preparation.pixel_sha256 != manifest.prepared_pixel_sha256:
        differences = (
            *differences,
            ("preparation.pixel_sha256", manifest.prepared_pixel_sha256, preparation.pixel_sha256),
        )
    differences = (*differences, *_version_differences(manifest, preparation.versions))
    if write_to is not None:
        write_whole(write_to, encode(pixels, format="PNG", xmp=_credit(manifest)))
    identical = pixel_sha256(pixels) == manifest.output.rendered_pixel_sha256
    if identical:
        on_identical(pixels)
    psnr_db, differing_pixels = (
        compare(recorded, _as_stored(pixels, manifest.output.format)) if recorded is not None else (None, 0)
    )
    return ReplayReport(
        identical=identical,
        psnr_db=psnr_db,
        differing_pixels=differing_pixels,
        environment_differences=differences,
        source_ok=pixel_sha256(source) == manifest.source_pixel_sha256,
        picture_ok=recorded is None or pixel_sha256(recorded) == manifest.output.pixel_sha256,
        written_to=str(write_to) if write_to is not None else None,
    )


def _credit(manifest: Manifest) -> bytes:
    """What the picture made again says of itself; the record may come from anyone."""
    try:
        line = attribution(manifest.raw)
    except (LookupError, TypeError, AttributeError, ValueError):
        line = "Altered by a neural network; its record does not say of what."
    return write_credit_xmp(
        [line],
        made=f"The dream {manifest.derivation_key} made again from its record, to be compared with it.",
        source_type=digital_source_type(manifest.raw),
        software=f"{SOFTWARE} {software_version()}",
    )


def compare(recorded: RgbImage, replayed: RgbImage) -> tuple[float | None, int]:
    """(PSNR in dB, number of differing pixels) of two pictures.

    PSNR = 10 log10(255^2 / MSE), with MSE the mean over all pixels and channels of the squared difference.
    For equal pictures it would be infinite and is None; for pictures of different size it is None as well, and every
    pixel of the larger one counts as differing.
    """
    if recorded.shape != replayed.shape:
        return None, max(shape[0] * shape[1] for shape in (recorded.shape, replayed.shape))
    difference = recorded.astype(np.int32) - replayed.astype(np.int32)
    differing = int(np.count_nonzero(difference.any(axis=-1)))
    if differing == 0:
        return None, 0
    return 10 * math.log10(255**2 / float(np.mean(np.square(difference)))), differing


def _on_record(derivation_id: int, catalog: Catalog) -> tuple[Derivation, Item, Manifest]:
    with catalog.read() as uow:
        derivation = uow.derivations.get(derivation_id)
        if derivation is None:
            raise NotFound(f"there is no dream d{derivation_id}; `dreamcrawl browse` shows those there are")
        item = uow.items.get(derivation.item_id)
    try:
        manifest = Manifest.read(derivation.manifest)
    except ValueError as error:
        raise StoreCorrupt(f"the record of d{derivation_id} cannot be read: {error}; run verify") from error
    if item is None or item.blob_sha256 != manifest.source_sha256:
        raise StoreCorrupt(f"the record of d{derivation_id} names another original than its row; run verify")
    return derivation, item, manifest


def _check_weights(named: str, manifest: Manifest, *, renderer: Renderer) -> None:
    here = renderer.identity.weights_sha256
    if here != manifest.weights_sha256:
        raise NotFound(
            f"{named} was made with weights {manifest.weights_sha256} of {manifest.network}, and this version "
            f"has {here}; install the version of dreamcrawl that made it ({manifest.software_version})"
        )


def _environment_differences(
    manifest: Manifest, facts: Mapping[str, Any], *, renderer: Renderer
) -> tuple[tuple[str, str, str], ...]:
    recorded = _flat({name: manifest.raw["render"][name] for name in _COMPARED_FACTS if name in manifest.raw["render"]})
    now = _flat({name: facts[name] for name in _COMPARED_FACTS if name in facts})
    recorded |= {"engine_version": str(manifest.engine_version), "recipe_sha256": manifest.recipe_sha256}
    now |= {
        "engine_version": str(renderer.identity.engine_version),
        "recipe_sha256": renderer.identity.recipe_sha256,
    }
    return _differences(recorded, now)


def _version_differences(manifest: Manifest, versions: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    recorded = manifest.raw["preparation"].get("versions")
    return _differences(_flat({"preparation": recorded}), _flat({"preparation": dict(versions)}))


def _differences(recorded: Mapping[str, str], now: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    pairs = ((name, recorded.get(name, _ABSENT), now.get(name, _ABSENT)) for name in sorted({*recorded, *now}))
    return tuple(pair for pair in pairs if pair[1] != pair[2])


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested objects as `outer.inner` -> text."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= _flat(inner, f"{prefix}.{name}" if prefix else str(name))
        return found
    return {prefix: str(_ordered(value))}


def _ordered(value: Any) -> Any:
    """As any record has it: a tuple now is a list there, and the record in a file has the keys of objects sorted."""
    if isinstance(value, Mapping):
        return {str(name): _ordered(value[name]) for name in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, tuple | list) else value


def _as_stored(pixels: RgbImage, image_format: str) -> RgbImage:
    """What the stored file would show of these pixels: a JPEG loses some of them."""
    return _decoded(encode(pixels, format="JPEG")) if image_format == "JPEG" else pixels


def _decoded(data: bytes) -> RgbImage:
    return decode(data, limits=STORED_LIMITS).rgb


def _ignore_pixels(_pixels: RgbImage) -> None:
    """There is nothing to put back."""


def _ignore(_fraction: float) -> None:
    """Nobody asked for progress."""

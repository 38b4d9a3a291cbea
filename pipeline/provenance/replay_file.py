"""Replay from a dream's file alone: the record inside it, and the original from the store or from a file of the user's.

The file may come from anyone. Its recipe is read by the same checks as one of the user's own; its network must be one
that is known here, with the weights on record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.catalog.engine import Catalog
from pipeline.errors import ImageRejected, NotFound, StoreCorrupt
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode, read_file
from pipeline.provenance.canonical import NotJson, cut_text
from pipeline.provenance.checks import digest_of
from pipeline.provenance.copies import SIDECAR_SUFFIX, read_sidecar, sidecar_path
from pipeline.provenance.derivation import RendererFactory, RgbImage
from pipeline.provenance.manifest import Manifest, manifest_sha256
from pipeline.provenance.preparation import STORED_LIMITS
from pipeline.provenance.replay import ReplayReport, replay_record
from pipeline.provenance.xmp import read_xmp
from pipeline.store import Store

_MOST_SHOWN = 200


def record_in_file(path: Path) -> tuple[Manifest, RgbImage]:
    """The record of a dream's file, and its pixels; the sidecar beside it will do where the file has none inside.

    path: a dream, or its sidecar.

    Raises:
        NotFound: No such file, or no picture, or one without a record.
        StoreCorrupt: The record is damaged.
    """
    picture = path.with_name(path.name[: -len(SIDECAR_SUFFIX)]) if path.name.endswith(SIDECAR_SUFFIX) else path
    data = _bytes(picture)
    embedded = read_xmp(data)
    if embedded is not None and embedded.manifest is not None:
        values, digest = embedded.manifest, embedded.manifest_sha256
    else:
        values, digest = _from_sidecar(picture, problem=embedded.problem if embedded else "")
    try:
        manifest = Manifest.read(values)
        found = manifest_sha256(values)
    except ValueError as error:
        raise StoreCorrupt(f"the record in {picture} cannot be read: {_short(error)}") from error
    if found != digest or manifest.recomputed_key != manifest.derivation_key:
        raise StoreCorrupt(f"the record in {picture} does not have the digests it says it has; run verify on it")
    return manifest, _pixels(data, picture)


def find_original(
    manifest: Manifest, *, source: Path | None, catalog: Catalog | None, store: Store | None
) -> tuple[RgbImage, str]:
    """The pixels of the original that a record names, and where they were found.

    source: a file of the user's that is it, or has its pixels; None to look in the store.

    Raises:
        NotFound: The file is another picture, or the store has it not.
        StoreCorrupt: It is damaged in the store.
    """
    if source is not None:
        data = _bytes(source)
        pixels = _pixels(data, source)
        if digest_of(data) != manifest.source_sha256 and pixel_sha256(pixels) != manifest.source_pixel_sha256:
            raise NotFound(f"{source} is not the original: neither its bytes nor its pixels are those on record")
        return pixels, str(source)
    digests = [manifest.source_sha256]
    if catalog is not None:
        with catalog.read() as uow:
            # The same pixels may have come here in another file.
            item = uow.items.by_pixel_sha256(manifest.source_pixel_sha256)
        digests += [item.blob_sha256] if item is not None else []
    for digest in digests:
        if store is not None and store.has(digest):
            return decode(store.read(digest), limits=STORED_LIMITS).rgb, f"the store, {digest[:16]}"
    raise NotFound(f"the original is not in the store here; give it with --source: {_where(manifest.raw['source'])}")


def replay_file(
    path: Path,
    *,
    source: Path | None,
    catalog: Catalog | None,
    store: Store | None,
    make_renderer: RendererFactory,
    write_to: Path | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> ReplayReport:
    """Make the dream in a file again from the record inside it, and compare. Nothing stored is changed.

    Raises:
        NotFound: As `record_in_file` and `find_original`, or the network here has other weights.
        StoreCorrupt: The record or the original is damaged.
        UsageError, WorkspaceUnusable, Exception: As `replay_record`.
    """
    manifest, recorded = record_in_file(path)
    original, _where_found = find_original(manifest, source=source, catalog=catalog, store=store)
    return replay_record(
        manifest,
        source=original,
        recorded=recorded,
        named=str(path),
        make_renderer=make_renderer,
        write_to=write_to,
        on_progress=on_progress,
    )


def pictures_in(paths: Sequence[Path]) -> dict[str, RgbImage]:
    """Guides and masks in files of the user's, by the digest of their pixels.

    Raises:
        NotFound: One cannot be read, or is no picture.
    """
    found = [_pixels(_bytes(path), path) for path in paths]
    return {pixel_sha256(pixels): pixels for pixels in found}


def _from_sidecar(picture: Path, *, problem: str) -> tuple[Mapping[str, Any], str]:
    try:
        sidecar = read_sidecar(sidecar_path(picture).read_bytes())
    except (OSError, NotJson) as error:
        what = f"has a record that cannot be read ({problem})" if problem else "carries no dreamcrawl record"
        raise NotFound(f"{picture} {what}, and no sidecar lies beside it: it cannot be made again") from error
    return sidecar["manifest"], str(sidecar.get("manifest_sha256"))


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path, max_bytes=STORED_LIMITS.max_bytes)
    except ImageRejected as error:
        raise NotFound(error.detail) from error


def _pixels(data: bytes, path: Path) -> RgbImage:
    try:
        return decode(data, limits=STORED_LIMITS).rgb
    except ImageRejected as error:
        raise NotFound(f"{path} is no picture that can be read: {error.detail}") from error


def _where(source: Mapping[str, Any]) -> str:
    place = source.get("page_url") or source.get("image_url") or "an unknown place"
    return f"{_short(source.get('title') or 'an untitled picture')}, from {_short(place)}"


def _short(text: object) -> str:
    return " ".join(cut_text(str(text), _MOST_SHOWN).split())

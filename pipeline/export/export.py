"""Export the pictures that were kept, or the dreams made of them, as a dataset."""

from __future__ import annotations

import errno
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.catalog.engine import Catalog
from pipeline.errors import UsageError, WorkspaceUnusable
from pipeline.export.attributions import TABLE, TEXT, attributions_in
from pipeline.export.samples import SHARD_DIGITS, key_of, samples_of
from pipeline.export.selection import DAMAGED, WITHDRAWN, Selection, choose
from pipeline.export.shards import WRITERS, ShardWriter, Written, is_half_written, sweep
from pipeline.store import Store
from pipeline.whole_files import whole_file, write_whole

SCHEMA = "dreamcrawl.export/1"
DEFAULT_SHARD_SIZE = 10_000
"""Samples; that of img2dataset."""

MANIFEST, DIGESTS = "export.json", "SHA256SUMS"
_LOCK = ".lock"


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes:
        folder: Where it lies.
        samples: Pictures that it holds.
        shards: How many shards there are.
        written: Shards written now; the others were there already, as they would be.
        bytes: Sizes of the pictures together.
        share_alike: Pictures that may be passed on under their own licence only.
        private: Pictures that may not be passed on; only `any` and `unknown` take such.
        left_out: Reason -> how many pictures.
    """

    folder: str
    samples: int = 0
    shards: int = 0
    written: int = 0
    bytes: int = 0
    share_alike: int = 0
    private: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def damaged(self) -> int:
        """Pictures that should be there, but could not be read from the store."""
        return self.left_out.get(DAMAGED, 0)


def export(
    folder: Path,
    *,
    catalog: Catalog,
    store: Store,
    layout: str,
    selection: Selection,
    shard_size: int = DEFAULT_SHARD_SIZE,
    software_version: str = "",
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ExportReport:
    """Write a dataset; run again, it completes, or brings up to date, what is there.

    Args:
        folder: New, empty, or with an earlier export of the same kind.
        catalog: Where the items are looked up.
        store: Where their files lie.
        layout: `files`, `webdataset` or `parquet`.
        selection: What to take.
        shard_size: Samples in one shard, at least 1.
        software_version: Told in the manifest.
        on_progress: Called with the samples done, and how many there are.

    Raises:
        UsageError: An unknown layout, or a folder that holds something else.
        WorkspaceUnusable: The folder cannot be written, or the disk is full; shards that are finished stay.
    """
    if layout not in WRITERS:
        raise UsageError(f"there is no format {layout!r}; there are: {', '.join(WRITERS)}")
    if shard_size < 1:
        raise UsageError(f"a shard has at least one sample, not {shard_size}")
    writer = WRITERS[layout](folder, store)
    facts = {
        "schema": SCHEMA,
        "software": {"name": "dreamcrawl", "version": software_version},
        "settings": {"format": layout, "shard_size": shard_size, **selection.to_json()},
    }
    with _written(folder):
        _check(folder, facts["settings"])
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            sweep(folder)
            return _export(folder, writer, catalog, selection, shard_size, facts=facts, on_progress=on_progress)


def _export(
    folder: Path,
    writer: ShardWriter,
    catalog: Catalog,
    selection: Selection,
    shard_size: int,
    *,
    facts: Mapping[str, Any],
    on_progress: Callable[[int, int], None],
) -> ExportReport:
    chosen = choose(catalog, selection)
    total = len(chosen.entries)
    shards = -(-total // shard_size)
    if shards > 10**SHARD_DIGITS:
        raise UsageError(f"{shards} shards are more than their names can tell; make --shard-size larger")
    left_out, written = Counter(chosen.left_out), list[Written]()
    before = _shards_there(folder)
    # First of all, so that the next export knows which shards are ours, wherever this one stops.
    _write_json(folder / MANIFEST, {**facts, "complete": False, "shards": max(shards, before)})
    writer.remove_others(shards, before=before)
    with whole_file(folder / DIGESTS) as digests:

        def note(name: str, sha256: str) -> None:
            digests.write(f"{sha256}  {name}\n".encode())

        with attributions_in(folder) as attributions:
            for number in range(shards):
                on_progress(number * shard_size, total)
                entries = chosen.entries[number * shard_size : (number + 1) * shard_size]
                keys = [key_of(number, place, shard_size=shard_size) for place in range(len(entries))]
                samples = samples_of(catalog, entries, keys=keys)
                shard = writer.write(number, samples)
                # Between being chosen and being written, a picture may be withdrawn.
                left_out[WITHDRAWN] += len(entries) - len(samples)
                left_out[DAMAGED] += len(shard.damaged)
                for sample in samples:
                    if sample.key not in shard.damaged:
                        attributions.add(sample)
                for name, sha256 in shard.digests.items():
                    note(name, sha256)
                written.append(shard)
        on_progress(total, total)
        report = ExportReport(
            folder=str(folder),
            samples=sum(shard.samples for shard in written),
            shards=shards,
            written=sum(not shard.kept for shard in written),
            bytes=sum(shard.size_bytes for shard in written),
            share_alike=attributions.share_alike,
            private=attributions.private,
            left_out={reason: count for reason, count in sorted(left_out.items()) if count},
        )
        kinds = {"share_alike": report.share_alike, "private": report.private}
        counts = {"samples": report.samples, "shards": shards, "bytes": report.bytes, **kinds}
        result = {"complete": not report.damaged, **counts, "left_out": dict(report.left_out)}
        _write_json(folder / MANIFEST, {**facts, **result})
        for name in (TABLE, TEXT, MANIFEST):
            note(name, hashlib.sha256((folder / name).read_bytes()).hexdigest())
    return report


def _check(folder: Path, settings: Any) -> None:
    """See that a folder may be written to.

    Raises:
        UsageError: It holds something else, or an export of another kind.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; give a folder")
    if all(each.name == _LOCK or is_half_written(each) for each in folder.iterdir()):
        return  # empty, or all that one left that found the disk full
    there = _manifest_there(folder)
    before = there.get("settings") if there.get("schema") == SCHEMA else None
    if not isinstance(before, dict):
        raise UsageError(f"{folder} is not empty, and holds no export of this version; choose another folder")
    if before != settings:
        differ = ", ".join(sorted(name for name in {*before, *settings} if before.get(name) != settings.get(name)))
        raise UsageError(f"{folder} holds an export with other settings ({differ}); choose another folder")


def _manifest_there(folder: Path) -> Mapping[str, Any]:
    try:
        there = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return there if isinstance(there, dict) else {}


def _shards_there(folder: Path) -> int:
    """How many shards an earlier export has written, or was about to."""
    found = _manifest_there(folder).get("shards")
    return min(found, 10**SHARD_DIGITS) if isinstance(found, int) else 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(f"another export is writing to {folder}; wait for it, or choose another folder") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Names the way out where the folder cannot be written."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "make room, then run the same command again" if is_full else "choose another folder"
        raise WorkspaceUnusable(
            f"the export {folder} cannot be written: {error.strerror or error}; {way_out}"
        ) from error


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace"))

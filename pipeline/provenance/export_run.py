"""Writes what a run met and made in a standard form: a folder that appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline import whole_files
from pipeline.catalog.engine import Catalog
from pipeline.errors import UsageError, WorkspaceUnusable
from pipeline.provenance.prov import prov_json
from pipeline.provenance.rocrate import PROV, Crate, crate_of
from pipeline.provenance.run_graph import RunGraph, read_run
from pipeline.store import Store
from pipeline.whole_folders import whole_folder

FORMATS = ("prov", "ro-crate")


@dataclass(frozen=True)
class RunExport:
    """What was written.

    Attributes:
        files: How many.
        pictures: How many of them are originals or dreams.
        left_out: Reason -> how many pictures are described without their file.
    """

    folder: str
    format: str
    files: int
    pictures: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def export_run(
    run_id: int, *, catalog: Catalog, store: Store, folder: Path, format_: str, at: datetime | None = None
) -> RunExport:
    """Write a run as PROV-JSON (`prov`) or as an RO-Crate with its pictures (`ro-crate`).

    folder: new or empty.
    at: when the export is made; None for now.

    Raises:
        NotFound: There is no such run.
        UsageError: The folder has something in it, or the format is another.
        StoreCorrupt: A stored picture was damaged while it was written.
        CatalogBusy: Another process writes to the same folder.
        WorkspaceUnusable: The folder cannot be written; nothing is left behind.
    """
    if format_ not in FORMATS:
        raise UsageError(f"--format is {' or '.join(FORMATS)}, not {format_!r}")
    graph = read_run(run_id, catalog)
    crate = crate_of(graph, store=store, at=at or datetime.now(UTC)) if format_ == "ro-crate" else _prov_only(graph)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} has something in it already; name a new folder, or empty that one")
        _write(folder, crate, store)
    except OSError as error:
        raise WorkspaceUnusable(f"{folder} cannot be written: {error.strerror or error}") from error
    files = len(crate.files) + len(crate.stored)
    return RunExport(str(folder), format_, files, len(crate.stored), crate.left_out)


def _prov_only(graph: RunGraph) -> Crate:
    text = json.dumps(prov_json(graph), ensure_ascii=False, indent=2) + "\n"
    return Crate(files={PROV: text.encode()})


def _write(folder: Path, crate: Crate, store: Store) -> None:
    with whole_folder(folder) as filling:
        for name, data in crate.files.items():
            whole_files.write_whole(filling / name, data)
        for name, sha256 in crate.stored.items():
            whole_files.write_whole(filling / name, store.read(sha256))

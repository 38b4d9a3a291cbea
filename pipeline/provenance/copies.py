"""The dreams folder: a copy of each dream under a readable name, and beside it a sidecar that tells how it was made.

The store and the catalog hold the truth; everything here can be deleted and made again from them. A file that is there
is never overwritten: it may carry somebody's own changes.
"""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path
from typing import Any

from pipeline import whole_files
from pipeline.catalog.values import Derivation
from pipeline.errors import StoreCorrupt, WorkspaceUnusable
from pipeline.provenance.canonical import NotJson, parse_object
from pipeline.store import Store

SIDECAR_SCHEMA = "dreamcrawl.sidecar/1"
SIDECAR_SUFFIX = ".json"
SUFFIX_OF_FORMAT = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}

MAX_SLUG_BYTES = 80  # with the rest of the name and the sidecar's suffix far below the 255 of common file systems
SHORT_KEY = 8
# Nobody writes one file for an hour: what is older was left by a process that was killed.
_ABANDONED_SECONDS = 3600.0


def slug(text: str) -> str:
    """Letters, marks and digits of any script in lower case, everything else as single hyphens; may be empty."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).lower())
    words = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in folded).split()
    cut = "-".join(words).encode("utf-8")[:MAX_SLUG_BYTES].decode("utf-8", errors="ignore")
    return cut.strip("-")


def file_name_of(title: str | None, preset: str | None, *, item_id: int, key: str, image_format: str) -> str:
    """The copy's name: title (or public id), look and the start of the derivation key.

    key: the derivation key, or as much of it as the name shall hold.
    image_format: `PNG`, `JPEG` or `WEBP`.
    """
    stem = slug(title or "") or f"i{item_id}"
    look = slug(preset or "") or "custom"
    return f"{stem}-{look}-{key}{SUFFIX_OF_FORMAT[image_format]}"


def sidecar_of(derivation: Derivation) -> dict[str, Any]:
    """What the sidecar of this dream says, as JSON values."""
    return {
        "schema": SIDECAR_SCHEMA,
        "file": derivation.file_name,
        "sha256": derivation.blob_sha256,
        "manifest_sha256": derivation.manifest_sha256,
        "manifest": dict(derivation.manifest),
    }


def read_sidecar(data: bytes) -> dict[str, Any]:
    """What a sidecar says; `manifest` is in it, as some JSON object.

    Raises:
        NotJson: It is none.
    """
    value = parse_object(data)
    if value.get("schema") != SIDECAR_SCHEMA or not isinstance(value.get("manifest"), dict):
        raise NotJson("it is no dreamcrawl sidecar")
    return value


def sidecar_path(copy: Path) -> Path:
    """Where the sidecar of this copy lies."""
    return copy.with_name(copy.name + SIDECAR_SUFFIX)


def restore_copy(derivation: Derivation, store: Store, dreams_folder: Path) -> bool:
    """Write the copy and the sidecar where they are missing; whether anything was.

    Raises:
        StoreCorrupt: The copy is missing and so are, or damaged, the stored bytes.
        WorkspaceUnusable: The folder cannot be written.
    """
    copy = dreams_folder / derivation.file_name
    restored = False
    if not copy.exists():
        if not store.has(derivation.blob_sha256):
            name = f"d{derivation.id}"
            raise StoreCorrupt(f"the file of {name} is missing from the store: dreamcrawl replay {name} makes it again")
        write_whole(copy, store.read(derivation.blob_sha256))
        restored = True
    if not sidecar_path(copy).exists():
        text = json.dumps(sidecar_of(derivation), ensure_ascii=False, indent=2)
        write_whole(sidecar_path(copy), (text + "\n").encode("utf-8"))
        restored = True
    return restored


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears under its name complete or not at all.

    Raises:
        WorkspaceUnusable: The folder cannot be written, or the disk is full.
    """
    try:
        whole_files.write_whole(path, data)
    except OSError as error:
        raise WorkspaceUnusable(
            f"{path} cannot be written: {error.strerror or error}; make room or make the folder writable, "
            "then run the same command again"
        ) from error


def sweep(dreams_folder: Path) -> None:
    """Delete temporary files that killed processes left behind."""
    for path in dreams_folder.glob(f"{whole_files.TEMPORARY_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
        except OSError:
            continue  # another process was faster, or the file is somebody else's

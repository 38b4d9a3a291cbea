"""Exports of a small workspace, and what lies in their folders."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from pipeline.export.export import ExportReport, export
from pipeline.export.selection import Selection
from tests.support.inverting import Workshop, picture

HOSTILE = '=HYPERLINK("http://evil.example")<script>[x](javascript:1)'


def take(shop: Workshop, folder: Path, **options: Any) -> ExportReport:
    selection = Selection(**{name: options.pop(name) for name in ("what", "keyword", "licenses") if name in options})
    given = {"layout": "files", "shard_size": 1000, "selection": selection, **options}
    return export(folder, catalog=shop.catalog, store=shop.store, **given)


def withdraw(shop: Workshop, item_id: int) -> None:
    with shop.catalog.write() as uow:
        statement = text("UPDATE item SET withdrawn_at = :at, withdrawn_reason = 'noai' WHERE id = :id")
        uow.session.execute(statement, {"at": datetime(2026, 6, 1), "id": item_id})  # noqa: DTZ001  # as it is stored


def contents(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop(".lock", None)
    return found


def check_digests(folder: Path) -> None:
    """Every file of the export, and no other, is in SHA256SUMS, as sha256sum would find it."""
    lines = [line.split("  ", 1) for line in (folder / "SHA256SUMS").read_text().splitlines()]
    files = contents(folder)
    del files["SHA256SUMS"]
    assert {name: digest for digest, name in lines} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }


FILES = [picture(1), picture(2, image_format="JPEG"), picture(3)]


def fill(shop: Workshop) -> list[int]:
    consent = {"allowed": True, "rule": "none", "checked_at": "2026-05-04T03:02:01+00:00"}
    about = {"caption": "Over the Tay", "source_id": "b-17", "consent": consent, "made_at": "2019"}
    ids = [
        shop.add(FILES[0], **about),
        shop.add(FILES[1], license_id="CC-BY-SA-4.0", title=HOSTILE, image_url="file:///home/me/secret/b.jpg"),
        shop.add(FILES[2], license_id="CC0-1.0", page_url="javascript:alert(1)"),
    ]
    with shop.catalog.write() as uow:
        uow.items.add_keyword(ids[0], "Bridge", fields=("title", "tags"), score=0.45)
    return ids

"""The pictures, inboxes and opinions of the stories in which catalogs are killed; what is true whoever comes first.

Two processes that do all this at once, in any order, come to the same pictures, groups, dreams and withdrawals: each
picture has one title wherever it is met, in each group one picture is the best, and what is withdrawn was dreamed
before. Only what differs by who came first - ids, moments, which of two equal files was kept - is nobody's promise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from PIL import Image
from sqlalchemy.pool import NullPool

from pipeline.catalog import schema
from pipeline.catalog.engine import catalog_url, make_engine, open_catalog
from pipeline.errors import Reason
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE, pixel_sha256
from pipeline.images import ImageLimits, decode
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import Consent, CrawlRecord, DeclaredLicense
from pipeline.store import Store
from pipeline.workspace import Workspace
from tests.support.inboxes import failed, fetched, known, refused, sealed_inbox
from tests.support.ingesting_process import ExaminerHere
from tests.support.inverting import InvertingRenderer, Workshop
from tests.support.pictures import Rgb, file_of, scene

REVISIONS = tuple(sorted(schema.known_revisions()))
_NO = Consent(False, "ai.txt", "Disallow: *.png", "https://example.org/ai.txt", "2026-11-22T10:00:00+00:00")
_CC0 = DeclaredLicense("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "rel=license")

# Scene of each picture, and what makes its file; the key is the picture's title, too.
_SCENES = {
    **{f"old-{n}": n for n in range(1, 5)},
    **{f"new-{n}": 30 + n for n in range(1, 5)},
    "windmill": 20, "cliff": 21, "harbour": 22, "gone": 23, "left": 24, "river": 40, "forest": 41,
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """How a file of a scene is made."""

    form: str = "PNG"
    width: int = 240
    quality: int | None = None
    mirrored: bool = False


PNG = Kind()
TAGS: Mapping[tuple[str, Kind], tuple[str, ...]] = {
    ("windmill", Kind("JPEG", 200, 85)): ("for print", "mill"),
    ("harbour", Kind(mirrored=True)): ("mirror",),
    ("old-1", PNG): ("best", "for print"),
}
"""What people say of pictures that are there from the beginning."""

STARS: Mapping[tuple[str, Kind], int] = {
    ("windmill", Kind("JPEG", 200, 85)): 3,
    ("harbour", Kind(mirrored=True)): 5,
    ("old-2", PNG): 2,
}
DECISIONS: Mapping[tuple[tuple[str, Kind], tuple[str, Kind]], str] = {
    (("cliff", PNG), ("cliff", Kind("JPEG", 240, 80))): "different",
    (("harbour", PNG), ("harbour", Kind(mirrored=True))): "same",
}


@functools.cache
def pixels(title: str, kind: Kind = PNG) -> Rgb:
    """The scene of a picture at its size, before it is compressed."""
    image = Image.fromarray(scene(_SCENES[title], width=320, height=240))
    rgb = np.asarray(image.resize((kind.width, kind.width * 3 // 4)))
    return np.ascontiguousarray(rgb[:, ::-1]) if kind.mirrored else rgb


@functools.cache
def data_of(title: str, kind: Kind = PNG) -> bytes:
    """The file of a picture."""
    options: dict[str, Any] = {} if kind.quality is None else {"quality": kind.quality}
    if kind.form == "WEBP":
        options = {"lossless": True}
    return file_of(pixels(title, kind), kind.form, **options)


@functools.cache
def digest_of(title: str, kind: Kind = PNG) -> str:
    """The digest of a picture's pixels as its file gives them."""
    return pixel_sha256(decode(data_of(title, kind)).rgb)


def found(address: str, title: str, kind: Kind = PNG, **facts: Any) -> tuple[CrawlRecord, bytes]:
    """A picture that was fetched."""
    record = fetched(
        address, keyword=title.partition("-")[0], title=title, creator=f"Painter of {title}", license=_CC0, **facts
    )
    return record, data_of(title, kind)


def make_workspace(root: Path) -> None:
    """What is there when a story begins: pictures, three of them dreamed on, at the newest revision."""
    workspace = Workspace(root)
    workspace.prepare()
    with open_catalog(workspace.catalog_path) as catalog:
        store = Store(workspace.store)
        inbox = sealed_inbox(
            workspace.inbox,
            [
                *(found(f"old-{n}.png", f"old-{n}") for n in range(1, 5)),
                found("windmill.jpg", "windmill", Kind("JPEG", 200, 85)),
                found("cliff.png", "cliff"),
                found("cliff.jpg", "cliff", Kind("JPEG", 240, 80)),
                found("harbour.png", "harbour"),
                found("turned.png", "harbour", Kind(mirrored=True)),
                found("gone.png", "gone"),
                found("left.png", "left"),
            ],
            crawl_id="before",
        )
        report = ingest_inbox(
            inbox, catalog=catalog, store=store, run_id=None, limits=ImageLimits(),
            near_distance=DEFAULT_NEAR_DISTANCE, examiner=ExaminerHere(),
        )  # fmt: skip
        assert (report.accepted, report.near_duplicates) == (10, 1)
        shop = Workshop(root, catalog, store)
        with catalog.read() as uow:
            dreamed = [item.id for item in uow.items.list(limit=None) if item.title in ("old-1", "gone", "left")]
        assert len(shop.stylize(*dreamed, renderer=InvertingRenderer()).derivation_ids) == 3
    make_inboxes(workspace.inbox)


def make_inboxes(folder: Path) -> None:
    """What two crawls of overlapping sites brought, and two more: the same pictures again, others like them."""
    new = [f"new-{n}" for n in range(1, 5)]
    contents: Mapping[str, list[tuple[CrawlRecord, bytes | None]]] = {
        "one": [
            *(found(f"{title}.png", title) for title in new),
            (known("old-1.png", keyword="again"), None),
            found("windmill-large.png", "windmill", Kind("PNG", 320)),
            found("new-1.jpg", "new-1", Kind("JPEG", 240, 80)),
            (failed("late.png"), None),
            (fetched("broken.jpg"), b"<html>"),
            (refused("gone.png", Reason.OPT_OUT, consent=_NO), None),
        ],
        "two": [
            *(found(f"mirror/{title}.png", title) for title in reversed(new[1:])),
            found("mirror/new-1.webp", "new-1", Kind("WEBP")),
            found("mirror/gone.png", "gone"),
            (refused("left.png", Reason.OPT_OUT, consent=_NO), None),
            found("windmill-middle.jpg", "windmill", Kind("JPEG", 280, 90)),
            (refused("closed.png"), None),
        ],
        "three": [
            found("river.png", "river"),
            found("new-1-small.jpg", "new-1", Kind("JPEG", 240, 60)),
            found("river-turned.png", "river", Kind(mirrored=True)),
            found("forest.png", "forest"),
            (known("old-2.png"), None),
        ],
        "four": [
            found("mirror/forest.png", "forest"),
            found("mirror/river.png", "river"),
            found("mirror/old-3.png", "old-3"),
            found("river.jpg", "river", Kind("JPEG", 240, 75)),
            (known("windmill.jpg", keyword="sail"), None),
        ],
    }
    for name, candidates in contents.items():
        sealed_inbox(folder, candidates, crawl_id=name)


def copy_rows(source: Path, address: str, *, revision: str) -> None:
    """A catalog as an older version made it, with as much of a catalog of today as it had columns for.

    source: A SQLite catalog of the newest revision.
    address: Path or database URL of a catalog that is not there yet.
    """
    from alembic import command
    from alembic.config import Config

    target = make_engine(catalog_url(address))
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    origin = sa.create_engine(f"sqlite:///{source}", poolclass=NullPool)
    with origin.connect() as reader, target.connect() as writer:
        if target.dialect.name == "sqlite":
            writer.connection.cursor().execute("PRAGMA journal_mode = WAL")  # below SQLAlchemy's transactions
        with writer.begin():
            config.attributes["connection"] = writer
            command.upgrade(config, revision)
        with writer.begin():
            here, there = sa.MetaData(), sa.MetaData()
            here.reflect(reader)
            there.reflect(writer)
            for table in here.sorted_tables:
                if table.name in there.tables and not table.name.startswith(("alembic", "search", "sqlite")):
                    _copy(reader, writer, table, there.tables[table.name])
    origin.dispose()
    target.dispose()


def _copy(reader: sa.Connection, writer: sa.Connection, table: sa.Table, target: sa.Table) -> None:
    shared = [column.name for column in table.columns if column.name in target.columns]
    rows = [dict(row) for row in reader.execute(sa.select(*(table.c[name] for name in shared))).mappings()]
    if rows:
        writer.execute(target.insert(), rows)
    if writer.dialect.name == "postgresql" and rows and "id" in shared and isinstance(rows[0]["id"], int):
        last = max(row["id"] for row in rows)
        writer.execute(sa.text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {last})"))

"""gc: the bytes of withdrawn pictures go, what proves them stays, and nothing else is ever touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.browse.readers import read_dream, read_item
from pipeline.browse.state import View
from pipeline.catalog import queries, upkeep_queries
from pipeline.catalog.engine import open_catalog
from pipeline.errors import Withdrawn
from pipeline.provenance.copies import sidecar_path
from pipeline.provenance.verify import verify_all, verify_derivation
from pipeline.stylize import sizes_to_render
from pipeline.upkeep.findings import Kind
from pipeline.upkeep.gc import GcReport, collect_garbage
from tests.support.inboxes import fetched
from tests.support.inverting import InvertingRenderer, identity_of
from tests.support.lively_workspace import Lively
from tests.support.postgres import postgres_server


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Lively]:
    lively = Lively(tmp_path / "workspace")
    yield lively
    lively.catalog.close()


def gc(shop: Lively, *, delete: bool = False, days: float = 0, on_progress: Any = None) -> GcReport:
    return collect_garbage(
        catalog=shop.catalog,
        store=shop.store,
        dreams_folder=shop.dreams,
        thumbnails=shop.workspace.thumbnails,
        locks=shop.workspace.locks,
        withdrawn_until=datetime.now(UTC) - timedelta(days=days),
        delete=delete,
        on_progress=on_progress,
    )


def files_of(shop: Lively) -> set[Path]:
    return {path for path in shop.root.rglob("*") if path.is_file() and path.suffix != ".lock"}


def rows_of(shop: Lively, *tables: str) -> list[Any]:
    with shop.catalog.read() as uow:
        return [uow.session.execute(text(f'SELECT * FROM "{table}" ORDER BY 1')).all() for table in tables]


PROOF = ("item", "sighting", "fetch", "derivation", "item_keyword")


def test_a_withdrawn_picture_and_its_dreams_go_and_their_rows_stay(shop: Lively) -> None:
    shop.withdraw("a")
    dream = shop.derivation(1)
    thumbnail = shop.workspace.thumbnails / dream.blob_sha256[:2] / f"{dream.blob_sha256}-320.webp"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"webp")
    copy = shop.dreams / dream.file_name
    gone = {shop.stored(1), shop.store.path(dream.blob_sha256), copy, sidecar_path(copy), thumbnail}
    before, rows = files_of(shop), rows_of(shop, *PROOF)
    sizes = sum(path.stat().st_size for path in gone)

    listed = gc(shop)
    assert (listed.deleted, {each.subject for each in listed.garbage}) == (False, {"i1", "d1"})
    assert {path for each in listed.garbage for path in each.paths} == gone
    assert listed.bytes == sizes
    assert files_of(shop) == before

    assert gc(shop, delete=True).garbage == listed.garbage
    assert before - files_of(shop) == gone
    assert rows_of(shop, *PROOF) == rows
    assert gc(shop, delete=True).garbage == ()
    assert shop.fsck().findings == ()
    found = verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams)
    one = verify_derivation(1, catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams)
    for report in (found, one):
        assert report.ok, [check for check in report.checks if not check.ok]
        told = {check.subject for check in report.checks if check.found == "removed after a withdrawal"}
        assert told == {"i1", "d1"}


def test_it_is_never_fetched_again(shop: Lively) -> None:
    shop.withdraw("a")
    gc(shop, delete=True)
    shop.fsck(mend=True)

    with shop.catalog.read() as uow:
        entry = uow.ledger.find("https://example.org/a.png", source="website", source_id="a")
        assert entry is not None
        assert (entry.state, entry.fetch_again) == ("withdrawn", False)
        assert uow.ledger.unsettled("", limit=9) == []
        assert shop.item(1).withdrawn_reason is not None


def test_with_a_withdrawn_guide_nothing_is_dreamed_and_dreams_made_with_it_are_not_shown_and_go(shop: Lively) -> None:
    guided = InvertingRenderer(replace(identity_of({"kind": "guided"}), pictures=(shop.item(2).pixel_sha256,)))
    shop.stylize(3, renderer=guided)
    dream = shop.derivation(3)
    assert read_dream(shop.catalog, 3).id == 3
    shop.withdraw("b")

    for item_id in (1, 3):  # no dream yet, and one made before
        [(_, line)] = shop.stylize(item_id, renderer=guided).skipped
        assert "i2, a guide or mask, was withdrawn" in line
    assert sizes_to_render([1, 3], identity=guided.identity, catalog=shop.catalog) == ()
    with pytest.raises(Withdrawn, match="i2, a guide or mask"):
        read_dream(shop.catalog, 3)
    with pytest.raises(Withdrawn, match="i2, a guide or mask"):
        read_item(shop.catalog, 3, View(), dream_id=3)
    assert [each.id for each in read_item(shop.catalog, 3, View()).dreams] == [2]
    with shop.catalog.read() as uow:
        assert "guide or mask" in queries.dream_blob(uow.session, dream.blob_sha256).withdrawn
        assert queries.dream_blob(uow.session, shop.derivation(2).blob_sha256).withdrawn is None
        assert queries.tile(uow.session, 3).dream.id == 2

    assert {each.subject for each in gc(shop, delete=True).garbage} == {"i2", "d3"}
    assert not shop.store.has(dream.blob_sha256)
    assert not (shop.dreams / dream.file_name).exists()
    assert shop.fsck().findings == ()


def test_only_what_was_withdrawn_long_enough_ago_goes(shop: Lively) -> None:
    shop.withdraw("a")
    assert gc(shop, days=1).garbage == ()

    with shop.catalog.write() as uow:
        uow.session.execute(text("UPDATE item SET withdrawn_at = '2026-01-01 00:00:00' WHERE id = 1"))

    assert {each.subject for each in gc(shop, days=30).garbage} == {"i1", "d1"}


def test_a_dream_that_another_picture_has_too_stays_for_that_one(shop: Lively) -> None:
    shop.withdraw("a")
    shared = shop.derivation(2)  # of c
    with shop.catalog.write() as uow:
        uow.session.execute(text(f"UPDATE derivation SET blob_sha256 = '{shared.blob_sha256}' WHERE id = 1"))

    gc(shop, delete=True)

    assert shop.store.has(shared.blob_sha256)
    assert (shop.dreams / shared.file_name).exists()
    assert not (shop.dreams / shop.derivation(1).file_name).exists()
    assert not shop.stored(1).exists()
    with shop.catalog.read() as uow:
        assert uow.blobs.get(shared.blob_sha256).removed_at is None


def test_files_on_record_that_nothing_refers_to_go_and_unknown_ones_stay(shop: Lively) -> None:
    unknown = shop.store.path(shop.store.put(b"of another catalog, perhaps"))
    long_ago = time.time() - 7200
    os.utime(unknown, (long_ago, long_ago))
    unused = shop.store.put(b"on record, of nothing")
    with shop.catalog.write() as uow:
        uow.blobs.add(unused, size_bytes=21, media_type="image/png")

    report = gc(shop, delete=True)

    assert {(each.subject, each.why) for each in report.garbage} == {(unused, "unreferenced")}
    assert unknown.exists()
    assert not shop.store.has(unused)


def test_with_the_catalog_of_another_workspace_nothing_is_deleted(shop: Lively, tmp_path: Path) -> None:
    for path in files_of(shop):
        os.utime(path, (time.time() - 7200,) * 2)
    before = files_of(shop)

    with open_catalog(tmp_path / "other.sqlite3") as other:
        report = collect_garbage(
            catalog=other, store=shop.store, dreams_folder=shop.dreams, thumbnails=shop.workspace.thumbnails,
            locks=shop.workspace.locks, withdrawn_until=datetime.now(UTC), delete=True,
        )  # fmt: skip

    assert report.garbage == ()
    assert files_of(shop) == before


def test_a_picture_that_may_be_used_again_after_gc_is_fetched_again(shop: Lively) -> None:
    shop.withdraw("b")
    gc(shop, delete=True)
    with shop.catalog.write() as uow:
        uow.ledger.allow("https://example.org/b.png", consent={"allowed": True})
        uow.items.refresh_withdrawal(2)

    report = shop.fsck(mend=True)

    assert [(each.kind, each.subject) for each in report.findings] == [(Kind.MISSING_FILE, "i2")]
    shop.ingest((fetched("b.png"), shop.bytes_of("b")))
    assert shop.fsck().findings == ()
    assert gc(shop).garbage == ()


def test_a_picture_that_is_allowed_and_sent_again_after_gc_is_whole_at_once(shop: Lively) -> None:
    shop.withdraw("b")
    gc(shop, delete=True)
    assert not shop.stored(2).exists()

    shop.ingest((fetched("b.png"), shop.bytes_of("b")))

    assert shop.item(2).withdrawn_at is None
    assert shop.fsck().findings == ()


def test_what_is_allowed_again_while_gc_is_deleting_stays(shop: Lively) -> None:
    for name in ("a", "b"):
        shop.withdraw(name)
    expected = gc(shop)
    places = {each.subject: number for number, each in enumerate(expected.garbage)}

    def allow_the_last(done: int, _total: int) -> None:
        if done == 1:
            last = max(("i1", "i2"), key=lambda name: places[name])
            with shop.catalog.write() as uow:
                uow.ledger.allow(f"https://example.org/{'a' if last == 'i1' else 'b'}.png", consent={"allowed": True})
                uow.items.refresh_withdrawal(int(last[1:]))

    gc(shop, delete=True, on_progress=allow_the_last)

    usable = [number for number in (1, 2) if shop.item(number).withdrawn_at is None]
    assert len(usable) == 1
    assert shop.stored(usable[0]).exists()
    assert not shop.stored(3 - usable[0]).exists()
    assert {each.subject for each in shop.fsck().findings} <= {"d1"}  # a dream of it may have gone before


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline.catalog.engine import open_catalog
from pipeline.store import Store
from pipeline.upkeep import gc
from pipeline.workspace import Workspace
there, unlink = Workspace(Path(sys.argv[1])), Path.unlink
def first_only(self, missing_ok=False):
    unlink(self, missing_ok=missing_ok)
    os.kill(os.getpid(), signal.SIGKILL)
Path.unlink = first_only
with open_catalog(there.catalog_path) as catalog:
    gc.collect_garbage(catalog=catalog, store=Store(there.store), dreams_folder=there.dreams, locks=there.locks,
        thumbnails=there.thumbnails, withdrawn_until=datetime.now(UTC), delete=True)
"""


def test_one_that_is_killed_is_finished_by_the_next_one(shop: Lively) -> None:
    shop.withdraw("a")
    expected = {path for each in gc(shop).garbage for path in each.paths}

    killed = subprocess.run([sys.executable, "-c", KILLED, str(shop.root)], check=False)

    assert killed.returncode == -signal.SIGKILL
    left = {path for path in expected if path.exists()}
    assert len(left) == len(expected) - 1
    assert {each.kind for each in shop.fsck().findings} == {Kind.NOT_REMOVED}
    gc(shop, delete=True)
    assert not any(path.exists() for path in expected)
    assert shop.fsck().findings == ()


def test_a_file_of_nothing_goes_also_when_the_first_to_let_go_of_it_was_killed(shop: Lively) -> None:
    unused = shop.store.put(b"on record, of nothing")
    with shop.catalog.write() as uow:  # as one that was killed before it deleted the file
        uow.blobs.add(unused, size_bytes=21, media_type="image/png")
        upkeep_queries.mark_removed(uow.session, [unused], at=datetime.now(UTC))
    assert {each.kind for each in shop.fsck().findings} == {Kind.NOT_REMOVED}

    gc(shop, delete=True)

    assert not shop.store.has(unused)
    assert shop.fsck().findings == ()


def test_the_same_on_postgresql(tmp_path: Path) -> None:
    with postgres_server() as server:
        lively = Lively(tmp_path / "workspace", address=server.new_database())
        lively.withdraw("a")

        assert {each.subject for each in gc(lively, delete=True).garbage} == {"i1", "d1"}
        assert lively.fsck().findings == ()
        lively.catalog.close()

"""fsck: it finds what is wrong, mends what is safe, and is silent about what is well."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.ledger import Ledger
from pipeline.catalog.values import ItemFilter
from pipeline.errors import CatalogBusy
from pipeline.upkeep import fsck
from pipeline.upkeep.alone import alone
from pipeline.upkeep.findings import Kind
from pipeline.upkeep.gc import collect_garbage
from pipeline.upkeep.stored_files import StoredFiles, _State
from tests.support import plain_sql
from tests.support.inboxes import fetched
from tests.support.lively_workspace import Lively
from tests.support.postgres import postgres_server


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "workspace"
    lively = Lively(root)
    assert lively.fsck().findings == ()
    lively.catalog.close()
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[Lively]:
    """A copy of the workspace, each test its own."""
    lively = Lively.copy_of(template, tmp_path / "workspace")
    yield lively
    lively.catalog.close()


def old(path: Path) -> Path:
    """Make a file too old to be one that somebody is writing."""
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    return path


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return old(path)


def execute(shop: Lively, statement: str) -> None:
    with shop.catalog.write() as uow:
        uow.session.execute(text(statement))


def kinds(report: Any) -> list[tuple[Kind, str, bool]]:
    return [(finding.kind, finding.subject, finding.mended) for finding in report.findings]


def test_a_file_that_gc_has_let_go_of_since_it_was_listed_is_not_missed(shop: Lively) -> None:
    sha256 = shop.item(2).blob_sha256
    files = StoredFiles(shop.catalog, shop.store, shop.dreams, shop.workspace.quarantine, mend=False)
    with shop.catalog.read() as uow:
        as_listed = uow.blobs.get(sha256)
    shop.withdraw("b")
    collect_garbage(
        catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams, thumbnails=shop.workspace.thumbnails,
        locks=shop.workspace.locks, withdrawn_until=datetime.now(UTC), delete=True,
    )  # fmt: skip

    assert as_listed.removed_at is None
    assert not shop.store.has(sha256)
    assert files._judge(as_listed, _State.MISSING) is None


def test_an_unknown_file_that_is_needed_just_then_stays(shop: Lively, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"left by an ingest that was killed"
    path = shop.store.path(shop.store.put(data))
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    replace = Path.replace

    def replace_as_another_puts(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        shop.store.put(data)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_as_another_puts)
    shop.fsck(mend=True)

    assert path.read_bytes() == data
    assert not list(path.parent.glob(".tmp-*"))


def test_a_workspace_in_order_has_no_findings_and_every_file_is_read(shop: Lively) -> None:
    report = shop.fsck()

    assert report.findings == ()
    assert report.is_clean
    assert (report.files, report.items) == (5, 3)
    assert report.bytes == sum(path.stat().st_size for path in shop.store.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("harm", ["missing", "altered"])
def test_a_lost_original_is_fetched_again_and_all_is_well(shop: Lively, harm: str) -> None:
    path = shop.stored(2)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"other bytes")
    kind = Kind.MISSING_FILE if harm == "missing" else Kind.ALTERED_FILE

    assert kinds(shop.fsck()) == [(kind, "i2", False)]
    with Ledger.open(shop.workspace.catalog_path) as ledger:
        assert list(ledger.unsettled()) == []  # looking changes nothing
    mended = shop.fsck(mend=True)

    assert kinds(mended) == [(kind, "i2", False)]
    assert "crawl --retry-failed" in mended.findings[0].action
    if harm == "altered":
        assert [each.read_bytes() for each in shop.workspace.quarantine.iterdir()] == [b"other bytes"]
    with Ledger.open(shop.workspace.catalog_path) as ledger:
        [record] = ledger.unsettled(["MILL"], source="website")
        entry = ledger.known(["https://example.org/b.png"])["https://example.org/b.png"]
    assert (record.image_url, record.title, record.source_id) == ("https://example.org/b.png", "Mill b", "b")
    assert entry.fetch_again
    assert entry.etag is None  # or the server would send no bytes

    shop.ingest((fetched("b.png", keyword="mill", source_id="b"), shop.bytes_of("b")))
    assert shop.fsck().findings == ()
    with Ledger.open(shop.workspace.catalog_path) as ledger:
        assert list(ledger.unsettled()) == []


def test_a_lost_dream_comes_back_from_its_copy_and_from_nowhere_else(shop: Lively) -> None:
    first, second = shop.derivation(1), shop.derivation(2)
    for derivation in (first, second):
        shop.store.path(derivation.blob_sha256).unlink()
    (shop.dreams / second.file_name).write_bytes(b"somebody's own work")

    report = shop.fsck(mend=True)

    assert sorted(kinds(report)) == [(Kind.MISSING_FILE, "d1", True), (Kind.MISSING_FILE, "d2", False)]
    assert "replay d2" in next(each.action for each in report.findings if not each.mended)
    assert shop.store.read(first.blob_sha256)
    assert kinds(shop.fsck()) == [(Kind.MISSING_FILE, "d2", False)]


def test_what_does_not_belong_into_the_store_is_moved_out_of_it(shop: Lively) -> None:
    orphan = shop.store.path(shop.store.put(b"written, and then killed"))
    young = shop.store.path(shop.store.put(b"its row is being written"))
    old(orphan)
    stray = write(shop.store.root / "ab" / "notes.txt", b"notes")
    wrong_place = write(shop.store.root / "00" / "11" / orphan.name.replace("a", "b"), b"x")
    leftovers = [
        write(folder / ".tmp-abc", b"half")
        for folder in (shop.store.root / "ab" / "cd", shop.dreams, shop.workspace.thumbnails / "ab")
    ]
    keys = write(shop.root / ".tmp-keys-abc" / "signing-key.pem", b"made by a keys init that was killed").parent
    old(keys)
    leftovers += [keys, write(shop.workspace.keys / ".tmp-keys-renewed", b"half")]
    being_written = shop.dreams / ".tmp-now"
    being_written.write_bytes(b"half")

    found = shop.fsck()
    assert {(each.kind, each.subject) for each in found.findings} == {
        (Kind.UNKNOWN_FILE, orphan.name),
        (Kind.MISPLACED_FILE, "notes.txt"),
        (Kind.MISPLACED_FILE, wrong_place.name),
        (Kind.LEFTOVER, ".tmp-abc"),
        (Kind.LEFTOVER, ".tmp-keys-abc"),
        (Kind.LEFTOVER, ".tmp-keys-renewed"),
    }
    assert all(path.exists() for path in (orphan, stray, wrong_place, *leftovers))

    assert shop.fsck(mend=True).is_clean
    assert not any(path.exists() for path in (orphan, stray, wrong_place, *leftovers))
    assert young.exists()
    assert being_written.exists()
    moved = {path.name: path.read_bytes() for path in shop.workspace.quarantine.iterdir()}
    assert moved == {
        f"{orphan.name}.1": b"written, and then killed",
        "notes.txt.1": b"notes",
        f"{wrong_place.name}.1": b"x",
    }
    assert shop.fsck().findings == ()


def test_with_the_catalog_of_another_workspace_nothing_is_moved_and_with_its_own_all_comes_back(
    shop: Lively, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path for path in shop.store.root.rglob("*") if path.is_file()]
    monkeypatch.setattr(fsck, "_MANY", 5)

    def check(root: Path) -> Any:
        with open_catalog(root) as other:
            return fsck.check_workspace(catalog=other, store=shop.store, places=shop.places, mend=True)

    assert check(tmp_path / "other.sqlite3").unrecorded == 5  # young
    for path in paths:
        old(path)
    report = check(tmp_path / "other.sqlite3")
    assert [(each.kind, each.mended) for each in report.findings] == [(Kind.UNKNOWN_FILE, False)] * 5
    assert "catalog_url" in report.findings[0].action
    assert all(path.exists() for path in paths)

    monkeypatch.setattr(fsck, "_MANY", 200)  # as many as a killed ingest leaves
    assert check(tmp_path / "other.sqlite3").is_clean
    assert not any(path.exists() for path in paths)
    assert shop.fsck(mend=True).is_clean
    assert all(path.exists() for path in paths)


def test_a_chain_becomes_a_star_and_a_circle_two_representatives(shop: Lively) -> None:
    execute(shop, "UPDATE item SET near_duplicate_of_id = 1, near_duplicate_distance = 9 WHERE id = 2")
    execute(shop, "UPDATE item SET near_duplicate_of_id = 2, near_duplicate_distance = 9 WHERE id = 3")

    assert kinds(shop.fsck()) == [(Kind.BROKEN_STAR, "i3", False)]
    assert kinds(shop.fsck(mend=True)) == [(Kind.BROKEN_STAR, "i3", True)]
    assert [shop.item(number).near_duplicate_of_id for number in (1, 2, 3)] == [None, 1, 1]
    assert shop.fsck().findings == ()

    execute(shop, "UPDATE item SET near_duplicate_of_id = 2 WHERE id = 1")
    shop.fsck(mend=True)
    shop.fsck(mend=True)
    assert shop.fsck().findings == ()


def test_an_address_of_no_picture_finds_its_picture_or_is_tried_again(shop: Lively) -> None:
    execute(shop, "UPDATE \"fetch\" SET item_id = NULL WHERE image_url LIKE '%/a.png'")
    execute(
        shop,
        'INSERT INTO "fetch"(image_url, state, attempts, first_tried_at, last_tried_at) '
        "VALUES ('https://example.org/gone.png', 'kept', 4, '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )

    assert [each[1] for each in kinds(shop.fsck())] == ["https://example.org/a.png", "https://example.org/gone.png"]
    assert shop.fsck(mend=True).is_clean
    with Ledger.open(shop.workspace.catalog_path) as ledger:
        known = ledger.known(["https://example.org/a.png", "https://example.org/gone.png"])
    assert known["https://example.org/a.png"].item_id == 1
    assert known["https://example.org/gone.png"].fetch_again
    assert shop.fsck().findings == ()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE search_document SET words = 'nonsense' WHERE item_id = 2",
        "DELETE FROM search_document WHERE item_id = 2",
        pytest.param(
            "INSERT INTO search_fts(search_fts, rowid, facets, words) VALUES ('delete', 2, '', 'mill b')",
            marks=pytest.mark.sqlite(reason="FTS5 has an index that can be out of step with its documents"),
        ),
    ],
)
def test_a_search_that_is_out_of_step_is_found_and_mended(shop: Lively, harm: str) -> None:
    execute(shop, harm)

    assert {each.kind for each in shop.fsck().findings} == {Kind.SEARCH}
    assert shop.fsck(mend=True).is_clean
    assert shop.fsck().findings == ()
    with shop.catalog.read() as uow:
        assert [item.id for item in uow.items.list(ItemFilter(text="mill b"))] == [2]


@pytest.mark.sqlite(reason="PostgreSQL holds every program to the foreign keys")
def test_rows_that_refer_to_nothing_are_told_of_as_damage(shop: Lively) -> None:
    # Without foreign keys, as other programs write.
    query = "DELETE FROM blob WHERE sha256 = (SELECT blob_sha256 FROM item WHERE id = 2)"
    plain_sql.change(shop.workspace.catalog_path, query)

    report = shop.fsck(mend=True)

    assert report.is_damaged
    assert {each.detail for each in report.findings if each.kind is Kind.DAMAGED_CATALOG} == {
        "row 2 of item refers to a row of blob that is not there",
        "row 2 of sighting refers to a row of blob that is not there",
    }


def test_pictures_may_arrive_while_it_looks(shop: Lively) -> None:
    from tests.support.pictures import scene_file

    seen: list[int] = []

    def on_progress(done: int, total: int) -> None:
        if not seen:
            shop.ingest((fetched("d.png"), scene_file(4)))
        seen.append(done)
        assert done <= total

    from pipeline.upkeep.fsck import check_workspace

    report = check_workspace(
        catalog=shop.catalog, store=shop.store, places=shop.places, mend=True, on_progress=on_progress
    )

    assert report.findings == ()
    assert seen == sorted(seen)
    assert shop.item(4).title is None


def test_two_do_not_mend_at_once(shop: Lively, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.upkeep.alone.WAIT_SECONDS", 0.01)
    with alone(shop.places.locks), pytest.raises(CatalogBusy, match="fsck, backup or gc"):
        shop.fsck(mend=True)


def test_the_same_on_postgresql(tmp_path: Path) -> None:
    with postgres_server() as server:
        lively = Lively(tmp_path / "workspace", address=server.new_database())
        assert lively.fsck().findings == ()
        lively.stored(2).unlink()
        execute(lively, "UPDATE search_document SET words = 'nonsense' WHERE item_id = 1")
        execute(lively, "UPDATE item SET near_duplicate_of_id = 1 WHERE id = 2")
        execute(lively, "UPDATE item SET near_duplicate_of_id = 2 WHERE id = 3")

        report = lively.fsck(mend=True)

        assert {(each.kind, each.subject, each.mended) for each in report.findings} == {
            (Kind.MISSING_FILE, "i2", False),
            (Kind.SEARCH, "i1", True),
            (Kind.BROKEN_STAR, "i3", True),
        }
        lively.ingest((fetched("b.png"), lively.bytes_of("b")))
        assert lively.fsck().findings == ()
        assert json.dumps([vars(each) for each in report.findings])
        lively.catalog.close()

"""A full disk and one that is read-only: a clear error, nothing half-written, and the next try completes."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.catalog.engine import open_catalog
from pipeline.errors import WorkspaceUnusable
from pipeline.provenance.verify import verify_all
from pipeline.store import Store
from pipeline.upkeep.backup import back_up
from pipeline.upkeep.findings import Kind
from pipeline.workspace import Workspace
from tests.support.catalog_driver import Job, Work, clear_away, fsck
from tests.support.catalog_results import Result, read_result
from tests.support.catalog_story import REVISIONS, copy_rows, make_workspace
from tests.support.inverting import InvertingRenderer, Workshop, picture, workshop
from tests.support.small_disk import SmallDisk, small_disk

pytestmark = [pytest.mark.slow, pytest.mark.sqlite(reason="the disk of a server is the server's")]
MEGABYTES = 16
WAY_OUT_OF_FULL = "make room"
WAY_OUT_OF_READ_ONLY = "make (it|the folder) writable"


def _work(name: str) -> Callable[[Path], None]:
    """A stage of the stories, as its command does it."""

    def do(root: Path) -> None:
        path = root / "catalog.sqlite3"
        with open_catalog(path) as catalog:
            getattr(Work(Job(root, str(path), seed=1), lambda _news: None), name)(catalog)

    return do


def _mend(root: Path) -> None:
    with open_catalog(root / "catalog.sqlite3") as catalog:
        assert fsck(root, catalog, mend=True).is_clean


def _back_up(root: Path) -> None:
    assert back_up(root / "copy", workspace=Workspace(root), version="1").problems == ()


def _migrate(root: Path) -> None:
    open_catalog(root / "catalog.sqlite3").close()


OPERATIONS: dict[str, Callable[[Path], None]] = {
    **{name: _work(name) for name in ("ingest_all", "stylize", "merge", "collect")},
    "mend": _mend,
    "backup": _back_up,
    "migrate": _migrate,
}


@dataclass(frozen=True)
class Before:
    """A workspace for each operation, and what that one makes of it on a disk with room."""

    roots: dict[str, Path]
    after: dict[str, Result]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    folder = tmp_path_factory.mktemp("troubles")
    waiting, taken, harmed, old = (folder / name for name in ("waiting", "taken", "harmed", "old"))
    make_workspace(waiting)
    shutil.copytree(waiting, taken)
    OPERATIONS["ingest_all"](taken)
    shutil.copytree(taken, harmed)
    _harm(harmed)
    shutil.copytree(waiting, old, ignore=shutil.ignore_patterns("catalog.sqlite3*"))
    copy_rows(waiting / "catalog.sqlite3", str(old / "catalog.sqlite3"), revision=REVISIONS[0])
    roots = {**dict.fromkeys(OPERATIONS, taken), "ingest_all": waiting, "mend": harmed, "migrate": old}
    after = {}
    for name, operation in OPERATIONS.items():
        done = folder / f"after-{name}"
        shutil.copytree(roots[name], done)
        operation(done)
        after[name] = read_result(done, str(done / "catalog.sqlite3"))
    return Before(roots, after)


def _harm(root: Path) -> None:
    """What `fsck --mend` mends: a dream's file is lost, and there is one that nobody knows, and a leftover."""
    [copy] = (root / "dreams").glob("old-1-*.png")
    Store(root / "store").path(hashlib.sha256(copy.read_bytes()).hexdigest()).unlink()
    stray = Store(root / "store").path(Store(root / "store").put(b"stray"))
    leftover = stray.with_name(".tmp-left")
    leftover.write_bytes(b"half")
    for path in (stray, leftover):
        os.utime(path, (time.time() - 7200,) * 2)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("disk"), megabytes=MEGABYTES) as disk:
        yield disk


@pytest.fixture
def root(disk: SmallDisk) -> Iterator[Path]:
    yield disk.root / "workspace"
    disk.make_room()
    shutil.rmtree(disk.root / "workspace", ignore_errors=True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_on_a_full_disk_it_says_so_and_the_next_try_with_room_completes(
    name: str, before: Before, disk: SmallDisk, root: Path
) -> None:
    told = 0
    for free_bytes in (0, 40_000, 320_000):
        shutil.copytree(before.roots[name], root)
        disk.fill(free_bytes=free_bytes)

        problem = None
        try:
            OPERATIONS[name](root)
        except WorkspaceUnusable as error:
            problem = str(error)

        if problem is not None:
            assert WAY_OUT_OF_FULL in problem
            told += 1
            disk.make_room()
            assert_whole(name, root)
            OPERATIONS[name](root)

        disk.make_room()
        assert_done(name, root, before)
        shutil.rmtree(root)
    assert told > 0  # without any room there is nothing that could be done


def test_a_dream_whose_row_finds_no_room_is_recorded_by_the_next_one_as_it_is(
    disk: SmallDisk, root: Path, tmp_path: Path
) -> None:
    with workshop(tmp_path) as roomy:
        item_id = roomy.add(picture(1))
    root.mkdir()
    shutil.copy(tmp_path / "catalog.sqlite3", root / "catalog.sqlite3")
    renderer = InvertingRenderer()
    with open_catalog(root / "catalog.sqlite3") as catalog:
        shop = Workshop(tmp_path, catalog, Store(tmp_path / "store"))  # only the catalog has no room
        disk.fill(free_bytes=0)
        with pytest.raises(WorkspaceUnusable, match=WAY_OUT_OF_FULL):
            shop.stylize(item_id, renderer=renderer)
        disk.make_room()
        [made] = set(shop.store.digests()) - {shop.item(item_id).blob_sha256}

        report = shop.stylize(item_id, renderer=renderer)

        assert (report.made, report.already, report.failed) == (0, 1, ())
        assert renderer.calls == 1
        assert shop.derivation(report.derivation_ids[0]).blob_sha256 == made
        assert set(shop.store.digests()) == {made, shop.item(item_id).blob_sha256}
        assert list(shop.store.notes_folder.iterdir()) == []
        assert verify_all(catalog=catalog, store=shop.store, dreams_folder=shop.dreams).ok


@pytest.mark.parametrize("name", OPERATIONS)
def test_on_a_read_only_disk_it_says_so_and_changes_nothing(
    name: str, before: Before, disk: SmallDisk, root: Path
) -> None:
    shutil.copytree(before.roots[name], root)
    files = files_of(root)

    with disk.read_only(), pytest.raises(WorkspaceUnusable, match=WAY_OUT_OF_READ_ONLY):
        OPERATIONS[name](root)

    assert files_of(root) == files
    OPERATIONS[name](root)
    assert_done(name, root, before)


@pytest.mark.parametrize("name", ["ingest_all", "stylize", "collect", "mend"])
def test_with_a_read_only_store_it_names_the_store_and_the_next_try_completes(
    name: str, before: Before, disk: SmallDisk, root: Path
) -> None:
    shutil.copytree(before.roots[name], root)
    stored = files_of(root / "store")

    with disk.read_only(root / "store"), pytest.raises(WorkspaceUnusable, match=WAY_OUT_OF_READ_ONLY) as caught:
        OPERATIONS[name](root)

    assert str(root / "store") in str(caught.value)
    assert files_of(root / "store") == stored
    if name != "collect":  # that one says first what it is about to delete
        assert_whole(name, root)
    OPERATIONS[name](root)
    assert_done(name, root, before)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
@pytest.mark.parametrize(
    "arguments", [("gc", "--now", "--delete"), ("duplicates", "merge", "--all"), ("fsck", "--mend"), ("backup", "copy")]
)
def test_the_commands_tell_it_in_one_line_with_a_way_out(
    arguments: tuple[str, ...],
    trouble: str,
    before: Before,
    disk: SmallDisk,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from flows.cli import app

    shutil.copytree(before.roots["collect"], root)
    monkeypatch.chdir(disk.root)
    command = [*arguments, "--workspace", str(root)]

    if trouble == "full":
        disk.fill(free_bytes=0)
        done = CliRunner().invoke(app, command)
        disk.make_room()
    else:
        with disk.read_only():
            done = CliRunner().invoke(app, command)

    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("dreamcrawl: ")
    assert (WAY_OUT_OF_FULL if trouble == "full" else "choose another") in line
    assert not (disk.root / "copy").exists()
    assert CliRunner().invoke(app, ["fsck", "--workspace", str(root)]).exit_code == 0


def assert_whole(name: str, root: Path) -> None:
    """Nothing is half: no temporary file, every file what its name says, and the rows as they must be."""
    names = [path.name for path in root.rglob("*") if path.name != ".tmp-left"]
    assert [each for each in names if each.startswith((".tmp-", ".part-"))] == []
    assert not (root / "copy").exists()
    for path in (root / "store").glob("??/??/*"):
        assert path.name == ".tmp-left" or hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    if name == "migrate":
        return  # looking would migrate it
    with open_catalog(root / "catalog.sqlite3") as catalog:
        harm = {Kind.MISSING_FILE, Kind.UNKNOWN_FILE, Kind.LEFTOVER} if name == "mend" else set()
        assert {finding.kind for finding in fsck(root, catalog).findings} <= harm


def assert_done(name: str, root: Path, before: Before) -> None:
    with open_catalog(root / "catalog.sqlite3") as catalog:
        assert fsck(root, catalog).findings == ()
        if name == "backup":
            assert (root / "copy" / "backup.json").is_file()
        if name == "mend":
            assert [path.read_bytes() for path in (root / "quarantine").iterdir()] == [b"stray"]
        clear_away(root, catalog)  # a file whose row could not be written any more
    assert read_result(root, str(root / "catalog.sqlite3")) == before.after[name]


def files_of(folder: Path) -> dict[str, str]:
    """The digest of every file; what SQLite keeps beside its file while it is open is nothing."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }

"""Backups: whole or not there at all, taken while others write, and restored only when every digest holds."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.errors import NotFound, UsageError, WorkspaceUnusable
from pipeline.provenance.verify import verify_all
from pipeline.store import Store
from pipeline.upkeep.backup import back_up, restore
from pipeline.workspace import Workspace
from tests.support.inboxes import fetched
from tests.support.lively_workspace import Lively
from tests.support.pictures import scene_file

pytestmark = pytest.mark.sqlite(reason="backups are of catalogs that are files")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lively]:
    lively = Lively(tmp_path_factory.mktemp("backup") / "workspace")
    (lively.workspace.keys / "signing.pem").write_bytes(b"secret")
    (lively.workspace.weights / "own").mkdir()
    (lively.workspace.weights / "own" / "network.h5").write_bytes(b"weights")
    yield lively
    lively.catalog.close()


@pytest.fixture(scope="module")
def backup(shop: Lively, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("backups") / "first"
    report = back_up(target, workspace=shop.workspace, version="1")
    assert report.problems == ()
    assert report.files == len(files_below(target)) - 2  # the list, and what vouches for it
    return target


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_restored_workspace_is_the_same_and_verifies(shop: Lively, backup: Path, tmp_path: Path) -> None:
    restored = Workspace(tmp_path / "deep" / "restored")

    report = restore(backup, workspace=restored)

    assert report.problems == ()
    with open_catalog(restored.catalog_path) as catalog, catalog.read() as uow, shop.catalog.read() as original:
        assert uow.counts() == original.counts()
        found = verify_all(catalog=catalog, store=Store(restored.store), dreams_folder=restored.dreams)
    assert found.ok, [check for check in found.checks if not check.ok]
    for name in ("store", "dreams", "weights", "keys"):
        assert files_below(restored.root / name) == files_below(shop.root / name)
    if os.name == "posix":
        modes = {path: path.stat().st_mode & 0o777 for path in (backup, backup / "keys", restored.keys)}
        assert set(modes.values()) == {0o700}
        for keys in (backup / "keys", restored.keys):
            assert (keys / "signing.pem").stat().st_mode & 0o777 == 0o600
        assert restored.root.stat().st_mode == restored.root.parent.stat().st_mode  # as folders are made here


def test_links_take_no_space_and_are_checked_as_copies_are(shop: Lively, tmp_path: Path) -> None:
    report = back_up(tmp_path / "linked", workspace=shop.workspace, version="1", link=True)

    stored = shop.stored(1)
    copy = tmp_path / "linked" / "store" / stored.relative_to(shop.store.root)
    assert report.linked == 5
    assert copy.samefile(stored)
    restore(tmp_path / "linked", workspace=Workspace(tmp_path / "again"))
    assert not (tmp_path / "again" / "store" / stored.relative_to(shop.store.root)).samefile(stored)


def test_what_arrives_meanwhile_is_not_in_it_and_does_no_harm(tmp_path: Path) -> None:
    lively = Lively(tmp_path / "workspace")

    def on_progress(done: int, total: int) -> None:
        if done == 1:
            lively.ingest((fetched("d.png"), scene_file(4)))
        assert total == 5

    back_up(tmp_path / "backup", workspace=lively.workspace, version="1", on_progress=on_progress)
    restore(tmp_path / "backup", workspace=Workspace(tmp_path / "restored"))

    with open_catalog(tmp_path / "restored" / "catalog.sqlite3") as catalog, catalog.read() as uow:
        assert uow.counts().items == 3
    with lively.catalog.read() as uow:
        assert uow.counts().items == 4
    lively.catalog.close()


def test_missing_and_altered_files_are_told_of_and_left_out(tmp_path: Path) -> None:
    lively = Lively(tmp_path / "workspace")
    lively.stored(1).unlink()
    lively.stored(2).write_bytes(b"other bytes")

    report = back_up(tmp_path / "backup", workspace=lively.workspace, version="1")

    assert len(report.problems) == 2
    assert any("missing" in each for each in report.problems)
    assert any("other bytes" in each for each in report.problems)
    again = restore(tmp_path / "backup", workspace=Workspace(tmp_path / "restored"))
    assert again.problems == report.problems
    lively.catalog.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.upkeep.backup import back_up, restore
from pipeline.workspace import Workspace
def on_progress(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
what, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if what == "backup":
    back_up(target, workspace=Workspace(source), version="1", on_progress=on_progress)
else:
    restore(source, workspace=Workspace(target), on_progress=on_progress)
"""


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_one_that_is_killed_leaves_nothing_in_sight_and_the_next_one_is_whole(
    shop: Lively, backup: Path, tmp_path: Path, what: str
) -> None:
    source, target = (shop.root if what == "backup" else backup), tmp_path / "target"

    killed = subprocess.run([sys.executable, "-c", KILLED, what, str(source), str(target)], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    assert not any(path.name[0] != "." for path in tmp_path.iterdir())
    assert (tmp_path / ".tmp-target").stat().st_mode & 0o77 == 0
    if what == "backup":
        back_up(target, workspace=shop.workspace, version="1")
        restore(target, workspace=Workspace(tmp_path / "restored"))
    else:
        restore(backup, workspace=Workspace(target))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def damage_a_picture(folder: Path) -> None:
    next(path for path in (folder / "store").rglob("*") if path.is_file()).write_bytes(b"other")


def lose_a_picture(folder: Path) -> None:
    next(path for path in (folder / "store").rglob("*") if path.is_file()).unlink()


def alter_the_list(folder: Path) -> None:
    lines = (folder / "files.jsonl").read_text().splitlines()
    (folder / "files.jsonl").write_text("\n".join(lines[1:]) + "\n")


def lead_outside(folder: Path) -> None:
    write_list(folder, (folder / "files.jsonl").read_bytes() + b'{"path": "../x", "sha256": "x", "size_bytes": 1}\n')


def list_nonsense(folder: Path) -> None:
    write_list(folder, b"[1, 2]\n")


def write_list(folder: Path, lines: bytes) -> None:
    (folder / "files.jsonl").write_bytes(lines)
    about = json.loads((folder / "backup.json").read_text())
    about["files_sha256"] = hashlib.sha256(lines).hexdigest()
    (folder / "backup.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damage_a_picture, "altered"),
        (lose_a_picture, "lacks"),
        (alter_the_list, "list of files"),
        (lead_outside, "outside"),
        (list_nonsense, "is of a kind"),
    ],
)
def test_a_damaged_backup_is_not_restored_in_part(backup: Path, tmp_path: Path, harm: object, told: str) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backup, damaged)
    harm(damaged)  # type: ignore[operator]  # one of the functions above

    with pytest.raises(WorkspaceUnusable, match=told):
        restore(damaged, workspace=Workspace(tmp_path / "restored"))

    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


def test_a_backup_of_a_later_version_may_say_more_of_each_file(backup: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    shutil.copytree(backup, later)
    lines = [json.loads(line) | {"links": 1} for line in (later / "files.jsonl").read_text().splitlines()]
    write_list(later, "".join(f"{json.dumps(line)}\n" for line in lines).encode())

    assert restore(later, workspace=Workspace(tmp_path / "restored")).files == len(lines)


def test_a_damaged_catalog_is_called_by_its_own_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    workspace.prepare()
    with open_catalog(workspace.catalog_path):
        pass
    with workspace.catalog_path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)

    with pytest.raises(WorkspaceUnusable) as told:
        back_up(tmp_path / "backup", workspace=workspace, version="1")

    assert str(workspace.catalog_path) in str(told.value)
    assert ".tmp-" not in str(told.value)


def test_a_place_that_cannot_be_replaced_is_told_of(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(self: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(self))

    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(Path, "rmdir", busy)  # as where a disk is mounted

    with pytest.raises(WorkspaceUnusable, match="a folder below it"):
        restore(backup, workspace=Workspace(tmp_path / "volume"))


def test_nothing_is_written_over_what_is_there(shop: Lively, backup: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there already"):
        back_up(backup, workspace=shop.workspace, version="1")
    with pytest.raises(UsageError, match="not empty"):
        restore(backup, workspace=shop.workspace)
    (tmp_path / "link").symlink_to(shop.workspace.dreams)
    for inside in (shop.store.root, shop.workspace.dreams, shop.workspace.weights, tmp_path / "link"):
        with pytest.raises(UsageError, match="which is to be backed up"):
            back_up(inside / "backup", workspace=shop.workspace, version="1")
    (tmp_path / "link").unlink()
    with pytest.raises(NotFound, match="is no backup"):
        restore(tmp_path, workspace=Workspace(tmp_path / "restored"))
    (tmp_path / "empty").mkdir()
    restore(backup, workspace=Workspace(tmp_path / "empty"))

"""An export over what is there already: an earlier one, a broken-off one, folders and files of others."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UsageError, WorkspaceUnusable
from tests.support.exports import FILES, check_digests, contents, fill, take, withdraw
from tests.support.inverting import Workshop


def test_a_picture_withdrawn_later_goes_with_the_next_export(shop: Workshop, tmp_path: Path) -> None:
    ids = fill(shop)
    for layout in ("files", "webdataset"):
        take(shop, tmp_path / layout, layout=layout, shard_size=1)
    withdraw(shop, ids[0])

    for layout in ("files", "webdataset"):
        report = take(shop, tmp_path / layout, layout=layout, shard_size=1)
        take(shop, tmp_path / f"{layout}-anew", layout=layout, shard_size=1)

        assert (report.samples, report.shards) == (2, 2)
        assert contents(tmp_path / layout) == contents(tmp_path / f"{layout}-anew")
        assert not any(FILES[0] in data for data in contents(tmp_path / layout).values())


@pytest.mark.parametrize("layout", ["files", "webdataset", "parquet"])
def test_shards_that_are_as_they_would_be_are_kept(layout: str, shop: Workshop, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    fill(shop)
    take(shop, tmp_path / "out", layout=layout, shard_size=1)
    before = contents(tmp_path / "out")
    inodes = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("0*") if path.is_file()}
    spoilt = next(path for path in sorted(inodes) if path.name.startswith("00001") and path.suffix != ".json")
    spoilt.write_bytes(spoilt.read_bytes()[:-1])
    (tmp_path / "out" / ".tmp-left").write_bytes(b"half")

    report = take(shop, tmp_path / "out", layout=layout, shard_size=1)

    assert (report.written, report.shards) == (1, 3)
    assert contents(tmp_path / "out") == before
    assert {path for path, inode in inodes.items() if path.stat().st_ino != inode} == {spoilt}


def test_a_damaged_picture_is_left_out_until_it_is_back(shop: Workshop, tmp_path: Path) -> None:
    ids = fill(shop)
    stored = shop.store.path(shop.item(ids[1]).blob_sha256)
    stored.write_bytes(b"other bytes")

    for layout in ("files", "webdataset"):
        report = take(shop, tmp_path / layout, layout=layout)
        assert (report.samples, report.damaged) == (2, 1)
        check_digests(tmp_path / layout)
    stored.write_bytes(FILES[1])

    for layout in ("files", "webdataset"):
        report = take(shop, tmp_path / layout, layout=layout)
        assert (report.samples, report.damaged, report.written) == (3, 0, 1)


def test_other_folders_are_left_alone(shop: Workshop, tmp_path: Path) -> None:
    fill(shop)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "00000.tar").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"")
    take(shop, tmp_path / "out")

    with pytest.raises(UsageError, match="holds no export"):
        take(shop, tmp_path / "mine")
    with pytest.raises(UsageError, match="is a file"):
        take(shop, tmp_path / "file")
    with pytest.raises(UsageError, match=r"other settings \(format\)"):
        take(shop, tmp_path / "out", layout="webdataset")
    with pytest.raises(UsageError, match="no format 'tfrecord'"):
        take(shop, tmp_path / "new", layout="tfrecord")
    assert contents(tmp_path / "mine") == {"00000.tar": b"mine"}
    assert not (tmp_path / "new").exists()


def test_strangers_files_stay_in_the_folder_of_an_export(shop: Workshop, tmp_path: Path) -> None:
    fill(shop)
    out = tmp_path / "out"
    take(shop, out, shard_size=1)
    theirs = ["123456", "20240101/20240101.jpg", "00000/1.jpg", "00002/notes.txt", ".tmp-mine/a", "mine/.tmp-abcdefgh"]
    for name in theirs:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"theirs")
    withdraw(shop, 2)
    withdraw(shop, 3)

    assert take(shop, out, shard_size=1).shards == 1

    assert all((out / name).read_bytes() == b"theirs" for name in theirs)
    assert not (out / "00001").exists()
    assert [each.name for each in (out / "00002").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("shard", ["00000", "00002"])
def test_a_link_in_place_of_a_shard_is_refused(shop: Workshop, tmp_path: Path, shard: str) -> None:
    fill(shop)
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    take(shop, out, shard_size=1)
    (out / shard).rename(elsewhere)
    (out / shard).symlink_to(elsewhere)
    before = contents(elsewhere)
    withdraw(shop, 3)

    with pytest.raises(UsageError, match="is a link"):
        take(shop, out, shard_size=1)

    assert contents(elsewhere) == before


def test_an_export_that_had_no_room_for_anything_can_be_continued(shop: Workshop, tmp_path: Path) -> None:
    fill(shop)
    (tmp_path / "out").mkdir()
    for name in (".lock", ".tmp-abcd_123"):
        (tmp_path / "out" / name).touch()

    assert take(shop, tmp_path / "out").samples == 3
    check_digests(tmp_path / "out")


def test_a_full_disk_is_told_and_nothing_half_written_stays(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop)
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr("pipeline.whole_files.os.fsync", full)
    with pytest.raises(WorkspaceUnusable, match="No space left on device; make room, then run the same command again"):
        take(shop, tmp_path / "out", layout="webdataset", shard_size=1)
    monkeypatch.undo()

    assert not list((tmp_path / "out").glob(".tmp-*"))
    assert take(shop, tmp_path / "out", layout="webdataset", shard_size=1).written == 2
    check_digests(tmp_path / "out")


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.catalog.engine import open_catalog
from pipeline.export.export import export
from pipeline.export.selection import Selection
from pipeline.store import Store

root, out, layout, after = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
writes = 0
real = os.fsync
def fsync(descriptor):
    global writes
    writes += 1
    if writes == after:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
with open_catalog(root / "catalog.sqlite3") as catalog:
    export(out, catalog=catalog, store=Store(root / "store"), layout=layout, selection=Selection(), shard_size=1)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize(("layout", "after"), [("files", 4), ("files", 11), ("webdataset", 2), ("webdataset", 9)])
def test_an_export_that_was_killed_is_completed_by_the_next(
    layout: str, after: int, shop: Workshop, tmp_path: Path
) -> None:
    fill(shop)
    take(shop, tmp_path / "whole", layout=layout, shard_size=1)
    arguments = [str(shop.root), str(tmp_path / "out"), layout, str(after)]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, timeout=60)

    take(shop, tmp_path / "out", layout=layout, shard_size=1)

    assert ended.returncode == -signal.SIGKILL
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")

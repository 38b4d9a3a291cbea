from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StoreCorrupt, WorkspaceUnusable
from pipeline.store import LEFTOVER_SECONDS, Store, move_leftover


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=5000))
def test_what_is_put_is_read_back_under_its_sha256(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = Store(tmp_path_factory.mktemp("store"))

    digest = store.put(data)

    assert digest == hashlib.sha256(data).hexdigest()
    assert store.read(digest) == data
    assert store.path(digest) == store.root / digest[:2] / digest[2:4] / digest


def test_putting_twice_writes_once_and_says_that_the_file_is_needed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = store.put(b"picture")
    os.utime(store.path(digest), (1, 1))
    before = store.path(digest).stat()

    store.put(b"picture")

    assert store.path(digest).stat().st_mtime > 1  # or a cleaning up could take it for a leftover
    assert store.path(digest).stat().st_ino == before.st_ino
    assert _files(tmp_path) == [store.path(digest)]


def test_a_file_that_a_power_loss_cut_short_is_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = store.put(b"all of the picture")
    store.path(digest).write_bytes(b"all of")

    store.put(b"all of the picture")

    assert store.read(digest) == b"all of the picture"


def test_changed_bytes_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = store.put(b"picture")
    store.path(digest).write_bytes(b"pictura")

    with pytest.raises(StoreCorrupt, match="other bytes"):
        store.read(digest)


def test_missing_bytes_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path)

    assert not store.has("0" * 64)
    with pytest.raises(StoreCorrupt, match="missing"):
        store.read("0" * 64)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_digests_name_files(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        Store(tmp_path).path(digest)


def test_many_writers_of_the_same_bytes_leave_one_whole_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    data = bytes(range(256)) * 2000

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: store.put(data), range(40)))

    assert len(digests) == 1
    assert store.read(digests.pop()) == data
    assert len(_files(tmp_path)) == 1


def test_lists_its_digests_and_no_temporary_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digests = sorted(store.put(bytes([number])) for number in range(5))
    (store.path(digests[0]).parent / ".tmp-left-by-a-kill").write_bytes(b"half")

    assert list(store.digests()) == digests
    assert list(Store(tmp_path / "nowhere").digests()) == []


def test_a_folder_that_cannot_be_written_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(WorkspaceUnusable, match="choose another workspace"):
        Store(tmp_path / "file" / "store").put(b"picture")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from pipeline.errors import WorkspaceUnusable\n"
        "from pipeline.store import Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    Store(Path(sys.argv[1])).put(b'x' * 10000)\n"
        "except WorkspaceUnusable:\n"
        "    sys.exit(3)\n"
    )

    code = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode

    assert code == 3
    assert _files(tmp_path) == []


def test_a_file_that_is_taken_away_while_it_is_put_again_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    digest = store.put(b"picture")
    touch = os.utime

    def taken_away(path: Path) -> None:
        path.unlink()
        touch(path)

    monkeypatch.setattr(os, "utime", taken_away)

    assert store.put(b"picture") == digest
    assert store.read(digest) == b"picture"


def test_only_what_nobody_has_touched_for_long_is_a_leftover(tmp_path: Path) -> None:
    young, old = tmp_path / "young", tmp_path / "old"
    for path in (young, old):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * LEFTOVER_SECONDS,) * 2)

    assert not move_leftover(young, tmp_path / "away")
    assert move_leftover(old, tmp_path / "away")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["away", "young"]

"""A workspace that cannot be written: on a disk mounted read-only, or somebody else's. What only reads works there."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from flows.cli import app
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.read_only import ReadOnlyFile
from pipeline.duplicates.similar import SimilarSearch
from pipeline.errors import CatalogBusy, WorkspaceUnusable
from pipeline.extract import extract_item
from pipeline.store import Store
from tests.support.extracting import FieldsAlgorithm, FieldsExtractor
from tests.support.inverting import picture, workshop
from tests.support.items import found_near
from tests.support.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.sqlite(reason="the disk of a server is the server's")
ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


def fill(root: Path) -> None:
    """i1 with a dream and a tag, i2 near to i3, and a run."""
    with workshop(root) as shop:
        ids = [shop.add(picture(seed), title=f"Windmill {seed}", license_id="CC0-1.0") for seed in range(3)]
        with shop.catalog.write() as uow:
            run_id = uow.runs.start(
                "run", keywords=["mill"], source="folder=x", parameters={}, process="h:1:1", version="1"
            )
            uow.runs.add_items(run_id, [(item_id, "accepted") for item_id in ids])
            uow.runs.finish(run_id, "done", {"found": 3})
            uow.tags.add(ids[0], "for print")
            found_near(uow, ids[2], ids[1])
            found_near(uow, ids[0], ids[1], link=False)
        shop.dream(ids[0])


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("disk"), megabytes=16) as disk:
        fill(disk.root / "workspace")
        yield disk


@pytest.fixture
def root(disk: SmallDisk) -> Path:
    return disk.root / "workspace"


@pytest.fixture
def copy(disk: SmallDisk, root: Path) -> Iterator[Path]:
    """Of the workspace, to do with as one likes."""
    yield Path(shutil.copytree(root, disk.root / "copy"))
    shutil.rmtree(disk.root / "copy")


def run(root: Path, *arguments: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, [*arguments, "--workspace", str(root)])
    assert answer.exit_code == code, answer.output
    return answer.stdout


def as_json(root: Path, *arguments: str) -> Any:
    return json.loads(run(root, *arguments, "--json"))


def titles(catalog: Catalog) -> set[str | None]:
    with catalog.read() as uow:
        return {item.title for item in uow.items.list()}


READING = [
    ("items",),
    ("items", "--search", "windmill"),
    ("status",),
    ("runs",),
    ("runs", "show", "r1"),
    ("duplicates", "list"),
    ("duplicates", "groups"),
    ("duplicates", "show", "i1", "i2"),
    ("schedule", "list"),
    ("tag",),
    ("verify",),
    ("verify", "d1"),
    ("verify", "i1"),
    ("fsck",),
    ("config",),
    ("sources", "list"),
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_what_only_reads_says_the_same_on_a_read_only_disk(
    arguments: tuple[str, ...], disk: SmallDisk, root: Path
) -> None:
    before = as_json(root, *arguments)
    files = sorted(root.rglob("*"))

    with disk.read_only():
        answer = as_json(root, *arguments)

    for told in (before, answer):
        if isinstance(told, dict):
            told.pop("seconds", None)
    assert answer == before
    assert sorted(root.rglob("*")) == files


@pytest.mark.parametrize("what", ["originals", "dreams"])
def test_an_export_and_the_provenance_of_a_run_go_elsewhere(
    what: str, disk: SmallDisk, root: Path, tmp_path: Path
) -> None:
    with disk.read_only():
        assert as_json(root, "export", "--to", str(tmp_path / "out"), "--what", what)["samples"] == (
            3 if what == "originals" else 1
        )
        run(root, "export-provenance", "r1", "--to", str(tmp_path / "crate"))


def test_features_that_cannot_be_kept_are_compared_all_the_same(disk: SmallDisk, copy: Path) -> None:
    path, store, search = copy / "catalog.sqlite3", Store(copy / "store"), SimilarSearch(FieldsAlgorithm())
    with open_catalog(path) as catalog:
        for item_id in (2, 3):
            assert extract_item(catalog, store, FieldsExtractor(), item_id, search=search) is None

    with disk.read_only(), open_catalog(path, only_reads=True) as catalog:
        vector = extract_item(catalog, store, FieldsExtractor(), 1, search=search)
        known = extract_item(catalog, store, FieldsExtractor(), 2, search=search)
        with catalog.read() as uow:
            found = [one.item_id for one in search.like(uow, vector, 5)]
            missing = uow.features.count_missing(search.algorithm.name)

    assert known is None
    assert sorted(found) == [2, 3]
    assert missing == 1


def test_the_gallery_is_served_with_its_pictures(disk: SmallDisk, root: Path) -> None:
    command = [sys.executable, "-m", "flows", "browse", "--port", "0", "--workspace", str(root)]
    with disk.read_only(), subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[4]
            items = json.load(urllib.request.urlopen(f"{url}api/items", timeout=30))["items"]
            assert [item["public_id"] for item in items] == ["i3", "i1"]
            with urllib.request.urlopen(f"{url}media/thumb/{items[0]['sha256']}?side=160", timeout=30) as answer:
                assert answer.read(4) == b"RIFF"
            assert b"Windmill 0" in urllib.request.urlopen(f"{url}items/i1", timeout=30).read()
        finally:
            server.terminate()


@pytest.mark.parametrize(
    "arguments", [("tag", "i1", "--add", "x"), ("rate", "i1", "--stars", "3"), ("gc", "--delete"), ("features",)]
)
def test_what_writes_says_that_it_cannot(arguments: tuple[str, ...], disk: SmallDisk, root: Path) -> None:
    with disk.read_only():
        answer = CliRunner().invoke(app, [*arguments, "--workspace", str(root)])

    assert answer.exit_code == 1
    assert "cannot be written" in answer.stderr
    assert "choose another" in answer.stderr


def test_a_catalog_that_is_read_only_cannot_be_written_by_whoever_tries(disk: SmallDisk, root: Path) -> None:
    with disk.read_only(), open_catalog(root / "catalog.sqlite3", only_reads=True) as catalog:
        assert catalog.is_read_only
        with pytest.raises(WorkspaceUnusable, match="make the folder writable"), catalog.write():
            pass
        assert len(titles(catalog)) == 3


def test_where_it_can_be_written_nothing_is_different(root: Path) -> None:
    with open_catalog(root / "catalog.sqlite3", only_reads=True) as catalog:
        assert not catalog.is_read_only


def test_somebody_elses_workspace_is_read() -> None:
    """In this process, as nobody else can read the Python that runs it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        fill(root)
        expected = [run(root, *arguments) for arguments in READING]

        with as_nobody():
            assert [run(root, *arguments) for arguments in READING] == expected
            answer = CliRunner().invoke(app, ["tag", "i1", "--add", "x", "--workspace", name])

        assert answer.exit_code == 1
        assert "cannot be written" in answer.stderr


@contextmanager
def as_nobody() -> Iterator[None]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def mounted_twice(disk: SmallDisk, folder: Path) -> Iterator[Path]:
    """The same folder at another place, where it can only be read, as in a container."""
    view = disk.root / "view"
    view.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(view)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
    try:
        yield view
    finally:
        subprocess.run(["umount", "-l", str(view)], check=True)
        view.rmdir()


def test_what_a_writer_at_another_mount_writes_is_read(disk: SmallDisk, copy: Path) -> None:
    path = copy / "catalog.sqlite3"
    with mounted_twice(disk, copy) as view, open_catalog(view / path.name, only_reads=True) as reader:
        assert reader.is_read_only
        assert len(titles(reader)) == 3
        for title in ("once", "twice"):
            with open_catalog(path) as writer:
                rename(writer, f"Renamed {title}")
                assert f"Renamed {title}" in titles(reader)  # from the log
                rename(writer, f"Renamed {title} more")
                assert f"Renamed {title} more" in titles(reader)
            assert f"Renamed {title} more" in titles(reader)


def test_who_reads_the_file_while_it_is_written_is_told_to_try_again(disk: SmallDisk, copy: Path) -> None:
    def read_meanwhile(reader: Catalog) -> None:
        with reader.read() as uow:
            uow.items.list()
            with open_catalog(copy / "catalog.sqlite3") as writer:
                rename(writer, "Renamed")  # and, closing it, taken over into the file that is being read

    with mounted_twice(disk, copy) as view, open_catalog(view / "catalog.sqlite3", only_reads=True) as reader:
        with pytest.raises(CatalogBusy, match="run the same command again"):
            read_meanwhile(reader)
        assert "Renamed" in titles(reader)


def test_no_connection_that_looks_at_no_lock_is_kept_for_a_file_that_is_written(
    disk: SmallDisk, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, connect = copy / "catalog.sqlite3", ReadOnlyFile.connect
    writer = open_catalog(path)
    rename(writer, "Renamed")

    def connect_late(file: ReadOnlyFile) -> sqlite3.Connection:
        writer.close()  # after it was seen that there is a log
        return connect(file)

    with mounted_twice(disk, copy) as view:
        monkeypatch.setattr(ReadOnlyFile, "connect", connect_late)
        with pytest.raises(CatalogBusy, match="run the same command again"):
            open_catalog(view / path.name, only_reads=True)
        monkeypatch.undo()
        with open_catalog(view / path.name, only_reads=True) as reader:
            assert "Renamed" in titles(reader)


def rename(catalog: Catalog, title: str) -> None:
    with catalog.write() as uow:
        uow.session.execute(text("UPDATE item SET title = :title WHERE id = 1"), {"title": title})


KILLED = (
    "import os, signal, sys\n"
    "from sqlalchemy import text\n"
    "from pipeline.catalog.engine import open_catalog\n"
    "catalog = open_catalog(sys.argv[1])\n"
    "with catalog.write() as uow:\n"
    "    uow.session.execute(text(\"UPDATE item SET title = 'Kept by the log' WHERE id = 1\"))\n"
    "os.kill(os.getpid(), signal.SIGKILL)\n"
)


def test_what_a_killed_writer_left_in_its_log_is_read(disk: SmallDisk, copy: Path) -> None:
    path = copy / "catalog.sqlite3"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert path.with_name("catalog.sqlite3-wal").stat().st_size > 0

    with disk.read_only(), open_catalog(path, only_reads=True) as catalog:
        assert "Kept by the log" in titles(catalog)
        assert "Kept by the log" in titles(catalog)


def test_a_log_without_its_index_is_told_with_a_way_out(disk: SmallDisk, copy: Path) -> None:
    path = copy / "catalog.sqlite3"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    path.with_name("catalog.sqlite3-shm").unlink()

    with disk.read_only():
        answer = CliRunner().invoke(app, ["items", "--workspace", str(copy)])
    assert answer.exit_code == 1
    assert "catalog.sqlite3-wal" in answer.stderr
    assert "dreamcrawl status" in answer.stderr

    run(copy, "status")
    with disk.read_only():
        assert "Kept by the log" in run(copy, "items")


def test_a_catalog_of_an_earlier_version_is_told_with_a_way_out(disk: SmallDisk, copy: Path) -> None:
    with closing(sqlite3.connect(copy / "catalog.sqlite3", isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0007'")

    with disk.read_only():
        answer = CliRunner().invoke(app, ["items", "--workspace", str(copy)])

    assert answer.exit_code == 1
    assert "earlier dreamcrawl" in answer.stderr
    assert "--workspace" in answer.stderr

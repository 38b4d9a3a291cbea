from __future__ import annotations

import csv
import dataclasses
import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree
from PIL import Image
from sqlalchemy import text

from pipeline.errors import UsageError, WorkspaceUnusable
from pipeline.export.export import ExportReport, export
from pipeline.export.samples import key_of
from pipeline.export.selection import Selection, What, check_licenses, objection_to_license
from pipeline.licenses import license_by_id
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture, workshop

HOSTILE = '=HYPERLINK("http://evil.example")<script>[x](javascript:1)'


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path / "workspace") as made:
        yield made


def take(shop: Workshop, folder: Path, **options: Any) -> ExportReport:
    selection = Selection(**{name: options.pop(name) for name in ("what", "keyword", "licenses") if name in options})
    given = {"layout": "files", "shard_size": 1000, "selection": selection, **options}
    return export(folder, catalog=shop.catalog, store=shop.store, **given)


def xmp_of(data: bytes) -> Any:
    """The packet in a PNG file, by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
    return ElementTree.fromstring(found)


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


def test_files_are_laid_out_as_img2dataset_does(shop: Workshop, tmp_path: Path) -> None:
    ids = fill(shop)

    report = take(shop, tmp_path / "out", shard_size=2)

    assert (report.samples, report.shards, report.written, report.bytes) == (3, 2, 2, sum(map(len, FILES)))
    keys = ["00000/000000", "00000/000001", "00001/000010"]  # 5 digits of the shard, 1 of the place in it
    expected = {
        f"{key}.{suffix}"
        for key, kind in zip(keys, ("png", "jpg", "png"), strict=True)
        for suffix in (kind, "txt", "json")
    }
    others = {"00000_stats.json", "00001_stats.json", "ATTRIBUTION.md", "ATTRIBUTION.csv", "export.json", "SHA256SUMS"}
    files = contents(tmp_path / "out")
    assert set(files) == expected | others
    assert files["00000/000000.png"] == FILES[0]
    assert files["00000/000001.jpg"] == FILES[1]
    assert files["00000/000000.txt"] == b"Over the Tay"
    about = json.loads(files["00000/000000.json"])
    wanted = {
        "key": "000000",
        "caption": "Over the Tay",
        "status": "success",
        "width": 80,
        "height": 64,
        "original_width": 80,
        "sha256": hashlib.sha256(FILES[0]).hexdigest(),
        "pixel_sha256": shop.item(ids[0]).pixel_sha256,
        "page_url": "https://pictures.example/bridges?page=1&lang=en",
        "title": "A stone bridge",
        "creator": "Jane Doe",
        "license": "CC-BY-4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "source": "website",
        "source_id": "b-17",
        "created": "2019",
        "tags": ["bridge"],
        "keywords": [{"keyword": "bridge", "fields": ["title", "tags"], "score": 0.45}],
        "item": f"i{ids[0]}",
    }
    assert {name: about[name] for name in wanted} == wanted
    assert about["consent"]["checked_at"] == "2026-05-04T03:02:01+00:00"
    assert json.loads(files["00000/000001.json"])["url"] == "file:b.jpg"
    assert json.loads(files["00001/000010.json"])["page_url"] is None
    assert json.loads(files["00000_stats.json"])["status_dict"] == {"success": 2}
    check_digests(tmp_path / "out")


@pytest.mark.parametrize(
    ("shard", "place", "shard_size", "key"),
    [(0, 0, 10_000, "000000000"), (1, 0, 10_000, "000010000"), (12, 34, 1000, "00012034"), (7, 0, 1, "00007")],
)
def test_keys_follow_the_rule_of_img2dataset(shard: int, place: int, shard_size: int, key: str) -> None:
    assert key_of(shard, place, shard_size=shard_size) == key


def test_a_tar_holds_what_a_folder_holds_and_is_the_same_each_time(shop: Workshop, tmp_path: Path) -> None:
    fill(shop)
    take(shop, tmp_path / "files")
    take(shop, tmp_path / "one", layout="webdataset")
    take(shop, tmp_path / "two", layout="webdataset")

    with tarfile.open(tmp_path / "one" / "00000.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # they are files
        facts = {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in tar.getmembers()}
        order = [name.partition(".")[0] for name in tar.getnames()]
    folder = {name.removeprefix("00000/"): data for name, data in contents(tmp_path / "files").items() if "/" in name}
    assert members == folder
    assert facts == {(0, 0, 0, "", 0o644)}
    assert order == sorted(order)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    check_digests(tmp_path / "one")


def test_parquet_holds_the_bytes_beside_the_columns(shop: Workshop, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    fill(shop)

    take(shop, tmp_path / "out", layout="parquet")

    rows = parquet.read_table(tmp_path / "out" / "00000.parquet").to_pylist()
    assert [row["jpg"] for row in rows] == FILES
    assert [row["sha256"] for row in rows] == [hashlib.sha256(data).hexdigest() for data in FILES]
    assert [(row["key"], row["width"], row["license"]) for row in rows][2] == ("00000002", 80, "CC0-1.0")
    assert json.loads(rows[0]["keywords"])[0]["keyword"] == "bridge"
    check_digests(tmp_path / "out")


def test_attributions_name_everything_and_cannot_do_harm(shop: Workshop, tmp_path: Path) -> None:
    fill(shop)

    report = take(shop, tmp_path / "out")

    with (tmp_path / "out" / "ATTRIBUTION.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    page = (tmp_path / "out" / "ATTRIBUTION.md").read_text()
    first = rows[0]
    assert (first["title"], first["creator"], first["license"]) == ("A stone bridge", "Jane Doe", "CC-BY-4.0")
    assert first["source"] == "https://pictures.example/bridges?page=1&lang=en"
    assert [row["share_alike"] for row in rows] == ["no", "yes", "no"]
    assert report.share_alike == 1
    assert rows[1]["title"] == f"'{HOSTILE}"
    assert "<script>" not in page
    assert r"\[x\](javascript:1)" in page  # as text, no link
    assert page.count("*Share-alike.*") == 1
    assert "secret" not in page
    assert not any("secret" in value for row in rows for value in row.values())


def test_dreams_are_exported_with_how_they_were_made(shop: Workshop, tmp_path: Path) -> None:
    ids = fill(shop)
    dream = shop.dream(ids[0])
    shop.dream(ids[1])

    report = take(shop, tmp_path / "out", what=What.DREAMS)

    about = json.loads((tmp_path / "out/00000/00000000.json").read_bytes())
    data = (tmp_path / "out/00000/00000000.png").read_bytes()
    assert report.samples == 2
    assert hashlib.sha256(data).hexdigest() == dream.blob_sha256 == about["sha256"]
    made = about["derivation"]
    assert made["recipe"] == {"kind": "invert", "strength": 1.0}
    assert (made["network"], made["seed"], made["id"]) == ("tiny", 7, f"d{dream.id}")
    assert made["source"]["sha256"] == hashlib.sha256(FILES[0]).hexdigest()
    assert made["manifest_sha256"] == dream.manifest_sha256
    assert json.loads((tmp_path / "out/00000/00000001.json").read_bytes())["derivation"]["sharing"]["terms"] == (
        "share-alike"
    )
    assert "Altered with a neural network" in (tmp_path / "out/ATTRIBUTION.md").read_text()


@pytest.mark.parametrize(
    ("license_id", "wanted", "what", "taken"),
    [
        ("CC-BY-ND-4.0", ["shareable"], What.ORIGINALS, True),
        ("CC-BY-ND-4.0", ["shareable"], What.DREAMS, False),
        ("CC-BY-ND-4.0", ["adaptable"], What.ORIGINALS, False),
        # To ask for a licence by name is not to ask for what it forbids.
        ("CC-BY-ND-4.0", ["CC-BY-ND-4.0"], What.DREAMS, False),
        ("CC-BY-ND-4.0", ["any"], What.DREAMS, True),
        ("CC-BY-ND-4.0", ["commercial"], What.ORIGINALS, False),
        ("CC-BY-3.0-US", ["CC-BY"], What.DREAMS, True),
        ("CC-BY-NC-4.0", ["shareable"], What.DREAMS, True),
        ("CC-BY-NC-4.0", ["commercial"], What.ORIGINALS, False),
        ("CC-BY-NC-4.0", ["commercial", "CC-BY-NC-4.0"], What.ORIGINALS, True),
        ("CC-BY-SA-4.0", ["commercial"], What.DREAMS, True),
        ("unknown", ["shareable"], What.ORIGINALS, False),
        ("unknown", ["unknown"], What.ORIGINALS, True),
        ("unknown", ["any"], What.DREAMS, True),
        ("CC0-1.0", ["CC-BY-4.0"], What.ORIGINALS, False),
    ],
)
def test_licences_decide(license_id: str, wanted: list[str], what: What, taken: bool) -> None:
    assert (objection_to_license(license_by_id(license_id), check_licenses(wanted), what) is None) is taken


def test_a_licence_that_there_is_not_is_told() -> None:
    assert check_licenses(()) == ("shareable",)
    assert check_licenses(("cc-by-4.0", "ANY")) == ("CC-BY-4.0", "any")
    assert check_licenses(("CC-BY", "cc by")) == ("CC-BY",)
    with pytest.raises(UsageError, match=r"--license: a licence is shareable.* did you mean CC-BY-ND"):
        check_licenses(("CC-BY-ND-5.0",))


def test_a_dream_is_labelled_by_the_strictest_licence_of_its_pictures(shop: Workshop, tmp_path: Path) -> None:
    free = shop.add(picture(1), license_id="CC0-1.0")
    guide = shop.add(picture(2), license_id="CC-BY-NC-3.0", title="A guide", creator="Gil")
    base = identity_of({"kind": "invert"})
    renderer = InvertingRenderer(dataclasses.replace(base, pictures=(shop.item(guide).pixel_sha256,)))
    dream = shop.dream(free, renderer=renderer)

    report = take(shop, tmp_path / "out", what=What.DREAMS)
    commercial = take(shop, tmp_path / "commercial", what=What.DREAMS, licenses=("commercial",))
    named = take(shop, tmp_path / "named", what=What.DREAMS, licenses=("CC-BY-NC",))
    packet = xmp_of(shop.store.read(dream.blob_sha256))

    about = json.loads((tmp_path / "out/00000/00000000.json").read_bytes())
    deed = "https://creativecommons.org/licenses/by-nc/3.0/"
    assert (about["license"], about["license_url"]) == ("CC-BY-NC-3.0", deed)
    assert about["derivation"]["sharing"]["terms"] == "non-commercial"
    assert "*Not for commercial use.*" in (tmp_path / "out/ATTRIBUTION.md").read_text()
    assert (report.samples, commercial.samples, named.samples) == (1, 0, 1)
    assert commercial.left_out == {"another licence than asked for": 1}
    assert [each.text for each in packet.iter("{http://ns.adobe.com/xap/1.0/rights/}WebStatement")] == [deed]
    assert [each.text for each in packet.iter("{http://ns.adobe.com/xap/1.0/rights/}Marked")] == ["True"]
    # What is known of the guide today counts, not only what was known when the dream was made.
    with shop.catalog.write() as uow:
        uow.items.doubt_license(guide)
    assert take(shop, tmp_path / "later", what=What.DREAMS).left_out == {"licence does not permit sharing": 1}


def test_what_may_not_be_passed_on_is_counted_and_marked_where_it_is_taken(shop: Workshop, tmp_path: Path) -> None:
    shop.add(picture(1), license_id="unknown")
    shop.add(picture(2), license_id="CC-BY-ND-4.0")

    report = take(shop, tmp_path / "out", licenses=("any",))

    with (tmp_path / "out" / "ATTRIBUTION.csv").open(newline="") as file:
        assert [row["may_be_shared"] for row in csv.DictReader(file)] == ["no", "yes"]
    marks = (tmp_path / "out/ATTRIBUTION.md").read_text().splitlines()[-2:]
    assert marks[0].endswith(" *Private.*")
    assert marks[1].endswith(" *Not to be altered.*")
    assert (report.private, json.loads((tmp_path / "out/export.json").read_bytes())["private"]) == (1, 1)


def test_the_credit_has_title_author_source_and_licence_and_the_words_that_its_source_asks_for(
    shop: Workshop, tmp_path: Path
) -> None:
    shop.add(picture(1), attribution="The Metropolitan Museum of Art, New York. Gift of Ada")

    take(shop, tmp_path / "out")

    for line in (
        json.loads((tmp_path / "out/00000/00000000.json").read_bytes())["attribution"],
        (tmp_path / "out/ATTRIBUTION.csv").read_text(),
    ):
        assert "A stone bridge\u201d by Jane Doe, https://pictures.example/bridges?page=1&lang=en, CC BY 4.0 (" in line
        assert "Credit as given: The Metropolitan Museum of Art, New York. Gift of Ada." in line


def test_what_is_left_out_is_counted_by_reason(shop: Workshop, tmp_path: Path) -> None:
    ids = fill(shop)
    shop.add(picture(4), license_id=None)
    shop.add(picture(5), license_id="unknown")
    withdraw(shop, ids[2])

    report = take(shop, tmp_path / "out")
    some = take(shop, tmp_path / "some", keyword="BRIDGE")

    assert report.samples == 2
    assert report.left_out == {"licence does not permit sharing": 2, "withdrawn": 1}
    assert json.loads((tmp_path / "out/export.json").read_bytes())["left_out"] == report.left_out
    assert (some.samples, some.left_out) == (1, {})


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

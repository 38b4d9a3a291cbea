from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree
from PIL import Image

from pipeline.errors import UsageError
from pipeline.export.samples import key_of, samples_of
from pipeline.export.selection import Selection, What, check_licenses, objection_to_license
from pipeline.licenses import license_by_id
from tests.support.exports import FILES, HOSTILE, check_digests, contents, fill, take, withdraw
from tests.support.inverting import InvertingRenderer, Workshop, identity_of, picture


def xmp_of(data: bytes) -> Any:
    """The packet in a PNG file, by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
    return ElementTree.fromstring(found)


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
    entries = [(free, dream.id)]
    assert len(samples_of(shop.catalog, entries, keys=["0"])) == 1
    # What is known of the guide today counts, not only what was known when the dream was made.
    with shop.catalog.write() as uow:
        uow.items.change_license(guide, "unknown", None)
    assert take(shop, tmp_path / "later", what=What.DREAMS).left_out == {"licence does not permit sharing": 1}
    # Between being chosen and being written a guide may be withdrawn, too.
    withdraw(shop, guide)
    assert samples_of(shop.catalog, entries, keys=["0"]) == []


def test_without_near_duplicates_a_dream_is_taken_where_there_is_none_of_the_picture_in_front(
    shop: Workshop, tmp_path: Path
) -> None:
    front, copy = shop.add(picture(1), license_id="unknown"), shop.add(picture(2), license_id="CC0-1.0")
    free, other = (shop.add(picture(n), license_id="CC0-1.0") for n in (3, 4))
    with shop.catalog.write() as uow:
        uow.duplicates.link(copy, front, distance=2)
        uow.duplicates.link(other, free, distance=2)
    dreams = [shop.dream(each) for each in (copy, free, other)]

    report = take(shop, tmp_path / "out", selection=Selection(What.DREAMS, near_duplicates=False))

    taken = [json.loads(path.read_bytes())["sha256"] for path in sorted((tmp_path / "out/00000").glob("*.json"))]
    assert taken == [each.blob_sha256 for each in dreams[:2]]
    assert (report.samples, dict(report.left_out)) == (2, {})


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

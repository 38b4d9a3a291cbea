from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crawler.errors import SourceError
from crawler.items import ImageItem
from crawler.keywords import match_keywords
from crawler.sources.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "My Photos"
    for name in ("mill.JPG", "Holland/tulip.png", "Holland/.hidden.jpg", ".cache/thumb.jpg", "notes.txt", "z/ü b.webp"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def items(root: Path) -> dict[str, ImageItem]:
    return {picture.path.name: picture.item for picture in Folder(str(root)).pictures()}


def test_pictures_of_all_sub_folders_come_in_a_fixed_order_without_the_hidden(folder: Path) -> None:
    paths = [picture.path.relative_to(folder).as_posix() for picture in Folder(str(folder)).pictures()]

    assert paths == ["mill.JPG", "Holland/tulip.png", "z/ü b.webp"]


def test_addresses_are_file_addresses(folder: Path) -> None:
    item = items(folder)["ü b.webp"]

    assert item.image_url == (folder / "z" / "ü b.webp").as_uri()
    assert item.image_url.startswith("file:///")
    assert item.image_url.isascii()
    assert item.page_url == (folder / "z").as_uri()


@pytest.mark.parametrize(
    ("keyword", "name", "fields"),
    [
        ("mill", "mill.JPG", ("title", "file_name")),
        ("holland", "tulip.png", ("page_title",)),
        ("photo", "mill.JPG", ("page_title",)),
    ],
)
def test_file_names_and_folder_names_match(folder: Path, keyword: str, name: str, fields: tuple[str, ...]) -> None:
    assert match_keywords([keyword], items(folder)[name].texts())[0].fields == fields


def test_sidecars_give_captions_and_licences(folder: Path) -> None:
    (folder / "mill.txt").write_text("A smock mill\nin the fog", encoding="utf-8")
    (folder / "Holland" / "tulip.png.json").write_text(
        json.dumps(
            {
                "title": "Tulips",
                "description": "Red ones",
                "keywords": "flower, spring",
                "author": "Ann",
                "license": "CC BY 4.0",
            }
        ),
        encoding="utf-8",
    )

    mill, tulip = items(folder)["mill.JPG"], items(folder)["tulip.png"]

    assert mill.caption == "A smock mill in the fog"
    assert (tulip.title, tulip.caption, tulip.tags, tulip.creator) == (
        "Tulips",
        "Red ones",
        ("flower", "spring"),
        "Ann",
    )
    assert tulip.license is not None
    assert (tulip.license.id, tulip.license.declared_by) == ("CC-BY-4.0", "sidecar")


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2]", b'{"title": 5, "tags": [1, null]}', b"\xff\xfe\x00", b"[" * 100_000]
)
def test_a_broken_sidecar_is_no_sidecar(folder: Path, content: bytes) -> None:
    (folder / "mill.json").write_bytes(content)

    assert items(folder)["mill.JPG"].title == "mill"


def test_a_huge_sidecar_is_not_read(folder: Path) -> None:
    (folder / "mill.txt").write_bytes(b"x" * 300_000)

    assert items(folder)["mill.JPG"].caption is None


def test_links_do_not_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(outside / "secret.jpg")
    (folder / "dir").symlink_to(outside)
    (folder / "inner.jpg").symlink_to(folder / "mill.JPG")
    (folder / "dead.jpg").symlink_to(folder / "nothing.jpg")

    assert set(items(folder)) == {"mill.JPG", "tulip.png", "ü b.webp", "inner.jpg"}


def test_only_regular_files_are_pictures(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()

    assert set(items(folder)) == {"mill.JPG", "tulip.png", "ü b.webp"}


def test_a_missing_folder_a_file_and_a_folder_without_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(SourceError, match="no such folder"):
        Folder(str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="not a folder"):
        Folder(str(folder / "mill.JPG"))
    with pytest.raises(SourceError, match="no picture files"):
        Folder(str(tmp_path / "empty"))

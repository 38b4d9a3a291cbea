from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.inverting import picture, workshop

PICTURES = [picture(1), picture(2, image_format="JPEG")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    from flows.cli import app

    monkeypatch.chdir(tmp_path)
    with workshop(tmp_path / "dreamcrawl-data") as shop:
        shop.add(PICTURES[0])
        shop.add(PICTURES[1], license_id="CC-BY-SA-4.0")
        shop.add(picture(3), license_id="unknown")

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["export", *arguments])

    return invoke


def test_export_says_what_it_wrote_and_what_it_left_out(run: Callable[..., Any], tmp_path: Path) -> None:
    told = run("--to", "out")
    again = run("--to", "out", "--json")

    assert told.exit_code == again.exit_code == 0
    assert "2 originals in 1 shard (1 written now)" in told.stdout
    assert "left out: 1, licence does not permit sharing" in told.stdout
    assert "share-alike: 1, see ATTRIBUTION.md" in told.stdout
    assert "1 original in 1 shard" in run("--to", "one", "--license", "CC-BY-4.0").stdout
    report = json.loads(again.stdout)
    assert {name: report[name] for name in ("samples", "shards", "written", "share_alike")} == {
        "samples": 2,
        "shards": 1,
        "written": 0,
        "share_alike": 1,
    }
    assert (tmp_path / "out" / "00000" / "000000000.png").read_bytes() == PICTURES[0]
    assert (tmp_path / "out" / "00000" / "000000001.jpg").read_bytes() == PICTURES[1]


def test_options_choose_layout_licences_and_size_of_shards(run: Callable[..., Any], tmp_path: Path) -> None:
    options = ("--format", "webdataset", "--license", "CC-BY-4.0", "--license", "unknown", "--shard-size", "1")

    told = run("--to", "out", *options)

    assert told.exit_code == 0
    with tarfile.open(tmp_path / "out" / "00001.tar") as tar:
        assert tar.getnames() == ["00001.png", "00001.json", "00001.txt"]
    assert "left out: 1, another licence than asked for" in told.stdout


def test_an_export_without_a_picture_says_so(run: Callable[..., Any]) -> None:
    told = run("--to", "out", "--keyword", "typo")

    assert told.exit_code == 3
    assert "no picture to export that matched the keyword 'typo'" in told.stderr


def test_a_picture_that_cannot_be_read_makes_it_done_in_part(run: Callable[..., Any], tmp_path: Path) -> None:
    for stored in (tmp_path / "dreamcrawl-data" / "store").rglob("*"):
        if stored.is_file() and stored.read_bytes() == PICTURES[0]:
            stored.write_bytes(b"damaged")

    told = run("--to", "out")

    assert told.exit_code == 3
    assert "left out: 1, damaged or missing in the store" in told.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--what", "thumbnails"), "--what is originals or dreams"),
        (("--format", "tfrecord"), "no format 'tfrecord'"),
        (("--license", "free"), "--license: a licence is shareable"),
        (("--workspace", "nowhere"), "no catalog in"),
    ],
)
def test_wrong_usage_is_one_line(options: tuple[str, ...], message: str, run: Callable[..., Any]) -> None:
    told = run("--to", "out", *options)

    assert told.exit_code in (1, 2)
    assert message in " ".join(told.stderr.split())
    assert "Traceback" not in told.stderr


def test_parquet_without_pyarrow_names_what_to_install(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    told = run("--to", "out", "--format", "parquet")

    assert told.exit_code == 2
    assert "pip install 'dreamcrawl[parquet]'" in " ".join(told.stderr.split())
    assert not (tmp_path / "out").exists()

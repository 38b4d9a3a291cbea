"""`features` and `similar` on real photographs with the real network."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli import app
from tests.support.gallery import PHOTOS, add, photographs
from tests.support.inverting import workshop


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three photographs of windmills, three of fish, two of dams; i9 is a part of i1."""
    root = tmp_path_factory.mktemp("similar")
    entries = [
        entry
        for name, most in zip(("windmill", "fish", "dam"), (3, 3, 2), strict=True)
        for entry in [each for each in photographs() if name in each["keywords"]][:most]
    ]
    with workshop(root) as shop:
        for entry in entries:
            add(shop, (PHOTOS / entry["file"]).read_bytes(), entry, run_id=None)
        add(shop, part_of(entries[0]["file"]), {"title": "A part", "license": "CC0-1.0", "keywords": []}, run_id=None)
    return root


def part_of(file: str) -> bytes:
    """The upper left of a photograph, as a JPEG."""
    picture = Image.open(PHOTOS / file).convert("RGB")
    out = io.BytesIO()
    picture.crop((0, 0, picture.width * 4 // 5, picture.height * 4 // 5)).save(out, "JPEG", quality=80)
    return out.getvalue()


def run(workspace: Path, *arguments: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, [*arguments, "--workspace", str(workspace)])
    assert answer.exit_code == code, answer.output
    return answer.output


def as_json(workspace: Path, *arguments: str) -> Any:
    return json.loads(run(workspace, *arguments, "--json"))


def test_pictures_are_described_once_and_their_like_is_listed(workspace: Path, tmp_path: Path) -> None:
    first = run(workspace, "similar", "i1")  # describes the one picture that it needs
    assert "nothing to compare with" in first
    assert "8 pictures are not compared yet" in first

    assert as_json(workspace, "features")["described"] == 8
    assert as_json(workspace, "features") == {"described": 0, "failed": [], "pairs": 0, "forgotten": 0}

    found = as_json(workspace, "similar", "i1", "--limit", "3")
    assert found[0]["public_id"] == "i9"
    assert {one["public_id"] for one in found[1:]} == {"i2", "i3"}  # the other windmills
    assert 1 > found[0]["cosine"] > found[1]["cosine"] > found[2]["cosine"] > 0
    table = run(workspace, "similar", "i1")
    assert len([line for line in table.splitlines() if " i" in line and "0." in line]) == 8
    assert "A part" in table
    assert "CC0-1.0" in table

    (tmp_path / "mine.jpg").write_bytes(part_of(photographs()[0]["file"]))
    (tmp_path / "i9.jpg").write_bytes(part_of(next(e for e in photographs() if "windmill" in e["keywords"])["file"]))
    (best,) = as_json(workspace, "similar", "--file", str(tmp_path / "i9.jpg"), "-n", "1")
    assert (best["public_id"], best["cosine"]) == ("i9", pytest.approx(1.0, abs=1e-5))
    assert as_json(workspace, "similar", "--file", str(tmp_path / "mine.jpg"), "-n", "1")[0]["cosine"] < 0.99


def test_what_is_much_alike_is_listed_only_when_it_is_asked_for(workspace: Path) -> None:
    run(workspace, "features")

    pairs = as_json(workspace, "duplicates", "list", "--tier", "similar")

    assert [(pair["first"], pair["second"]) for pair in pairs] == [("i1", "i9")]
    assert "alike to the network" in run(workspace, "duplicates", "list", "--tier", "similar")
    assert "cosine" in run(workspace, "duplicates", "show", "i1", "i9")
    assert as_json(workspace, "duplicates", "list") == []
    assert as_json(workspace, "duplicates", "groups") == []
    assert as_json(workspace, "duplicates", "merge", "--all") == []
    assert {item["near_duplicate_of_id"] for item in as_json(workspace, "items")} == {None}


def test_what_is_described_already_needs_no_tensorflow(workspace: Path) -> None:
    run(workspace, "features")
    script = (
        "import sys\n"
        "from flows.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, "similar", "i1", "--workspace", str(workspace)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "i9" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name one picture"),
        (("i1", "--file", "x.jpg"), "name one picture"),
        (("i99",), "no item i99"),
        (("d1",), "not the id of an item"),
        (("--file", "nowhere.jpg"), "cannot be read"),
    ],
)
def test_wrong_usage_is_one_line(workspace: Path, arguments: tuple[str, ...], says: str) -> None:
    answer = run(workspace, "similar", *arguments, code=2)

    assert says in " ".join(answer.split())
    assert "Traceback" not in answer


def test_a_file_that_is_no_picture_is_one_line(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")

    answer = run(workspace, "similar", "--file", str(tmp_path / "notes.txt"), code=1)

    assert "notes.txt" in "".join(answer.split())
    assert "Traceback" not in answer


def test_a_lost_file_is_told_and_the_others_are_described(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        entries = photographs()[:2]
        lost, kept = (add(shop, (PHOTOS / each["file"]).read_bytes(), each, run_id=None) for each in entries)
        shop.store.path(shop.item(lost).blob_sha256).unlink()

    answer = run(tmp_path, "features", code=3)

    assert "missing from the store" in " ".join(answer.split())
    assert as_json(tmp_path, "similar", f"i{kept}") == []
    assert run(tmp_path, "similar", f"i{lost}", code=1)

"""presets, recipe and compare, in one process, on pictures small enough for the published numbers of steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dream.presets import preset, preset_names
from dream.recipe_files import load_recipe_file
from tests.support.pictures import scene, scene_file

LITE0 = "efficientnet_lite0"

QUICK = """
name = "quick"
description = "Two steps on one early layer."
steps = 2
step_size = 0.02
[octaves]
kind = "exponents"
exponents = [0]
[[objective]]
layer = "block4_expand"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    from flows.cli import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(QUICK)
    (tmp_path / "wide.png").write_bytes(scene_file(1, width=96, height=72))
    (tmp_path / "cut.jpg").write_bytes(scene_file(3, "JPEG")[:900])

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments))

    return invoke


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_presets_lists_every_look_with_the_default_first(run: Callable[..., Any]):
    listed = run("presets")
    rows = json.loads(run("presets", "--json").stdout)

    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in preset_names())
    assert [row["preset"] for row in rows] == list(preset_names())
    assert [row["preset"] for row in rows if row["default"]] == [rows[0]["preset"]]
    assert rows[0]["recipe"] == preset(rows[0]["preset"], LITE0).to_json()
    assert all(row["description"].endswith(".") for row in rows)


@pytest.mark.parametrize("network", [LITE0, "inception_v3"])
def test_a_recipe_that_is_printed_reads_back_as_the_same(run: Callable[..., Any], tmp_path: Path, network: str):
    for name in preset_names():
        printed = run("recipe", name, "--network", network)
        (tmp_path / "printed.toml").write_text(printed.stdout)
        again = json.loads(run("recipe", "printed.toml", "--json").stdout)

        file = load_recipe_file(tmp_path / "printed.toml", default_network="none", digest_of=str)
        assert printed.exit_code == 0
        assert file.recipe == preset(name, network)
        assert (file.name, file.network) == (name, network)
        assert again == {
            "name": name,
            "network": network,
            "sha256": preset(name, network).digest(),
            "recipe": preset(name, network).to_json(),
        }


def test_a_printed_recipe_finds_its_guide_from_wherever_it_is_kept(run: Callable[..., Any], tmp_path: Path):
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "guide.png").write_bytes(scene_file(5, width=96, height=80))
    guide = 'preset = "menagerie"\n[[objective]]\nkind = "guide"\nlayer = "block9_expand"\nfile = "guide.png"\n'
    (tmp_path / "looks" / "led.toml").write_text(guide)

    (tmp_path / "printed.toml").write_text(run("recipe", "looks/led.toml").stdout)

    first, again = (json.loads(run("recipe", name, "--json").stdout) for name in ("looks/led.toml", "printed.toml"))
    assert again == first
    assert load_recipe_file(tmp_path / "printed.toml", default_network="none", digest_of=lambda _: "0" * 64).pictures


def test_recipe_tells_what_differs_between_two(run: Callable[..., Any], tmp_path: Path):
    (tmp_path / "mine.toml").write_text('preset = "paper-octave"\nsteps = 31\nstrength = 0.5\n')

    table = run("recipe", "paper-octave", "mine.toml")
    found = json.loads(run("recipe", "paper-octave", "mine.toml", "--json").stdout)
    same = run("recipe", "menagerie", "menagerie")

    assert found == [
        {"field": "steps", "first": 50, "second": 31},
        {"field": "strength", "first": 1.0, "second": 0.5},
    ]
    assert [line.split() for line in table.stdout.splitlines()] == [
        ["field", "paper-octave", "mine"],
        ["steps", "50", "31"],
        ["strength", "1.0", "0.5"],
    ]
    assert same.stdout == "the same recipe\n"
    assert "mean(block9_expand) + mean(block11_expand)" in run("recipe", "paper-octave", "caffe").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["recipe", "menagery"], 2, ["menagery", "'menagerie'"]),
        (["recipe", "menagerie", "--network", "inception_v4"], 2, ["inception_v4", "'inception_v3'"]),
        (["recipe", "gone.toml"], 2, ["gone.toml", "No such file"]),
        (["recipe", "wide.png.toml"], 2, ["wide.png.toml"]),
        (["presets", "--file", "wide.png"], 2, ["--sheet"]),
        (["presets", "--preset", " , "], 2, ["--presets names no look"]),
        (["presets", "--sheet", "sheet.bmp"], 2, ["sheet.bmp", ".png"]),
        (["presets", "--sheet", "s.png", "--file", "gone.png"], 2, ["gone.png", "No such file"]),
        (["presets", "--sheet", "s.png", "--file", "."], 2, ["is a folder"]),
        (["presets", "--sheet", "s.png", "--file", "/dev/zero"], 2, ["/dev/zero", "not a file"]),
        (["presets", "--sheet", "quick.toml/s.png"], 1, ["quick.toml", "no folder"]),
        (["compare", "cut.jpg", "--write-to", "c.png"], 1, ["cut.jpg", "ends early"]),
        (["compare", "quick.toml", "--write-to", "c.png"], 1, ["quick.toml", "not a picture"]),
        (["compare", "wide.png", "--write-to", "c.gif"], 2, ["c.gif", ".webp"]),
        (["compare", "wide.png", "--write-to", "c.png", "--presets", "paper-singel"], 2, ["'paper-single'"]),
        (["compare", "wide.png"], 2, ["--write-to"]),
        (["compare", "wide.png", "--write-to", "c.png", "--max-side", "4"], 2, ["--max-side"]),
    ],
)
def test_what_cannot_be_drawn_is_said_before_any_work_with_its_exit_code(
    run: Callable[..., Any], tmp_path: Path, arguments: list[str], code: int, words: list[str]
):
    done = run(*arguments)

    assert done.exit_code == code, done.output
    assert all(word in done.output for word in words), done.output
    assert not list(tmp_path.glob("[cs].*"))


def test_compare_draws_the_published_figure_of_four_columns_and_leaves_out_what_is_no_picture(
    run: Callable[..., Any], tmp_path: Path
):
    done = run("compare", "wide.png", "cut.jpg", "--write-to", "figure.png", "--max-side", "32")

    assert done.exit_code == 3, done.output
    assert done.stdout.splitlines()[-1] == "figure.png"
    assert "note: cut.jpg: a JPEG file that ends early" in done.stdout
    figure = pixels(tmp_path / "figure.png")
    # One row of 24 pixels, a line of names, and two gaps.
    assert figure.shape[0] == 30 + 24 + 2 * 8
    width = (figure.shape[1] - 8) // 4 - 8
    lefts = [8 + column * (width + 8) + (width - 32) // 2 for column in range(4)]
    cells = [figure[38:62, left : left + 32].astype(int) for left in lefts]
    shrunk = Image.fromarray(scene(1, width=96, height=72)).resize((32, 24), Image.Resampling.LANCZOS)
    assert np.array_equal(cells[0], np.asarray(shrunk))
    # Every dream is another picture than its source and the other dreams.
    for one in range(4):
        assert (figure[38:62, lefts[one] - 2] == 255).all()
        for other in range(one):
            assert np.abs(cells[one] - cells[other]).mean() > 2
    assert not (tmp_path / "dreamcrawl-data").exists()


def test_a_sheet_of_chosen_looks_leaves_a_blank_where_one_gives_no_dream(run: Callable[..., Any], tmp_path: Path):
    # So small a weight is none in float32, so that the gradient is zero everywhere.
    (tmp_path / "weak.toml").write_text(QUICK.replace("quick", "weak") + "weight = 1e-300\n")

    done = run(
        "presets", "--sheet", "sheet.webp", "--presets", "quick.toml,weak.toml", "--file", "wide.png", "--json",
        "--max-side", "64",
    )  # fmt: skip

    answer = json.loads(done.stdout)
    assert done.exit_code == 3, done.output
    assert answer["dreams"] == 1
    assert len(answer["problems"]) == 1
    assert answer["problems"][0].startswith("weak: nothing in this picture moves")
    sheet = pixels(tmp_path / "sheet.webp")
    assert sheet.shape == (30 + 48 + 2 * 8, 3 * 64 + 4 * 8, 3)
    dream, blank = sheet[38:86, 80:144], sheet[70:86, 152:216]
    assert dream.std() > 20
    assert np.abs(blank.astype(int) - 225).max() < 4


def test_a_look_that_does_not_fit_the_network_is_refused_before_anything_is_drawn(
    run: Callable[..., Any], tmp_path: Path
):
    (tmp_path / "wrong.toml").write_text(QUICK.replace("block4_expand", "block4_expnd"))

    done = run("presets", "--sheet", "s.png", "--presets", "quick.toml,wrong.toml", "--file", "wide.png")

    assert done.exit_code == 2
    assert "'block4_expand'" in done.output
    assert "dream:" not in done.output
    assert not (tmp_path / "s.png").exists()


@pytest.mark.parametrize("command", ["presets", "recipe", "compare", "dream", "replay"])
def test_every_option_says_what_it_is_for(run: Callable[..., Any], command: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")

    done = run(command, "--help")

    from typer.main import get_command

    from flows.cli import app

    parameters = get_command(app).commands[command].params  # type: ignore[attr-defined]  # a group
    assert done.exit_code == 0
    for parameter in parameters:
        assert (parameter.help or "").endswith("."), parameter.name

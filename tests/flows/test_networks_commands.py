"""dreamcrawl networks ...: what a person types, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from dream.runtime import configure
from flows.cli import app
from tests.support.network_files import write_graph, write_saved_model
from tests.support.tiny_network import noise_image

configure()

RECIPE = """
name = "one channel"
network = "mine"
steps = 4
step_size = 0.02

[octaves]
kind = "exponents"
scale = 1.3
exponents = [0]

[[objective]]
layer = "second"
channels = [2]
"""


def dreamcrawl(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A workspace into which a frozen graph was imported as `mine`."""
    folder = tmp_path_factory.mktemp("workspace")
    graph = write_graph(folder / "net.pb")
    done = dreamcrawl("networks", "import", "mine", str(graph), "--license", "MIT", "-w", str(folder / "w"))
    assert done.exit_code == 0, done.output
    assert "mine: 2 convolutions, 388 parameters, 5 layers" in done.stdout
    assert "Imported frozen graph." in done.stdout
    return str(folder / "w")


def test_layers_prints_the_count_the_names_and_the_shapes(workspace: str):
    done = dreamcrawl("networks", "layers", "mine", "-w", workspace)

    head, columns, *rows = done.stdout.splitlines()
    assert head == "mine: 2 convolutions, 388 parameters, 5 layers"
    assert columns.split() == [
        "layer",
        "kind",
        "output",
        "shape",
        "parameters",
        "kernel",
        "stride",
        "padding",
        "sees",
        "work",
    ]
    assert [row.split()[0] for row in rows] == ["first/conv", "first_pre_relu", "first", "second/conv", "second"]
    # By hand: 162 multiplications at a quarter of the pixels, then 216 at a quarter.
    assert " ".join(rows[0].split()) == "first/conv Conv2D (None, None, None, 6) 162 3x3 2 valid 3 px 43 %"
    assert " ".join(rows[3].split()) == "second/conv Conv2D (None, None, None, 4) 216 3x3 1 valid 7 px 100 %"


def test_layers_prints_the_convolutions_alone_and_everything_as_json(workspace: str):
    done = dreamcrawl("networks", "layers", "mine", "--convolutions", "--json", "-w", workspace)

    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == ["first/conv", "second/conv"]
    assert rows[0]["kernel"] == [3, 3]
    assert rows[1]["macs_percent"] == 100
    assert {"channels", "total_stride", "receptive_field", "macs_per_pixel", "convolutions"} <= set(rows[0])


@pytest.mark.parametrize(
    ("name", "convolutions", "parameters"),
    [("inception_v3", 94, "21,802,784"), ("vgg16", 13, "14,714,688"), ("mobilenet_v2", 52, "2,257,984")],
)
def test_layers_are_listed_before_any_weights_are_here(tmp_path: Path, name: str, convolutions: int, parameters: str):
    done = dreamcrawl("networks", "layers", name, "-w", str(tmp_path / "w"))

    assert done.exit_code == 0, done.output
    head, _, *rows = done.stdout.splitlines()
    assert head.startswith(f"{name}: {convolutions} convolutions, {parameters} parameters, ")
    names = [row.split()[0] for row in rows]
    if name == "inception_v3":
        assert [each for each in names if each.startswith("mixed") and "_" not in each] == [
            f"mixed{index}" for index in range(11)
        ]
        assert sum("Conv2D" in row for row in rows) == 94
        assert "(None, None, None, 2048)" in next(row for row in rows if row.startswith("mixed10"))
    assert not (tmp_path / "w").exists()


def test_list_shows_where_each_network_comes_from_and_whether_it_is_here(workspace: str):
    rows = {row["name"]: row for row in json.loads(dreamcrawl("networks", "list", "--json", "-w", workspace).stdout)}
    table = dreamcrawl("networks", "list", "-w", workspace).stdout

    assert list(rows) == [
        "efficientnet_lite0", "inception_v3", "inception_v3_top", "vgg16", "resnet50v2", "mobilenet_v2", "mine",
    ]  # fmt: skip
    assert (rows["mine"]["imported"], rows["mine"]["weights_here"], rows["mine"]["license"]) == (True, True, "MIT")
    assert (rows["vgg16"]["imported"], rows["vgg16"]["weights_here"]) == (False, False)
    assert rows["vgg16"]["input_offset"] == [-103.939, -116.779, -123.68]
    assert [line.split() for line in table.splitlines() if line.startswith("mine ")] == [
        ["mine", "imported", "here", "MIT", "imported", "from", "net.pb"]
    ]


def test_show_prints_the_whole_card(workspace: str):
    card = json.loads(dreamcrawl("networks", "show", "mine", "--json", "-w", workspace).stdout)

    assert (card["form"], card["input_tensor"], card["input_scale"], card["input_offset"]) == (
        "graph", "input:0", 255.0, -117.0,
    )  # fmt: skip
    assert card["weights_sha256"] in dreamcrawl("networks", "show", "mine", "-w", workspace).stdout


def test_a_picture_is_dreamed_on_with_it_and_the_manifest_names_it(workspace: str, tmp_path: Path):
    Image.fromarray(noise_image(70, 81)).save(tmp_path / "photo.png")
    (tmp_path / "look.toml").write_text(RECIPE)
    options = ["--preset", str(tmp_path / "look.toml"), "--network", "mine", "-w", workspace]

    done = dreamcrawl("dream", "--file", str(tmp_path / "photo.png"), *options, "--json")

    assert done.exit_code == 0, done.output
    (manifest,) = [json.loads(path.read_text()) for path in (Path(workspace) / "dreams").glob("*.json")]
    card = json.loads(dreamcrawl("networks", "show", "mine", "--json", "-w", workspace).stdout)
    assert manifest["manifest"]["network"] == {
        "name": "mine",
        "weights_sha256": card["weights_sha256"],
        "license": "MIT",
    }


def test_a_look_that_was_not_made_for_a_network_says_what_to_do(workspace: str):
    for network in ("vgg16", "mine"):
        done = dreamcrawl("dream", "--item", "i1", "--network", network, "--preset", "menagerie", "-w", workspace)

        assert done.exit_code == 2
        for words in ("menagerie", network, "recipe file", f"networks layers {network}", "docs/networks.md"):
            assert words in done.stderr


def test_weights_known_by_their_md5_only_must_be_here_first(workspace: str, tmp_path: Path):
    (tmp_path / "look.toml").write_text(RECIPE.replace('"mine"', '"vgg16"').replace('"second"', '"block4_conv1"'))
    Image.fromarray(noise_image(70, 81)).save(tmp_path / "photo.png")

    done = dreamcrawl(
        "dream", "--file", str(tmp_path / "photo.png"), "--preset", str(tmp_path / "look.toml"), "-w", workspace
    )

    assert done.exit_code == 1
    assert "dreamcrawl networks fetch vgg16" in done.stderr


def test_import_takes_numbers_for_each_channel_and_the_order(tmp_path: Path):
    saved = write_saved_model(tmp_path / "saved")
    numbers = ["--input-scale", "255", "--input-offset", "-103.939,-116.779,-123.68", "--channel-order", "bgr"]

    done = dreamcrawl("networks", "import", "mine", str(saved), *numbers, "-w", str(tmp_path / "w"))

    card = json.loads(dreamcrawl("networks", "show", "mine", "--json", "-w", str(tmp_path / "w")).stdout)
    assert done.exit_code == 0, done.output
    assert (card["input_scale"], card["input_offset"]) == (255.0, [-103.939, -116.779, -123.68])
    assert (card["channel_order"], card["form"]) == ("BGR", "saved_model")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["import", "other", "missing.pb"], 1, ["missing.pb", "not there"]),
        (["import", "vgg16", "net.pb", "--input-scale", "1"], 2, ["leave out the options"]),
        (["import", "vgg16", "net.pb"], 1, ["MD5", "nothing was kept"]),
        (["import", "other", "net.pb", "--input-scale", "wide"], 2, ["--input-scale", "'wide'"]),
        (["import", "other", "net.pb", "--input-scale", "nan"], 2, ["must be a number"]),
        (["import", "mine", "net.pb", "--license", "GPL"], 2, ["other options", "networks remove mine"]),
        (["import", "o/her", "net.pb"], 2, ["'o/her'"]),
        (["remove", "vgg16"], 2, ["cannot be removed"]),
        (["remove", "nobody"], 2, ["'nobody'", "mine"]),
        (["show", "vgg61"], 2, ["vgg16"]),
        (["verify", "vgg61"], 2, ["vgg16"]),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(workspace: str, arguments: list[str], code: int, words: list[str]):
    beside = str(Path(workspace).parent / "net.pb")
    given = [beside if argument == "net.pb" else argument for argument in arguments]

    done = dreamcrawl("networks", *given, "-w", workspace)

    assert done.exit_code == code, done.output
    assert len(done.stderr.splitlines()) == 1
    for word in words:
        assert word in done.stderr


def test_verify_finds_the_byte_that_changed_and_remove_makes_room(tmp_path: Path):
    space = ["-w", str(tmp_path / "w")]
    dreamcrawl("networks", "import", "mine", str(write_graph(tmp_path / "net.pb")), *space)
    right = dreamcrawl("networks", "verify", *space)
    kept = tmp_path / "w" / "weights" / "imported" / "mine" / "graph.pb"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\0")

    wrong = dreamcrawl("networks", "verify", *space)

    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert "mine: right" in right.stdout
    assert "efficientnet_lite0: right" in wrong.stdout
    assert "mine: WRONG" in wrong.stdout
    assert dreamcrawl("networks", "remove", "mine", *space).exit_code == 0
    assert not kept.parent.exists()
    assert dreamcrawl("networks", "verify", *space).exit_code == 0


def test_verify_of_weights_that_are_not_here_says_so_and_not_that_they_are_wrong(tmp_path: Path):
    space = ["-w", str(tmp_path / "w")]

    told = dreamcrawl("networks", "verify", "inception_v3", *space)
    rows = json.loads(dreamcrawl("networks", "verify", "inception_v3", "--json", *space).stdout)

    assert told.exit_code == 1
    assert "inception_v3: NOT CHECKED: its weights are not here" in told.stdout
    assert "dreamcrawl networks fetch inception_v3" in told.stdout
    assert "WRONG" not in told.stdout
    assert [(row["name"], row["sha256"], row["wrong"]) for row in rows] == [("inception_v3", None, False)]


def test_a_damaged_card_does_not_hide_the_other_networks(tmp_path: Path):
    space = ["-w", str(tmp_path / "w")]
    dreamcrawl("networks", "import", "mine", str(write_graph(tmp_path / "net.pb")), *space)
    (tmp_path / "w" / "weights" / "imported" / "mine" / "card.json").write_text("{")

    listed = dreamcrawl("networks", "list", *space)

    assert listed.exit_code == 0
    assert "damaged" in next(line for line in listed.stdout.splitlines() if line.startswith("mine"))
    assert "efficientnet_lite0" in listed.stdout


def test_the_recipe_on_the_page_about_networks_is_one(tmp_path: Path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    (tmp_path / "look.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    Image.fromarray(noise_image(70, 81)).save(tmp_path / "photo.png")
    options = ["--preset", str(tmp_path / "look.toml"), "-w", str(tmp_path / "w")]

    done = dreamcrawl("dream", "--file", str(tmp_path / "photo.png"), *options)

    # The recipe is understood; what is missing is the network's file.
    assert done.exit_code == 1
    assert "networks fetch vgg16" in done.stderr

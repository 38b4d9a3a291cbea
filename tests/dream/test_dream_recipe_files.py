from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dream.errors import RecipeError, UnknownName
from dream.networks.cards import NETWORKS
from dream.presets import preset, preset_names
from dream.recipe_files import MOST_BYTES, RecipeFile, load_recipe_file, recipe_differences, recipe_toml
from dream.recipes import (
    ChannelPick,
    ClassTerm,
    Colors,
    ExponentOctaves,
    GuideTerm,
    LayerTerm,
    NeuronTerm,
    PlannedOctaves,
    Recipe,
)
from dream.regions import REGIONS, Box, Ellipse, MaskPicture
from dream.terms import TERMS

LITE0 = "efficientnet_lite0"


def digest_of(path: Path) -> str:
    """As good as the digest of pixels: that of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(folder: Path, text: str | bytes, **options: Any) -> RecipeFile:
    path = folder / "look.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_recipe_file(path, **({"default_network": LITE0, "digest_of": digest_of} | options))


BARE = """
steps = 3
step_size = 0.01
[octaves]
kind = "exponents"
[[objective]]
layer = "mixed3"
"""

EVERYTHING = Recipe(
    objective=(
        LayerTerm(
            layer='quoted "name" \\ of \x7f\x01 \u2028 ü', channels=(3, 1), reduction="mean", weight=-1.5, border=2
        ),
        LayerTerm(layer="a", channels=ChannelPick(pick="strongest", count=4), region=Ellipse(feather=0.1)),
        LayerTerm(layer="a", region=Box(top=0.25, right=0.75)),
        LayerTerm(layer="b", region=MaskPicture(picture="ab" * 32)),
        NeuronTerm(layer="c", channel=7, row=0.1, column=1.0, weight=1e-9),
        ClassTerm(index=292, measure="probability", weight=12345678901234567890.0),
        GuideTerm(layer="d", picture="cd" * 32, match="channels"),
    ),
    octaves=PlannedOctaves(smallest_side=96, scale=1.5),
    steps=7,
    final_steps=0,
    step_size=1 / 3,
    value_range="symmetric",
    normalization="mean_abs",
    jitter=5,
    reinject_detail=0.75,
    resampling="lanczos3",
    clip="end",
    colors="histogram",
    strength=0.1,
    seed=2**63 - 1,
    max_side=777,
    start="noise",
    optimizer="adam",
    momentum=0.25,
    blur=0.5,
    total_variation=1e-3,
    mask=MaskPicture(picture="ef" * 32),
    tile_side=512,
    tile_overlap=32,
)


def every_look() -> Iterator[tuple[str, str]]:
    for name in preset_names():
        for network in NETWORKS:
            with contextlib.suppress(RecipeError):  # not every look is made for every network
                preset(name, network)
                yield name, network


@pytest.mark.parametrize(("name", "network"), list(every_look()))
def test_every_look_written_as_a_file_reads_back_as_the_same_recipe(tmp_path: Path, name: str, network: str):
    recipe = preset(name, network)

    found = read(tmp_path, recipe_toml(recipe, name=name, network=network, description="A look."))

    assert found == RecipeFile(name, "A look.", network, None, recipe, ())
    assert found.recipe.digest() == recipe.digest()


def test_a_recipe_with_every_kind_of_part_reads_back_as_itself(tmp_path: Path):
    text = recipe_toml(EVERYTHING, name='a "name"', network=LITE0)

    found = read(tmp_path, text)

    assert found.recipe == EVERYTHING
    assert found.recipe.digest() == EVERYTHING.digest()
    assert found.name == 'a "name"'


def test_pictures_stand_in_a_written_file_by_their_path_where_it_is_known(tmp_path: Path):
    paths = [tmp_path / name for name in ('a "mask".png', "guide.jpg", "sky.png")]
    for path in paths:
        path.write_bytes(path.name.encode())
    mask, guide, sky = (digest_of(path) for path in paths)
    unknown = "cd" * 32
    recipe = EVERYTHING.with_changes(
        mask=MaskPicture(picture=mask),
        objective=(
            GuideTerm(layer="d", picture=guide),
            GuideTerm(layer="d", picture=unknown),
            LayerTerm(layer="b", region=MaskPicture(picture=sky)),
        ),
    )

    text = recipe_toml(recipe, name="far", network=LITE0, files={mask: paths[0], guide: paths[1], sky: paths[2]})

    found = read(tmp_path, text)
    assert found.recipe == recipe
    assert set(found.pictures) == set(paths)
    assert text.count(unknown) == 1
    assert not {mask, guide, sky} & set(re.findall("[0-9a-f]{64}", text))


def test_a_written_file_names_every_field_that_has_a_value():
    values = tomllib.loads(recipe_toml(EVERYTHING, name="x", network=LITE0))

    assert set(values) == {"name", "network", *EVERYTHING.to_json()}


def test_a_file_from_nothing_has_the_defaults_of_a_recipe_and_its_own_name(tmp_path: Path):
    found = read(tmp_path, BARE)

    assert found == RecipeFile(
        "look",
        "",
        None,
        None,
        Recipe(objective=(LayerTerm(layer="mixed3"),), octaves=ExponentOctaves(), steps=3, step_size=0.01),
        (),
    )


def test_a_file_from_a_preset_says_only_what_is_different(tmp_path: Path):
    found = read(
        tmp_path,
        'name = "tigers"\npreset = "menagerie"\nstrength = 0.8\n[[objective]]\nkind = "class"\nname = "tiger"\n',
    )

    assert found.recipe == preset("menagerie", LITE0).with_changes(strength=0.8, objective=(ClassTerm(index=292),))
    assert (found.name, found.preset) == ("tigers", "menagerie")


def test_octaves_of_the_presets_kind_keep_what_the_file_does_not_name(tmp_path: Path):
    base = preset("menagerie", LITE0)

    same = read(tmp_path, 'preset = "menagerie"\n[octaves]\nscale = 1.7\n')
    other = read(tmp_path, 'preset = "menagerie"\n[octaves]\nkind = "exponents"\nexponents = [0]\n')

    assert isinstance(base.octaves, PlannedOctaves)
    assert same.recipe.octaves == PlannedOctaves(
        smallest_side=base.octaves.smallest_side,
        scale=1.7,
        working_side=base.octaves.working_side,
        max_upscale=base.octaves.max_upscale,
        most=base.octaves.most,
    )
    assert other.recipe.octaves == ExponentOctaves(exponents=(0,))


def test_a_preset_is_taken_for_the_network_asked_for_else_the_files_else_the_default(tmp_path: Path):
    named = 'preset = "carved"\nnetwork = "inception_v3"\n'

    assert read(tmp_path, named).recipe == preset("carved", "inception_v3")
    assert read(tmp_path, named, network=LITE0).recipe == preset("carved", LITE0)
    assert read(tmp_path, 'preset = "carved"\n', default_network="inception_v3").recipe == preset(
        "carved", "inception_v3"
    )
    assert read(tmp_path, 'preset = "carved"\n').recipe == preset("carved", LITE0)


def test_pictures_are_found_beside_the_file_and_told_once_each(tmp_path: Path):
    (tmp_path / "art").mkdir()
    guide, mask = tmp_path / "art" / "guide.png", tmp_path / "mask.png"
    guide.write_bytes(b"guide")
    mask.write_bytes(b"mask")

    found = read(
        tmp_path,
        f"""
steps = 3
step_size = 0.01
octaves = {{ kind = "exponents" }}
mask = {{ kind = "picture", file = "mask.png" }}
[[objective]]
kind = "guide"
layer = "a"
file = "art/guide.png"
[[objective]]
layer = "b"
region = {{ kind = "picture", file = "{mask}" }}
[[objective]]
kind = "guide"
layer = "c"
file = "art/../art/guide.png"
""",
    )

    guide_sha, mask_sha = hashlib.sha256(b"guide").hexdigest(), hashlib.sha256(b"mask").hexdigest()
    assert found.recipe.objective == (
        GuideTerm(layer="a", picture=guide_sha),
        LayerTerm(layer="b", region=MaskPicture(picture=mask_sha)),
        GuideTerm(layer="c", picture=guide_sha),
    )
    assert found.recipe.mask == MaskPicture(picture=mask_sha)
    assert {path.resolve() for path in found.pictures} == {guide, mask}
    assert found.recipe.picture_digests() == (guide_sha, mask_sha)


def test_a_path_may_begin_at_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "guide.png").write_bytes(b"guide")
    (tmp_path / "recipes").mkdir()

    found = read(tmp_path / "recipes", f'{BARE}[mask]\nkind = "picture"\nfile = "~/guide.png"\n')

    assert found.pictures == (tmp_path / "home" / "guide.png",)


GUIDE = '[[objective]]\nkind = "guide"\nlayer = "a"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz = 3", ["no recipe field", "stepz", "'steps'"]),
        ("nmae = 'x'\n" + BARE, ["nmae", "'name'"]),
        ("steps = 3", ["a recipe needs objective and octaves and step_size"]),
        ("name = 3", ["name must be a text"]),
        ("network = []", ["network must be a text"]),
        ('preset = "menagery"', ["menagery", "'menagerie'"]),
        ('preset = "menagerie"\nnetwork = "inception"', ["inception", "inception_v3"]),
        ('preset = "menagerie"\nstrength = 2', ["strength", "1 or less", "2"]),
        ('preset = "menagerie"\nstrength = nan', ["strength must be a number", "nan"]),
        ('preset = "menagerie"\nstep_size = inf', ["step_size must be a number", "inf"]),
        ('preset = "menagerie"\nstep_size = 1e999', ["step_size must be a number", "inf"]),
        ('preset = "menagerie"\nseed = 1979-05-27', ["seed must be a whole number", "1979"]),
        ('preset = "menagerie"\nsteps = 3.0', ["steps must be a whole number"]),
        ('preset = "menagerie"\nsteps = 99999999999999999999', ["steps must be 0 to 10000"]),
        ('preset = "menagerie"\nsteps = 0x' + "f" * 9000, ["steps must be 0 to 10000", "too long"]),
        ('preset = "menagerie"\nsteps = ' + "9" * 9000, ["not TOML that can be read", "digits"]),
        ('preset = "menagerie"\nsteps = {a={b={c=1}}}', ["steps must be a whole number"]),
        ('preset = "menagerie"\nobjective = 3', ["objective must be a list of terms"]),
        ('preset = "menagerie"\nobjective = []', ["objective must hold 1 to 64 terms"]),
        ('preset = "menagerie"\n[objective]\nlayer = "a"', ["objective must be a list of terms"]),
        ('preset = "menagerie"\n[[objective]]\nlayer = "a"\nweight = 0', ["term 1", "objective.weight"]),
        ('preset = "menagerie"\n[[objective]]\nkind = "class"\nname = "crane"', ["crane", "134", "517"]),
        ('preset = "menagerie"\n[octaves]\nsmalest_side = 3', ["smalest_side", "'smallest_side'"]),
        ('preset = "menagerie"\n[octaves]\nkind = 3', ["kind of octaves", "planned"]),
        ('preset = "menagerie"\n[mask]\nfile = "x.png"', ["mask needs kind"]),
        ('preset = "menagerie"\n[mask]\nkind = "picture"', ["mask needs picture"]),
        ('preset = "menagerie"\n[mask]\nkind = "box"\nfile = "x.png"', ["region of kind box", "file"]),
        ('preset = "menagerie"\n[octaves]\nfile = "x.png"', ["planned octaves", "file"]),
        ('preset = "menagerie"\n' + GUIDE + 'file = "gone.png"', ["objective.file", "gone.png"]),
        ('preset = "menagerie"\n' + GUIDE + 'file = "."', ["objective.file", "no picture"]),
        ('preset = "menagerie"\n' + GUIDE + 'file = ""', ["objective.file", "path of a picture"]),
        ('preset = "menagerie"\n' + GUIDE + "file = 5", ["objective.file", "path of a picture", "5"]),
        ('preset = "menagerie"\n' + GUIDE + 'file = "a\\u0000b"', ["objective.file", "path of a picture"]),
        ('preset = "menagerie"\n' + GUIDE + 'file = "~nobody-of-this-name/x"', ["objective.file", "nobody"]),
        ('preset = "menagerie"\n' + GUIDE + f'file = "{"x" * 9000}"', ["objective.file", "too long"]),
        ('preset = "menagerie"\n' + GUIDE + 'picture = "ab"\nfile = "x"', ["objective", "file and picture"]),
        ("steps = ", ["not TOML", "docs/recipes.md#files"]),
        ("steps = 1\nsteps = 2", ["not TOML"]),
        (b"\xff\xfe", ["not TOML", "utf-8"]),
        ("a = " + "[" * 5000 + "]" * 5000, ["not TOML"]),
        (b"#" * (MOST_BYTES + 1), ["larger than"]),
        (b"", ["a recipe needs"]),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line_with_the_files_name(
    tmp_path: Path, text: str | bytes, words: list[str]
):
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, text)

    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'look.toml'}: ")
    assert all(word in said for word in words), said
    assert len(said) < 600 + len(str(tmp_path))


def test_a_mistyped_name_in_a_file_keeps_the_nearest_for_the_caller(tmp_path: Path):
    with pytest.raises(UnknownName) as caught:
        read(tmp_path, 'preset = "menagery"')

    assert caught.value.nearest[0] == "menagerie"


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        BARE.replace("steps = 3", "steps = 3\nsharpening = 0.5"),
        BARE.replace('layer = "mixed3"', 'kind = "text"\nwords = "a tiger"'),
        BARE.replace('layer = "mixed3"', 'kind = "guide"\nlayer = "mixed3"\nfile = "not/there.png"'),
        'preset = "a look of tomorrow"',
    ],
)
def test_a_file_of_a_newer_version_says_so_whatever_else_it_has(tmp_path: Path, text: str):
    with pytest.raises(RecipeError, match=r"look\.toml: recipe version 3 is not known here.*; upgrade dreamcrawl"):
        read(tmp_path, f"version = 3\n{text}")


def test_a_file_that_is_not_there_or_no_file_is_said_by_its_name(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.toml")

    for name, words in [("gone.toml", "No such file"), (".", "not a file"), ("pipe.toml", "not a file")]:
        with pytest.raises(RecipeError, match=words) as caught:
            load_recipe_file(tmp_path / name, default_network=LITE0, digest_of=digest_of)
        assert str(tmp_path / name) in str(caught.value)


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_every_file_on_the_page_of_recipes_is_one(tmp_path: Path, example: str):
    for name in re.findall(r'file = "(.*?)"', example):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())

    found = read(tmp_path, example)

    assert found.name in example
    assert len(found.pictures) == example.count("file = ")


def test_the_page_of_recipes_names_every_field_kind_choice_and_look():
    choices = [choice for name in Recipe.__annotations__ for choice in _choices(name)]
    parts = [
        field.name for part in (LayerTerm, NeuronTerm, ClassTerm, GuideTerm, Box, Ellipse) for field in fields(part)
    ]

    named = [*[field.name for field in fields(Recipe)], *choices, *parts, *TERMS, *REGIONS, *preset_names()]

    assert [name for name in named if f"`{name}`" not in PAGE and f"**`{name}`**" not in PAGE] == []


def _choices(name: str) -> list[str]:
    """What a field of choices can be, as its own error says."""
    try:
        preset("menagerie", LITE0).with_changes(**{name: "?"})
    except RecipeError as error:
        found = re.fullmatch(rf"{name} must be one of (.*); got '\?'", str(error))
        return found[1].split(", ") if found else []
    return []


def test_the_differences_of_two_recipes_are_their_fields_with_both_values():
    first = preset("paper-octave", LITE0)
    second = first.with_changes(steps=5, colors=Colors.SOURCE)

    assert recipe_differences(first, second) == (("steps", 50, 5), ("colors", "free", "source"))
    assert recipe_differences(first, first) == ()

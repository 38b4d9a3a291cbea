"""`dream` on files and items, `--plan`, and `replay`, in one process and one workspace that the tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update
from typer.testing import CliRunner

from flows.progress import PlainReporter
from tests.support.pictures import scene, scene_file

# 72 x 96 = 6912 pixels for two steps.
QUICK = """
name = "quick"
steps = 2
step_size = 0.02
[octaves]
kind = "exponents"
exponents = [0]
[[objective]]
layer = "block4_expand"
"""


class Desk:
    """A folder to run commands in; what `dream --file` made there once is shared by the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "quick.toml").write_text(QUICK)
        (folder / "a.png").write_bytes(scene_file(1, width=96, height=72))
        (folder / "b.png").write_bytes(scene_file(2, width=72, height=96))
        (folder / "cut.jpg").write_bytes(scene_file(3, "JPEG")[:900])
        (folder / "words.png").write_text("not a picture")
        files = [option for name in ("a.png", "cut.jpg", "b.png", "gone.png", "a.png") for option in ("--file", name)]
        self.first = self.run("dream", *files, "--preset", "quick.toml", "--json")

    def run(self, *arguments: str) -> Any:
        from flows.cli import app

        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            return CliRunner().invoke(app, list(arguments))

    @property
    def catalog(self) -> Any:
        from pipeline.catalog.engine import open_catalog

        return open_catalog(self.folder / "dreamcrawl-data" / "catalog.sqlite3")

    def derivation(self, derivation_id: int) -> Any:
        with self.catalog as catalog, catalog.read() as uow:
            return uow.derivations.get(derivation_id)

    def counts(self) -> tuple[int, int, int]:
        """Runs, dreams and files in the workspace."""
        from sqlalchemy import text

        with self.catalog as catalog, catalog.read() as uow:
            runs, dreams = (
                uow.session.execute(text(f"select count(*) from {table}")).scalar_one()
                for table in ("run", "derivation")
            )
        # SQLite's own files come and go.
        files = [path for path in (self.folder / "dreamcrawl-data").rglob("*") if "sqlite" not in path.name]
        return runs, dreams, len(files)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


def test_files_that_are_no_pictures_are_told_and_the_others_are_dreamed_on(desk: Desk):
    answer = json.loads(desk.first.stdout)

    assert desk.first.exit_code == 3, desk.first.output
    assert (answer["made"], answer["already"], answer["failed"]) == (2, 0, [])
    assert [Path(dream["file"]).name.split("-")[0] for dream in answer["dreams"]] == ["a", "b"]
    assert [row["file"] for row in answer["rejected"]] == ["cut.jpg", "gone.png"]
    assert "ends early" in answer["rejected"][0]["reason"]
    assert "No such file" in answer["rejected"][1]["reason"]
    for dream, seed, size in zip(answer["dreams"], (1, 2), ((96, 72), (72, 96)), strict=True):
        with Image.open(dream["file"]) as image:
            pixels = np.asarray(image)
        source = scene(seed, width=size[0], height=size[1])
        assert pixels.shape == source.shape
        assert 1 < np.abs(pixels.astype(int) - source).mean() < 40


def test_the_run_with_refused_files_is_recorded_as_partial(desk: Desk):
    (run,) = [row for row in json.loads(desk.run("runs", "--json").stdout) if row["id"] in (1, "r1")]

    assert run["status"] == "partial"
    told = desk.run("runs", "r1").stdout
    assert "cut.jpg" in told
    assert "gone.png" in told


def test_the_catalog_keeps_the_measures_of_every_dream(desk: Desk):
    for derivation_id in (1, 2):
        row = desk.derivation(derivation_id)
        # Two are rendered side by side, and either may be done first; the items are in the order of the files.
        seed = row.item_id
        measures = row.manifest["render"]["measures"]

        with Image.open(desk.folder / "dreamcrawl-data" / "dreams" / row.file_name) as image:
            dream = np.asarray(image).astype(int)
        source = scene(seed, width=row.width, height=row.height)
        assert set(measures) >= {"noise", "sharpness", "texture_variety", "structure", "warmth", "change"}
        assert measures["change"] == pytest.approx(np.abs(dream - source).mean(), abs=1e-5)
        assert 0 < measures["structure"] < 1


def test_dreaming_on_the_same_files_again_makes_nothing(desk: Desk):
    before = desk.counts()

    again = desk.run("dream", "-f", "a.png", "-f", "b.png", "-p", "quick.toml")

    assert again.exit_code == 0, again.output
    assert "0 made, 2 already there, 0 failed" in again.stdout
    assert desk.counts()[1:] == before[1:]


def test_files_and_items_can_be_named_without_an_option(desk: Desk):
    files = desk.run("dream", "a.png", "b.png", "-p", "quick.toml")
    items = desk.run("dream", "i1", "I2", "-p", "quick.toml")
    both = desk.run("dream", "i1", "a.png", "-p", "quick.toml")
    # A name that looks like an id, but is that of a file.
    (desk.folder / "i77").write_bytes((desk.folder / "a.png").read_bytes())
    named_so = desk.run("dream", "i77", "-p", "quick.toml")
    (desk.folder / "i77").unlink()

    for done, there in ((files, 2), (items, 2), (named_so, 1)):
        assert done.exit_code == 0, done.output
        assert f"0 made, {there} already there, 0 failed" in done.stdout
    assert both.exit_code == 2
    assert "items or files" in both.stderr


def test_a_folder_named_as_a_picture_is_told_with_the_way_out(desk: Desk, tmp_path: Path):
    done = desk.run("dream", str(tmp_path), "-p", "quick.toml")

    assert done.exit_code == 2
    assert f"{tmp_path} is a folder; name the pictures in it, such as {tmp_path}/*.jpg" in done.stderr


def test_a_misspelt_name_makes_no_workspace(desk: Desk, tmp_path: Path):
    done = desk.run("dream", "catt.png", "x" * 300, "--workspace", str(tmp_path / "new"))

    assert done.exit_code == 2
    assert "there is no file catt.png" in done.stderr
    assert not (tmp_path / "new").exists()


def test_where_no_file_can_be_taken_the_command_fails_and_names_each(desk: Desk):
    one = desk.run("dream", "--file", "words.png", "--preset", "quick.toml")
    two = desk.run("dream", "--file", "gone.png", "--file", "words.png", "--preset", "quick.toml")

    assert one.exit_code == 1
    assert "words.png" in one.output
    assert two.exit_code == 2
    assert "gone.png" in two.output
    assert "words.png" in two.output


def test_a_plan_counts_the_work_and_makes_nothing(desk: Desk):
    before = desk.counts()

    planned = desk.run("dream", "--plan", "--json", "--preset", "quick.toml", "--strength", "0.5")
    told = desk.run("dream", "--plan", "--item", "i1", "--preset", "quick.toml", "--strength", "0.5")
    done = desk.run("dream", "--plan", "--preset", "quick.toml")

    plan = json.loads(planned.stdout)
    assert planned.exit_code == told.exit_code == done.exit_code == 0
    # Two pictures of 6912 pixels, one octave of their own size, two steps.
    assert (plan["pictures"], plan["already"], plan["pixel_steps"]) == (2, 0, 2 * 6912 * 2)
    assert plan["operations"] > plan["pixel_steps"] * 1000
    assert plan["seconds"] == pytest.approx(plan["pixel_steps"] / plan["pixel_steps_per_second"])
    assert "1 picture to dream on, 0 already there" in told.stdout
    assert "13,824 pixels times steps" in told.stdout
    assert "about 1 s" in told.stdout
    assert "0 pictures to dream on, 2 already there" in done.stdout
    assert desk.counts() == before


def test_a_plan_for_files_reads_them_and_takes_them_nowhere(desk: Desk, tmp_path: Path):
    before = desk.counts()
    (desk.folder / "new.png").write_bytes(scene_file(7, width=80, height=100))
    named = [option for name in ("new.png", "a.png", "words.png", "new.png") for option in ("--file", name)]

    planned = desk.run("dream", "--plan", "--json", "--preset", "quick.toml", *named)
    alone = desk.run("dream", "--plan", "new.png", "--preset", "quick.toml", "--workspace", str(tmp_path / "none"))

    plan = json.loads(planned.stdout)
    assert (planned.exit_code, alone.exit_code) == (3, 0)
    # One is new, of 8000 pixels for two steps; one has its dream; one is no picture.
    assert (plan["pictures"], plan["already"], plan["pixel_steps"]) == (1, 1, 2 * 8000)
    assert [row["file"] for row in plan["rejected"]] == ["words.png"]
    assert "1 picture to dream on, 0 already there" in alone.stdout
    assert "16,000 pixels times steps" in alone.stdout
    assert desk.counts() == before
    assert not (tmp_path / "none").exists()


def test_strength_and_seed_stand_in_place_of_the_recipes_own(desk: Desk):
    made = desk.run("dream", "--item", "i1", "--preset", "quick.toml", "--strength", "0", "--seed", "9", "--json")

    (dream,) = json.loads(made.stdout)["dreams"]
    recipe = desk.derivation(int(dream["id"][1:])).recipe
    assert (recipe["strength"], recipe["seed"]) == (0.0, 9)
    with Image.open(dream["file"]) as image:
        assert np.array_equal(np.asarray(image), scene(1, width=96, height=72))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--strength", "1.5"], 2, ["--strength", "less than or equal to 1"]),
        (["--strength", "some"], 2, ["--strength"]),
        (["--seed", "-1"], 2, ["--seed"]),
        (["--seed", str(2**63)], 2, ["seed", "9223372036854775807"]),
        (["--profile", "slow"], 2, ["profile", "exact", "fast"]),
        (["--preset", "quick.tml"], 2, ["quick.tml"]),
        (["--preset", "gone.toml"], 2, ["gone.toml", "No such file"]),
        (["--network", "efficientnet"], 2, ["efficientnet", "'efficientnet_lite0'"]),
        (["--plan", "--file", "words.png"], 1, ["words.png"]),
        (["--item", "i1", "--file", "a.png"], 2, ["--item", "--file"]),
        (["--plan", "--item", "i99"], 2, ["no item i99"]),
        (["--plan", "--workspace", "elsewhere"], 2, ["no catalog", "elsewhere"]),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_words(desk: Desk, arguments: list[str], code: int, words: list[str]):
    before = desk.counts()

    done = desk.run("dream", *arguments)

    assert done.exit_code == code, done.output
    assert all(word in done.output for word in words), done.output
    assert "Traceback" not in done.output
    assert desk.counts() == before


def test_a_replay_here_and_now_gives_equal_pixels(desk: Desk):
    done = desk.run("replay", "d1")
    answer = json.loads(desk.run("replay", "d1", "--json").stdout)

    assert done.exit_code == 0, done.output
    assert "d1: the pixels are equal" in done.stdout
    assert (answer["verdict"], answer["environment_differences"], answer["source_ok"]) == ("identical", [], True)


def test_a_replay_needs_nothing_but_the_file_and_the_original(desk: Desk, tmp_path: Path):
    (made,) = [each for each in map(desk.derivation, (1, 2)) if each.manifest["source"]["title"] == "a"]
    dream = desk.folder / "dreamcrawl-data" / "dreams" / made.file_name
    (tmp_path / "from-a-friend.png").write_bytes(dream.read_bytes())
    away = ("--workspace", str(tmp_path / "none"), "--json")

    here = desk.run("replay", str(tmp_path / "from-a-friend.png"), "--json")
    elsewhere = desk.run("replay", str(tmp_path / "from-a-friend.png"), "--source", "a.png", *away)
    without = desk.run("replay", str(tmp_path / "from-a-friend.png"), *away)
    wrong = desk.run("replay", str(tmp_path / "from-a-friend.png"), "--source", "b.png", *away)
    misplaced = desk.run("replay", "d1", "--source", "a.png")

    for done in (here, elsewhere):
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        assert (answer["verdict"], answer["environment_differences"]) == ("identical", [])
    assert (without.exit_code, "give it with --source" in without.stderr) == (2, True)
    assert (wrong.exit_code, "is not the original" in wrong.stderr) == (2, True)
    assert (misplaced.exit_code, "there is no file" in misplaced.stderr) == (2, True)
    assert not (tmp_path / "none").exists()


def change_record(desk: Desk, derivation_id: int, change: Callable[[dict[str, Any]], None]) -> None:
    from pipeline.catalog.tables import DerivationRow

    manifest = json.loads(json.dumps(desk.derivation(derivation_id).manifest))
    change(manifest)
    with desk.catalog as catalog, catalog.write() as uow:
        uow.session.execute(update(DerivationRow).where(DerivationRow.id == derivation_id).values(manifest=manifest))


def test_a_replay_lists_what_of_its_surroundings_is_another_and_nothing_else(desk: Desk):
    kept = desk.derivation(2).manifest

    def as_if_made_elsewhere(manifest: dict[str, Any]) -> None:
        render = manifest["render"]
        render["cpu"] = "a processor of another kind"
        render["versions"]["tensorflow"] = "2.0.0"
        render["onednn"] = "0"
        render["threads"]["cpus"] = 1000
        render["device"] = "GPU"

    change_record(desk, 2, as_if_made_elsewhere)
    answer = json.loads(desk.run("replay", "d2", "--json").stdout)
    told = desk.run("replay", "d2")
    change_record(desk, 2, lambda manifest: manifest.update(kept))

    assert [(name, then) for name, then, _ in answer["environment_differences"]] == [
        ("cpu", "a processor of another kind"),
        ("device", "GPU"),
        ("onednn", "0"),
        ("threads.cpus", "1000"),
        ("versions.tensorflow", "2.0.0"),
    ]
    assert answer["verdict"] == "identical"
    assert "  versions.tensorflow: 2.0.0 then, " in told.stdout
    assert "the pixels are equal" in told.stdout


def test_progress_on_a_pipe_is_a_line_every_few_seconds_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    steps = ((100.0, 0.0), (101.0, 0.2), (106.0, 1.5), (107.0, 2.0), (130.0, 10.0), (131.0, 10.0))
    times = iter([time for time, _ in steps])
    monkeypatch.setattr("flows.progress.time.monotonic", lambda: next(times))
    reporter = PlainReporter()

    for _, done in steps:
        reporter.step("dream", done, 10, "quick on i1")

    assert capsys.readouterr().err.splitlines() == [
        "dream: 0/10 quick on i1",
        # 1.5 pictures in six seconds leave 8.5 pictures at four seconds each.
        "dream: 1/10 quick on i1 (about 34 s left)",
        "dream: 10/10 quick on i1",
    ]

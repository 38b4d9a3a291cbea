"""presets, recipe, compare: the looks, and what they make of a picture, without a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.collect import NetworkOption
from flows.commands.common import (
    ExitCode,
    JsonOption,
    ShownError,
    WorkspaceOption,
    environment_for,
    output,
    print_json,
    print_table,
    printable,
    shows_errors,
)
from pipeline.own_paths import expanded

if TYPE_CHECKING:
    from dream.recipes import Recipe
    from flows.figures import Drawn

SheetSideOption = Annotated[
    int, typer.Option("--max-side", min=32, help="Longer side, in pixels, that pictures are dreamed at.")
]

PAPER_COLUMNS = "paper-single,paper-multi,paper-octave"
_ABOUT_THE_FILE = """\
# A look of dreamcrawl. Change it, and dream with it: dreamcrawl dream PICTURE --preset THIS-FILE.toml
# What each field does: docs/recipes.md. What can grow: dreamcrawl networks layers NETWORK
"""
_LOOKS_HELP = "names or recipe files, with commas between."


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(presets)
    app.command()(recipe)
    app.command()(compare)


@shows_errors
def presets(
    network: NetworkOption = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            help="Draw the looks of one picture into this file: .png, .jpg or .webp.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="The picture for the sheet.", metavar="FILE", show_default="a bundled photograph"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--presets", "--preset", "-p", help=f"Only these looks: {_LOOKS_HELP}", metavar="LOOKS", show_default="all"
        ),
    ] = None,
    max_side: SheetSideOption = 384,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List the looks, or draw them on one picture."""
    from dream.presets import DEFAULT_PRESET, preset_names
    from flows.look import chosen_look

    environment = environment_for(workspace)
    names = _names(only) if only is not None else preset_names()
    looks = [chosen_look(environment, preset=name, network=network) for name in names]
    if sheet is not None:
        from flows.figures import draw_looks
        from flows.progress import reporting

        sheet = expanded(sheet)
        with reporting(quiet=as_json):
            drawn = draw_looks(environment, looks, file=file, max_side=max_side, write_to=sheet)
        _say_drawn(sheet, drawn, as_json=as_json)
        return
    if file is not None:
        raise ShownError("--file is the picture for --sheet; give that too", ExitCode.USAGE)
    rows: list[dict[str, Any]] = [
        {
            "preset": look.name,
            "default": look.name == DEFAULT_PRESET,
            "description": look.description,
            "recipe": look.recipe,
        }
        for look in looks
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("preset", "", "look"),
            [(row["preset"], "default" if row["default"] else "", row["description"]) for row in rows],
        )


@shows_errors
def recipe(
    look: Annotated[str, typer.Argument(help="A preset, or a recipe file.", metavar="NAME|FILE.toml")],
    other: Annotated[
        str | None,
        typer.Argument(help="Another: what differs between the two.", metavar="OTHER", show_default=False),
    ] = None,
    network: NetworkOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a recipe as a file to change and share, or what differs between two."""
    from dream.recipe_files import recipe_differences, recipe_toml
    from dream.recipes import Recipe
    from flows.look import chosen_look, picture_files

    environment = environment_for(workspace)
    first = chosen_look(environment, preset=look, network=network)
    if other is None:
        made = Recipe.from_json(first.recipe)
        if as_json:
            print_json({"name": first.name, "network": first.network, "sha256": made.digest(), "recipe": first.recipe})
        else:
            text = recipe_toml(
                made,
                name=first.name,
                network=first.network,
                description=first.description,
                files=picture_files(environment, first),
            )
            output().print(f"{_ABOUT_THE_FILE}\n{text}", end="", markup=False, highlight=False, soft_wrap=True)
        return
    second = chosen_look(environment, preset=other, network=network)
    recipes = Recipe.from_json(first.recipe), Recipe.from_json(second.recipe)
    found = recipe_differences(*recipes)
    if as_json:
        print_json([{"field": name, "first": a, "second": b} for name, a, b in found])
    elif found:
        columns = ("field", first.name, second.name)
        print_table(columns, [(name, *(_told(name, each) for each in recipes)) for name, _, _ in found])
    else:
        output().print("the same recipe")


def _told(name: str, recipe: Recipe) -> str:
    """A field of a recipe as a person reads it."""
    from dream.terms import objective_text

    value = objective_text(recipe.objective) if name == "objective" else recipe.to_json()[name]
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items() if each is not None)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


@shows_errors
def compare(
    files: Annotated[list[Path], typer.Argument(help="Pictures, one row for each.", metavar="FILE")],
    write_to: Annotated[Path, typer.Option("--write-to", help="The figure: .png, .jpg or .webp.", metavar="FILE")],
    looks: Annotated[
        str,
        typer.Option(
            "--presets",
            "--preset",
            "-p",
            help=f"The columns after the picture itself: {_LOOKS_HELP}",
            metavar="LOOKS",
        ),
    ] = PAPER_COLUMNS,
    network: NetworkOption = None,
    max_side: SheetSideOption = 384,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Draw pictures and their dreams side by side: by default the paper's figure of four columns."""
    from flows.figures import draw_comparison
    from flows.look import chosen_look
    from flows.progress import reporting

    environment = environment_for(workspace)
    chosen = [chosen_look(environment, preset=name, network=network) for name in _names(looks)]
    write_to = expanded(write_to)
    with reporting(quiet=as_json):
        drawn = draw_comparison(environment, chosen, files=files, max_side=max_side, write_to=write_to)
    _say_drawn(write_to, drawn, as_json=as_json)


def _names(looks: str) -> Sequence[str]:
    names = [name.strip() for name in looks.split(",") if name.strip()]
    if not names:
        raise ShownError("--presets names no look", ExitCode.USAGE)
    return names


def _say_drawn(path: Path, drawn: Drawn, *, as_json: bool) -> None:
    """Where the figure is and what is missing in it, which the exit code tells as well."""
    if as_json:
        print_json({"file": str(path), "dreams": drawn.dreams, "problems": drawn.problems})
    else:
        console = output()
        for problem in drawn.problems:
            console.print(f"note: {printable(problem)}", style="yellow", markup=False, soft_wrap=True)
        console.print(str(path), markup=False, soft_wrap=True)
    if drawn.problems:
        raise typer.Exit(ExitCode.PARTIAL if drawn.dreams else ExitCode.FAILED)

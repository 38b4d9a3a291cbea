"""presets, recipe, compare: the looks, and what they make of a picture, without a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

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
    shows_errors,
)

SheetSideOption = Annotated[
    int, typer.Option("--max-side", min=32, help="Longer side, in pixels, that pictures are dreamed at.")
]

PAPER_COLUMNS = "paper-single,paper-multi,paper-octave"


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
            "--sheet", help="Draw every look of one picture into this file.", metavar="FILE", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="The picture for the sheet.", show_default="a bundled photograph"),
    ] = None,
    max_side: SheetSideOption = 384,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List the looks, or draw them all on one picture."""
    from dream.presets import DEFAULT_PRESET, describe, preset_names
    from flows.look import chosen_look

    environment = environment_for(workspace)
    looks = [chosen_look(environment, preset=name, network=network) for name in preset_names()]
    if sheet is not None:
        from flows.figures import draw_looks
        from flows.progress import reporting

        with reporting(quiet=as_json):
            draw_looks(environment, looks, file=file, max_side=max_side, write_to=sheet)
        _say_written(sheet, as_json=as_json)
        return
    if file is not None:
        raise ShownError("--file is the picture for --sheet; give that too", ExitCode.USAGE)
    rows: list[dict[str, Any]] = [
        {
            "preset": look.name,
            "default": look.name == DEFAULT_PRESET,
            "description": describe(look.name),
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
        typer.Argument(help="Another: what differs between the two.", metavar="[OTHER]", show_default=False),
    ] = None,
    network: NetworkOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a recipe as a file to change and share, or what differs between two."""
    from dream.recipe_files import recipe_differences, recipe_toml
    from dream.recipes import Recipe
    from flows.look import chosen_look

    environment = environment_for(workspace)
    first = chosen_look(environment, preset=look, network=network)
    if other is None:
        made = Recipe.from_json(first.recipe)
        if as_json:
            print_json({"name": first.name, "network": first.network, "sha256": made.digest(), "recipe": first.recipe})
        else:
            text = recipe_toml(made, name=first.name, network=first.network)
            output().print(text, end="", markup=False, highlight=False, soft_wrap=True)
        return
    second = chosen_look(environment, preset=other, network=network)
    found = recipe_differences(Recipe.from_json(first.recipe), Recipe.from_json(second.recipe))
    if as_json:
        print_json([{"field": name, "first": a, "second": b} for name, a, b in found])
    elif found:
        print_table(("field", first.name, second.name), [(name, str(a), str(b)) for name, a, b in found])
    else:
        output().print("the same recipe")


@shows_errors
def compare(
    files: Annotated[list[Path], typer.Argument(help="Pictures, one row for each.", metavar="FILE...")],
    write_to: Annotated[Path, typer.Option("--write-to", help="The figure: .png, .jpg or .webp.", metavar="FILE")],
    looks: Annotated[
        str, typer.Option("--presets", help="The columns after the picture itself: names or recipe files, with commas.")
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

    names: Sequence[str] = [name.strip() for name in looks.split(",") if name.strip()]
    if not names:
        raise ShownError("--presets names no look", ExitCode.USAGE)
    environment = environment_for(workspace)
    chosen = [chosen_look(environment, preset=name, network=network) for name in names]
    with reporting(quiet=as_json):
        draw_comparison(environment, chosen, files=files, max_side=max_side, write_to=write_to)
    _say_written(write_to, as_json=as_json)


def _say_written(path: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path)})
    else:
        output().print(str(path), markup=False, soft_wrap=True)

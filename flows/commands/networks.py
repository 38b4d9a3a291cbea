"""networks list, show, layers, fetch, import, verify, remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    where,
)
from pipeline.own_paths import expanded

if TYPE_CHECKING:
    from dream.networks.cards import NetworkCard
    from dream.networks.inventory import LayerInfo
    from flows.wiring import Environment

NameArgument = Annotated[str, typer.Argument(help="Name of the network.", metavar="NETWORK")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="The networks to dream with.", no_args_is_help=True)
    group.command("list")(list_networks)
    group.command("show")(show)
    group.command("layers")(layers)
    group.command("fetch")(fetch)
    group.command("import")(import_file)
    group.command("verify")(verify)
    group.command("remove")(remove)
    app.add_typer(group, name="networks")


@shows_errors
def list_networks(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the networks: where they come from, their licences, and whether their weights are here."""
    from dream.errors import DreamError
    from dream.networks.cards import NETWORKS
    from dream.networks.imported import find_card, imported_names

    environment = environment_for(workspace)
    folder = environment.workspace.weights
    rows: list[dict[str, Any]] = []
    for name in (*NETWORKS, *imported_names(folder)):
        try:
            rows.append(_described(find_card(name, folder), environment))
        except DreamError as error:
            # One damaged card must not hide the others.
            rows.append({"name": name, "imported": name not in NETWORKS, "damaged": str(error)})
    if as_json:
        print_json(rows)
        return
    print_table(
        ("network", "", "from", "weights", "licence", "source"),
        [
            (
                row["name"],
                "default" if row.get("default") else "",
                "imported" if row["imported"] else "shipped",
                "damaged" if "damaged" in row else "here" if row["weights_here"] else "to fetch",
                row.get("license", ""),
                row.get("source", row.get("damaged")),
            )
            for row in rows
        ],
    )


@shows_errors
def show(name: NameArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Print everything that is known of a network."""
    from dream.networks.imported import find_card

    environment = environment_for(workspace)
    row = _described(find_card(name, environment.workspace.weights), environment)
    if as_json:
        print_json(row)
        return
    print_table(("", ""), [(key.replace("_", " "), _shown(value)) for key, value in row.items()])


@shows_errors
def layers(
    name: NameArgument,
    workspace: WorkspaceOption = None,
    convolutions: Annotated[bool, typer.Option("--convolutions", help="Only the convolutions.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print every layer that a dream can name: its shape and parameters, what it sees, and what it costs.

    Nothing is fetched for it.
    """
    from dream.networks import layers_of

    every = layers_of(name, weights_folder=environment_for(workspace).workspace.weights)
    chosen = [layer for layer in every if layer.is_convolution or not convolutions]
    most = max(layer.macs_per_pixel for layer in every) or 1.0
    if as_json:
        print_json([{**asdict(layer), "macs_percent": 100 * layer.macs_per_pixel / most} for layer in chosen])
        return
    output().print(_head(name, every), markup=False, soft_wrap=True)
    print_table(
        ("layer", "kind", "output shape", "parameters", "kernel", "stride", "padding", "sees", "work"),
        [
            (
                layer.name,
                layer.kind,
                layer.shape,
                f"{layer.parameters:,}",
                f"{layer.kernel[0]}x{layer.kernel[1]}" if layer.kernel else "",
                layer.stride,
                layer.padding,
                f"{layer.receptive_field} px" if layer.receptive_field else "all",
                f"{100 * layer.macs_per_pixel / most:.0f} %",
            )
            for layer in chosen
        ],
    )


@shows_errors
def fetch(name: NameArgument, workspace: WorkspaceOption = None) -> None:
    """Fetch a network's weights into the workspace, once, and check their digest."""
    from dream.networks.imported import find_card
    from dream.networks.weights import ensure_for_card
    from flows.progress import reporting

    environment = environment_for(workspace)
    environment.workspace.prepare()
    card = find_card(name, environment.workspace.weights)
    with reporting() as reporter:
        path = ensure_for_card(
            card,
            weights_folder=environment.workspace.weights,
            offline=environment.values.dream.offline,
            on_progress=lambda here, of: reporter.step("fetch", here, of, "bytes"),
        )
    output().print(f"{name}: {path}", markup=False, soft_wrap=True)


@shows_errors
def import_file(
    name: Annotated[
        str, typer.Argument(help="A new name; or that of a listed network, for its published file.", metavar="NETWORK")
    ],
    path: Annotated[
        Path,
        typer.Argument(
            help="A Keras model or weights, a SavedModel's folder, a checkpoint, or a frozen graph.", metavar="PATH"
        ),
    ],
    input_scale: Annotated[
        str | None,
        typer.Option(
            help="A pixel x from 0 to 1 goes in as x * scale + offset: a number, or three with commas.",
            metavar="S",
            show_default="255 for a frozen graph",
        ),
    ] = None,
    input_offset: Annotated[
        str | None,
        typer.Option(help="The offset: likewise.", metavar="O", show_default="-117 for a frozen graph"),
    ] = None,
    channel_order: Annotated[str | None, typer.Option(help="RGB or BGR.", metavar="ORDER", show_default="RGB")] = None,
    smallest_side: Annotated[
        int | None, typer.Option(help="Pixels that a picture must have.", min=1, show_default="found from the layers")
    ] = None,
    license_id: Annotated[
        str | None,
        typer.Option("--license", help="SPDX identifier of the weights' licence.", metavar="SPDX", show_default=False),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the network comes from.", metavar="TEXT", show_default="the file's name")
    ] = None,
    classifier: Annotated[
        str | None, typer.Option(help="Layer of the class scores.", metavar="LAYER", show_default=False)
    ] = None,
    input_tensor: Annotated[
        str | None,
        typer.Option(
            "--input", help="Where pictures enter a frozen graph.", metavar="TENSOR", show_default="its placeholder"
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="For weights alone: the listed network that they are for.", metavar="NETWORK"),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Import a network from a file of your own under a new name, or take a listed network's weights from a file."""
    from dream.networks.cards import NETWORKS

    environment = environment_for(workspace)
    folder = environment.workspace.weights
    given = {
        "input_scale": _numbers("--input-scale", input_scale),
        "input_offset": _numbers("--input-offset", input_offset),
        "channel_order": channel_order.upper() if channel_order else None,
        "smallest_side": smallest_side,
        "license": license_id,
        "source": source,
        "classifier": classifier,
        "input_tensor": input_tensor,
        "architecture": architecture,
    }
    path = expanded(path)
    if name in NETWORKS:
        from dream.networks import import_weights

        if any(value is not None for value in given.values()):
            raise ShownError(
                f"{name} has a card of its own; leave out the options, or choose a new name", ExitCode.USAGE
            )
        environment.workspace.prepare()
        stored = import_weights(name, path, weights_folder=folder)
        output().print(f"{name}: {stored}", markup=False, soft_wrap=True)
        return
    from dream.runtime import configure

    configure()
    from dream.networks import load_network
    from dream.networks.importing import ImportOptions, import_network

    options = ImportOptions(**given)  # type: ignore[arg-type]  # each of its own type, by the options above
    environment.workspace.prepare()
    card, is_new = import_network(name, path, options, weights_folder=folder)
    network = load_network(name, weights_folder=folder, offline=True)
    output().print(
        f"{_head(name, network.layers)}\n{card.description} {'' if is_new else 'It was here already. '}"
        f"Kept as {folder / card.weights_file}\n"
        f"`dreamcrawl networks layers {name}{where(environment)}` lists its layers, to be named in a recipe file.",
        markup=False,
        soft_wrap=True,
    )


@shows_errors
def verify(
    name: Annotated[
        str | None, typer.Argument(help="Only this network.", metavar="NETWORK", show_default="all that are here")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the digests of the weights that are here again, and compare."""
    from dream.errors import DreamError, UnknownName, WeightsUnavailable
    from dream.networks.cards import NETWORKS
    from dream.networks.imported import find_card, imported_names
    from dream.networks.weights import card_is_here, ensure_for_card

    environment = environment_for(workspace)
    folder = environment.workspace.weights
    rows: list[dict[str, Any]] = []
    for each in (name,) if name is not None else (*NETWORKS, *imported_names(folder)):
        try:
            card = find_card(each, folder)
            if not card.imported and not card_is_here(card, folder):
                if name is None:
                    continue
                command = f"dreamcrawl networks fetch {card.name}{where(environment)}"
                raise WeightsUnavailable(f"its weights are not here; run: {command}")
            path = ensure_for_card(card, weights_folder=folder, offline=True)
            rows.append(
                {
                    "name": each,
                    "file": str(path),
                    "sha256": find_card(each, folder).weights_sha256,
                    "error": None,
                    "wrong": False,
                }
            )
        except UnknownName:
            raise
        except DreamError as error:
            wrong = not isinstance(error, WeightsUnavailable)
            rows.append({"name": each, "file": None, "sha256": None, "error": str(error), "wrong": wrong})
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            told = f"{'WRONG' if row['wrong'] else 'NOT CHECKED'}: {row['error']}"
            said = told if row["error"] is not None else f"right, SHA-256 {row['sha256']}"
            output().print(f"{row['name']}: {said}", markup=False, soft_wrap=True)
    if any(row["error"] is not None for row in rows):
        raise typer.Exit(ExitCode.FAILED)


@shows_errors
def remove(name: NameArgument, workspace: WorkspaceOption = None) -> None:
    """Remove an imported network; dreams made with it stay, but cannot be made again without it."""
    from dream.networks import remove_imported

    environment = environment_for(workspace)
    remove_imported(name, environment.workspace.weights)
    output().print(f"{name} is removed", markup=False)


def _described(card: NetworkCard, environment: Environment) -> dict[str, Any]:
    """The card, and how things stand with it here."""
    from dream.networks.weights import card_is_here

    return {
        **asdict(card),
        "default": card.name == environment.values.dream.network,
        "weights_here": card_is_here(card, environment.workspace.weights),
    }


def _head(name: str, every: Sequence[LayerInfo]) -> str:
    count = sum(layer.is_convolution for layer in every)
    return f"{name}: {count} convolutions, {sum(layer.parameters for layer in every):,} parameters, {len(every)} layers"


def _numbers(option: str, text: str | None) -> float | tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) not in {1, 3}:
        raise ShownError(f"{option} must be a number, or three with commas, got {text!r}", ExitCode.USAGE)
    return parts[0] if len(parts) == 1 else (parts[0], parts[1], parts[2])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

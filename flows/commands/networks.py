"""networks list, layers, fetch, import."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import (
    JsonOption,
    WorkspaceOption,
    environment_for,
    output,
    print_json,
    print_table,
    shows_errors,
)

NameArgument = Annotated[str, typer.Argument(help="Name of the network.", metavar="NETWORK")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="The networks to dream with.", no_args_is_help=True)
    group.command("list")(list_networks)
    group.command("layers")(layers)
    group.command("fetch")(fetch)
    group.command("import")(import_file)
    app.add_typer(group, name="networks")


@shows_errors
def list_networks(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the networks, and whether their weights are here."""
    from dream.networks.cards import NETWORKS
    from dream.networks.weights import has_weights

    environment = environment_for(workspace)
    rows = [
        {
            **asdict(card),
            "default": card.name == environment.values.dream.network,
            "weights_here": has_weights(card.name, environment.workspace.weights),
        }
        for card in NETWORKS.values()
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("network", "", "weights", "licence", "about"),
        [
            (
                row["name"],
                "default" if row["default"] else "",
                "here" if row["weights_here"] else "to fetch",
                row["license"],
                row["description"],
            )
            for row in rows
        ],
    )


@shows_errors
def layers(name: NameArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Print every layer: how many convolutions, their names, shapes and parameters."""
    from dream.networks import load_network
    from dream.networks.inventory import layer_inventory

    environment = environment_for(workspace)
    network = load_network(name, weights_folder=environment.workspace.weights, offline=environment.values.dream.offline)
    rows = layer_inventory(network)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("layer", "kind", "output shape", "kernel", "stride", "padding", "sees", "parameters"),
        [
            (
                row.name,
                row.kind,
                row.shape,
                f"{row.kernel[0]}x{row.kernel[1]}" if row.kernel else "",
                row.stride,
                row.padding,
                f"{row.receptive_field} px" if row.receptive_field else "",
                f"{row.parameters:,}",
            )
            for row in rows
        ],
    )
    convolutions = sum(row.kind.endswith("Conv2D") for row in rows)
    output().print(f"\n{convolutions} convolutions, {sum(row.parameters for row in rows):,} parameters")


@shows_errors
def fetch(name: NameArgument, workspace: WorkspaceOption = None) -> None:
    """Fetch a network's weights into the workspace, once, and check their digest."""
    from dream.networks.weights import ensure_weights
    from flows.progress import reporting

    environment = environment_for(workspace)
    environment.workspace.prepare()
    with reporting() as reporter:
        path = ensure_weights(
            name,
            weights_folder=environment.workspace.weights,
            offline=environment.values.dream.offline,
            on_progress=lambda here, of: reporter.step("fetch", here, of, "bytes"),
        )
    output().print(f"{name}: {path}", markup=False, soft_wrap=True)


@shows_errors
def import_file(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(help="The file with the weights.", metavar="FILE")],
    workspace: WorkspaceOption = None,
) -> None:
    """Take a network's weights from a file, after checking their digest."""
    from dream.networks import import_weights

    environment = environment_for(workspace)
    environment.workspace.prepare()
    stored = import_weights(name, path.expanduser(), weights_folder=environment.workspace.weights)
    output().print(f"{name}: {stored}", markup=False, soft_wrap=True)

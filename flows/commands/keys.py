"""keys init, show: what dreams are signed with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.common import (
    JsonOption,
    WorkspaceOption,
    environment_for,
    output,
    print_json,
    printable,
    shows_errors,
)

_EXTRA = "pip install 'dreamcrawl[c2pa]'"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="The keys that dreams are signed with (C2PA).", no_args_is_help=True)
    group.command("init")(init)
    group.command("show")(show)
    app.add_typer(group, name="keys")


@shows_errors
def init(
    name: Annotated[str, typer.Option("--name", help="Whom the certificate names; everybody can read it.")] = (
        "dreamcrawl"
    ),
    organization: Annotated[
        str, typer.Option("--organization", help="The same, of an organization.", show_default=False)
    ] = "",
    years: Annotated[float, typer.Option("--years", help="How long signatures hold.")] = 10,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Another folder; new or empty.", metavar="DIR", show_default="in the workspace"),
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a root and a signing certificate of your own; from then on dreams are signed as they are made."""
    from pipeline.provenance.keys import SIGNING_CHAIN, SIGNING_KEY, TRUST_ANCHOR, make_keys

    environment = environment_for(workspace)
    if to is None:
        environment.workspace.prepare()
    folder = to.expanduser().absolute() if to is not None else environment.workspace.keys
    keys = make_keys(folder, name=name, organization=organization, years=years)
    told = {**_described(keys), "folder": str(folder)}
    if as_json:
        print_json(told)
        return
    console = output()
    _show(told)
    console.print(f"Keep {SIGNING_KEY} to yourself; give {TRUST_ANCHOR} to those who shall trust your pictures.")
    if to is not None:
        console.print(
            f"To sign with them, set signing.key and signing.certificates to {SIGNING_KEY} and {SIGNING_CHAIN}."
        )


@shows_errors
def show(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Say with what dreams are signed, and whether they are."""
    from flows.wiring import open_signer, signing_keys
    from pipeline.provenance.c2pa import is_installed

    environment = environment_for(workspace)
    keys = signing_keys(environment)
    if keys is None:
        if as_json:
            print_json({"signs": False, "reason": "no keys"})
        else:
            output().print("no keys: dreams are not signed; `dreamcrawl keys init` makes some")
        return
    signs = is_installed() and open_signer(environment) is not None
    told = {**_described(keys), "signs": signs}
    if as_json:
        print_json(told)
        return
    _show(told)
    output().print("dreams are signed" if signs else f"dreams are not signed: {_EXTRA}", markup=False)


def _described(keys: Any) -> dict[str, Any]:
    return {
        "signer": keys.signer,
        "issuer": keys.issuer,
        "algorithm": keys.algorithm,
        "certificate_sha256": keys.certificate_sha256,
        "not_before": keys.not_before.isoformat(),
        "not_after": keys.not_after.isoformat(),
    }


def _show(told: dict[str, Any]) -> None:
    console = output()
    for key, value in told.items():
        if key != "signs":
            console.print(f"{key.replace('_', ' '):20} {printable(str(value))}", markup=False, soft_wrap=True)

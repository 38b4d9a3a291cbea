"""keys init, show, renew, sign: what dreams are signed with, and signing those made before."""

from __future__ import annotations

import datetime as dt
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
    existing_environment,
    named_folder,
    output,
    print_json,
    printable,
    shows_errors,
)
from pipeline.own_paths import expanded
from pipeline.public_ids import parse_id

if TYPE_CHECKING:
    from pipeline.provenance.late_signing import SigningReport

_SOON_DAYS = 90
_EXTRA = "pip install 'dreamcrawl[c2pa]'"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="The keys that dreams are signed with (C2PA).", no_args_is_help=True)
    group.command("init")(init)
    group.command("show")(show)
    group.command("renew")(renew)
    group.command("sign")(sign)
    app.add_typer(group, name="keys")


def _folder(flag: str, told: str) -> Any:
    """A folder for keys other than that of the workspace."""
    return typer.Option(flag, help=told, metavar="DIR", parser=named_folder, show_default="in the workspace")


@shows_errors
def init(
    name: Annotated[str, typer.Option("--name", help="Whom the certificate names; everybody can read it.")] = (
        "dreamcrawl"
    ),
    organization: Annotated[
        str, typer.Option("--organization", help="The same, of an organization.", show_default=False)
    ] = "",
    years: Annotated[float, typer.Option("--years", help="How long signatures hold.")] = 10,
    to: Annotated[Path | None, _folder("--to", "Another folder; new or empty.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a root and a signing certificate of your own; from then on dreams are signed as they are made."""
    from pipeline.provenance.keys import ROOT_KEY, SIGNING_CHAIN, SIGNING_KEY, TRUST_ANCHOR, make_keys

    environment = environment_for(workspace)
    if to is None:
        environment.workspace.prepare()
    folder = expanded(to).absolute() if to is not None else environment.workspace.keys
    keys = make_keys(folder, name=name, organization=organization, years=years)
    told = {**_described(keys), "folder": str(folder)}
    if as_json:
        print_json(told)
        return
    console = output()
    _show(told)
    console.print(f"Keep {SIGNING_KEY} to yourself; give {TRUST_ANCHOR} to those who shall trust your pictures.")
    console.print(f"Move {ROOT_KEY} off this machine: signing needs it not, and `dreamcrawl keys renew` takes it back.")
    if to is not None:
        console.print(
            f"To sign with them, set signing.key and signing.certificates to {SIGNING_KEY} and {SIGNING_CHAIN}."
        )


@shows_errors
def show(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Say with what dreams are signed, and whether they are."""
    from flows.wiring import open_signer, signing_key_path, signing_keys
    from pipeline.provenance.c2pa import is_installed
    from pipeline.provenance.keys import exposure

    environment = environment_for(workspace)
    keys = signing_keys(environment)
    if keys is None:
        if as_json:
            print_json({"signs": False, "reason": "no keys"})
        else:
            output().print("no keys: dreams are not signed; `dreamcrawl keys init` makes some")
        return
    signs = is_installed() and open_signer(environment) is not None
    exposed = exposure(signing_key_path(environment))
    told = {**_described(keys), "signs": signs, "warnings": [exposed] if exposed else []}
    if as_json:
        print_json(told)
        return
    _show(told)
    left = (keys.not_after - dt.datetime.now(dt.UTC)).days
    if left < _SOON_DAYS:
        output().print(f"out of date in {left} days; `dreamcrawl keys renew` makes another certificate", markup=False)
    for warning in told["warnings"]:
        output().print(f"warning: {printable(warning)}", style="yellow", markup=False, soft_wrap=True)
    output().print("dreams are signed" if signs else f"dreams are not signed: {_EXTRA}", markup=False)


@shows_errors
def renew(
    root_key: Annotated[
        Path | None,
        typer.Option(
            "--root-key", help="The root's private key.", metavar="FILE", show_default="root-key.pem beside the others"
        ),
    ] = None,
    years: Annotated[float, typer.Option("--years", help="How long new signatures hold.")] = 10,
    folder: Annotated[Path | None, _folder("--in", "The folder of the keys.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make another signing certificate for the same key under the same root, before the old one is out of date.

    What was signed before holds as it did, and those who trust your root need nothing new.
    """
    from pipeline.provenance.key_renewal import renew_keys

    where = expanded(folder).absolute() if folder is not None else environment_for(workspace).workspace.keys
    keys = renew_keys(where, root_key=expanded(root_key) if root_key else None, years=years)
    told = {**_described(keys), "folder": str(where)}
    if as_json:
        print_json(told)
    else:
        _show(told)


@shows_errors
def sign(
    dreams: Annotated[
        list[str] | None,
        typer.Argument(help="Dreams such as d3; all that are not signed if left out.", metavar="ID"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were signed with another certificate.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign dreams that were made before there were keys; pixels stay, and the record says that it was done later."""
    from flows.progress import current_reporter, reporting
    from flows.wiring import open_catalog, open_signer, open_store, signing_keys
    from pipeline.provenance.late_signing import sign_dreams

    environment = existing_environment(workspace)
    ids = [parse_id(each, "d") for each in dreams] if dreams else None
    if signing_keys(environment) is None:
        raise ShownError("no keys to sign with; `dreamcrawl keys init` makes some", ExitCode.USAGE)
    signer = open_signer(environment)
    if signer is None:
        raise ShownError(f"signing needs an extra: {_EXTRA}", ExitCode.USAGE)
    with open_catalog(environment) as catalog, reporting(quiet=as_json):
        report = sign_dreams(
            ids,
            catalog=catalog,
            store=open_store(environment),
            dreams_folder=environment.workspace.dreams,
            signer=signer,
            again=again,
            on_progress=lambda done, of: current_reporter().step("sign", done, of),
        )
    if as_json:
        print_json(asdict(report))
    else:
        _show_signed(report)
    if report.failed:
        raise typer.Exit(ExitCode.PARTIAL if report.signed or report.already else ExitCode.FAILED)


def _show_signed(report: SigningReport) -> None:
    console = output()
    for derivation_id, line in report.failed:
        console.print(f"d{derivation_id}: {printable(line)}", style="red", markup=False, soft_wrap=True)
    for name in report.changed_copies:
        line = f"note: dreams/{printable(name)} was changed by somebody and is left as it is, unsigned"
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    counts = f"{len(report.signed)} signed, {report.already} were already, {len(report.failed)} failed"
    console.print(counts + (f", {report.left_out} withdrawn or gone" if report.left_out else ""), markup=False)


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
        if key not in {"signs", "warnings"}:
            console.print(f"{key.replace('_', ' '):20} {printable(str(value))}", markup=False, soft_wrap=True)

"""sources: where pictures can come from, what each asks for, and under which licences they stand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from crawler.source_listing import BUILT_IN, SourceCard
from flows.commands.common import (
    JsonOption,
    WorkspaceOption,
    environment_for,
    output,
    print_json,
    print_table,
    printable,
    shows_errors,
)
from flows.wiring import Environment


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Where pictures can come from.", invoke_without_command=True)
    group.callback()(sources)
    group.command("list")(list_sources)
    group.command("show")(show)
    app.add_typer(group, name="sources")


@shows_errors
def sources(context: typer.Context, as_json: JsonOption = False) -> None:
    """Where pictures can come from: `dreamcrawl sources show NAME` tells more of one."""
    if context.invoked_subcommand is None:
        _list(environment_for(None), as_json=as_json)


@shows_errors
def list_sources(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the sources, built in and installed."""
    _list(environment_for(workspace), as_json=as_json)


@shows_errors
def show(
    name: Annotated[str, typer.Argument(help="Name of the source.", metavar="NAME")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell all of one source: its argument, key, licences, manners and terms, and a command to try."""
    from crawler.source_listing import source_card

    environment = environment_for(workspace)
    card = source_card(name)
    if as_json:
        print_json(_as_json(card, environment))
        return
    rows = [
        ("source", card.name),
        ("name", card.title),
        ("what", card.about),
        ("from", card.origin),
        ("given as", f"--source {given_as(card)}"),
        ("key", key_text(card, environment)),
        ("licences", card.licenses),
        (
            "manners",
            "\n".join(_manners(card)) or "those of the settings (crawl.delay_seconds, crawl.concurrency_per_host)",
        ),
        ("homepage", card.homepage),
        ("terms of use", card.terms),
        ("cannot be used", card.problem),
    ]
    print_table(("", ""), [(label, text) for label, text in rows if text])
    if not card.problem:
        output().print(f"\nTry it:  {_example(card, environment)}", markup=False, soft_wrap=True)


def _list(environment: Environment, *, as_json: bool) -> None:
    from crawler.source_listing import source_cards

    cards = source_cards()
    if as_json:
        print_json([_as_json(card, environment) for card in cards])
        return
    print_table(
        ("source", "what", "key", "licences", "asked at most"),
        [
            (
                given_as(card),
                (card.problem or card.about) + ("" if card.origin == BUILT_IN else f" (from {card.origin})"),
                key_text(card, environment),
                card.licenses,
                _pace(card),
            )
            for card in cards
        ],
    )
    output().print("\nMore of one:  dreamcrawl sources show NAME", markup=False)


def given_as(card: SourceCard) -> str:
    """What stands behind `--source`."""
    return card.name if card.kind in {"search", ""} else f"{card.name}={card.argument}"


def key_text(card: SourceCard, environment: Environment) -> str:
    """Whether a source needs a key, and whether it is set; never the key itself."""
    if card.credential is None:
        return "none needed"
    is_set = card.credential in environment.values.credentials.by_name()
    need = "needed" if card.credential_required else "optional"
    return f"{need}, set" if is_set else f"{need}, not set"


def _pace(card: SourceCard) -> str:
    manners = card.manners.get("")
    if manners is None:
        return ""
    pace = f"{1 / manners.delay_seconds:.2g}/s" if manners.delay_seconds else "as the settings say"
    return f"{pace}, {manners.daily}/day" if manners.daily else pace


def _manners(card: SourceCard) -> list[str]:
    lines = []
    for host, manners in card.manners.items():
        daily = f", {manners.daily} requests a day" if manners.daily else ""
        lines.append(
            f"{host or 'its own server'}: {manners.delay_seconds:g} s between two requests, "
            f"{manners.concurrency} at once{daily}"
        )
    return lines


def _example(card: SourceCard, environment: Environment) -> str:
    command = f"dreamcrawl run windmill --source {card.example}"
    is_local = card.kind == "files"
    if not is_local and not environment.values.contact:
        command += " --contact you@example.org"
    if card.credential_required and card.credential not in environment.values.credentials.by_name():
        command = f"DREAMCRAWL_CREDENTIALS_{(card.credential or '').upper()}=... {command}"
    return printable(command)


def _as_json(card: SourceCard, environment: Environment) -> dict[str, Any]:
    values = asdict(card)
    values["credential_set"] = card.credential in environment.values.credentials.by_name()
    values["given_as"] = given_as(card)
    return values

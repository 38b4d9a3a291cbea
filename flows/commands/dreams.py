"""dream, verify, replay, presets: making pictures and proving how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.collect import MaxSideOption, NetworkOption, PresetOption
from flows.commands.common import (
    ExitCode,
    JsonOption,
    ShownError,
    WorkspaceOption,
    environment_for,
    existing_environment,
    output,
    print_json,
    print_table,
    shows_errors,
)
from flows.wiring import Environment, open_catalog


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(dream)
    app.command()(verify)
    app.command()(replay)
    app.command()(presets)


@shows_errors
def dream(
    item: Annotated[str | None, typer.Option("--item", help="One item, such as i12.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A picture of your own.", show_default=False)] = None,
    preset: PresetOption = None,
    network: NetworkOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Dream on at most this many items.", show_default="all")
    ] = None,
    max_side: MaxSideOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Dream on one item, on a file, or on every item that has no such dream yet."""
    from flows import stages
    from flows.look import chosen_look
    from flows.progress import reporting

    if item and file:
        raise ShownError("give --item or --file, not both", ExitCode.USAGE)
    environment = (environment_for if file else existing_environment)(workspace, dream__max_side=max_side)
    look = chosen_look(environment, preset=preset, network=network)
    wanted: Sequence[int] = (parse_id(item, "i"),) if item else ()
    with reporting(quiet=as_json), stages.recorded_run(environment, "dream", parameters=asdict(look)) as record:
        if file:
            wanted = (stages.ingest_file_stage(environment, file.expanduser(), run_id=record.id),)
        elif item:
            stages.items_to_dream(environment, item_ids=wanted, limit=None)  # there must be one
        else:
            with open_catalog(environment) as catalog, catalog.read() as uow:
                every = uow.items.representative_ids()
            wanted = stages.items_to_dream(environment, item_ids=every, limit=limit)
        report = stages.dream_stage(
            environment, run_id=record.id, item_ids=wanted, preset=look.preset, network=look.network
        )
        record.update(record.funnel.with_stylize(report))
    made = _derivations(environment, report.derivation_ids)
    if as_json:
        print_json({**asdict(report), "dreams": made})
    else:
        for row in made:
            output().print(f"{row['id']}  {row['file']}", markup=False, soft_wrap=True)
        console = output()
        for warning in record.funnel.warnings:
            console.print(f"note: {warning}", style="yellow", markup=False)
        console.print(f"{report.made} made, {report.already} already there, {len(report.failed)} failed")
    if report.failed:
        raise typer.Exit(ExitCode.PARTIAL if report.derivation_ids else ExitCode.FAILED)


@shows_errors
def verify(
    subject: Annotated[
        str | None, typer.Argument(help="i12, d3 or a file; everything if left out.", metavar="[ID|FILE]")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute every digest and say what does not hold."""
    from flows.proofs import verify_subject

    report = verify_subject(environment_for(workspace), subject)
    if as_json:
        print_json({"ok": report.ok, "checks": [asdict(check) for check in report.checks]})
    else:
        console = output()
        for check in report.checks:
            if not check.ok:
                where = f" in {check.path}" if check.path else ""
                console.print(
                    f"{check.subject}: {check.name}: not as recorded{where}: "
                    f"expected {check.expected or 'a value'}, found {check.found or 'nothing'}",
                    style="red",
                    markup=False,
                    soft_wrap=True,
                )
            elif subject is not None:
                console.print(f"{check.subject}: {check.name}: as recorded {check.found}".rstrip(), markup=False)
        count, bad = len(report.subjects), len(report.failed_subjects)
        checked = f"{count} {'picture' if count == 1 else 'pictures'}, {len(report.checks)} checks"
        if bad:
            console.print(f"{checked}: {bad} not as recorded", style="red")
        else:
            console.print(f"{checked}: all as recorded", style="green")
    if not report.ok:
        raise typer.Exit(ExitCode.FAILED)


@shows_errors
def replay(
    derivation: Annotated[str, typer.Argument(help="The dream to make again, such as d3.", metavar="DERIVATION")],
    write_to: Annotated[
        Path | None, typer.Option("--write-to", help="Keep the picture made again in this file.", show_default=False)
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a dream again from its record and compare the pixels."""
    from flows.progress import reporting
    from flows.proofs import replay_dream

    derivation_id = parse_id(derivation, "d")
    environment = existing_environment(workspace)
    with reporting(quiet=as_json):
        report = replay_dream(environment, derivation_id, write_to=write_to)
    if as_json:
        print_json({**asdict(report), "verdict": report.verdict})
    else:
        console = output()
        if report.identical:
            console.print(f"{derivation}: the pixels are equal", style="green")
        else:
            psnr = "" if report.psnr_db is None else f", PSNR {report.psnr_db:.1f} dB"
            console.print(
                f"{derivation}: the pixels differ in {report.differing_pixels} places{psnr}: {report.verdict}",
                style="yellow" if report.verdict == "within tolerance" else "red",
            )
        for name, recorded, now in report.environment_differences:
            console.print(f"  {name}: {recorded} then, {now} now", markup=False)
    if report.verdict == "different":
        raise typer.Exit(ExitCode.FAILED)


@shows_errors
def presets(network: NetworkOption = None, as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """List the looks."""
    from dream.presets import DEFAULT_PRESET, describe, preset_names
    from dream.presets import preset as find_preset
    from flows.look import chosen_look

    environment = environment_for(workspace)
    look = chosen_look(environment, preset=DEFAULT_PRESET, network=network)
    rows = [
        {
            "preset": name,
            "default": name == DEFAULT_PRESET,
            "description": describe(name),
            "recipe": find_preset(name, look.network).to_json(),
        }
        for name in preset_names()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("preset", "", "look"),
            [(row["preset"], "default" if row["default"] else "", row["description"]) for row in rows],
        )


def parse_id(text: str, letter: str) -> int:
    """The number of a public id: `i12` or `12` -> 12.

    Raises:
        ShownError: It is not one.
    """
    digits = text.strip().lower().removeprefix(letter)
    if not digits.isdecimal() or len(digits) > 18:
        kind = {"i": "an item", "d": "a dream", "r": "a run"}[letter]
        raise ShownError(f"{text!r} is not the id of {kind}; these look like {letter}12", ExitCode.USAGE)
    return int(digits)


def _derivations(environment: Environment, ids: tuple[int, ...]) -> list[dict[str, Any]]:
    with open_catalog(environment) as catalog, catalog.read() as uow:
        found = [uow.derivations.get(derivation_id) for derivation_id in ids]
    return [
        {
            "id": f"d{row.id}",
            "item": f"i{row.item_id}",
            "preset": row.preset,
            "network": row.network,
            "file": str(environment.workspace.dreams / row.file_name),
        }
        for row in found
        if row is not None
    ]

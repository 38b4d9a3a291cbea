"""dream: making pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.collect import MaxSideOption, NetworkOption, PresetOption, ResponsibilityOption
from flows.commands.common import (
    ExitCode,
    JsonOption,
    ShownError,
    WorkspaceOption,
    environment_for,
    existing_environment,
    output,
    print_json,
    printable,
    shows_errors,
)
from flows.commands.licenses import LICENSE_WORDS, parse_license
from flows.progress import duration_text
from flows.wiring import Environment, open_catalog
from pipeline.own_paths import expanded
from pipeline.public_ids import looks_like_id, parse_id

if TYPE_CHECKING:
    from flows.look import Look
    from flows.renderer import DreamPlan
    from pipeline.records import StylizeReport

_MOST_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(dream)


@shows_errors
def dream(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures of your own, or items such as i12; every item without such a dream if left out.",
            metavar="FILE|ITEM",
            show_default=False,
        ),
    ] = None,
    item: Annotated[str | None, typer.Option("--item", help="One item, such as i12.", show_default=False)] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            "-f",
            help="A picture of your own; may be given several times.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    preset: PresetOption = None,
    network: NetworkOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Dream on at most this many items.", show_default="all")
    ] = None,
    license_: Annotated[
        str | None,
        typer.Option(
            "--license",
            help=f"Only items under it: {LICENSE_WORDS}.",
            metavar="LICENCE",
            show_default=False,
        ),
    ] = None,
    max_side: MaxSideOption = None,
    strength: Annotated[
        float | None,
        typer.Option(
            "--strength", min=0.0, max=1.0, help="0: the picture, 1: the whole dream.", show_default="as the look"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of all that is random.", show_default="as the look")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="exact: the same bytes again; fast: the same dream up to rounding.",
            metavar="exact|fast",
            show_default="exact",
        ),
    ] = None,
    responsibility: ResponsibilityOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take, and make nothing.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Dream on one item, on files of your own, or on every item that has no such dream yet.

    Only what its licence permits to adapt, and what came from files of your own, unless you take responsibility.
    """
    from flows import stages
    from flows.look import chosen_look
    from flows.progress import reporting

    named, pictures = _told_apart(subjects or ())
    items = [*named, *([item] if item else [])]
    files = [*pictures, *(files or [])]
    if items and files:
        raise ShownError("give items or files (--item or --file), not both", ExitCode.USAGE)
    if license_ and (items or files):
        raise ShownError("--license chooses among all items; leave it out, or do not name any", ExitCode.USAGE)
    wanted_license = parse_license(license_) if license_ else None
    # Nothing but misspelt names must not make a workspace.
    if files and not any(os.path.exists(expanded(file)) for file in files):  # noqa: PTH110  # also of names too long
        raise ShownError("; ".join(f"there is no file {file}" for file in files), ExitCode.USAGE)
    get_environment = environment_for if files else existing_environment
    environment = get_environment(
        workspace, dream__max_side=max_side, dream__profile=profile, dream__responsibility=responsibility
    )
    look = chosen_look(environment, preset=preset, network=network, strength=strength, seed=seed)
    if plan and files:
        _plan_files(environment, [expanded(file) for file in files[:limit]], look, as_json=as_json)
        return
    if plan:
        _show_plan(
            stages.plan_stage(environment, item_ids=_wanted(environment, items, limit, wanted_license), look=look),
            as_json=as_json,
        )
        return
    parameters = {"preset": look.preset, "network": look.network, "recipe": look.recipe}
    if words := environment.values.dream.responsibility:
        parameters["responsibility"] = words
    if wanted_license is not None:
        parameters["license"] = wanted_license
    with reporting(quiet=as_json), stages.recorded_run(environment, "dream", parameters=parameters) as record:
        if files:
            taken = stages.ingest_files_stage(environment, [expanded(file) for file in files], run_id=record.id)
            wanted: Sequence[int] = taken.item_ids[:limit]
        else:
            taken, wanted = stages.TakenFiles((), {}), _wanted(environment, items, limit, wanted_license)
        report = stages.dream_stage(environment, run_id=record.id, item_ids=wanted, look=look)
        record.update(record.funnel.with_stylize(report).with_refused_files(list(taken.refused.values())))
    _show_dreams(environment, report, record.funnel.notes, refused=taken.refused, as_json=as_json)
    # What is left out of many is no failure; one that was asked for by name is.
    if report.failed or taken.refused or ((items or files) and report.skipped):
        raise typer.Exit(ExitCode.PARTIAL if report.derivation_ids else ExitCode.FAILED)


def _show_dreams(
    environment: Environment,
    report: StylizeReport,
    warnings: Sequence[str],
    *,
    refused: Mapping[Path, str],
    as_json: bool,
) -> None:
    made = _derivations(environment, report.derivation_ids)
    if as_json:
        rejected = [{"file": str(file), "reason": reason} for file, reason in refused.items()]
        print_json({**asdict(report), "rejected": rejected, "dreams": made})
        return
    console = output()
    for row in made:
        console.print(f"{row['id']}  {row['file']}", markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"note: {printable(warning)}", style="yellow", markup=False, soft_wrap=True)
    for item_id, line in report.skipped[:_MOST_SHOWN]:
        console.print(f"not dreamed on: i{item_id}: {printable(line)}", style="yellow", markup=False, soft_wrap=True)
    counts = f"{report.made} made, {report.already} already there, {len(report.failed)} failed"
    if report.skipped:
        counts += f", {len(report.skipped)} not dreamed on"
    if refused:
        counts += f", {_count(len(refused), 'file')} not taken"
    console.print(counts)


def _told_apart(subjects: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Those that are ids of items, and those that are files; a file with the name of an id is a file."""
    ids = [each for each in subjects if looks_like_id(each, "i") and not os.path.exists(each)]  # noqa: PTH110  # as above
    are_ids = frozenset(ids)
    return ids, [Path(each) for each in subjects if each not in are_ids]


def _wanted(
    environment: Environment,
    items: Sequence[str],
    limit: int | None,
    license: str | None,  # noqa: A002  # as the option
) -> Sequence[int]:
    """The items asked for, or every one under a licence that represents its near duplicates."""
    from flows import stages

    if items:
        wanted = tuple(dict.fromkeys(parse_id(item, "i") for item in items))
        stages.items_to_dream(environment, item_ids=wanted, limit=None)  # there must be such
        return wanted[:limit]
    with open_catalog(environment) as catalog, catalog.read() as uow:
        every = uow.items.representative_ids()
    return stages.items_to_dream(environment, item_ids=every, limit=limit, license=license)


def _plan_files(environment: Environment, files: Sequence[Path], look: Look, *, as_json: bool) -> None:
    from flows.plans import plan_files

    planned, refused = plan_files(environment, files, look=look)
    if planned is None:
        raise ShownError("; ".join(refused.values()), ExitCode.FAILED)
    _show_plan(planned, refused=refused, as_json=as_json)
    if refused:
        raise typer.Exit(ExitCode.PARTIAL)


def _show_plan(plan: DreamPlan, *, as_json: bool, refused: Mapping[Path, str] | None = None) -> None:
    if as_json:
        rejected = [{"file": str(file), "reason": reason} for file, reason in (refused or {}).items()]
        print_json({**asdict(plan), **({} if refused is None else {"rejected": rejected})})
        return
    console = output()
    for reason in (refused or {}).values():
        console.print(f"note: {printable(reason)}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"{_count(plan.pictures, 'picture')} to dream on, {plan.already} already there or not to be made")
    if plan.pixel_steps_per_second:
        console.print(
            f"{_large(plan.pixel_steps)} pixels times steps, {_large(plan.operations)} operations; this machine does "
            f"{_large(plan.pixel_steps_per_second)} pixels times steps a second"
        )
        console.print(f"about {duration_text(plan.seconds)}, and a few seconds to begin with")


def _large(number: float) -> str:
    """A number in the words that people have for large ones, to three digits."""
    for size, word in ((1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,.0f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


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

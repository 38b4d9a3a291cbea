"""runs: what was run, how it went, and why it has no more pictures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from flows.commands.common import (
    JsonOption,
    WorkspaceOption,
    existing_environment,
    output,
    print_json,
    print_table,
    printable,
    shows_errors,
    where,
)
from flows.progress import bytes_text
from flows.wiring import open_catalog
from pipeline.public_ids import looks_like_id, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flows.explanation import Explanation
    from flows.funnel import Funnel
    from pipeline.catalog.values import Rejection, Run

EXAMPLES = 3
MAX_EXAMPLES = 1000

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="Most rows.")]


class _Group(TyperGroup):
    """Takes `runs r3` for `runs show r3`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, and what is left of the arguments."""
        if args and looks_like_id(args[0], "r"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="What was run, and how it went.", invoke_without_command=True, cls=_Group)
    group.callback()(runs)
    group.command("list")(list_runs)
    group.command("show")(show)
    app.add_typer(group, name="runs")


@shows_errors
def runs(
    context: typer.Context, limit: LimitOption = 20, workspace: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """What was run, newest first; `dreamcrawl runs show r3` tells all of one run, and why it has no more pictures."""
    if context.invoked_subcommand is None:
        _list(workspace, limit=limit, as_json=as_json)


@shows_errors
def list_runs(limit: LimitOption = 20, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List what was run, newest first."""
    _list(workspace, limit=limit, as_json=as_json)


def _list(workspace: Path | None, *, limit: int, as_json: bool) -> None:
    with open_catalog(existing_environment(workspace), only_reads=True) as catalog, catalog.read() as uow:
        found = uow.runs.list(limit=limit)
    if as_json:
        print_json([{"public_id": f"r{row.id}", **asdict(row)} for row in found])
        return
    now = dt.datetime.now(dt.UTC)
    print_table(
        ("run", "kind", "status", "when", "keywords", "source", "found", "accepted", "dreamed"),
        [
            (
                f"r{row.id}",
                row.kind,
                row.status,
                ago(row.started_at, now=now),
                ", ".join(row.keywords),
                row.source,
                row.counters.get("found", 0),
                row.counters.get("accepted", 0),
                row.counters.get("dreamed", 0),
            )
            for row in found
        ],
    )


@shows_errors
def show(
    run: Annotated[str, typer.Argument(help="The run, such as r3.", metavar="RUN")],
    examples: Annotated[
        int, typer.Option("--examples", min=0, max=MAX_EXAMPLES, help="Addresses to show for each reason.")
    ] = EXAMPLES,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell all of one run: its funnel, why it has no more pictures, what to do about it, and its hosts."""
    from flows.explanation import explain
    from flows.funnel import Funnel
    from pipeline.catalog import queries
    from pipeline.errors import NotFound

    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        found = uow.runs.get(parse_id(run, "r"))
        if found is None:
            raise NotFound(f"there is no run {run}; `dreamcrawl runs` lists them")

        def examples_of(stage: str, reason: str) -> Sequence[Rejection]:
            some = queries.rejections(uow.session, found.id, reason=reason, limit=MAX_EXAMPLES)
            return [each for each in some if each.stage == stage][:examples]

        explanation = explain(found, examples_of=examples_of, now=dt.datetime.now(dt.UTC))
    funnel = Funnel.from_json(found.counters)
    if as_json:
        # The funnel, warnings and hosts stand in `counters`.
        print_json({"public_id": f"r{found.id}", **asdict(found), "explanation": asdict(explanation)})
        return
    _print_run(found, funnel)
    _print_causes(explanation)
    _print_hosts(funnel.crawl.get("hosts", {}))
    _print_next(explanation, where(environment))


def _print_run(run: Run, funnel: Funnel) -> None:
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
    took = f" ({_duration(seconds)})" if seconds is not None else ""
    facts = [
        ("run", f"r{run.id}: {run.kind}, {run.status}"),
        ("started", f"{run.started_at:%Y-%m-%d %H:%M} UTC{took}"),
        ("keywords", ", ".join(run.keywords)),
        ("source", run.source or ""),
        *((name.replace("_", " "), _value(value)) for name, value in run.parameters.items() if value is not None),
        ("traffic", _traffic(funnel.crawl)),
    ]
    print_table(("", ""), [(name, text) for name, text in facts if text])
    if run.error:
        output().print(f"\n{run.status}: {printable(run.error)}", markup=False, soft_wrap=True)
    output().print()
    rows = {"crawl": funnel.crawl_rows, "ingest": funnel.ingest_rows}.get(run.kind, funnel.rows)
    print_table(("stage", "pictures", ""), rows())
    for warning in funnel.warnings:
        output().print(f"note: {printable(warning)}", style="yellow", markup=False, soft_wrap=True)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_value(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _traffic(crawl: Mapping[str, Any]) -> str:
    if not crawl:
        return ""
    parts = [
        f"{crawl.get('requests', 0)} requests",
        f"{bytes_text(crawl.get('bytes_received', 0))} received",
        f"{bytes_text(crawl.get('bytes_fetched', 0))} of it pictures",
    ]
    if saved := crawl.get("bytes_saved", 0):
        parts.append(f"{bytes_text(saved)} saved by not fetching what would not be kept")
    return ", ".join(parts)


def _print_causes(explanation: Explanation) -> None:
    if not explanation.causes:
        return
    output().print()
    print_table(
        ("why not more", "pictures", "", "what to do"),
        [
            (f"{cause.outcome}: {cause.reason}", cause.count, cause.meaning, cause.advice.replace("`", ""))
            for cause in explanation.causes
        ],
    )
    rows = [(cause.reason, each.url, each.detail) for cause in explanation.causes for each in cause.examples]
    if rows:
        output().print()
        print_table(("such as", "address", ""), rows)


def _print_hosts(hosts: Mapping[str, Any]) -> None:
    rows = []
    for host, figures in hosts.items():
        if not isinstance(figures, Mapping):
            continue
        until = str(figures.get("cooldown_until") or "")[:16].replace("T", " ")
        rows.append(
            (
                host,
                figures.get("requests", ""),
                bytes_text(figures["bytes"]) if isinstance(figures.get("bytes"), (int, float)) else "",
                f"{figures['waited_seconds']:.0f} s" if isinstance(figures.get("waited_seconds"), (int, float)) else "",
                figures.get("status"),
                f"{until} UTC" if until else "",
            )
        )
    if rows:
        output().print()
        print_table(("host", "requests", "received", "waited", "last answer", "left alone until"), rows)


def _print_next(explanation: Explanation, at: str) -> None:
    console = output()
    if explanation.hints or explanation.commands or explanation.come_back:
        console.print()
    for hint in explanation.hints:
        console.print(hint, markup=False, soft_wrap=True)
    if explanation.come_back is not None:
        console.print(f"Come back after {explanation.come_back:%Y-%m-%d %H:%M} UTC.", markup=False)
    for command in explanation.commands:
        console.print(f"Ask again for what failed:  {command}{at}", markup=False, soft_wrap=True)


def ago(moment: dt.datetime, *, now: dt.datetime) -> str:
    """Such as `5 min ago`; the date for what is older than a week."""
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return "just now"
    for size, name, most in ((60, "min", 60), (3600, "h", 24), (86400, "days", 8)):
        if seconds < size * most:
            return f"{seconds // size:.0f} {name} ago"
    return f"{moment:%Y-%m-%d}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

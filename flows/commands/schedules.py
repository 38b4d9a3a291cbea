"""schedule add, list, remove, run, serve: named keyword collections on time."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from flows.asked import Asked
from flows.commands.collect import NetworkOption, PresetOption, ResponsibilityOption
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
    where,
)
from flows.commands.crawl_options import CrawlOptions, KeywordsArgument, takes_crawl_options
from flows.commands.flow_runs import check_crawl, finish_run, run_keyword_flow
from flows.wiring import open_catalog, split_source
from pipeline.own_paths import expanded

if TYPE_CHECKING:
    from pipeline.catalog.values import Collection

_OF_FILES = frozenset({"folder", "urls"})

NameArgument = Annotated[str, typer.Argument(help="Name of the collection.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Keyword collections that run on time.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_schedules)
    group.command("remove")(remove)
    group.command("run")(run_now)
    group.command("serve")(serve)
    app.add_typer(group, name="schedule")


@shows_errors
@takes_crawl_options(without=("contact", "only_new"))
def add(
    name: NameArgument,
    keywords: KeywordsArgument = None,
    *,
    options: CrawlOptions,
    cron: Annotated[str, typer.Option("--cron", help='When, such as "0 6 * * *" for six every morning.')] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="Time zone of --cron, such as Europe/Berlin.")] = "UTC",
    preset: PresetOption = None,
    network: NetworkOption = None,
    responsibility: ResponsibilityOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Keep a collection under a name, with its schedule; each run fetches only what is new."""
    from flows.look import chosen_look

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ShownError(
            f"a name has letters, digits, dots, dashes and underscores, 64 at most; got {name!r}", ExitCode.USAGE
        )
    words = [word.strip() for word in keywords or [] if word.strip()]
    if not words:
        raise ShownError("give at least one keyword", ExitCode.USAGE)
    environment = environment_for(workspace, dream__responsibility=responsibility)
    # Those of the settings are the settings' own, and may change; what was said here stays with the collection.
    said = {"responsibility": environment.values.dream.responsibility} if responsibility else {}
    asked = options.asked(environment, words)
    check_crawl(environment, asked)
    # A schedule runs wherever `serve` was started.
    first, *others = (_anywhere(source) for source in asked.sources)
    _check_cron(cron, timezone)
    look = chosen_look(environment, preset=preset, network=network)
    with open_catalog(environment) as catalog, catalog.write() as uow:
        if any(collection.name == name for collection in uow.collections.list()):
            raise ShownError(
                f"there is a collection {name!r} already; remove it first, or take another name", ExitCode.USAGE
            )
        uow.collections.add(
            name=name,
            keywords=list(asked.keywords),
            source=first,
            limit=asked.limit,
            preset=look.preset,
            network=look.network,
            cron=cron,
            timezone=timezone,
            options={**replace(asked, more_sources=tuple(others)).options(), **said},
        )
    command = f"dreamcrawl schedule serve{where(environment)}"
    output().print(f"{name} is kept. Run what is due with: {command}", markup=False, soft_wrap=True)


@shows_errors
def list_schedules(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the collections."""
    with open_catalog(existing_environment(workspace), only_reads=True) as catalog, catalog.read() as uow:
        found = uow.collections.list()
    if as_json:
        print_json([asdict(row) for row in found])
        return
    print_table(
        ("name", "when", "time zone", "keywords", "source", "new at most", "look"),
        [
            (row.name, row.cron, row.timezone, ", ".join(row.keywords), _sources(row), row.limit, row.preset)
            for row in found
        ],
    )


@shows_errors
def remove(name: NameArgument, workspace: WorkspaceOption = None) -> None:
    """Forget a collection; its pictures stay."""
    with open_catalog(existing_environment(workspace)) as catalog, catalog.write() as uow:
        if not uow.collections.remove(name):
            raise ShownError(f"there is no collection {name!r}; `dreamcrawl schedule list` names them", ExitCode.USAGE)
    output().print(f"{name} is forgotten; its pictures stay", markup=False)


@shows_errors
def run_now(name: NameArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Run one collection now, as its schedule would."""
    environment = existing_environment(workspace)
    with open_catalog(environment) as catalog, catalog.read() as uow:
        collection = uow.collections.get(name)
    if collection is None:
        raise ShownError(f"there is no collection {name!r}; `dreamcrawl schedule list` names them", ExitCode.USAGE)
    if words := (collection.options or {}).get("responsibility"):
        environment = existing_environment(workspace, dream__responsibility=words)
    asked = Asked(collection.keywords, collection.source, collection.limit).with_options(
        {**(collection.options or {}), "only_new": True}
    )
    started = time.monotonic()
    result = run_keyword_flow(
        environment,
        asked,
        preset=collection.preset,
        network=collection.network,
        dream_limit=None,
        kind="schedule",
        collection=collection.name,
        quiet=as_json,
    )
    finish_run(environment, result, seconds=time.monotonic() - started, as_json=as_json)


@shows_errors
def serve(workspace: WorkspaceOption = None) -> None:
    """Run the collections when they are due, until Ctrl-C."""
    from flows.deployments import serve_collections

    environment = existing_environment(workspace)
    with open_catalog(environment) as catalog, catalog.read() as uow:
        found = uow.collections.list()
    if not found:
        raise ShownError("there is no collection yet; add one with: dreamcrawl schedule add NAME KEYWORD... --cron ...")
    serve_collections(environment, found, say=lambda line: output().print(line, markup=False))


def _sources(collection: Collection) -> str:
    return ", ".join((collection.source, *(collection.options or {}).get("more_sources", ())))


def _anywhere(source: str) -> str:
    """A source that means the same in every folder."""
    name, argument = split_source(source)
    return f"{name}={expanded(argument).resolve()}" if name in _OF_FILES else source


def _check_cron(cron: str, timezone: str) -> None:
    from flows.deployments import cron_error

    if not cron:
        raise ShownError('say when: --cron "0 6 * * *" is six every morning', ExitCode.USAGE)
    if error := cron_error(cron, timezone):
        raise ShownError(error, ExitCode.USAGE)

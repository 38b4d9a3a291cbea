"""demo, run, crawl and ingest: how pictures get in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

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
)
from flows.funnel import Funnel
from flows.wiring import Environment, crawl_request

KeywordsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="What to collect; put phrases in quotes.", metavar="KEYWORD...", show_default=False),
]
SourceOption = Annotated[
    str,
    typer.Option(
        "--source", "-s", help="Where from: website=URL or folder=PATH.", metavar="NAME=ARG", show_default=False
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, help="Most pictures to collect, those of earlier runs included.", show_default="50"
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        help="Look of the dreams: one that `dreamcrawl presets` lists, or a recipe file.",
        metavar="NAME|FILE.toml",
        show_default=False,
    ),
]
NetworkOption = Annotated[
    str | None, typer.Option("--network", help="Network to dream with; `dreamcrawl networks list`.", show_default=False)
]
MaxSideOption = Annotated[
    int | None,
    typer.Option(
        "--max-side", min=32, help="Dream larger pictures at this longer side, in pixels.", show_default="768"
    ),
]
ContactOption = Annotated[
    str | None,
    typer.Option(
        "--contact", help="Your e-mail or web address, told to every site beyond this machine.", show_default=False
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Take every picture; no keyword needed.")]

DEMO_KEYWORD = "animal"
DEMO_DREAMS = 8
DEMO_PORT = 8765
DEMO_MAX_SIDE = 512


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(demo)
    app.command()(run)
    app.command()(crawl)
    app.command()(ingest)


@shows_errors
def run(
    keywords: KeywordsArgument = None,
    source: SourceOption = "",
    limit: LimitOption = None,
    preset: PresetOption = None,
    network: NetworkOption = None,
    dreams: Annotated[
        int | None, typer.Option("--dreams", min=0, help="Dream on at most this many.", show_default="all")
    ] = None,
    max_side: MaxSideOption = None,
    contact: ContactOption = None,
    take_all: AllOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Collect pictures by keyword, keep each once, dream on them, verify: all stages as one flow.

    Running it again fetches and makes only what is missing.
    """
    environment = environment_for(workspace, contact=contact, dream__max_side=max_side)
    words = _keywords(keywords, take_all=take_all)
    started = time.monotonic()
    result = run_keyword_flow(
        environment,
        keywords=words,
        source=source,
        limit=limit or environment.values.crawl.limit,
        preset=preset,
        network=network,
        dream_limit=dreams,
        kind="run",
        quiet=as_json,
    )
    finish_run(environment, result, seconds=time.monotonic() - started, as_json=as_json)


@shows_errors
def demo(
    keyword: Annotated[str, typer.Option("--keyword", help="What to collect from the bundled site.")] = DEMO_KEYWORD,
    dreams: Annotated[int, typer.Option("--dreams", min=0, help="How many pictures to dream on.")] = DEMO_DREAMS,
    port: Annotated[int, typer.Option("--port", help="Port the bundled site is served on.")] = DEMO_PORT,
    serve: Annotated[bool, typer.Option("--serve", help="Open the gallery when done.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole job on a bundled site of real photographs; needs no network.

    The site is served on this machine for the length of the command. A second run finds everything done.
    """
    from crawler.sample_site import build_site, serve_site

    environment = environment_for(workspace, dream__max_side=DEMO_MAX_SIDE)
    environment.workspace.prepare()
    started = time.monotonic()
    site_folder = environment.workspace.root / "cache" / "sample-site"
    build_site(site_folder)
    with contextlib.ExitStack() as stack:
        try:
            site = stack.enter_context(serve_site(site_folder, port=port))
        except OSError:
            # Known addresses are not fetched again, so a second demo should find the first one's address.
            site = stack.enter_context(serve_site(site_folder))
        if not as_json:
            output().print(f"Serving the bundled site of photographs at {site.url} while the demo runs.")
        result = run_keyword_flow(
            environment,
            keywords=[keyword],
            source=f"website={site.url}",
            limit=500,
            preset=None,
            network=None,
            dream_limit=dreams,
            kind="demo",
            quiet=as_json,
        )
    finish_run(environment, result, seconds=time.monotonic() - started, as_json=as_json)
    if serve:
        from flows.commands.gallery import serve_gallery

        serve_gallery(environment, host=None, port=None, open_browser=True)


@shows_errors
def crawl(
    keywords: KeywordsArgument = None,
    source: SourceOption = "",
    limit: LimitOption = None,
    contact: ContactOption = None,
    take_all: AllOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch pictures into the inbox; `dreamcrawl ingest` takes them from there."""
    from flows import stages
    from flows.progress import reporting

    environment = environment_for(workspace, contact=contact)
    words = _keywords(keywords, take_all=take_all)
    check_crawl(environment, keywords=words, source=source)
    wanted = limit or environment.values.crawl.limit
    with (
        reporting(quiet=as_json),
        stages.recorded_run(
            environment, "crawl", keywords=words, source=source, parameters={"limit": wanted}
        ) as record,
    ):
        report = stages.crawl_stage(environment, run_id=record.id, keywords=words, source=source, limit=wanted)
        record.update(record.funnel.with_crawl(report))
    if as_json:
        print_json(asdict(report))
    else:
        print_table(("crawl", "pictures", ""), record.funnel.crawl_rows())
        for warning in record.funnel.warnings:
            output().print(f"note: {warning}", style="yellow", markup=False)
        if report.fetched or report.known:
            output().print("\nThey wait in the inbox; keep them with: dreamcrawl ingest", markup=False)
    _exit_for(record.funnel)


@shows_errors
def ingest(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check the pictures in the inbox and keep each one once; running it twice changes nothing."""
    from flows import stages
    from flows.progress import reporting

    environment = environment_for(workspace)
    with reporting(quiet=as_json), stages.recorded_run(environment, "ingest") as record:
        report = stages.ingest_stage(environment, run_id=record.id)
        record.update(record.funnel.with_recovered(report))
    if as_json:
        print_json(asdict(report))
    else:
        print_table(("ingest", "pictures", ""), record.funnel.ingest_rows())
    _exit_for(record.funnel)


def run_keyword_flow(
    environment: Environment,
    *,
    keywords: list[str],
    source: str,
    limit: int,
    preset: str | None,
    network: str | None,
    dream_limit: int | None,
    kind: str,
    quiet: bool,
    only_new: bool = False,
    collection: str | None = None,
) -> dict[str, Any]:
    """Run the Prefect flow with a server of its own, or with the one that the settings name.

    Everything that can be wrong with the arguments is found before the server starts, which takes a while.

    Raises:
        CrawlError: A source, keyword or contact that cannot be.
        DreamError: An unknown preset or network.
        PrefectUnavailable: Prefect's server did not start.
    """
    import os

    from flows.look import chosen_look
    from flows.prefect_environment import configure_prefect
    from flows.prefect_server import prefect_server
    from flows.progress import reporting

    check_crawl(environment, keywords=keywords, source=source)
    look = chosen_look(environment, preset=preset, network=network)
    environment.workspace.prepare()
    prefect = environment.values.prefect
    configure_prefect(home=environment.workspace.prefect_home, startup_timeout_seconds=prefect.startup_timeout_seconds)
    first_start = not (environment.workspace.prefect_home / "prefect.db").exists()
    with reporting(quiet=quiet) as reporter:
        note = "first start here, up to a minute" if first_start else "some seconds"
        with prefect_server(
            home=environment.workspace.prefect_home,
            api_url=prefect.api_url or os.environ.get("PREFECT_API_URL", ""),
            services=False,
            timeout_seconds=prefect.startup_timeout_seconds,
            on_wait=lambda waited: reporter.step("prefect", waited, None, f"s waiting for its server ({note})"),
        ):
            from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

            from flows.keyword_flow import keyword_flow

            # The heartbeat thread makes every short flow wait a second at its end; nobody watches for it here.
            with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                return keyword_flow(
                    workspace=str(environment.workspace.root),
                    keywords=keywords,
                    source=source,
                    limit=limit,
                    preset=look.preset,
                    network=look.network,
                    dream_limit=dream_limit,
                    only_new=only_new,
                    kind=kind,
                    collection=collection,
                    overrides=environment.command_line(),
                )


def _keywords(keywords: list[str] | None, *, take_all: bool) -> list[str]:
    words = [word.strip() for word in keywords or [] if word.strip()]
    if words and take_all:
        raise ShownError("give keywords or --all, not both", ExitCode.USAGE)
    if not words and not take_all:
        raise ShownError("give at least one keyword, or --all to take every picture", ExitCode.USAGE)
    return words


def check_crawl(environment: Environment, *, keywords: Sequence[str], source: str) -> None:
    """Make sure that this can be crawled, as far as that is known without the network.

    Raises:
        ShownError: No source was given.
        UsageError: The source is not NAME=ARGUMENT.
        CrawlError: No such source, the nearest are named; an argument that it cannot take; a keyword that can match
            nothing; or no contact for a site that is not on this machine.
    """
    from crawler.run import check_request

    if not source:
        raise ShownError("say where from: --source website=URL or --source folder=PATH", ExitCode.USAGE)
    check_request(crawl_request(environment, keywords=tuple(keywords), source=source, limit=1, only_new=False))


def finish_run(environment: Environment, result: dict[str, Any], *, seconds: float, as_json: bool) -> None:
    """Print what a flow did, and end with the exit code that it calls for."""
    funnel = Funnel.from_json(result)
    if as_json:
        rest = {"run": f"r{result['run_id']}", "dreams": [f"d{number}" for number in result["derivation_ids"]]}
        print_json(
            {**funnel.to_json(), "seconds": round(seconds, 1), "workspace": str(environment.workspace.root), **rest}
        )
    else:
        _print_result(environment, result, funnel, seconds)
    _exit_for(funnel)


def _print_result(environment: Environment, result: dict[str, Any], funnel: Funnel, seconds: float) -> None:
    console = output()
    print_table((f"run r{result['run_id']}", "pictures", ""), funnel.rows())
    for warning in funnel.warnings:
        console.print(f"note: {warning}", style="yellow", markup=False)
    console.print()
    console.print(f"Done in {seconds:.0f} s.", markup=False)
    if result["derivation_ids"]:
        console.print(
            f"Dreams, each with how it was made:  {environment.workspace.dreams}", markup=False, soft_wrap=True
        )
        first = result["derivation_ids"][0]
        console.print("Check them all:      dreamcrawl verify", markup=False)
        console.print(f"Make one again:      dreamcrawl replay d{first}", markup=False)
    console.print("Look at everything:  dreamcrawl browse", markup=False)


def _exit_for(funnel: Funnel) -> None:
    if funnel.verify_failures:
        raise typer.Exit(ExitCode.FAILED)
    if not funnel.complete:
        raise typer.Exit(ExitCode.PARTIAL)

"""Runs the main flow for a command, and tells how it went."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from flows.asked import Asked
from flows.commands.common import ExitCode, ShownError, output, print_json, print_table, printable, where
from flows.funnel import Funnel
from flows.wiring import Environment, crawl_request


def run_keyword_flow(
    environment: Environment,
    asked: Asked,
    *,
    preset: str | None,
    network: str | None,
    dream_limit: int | None,
    kind: str,
    quiet: bool,
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

    check_crawl(environment, asked)
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
            on_wait=lambda waited: reporter.step("prefect", 0, None, f"its server starts: {waited:.0f} s ({note})"),
        ):
            from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

            from flows.keyword_flow import keyword_flow

            # The heartbeat thread makes every short flow wait a second at its end; nobody watches for it here.
            with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                return keyword_flow(
                    workspace=str(environment.workspace.root),
                    keywords=list(asked.keywords),
                    source=asked.source,
                    limit=asked.limit,
                    preset=look.preset,
                    network=look.network,
                    dream_limit=dream_limit,
                    only_new=asked.only_new,
                    kind=kind,
                    collection=collection,
                    overrides=environment.command_line(),
                    options=asked.options(),
                )


def check_crawl(environment: Environment, asked: Asked) -> None:
    """Make sure that this can be crawled, as far as that is known without the network.

    Raises:
        ShownError: No source was given.
        UsageError: The source is not NAME=ARGUMENT.
        CrawlError: No such source, the nearest are named; an argument that it cannot take; a keyword that can match
            nothing; no key for a source that needs one; or no contact for a site that is not on this machine.
    """
    from crawler.run import check_request

    if not asked.source and not asked.retry_failed:
        raise ShownError(f"say where from with --source: {_which_sources()}", ExitCode.USAGE)
    for source in asked.sources or ("",):
        check_request(crawl_request(environment, dataclasses.replace(asked, source=source)))


def _which_sources() -> str:
    from crawler.source_listing import source_cards

    cards = [card for card in source_cards() if not card.problem]
    names = [card.name if card.kind == "search" else f"{card.name}={card.argument}" for card in cards]
    return f"{', '.join(names[:-1])} or {names[-1]}; `dreamcrawl sources` tells of each"


def finish_run(
    environment: Environment,
    result: dict[str, Any],
    *,
    seconds: float,
    as_json: bool,
    more: dict[str, Any] | None = None,
) -> None:
    """Print what a flow did, and end with the exit code that it calls for.

    more: Further values for the JSON document.
    """
    funnel = Funnel.from_json(result)
    if as_json:
        rest = {"run": f"r{result['run_id']}", "dreams": [f"d{number}" for number in result["derivation_ids"]]}
        facts = {"seconds": round(seconds, 1), "workspace": str(environment.workspace.root)}
        print_json({**funnel.to_json(), **facts, **rest, **(more or {})})
    else:
        _print_result(environment, result, funnel, seconds)
    exit_for(funnel)


def _print_result(environment: Environment, result: dict[str, Any], funnel: Funnel, seconds: float) -> None:
    console = output()
    print_table((f"run r{result['run_id']}", "pictures", ""), funnel.rows())
    print_warnings(funnel)
    console.print()
    console.print(f"Done in {seconds:.0f} s.", markup=False)
    at = where(environment)
    if result["derivation_ids"]:
        console.print(
            f"Dreams, each with how it was made:  {environment.workspace.dreams}", markup=False, soft_wrap=True
        )
        first = result["derivation_ids"][0]
        console.print(f"Check them all:      dreamcrawl verify{at}", markup=False, soft_wrap=True)
        console.print(f"Make one again:      dreamcrawl replay d{first}{at}", markup=False, soft_wrap=True)
    console.print(f"Look at everything:  dreamcrawl browse{at}", markup=False, soft_wrap=True)
    if funnel.left_out:
        command = f"dreamcrawl runs show r{result['run_id']}{at}"
        console.print(f"Why not more:        {command}", markup=False, soft_wrap=True)


def print_warnings(funnel: Funnel) -> None:
    """What the stages wanted to be told, a line each."""
    for warning in funnel.notes:
        output().print(f"note: {printable(warning)}", style="yellow", markup=False, soft_wrap=True)


def exit_for(funnel: Funnel) -> None:
    """End with the exit code that a funnel calls for, unless it is 0."""
    if funnel.verify_failures:
        raise typer.Exit(ExitCode.FAILED)
    if not funnel.complete:
        raise typer.Exit(ExitCode.PARTIAL)

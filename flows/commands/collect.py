"""demo, run, collect, crawl and ingest: how pictures get in."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flows.asked import Asked
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
    where,
)
from flows.commands.crawl_options import (
    AllOption,
    CrawlOptions,
    KeywordsArgument,
    takes_crawl_options,
    words_of,
)
from flows.commands.flow_runs import check_crawl, exit_for, finish_run, print_warnings, run_keyword_flow

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
ResponsibilityOption = Annotated[
    str | None,
    typer.Option(
        "--responsibility",
        help="Dream also on what no licence permits to adapt: why you may, in your own words; kept with each dream.",
        metavar="WORDS",
        show_default=False,
    ),
]
DreamsOption = Annotated[
    int | None, typer.Option("--dreams", min=0, help="Dream on at most this many.", show_default="all")
]

DEMO_KEYWORD = "animal"
DEMO_DREAMS = 8
DEMO_PORT = 8765
DEMO_MAX_SIDE = 512

_USAGE = ExitCode.USAGE


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(demo)
    app.command()(run)
    app.command()(collect)
    app.command()(crawl)
    app.command()(ingest)


@shows_errors
@takes_crawl_options()
def run(
    keywords: KeywordsArgument = None,
    *,
    options: CrawlOptions,
    preset: PresetOption = None,
    network: NetworkOption = None,
    dreams: DreamsOption = None,
    max_side: MaxSideOption = None,
    responsibility: ResponsibilityOption = None,
    take_all: AllOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Collect pictures by keyword, keep each once, dream on them, verify: all stages as one flow.

    Running it again fetches and makes only what is missing.
    """
    environment = environment_for(
        workspace, contact=options.contact, dream__max_side=max_side, dream__responsibility=responsibility
    )
    asked = options.asked(environment, words_of(keywords, take_all=take_all))
    started = time.monotonic()
    result = run_keyword_flow(
        environment, asked, preset=preset, network=network, dream_limit=dreams, kind="run", quiet=as_json
    )
    finish_run(environment, result, seconds=time.monotonic() - started, as_json=as_json)


@shows_errors
@takes_crawl_options()
def collect(
    text: Annotated[
        list[str],
        typer.Argument(
            help='What you want, in your own words: "a calm lake in autumn, no people".',
            metavar="TEXT",
            show_default=False,
        ),
    ],
    *,
    options: CrawlOptions,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Go on with the keywords as found; do not ask.")] = False,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", metavar="CODE", help="Language of the text, such as de.", show_default="found from it"
        ),
    ] = None,
    preset: PresetOption = None,
    network: NetworkOption = None,
    dreams: DreamsOption = None,
    max_side: MaxSideOption = None,
    responsibility: ResponsibilityOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the keywords in what you write, show them to be changed, and do what `run` does with them.

    "no", "without" and -word, in many languages, give what is to be left out.
    """
    from flows.commands.request import agreed_request

    environment = environment_for(
        workspace, contact=options.contact, dream__max_side=max_side, dream__responsibility=responsibility
    )

    def asked(keywords: tuple[str, ...], exclusions: tuple[str, ...]) -> Asked:
        checked = options.asked(environment, keywords, exclusions=exclusions)
        check_crawl(environment, checked)
        return checked

    request, wanted = agreed_request(" ".join(text), asked, language=language, yes=yes, as_json=as_json)
    started = time.monotonic()
    result = run_keyword_flow(
        environment, wanted, preset=preset, network=network, dream_limit=dreams, kind="run", quiet=as_json
    )
    more = {"keywords": list(wanted.keywords), "exclusions": list(wanted.exclusions), "language": request.language}
    finish_run(environment, result, seconds=time.monotonic() - started, as_json=as_json, more=more)


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
            Asked((keyword,), f"website={site.url}", limit=500),
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
@takes_crawl_options()
def crawl(
    keywords: KeywordsArgument = None,
    *,
    options: CrawlOptions,
    take_all: AllOption = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Ask again for what failed in earlier runs, of any source; takes no keyword or source.",
        ),
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch pictures into the inbox; `dreamcrawl ingest` takes them from there."""
    from flows import stages
    from flows.in_turn import crawl_in_turn
    from flows.progress import reporting

    environment = environment_for(workspace, contact=options.contact)
    if retry_failed and (keywords or take_all or options.source):
        raise ShownError("--retry-failed asks for what failed before: leave keywords, --all and --source away", _USAGE)
    words = [] if retry_failed else words_of(keywords, take_all=take_all)
    asked = options.asked(environment, words, retry=retry_failed)
    check_crawl(environment, asked)
    with (
        reporting(quiet=as_json),
        stages.recorded_run(
            environment,
            "crawl",
            keywords=asked.keywords,
            source=", ".join(asked.sources) or None,
            parameters={"limit": asked.limit, **asked.options()},
        ) as record,
    ):
        reports: list[dict[str, Any]] = []
        for source, report in crawl_in_turn(
            asked, lambda one: stages.crawl_stage(environment, run_id=record.id, asked=one)
        ):
            reports.append({"source": source, **asdict(report)} if len(asked.sources) > 1 else asdict(report))
            # Ingest will tell of them in a run of its own.
            record.update(record.funnel.with_crawl(report).with_examples(stages.crawl_examples(report)))
    if as_json:
        print_json(reports if len(asked.sources) > 1 else reports[0])
    else:
        print_table(("crawl", "pictures", ""), record.funnel.crawl_rows())
        print_warnings(record.funnel)
        if record.funnel.fetched or record.funnel.known:
            command = f"dreamcrawl ingest{where(environment)}"
            output().print(f"\nThey wait in the inbox; keep them with: {command}", markup=False, soft_wrap=True)
        if record.funnel.left_out:
            command = f"dreamcrawl runs show r{record.id}{where(environment)}"
            output().print(f"Why not more: {command}", markup=False, soft_wrap=True)
    exit_for(record.funnel)


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
    exit_for(record.funnel)

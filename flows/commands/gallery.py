"""browse, items, status, config: looking at what there is."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Annotated

import typer

from flows.commands.common import (
    JsonOption,
    WorkspaceOption,
    environment_for,
    existing_environment,
    output,
    print_json,
    print_table,
    shows_errors,
    where,
)
from flows.commands.licenses import LICENSE_WORDS, parse_license
from flows.wiring import Environment, open_catalog, open_store, software_version

# In the address of a database: before its host, up to the last @ as passwords may have some, or in its query.
_PASSWORD = re.compile(r"(://[^/:]*:).+(?=@)|(password=)[^&]+")
_STATUS_WORDS = {"items": "pictures", "derivations": "dreams", "blobs": "stored files"}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(browse)
    app.command()(items)
    app.command()(status)
    app.command()(config)


@shows_errors
def browse(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 for any free one.", show_default="8700")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the web browser.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve the gallery on this machine until Ctrl-C."""
    serve_gallery(existing_environment(workspace), host=host, port=port, open_browser=open_browser)


def serve_gallery(environment: Environment, *, host: str | None, port: int | None, open_browser: bool) -> None:
    """Serve the gallery of this workspace until Ctrl-C."""
    import webbrowser

    from flows.extractor import similar_search
    from pipeline.browse.app import create_app
    from pipeline.browse.server import run_server

    def on_ready(url: str) -> None:
        output().print(f"The gallery is at {url}  (Ctrl-C ends it)", markup=False)
        if open_browser:
            webbrowser.open(url)

    address = host or environment.values.browse.host
    with open_catalog(environment, only_reads=True) as catalog:
        app = create_app(
            catalog=catalog,
            store=open_store(environment),
            thumbnails=environment.workspace.thumbnails,
            title=environment.workspace.root.name,
            host=address,
            search=similar_search(),
        )
        run_server(app, host=address, port=environment.values.browse.port if port is None else port, on_ready=on_ready)


@shows_errors
def items(
    keyword: Annotated[str | None, typer.Option("--keyword", "-k", help="Only those that matched it.")] = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Only those of this source.")] = None,
    dreamed: Annotated[
        bool | None, typer.Option("--dreamed/--not-dreamed", help="Only those with, or without, a dream.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", "-q", help="Only those of which all these words are said.", metavar="TEXT"),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only those with this tag.")] = None,
    stars: Annotated[
        int | None, typer.Option("--stars", min=1, max=5, help="Only those rated so high or higher.")
    ] = None,
    license_: Annotated[
        list[str] | None,
        typer.Option(
            "--license",
            help=f"Only those under it: {LICENSE_WORDS}; may be given several times.",
            metavar="LICENCE",
            show_default=False,
        ),
    ] = None,
    withdrawn: Annotated[
        bool, typer.Option("--withdrawn", help="Those that their site asks not to use, and why.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="Most rows.")] = 100,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the pictures that were kept, without those that were withdrawn."""
    from pipeline.catalog.repositories.opinions import tag_of
    from pipeline.catalog.values import ItemFilter

    environment = existing_environment(workspace)
    wanted = ItemFilter(
        keyword=keyword,
        source=source,
        dreamed=dreamed,
        text=search,
        tag=None if tag is None else tag_of(tag),
        stars=stars,
        withdrawn=withdrawn,
        licenses=tuple(parse_license(each) for each in license_ or ()),
    )
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        found = uow.items.list(wanted, limit=limit)
        total = uow.items.count(wanted)
        ids = [item.id for item in found]
        tags, ratings = uow.tags.of_items(ids), uow.ratings.of_items(ids)
    if as_json:
        print_json(
            [
                {
                    "public_id": f"i{item.id}",
                    **asdict(item),
                    "tags": tags.get(item.id, []),
                    "stars": ratings.get(item.id),
                }
                for item in found
            ]
        )
        return
    if withdrawn:
        print_table(
            ("item", "title", "withdrawn", "why"),
            [
                (f"i{item.id}", item.title, f"{item.withdrawn_at:%Y-%m-%d %H:%M}", item.withdrawn_reason)
                for item in found
            ],
        )
        return
    print_table(
        ("item", "title", "size", "format", "licence", "near to", "stars", "tags"),
        [
            (
                f"i{item.id}",
                item.title,
                f"{item.width}x{item.height}",
                item.format,
                item.license_id or "none declared",
                f"i{item.near_duplicate_of_id}" if item.near_duplicate_of_id else "",
                "*" * ratings.get(item.id, 0),
                ", ".join(tags.get(item.id, [])),
            )
            for item in found
        ],
        where_filled=("near to", "stars", "tags"),
    )
    if total > len(found):
        output().print(f"{len(found)} of {total}; more with --limit")


@shows_errors
def status(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Say what the workspace holds, and what waits to be done."""
    from pipeline.inbox import pending_inboxes

    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        counts = uow.counts()
        latest = uow.runs.list(limit=1)
        collections = uow.collections.list()
    waiting = len(pending_inboxes(environment.workspace.inbox))
    last = latest[0] if latest else None
    if as_json:
        print_json(
            {
                "workspace": str(environment.workspace.root),
                "version": software_version(),
                **asdict(counts),
                "inboxes_waiting": waiting,
                "schedules": len(collections),
                "last_run": None if last is None else {"run": f"r{last.id}", "kind": last.kind, "status": last.status},
            }
        )
        return
    rows: list[tuple[str, object]] = [("workspace", environment.workspace.root)]
    numbers = {name: number for name, number in asdict(counts).items() if name != "bytes"}
    rows += [(_STATUS_WORDS.get(name, name.replace("_", " ")), number) for name, number in numbers.items()]
    rows += [("store", f"{counts.bytes / 1e6:.1f} MB"), ("inboxes waiting", waiting), ("schedules", len(collections))]
    if last is not None:
        rows.append(("last run", f"r{last.id} {last.kind}: {last.status}"))
    print_table(("", ""), rows)
    if waiting:
        command = f"dreamcrawl ingest{where(environment)}"
        output().print(f"\nTake in what waits with: {command}", markup=False, soft_wrap=True)


@shows_errors
def config(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Print every setting with its value and where it comes from."""
    environment = environment_for(workspace)
    rows = [
        replace(row, value=_PASSWORD.sub(r"\1\2***", row.value)) if row.name == "catalog_url" else row
        for row in environment.settings.listing()
    ]
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    file = environment.settings.file or "none; dreamcrawl.toml here, or the file that DREAMCRAWL_CONFIG names"
    output().print(f"settings file: {file}", markup=False, soft_wrap=True)
    output().print("in the environment: crawl.limit is DREAMCRAWL_CRAWL_LIMIT, and so on\n", markup=False)
    print_table(
        ("setting", "value", "origin", "meaning"),
        [(row.name, row.value, row.origin, row.description) for row in rows],
    )

"""features, similar: pictures that a network takes for alike."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.common import (
    ExitCode,
    JsonOption,
    ShownError,
    WorkspaceOption,
    existing_environment,
    output,
    print_json,
    print_table,
    shows_errors,
    where,
)
from flows.wiring import Environment, image_limits, open_catalog, open_store
from pipeline.public_ids import parse_id

if TYPE_CHECKING:
    from pipeline.catalog.engine import Catalog
    from pipeline.catalog.values import Item
    from pipeline.duplicates.similar import Similar


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(features)
    app.command()(similar)


@shows_errors
def features(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Let the network look at every picture it has not seen, so that `similar` finds it."""
    from flows.extractor import NetworkExtractor
    from flows.progress import reporting
    from pipeline.extract import extract_features

    environment = existing_environment(workspace)
    with reporting(quiet=as_json) as reporter, open_catalog(environment) as catalog:
        report = extract_features(
            catalog,
            open_store(environment),
            NetworkExtractor(environment),
            on_progress=lambda done, total: reporter.step("features", done, total),
        )
    if as_json:
        print_json(asdict(report))
    else:
        rows = [
            ("pictures described", report.described),
            ("pairs much alike", report.pairs),
            ("forgotten, as withdrawn", report.forgotten),
            ("could not be read", len(report.failed)),
        ]
        print_table(("", ""), rows)
        if report.failed:
            print_table(("item", "why"), [(f"i{item_id}", why) for item_id, why in report.failed])
        if report.pairs:
            command = f"dreamcrawl duplicates list --tier similar{where(environment)}"
            output().print(f"\nLook at those pairs with: {command}", markup=False, soft_wrap=True)
    if report.failed:
        raise ShownError(f"{len(report.failed)} pictures could not be read", ExitCode.PARTIAL)


@shows_errors
def similar(
    item: Annotated[
        str | None, typer.Argument(help="A picture, such as i12.", metavar="ITEM", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A picture of your own instead.", metavar="FILE")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Most pictures.")] = 20,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the pictures that look most like one of them, or like a file, to the network; for looking at only."""
    if (item is None) == (file is None):
        message = "name one picture: dreamcrawl similar i12, or dreamcrawl similar --file photo.jpg"
        raise ShownError(message, ExitCode.USAGE)
    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog:
        found, items, missing = _similar(environment, catalog, parse_id(item, "i") if item else None, file, limit)
    if as_json:
        print_json([_as_json(one, items[one.item_id]) for one in found])
    elif found:
        print_table(
            ("cosine", "item", "title", "licence", "size", "near to"), [_row(one, items[one.item_id]) for one in found]
        )
    else:
        output().print("nothing to compare with")
    if missing and not as_json:
        command = f"dreamcrawl features{where(environment)}"
        told = f"\n{missing} pictures are not compared yet; this does it: {command}"
        output().print(told, markup=False, soft_wrap=True)


def _similar(
    environment: Environment, catalog: Catalog, item_id: int | None, file: Path | None, limit: int
) -> tuple[list[Similar], dict[int, Item], int]:
    """What is alike, the items, and how many pictures have no features yet."""
    from flows.extractor import NetworkExtractor, similar_search
    from pipeline.extract import extract_item, vector_of_file

    extractor, search = NetworkExtractor(environment), similar_search()
    vector = None
    if item_id is not None:
        vector = extract_item(catalog, open_store(environment), extractor, item_id, search=search)
    elif file is not None:
        vector = vector_of_file(file, extractor, limits=image_limits(environment))
    with catalog.read() as uow:
        if vector is not None:
            found = search.like(uow, vector, limit)
        else:
            assert item_id is not None
            found = search.like_item(uow, item_id, limit) or []
        items = {one.item_id: item for one in found if (item := uow.items.get(one.item_id)) is not None}
        missing = uow.features.count_missing(search.algorithm.name)
    return found, items, missing


def _row(one: Similar, item: Item) -> tuple[object, ...]:
    return (
        f"{one.cosine:.3f}",
        f"i{item.id}",
        item.title,
        item.license_id or "none declared",
        f"{item.width}x{item.height}",
        f"i{item.near_duplicate_of_id}" if item.near_duplicate_of_id else "",
    )


def _as_json(one: Similar, item: Item) -> dict[str, Any]:
    return {"public_id": f"i{item.id}", "cosine": round(one.cosine, 6), **asdict(item)}

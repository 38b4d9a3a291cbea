"""tag, rate: what people think of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    tell_error,
)
from flows.wiring import open_catalog
from pipeline.public_ids import parse_id

if TYPE_CHECKING:
    from pipeline.catalog.unit_of_work import UnitOfWork

_MOST_LISTED = 200


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(tag)
    app.command()(rate)


@shows_errors
def tag(
    items: Annotated[
        list[str] | None, typer.Argument(help="The pictures, such as i3 i7; none to list all tags.", metavar="ITEM")
    ] = None,
    add: Annotated[list[str] | None, typer.Option("--add", "-a", help="A tag to give; again for several.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", "-r", help="A tag to take away; again for several.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give tags to pictures, take them away, or list them; searches and filters find them."""
    from pipeline.catalog.repositories.opinions import tag_of

    if not items and (add or remove):
        raise ShownError("say which pictures, such as: dreamcrawl tag i3 i7 --add 'for print'", ExitCode.USAGE)
    added, removed = [tag_of(each) for each in add or ()], [tag_of(each) for each in remove or ()]
    with open_catalog(existing_environment(workspace), only_reads=not (added or removed)) as catalog:
        if not items:
            with catalog.read() as uow:
                counts = uow.tags.counts(limit=None if as_json else _MOST_LISTED)
            if as_json:
                print_json([{"tag": name, "items": number} for name, number in counts])
            else:
                print_table(("tag", "pictures"), counts)
            return
        ids = [parse_id(each, "i") for each in items]
        with catalog.write() if added or removed else catalog.read() as uow:
            _check_there(uow, ids)
            absent = [
                f"i{item_id} has no tag {name!r}"
                for item_id in ids
                for name in removed
                if not uow.tags.remove(item_id, name)
            ]
            for item_id in ids:
                for name in added:
                    uow.tags.add(item_id, name)
            tags = uow.tags.of_items(ids)
    for line in absent:
        tell_error(line, style="yellow")
    if as_json:
        print_json([{"public_id": f"i{item_id}", "tags": tags.get(item_id, [])} for item_id in ids])
        return
    print_table(("item", "tags"), [(f"i{item_id}", ", ".join(tags.get(item_id, []))) for item_id in ids])


@shows_errors
def rate(
    items: Annotated[list[str], typer.Argument(help="The pictures, such as i3 i7.", metavar="ITEM")],
    stars: Annotated[int | None, typer.Option("--stars", "-s", min=1, max=5, help="How many stars.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the rating back.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rate pictures with one to five stars."""
    if (stars is None) != clear:
        raise ShownError("give --stars 1 to 5, or --clear", ExitCode.USAGE)
    ids = [parse_id(each, "i") for each in items]
    with open_catalog(existing_environment(workspace)) as catalog, catalog.write() as uow:
        _check_there(uow, ids)
        for item_id in ids:
            if stars is None:
                uow.ratings.clear(item_id)
            else:
                uow.ratings.set(item_id, stars)
    if as_json:
        print_json([{"public_id": f"i{item_id}", "stars": stars} for item_id in ids])
        return
    for item_id in ids:
        output().print(f"i{item_id}  {'*' * (stars or 0) or 'no rating'}", markup=False)


def _check_there(uow: UnitOfWork, ids: list[int]) -> None:
    from pipeline.errors import NotFound

    missing = [item_id for item_id in ids if uow.items.get(item_id) is None]
    if missing:
        raise NotFound(f"there is no picture i{missing[0]}; `dreamcrawl items` lists them")

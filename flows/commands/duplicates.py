"""duplicates find, list, show, decide, groups, merge: which pictures are the same one."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
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
from flows.duplicate_words import evidence_in_words, found_in_words, relation_in_words, tiers_in_words
from flows.wiring import open_catalog, open_examiner, open_store
from pipeline.public_ids import parse_id

if TYPE_CHECKING:
    from flows.wiring import Environment
    from pipeline.catalog.duplicate_values import DuplicatePair
    from pipeline.catalog.unit_of_work import UnitOfWork
    from pipeline.catalog.values import Item
    from pipeline.duplicates.stars import Proposal

ItemArgument = Annotated[str, typer.Argument(help="An item, such as i12.", metavar="ITEM")]
OtherArgument = Annotated[str, typer.Argument(help="Another item.", metavar="OTHER")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="Most rows.")]


class TierChoice(StrEnum):
    """The tiers in which pairs are listed."""

    NEAR = "near"
    REVIEW = "review"
    SIMILAR = "similar"


class Decision(StrEnum):
    """What a person can say of two pictures."""

    SAME = "same"
    DIFFERENT = "different"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Which pictures are the same one, and what is to be done about it.", no_args_is_help=True)
    group.command("find")(find)
    group.command("list")(list_pairs)
    group.command("show")(show)
    group.command("decide")(decide)
    group.command("groups")(groups)
    group.command("merge")(merge)
    app.add_typer(group, name="duplicates")


@shows_errors
def find(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Look for duplicates of every picture for which nobody has, such as those of an older catalog."""
    from flows.progress import reporting
    from pipeline.duplicates.finding import find_duplicates

    environment = existing_environment(workspace)
    with (
        reporting(quiet=as_json) as reporter,
        open_catalog(environment) as catalog,
        open_examiner(environment) as examiner,
    ):
        report = find_duplicates(
            catalog,
            open_store(environment),
            near_distance=environment.values.ingest.near_distance,
            sign=lambda data: examiner.begin(data).result().signature,
            on_progress=lambda done: reporter.step("duplicates", done, None),
        )
    if as_json:
        print_json(asdict(report))
        return
    print_table(("", ""), found_in_words(report))
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        waiting = uow.duplicates.pairs(undecided=True, limit=1)
        some = uow.duplicates.group_ids(limit=1)
    at = where(environment)
    if waiting:
        _suggest(f"\nPairs that wait for you to say what they are: dreamcrawl duplicates list{at}")
    if some:
        _suggest(f"\nGroups, and which picture of each to keep in front: dreamcrawl duplicates groups{at}")
    if report.unreadable:
        raise ShownError(f"{report.unreadable} pictures could not be read from the store", ExitCode.PARTIAL)


@shows_errors
def list_pairs(
    tier: Annotated[
        TierChoice | None,
        typer.Option(
            "--tier", help="Only these: near agree block by block, review are in doubt, similar only look alike."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that are linked or decided, too.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, max=2**31 - 1, help="Only pairs above this number.")] = 0,
    limit: LimitOption = 100,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List pairs of pictures that may be the same and wait for you to say so; merely similar ones only by --tier."""
    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        pairs = uow.duplicates.pairs(
            tier=tier.value if tier else None, undecided=not everything, after_id=after, limit=limit
        )
    if as_json:
        print_json([_pair_as_json(pair) for pair in pairs])
        return
    if not pairs:
        which = " of this tier" if tier else ""
        more = " after this one" if after else ""
        output().print(f"no pairs{which}{more}" + ("" if everything else " wait for you"))
        _tell_of_unsearched(environment)
        return
    print_table(
        ("pair", "first", "second", "tier", "bits that differ", "what it looks like", "decision"),
        [
            (
                pair.id,
                f"i{pair.first_id}",
                f"i{pair.second_id}",
                pair.tier,
                pair.distance,
                pair.relation,
                f"{pair.decision} ({pair.decided_by})" if pair.decision else "",
            )
            for pair in pairs
        ],
    )
    if len(pairs) == limit:
        output().print(f"perhaps more with --after {pairs[-1].id}")
    two, at = f"i{pairs[0].first_id} i{pairs[0].second_id}", where(environment)
    output().print()
    for line in tiers_in_words({pair.tier for pair in pairs}):
        output().print(line)
    _suggest(f"\nSide by side: dreamcrawl duplicates show {two}{at}; or /duplicates of dreamcrawl browse{at}")
    _suggest(f"To decide: dreamcrawl duplicates decide {two} same{at}; or different, in place of same")
    _tell_of_unsearched(environment)


@shows_errors
def show(
    first: ItemArgument, other: OtherArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """Show two pictures side by side: what differs, what they have in common, and what was decided."""
    ids = parse_id(first, "i"), parse_id(other, "i")
    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        sides = [_described(uow, item_id) for item_id in ids]
        pair = uow.duplicates.pair(*ids)
    if as_json:
        print_json({"items": sides, "pair": None if pair is None else _pair_as_json(pair)})
        return
    one, two = sides
    print_table(
        ("", first, other, ""),
        [(name, one[name], two[name], "" if one[name] == two[name] else "differs") for name in one if name != "item"],
    )
    if pair is None:
        output().print("\nnothing was found that they have in common")
        return
    told: list[tuple[str, object]] = [
        ("tier", pair.tier),
        ("what it looks like", relation_in_words(pair)),
        ("bits that differ, of 256", pair.distance),
    ]
    told += evidence_in_words(pair.evidence or {})
    is_linked = (one["linked to"] or one["item"]) == (two["linked to"] or two["item"])
    undecided = "none needed: they are linked" if is_linked else "none yet"
    told.append(("decision", f"{pair.decision}, by {pair.decided_by}" if pair.decision else undecided))
    output().print()
    print_table(("", ""), told)


@shows_errors
def decide(
    first: ItemArgument,
    other: OtherArgument,
    decision: Annotated[Decision, typer.Argument(help="What they are.")],
    by: Annotated[str | None, typer.Option("--by", help="Who says so.", show_default="your user name")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether two pictures are the same; it lasts, and is never asked again."""
    from pipeline.duplicates import stars

    ids = parse_id(first, "i"), parse_id(other, "i")
    environment = existing_environment(workspace)
    with open_catalog(environment) as catalog, catalog.write() as uow:
        apart = stars.decide(uow, *ids, decision.value, by=by or _user_name())
        items = [item for item_id in ids if (item := uow.items.get(item_id)) is not None]
    if as_json:
        print_json({"items": [_place_as_json(item) for item in items], "kept_apart": [_names(pair) for pair in apart]})
        return
    for item in items:
        place = f"linked to i{item.near_duplicate_of_id}" if item.near_duplicate_of_id else "stands for itself"
        output().print(f"i{item.id} {'is withdrawn' if item.withdrawn_at else place}")
    for one, another in apart:
        output().print(
            f"i{one} and i{another} were said to be the same, but another decision keeps them apart; "
            "`dreamcrawl duplicates list` has them until one of the decisions is changed",
            soft_wrap=True,
        )


@shows_errors
def groups(
    after: Annotated[
        int, typer.Option("--after", min=0, max=2**31 - 1, help="Only groups whose first picture is above this number.")
    ] = 0,
    limit: LimitOption = 100,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List groups of duplicates, which picture of each is proposed to be kept in front, and why."""
    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        proposals = _proposals(uow, uow.duplicates.group_ids(after_id=after, limit=limit))
    if as_json:
        print_json([_proposal_as_json(proposal) for proposal in proposals])
        return
    if not proposals:
        output().print("no groups")
        _tell_of_unsearched(environment)
        return
    print_table(
        ("group", "pictures", "keep in front", "why"),
        [
            (
                f"i{proposal.representative_id}",
                ", ".join(f"i{item.id}" for item in sorted(proposal.items, key=lambda item: item.id)),
                f"i{proposal.keeper.id}" + (", as now" if proposal.is_settled else ""),
                "; ".join(proposal.reasons),
            )
            for proposal in proposals
        ],
    )
    if len(proposals) == limit:
        output().print(f"perhaps more with --after {proposals[-1].representative_id}")
    unsettled = next((proposal for proposal in proposals if not proposal.is_settled), None)
    if unsettled is not None:
        _suggest(
            f"\nTo have it so: dreamcrawl duplicates merge i{unsettled.representative_id}{where(environment)}; "
            "with --all for all groups, with --keep for another picture of one; nothing is deleted"
        )
    _tell_of_unsearched(environment)


@shows_errors
def merge(
    items: Annotated[
        list[str] | None, typer.Argument(help="Groups, by the item that stands for each.", metavar="ITEM")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every group, as `duplicates groups` proposes.")] = False,
    keep: Annotated[str | None, typer.Option("--keep", help="Another picture of the one group named.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the proposed picture of a group in front, with the others' tags, stars and licence; deletes nothing."""
    from flows.progress import reporting
    from pipeline.duplicates import stars

    if bool(items) == everything or (keep is not None and len(items or ()) != 1):
        raise ShownError("name groups, or --all; --keep goes with one group", ExitCode.USAGE)
    ids = list(dict.fromkeys(parse_id(item, "i") for item in items or ()))
    keeper = None if keep is None else parse_id(keep, "i")
    environment = existing_environment(workspace)
    with reporting(quiet=as_json) as reporter, open_catalog(environment) as catalog:
        if everything:
            done = stars.merge_all(catalog, on_progress=lambda one, total: reporter.step("merge", one, total))
        else:
            with catalog.write() as uow:
                done = [stars.merge_group(uow, proposal, keeper) for proposal in _proposals(uow, ids, named=True)]
    if as_json:
        print_json([asdict(one) for one in done])
        return
    if not done:
        output().print("no groups")
        return
    print_table(
        ("in front", "before", "left the group"),
        [
            (
                f"i{one.kept}",
                "itself" if one.kept == one.instead_of else f"i{one.instead_of}",
                ", ".join(f"i{item}" for item in one.fell_out),
            )
            for one in done
        ],
    )


def _proposals(uow: UnitOfWork, ids: list[int], *, named: bool = False) -> list[Proposal]:
    from pipeline.duplicates.stars import propose
    from pipeline.errors import NotFound

    found = []
    for item_id in ids:
        proposal = propose(uow, item_id)
        if proposal is not None:
            found.append(proposal)
        elif named:
            raise NotFound(f"no picture is linked to i{item_id}; `dreamcrawl duplicates groups` lists the groups")
    return found


def _described(uow: UnitOfWork, item_id: int) -> dict[str, Any]:
    from pipeline.errors import NotFound

    item = uow.items.get(item_id)
    if item is None:
        raise NotFound(f"there is no item i{item_id}; `dreamcrawl items` lists them")
    blob = uow.blobs.get(item.blob_sha256)
    return {
        "item": f"i{item_id}",
        "size": f"{item.width}x{item.height}",
        "format": item.format,
        "bytes": blob.size_bytes if blob else None,
        "title": item.title,
        "creator": item.creator,
        "licence": item.license_id or "none declared",
        "first seen": f"{item.created_at:%Y-%m-%d %H:%M}",
        "sightings": len(uow.sightings.of_item(item_id)),
        "linked to": f"i{item.near_duplicate_of_id}" if item.near_duplicate_of_id else "",
        "withdrawn": "yes" if item.withdrawn_at else "",
    }


def _tell_of_unsearched(environment: Environment) -> None:
    """Say so where pictures of an older version have not been compared with the others."""
    from pipeline.duplicates.signatures import ALGORITHM

    with open_catalog(environment, only_reads=True) as catalog, catalog.read() as uow:
        missing = uow.duplicates.some_unsearched(ALGORITHM)
    if missing:
        command = f"dreamcrawl duplicates find{where(environment)}"
        _suggest(f"\nSome pictures were never compared with the others; this does it: {command}")


def _suggest(line: str) -> None:
    """A line with commands, which are copied whole, whatever the names of folders look like."""
    output().print(line, markup=False, soft_wrap=True)


def _place_as_json(item: Item) -> dict[str, Any]:
    near_to = item.near_duplicate_of_id
    return {
        "item": f"i{item.id}",
        "linked_to": None if near_to is None else f"i{near_to}",
        "withdrawn": item.withdrawn_at is not None,
    }


def _names(pair: tuple[int, int]) -> list[str]:
    return [f"i{item_id}" for item_id in pair]


def _pair_as_json(pair: DuplicatePair) -> dict[str, Any]:
    return {**asdict(pair), "first": f"i{pair.first_id}", "second": f"i{pair.second_id}"}


def _proposal_as_json(proposal: Proposal) -> dict[str, Any]:
    def row(item: Item) -> dict[str, Any]:
        return {"item": f"i{item.id}", "width": item.width, "height": item.height, "format": item.format}

    return {
        "group": f"i{proposal.representative_id}",
        "keep": f"i{proposal.keeper.id}",
        "settled": proposal.is_settled,
        "reasons": list(proposal.reasons),
        "items": [row(item) for item in proposal.items],
    }


def _user_name() -> str:
    """Who is at work; a container may run as a user that the system has no name for."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"

"""fsck, backup, restore, gc: keeping a workspace whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    printable,
    shows_errors,
)
from flows.progress import Reporter, bytes_text, reporting
from flows.wiring import Environment, open_catalog, open_store, software_version
from pipeline.own_paths import expanded

if TYPE_CHECKING:
    from pipeline.upkeep.backup import BackupReport
    from pipeline.upkeep.findings import FsckReport
    from pipeline.upkeep.gc import GcReport

DEFAULT_DAYS = 30
_MOST_DAYS = 36_500  # a century, within what dates can be
_MOST_ROWS = 100


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(fsck)
    app.command()(backup)
    app.command()(restore)
    app.command()(gc)


@shows_errors
def fsck(
    mend: Annotated[bool, typer.Option("--mend", help="Mend what is safe to mend; nothing is deleted.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every stored file against its digest, and the catalog against the files. Exit code 3: something is wrong.

    Without --mend nothing is changed. With it, altered and unknown files move to quarantine/, what killed processes
    left is removed, lost originals are put on the list of `crawl --retry-failed`, and the search is indexed anew.
    """
    from pipeline.upkeep.fsck import Places, check_workspace

    environment = existing_environment(workspace)
    root = environment.workspace
    places = Places(
        dreams=root.dreams,
        quarantine=root.quarantine,
        locks=root.locks,
        caches=(root.thumbnails, root.pages, root.octaves, root.weights),
        keys=root.keys,
    )
    with open_catalog(environment, only_reads=not mend) as catalog, reporting(quiet=as_json) as reporter:
        report = check_workspace(
            catalog=catalog,
            store=open_store(environment),
            places=places,
            mend=mend,
            on_progress=_steps(reporter, "fsck"),
        )
    if as_json:
        print_json({"clean": report.is_clean, **asdict(report)})
    else:
        _print_findings(report)
    if report.is_damaged:
        raise typer.Exit(ExitCode.FAILED)
    if not report.is_clean:
        raise typer.Exit(ExitCode.PARTIAL)


@shows_errors
def backup(
    to: Annotated[Path, typer.Argument(help="Folder to make; must not exist.", metavar="DIR")],
    link: Annotated[
        bool,
        typer.Option("--link", help="Hard links to stored files where possible: no space, no second copy."),
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the workspace, in use or not, into a new folder with a digest for every file."""
    from pipeline.upkeep.backup import back_up

    environment = existing_environment(workspace)
    _refuse_server(environment, "pg_dump copies the database, then copy the folder store/")
    with open_catalog(environment), reporting(quiet=as_json) as reporter:  # migrated, and its folders there
        report = back_up(
            expanded(to),
            workspace=environment.workspace,
            version=software_version(),
            link=link,
            on_progress=_steps(reporter, "backup"),
        )
    _print_backup(report, as_json=as_json, done="backed up")


@shows_errors
def restore(
    backup: Annotated[Path, typer.Argument(help="Folder that `dreamcrawl backup` made.", metavar="DIR")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new workspace from a backup, every file checked against its digest."""
    from pipeline.upkeep.backup import restore as restore_backup

    environment = environment_for(workspace)
    _refuse_server(environment, "restore the database with pg_restore, then copy the folder store/")
    with reporting(quiet=as_json) as reporter:
        report = restore_backup(
            expanded(backup), workspace=environment.workspace, on_progress=_steps(reporter, "restore")
        )
    _print_backup(report, as_json=as_json, done="restored")


@shows_errors
def gc(
    days: Annotated[
        int,
        typer.Option("--days", min=0, max=_MOST_DAYS, help="Pictures that were withdrawn at least so many days ago."),
    ] = DEFAULT_DAYS,
    now: Annotated[bool, typer.Option("--now", help="All withdrawn pictures; the same as --days 0.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without it, only list.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the bytes of withdrawn pictures and of their dreams, and stored files that nothing refers to.

    What was there and who asked stays on record, so that nothing is fetched again. Nothing else is ever deleted.
    """
    from pipeline.upkeep.gc import collect_garbage

    environment = existing_environment(workspace)
    root = environment.workspace
    with open_catalog(environment) as catalog, reporting(quiet=as_json) as reporter:
        report = collect_garbage(
            catalog=catalog,
            store=open_store(environment),
            dreams_folder=root.dreams,
            thumbnails=root.thumbnails,
            locks=root.locks,
            withdrawn_until=datetime.now(UTC) - timedelta(days=0 if now else days),
            delete=delete,
            on_progress=_steps(reporter, "gc"),
        )
    if as_json:
        print_json({**asdict(report), "files": report.files, "bytes": report.bytes})
    else:
        _print_garbage(report)


def _refuse_server(environment: Environment, advice: str) -> None:
    if environment.values.catalog_url and not environment.values.catalog_url.startswith("sqlite"):
        raise ShownError(f"the catalog is in PostgreSQL, which has its own tools: {advice}", ExitCode.USAGE)
    if environment.values.catalog_url:
        raise ShownError(
            "the catalog lies outside of the workspace (setting catalog_url): copy its file with `sqlite3 FILE "
            "\"VACUUM INTO 'COPY'\"`, then copy the folder store/",
            ExitCode.USAGE,
        )


def _steps(reporter: Reporter, stage: str) -> Callable[[int, int], None]:
    def on_progress(done: int, total: int) -> None:
        reporter.step(stage, done, total)

    return on_progress


def _print_findings(report: FsckReport) -> None:
    rows = [
        (finding.kind.value.replace("_", " "), finding.subject, finding.detail, finding.action)
        for finding in report.findings[:_MOST_ROWS]
    ]
    if rows:
        print_table(("what", "of", "", "mended: what was done; else: what to do"), rows)
        if len(report.findings) > len(rows):
            output().print(f"and {len(report.findings) - len(rows)} more; all of them with --json")
        output().print()
    left = sum(not finding.mended for finding in report.findings)
    mended = len(report.findings) - left
    verdict = "all is well" if not report.findings else f"{left} left, {mended} mended"
    output().print(
        f"{report.files} files ({bytes_text(report.bytes)}) hashed, {report.items} pictures looked at: {verdict}",
        markup=False,
    )
    if report.unrecorded:
        output().print(
            f"note: not in the catalog, but in the store since less than an hour: {report.unrecorded}; where nothing "
            "is at work, see that --workspace and catalog_url name the right one",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _print_backup(report: BackupReport, *, as_json: bool, done: str) -> None:
    if as_json:
        print_json(asdict(report))
    else:
        linked = f", {report.linked} of them as links" if report.linked else ""
        output().print(
            f"{done}: {report.files} files, {bytes_text(report.bytes)}{linked}, in {report.path}",
            markup=False,
            soft_wrap=True,
        )
        for problem in report.problems:
            output().print(f"note: {printable(problem)}", style="yellow", markup=False, soft_wrap=True)
    if report.problems:
        raise typer.Exit(ExitCode.PARTIAL)


def _print_garbage(report: GcReport) -> None:
    rows = [
        (each.subject[:40], each.why, len(each.paths), bytes_text(each.size_bytes))
        for each in report.garbage[:_MOST_ROWS]
    ]
    if rows:
        print_table(("of", "why", "files", "size"), rows)
        if len(report.garbage) > len(rows):
            output().print(f"and {len(report.garbage) - len(rows)} more; all of them with --json")
        output().print()
    size = f"{report.files} files, {bytes_text(report.bytes)}"
    if report.traces:
        pictures = "one picture" if report.traces == 1 else f"{report.traces} pictures"
        size += f", and what the catalog has of the looks of {pictures}"
    if not rows and not report.traces:
        output().print("nothing to let go of")
    elif report.deleted:
        output().print(f"deleted: {size}")
    else:
        output().print(f"would delete {size}; do it with --delete")

"""export: what was kept, as a dataset for training or for passing on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import (
    ExitCode,
    JsonOption,
    WorkspaceOption,
    existing_environment,
    named_folder,
    output,
    print_json,
    shows_errors,
    tell_error,
)
from flows.commands.licenses import LICENSE_WORDS
from flows.wiring import open_catalog, open_store, software_version
from pipeline.own_paths import expanded


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(export)


@shows_errors
def export(
    to: Annotated[
        Path,
        typer.Option(
            "--to", help="Folder to write to; new, or with the same export.", metavar="DIR", parser=named_folder
        ),
    ],
    layout: Annotated[str, typer.Option("--format", help="files, webdataset or parquet.", metavar="LAYOUT")] = "files",
    what: Annotated[str, typer.Option("--what", help="originals or dreams.", metavar="WHAT")] = "originals",
    keyword: Annotated[
        str | None, typer.Option("--keyword", "-k", help="Only those that matched it.", show_default=False)
    ] = None,
    license_: Annotated[
        list[str] | None,
        typer.Option(
            "--license",
            help=f"Only those under it: {LICENSE_WORDS}; may be given several times.",
            metavar="LICENCE",
            show_default="shareable",
        ),
    ] = None,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates/--no-near-duplicates",
            help="Take pictures near to another too; --no-near-duplicates leaves them out.",
        ),
    ] = True,
    shard_size: Annotated[int, typer.Option("--shard-size", min=1, help="Pictures in one shard.")] = 10_000,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the pictures as a dataset, in the layout of img2dataset, with attribution and digests.

    Exit code 3: there was no picture to write, or one of them is damaged in the store.
    """
    from flows.progress import reporting
    from pipeline.errors import UsageError
    from pipeline.export.export import export as write_export
    from pipeline.export.selection import Selection, What, check_licenses

    if what not in list(What):
        raise UsageError(f"--what is {' or '.join(What)}, not {what!r}")
    selection = Selection(What(what), keyword, check_licenses(license_ or ()), near_duplicates)
    environment = existing_environment(workspace)
    with open_catalog(environment, only_reads=True) as catalog, reporting(quiet=as_json) as reporter:
        report = write_export(
            expanded(to).absolute(),
            catalog=catalog,
            store=open_store(environment),
            layout=layout,
            selection=selection,
            shard_size=shard_size,
            software_version=software_version(),
            on_progress=lambda done, total: reporter.step("export", done, total),
        )
    if as_json:
        print_json(asdict(report))
    else:
        console = output()
        pictures, shards = _count(report.samples, what.removesuffix("s")), _count(report.shards, "shard")
        console.print(
            f"{pictures} in {shards} ({report.written} written now), {report.bytes / 1e6:.1f} MB", markup=False
        )
        for reason, count in report.left_out.items():
            console.print(f"left out: {count}, {reason}", markup=False)
        if report.private:
            console.print(
                f"{report.private} of them may not be passed on: see ATTRIBUTION.md", style="yellow", markup=False
            )
        if report.share_alike:
            console.print(f"share-alike: {report.share_alike}, see ATTRIBUTION.md", markup=False)
        console.print(report.folder, markup=False, soft_wrap=True)
    if not report.samples:
        which = f" that matched the keyword {keyword!r}" if keyword is not None and not report.left_out else ""
        tell_error(f"there was no picture to export{which}", style="yellow")
    if report.damaged or not report.samples:
        raise typer.Exit(ExitCode.PARTIAL)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

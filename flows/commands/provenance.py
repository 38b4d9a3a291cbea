"""verify, replay, export-provenance: proving how pictures were made, and telling it in standard forms."""

from __future__ import annotations

from dataclasses import asdict
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
    named_folder,
    output,
    print_json,
    printable,
    shows_errors,
    tell_error,
)
from pipeline.own_paths import expanded
from pipeline.public_ids import parse_id

if TYPE_CHECKING:
    from flows.proofs import Verification
    from pipeline.provenance.replay import ReplayReport


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(verify)
    app.command()(replay)
    app.command("export-provenance")(export_provenance)


@shows_errors
def verify(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(help="i12, d3, or any picture or sidecar; everything if left out.", metavar="ID|FILE"),
    ] = None,
    trust_anchors: Annotated[
        Path | None,
        typer.Option(
            "--trust-anchors",
            help="Certificates (PEM): a signature by anybody not under them is a failure.",
            metavar="FILE",
            show_default="our own root, and others are told",
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute every digest, check every signature, and say what is known and what does not hold.

    Exit codes: 0 what is known holds, 1 something does not, 2 nothing is known of a file, or there is none.
    """
    from flows.progress import reporting
    from flows.proofs import verify_subjects

    anchors = expanded(trust_anchors) if trust_anchors else None
    with reporting(quiet=as_json):
        found = verify_subjects(environment_for(workspace), subjects or (), anchors=anchors)
    if as_json:
        print_json(
            {
                "ok": found.report.ok and not found.unknown,
                "checks": [asdict(check) for check in found.report.checks],
                "unknown": [asdict(each) for each in found.unknown],
                "notes": list(found.notes),
            }
        )
    else:
        _show_checks(found, with_details=bool(subjects))
    if not found.report.ok:
        raise typer.Exit(ExitCode.FAILED)
    if found.unknown:
        raise typer.Exit(ExitCode.USAGE)


def _show_checks(found: Verification, *, with_details: bool) -> None:
    from pipeline.provenance.credential_checks import HOW_TO_INSTALL

    console, report = output(), found.report
    for check in report.checks:
        subject = printable(check.subject)
        if not check.ok:
            where = f" in {check.path}" if check.path else ""
            line = (
                f"{subject}: {check.name}: not as recorded{where}: "
                f"expected {check.expected or 'a value'}, found {check.found or 'nothing'}"
            )
            console.print(printable(line), style="red", markup=False, soft_wrap=True)
        elif with_details:
            console.print(printable(f"{subject}: {check.name}: {check.found}"), markup=False, soft_wrap=True)
    for each in found.unknown:
        tell_error(each.reason)
    for note in found.notes:
        tell_error(note, style="yellow")
    if not report.checks and found.unknown:
        return
    count, bad = len(report.subjects), len(report.failed_subjects)
    checked = f"{count} {'picture' if count == 1 else 'pictures'}, {len(report.checks)} checks"
    if bad:
        console.print(f"{checked}: {bad} not as recorded", style="red")
    elif skipped := len(report.skipped):
        what = f"{skipped} {'signature' if skipped == 1 else 'signatures'} not checked"
        console.print(f"{checked}: all others as recorded, {what}: {HOW_TO_INSTALL}", style="yellow", markup=False)
    else:
        console.print(f"{checked}: all as recorded", style="green")


@shows_errors
def replay(
    dream: Annotated[
        str, typer.Argument(help="The dream to make again: d3, or its file or sidecar.", metavar="ID|FILE")
    ],
    source: Annotated[
        Path | None,
        typer.Option("--source", help="With a file: its original.", metavar="FILE", show_default="from the store"),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            help="With a file: a guide or mask that its recipe names; may be given several times.",
            metavar="FILE",
            show_default="from the catalog",
        ),
    ] = None,
    write_to: Annotated[
        Path | None, typer.Option("--write-to", help="Keep the picture made again in this file.", show_default=False)
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a dream again from its record and compare the pixels; a file that was lost from the store is put back."""
    file = expanded(dream)
    if _is_file(file):
        _replay_file(file, source=source, inputs=inputs, write_to=write_to, workspace=workspace, as_json=as_json)
        return
    if source or inputs:
        raise ShownError(f"--source and --input are for files, and there is no file {dream!r}", ExitCode.USAGE)
    derivation_id = parse_id(dream, "d")

    from flows.progress import reporting
    from flows.proofs import replay_dream

    environment = existing_environment(workspace)
    with reporting(quiet=as_json):
        report = replay_dream(environment, derivation_id, write_to=write_to)
    _show_replay(dream, report, as_json=as_json)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _replay_file(
    file: Path,
    *,
    source: Path | None,
    inputs: list[Path] | None,
    write_to: Path | None,
    workspace: Path | None,
    as_json: bool,
) -> None:
    from flows.progress import reporting
    from flows.proofs import check_replay, replay_from_file

    environment = environment_for(workspace)
    original = expanded(source) if source else None
    check_replay(environment, file, source=original)
    with reporting(quiet=as_json):
        report = replay_from_file(
            environment,
            file,
            source=original,
            inputs=[expanded(each) for each in inputs or ()],
            write_to=write_to,
        )
    _show_replay(file.name, report, as_json=as_json)


def _show_replay(name: str, report: ReplayReport, *, as_json: bool) -> None:
    name = printable(name)
    if as_json:
        print_json({**asdict(report), "verdict": report.verdict})
    else:
        console = output()
        if report.identical:
            console.print(f"{name}: the pixels are equal", style="green", markup=False)
        elif report.was_missing:
            console.print(
                f"{name}: its file is missing from the store, and the pixels made again are not those on record: "
                "restore it from a backup",
                style="red",
                markup=False,
                soft_wrap=True,
            )
        else:
            psnr = "" if report.psnr_db is None else f", PSNR {report.psnr_db:.1f} dB"
            console.print(
                f"{name}: the pixels differ in {report.differing_pixels} places{psnr}: {report.verdict}",
                style="yellow" if report.verdict == "within tolerance" else "red",
                markup=False,
            )
        if report.put_back:
            line = f"  its file was missing from the store, and is back as {report.put_back}"
            console.print(line, markup=False, soft_wrap=True)
        elif report.was_missing and report.identical:
            console.print("  its file is missing from the store, and was not put back", markup=False)
        for field, recorded, now in report.environment_differences:
            line = printable(f"  {field}: {recorded} then, {now} now")
            console.print(line, markup=False, soft_wrap=True)
        if not report.source_ok:
            console.print("  the original does not decode to the pixels on record", markup=False, style="red")
        if not report.picture_ok:
            console.print("  the file does not show the pixels on record; see verify", markup=False, style="red")
    if report.verdict == "different" or not report.picture_ok:
        raise typer.Exit(ExitCode.FAILED)


@shows_errors
def export_provenance(
    run: Annotated[str, typer.Argument(help="The run to tell of, such as r3.", metavar="RUN")],
    to: Annotated[
        Path, typer.Option("--to", help="Folder to write to; new or empty.", metavar="DIR", parser=named_folder)
    ],
    format_: Annotated[
        str,
        typer.Option("--format", help="W3C PROV as JSON, or a crate with the pictures.", metavar="prov|ro-crate"),
    ] = "ro-crate",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what a run met and made, and how, as W3C PROV or as an RO-Crate.

    Pictures whose licence does not let them be passed on are described without their file.
    """
    from flows.proofs import export_provenance as write_export

    run_id = parse_id(run, "r")
    report = write_export(existing_environment(workspace), run_id, folder=expanded(to).absolute(), format_=format_)
    if as_json:
        print_json(asdict(report))
        return
    console = output()
    pictures = f", {report.pictures} of them pictures" if report.pictures else ""
    console.print(f"{report.files} {'file' if report.files == 1 else 'files'}{pictures}", markup=False)
    for reason, count in report.left_out.items():
        console.print(f"described without the file: {count}, {reason}", markup=False)
    console.print(report.folder, markup=False, soft_wrap=True)

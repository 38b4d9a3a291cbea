"""verify, replay and export-provenance over one workspace."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.progress import current_reporter
from flows.renderer import DreamRenderer, renderer_for
from flows.wiring import Environment, open_catalog, open_signer, open_store, trust_of
from pipeline.errors import NotFound
from pipeline.own_paths import expanded
from pipeline.provenance.credential_checks import Trust
from pipeline.provenance.export_run import RunExport, export_run
from pipeline.provenance.replay import ReplayReport, replay_derivation
from pipeline.provenance.replay_file import find_original, pictures_in, record_in_file, replay_file
from pipeline.provenance.verify import verify_all, verify_derivation, verify_file, verify_item
from pipeline.public_ids import looks_like_id, parse_id
from pipeline.records import Check, VerifyReport


@dataclass(frozen=True)
class Unknown:
    """A subject that nothing is known of, and why."""

    subject: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """What verify found.

    Attributes:
        report: The checks of what is known.
        unknown: The rest.
        notes: What else is to be told, in lines.
    """

    report: VerifyReport
    unknown: tuple[Unknown, ...] = ()
    notes: tuple[str, ...] = ()


def verify_subjects(environment: Environment, subjects: Sequence[str], *, anchors: Path | None = None) -> Verification:
    """Verify items (`i12`), dreams (`d3`) and files, or everything.

    anchors: certificates (PEM); a signature by anybody who is not under them is then a failure.

    Raises:
        NotFound: There is no catalog to look in for everything.
        UsageError: The certificates cannot be read, or there is no library to check signatures with.
    """
    trust = trust_of(environment, anchors)
    notes = (trust.problem,) if trust.problem else ()
    if not subjects:
        return Verification(_verify_everything(environment, trust), notes=notes)
    checks: list[Check] = []
    unknown: list[Unknown] = []
    for subject in subjects:
        try:
            checks += _verify_subject(environment, subject, trust).checks
        except NotFound as error:
            unknown.append(Unknown(subject, str(error)))
    return Verification(VerifyReport(tuple(checks)), tuple(unknown), notes)


def replay_dream(environment: Environment, derivation_id: int, *, write_to: Path | None) -> ReplayReport:
    """Make a dream again from its record and compare.

    Raises:
        NotFound: There is no such dream, or its original was removed after a withdrawal.
        StoreCorrupt: Its source is not what it was.
        KeysUnusable: Its file is to be put back, and what signs it cannot be used.
    """
    with open_catalog(environment) as catalog:
        return replay_derivation(
            derivation_id,
            catalog=catalog,
            store=open_store(environment),
            make_renderer=_Renderers(environment, ()),
            dreams_folder=environment.workspace.dreams,
            make_signer=lambda: open_signer(environment),
            write_to=write_to,
            on_progress=_tell,
        )


def replay_from_file(
    environment: Environment, file: Path, *, source: Path | None, inputs: Sequence[Path], write_to: Path | None
) -> ReplayReport:
    """Make the dream in a file again from the record inside it, and compare; no catalog is needed.

    source: the original; None to look in the store.
    inputs: guides and masks that the recipe names; without any they are looked for in the catalog.

    Raises:
        NotFound: No such file, a file without a record, or no such original.
        StoreCorrupt: The record or the original is damaged.
    """
    with ExitStack() as opened:
        # A look at somebody's picture must not make a workspace.
        catalog = opened.enter_context(open_catalog(environment)) if _has_catalog(environment) else None
        return replay_file(
            file,
            source=source,
            catalog=catalog,
            store=open_store(environment),
            make_renderer=_Renderers(environment, inputs),
            write_to=write_to,
            on_progress=_tell,
        )


def check_replay(environment: Environment, file: Path, *, source: Path | None) -> None:
    """See that the record and the original can be found, before anything heavy is loaded.

    Raises:
        NotFound, StoreCorrupt: As `replay_from_file`.
    """
    manifest, _pixels = record_in_file(file)
    with ExitStack() as opened:
        catalog = opened.enter_context(open_catalog(environment)) if _has_catalog(environment) else None
        find_original(manifest, source=source, catalog=catalog, store=open_store(environment))


def export_provenance(environment: Environment, run_id: int, *, folder: Path, format_: str) -> RunExport:
    """Write a run in a standard form.

    Raises:
        NotFound: There is no such run.
        UsageError: The folder is not empty, or there is no such form.
    """
    with open_catalog(environment, only_reads=True) as catalog:
        return export_run(run_id, catalog=catalog, store=open_store(environment), folder=folder, format_=format_)


class _Renderers:
    """Makes the renderer that a manifest describes."""

    def __init__(self, environment: Environment, inputs: Sequence[Path]) -> None:
        self._environment = environment
        self._inputs = inputs

    def __call__(self, recipe: dict[str, Any], network: str, max_side: int, profile: str) -> DreamRenderer:
        made = renderer_for(self._environment, recipe, network, preset=None, max_side=max_side, profile=profile)
        if _has_catalog(self._environment) and not self._inputs:
            return made
        pictures = pictures_in(self._inputs)
        if missing := [digest for digest in made.identity.pictures if digest not in pictures]:
            raise NotFound(f"the recipe needs a guide or mask with the pixels {missing[0]}; give it with --input")
        # Without a workspace there is nowhere to keep what is half done.
        keeps = _has_catalog(self._environment)
        return DreamRenderer(made.recipe, made.identity, self._environment, pictures=pictures, keeps_octaves=keeps)


def _verify_subject(environment: Environment, subject: str, trust: Trust) -> VerifyReport:
    file = expanded(subject)
    if not looks_like_id(subject, "id") or _exists(file):
        if not _exists(file):
            raise NotFound(f"{subject!r} is neither an id such as i12 or d3, nor a file")
        if not _has_catalog(environment):
            return verify_file(file, catalog=None, store=None, trust=trust)
        with open_catalog(environment, only_reads=True) as catalog:
            return verify_file(file, catalog=catalog, store=open_store(environment), trust=trust)
    letter = subject[0].lower()
    number = parse_id(subject, letter)
    _need_catalog(environment)
    store, dreams = open_store(environment), environment.workspace.dreams
    with open_catalog(environment, only_reads=True) as catalog:
        if letter == "i":
            return verify_item(number, catalog=catalog, store=store, trust=trust)
        return verify_derivation(number, catalog=catalog, store=store, dreams_folder=dreams, trust=trust)


def _verify_everything(environment: Environment, trust: Trust) -> VerifyReport:
    _need_catalog(environment)
    reporter = current_reporter()
    with open_catalog(environment, only_reads=True) as catalog:
        return verify_all(
            catalog=catalog,
            store=open_store(environment),
            dreams_folder=environment.workspace.dreams,
            trust=trust,
            on_progress=lambda done, of: reporter.step("verify", done, of),
        )


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _has_catalog(environment: Environment) -> bool:
    return bool(environment.values.catalog_url) or environment.workspace.exists()


def _need_catalog(environment: Environment) -> None:
    if not _has_catalog(environment):
        raise NotFound(f"no catalog in {environment.workspace.root}; choose another folder with --workspace")


def _tell(fraction: float) -> None:
    current_reporter().step("replay", fraction * 100, 100, "%")

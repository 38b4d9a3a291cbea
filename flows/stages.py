"""The stages as plain functions: what the commands call directly, and what the Prefect tasks wrap."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.asked import Asked
from flows.crawl_progress import counts_line, host_lines
from flows.funnel import Funnel
from flows.progress import current_reporter
from flows.wiring import (
    Environment,
    crawl_request,
    image_limits,
    open_catalog,
    open_examiner,
    open_signer,
    open_store,
    software_version,
    trust_of,
)
from pipeline.errors import CatalogBusy, ImageRejected, InboxUnusable, NotFound
from pipeline.records import Check, CrawlReport, IngestReport, StylizeReport, VerifyReport

if TYPE_CHECKING:
    from flows.look import Look
    from flows.renderer import DreamPlan
    from pipeline.catalog.engine import Catalog

_RENEWING_SECONDS = 60.0
_MOST_EXAMPLES = 3  # of one reason


@contextlib.contextmanager
def recorded_run(
    environment: Environment,
    kind: str,
    *,
    keywords: Sequence[str] = (),
    source: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    flow_run_id: str | None = None,
    collection: str | None = None,
) -> Iterator[RecordedRun]:
    """A row in the catalog that says what was asked and how it went, also when it goes wrong."""
    from pipeline.catalog.processes import this_process

    with open_catalog(environment) as catalog, catalog.write() as uow:
        run_id = uow.runs.start(
            kind,
            keywords=list(keywords),
            source=source,
            parameters=dict(parameters or {}),
            process=this_process(),
            version=software_version(),
            flow_run_id=flow_run_id,
            collection=collection,
        )
    run = RecordedRun(environment, run_id)
    try:
        yield run
    except BaseException as error:
        status = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "failed"
        with contextlib.suppress(Exception):  # the first error is the one to tell
            run.finish(status, error=str(error) or type(error).__name__)
        raise
    else:
        funnel = run.funnel
        run.finish("done" if funnel.complete and not funnel.verify_failures else "partial")


class RecordedRun:
    """A run in progress: its id, and the funnel so far, which is kept in the catalog after every stage."""

    def __init__(self, environment: Environment, run_id: int) -> None:
        self._environment = environment
        self.id = run_id
        self.funnel = Funnel()

    def update(self, funnel: Funnel) -> None:
        """Keep the funnel so far."""
        self.funnel = funnel
        with open_catalog(self._environment) as catalog, catalog.write() as uow:
            uow.runs.update_counters(self.id, funnel.to_json())

    def finish(self, status: str, *, error: str | None = None) -> None:
        """Close the row."""
        with open_catalog(self._environment) as catalog, catalog.write() as uow:
            uow.runs.finish(self.id, status, self.funnel.to_json(), error=error)


def crawl_stage(environment: Environment, *, run_id: int, asked: Asked) -> CrawlReport:
    """Crawl into a sealed inbox.

    Raises:
        CrawlError: The source is unknown, or answered nothing at all.
    """
    from crawler.run import CrawlProgress, crawl

    request = crawl_request(environment, asked)
    reporter = current_reporter()

    def on_progress(progress: CrawlProgress) -> None:
        done = progress.fetched + (0 if asked.only_new else progress.known)
        counts = counts_line(progress)
        reporter.details("crawl", (counts, *host_lines(progress)))
        reporter.step("crawl", min(done, asked.limit), asked.limit, counts)

    try:
        return crawl(
            request,
            inbox_parent=environment.workspace.inbox,
            crawl_id=_crawl_id(run_id),
            about={"run_id": run_id},
            catalog=environment.catalog_address,
            page_cache=environment.workspace.pages,
            on_progress=on_progress,
        )
    finally:
        reporter.details("crawl", ())


def crawl_examples(report: CrawlReport) -> dict[str, list[tuple[str, str]]]:
    """Reason -> some (address, detail) of what a crawl did not take, from its inbox; empty once that was ingested."""
    from pipeline.inbox import read_inbox

    examples: dict[str, list[tuple[str, str]]] = {}
    with contextlib.suppress(InboxUnusable):
        for record in read_inbox(Path(report.inbox)).records():
            if record.reason is not None and len(some := examples.setdefault(record.reason.value, [])) < _MOST_EXAMPLES:
                some.append((record.image_url, record.detail))
    return examples


def ingest_stage(environment: Environment, *, run_id: int) -> IngestReport:
    """Ingest every inbox that waits, those of killed crawls included.

    Raises:
        WorkspaceUnusable: The disk is full or read-only; what was not taken yet stays in the inbox.
    """
    from pipeline.inbox import pending_inboxes, read_inbox, recover
    from pipeline.ingest.ingest import ingest_inbox

    reporter = current_reporter()
    total = IngestReport()
    store = open_store(environment)
    with open_catalog(environment) as catalog, open_examiner(environment) as examiner:
        for path in pending_inboxes(environment.workspace.inbox):
            try:
                recover(path)
                about = read_inbox(path).about
                if _belongs_to_another(about.get("run_id"), run_id=run_id, catalog=catalog):
                    continue
                report = ingest_inbox(
                    path,
                    catalog=catalog,
                    store=store,
                    run_id=run_id,
                    limits=image_limits(environment),
                    near_distance=environment.values.ingest.near_distance,
                    examiner=examiner,
                    on_progress=lambda done, of: reporter.step("ingest", done, of),
                )
            except InboxUnusable:
                # Another run took it, or began to write to it, since it was listed.
                if path.exists():
                    raise
                continue
            total = add_ingest_reports(total, report)
        # After an upgrade: a large catalog is through with it after some ingests.
        with contextlib.suppress(CatalogBusy):
            catalog.renew_search(
                seconds=_RENEWING_SECONDS,
                on_progress=lambda left: reporter.step("search", 0, None, f"some {left} pictures to index anew"),
            )
    return total


def _belongs_to_another(owner: object, *, run_id: int, catalog: Catalog) -> bool:
    """Whether a run that is still going made this inbox and will ingest it itself."""
    if not isinstance(owner, int) or owner == run_id:
        return False
    with catalog.read() as uow:
        run = uow.runs.get(owner)
    return run is not None and run.status == "running"


@dataclass(frozen=True)
class TakenFiles:
    """What became of files of the user's.

    Attributes:
        item_ids: Of those that were taken, each once.
        refused: Why not, for each of the others.
    """

    item_ids: tuple[int, ...]
    refused: Mapping[Path, str]


def ingest_files_stage(environment: Environment, files: Sequence[Path], *, run_id: int) -> TakenFiles:
    """Take files of the user's into the catalog; one that cannot be taken does not stop the others.

    Raises:
        NotFound, ImageRejected: Where none can be taken, and why.
        WorkspaceUnusable: The disk is full or read-only.
    """
    from pipeline.ingest.single import ingest_file

    reporter = current_reporter()
    taken: list[int] = []
    errors: dict[Path, NotFound | ImageRejected] = {}
    with open_catalog(environment) as catalog, open_examiner(environment) as examiner:
        for done, file in enumerate(files, start=1):
            try:
                item_id = ingest_file(
                    file,
                    catalog=catalog,
                    store=open_store(environment),
                    run_id=run_id,
                    limits=image_limits(environment),
                    near_distance=environment.values.ingest.near_distance,
                    examiner=examiner,
                )
                taken.append(item_id)
            except (NotFound, ImageRejected) as error:
                errors[file] = error
            if len(files) > 1:
                reporter.step("ingest", done, len(files))
    if not taken:
        why, first = "; ".join(map(str, errors.values())), next(iter(errors.values()))
        raise ImageRejected(first.reason, why) if isinstance(first, ImageRejected) else NotFound(why)
    return TakenFiles(tuple(dict.fromkeys(taken)), {file: str(error) for file, error in errors.items()})


def _crawl_id(run_id: int) -> str:
    # Sorts by time, so that inboxes are ingested in the order they were made.
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{run_id}-{secrets.token_hex(3)}"


def add_ingest_reports(first: IngestReport, second: IngestReport) -> IngestReport:
    """The sum of two reports; items met by both are listed once."""
    reasons = dict(first.reasons)
    for reason, count in second.reasons.items():
        reasons[reason] = reasons.get(reason, 0) + count
    return IngestReport(
        fetched=first.fetched + second.fetched,
        accepted=first.accepted + second.accepted,
        exact_duplicates=first.exact_duplicates + second.exact_duplicates,
        near_duplicates=first.near_duplicates + second.near_duplicates,
        known=first.known + second.known,
        rejected=first.rejected + second.rejected,
        reasons=reasons,
        item_ids=tuple(dict.fromkeys((*first.item_ids, *second.item_ids))),
        seconds=first.seconds + second.seconds,
    )


def dream_stage(
    environment: Environment,
    *,
    run_id: int,
    item_ids: Sequence[int],
    look: Look,
    progress_from: int = 0,
    progress_total: int | None = None,
) -> StylizeReport:
    """Dream on these items; what was dreamed before is found and not made again.

    Guides and masks that the look names become items first, so that every dream can be made again.

    Args:
        progress_from: How many pictures of this run earlier batches had.
        progress_total: How many pictures the run has in all; default: these.

    Raises:
        DreamError: A recipe that does not fit the network, or weights that cannot be had.
        KeysUnusable: There are keys to sign with, but they cannot.
    """
    from flows.renderer import look_renderer
    from pipeline.stylize import StylizeProgress, stylize_items

    signer = open_signer(environment)

    for picture in look.pictures:
        ingest_files_stage(environment, [picture], run_id=run_id)
    renderer = look_renderer(environment, look)
    reporter = current_reporter()
    total = progress_total if progress_total is not None else len(item_ids)

    def on_progress(progress: StylizeProgress) -> None:
        # By work done, in pictures: a large one counts for as many small ones as it takes.
        done = progress_from + progress.done * len(item_ids)
        reporter.step("dream", done, total, f"{look.name} on i{progress.item_id}")

    with open_catalog(environment) as catalog:
        return stylize_items(
            list(item_ids),
            renderer=renderer,
            catalog=catalog,
            store=open_store(environment),
            dreams_folder=environment.workspace.dreams,
            run_id=run_id,
            output_format=environment.values.dream.format,
            signer=signer,
            responsibility=environment.values.dream.responsibility,
            on_progress=on_progress,
        )


def plan_stage(environment: Environment, *, item_ids: Sequence[int], look: Look) -> DreamPlan:
    """What dreaming on these items would take, measured on this machine for a moment; nothing is made."""
    from flows.renderer import look_renderer
    from pipeline.stylize import sizes_to_render

    renderer = look_renderer(environment, look)
    with open_catalog(environment) as catalog:
        sizes = sizes_to_render(
            item_ids,
            identity=renderer.identity,
            catalog=catalog,
            responsibility=environment.values.dream.responsibility,
        )
    return renderer.plan(sizes, already=len(item_ids) - len(sizes))


def verify_stage(environment: Environment, *, derivation_ids: Sequence[int]) -> VerifyReport:
    """Recompute every digest of these dreams and of their sources."""
    from pipeline.provenance.verify import verify_derivation

    reporter = current_reporter()
    checks: list[Check] = []
    store, trust = open_store(environment), trust_of(environment)
    with open_catalog(environment) as catalog:
        for index, derivation_id in enumerate(derivation_ids, start=1):
            report = verify_derivation(
                derivation_id,
                catalog=catalog,
                store=store,
                dreams_folder=environment.workspace.dreams,
                trust=trust,
            )
            checks.extend(report.checks)
            reporter.step("verify", index, len(derivation_ids))
    return VerifyReport(tuple(checks))


def items_to_dream(
    environment: Environment,
    *,
    item_ids: Sequence[int],
    limit: int | None,
    license: str | None = None,  # noqa: A002  # as the option
) -> tuple[int, ...]:
    """These items, near duplicates and withdrawn ones left out, the oldest first, at most `limit` of them.

    Where one may not be dreamed on, and a near duplicate of it may, that stands in its place.

    Those that may not be dreamed on, for their licence, do not count towards the limit and stand among the others as
    far as these were looked through, so that the dream stage tells of them. A site may list its pictures in another
    order the next time; ids stay, so that a rerun with a limit chooses the same ones.
    """
    from pipeline.provenance.permission import Permission, parts_of, permission_to_dream, to_dream_on

    words = environment.values.dream.responsibility
    permitted = 0
    with open_catalog(environment) as catalog, catalog.read() as uow:
        found = []
        for item_id in sorted(item_ids):
            if limit is not None and permitted >= limit:
                break
            item = uow.items.get(item_id)
            if item is None:
                raise NotFound(f"there is no item i{item_id}; `dreamcrawl items` lists them")
            if item.near_duplicate_of_id is not None or item.withdrawn_at is not None:
                continue
            if (chosen := to_dream_on(uow, item, words, license=license)) is not None:
                found.append(chosen.id)
                permitted += isinstance(permission_to_dream(parts_of(uow, (chosen,)), words), Permission)
    return tuple(found)

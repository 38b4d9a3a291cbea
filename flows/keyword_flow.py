"""The main job as one Prefect flow: crawl, ingest, dream, verify, report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.asked import Asked
from flows.in_turn import crawl_in_turn
from flows.stages import items_to_dream, recorded_run
from flows.tasks import crawl_task, dream_task, environment_of, ingest_task, publish_report, verify_task

# A task costs some ten milliseconds and a picture seconds: a batch bounds what a crash loses from Prefect's view.
DREAM_BATCH = 16


@flow(name="dreamcrawl-keyword", validate_parameters=True, persist_result=False)
def keyword_flow(
    workspace: str,
    keywords: list[str],
    source: str,
    limit: int,
    preset: str,
    network: str,
    dream_limit: int | None = None,
    only_new: bool = False,
    kind: str = "run",
    collection: str | None = None,
    overrides: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Collect pictures for the keywords, keep each once, dream on them, and verify the dreams.

    Every stage finds what earlier runs did and does the rest, so running it again after any interruption completes
    the job.

    Args:
        workspace: Path of the workspace folder.
        keywords: What to collect; empty takes everything that the source has.
        source: `NAME=ARGUMENT`, or `NAME` for a source that searches by itself; further ones are `options`.
        limit: Most pictures to collect; those of earlier runs count, unless `only_new`.
        preset: Look of the dreams.
        network: Network to dream with.
        dream_limit: Most pictures to dream on; None for all.
        only_new: Whether `limit` counts new pictures only, as a schedule wants.
        kind: What the catalog calls this run: run, demo or schedule.
        collection: Name of the schedule that started it.
        overrides: Settings by dotted name over those of the machine it runs on.
        options: What else the crawl is asked for, as `flows.asked.Asked.options` gives it: exclusions, filters, ...;
            and `responsibility`, the words of `--responsibility`.

    Returns:
        The run's id, its funnel and the ids of its dreams, as JSON values.
    """
    given = dict(options or {})
    words = given.pop("responsibility", None)
    environment = environment_of(workspace, {**(overrides or {}), **({"dream.responsibility": words} if words else {})})
    asked = Asked(tuple(keywords), source, limit).with_options({"only_new": only_new, **given})
    parameters = {"limit": limit, "preset": preset, "network": network, "dream_limit": dream_limit, **asked.options()}
    if environment.values.dream.responsibility:
        parameters["responsibility"] = environment.values.dream.responsibility
    run_name = f"{kind} of {', '.join(keywords) or 'everything'} from {', '.join(asked.sources)}"
    with recorded_run(
        environment,
        kind,
        keywords=keywords,
        source=", ".join(asked.sources),
        parameters=parameters,
        flow_run_id=str(flow_run.id) if flow_run.id else None,
        collection=collection,
    ) as run:
        # What a killed run left in the inbox is taken first, so that the crawl need not fetch it again.
        leftovers = ingest_task(environment, run_id=run.id)
        run.update(run.funnel.with_recovered(leftovers))

        for _, crawled in crawl_in_turn(asked, lambda one: crawl_task(environment, run_id=run.id, asked=one)):
            run.update(run.funnel.with_crawl(crawled))

        ingested = ingest_task(environment, run_id=run.id)
        run.update(run.funnel.with_ingest(ingested))

        item_ids = items_to_dream(environment, item_ids=ingested.item_ids, limit=dream_limit)
        derivation_ids: list[int] = []
        for start, batch in _batches(item_ids):
            dreamed = dream_task(
                environment,
                run_id=run.id,
                item_ids=batch,
                preset=preset,
                network=network,
                progress_from=start,
                progress_total=len(item_ids),
            )
            derivation_ids += dreamed.derivation_ids
            run.update(run.funnel.with_stylize(dreamed))

        if derivation_ids:
            run.update(run.funnel.with_verify(verify_task(environment, derivation_ids=derivation_ids)))
        publish_report(run.funnel, run_id=run.id, title=run_name)
    return {"run_id": run.id, "derivation_ids": derivation_ids, **run.funnel.to_json()}


def _batches(item_ids: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    for start in range(0, len(item_ids), DREAM_BATCH):
        yield start, list(item_ids[start : start + DREAM_BATCH])

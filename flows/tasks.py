"""The stages as Prefect tasks, over ids and paths, never over pictures.

Nothing is cached or persisted by Prefect: the catalog's unique keys are what makes a retry or a rerun change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows import stages
from flows.asked import Asked
from flows.funnel import Funnel
from flows.look import chosen_look
from flows.wiring import Environment, load_environment
from pipeline.errors import CatalogBusy, CatalogUnreachable
from pipeline.records import CrawlReport, IngestReport, StylizeReport, VerifyReport


def _when_it_can_help(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Retry a site or a catalog that did not answer, and a catalog that was locked; nothing else mends itself."""
    from crawler.errors import SiteUnreachable

    try:
        state.result()
    except (CatalogBusy, CatalogUnreachable, SiteUnreachable):
        return True
    except Exception:  # noqa: BLE001 - whatever else it is, trying again does not help
        return False
    return False


def environment_of(workspace: str, overrides: dict[str, Any]) -> Environment:
    """The settings in force where this task runs, for that workspace."""
    return load_environment({**overrides, "workspace": workspace})


@task(name="crawl", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5, retry_condition_fn=_when_it_can_help)
def crawl_task(environment: Environment, *, run_id: int, asked: Asked) -> CrawlReport:
    """Crawl into a sealed inbox."""
    return stages.crawl_stage(environment, run_id=run_id, asked=asked)


@task(name="ingest", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=_when_it_can_help)
def ingest_task(environment: Environment, *, run_id: int) -> IngestReport:
    """Ingest every inbox that waits."""
    return stages.ingest_stage(environment, run_id=run_id)


@task(name="dream", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=_when_it_can_help)
def dream_task(
    environment: Environment,
    *,
    run_id: int,
    item_ids: Sequence[int],
    preset: str,
    network: str,
    progress_from: int,
    progress_total: int,
) -> StylizeReport:
    """Dream on one batch of items."""
    return stages.dream_stage(
        environment,
        run_id=run_id,
        item_ids=item_ids,
        look=chosen_look(environment, preset=preset, network=network),
        progress_from=progress_from,
        progress_total=progress_total,
    )


@task(name="verify", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=_when_it_can_help)
def verify_task(environment: Environment, *, derivation_ids: Sequence[int]) -> VerifyReport:
    """Recompute every digest of the run's dreams."""
    return stages.verify_stage(environment, derivation_ids=derivation_ids)


def publish_report(funnel: Funnel, *, run_id: int, title: str) -> None:
    """The run's funnel as a Prefect artifact."""
    create_markdown_artifact(
        key="dreamcrawl-run", description=title, markdown=f"# {title}\n\nRun r{run_id}\n\n{funnel.markdown()}"
    )

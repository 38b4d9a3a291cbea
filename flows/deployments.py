"""Collections as Prefect deployments, served on time by this process."""

from __future__ import annotations

import os
import zoneinfo
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from flows.prefect_environment import configure_prefect
from flows.prefect_server import prefect_server
from flows.progress import reporting
from flows.wiring import Environment

if TYPE_CHECKING:
    from pipeline.catalog.values import Collection


def cron_error(cron: str, timezone: str) -> str | None:
    """What is wrong with a schedule, in one line; None when nothing is."""
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    if timezone not in zoneinfo.available_timezones():
        return f"unknown time zone {timezone!r}; use a name such as UTC or Europe/Berlin"
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError:
        return f'{cron!r} is not a schedule of five fields (minute hour day month weekday), such as "0 6 * * *"'
    return None


def serve_collections(
    environment: Environment, collections: Sequence[Collection], *, say: Callable[[str], None]
) -> None:
    """Run every collection when it is due, each in a process of its own, until interrupted.

    Raises:
        PrefectUnavailable: Prefect's server did not start.
    """
    prefect = environment.values.prefect
    home = environment.workspace.prefect_home
    configure_prefect(home=home, startup_timeout_seconds=prefect.startup_timeout_seconds)
    with (
        reporting() as reporter,
        prefect_server(
            home=home,
            api_url=prefect.api_url or os.environ.get("PREFECT_API_URL", ""),
            services=True,
            timeout_seconds=prefect.startup_timeout_seconds,
            on_wait=lambda waited: reporter.step("prefect", 0, None, f"its server starts: {waited:.0f} s"),
        ) as api_url,
    ):
        from prefect.deployments.runner import RunnerDeployment
        from prefect.flows import serve
        from prefect.schedules import Cron
        from prefect.types.entrypoint import EntrypointType

        from flows.keyword_flow import keyword_flow

        # Outside of an event loop `to_deployment` gives the deployment itself, not a coroutine for one.
        deployments = [
            keyword_flow.to_deployment(
                name=collection.name,
                schedule=Cron(collection.cron, timezone=collection.timezone),
                parameters={
                    "workspace": str(environment.workspace.root),
                    "keywords": list(collection.keywords),
                    "source": collection.source,
                    "limit": collection.limit,
                    "preset": collection.preset,
                    "network": collection.network,
                    "only_new": True,
                    "kind": "schedule",
                    "collection": collection.name,
                    "options": dict(collection.options or {}),
                },
                # One run of a collection at a time: a second would only find the first one's work half done.
                concurrency_limit=1,
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            for collection in collections
        ]
        for collection in collections:
            say(f"{collection.name}: {collection.cron} ({collection.timezone})")
        say(f"Serving {len(deployments)} collections through Prefect at {api_url}; Ctrl-C ends it")
        serve(
            *cast("list[RunnerDeployment]", deployments), pause_on_shutdown=False, print_starting_message=False, limit=1
        )

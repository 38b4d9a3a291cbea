"""verify and replay over one workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flows.progress import current_reporter
from flows.renderer import DreamRenderer, renderer_for
from flows.wiring import Environment, open_catalog, open_store
from pipeline.errors import NotFound
from pipeline.provenance.replay import ReplayReport, replay_derivation
from pipeline.provenance.verify import verify_all, verify_derivation, verify_file, verify_item
from pipeline.records import VerifyReport


def verify_subject(environment: Environment, subject: str | None) -> VerifyReport:
    """Verify everything, an item (`i12`), a dream (`d3`) or a file.

    Raises:
        NotFound: There is no such item, dream or file, or no catalog to look in.
    """
    file = Path(subject).expanduser() if subject else None
    has_catalog = bool(environment.values.catalog_url) or environment.workspace.exists()
    public_id = re.fullmatch(r"([id])(\d{1,18})", subject) if subject else None
    if file is not None and (file.exists() or not public_id):
        if not file.is_file():
            raise NotFound(f"{subject!r} is neither an id such as i12 or d3, nor a file")
        if not has_catalog:
            return verify_file(file, catalog=None, store=None)
        with open_catalog(environment) as catalog:
            return verify_file(file, catalog=catalog, store=open_store(environment))
    if not has_catalog:
        raise NotFound(f"no catalog in {environment.workspace.root}; choose another folder with --workspace")
    dreams = environment.workspace.dreams
    store = open_store(environment)
    reporter = current_reporter()
    with open_catalog(environment) as catalog:
        if public_id is None:
            return verify_all(
                catalog=catalog,
                store=store,
                dreams_folder=dreams,
                on_progress=lambda done, of: reporter.step("verify", done, of),
            )
        if public_id[1] == "i":
            return verify_item(int(public_id[2]), catalog=catalog, store=store)
        return verify_derivation(int(public_id[2]), catalog=catalog, store=store, dreams_folder=dreams)


def replay_dream(environment: Environment, derivation_id: int, *, write_to: Path | None) -> ReplayReport:
    """Make a dream again from its record and compare.

    Raises:
        NotFound: There is no such dream.
        StoreCorrupt: Its source is not what it was.
    """
    reporter = current_reporter()

    def make_renderer(recipe: dict[str, Any], network: str, max_side: int, profile: str) -> DreamRenderer:
        return renderer_for(environment, recipe, network, preset=None, max_side=max_side, profile=profile)

    with open_catalog(environment) as catalog:
        return replay_derivation(
            derivation_id,
            catalog=catalog,
            store=open_store(environment),
            make_renderer=make_renderer,
            write_to=write_to,
            on_progress=lambda fraction: reporter.step("replay", fraction * 100, 100, "%"),
        )

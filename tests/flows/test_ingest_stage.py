"""Ingest as the commands run it, beside another ingest of the same workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.stages import ingest_stage, recorded_run
from flows.wiring import load_environment
from pipeline.ingest import ingest
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import IngestReport
from tests.support.inboxes import failed, sealed_inbox


def test_an_inbox_that_another_ingest_takes_at_the_last_moment_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = load_environment({"workspace": str(tmp_path / "workspace")})
    environment.workspace.prepare()
    sealed_inbox(environment.workspace.inbox, [(failed("a.png"), None)])
    reports = []

    def after_another(path: Path, **options: Any) -> IngestReport:
        reports.append(ingest_inbox(path, **options))
        return ingest_inbox(path, **options)

    monkeypatch.setattr(ingest, "ingest_inbox", after_another)
    with recorded_run(environment, "ingest") as run:
        assert ingest_stage(environment, run_id=run.id) == IngestReport()

    assert len(reports) == 1
    assert not list(environment.workspace.inbox.glob("*"))

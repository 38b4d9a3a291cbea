"""`items` where a picture was withdrawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from pipeline.catalog.engine import open_catalog
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import Consent
from pipeline.store import Store
from tests.support.inboxes import fetched, refused, sealed_inbox
from tests.support.pictures import scene_file

NO = Consent(False, "ai.txt", "Disallow: *.png", "https://example.org/ai.txt")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    candidates = [
        (fetched("a.png", title="One"), scene_file(1)),
        (fetched("b.png", title="Two"), scene_file(2)),
        (refused("a.png", consent=NO), None),
    ]
    catalog = open_catalog(root / "catalog.sqlite3")
    ingest_inbox(
        sealed_inbox(root / "inbox", candidates),
        catalog=catalog,
        store=Store(root / "store"),
        run_id=None,
        limits=ImageLimits(),
        near_distance=DEFAULT_NEAR_DISTANCE,
    )
    catalog.close()
    return root


@pytest.mark.parametrize(("options", "listed"), [([], ["i2"]), (["--withdrawn"], ["i1"])])
def test_withdrawn_pictures_are_listed_only_when_asked_for(
    workspace: Path, options: list[str], listed: list[str]
) -> None:
    answer = CliRunner().invoke(app, ["items", *options, "--json", "--workspace", str(workspace)])

    assert answer.exit_code == 0, answer.output
    assert [item["public_id"] for item in json.loads(answer.stdout)] == listed


def test_the_list_says_why(workspace: Path) -> None:
    answer = CliRunner().invoke(app, ["items", "--withdrawn", "--workspace", str(workspace)])

    assert "robots.txt says no (https://example.org/a.png)" in answer.output

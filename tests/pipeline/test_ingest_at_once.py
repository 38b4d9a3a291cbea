from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.fingerprints import sha256
from tests.support.inboxes import fetched, sealed_inbox
from tests.support.pictures import file_of, scene

ROOT = Path(__file__).resolve().parents[2]


def _start(root: Path, *inboxes: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.ingesting_process", "take", str(root), *map(str, inboxes)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def _reports(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_processes_that_ingest_the_same_pictures_keep_each_once(tmp_path: Path) -> None:
    scenes = [scene(number, width=200, height=150) for number in range(5)]
    files = [file_of(rgb) for rgb in scenes]
    near = [file_of(rgb, "JPEG", quality=80) for rgb in scenes]
    orders = [files + near, near[::-1] + files, files[::-1] + near[::2]]
    inboxes = [
        sealed_inbox(
            tmp_path / "inbox",
            [(fetched(f"{number}/{n}.png"), data) for n, data in enumerate(order)],
            crawl_id=f"crawl-{number}",
        )
        for number, order in enumerate(orders)
    ]

    reports = [_reports(process) for process in [_start(tmp_path, inbox) for inbox in inboxes]]

    totals: Counter[str] = Counter()
    for (report,) in reports:
        totals.update({name: report[name] for name in ("fetched", "accepted", "exact_duplicates", "near_duplicates")})
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.read() as uow:
        items = {item.id: item for item in uow.items.list(limit=None)}
        counts = uow.counts()
    assert totals == {"fetched": 28, "accepted": 5, "near_duplicates": 5, "exact_duplicates": 18}
    assert {item.blob_sha256 for item in items.values()} == {sha256(data) for data in files + near}
    assert (counts.items, counts.sightings) == (10, 28)
    for item in items.values():
        if item.near_duplicate_of_id is not None:
            assert items[item.near_duplicate_of_id].near_duplicate_of_id is None


@pytest.mark.slow
def test_of_two_processes_that_ingest_one_inbox_the_second_finds_nothing_to_do(tmp_path: Path) -> None:
    candidates = [(fetched(f"{n}.png"), file_of(scene(n, width=300, height=220))) for n in range(20)]
    inbox = sealed_inbox(tmp_path / "inbox", candidates)
    open_catalog(tmp_path / "catalog.sqlite3").close()

    results = [process.communicate(timeout=120)[0] for process in (_start(tmp_path, inbox), _start(tmp_path, inbox))]

    fetched_counts = sorted(json.loads(out)["fetched"] for out in results if out)
    assert fetched_counts in ([0, 20], [20])  # [20]: the second came when the inbox was gone, and said so
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, catalog.read() as uow:
        assert (uow.counts().items, uow.counts().sightings) == (20, 20)
    assert list((tmp_path / "inbox").iterdir()) == []

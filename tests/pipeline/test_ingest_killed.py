from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.catalog.engine import open_catalog
from pipeline.images import ImageLimits
from pipeline.ingest import ingest as ingest_module
from pipeline.ingest.ingest import ingest_inbox
from pipeline.store import Store
from tests.support.inboxes import failed, fetched, known, refused, sealed_inbox
from tests.support.ingesting_process import dump, take
from tests.support.items import representatives_of_run
from tests.support.pictures import file_of, scene, scene_file

SCRIPT = "tests.support.ingesting_process"
ROOT = Path(__file__).resolve().parents[2]


def _candidates() -> list[tuple[Any, bytes | None]]:
    rgb = scene(1, width=240, height=180)
    half = Image.fromarray(rgb).resize((120, 90))
    return [
        (refused("closed.png"), None),
        (fetched("a.png", keyword="mill", title="Mill"), file_of(rgb)),
        (fetched("copy.png"), file_of(rgb)),
        (fetched("same.webp", keyword="mill"), file_of(rgb, "WEBP", lossless=True)),
        (failed("late.png"), None),
        (known("before.png"), None),
        (fetched("half.jpg"), file_of(half, "JPEG", quality=90)),
        (fetched("bad.jpg"), b"<html>"),
        (fetched("b.png", keyword="lake"), scene_file(2)),
    ]


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder with a catalog that knows one picture, and an inbox with something of everything."""
    root = tmp_path / "workshop"
    earlier = sealed_inbox(root / "inbox", [(fetched("before.png"), scene_file(9))], crawl_id="earlier")
    take(root, earlier, run_id=None)
    with open_catalog(root / "catalog.sqlite3") as catalog, catalog.write() as uow:
        uow.runs.start("run", keywords=[], source=None, parameters={}, process="h:1:1", version="1")
    sealed_inbox(root / "inbox", _candidates())
    return root


def _undisturbed(workshop: Path) -> dict[str, Any]:
    root = workshop.with_name("undisturbed")
    shutil.copytree(workshop, root)
    left = dump(root, take(root, root / "inbox" / "crawl-1", run_id=1))
    assert left["inboxes"] == []
    assert left["tables"]["ingest_progress"] == []
    return left


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_an_ingest_killed_at_any_step_and_run_again_ends_as_if_undisturbed(workshop: Path) -> None:
    expected = _as_json(_undisturbed(workshop))

    done = subprocess.run(
        [sys.executable, "-m", SCRIPT, "kill-everywhere", str(workshop)], cwd=ROOT, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(steps) > 20
    assert [step["killed"] for step in steps] == [True] * (len(steps) - 1) + [False]
    for number, step in enumerate(steps):
        after = step["after"]
        assert after["stored"] == expected["stored"], number
        if step["was_there"]:
            assert after == expected, number
            continue
        # Killed after the inbox was deleted: all is done, but progress or a lock may be left, which nobody reads.
        del after["tables"]["ingest_progress"]
        assert after["tables"] == {k: v for k, v in expected["tables"].items() if k != "ingest_progress"}, number


def test_the_report_of_an_undisturbed_ingest_counts_everything(workshop: Path) -> None:
    report = _undisturbed(workshop)["report"]

    counts = {name: report[name] for name in ("fetched", "accepted", "exact_duplicates", "near_duplicates")}
    assert counts == {"fetched": 6, "accepted": 2, "exact_duplicates": 2, "near_duplicates": 1}
    assert (report["known"], report["rejected"], report["reasons"]) == (1, 1, {"not_an_image": 1})
    assert report["item_ids"] == (2, 1, 4)


def test_a_later_run_that_goes_on_lists_what_the_killed_run_had_done(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "MOST_PICTURES", 1)
    with open_catalog(workshop / "catalog.sqlite3") as catalog, catalog.write() as uow:
        second = uow.runs.start("run", keywords=[], source=None, parameters={}, process="h:1:1", version="1")
    inbox = workshop / "inbox" / "crawl-1"
    stop = RuntimeError("as if killed")

    def stop_after_four(done: int, _of: int) -> None:
        if done == 8:
            raise stop

    options = {"store": Store(workshop / "store"), "limits": ImageLimits(), "near_distance": 48}
    with open_catalog(workshop / "catalog.sqlite3") as catalog:
        with pytest.raises(RuntimeError, match="as if"):
            ingest_inbox(inbox, catalog=catalog, run_id=1, on_progress=stop_after_four, **options)
        report = ingest_inbox(inbox, catalog=catalog, run_id=second, **options)

        assert (report.fetched, report.accepted, report.rejected) == (6, 2, 1)
        with catalog.read() as uow:
            assert representatives_of_run(uow, second) == list(report.item_ids) == [2, 1, 4]
            assert {r.reason for r in uow.rejections.of_run(second)} == {"robots", "timeout", "not_an_image"}
            assert {s.run_id for s in uow.sightings.of_item(2)} == {1}


@pytest.mark.slow
def test_an_ingest_killed_at_random_moments_ends_as_if_undisturbed(tmp_path: Path) -> None:
    candidates = [(fetched(f"{n}.png"), scene_file(n % 9, width=400 + n % 2, height=300)) for n in range(16)]
    dumps = {}
    for name in ("undisturbed", "killed"):
        root = tmp_path / name
        inbox = sealed_inbox(root / "inbox", candidates)
        command = [sys.executable, "-m", SCRIPT, "take", str(root), str(inbox)]
        chance = random.Random(5)
        kills = 0
        while name == "killed" and kills < 3:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.9, 1.6))
            process.kill()
            kills += 1
            process.wait()
            if not inbox.exists():
                break
        if inbox.exists():
            dumps[name] = dump(root, take(root, inbox, run_id=None))
    if "killed" in dumps:  # on a fast machine the ingest may have been faster than every kill
        assert dumps["killed"] == dumps["undisturbed"]
    assert dumps["undisturbed"]["report"]["fetched"] == 16

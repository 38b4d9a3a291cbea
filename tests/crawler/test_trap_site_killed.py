"""Crawls of the trap site are killed at random moments, and run again: nothing is lost, and nothing is fetched twice.

DREAMCRAWL_KILLS says how many kills; `make soak` runs many.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipeline.store import Store
from tests.support import plain_sql
from tests.support.killing import kill_tree
from tests.support.trap_site import TrapSite, trap_site

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kill -9")]

# Read here: no test sees the settings of whoever runs it.
KILLS = int(os.environ.get("DREAMCRAWL_KILLS", "5"))
KILLS_PER_STORY = 8
ROOT = Path(__file__).resolve().parents[2]
SEED = 20260301


@dataclass(frozen=True)
class Result:
    """What is left of a collection in the end, without moments and without the number of tries."""

    fetches: dict[str, tuple[Any, ...]]
    pictures: set[str]
    stored: set[str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrapSite]:
    with trap_site(tmp_path_factory.mktemp("trap")) as site:
        yield site


@pytest.mark.timeout(60 + 20 * KILLS)
def test_crawls_killed_at_random_moments_come_to_what_an_undisturbed_one_does(site: TrapSite, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    assert start(site, tmp_path / "undisturbed", "both").wait() == 0
    expected = result_of(tmp_path / "undisturbed")
    assert len(expected.fetches) > 150
    requests = len(site.log.visits)

    kills = stories = 0
    while kills < KILLS:
        root = tmp_path / f"story-{stories}"
        kills += story(site, root, chance, requests=requests, most=min(KILLS - kills, KILLS_PER_STORY))
        stories += 1
        assert result_of(root) == expected, f"story {stories} of seed {SEED}"
    print(f"{kills} kills in {stories} stories")
    assert kills == KILLS
    assert site.violations() == []
    assert site.log.strangers == []
    assert site.connections() <= site.reachable


def story(site: TrapSite, root: Path, chance: random.Random, *, requests: int, most: int) -> int:
    """Kill crawls, each followed by another one, until one comes to its end; gives how many were killed.

    requests: How many an undisturbed crawl sends; one that goes on sends fewer.
    """
    site.log.forget()
    kills = 0
    safe: set[tuple[str, str]] = set()
    while True:
        process = start(site, root, chance.choice(["crawl", "both"]))
        asked_before = len(site.log.visits)
        if kills < most:
            # By requests and then by time, as a moment by the clock alone says little on a busy machine.
            wait_for_requests(site, process, asked_before + chance.randrange(requests * 2 // 3))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.0, 0.5))
        else:
            process.wait()
        if ended := process.poll() is not None:
            assert process.returncode == 0, "it failed by itself"
        else:
            kill_tree(process.pid)
            process.wait()
            kills += 1
        asked = {(visit.host, visit.path) for visit in site.log.visits[asked_before:]}
        assert not asked & safe, "asked for although its bytes were here"
        if ended or chance.random() < 0.5:
            assert start(site, root, "ingest").wait() == 0
        if ended:
            return kills
        safe |= safe_pictures(root)


def wait_for_requests(site: TrapSite, process: subprocess.Popen[bytes], count: int) -> None:
    """Until so many requests have come in all, or the process has ended."""
    while process.poll() is None and len(site.log.visits) < count:
        time.sleep(0.005)


def start(site: TrapSite, root: Path, mode: str) -> subprocess.Popen[bytes]:
    root.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.trap_driver", str(root), site.start, mode, *site.allow],
        cwd=ROOT,
        env={**os.environ, **site.environment},
    )


def safe_pictures(root: Path) -> set[tuple[str, str]]:
    """Host and path of every picture whose bytes are in an inbox or in the catalog, read without the program's help."""
    urls: set[str] = set()
    for path in root.glob("inbox/*/records.jsonl"):
        *lines, _torn = path.read_bytes().split(b"\n")
        records = [json.loads(line) for line in lines]
        urls |= {record["image_url"] for record in records if record["outcome"] == "fetched"}
    with contextlib.suppress(plain_sql.NotThere):
        found = plain_sql.rows(root / "catalog.sqlite3", 'SELECT image_url FROM "fetch" WHERE sha256 IS NOT NULL')
        urls |= {url for (url,) in found}
    return {((parts := urlsplit(url)).netloc.rpartition(":")[0] or parts.netloc, parts.path) for url in urls}


def result_of(root: Path) -> Result:
    fetches = plain_sql.rows(root / "catalog.sqlite3", 'SELECT image_url, state, reason, sha256 FROM "fetch"')
    pictures = plain_sql.rows(root / "catalog.sqlite3", "SELECT pixel_sha256 FROM item")
    result = Result(
        {url: tuple(rest) for url, *rest in fetches},
        {digest for (digest,) in pictures},
        set(Store(root / "store").digests()),
    )
    assert not list(root.glob("inbox/*/inbox.json"))
    return result

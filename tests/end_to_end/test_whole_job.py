"""The whole job by the command line, on the bundled site: as a stranger runs it, and killed in every stage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler.sample_site import RunningSite, build_site, serve_site
from tests.support import plain_sql

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli import main; main()"]
KILL_TIMEOUT = 240.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def dreamcrawl(
    *arguments: str, workspace: Path, api: str | None = None, timeout: float = 400
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "--workspace", str(workspace)],
        cwd=workspace.parent,
        env=environment(api),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def environment(api: str | None) -> dict[str, str]:
    """What the command sees; `api` names a Prefect server, without one it starts its own."""
    return {**os.environ, **({"PREFECT_API_URL": api} if api else {})}


def rows(workspace: Path, query: str) -> list[tuple]:
    return plain_sql.rows(workspace / "catalog.sqlite3", query)


def count(workspace: Path, table: str) -> int:
    """Rows of a table; 0 while there is no catalog yet."""
    try:
        return rows(workspace, f"SELECT count(*) FROM {table}")[0][0]
    except plain_sql.NotThere:
        return 0


def lines_in_the_inbox(workspace: Path) -> int:
    """Records handed over so far and not ingested yet."""
    # A folder may be renamed or removed while it is looked at.
    with contextlib.suppress(OSError):
        return sum(path.read_bytes().count(b"\n") for path in (workspace / "inbox").glob("[!.]*/records.jsonl"))
    return 0


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    folder = tmp_path_factory.mktemp("site")
    build_site(folder)
    with serve_site(folder) as served:
        yield served


@pytest.fixture(scope="module")
def api(_migrated_prefect_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as `prefect server start` gives it, for the tests that start the job many times."""
    home = tmp_path_factory.mktemp("server") / "home"
    shutil.copytree(_migrated_prefect_home, home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}/api"
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
                break
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture
def workspace(tmp_path: Path, prefect_home: Path) -> Path:
    """A workspace whose Prefect has migrated its database already, to spare every test that half minute."""
    root = tmp_path / "workspace"
    root.mkdir()
    shutil.move(str(prefect_home), root / "prefect")
    return root


def job(site: RunningSite) -> list[str]:
    """A small run: few pictures, small dreams, every stage."""
    return ["run", "windmill", "--source", f"website={site.url}", "--dreams", "4", "--max-side", "96", "--json"]


def test_the_demo_does_what_it_promises_and_a_second_one_changes_nothing(workspace: Path):
    first = dreamcrawl("demo", "--json", "--port", "0", "--dreams", "3", workspace=workspace)

    assert first.returncode == 0, first.stderr
    funnel = json.loads(first.stdout)
    assert funnel["accepted"] >= 12
    assert funnel["exact_duplicates"] + funnel["near_duplicates"] >= 3
    assert funnel["rejected"] >= 1
    assert funnel["dreamed"] == funnel["verified"] == 3
    assert funnel["found"] == funnel["known"] + funnel["refused"] + funnel["failed"] + funnel["fetched"]
    kept = funnel["accepted"] + funnel["exact_duplicates"] + funnel["near_duplicates"] + funnel["rejected"]
    assert kept == funnel["fetched"]
    assert {"seconds", "workspace"} <= set(funnel)

    # Made again from its record, on the same machine, to the same pixels.
    replayed = dreamcrawl("replay", "d1", "--json", workspace=workspace)
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["verdict"] == "identical"

    # One flipped byte in the store is found and named.
    digest = rows(workspace, "SELECT blob_sha256 FROM derivation WHERE id = 2")[0][0]
    stored = next(path for path in (workspace / "store").rglob("*") if path.name == digest)
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(content)
    verified = dreamcrawl("verify", workspace=workspace)
    assert verified.returncode == 1
    assert "d2" in verified.stdout
    assert digest in verified.stdout
    assert "d3:" not in verified.stdout


def test_a_second_run_fetches_no_picture_and_makes_nothing(workspace: Path, site: RunningSite, api: str):
    first = dreamcrawl(*job(site), workspace=workspace, api=api)
    assert first.returncode == 0, first.stderr
    before = {table: count(workspace, table) for table in ("item", "sighting", "derivation", "blob", "fetch")}
    files = {**files_below(workspace / "store"), **files_below(workspace / "dreams")}
    requests = len(site.log)

    second = dreamcrawl(*job(site), workspace=workspace, api=api)

    assert second.returncode == 0, second.stderr
    funnel = json.loads(second.stdout)
    assert (funnel["fetched"], funnel["accepted"], funnel["dreamed"]) == (0, 0, 0)
    assert funnel["verified"] == funnel["already_dreamed"] == 4
    assert {table: count(workspace, table) for table in before} == before
    assert {**files_below(workspace / "store"), **files_below(workspace / "dreams")} == files
    asked = [entry.path for entry in site.log[requests:]]
    assert asked
    assert not [path for path in asked if path.rsplit(".", 1)[-1] in {"jpg", "jpeg", "png", "webp", "gif"}]


def _killed_when(reached: Callable[[], bool], *arguments: str, workspace: Path, api: str) -> bool:
    """Start the job, SIGKILL its main process as soon as `reached`; False if it ended first."""
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--workspace", str(workspace)],
        cwd=workspace.parent,
        env=environment(api),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + KILL_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if reached():
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        time.sleep(0.01)
    process.kill()
    process.communicate()
    return False


def test_killed_in_the_middle_of_every_stage_a_rerun_completes_the_job(
    workspace: Path, site: RunningSite, api: str, tmp_path: Path
):
    stages: dict[str, Callable[[], bool]] = {
        "crawl": lambda: lines_in_the_inbox(workspace) >= 4,
        "ingest": lambda: count(workspace, "item") >= 3,
        "dream": lambda: count(workspace, "derivation") >= 1,
        "verify": lambda: count(workspace, "derivation") >= 4,
    }
    for stage, reached in stages.items():
        assert not reached(), f"the stage before {stage} went too far"
        assert _killed_when(reached, *job(site), workspace=workspace, api=api), (
            f"the job ended before it was killed in {stage}"
        )
        time.sleep(1.0)  # children see that their parent is gone

    last = dreamcrawl(*job(site), workspace=workspace, api=api)
    assert last.returncode == 0, last.stderr

    clean = tmp_path / "clean"
    clean.mkdir()
    uninterrupted = dreamcrawl(*job(site), workspace=clean, api=api)
    assert uninterrupted.returncode == 0, uninterrupted.stderr

    # Which of two twins came first may differ; what is kept, and what was dreamed, may not.
    for query in (
        "SELECT pixel_sha256 FROM item ORDER BY 1",
        "SELECT image_url, page_url, blob_sha256 FROM sighting ORDER BY 1, 2, 3",
        "SELECT sha256 FROM blob WHERE sha256 NOT IN (SELECT blob_sha256 FROM derivation) ORDER BY 1",
    ):
        assert [row[0].rsplit("/")[-1] for row in rows(workspace, query)] == [
            row[0].rsplit("/")[-1] for row in rows(clean, query)
        ], query
    assert count(workspace, "derivation") == count(clean, "derivation") == 4
    assert not list((workspace / "inbox").glob("[!.]*"))
    assert not [path for path in workspace.rglob("*") if path.suffix in {".tmp", ".part"}]
    statuses = [status for (status,) in rows(workspace, "SELECT status FROM run ORDER BY id")]
    assert statuses == ["interrupted"] * 4 + ["done"]
    assert dreamcrawl("verify", workspace=workspace).returncode == 0


def test_ctrl_c_in_the_crawl_and_in_a_dream_says_one_line_and_loses_nothing(
    workspace: Path, site: RunningSite, api: str
):
    moments: list[Callable[[], bool]] = [
        lambda: lines_in_the_inbox(workspace) >= 2,
        lambda: count(workspace, "derivation") >= 1,
    ]
    for reached in moments:
        process = subprocess.Popen(
            [*COMMAND, *job(site), "--workspace", str(workspace)],
            cwd=workspace.parent,
            env=environment(api),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + KILL_TIMEOUT
        while not reached() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)

        assert process.returncode == 130, errors
        assert "interrupted" in errors
        assert "Traceback" not in errors

    assert rows(workspace, "SELECT status FROM run ORDER BY id") == [("interrupted",), ("interrupted",)]
    assert dreamcrawl(*job(site), workspace=workspace, api=api).returncode == 0
    assert count(workspace, "derivation") == 4

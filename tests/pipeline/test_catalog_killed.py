"""Two processes at once ingest, stylize, merge, migrate, collect and mend; both are killed, and run again, at random.

In the end nothing is lost, doubled or half, and all is as one undisturbed process leaves it. DREAMCRAWL_KILLS says how
many kills; `make soak` runs many. A story that fails says its seed; with that as DREAMCRAWL_SEED it is the first one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from multiprocessing import connection
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.store import Store
from pipeline.upkeep.gc import collect_garbage
from pipeline.workspace import Workspace
from tests.support.catalog_driver import NOW, Job, clear_away, fsck, start
from tests.support.catalog_results import Result, read_result
from tests.support.catalog_story import REVISIONS, STARS, TAGS, copy_rows, digest_of, make_workspace
from tests.support.killing import kill_tree
from tests.support.postgres import postgres_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9"),
    pytest.mark.sqlite(reason="it has a story of its own on PostgreSQL"),
]

# Read here: no test sees the settings of whoever runs it.
KILLS = int(os.environ.get("DREAMCRAWL_KILLS", "12"))
KILLS_PER_STORY = 6
KILLS_ON_POSTGRESQL = max(3, KILLS // 10)
SEED = int(os.environ.get("DREAMCRAWL_SEED", "20261125"))
# What migrating and finding take depends on the revision, and all of it on what is done already.
LEAST_STEPS = 60
# The oldest beside the newest, as few stories shall begin with both.
FROM = (REVISIONS[0], REVISIONS[-1], *REVISIONS[1:-1])


@dataclass(frozen=True)
class Template:
    """The workspace with which every story begins, what an undisturbed process makes of it, and each stage's steps."""

    root: Path
    expected: Result
    steps: dict[str, int]


@dataclass
class Killed:
    """What the kills of a test hit."""

    count: int = 0
    stages: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("catalog-killed")
    root, undisturbed = folder / "template", folder / "undisturbed"
    make_workspace(root)
    shutil.copytree(root, undisturbed)
    steps = run_to_the_end(Job(undisturbed, str(undisturbed / "catalog.sqlite3"), seed=1))
    result = conclude(undisturbed, str(undisturbed / "catalog.sqlite3"))
    # By hand, from the story: what is there before, and what the inboxes bring.
    assert (len(result.items), sum(result.sightings.values())) == (11 + 12, 11 + 20)
    assert sorted(len(members) for members in result.groups.values()) == [1, 1, 2, 2]
    assert len(result.dreams) == len(result.items)
    assert len(result.copies) == 2 * (len(result.items) - 2)
    return Template(root, result, steps)


@pytest.mark.timeout(120 + 10 * KILLS)
def test_two_that_are_killed_again_and_again_come_to_what_one_does_undisturbed(
    template: Template, tmp_path: Path
) -> None:
    killed = Killed()
    stories = 0
    while killed.count < KILLS:
        seed = SEED + stories
        revision = FROM[seed % len(FROM)]
        root = tmp_path / f"story-{stories}"
        address = str(root / "catalog.sqlite3")
        begin(template, root, address, revision=revision)
        with told(f"story of seed {seed}, from revision {revision}"):
            chance = random.Random(seed)
            Story(root, address, chance, most=KILLS_PER_STORY, steps=template.steps, killed=killed).tell()
            assert_same(conclude(root, address), template.expected)
        shutil.rmtree(root)
        stories += 1
    print(f"{killed.count} kills in {stories} stories: {dict(killed.stages)}")
    if killed.count >= 100:
        assert set(killed.stages) >= set(template.steps)


@pytest.mark.timeout(120 + 20 * KILLS_ON_POSTGRESQL)
def test_the_same_on_postgresql(template: Template, tmp_path: Path) -> None:
    killed = Killed()
    with postgres_server() as server:
        for number in range(math.ceil(KILLS_ON_POSTGRESQL / KILLS_PER_STORY)):
            seed = SEED + number
            revision = FROM[seed % len(FROM)]
            root, address = tmp_path / f"story-{number}", server.new_database()
            begin(template, root, address, revision=revision)
            most = min(KILLS_PER_STORY, KILLS_ON_POSTGRESQL)
            with told(f"story of seed {seed}, from revision {revision}"):
                chance = random.Random(seed)
                Story(root, address, chance, most=most, steps=template.steps, killed=killed).tell()
                assert_same(conclude(root, address), template.expected)
    print(f"{killed.count} kills: {dict(killed.stages)}")
    assert killed.count >= KILLS_ON_POSTGRESQL


def begin(template: Template, root: Path, address: str, *, revision: str) -> None:
    """The template's workspace with its catalog as an older version would have made it."""
    shutil.copytree(template.root, root, ignore=shutil.ignore_patterns("catalog.sqlite3*"))
    copy_rows(template.root / "catalog.sqlite3", address, revision=revision)


class Running:
    """One of the two processes; it is begun anew whenever it was killed."""

    def __init__(
        self, root: Path, address: str, chance: random.Random, *, steps: dict[str, int], to_be_killed: bool
    ) -> None:
        stage = chance.choice(sorted(steps))
        # Often among the first steps: what runs again finds most of it done, and has no more.
        until = math.ceil(math.exp(chance.uniform(0, math.log(max(LEAST_STEPS, steps[stage])))))
        job = Job(
            root, address, chance.getrandbits(32), until if to_be_killed else None, stage,
            by_itself=chance.random() < 0.5, workers=chance.random() < 0.2,
        )  # fmt: skip
        self.process, self.news = start(job)
        self.stage = "start"
        self.said = ""

    def kill(self, *, tree: bool) -> None:
        assert self.process.pid is not None
        if tree:
            kill_tree(self.process.pid)
        else:
            self.process.kill()

    def end(self) -> bool:
        """Whether it was killed."""
        self.process.join(60)
        self.news.close()
        code = self.process.exitcode
        assert code in (0, -9), f"it failed by itself ({code}) in {self.stage}:\n{self.said}"
        return code == -9


class Story:
    """Two processes, killed until so many kills have hit one of them, and then run until both come to their end."""

    def __init__(
        self, root: Path, address: str, chance: random.Random, *, most: int, steps: dict[str, int], killed: Killed
    ) -> None:
        self._root = root
        self._address = address
        self._chance = chance
        self._left = most
        self._steps = steps
        self._killed = killed
        self._running: list[Running] = []

    def tell(self) -> None:
        try:
            self._begin()
            self._begin()
            while self._running:
                for news in connection.wait([one.news for one in self._running]):
                    self._hear(next(each for each in self._running if each.news is news))
        finally:
            for one in self._running:  # where something is wrong
                one.kill(tree=True)

    def _begin(self) -> None:
        self._running.append(
            Running(self._root, self._address, self._chance, steps=self._steps, to_be_killed=self._left > 0)
        )

    def _hear(self, one: Running) -> None:
        try:
            message = one.news.recv()
        except EOFError:
            self._take_leave(one)
            return
        if message == NOW:
            time.sleep(self._chance.uniform(0, 0.03))
            both = self._chance.random() < 0.3
            for victim in self._running if both else [one]:
                victim.kill(tree=self._chance.random() < 0.7)
        elif isinstance(message, tuple):
            one.stage = message[1]
        else:
            one.said = str(message)

    def _take_leave(self, one: Running) -> None:
        self._running.remove(one)
        was_killed = one.end()
        if was_killed:
            self._left -= 1
            self._killed.count += 1
            self._killed.stages[one.stage] += 1
            assert_no_half_file(self._root)
        if was_killed or self._left > 0:
            self._begin()


def run_to_the_end(job: Job) -> dict[str, int]:
    """How many steps each stage of a process takes that nobody disturbs."""
    process, news = start(job)
    said: Any = None
    with contextlib.suppress(EOFError), news:
        while True:
            said = news.recv()
    process.join(60)
    assert process.exitcode == 0, said
    assert isinstance(said, dict)
    return said


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


def assert_same(found: Result, expected: Result) -> None:
    for each in fields(expected):
        if each.compare:
            assert getattr(found, each.name) == getattr(expected, each.name), each.name
    for picture, tags in TAGS.items():
        assert set(found.opinions[digest_of(*picture)][0]) >= set(tags)
    for picture, stars in STARS.items():
        assert found.opinions[digest_of(*picture)][1] == stars


def assert_no_half_file(root: Path) -> None:
    """What lies under its own name is whole, whoever is writing just now."""
    for path in (root / "store").glob("??/??/*"):
        if not path.name.startswith(".tmp-"):
            with contextlib.suppress(FileNotFoundError):  # gc was faster
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def conclude(root: Path, address: str) -> Result:
    """Everything that is wrong fails; and what is there, once what killed processes left is cleared away."""
    workspace = Workspace(root)
    with open_catalog(address) as catalog:
        assert fsck(root, catalog).findings == ()
        clear_away(root, catalog)
        collect_garbage(
            catalog=catalog, store=Store(workspace.store), dreams_folder=workspace.dreams,
            thumbnails=workspace.thumbnails, locks=workspace.locks, withdrawn_until=datetime.now(UTC), delete=True,
        )  # fmt: skip
        assert fsck(root, catalog).findings == ()
    assert_no_half_file(root)
    stored = set(Store(workspace.store).digests())
    for path in workspace.dreams.iterdir():
        if path.suffix == ".png":
            assert hashlib.sha256(path.read_bytes()).hexdigest() in stored
        else:
            assert json.loads(path.read_bytes())["sha256"] in stored
    names = {path.name for path in root.rglob("*")}
    assert not {name for name in names if name.startswith((".tmp-", ".part-"))}
    assert not [path for path in workspace.inbox.iterdir() if not path.name.startswith(".")]
    return read_result(root, address)

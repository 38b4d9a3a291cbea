"""Pictures come in while others look for duplicates, merge groups and decide: no link and no decision is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.duplicates import stars
from tests.support.grouping_process import MIRRORED, Decisions, Name, digest_of, find, ingest, start

SCENES, EDITS = 4, 6
# Of the first scene there are only two: what is like one of two that were said to be the same may stand beside both.
NAMES: list[Name] = [(0, MIRRORED), (0, 3), *((scene, edit) for scene in range(1, SCENES) for edit in range(EDITS))]
DECISIONS: Decisions = {
    ((0, MIRRORED), (0, 3)): "same",
    ((1, 1), (1, 2)): "different",
    ((2, MIRRORED), (2, 4)): "different",
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_groups_are_right_in_the_end_whoever_comes_first(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = chance.sample(NAMES, len(NAMES))
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        ingest(catalog, tmp_path, names[:8])
        with catalog.write() as uow:  # as an older version left them
            for item_id in range(1, 9):
                uow.duplicates.forget(item_id)
                uow.duplicates.link(item_id, None)

    running = [
        start("ingest", tmp_path, names=names[8:], decisions={}, seed=seed),
        start("ingest", tmp_path, names=names[4:], decisions={}, seed=seed + 1),
        start("group", tmp_path, names=names, decisions=DECISIONS, seed=seed + 2),
    ]
    for _process, connection in running:
        connection.send("go")
    for process, connection in running:
        assert connection.poll(120)
        assert connection.recv() == ""
        process.join(20)
        assert process.exitcode == 0

    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        find(catalog, tmp_path)
        stars.merge_all(catalog)
        with catalog.read() as uow:
            items = {item.pixel_sha256: item for item in uow.items.list(limit=None)}
            waiting = [pair for pair in uow.duplicates.pairs(undecided=True) if pair.tier == "near"]
    assert len(items) == len(NAMES)
    named = {items[digest_of(name)].id: name for name in NAMES}
    groups: dict[Name, set[Name]] = {}
    for item in items.values():
        centre = item.near_duplicate_of_id or item.id
        assert items[digest_of(named[centre])].near_duplicate_of_id is None  # a star, and no chain
        groups.setdefault(named[centre], set()).add(named[item.id])
    upright = [{name for name in NAMES if name[0] == scene and name[1] != MIRRORED} for scene in range(SCENES)]
    apart = next(group for group in groups.values() if (1, 2) in group)
    expected = [
        upright[0] | {(0, MIRRORED)},
        upright[1] - apart,
        apart,
        {(1, MIRRORED)},
        upright[2],
        {(2, MIRRORED)},
        upright[3],
        {(3, MIRRORED)},
    ]
    assert (1, 1) not in apart
    assert apart < upright[1]
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, expected))
    for scene in (2, 3):
        assert (scene, 1) in groups  # the one with the most pixels
    # What is near and not linked lies on both sides of the decision.
    assert all((named[pair.first_id] in apart) != (named[pair.second_id] in apart) for pair in waiting)

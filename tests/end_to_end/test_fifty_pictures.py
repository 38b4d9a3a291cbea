"""Fifty pictures through catalog, store and engine, killed twice: each dreamt on once, to the same bytes."""

from __future__ import annotations

import random
import shutil
import signal
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from pipeline.images import decode, encode
from pipeline.provenance.verify import verify_all
from pipeline.workspace import Workspace
from tests.support.dreaming_process import OCTAVES, STEPS, all_items, renderer, start
from tests.support.inverting import Workshop, workshop
from tests.support.tiny_network import noise_image

PICTURES = 50
# The least side that the catalog takes is 64 pixels.
SHAPES = [(64, 64), (72, 96), (96, 72), (64, 80), (80, 64), (65, 91), (96, 96), (73, 67)]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def fill(shop: Workshop, chance: random.Random) -> int:
    """Fifty pictures of mixed sizes, many of them of one shape; gives the item whose file is then cut short."""
    for n in range(PICTURES):
        size = chance.choice(SHAPES) if n % 3 else (chance.randint(64, 96), chance.randint(64, 96))
        shop.add(encode(noise_image(*size, seed=n), format="JPEG" if n % 5 == 2 else "PNG"), title=f"Picture {n}")
    broken = all_items(shop)[17]
    assert shop.item(broken).format == "JPEG"
    path = shop.store.path(shop.item(broken).blob_sha256)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[: len(data) // 2])
    return broken


def dreams_in(shop: Workshop) -> dict[int, bytes]:
    """The pixels of every item's dream, from the file that was stored; one row for each item."""
    with shop.catalog.read() as uow:
        rows = uow.derivations.list(None)
    assert len({row.item_id for row in rows}) == len(rows)
    return {row.item_id: decode(shop.store.read(row.blob_sha256)).rgb.tobytes() for row in rows}


def stored_and_not_recorded(shop: Workshop) -> int:
    """Dreams whose file is there and whose row is not, as when a process is killed between the two."""
    notes = (path.name.split("-") for path in shop.store.notes_folder.glob("*"))
    with shop.catalog.read() as uow:
        return sum(shop.store.has(sha256) and uow.derivations.by_key(key) is None for key, sha256 in notes)


def run_until(process: BaseProcess, messages: Connection, made: int) -> None:
    """Kills a process once it has told of so many dreams."""
    while sum(messages.recv()[:2]) < made:
        pass
    process.kill()
    process.join()


def counts_at_the_end(process: BaseProcess, messages: Connection) -> tuple[int, ...]:
    last: tuple[int, ...] = ()
    with messages, suppress(EOFError):
        while messages.poll(120):
            last = messages.recv()
    process.join(60)
    assert process.exitcode == 0
    return last


def test_fifty_pictures_killed_twice_are_each_dreamt_on_once_and_to_the_same_bytes(tmp_path: Path) -> None:
    chance = random.Random(50)
    folder, undisturbed, log = tmp_path / "killed", tmp_path / "undisturbed", tmp_path / "steps"
    with workshop(folder) as shop:
        broken = fill(shop, chance)
    shutil.copytree(folder, undisturbed)
    with workshop(undisturbed):
        pass  # opened now: where catalogs are on a server, this is when one is copied
    octaves = Workspace(folder).octaves

    # Killed from outside at no special moment, after ten dreams or a few more.
    process, messages = start(folder, log)
    run_until(process, messages, 10 + chance.randint(0, 3))
    with workshop(folder) as shop:
        first = dreams_in(shop)
    # Killed between two steps of the second octave of some picture.
    process, messages = start(folder, log, dies_after=2 * 20)
    process.join(120)
    messages.close()
    assert process.exitcode == -signal.SIGKILL
    with workshop(folder) as shop:
        second = dreams_in(shop)
        found_again = stored_and_not_recorded(shop)
    assert list(octaves.glob("*.npz"))
    # Left alone.
    made, already, failed = counts_at_the_end(*start(folder, log))

    assert 10 <= len(first) < len(second) < PICTURES - 1
    there = len(second) + found_again
    assert (made, already, failed) == (PICTURES - 1 - there, there, 1)
    with workshop(undisturbed) as shop:
        report = shop.stylize(*all_items(shop), renderer=renderer(undisturbed))
        assert (report.made, report.already, len(report.failed)) == (PICTURES - 1, 0, 1)
        expected = dreams_in(shop)
    with workshop(folder) as shop:
        found = dreams_in(shop)
        checked = verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams)
    # Nothing lost, nothing doubled, and not a bit is different.
    assert set(found) == set(expected) == {*range(1, PICTURES + 1)} - {broken}
    assert found == expected
    assert len(list((folder / "dreams").glob("*.png"))) == PICTURES - 1
    # What was on the way is used up, and nothing else is wrong than the file that was cut short.
    assert list(octaves.iterdir()) == []
    assert checked.failed_subjects == (f"i{broken}",)
    # No octave that was kept was computed again; of the last ones, which are not kept, only those of the few dreams
    # that were not yet recorded.
    lines = log.read_text(encoding="utf-8").splitlines()
    kept = Counter(line for line in lines if line.startswith("octave"))
    assert set(kept.values()) == {1}
    assert len(kept) >= (PICTURES - 1) * (OCTAVES - 1) - 1
    again = len(lines) - kept.total() - (PICTURES - 1) * OCTAVES * STEPS
    assert 0 < again <= 2 * (STEPS + 10 * STEPS)


def test_the_picture_that_cannot_be_read_is_reported_and_the_others_are_not_touched(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        for n in range(5):
            shop.add(encode(noise_image(64, 72, seed=n), format="JPEG"))
        path = shop.store.path(shop.item(3).blob_sha256)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:200])

        report = shop.stylize(*all_items(shop), renderer=renderer(tmp_path))

        assert report.made == 4
        ((item_id, line),) = report.failed
        assert item_id == 3
        assert "store" in line

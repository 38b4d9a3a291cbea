from __future__ import annotations

import hashlib
import itertools
import json
import random
import shutil
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from PIL import Image

from pipeline.provenance.verify import verify_all
from tests.support.inverting import Workshop, picture, workshop
from tests.support.stylizing_process import KILLED, start

KILLS = 6
ITEMS = 36


def counts_at_the_end(process: BaseProcess, messages: Connection) -> tuple[int, int, int]:
    """(made, already, failed) of a process that is left to finish."""
    last: tuple[int, ...] = ()
    with messages, suppress(EOFError):
        while messages.poll(60):
            last = messages.recv()
    process.join(60)
    assert process.exitcode == 0
    made, already, failed = last
    return made, already, failed


def assert_nothing_is_half(shop: Workshop) -> int:
    """Every file under its own name is whole and is what its name or row says; how many dreams there are."""
    for path in (shop.root / "store").glob("??/??/*"):
        if not path.name.startswith(".tmp-"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    with shop.catalog.read() as uow:
        rows = {row.file_name: row for row in uow.derivations.list(None)}
    for path in shop.dreams.glob("*.png"):
        with Image.open(path) as image:
            image.load()
        assert hashlib.sha256(path.read_bytes()).hexdigest() == rows[path.name].blob_sha256
    for path in shop.dreams.glob("*.json"):
        assert (
            json.loads(path.read_text(encoding="utf-8"))["manifest"] == rows[path.name.removesuffix(".json")].manifest
        )
    assert all(shop.store.has(row.blob_sha256) for row in rows.values())
    return len(rows)


@pytest.mark.slow
def test_a_run_that_dies_before_any_of_its_file_operations_is_completed_by_the_next(tmp_path: Path) -> None:
    template = tmp_path / "template"
    with workshop(template) as shop:
        shop.add(picture(1))
    stages = set()

    for operation in itertools.count(1):
        folder = tmp_path / str(operation)
        shutil.copytree(template, folder)
        process, messages = start(folder, dies_at=operation)
        messages.send("go")
        process.join(60)
        messages.close()
        with workshop(folder) as shop:
            dreams = assert_nothing_is_half(shop)
            stages.add((dreams, len(list(shop.dreams.glob("*.png"))), len(list(shop.dreams.glob("*.json")))))
            stored = len(list(shop.store.digests())) - 1  # beside the original: with its row, or without
            report = shop.stylize(1)
            assert (report.made, report.already, report.failed) == (1 - stored, stored, ())
            assert verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams).ok
            assert len(list(shop.dreams.glob("*.png"))) == len(list(shop.dreams.glob("*.json"))) == 1
            # Also a file that was stored and whose row was not written is the dream now, and not there beside it.
            assert set(shop.store.digests()) == {shop.item(1).blob_sha256, shop.derivation(1).blob_sha256}
        if process.exitcode == 0:
            break
        assert process.exitcode == KILLED

    # Rows, copies, sidecars: it died before the row, before the copy, before the sidecar, and not at all.
    assert stages == {(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)}


@pytest.mark.slow
def test_a_run_killed_at_any_moment_leaves_no_half_file_and_the_next_run_completes_it(tmp_path: Path) -> None:
    chance = random.Random(20260504)
    counts = [0]
    with workshop(tmp_path) as shop:
        for n in range(ITEMS):
            shop.add(picture(n))

        for _ in range(KILLS):
            process, messages = start(tmp_path)
            with messages:
                messages.send("go")
                # Somewhere in the next picture after one or two new ones.
                until = counts[-1] + chance.randint(0, 2)
                while sum(messages.recv()) < until:
                    pass
                time.sleep(chance.uniform(0.0, 0.03))
                process.kill()
                process.join()
            counts.append(assert_nothing_is_half(shop))
        stored = len(list(shop.store.digests())) - ITEMS  # one killed before its row has left its file
        process, messages = start(tmp_path)
        messages.send("go")
        made, already, failed = counts_at_the_end(process, messages)

        assert counts == sorted(counts)
        assert 0 < counts[-1] < ITEMS
        assert (made, already, failed) == (ITEMS - stored, stored, 0)
        assert len(list(shop.store.digests())) == 2 * ITEMS
        assert assert_nothing_is_half(shop) == ITEMS
        assert verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams).ok
        assert len(list(shop.dreams.glob("*.png"))) == len(list(shop.dreams.glob("*.json"))) == ITEMS


def test_two_runs_at_once_make_each_dream_once(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        for n in range(ITEMS):
            shop.add(picture(n))
        running = [start(tmp_path), start(tmp_path)]

        for _process, messages in running:
            messages.send("go")
        results = [counts_at_the_end(process, messages) for process, messages in running]

        assert sum(made for made, _already, _failed in results) == ITEMS
        assert all(made + already == ITEMS and failed == 0 for made, already, failed in results)
        assert assert_nothing_is_half(shop) == ITEMS
        assert verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams).ok

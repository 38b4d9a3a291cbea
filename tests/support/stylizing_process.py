"""Processes that stylize every item of a workspace and tell how far they are, for tests that kill them."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pipeline.catalog.values import ItemFilter
from tests.support.inverting import InvertingRenderer, Rgb, workshop

KILLED = 137


class SlowRenderer(InvertingRenderer):
    """Takes a moment for each picture, and says in its facts which process made it."""

    def render(self, image: Rgb, on_progress: Callable[[float], None]) -> tuple[Rgb, Mapping[str, Any]]:
        time.sleep(0.005)
        pixels, facts = super().render(image, on_progress)
        return pixels, {**facts, "process": os.getpid()}


def start(folder: Path, *, dies_at: int | None = None) -> tuple[BaseProcess, Connection]:
    """A process that waits for a value, then works; it sends each progress as (made, already), at last the counts.

    dies_at: it ends as if killed just before its n-th file operation in the folder, from 1.
    """
    # A server that has imported everything once starts further processes in no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(folder, theirs, dies_at))
    process.start()
    theirs.close()
    return process, ours


def _die_before(operation: int, folder: Path) -> None:
    """End this process before it opens, renames, deletes or makes its n-th file or folder below `folder`."""
    left = operation

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in {"open", "os.rename", "os.remove", "os.mkdir"} and str(arguments[0]).startswith(str(folder)):
            left -= 1
            if left == 0:
                os._exit(KILLED)

    sys.addaudithook(count)


def _work(folder: Path, parent: Connection, dies_at: int | None) -> None:
    with workshop(folder) as shop:
        with shop.catalog.read() as uow:
            ids = [item.id for item in uow.items.list(ItemFilter(near_duplicates=True), limit=None)]
        parent.recv()
        if dies_at is not None:
            _die_before(dies_at, folder)
        report = shop.stylize(
            *ids,
            renderer=SlowRenderer(),
            on_progress=lambda progress: parent.send((progress.made, progress.already)),
        )
        parent.send((report.made, report.already, len(report.failed)))

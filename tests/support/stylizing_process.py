"""Processes that stylize every item of a workspace and tell how far they are, for tests that kill them."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pipeline.catalog.values import ItemFilter
from tests.support.inverting import InvertingRenderer, Rgb, workshop


class SlowRenderer(InvertingRenderer):
    """Takes a moment for each picture, and says in its facts which process made it."""

    def render(self, image: Rgb, on_progress: Callable[[float], None]) -> tuple[Rgb, Mapping[str, Any]]:
        time.sleep(0.005)
        pixels, facts = super().render(image, on_progress)
        return pixels, {**facts, "process": os.getpid()}


def start(folder: Path) -> tuple[BaseProcess, Connection]:
    """A process that waits for a value, then works; it sends each progress as (made, already), at last the counts."""
    # A server that has imported everything once starts further processes in no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(folder, theirs))
    process.start()
    theirs.close()
    return process, ours


def _work(folder: Path, parent: Connection) -> None:
    with workshop(folder) as shop:
        with shop.catalog.read() as uow:
            ids = [item.id for item in uow.items.list(ItemFilter(near_duplicates=True), limit=None)]
        parent.recv()
        report = shop.stylize(
            *ids,
            renderer=SlowRenderer(),
            on_progress=lambda progress: parent.send((progress.made, progress.already)),
        )
        parent.send((report.made, report.already, len(report.failed)))

"""Processes that dream on every item of a workspace, by the real engine on the tiny network, for tests that kill them.

All is as in a command: catalog, store, the renderer of the flows, octaves kept in the workspace. Only the network is
another one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dream.recipes import ENGINE_VERSION
from flows.renderer import DreamRenderer
from flows.wiring import load_environment
from pipeline.catalog.values import ItemFilter
from pipeline.stylize import RendererIdentity
from tests.support.dreaming import small_recipe
from tests.support.inverting import Workshop, workshop
from tests.support.tiny_network import TINY_CARD, tiny_network

STEPS = 3
OCTAVES = 3


class TinyRenderer(DreamRenderer):
    """The renderer of the flows, on two convolutions."""

    @cached_property
    def network(self) -> Any:
        return tiny_network()


def renderer(folder: Path) -> TinyRenderer:
    recipe = small_recipe(steps=STEPS, normalization="laplacian", clip="octave", colors="balanced")
    identity = RendererIdentity(
        recipe=recipe.to_json(),
        recipe_sha256=recipe.digest(),
        preset=None,
        network=TINY_CARD.name,
        weights_sha256=TINY_CARD.weights_sha256,
        network_license=TINY_CARD.license,
        engine_version=ENGINE_VERSION,
        max_side=512,
        profile="exact",
    )
    return TinyRenderer(recipe, identity, load_environment({"workspace": str(folder)}))


def all_items(shop: Workshop) -> list[int]:
    with shop.catalog.read() as uow:
        return [item.id for item in uow.items.list(ItemFilter(near_duplicates=True), limit=None)]


def start(folder: Path, log: Path, *, dies_after: int | None = None) -> tuple[BaseProcess, Connection]:
    """A process that dreams; it sends each progress as (made, already), at last (made, already, failed).

    log: a file that gets a line for every step, and for every octave once it is kept.
    dies_after: so many octaves are kept; then it kills itself between two steps of the second octave of some picture.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(folder, log, theirs, dies_after))
    process.start()
    theirs.close()
    return process, ours


def _work(folder: Path, log: Path, parent: Connection, dies_after: int | None) -> None:
    with workshop(folder) as shop, log.open("a", encoding="utf-8", buffering=1) as lines:
        dreams = renderer(folder)
        # It settles TensorFlow, before anything else loads it.
        _ = dreams.network
        _watch_steps(lines, dies_after)
        report = shop.stylize(
            *all_items(shop),
            renderer=dreams,
            on_progress=lambda progress: parent.send((progress.made, progress.already)),
        )
        parent.send((report.made, report.already, len(report.failed)))


def _watch_steps(lines: Any, dies_after: int | None) -> None:
    import pytest

    from dream import ascent
    from dream.checkpoints import Checkpoints
    from tests.support.dreaming import set_off

    real = Checkpoints.save
    kept = steps_since = octaves = 0

    def save(self: Checkpoints, key: str, checkpoint: Any, identity: Any) -> None:
        nonlocal kept, steps_since, octaves
        real(self, key, checkpoint, identity)
        kept, steps_since, octaves = kept + 1, 0, len(checkpoint.octaves)
        lines.write(f"octave {octaves} of {key}\n")

    def step(images: Any, _pixels: int, _device: str | None) -> None:
        nonlocal steps_since
        steps_since += 1
        lines.write(f"step on {images.shape[1]} x {images.shape[2]}\n")
        if dies_after is not None and kept >= dies_after and (octaves, steps_since) == (1, 2):
            os.kill(os.getpid(), signal.SIGKILL)

    # Never undone: the process is ours. One call of the compiled loop for each step.
    ascent._SECONDS_BETWEEN_REPORTS = 0.0
    patch = pytest.MonkeyPatch()
    patch.setattr(Checkpoints, "save", save)
    set_off(patch, step)

"""Which variant the profile `fast` runs: tried for a few steps on this machine, and held against the exact one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dream.ascent import compile_ascent
from dream.errors import DreamError
from dream.networks.network import Network
from dream.objectives import Objective, picture_inputs, plane_inputs
from dream.profiles import EXACT, Variant
from dream.recipes import Clip, Colors, ExponentOctaves, Recipe, Start
from dream.regions import Pictures

# A step of another variant must point the way of the exact one: its cosine with it.
LEAST_COSINE = 0.999

_SIDE = 224
_STEPS = 3
_TOGETHER = 4


def choose_variant(recipe: Recipe, objective: Objective, network: Network, device: str | None) -> Variant:
    """The fastest variant whose first step agrees with the exact one's; the exact one where none is faster.

    objective: resolved, see `dream.objectives.resolve`.

    Takes some seconds the first time; the answer is kept for the process. What cannot be tried, as the recipe does not
    fit the probe or the memory is short, is left to the exact variant.
    """
    try:
        return _chosen(_bare(recipe), objective, network, device)
    except (DreamError, tf.errors.OpError, MemoryError):
        return EXACT


def _bare(recipe: Recipe) -> Recipe:
    """The recipe without what makes no difference to which variant is right, so that more recipes share an answer."""
    return recipe.with_changes(
        octaves=ExponentOctaves(),
        steps=1,
        final_steps=None,
        # So large that the direction of a step is seen in float32.
        step_size=0.05,
        clip=Clip.END,
        colors=Colors.FREE,
        strength=1.0,
        seed=0,
        max_side=None,
        start=Start.IMAGE,
        mask=None,
    )


@lru_cache(maxsize=8)
def _chosen(recipe: Recipe, objective: Objective, network: Network, device: str | None) -> Variant:
    return min(_timed(recipe, objective, network, device), key=lambda found: found[1])[0]


def _timed(
    recipe: Recipe, objective: Objective, network: Network, device: str | None
) -> Iterator[tuple[Variant, float]]:
    """The exact variant and each other that agrees with it, with its seconds a picture and step."""
    probe = _probe(network)
    pictures: Pictures = {digest: (probe[0] * 255).astype(np.uint8) for digest in recipe.picture_digests()}
    side = probe.shape[1]
    planes = plane_inputs(objective, side, side, pictures)

    def climb(variant: Variant, steps: int) -> Any:
        ascent = compile_ascent(network, recipe, objective, variant=variant, device=device)
        together = np.repeat(probe, variant.batch, axis=0)
        inputs = picture_inputs(objective, network, together, pictures) | planes
        return ascent.climb(together, np.zeros((steps, 2), np.int32), inputs=inputs).images.numpy()[0]

    def seconds(variant: Variant) -> float:
        started = time.perf_counter()
        climb(variant, _STEPS)
        return (time.perf_counter() - started) / _STEPS / variant.batch

    # The first climb of each compiles it.
    reference = climb(EXACT, 1) - probe[0]
    yield EXACT, seconds(EXACT)
    for variant in _candidates(device):
        try:
            # Written so that what is no number does not agree. An objective that is dead on the probe agrees with none.
            if _cosine(climb(variant, 1) - probe[0], reference) >= LEAST_COSINE:
                yield variant, seconds(variant)
        except (DreamError, tf.errors.OpError):
            # A device that cannot run a variant does without it.
            continue


def _candidates(device: str | None) -> list[Variant]:
    on_gpu = device is not None and "GPU" in device
    candidates = [Variant(batch=_TOGETHER), Variant(dtype="bfloat16", batch=_TOGETHER)]
    if on_gpu:
        candidates += [
            Variant(dtype="float16", batch=_TOGETHER),
            Variant(batch=_TOGETHER, jit=True),
            Variant(dtype="float16", batch=_TOGETHER, jit=True),
        ]
    # Without instructions for it, a processor emulates bfloat16, many times slower than float32.
    return candidates if on_gpu or _has_bfloat16() else candidates[:1]


def _has_bfloat16() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def _probe(network: Network) -> Any:
    """A picture of coloured clouds, float32 0 to 1, shape (1, side, side, 3)."""
    side = max(_SIDE, network.card.smallest_side)
    generator = np.random.Generator(np.random.PCG64(0))
    clouds = np.zeros((side, side, 3))
    for step in (4, 16, 64):
        coarse = generator.random((side // step + 1, side // step + 1, 3))
        clouds += np.kron(coarse, np.ones((step, step, 1)))[:side, :side] * step
    return (clouds / clouds.max())[None].astype(np.float32)


def _cosine(a: Any, b: Any) -> float:
    # A variant may give infinities, whose cosine is no number.
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.sum(np.multiply(a, b, dtype=np.float64))
        return float(product / max(float(np.linalg.norm(a)) * float(np.linalg.norm(b)), 1e-30))


def pixel_steps_per_second(recipe: Recipe, objective: Objective, network: Network) -> float:
    """How many pixels times steps this machine climbs in a second, measured over a few steps of a small picture."""
    probe = _probe(network)
    side = probe.shape[1]
    pictures: Pictures = {digest: (probe[0] * 255).astype(np.uint8) for digest in recipe.picture_digests()}
    inputs = picture_inputs(objective, network, probe, pictures) | plane_inputs(objective, side, side, pictures)
    ascent = compile_ascent(network, recipe.with_changes(mask=None), objective)
    ascent.climb(probe, np.zeros((1, 2), np.int32), inputs=inputs)
    started = time.perf_counter()
    ascent.climb(probe, np.zeros((_STEPS, 2), np.int32), inputs=inputs)
    return float(_STEPS * side * side / (time.perf_counter() - started))

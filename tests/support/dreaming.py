"""What tests of many dreams share: a recipe for the tiny network, requests, and faults set off where the real ones are.

Faults come from the compiled loop, which is where memory runs out and devices stop: `Ascent.climb_steps` is replaced by
one that raises TensorFlow's own errors, and calls the real one otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dream.recipes import ExponentOctaves, LayerTerm, Recipe
from tests.support.tiny_network import noise_image

if TYPE_CHECKING:
    from dream.batches import Outcome, Request

Rgb = np.ndarray


def small_recipe(**changes: Any) -> Recipe:
    """Three octaves of four steps, with jitter and detail given back."""
    values: dict[str, Any] = {
        "objective": (LayerTerm(layer="second"),),
        "octaves": ExponentOctaves(scale=1.5, exponents=(-1, 0, 1)),
        "steps": 4,
        "step_size": 0.02,
        "jitter": 5,
        "reinject_detail": True,
        "seed": 3,
    }
    return Recipe(**(values | changes))


def pictures_of(*sizes: tuple[int, int]) -> dict[str, Rgb]:
    """Pictures of these (height, width), each another, under the keys p0, p1, ..."""
    return {f"p{index}": noise_image(*size, seed=index) for index, size in enumerate(sizes)}


def requests_of(pictures: dict[str, Rgb]) -> list[Request]:
    # Not before TensorFlow is settled, which a process of its own does later than the tests.
    from dream.batches import Request

    return [Request(key, picture.shape[:2], lambda picture=picture: picture) for key, picture in pictures.items()]


def dream_all(pictures: dict[str, Rgb], recipe: Recipe, network: Any, **options: Any) -> dict[str, Outcome]:
    """The outcomes by key; each key just once."""
    from dream.batches import render_all

    outcomes = list(render_all(requests_of(pictures), recipe, network, **options))
    assert len({outcome.key for outcome in outcomes}) == len(outcomes)
    return {outcome.key: outcome for outcome in outcomes}


def dreams_of(outcomes: dict[str, Outcome]) -> dict[str, bytes]:
    """The pixels of those that are dreams."""
    return {key: outcome.image.tobytes() for key, outcome in outcomes.items() if outcome.image is not None}


Fault = Callable[[Any, int, str | None], None]
"""Told the pictures of a call (batch, height, width, 3), the pixels in work at once, and the device; may raise."""


def set_off(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Calls `fault` before every call of the compiled loop."""
    from dream import octave_run

    real = octave_run.compile_ascent

    def compiled(*arguments: Any, **options: Any) -> Any:
        ascent, tiles = real(*arguments, **options), options["tiles"]

        def climb_steps(images: Any, *rest: Any) -> Any:
            pixels = images.shape[1] * images.shape[2] if tiles is None else tiles.tile_pixels
            fault(images, images.shape[0] * pixels, options["device"])
            return ascent.climb_steps(images, *rest)

        return dataclasses.replace(ascent, climb_steps=climb_steps)

    monkeypatch.setattr(octave_run, "compile_ascent", compiled)


def psnr(a: Sequence[float] | Rgb, b: Sequence[float] | Rgb) -> float:
    """Peak signal-to-noise ratio in dB; infinite where the two are equal."""
    error = float(np.mean(np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64))))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))

"""Render: pictures, a recipe and a network in, dreams of the same size and the facts about them out. READ THIS FIRST.

A dream goes through octaves, sizes from small to large (`dream.octaves`). In each, the ascent (`dream.ascent`) takes
some steps that make the objective (`dream.objectives`) larger, and the result is carried to the next size
(`dream.octave_run`). Many pictures are planned, batched and resumed by `dream.batches`, on which this stands.
TensorFlow loads with the first network, not with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dream.recipes import ENGINE_VERSION, Recipe

if TYPE_CHECKING:
    from dream.networks.network import Network

__all__ = ["ENGINE_VERSION", "Rendering", "render"]

RgbArray = NDArray[np.uint8]


@dataclass(frozen=True)
class Rendering:
    """Dreams, and for each what it took to make it.

    Attributes:
        images: uint8, each of the shape of its source.
        facts: JSON values: the octave sizes and steps, the seed and the digest of the shifts drawn from it, the
            objective and its value at the begin and end of each octave, the machine, versions, and seconds.
    """

    images: tuple[RgbArray, ...]
    facts: tuple[dict[str, Any], ...]


def render(
    images: Sequence[RgbArray],
    recipe: Recipe,
    network: Network,
    *,
    pictures: Mapping[str, RgbArray] | None = None,
    profile: str = "exact",
    on_progress: Callable[[float], None] | None = None,
) -> Rendering:
    """Dreams on each of the images.

    images: uint8, shape (height, width, 3), RGB; never changed in place.
    pictures: the guides and masks that the recipe names, by pixel SHA-256.
    profile: `exact`, or `fast` for the same dream up to rounding.
    on_progress: told the part of the work that is done, 0 to 1, about once a second; it may raise to stop.

    No picture depends on the others. The same image, recipe, weights, versions and machine give the same bytes in
    profile `exact`. With a strength of 0, or no steps, the source comes back as it is.

    Raises:
        ImageUnusable: an array is not an RGB picture.
        RecipeError: the network lacks a layer or channel that the recipe names, or a guide or mask is missing.
        DeadObjective: nothing in a picture moves the objective.
        DreamDiverged: the ascent left the finite numbers.
        OutOfMemory: a picture does not fit, even in tiles.
    """
    from dream.batches import Progress, Request, render_all
    from dream.pixels import check_image

    sources = [check_image(image) for image in images]
    requests = [
        Request(str(index), (source.shape[0], source.shape[1]), partial(_same, source))
        for index, source in enumerate(sources)
    ]

    def tell(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(progress.done)

    found: dict[str, tuple[RgbArray, dict[str, Any]]] = {}
    for outcome in render_all(requests, recipe, network, pictures=pictures, profile=profile, on_progress=tell):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.image is not None
        assert outcome.facts is not None
        found[outcome.key] = outcome.image, outcome.facts
    if on_progress is not None:
        on_progress(1.0)
    ordered = [found[request.key] for request in requests]
    return Rendering(tuple(image for image, _ in ordered), tuple(facts for _, facts in ordered))


def _same(image: RgbArray) -> RgbArray:
    return image

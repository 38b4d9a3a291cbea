"""What decides the pixels of a dream, who renders it, and the key under which it is found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.provenance.canonical import json_sha256

RgbImage: TypeAlias = NDArray[np.uint8]
"""Shape (height, width, 3), sRGB."""


@dataclass(frozen=True)
class RendererIdentity:
    """All that decides the pixels besides the source; known before any network is loaded.

    Attributes:
        recipe: The whole recipe as JSON values.
        recipe_sha256: Digest of the recipe's canonical JSON.
        preset: Name of the look that the recipe came from, or None for one's own.
        network: Name of the network.
        weights_sha256: Digest of its weights.
        network_license: SPDX id of the weights' licence.
        engine_version: Version of the renderer; it grows whenever the same inputs give other pixels.
        max_side: The longer side, in pixels, that a source is reduced to before rendering; 1 or more.
        profile: How exactly it is computed: `exact` gives the same bytes again, `fast` the same up to rounding.
        pictures: Pixel SHA-256 of each other picture that the recipe needs: guides and masks.
    """

    recipe: Mapping[str, Any]
    recipe_sha256: str
    preset: str | None
    network: str
    weights_sha256: str
    network_license: str
    engine_version: int
    max_side: int
    profile: str = "exact"
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class RenderRequest:
    """A picture to be dreamed on.

    Attributes:
        key: The derivation key, which also names what the renderer keeps of a dream it has not finished.
        size: (height, width) in pixels of what `load` will give.
        load: Gives the picture; called once, perhaps on another thread, shortly before it is needed.
    """

    key: str
    size: tuple[int, int]
    load: Callable[[], RgbImage]


@dataclass(frozen=True)
class RenderOutcome:
    """What became of a request: pixels of the same shape and dtype and the facts of their making, or an error.

    Attributes:
        facts: JSON values: `REQUIRED_FACTS` of the manifest and more.
        error: Whatever loading or rendering this picture met.
    """

    key: str
    image: RgbImage | None
    facts: Mapping[str, Any] | None
    error: Exception | None = None


@dataclass(frozen=True)
class RenderProgress:
    """How far the renderer has come with all the requests.

    Attributes:
        done: 0-1, of all of them, by the work each takes.
        seconds_left: None until there is a rate to tell it from.
        key: Of the picture at hand.
        fraction: 0-1, of that picture.
    """

    done: float
    seconds_left: float | None
    key: str
    fraction: float


class Renderer(Protocol):
    """Whatever makes dreams of pictures."""

    @property
    def identity(self) -> RendererIdentity:
        """What decides the pixels; asking for it loads nothing."""
        ...

    def render_all(
        self, requests: Sequence[RenderRequest], on_progress: Callable[[RenderProgress], None]
    ) -> Iterator[RenderOutcome]:
        """One outcome for each request, as each is done, in any order; a picture that fails does not stop the rest.

        What is raised concerns all of them: a recipe that cannot be run, weights that cannot be had.
        """
        ...

    def forget(self, key: str) -> None:
        """The dream with this key is recorded: what was kept of it on the way may go."""
        ...


class RendererFactory(Protocol):
    """Makes the renderer that a manifest describes."""

    def __call__(self, recipe: dict[str, Any], network: str, max_side: int, profile: str) -> Renderer:
        """The renderer for a recipe on record, on the network of that name.

        What it raises for an unknown network or a recipe it cannot read goes to the caller of replay unchanged.
        """
        ...


def derivation_key(source_pixel_sha256: str, identity: RendererIdentity) -> str:
    """The digest, in hex, over everything that decides the pixels: equal keys mean the same dream."""
    return key_of(
        source_pixel_sha256=source_pixel_sha256,
        recipe_sha256=identity.recipe_sha256,
        weights_sha256=identity.weights_sha256,
        engine_version=identity.engine_version,
        max_side=identity.max_side,
        profile=identity.profile,
    )


def key_of(
    *,
    source_pixel_sha256: str,
    recipe_sha256: str,
    weights_sha256: str,
    engine_version: int,
    max_side: int,
    profile: str = "exact",
) -> str:
    """The derivation key from its parts: SHA-256 of their canonical JSON object.

    The profile is left out where it is `exact`, which is what all had before there was another.
    """
    parts = {
        "source_pixel_sha256": source_pixel_sha256,
        "recipe_sha256": recipe_sha256,
        "weights_sha256": weights_sha256,
        "engine_version": engine_version,
        "max_side": max_side,
    }
    return json_sha256(parts if profile == "exact" else parts | {"profile": profile})


def render_one(
    renderer: Renderer, image: RgbImage, *, key: str, on_progress: Callable[[float], None]
) -> tuple[RgbImage, Mapping[str, Any]]:
    """The dream of one picture in hand, and the facts of its making.

    Raises:
        Exception: whatever the renderer met.
    """
    request = RenderRequest(key, (image.shape[0], image.shape[1]), lambda: image)
    for outcome in renderer.render_all([request], lambda progress: on_progress(progress.done)):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.image is not None
        assert outcome.facts is not None
        return outcome.image, outcome.facts
    raise RuntimeError("the renderer gave no outcome")

"""What decides the pixels of a dream, who renders it, and the key under which it is found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """

    recipe: Mapping[str, Any]
    recipe_sha256: str
    preset: str | None
    network: str
    weights_sha256: str
    network_license: str
    engine_version: int
    max_side: int


class Renderer(Protocol):
    """Whatever makes a dream of one picture."""

    @property
    def identity(self) -> RendererIdentity:
        """What decides the pixels; asking for it loads nothing."""
        ...

    def render(self, image: RgbImage, on_progress: Callable[[float], None]) -> tuple[RgbImage, Mapping[str, Any]]:
        """The dream of one picture, and the facts of its making.

        image: it is never changed in place.
        on_progress is called now and then with the fraction done, 0-1.
        Returns pixels of the same shape and dtype, and JSON values: `REQUIRED_FACTS` of the manifest and more.
        """
        ...


class RendererFactory(Protocol):
    """Makes the renderer that a manifest describes."""

    def __call__(self, recipe: dict[str, Any], network: str, max_side: int) -> Renderer:
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
    )


def key_of(
    *, source_pixel_sha256: str, recipe_sha256: str, weights_sha256: str, engine_version: int, max_side: int
) -> str:
    """The derivation key from its five parts: SHA-256 of their canonical JSON object."""
    return json_sha256(
        {
            "source_pixel_sha256": source_pixel_sha256,
            "recipe_sha256": recipe_sha256,
            "weights_sha256": weights_sha256,
            "engine_version": engine_version,
            "max_side": max_side,
        }
    )

"""What the pictures of a call have in common, and each of them on its way through the octaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.checkpoints import Checkpoints, OctaveRecord
from dream.networks.network import Network
from dream.objectives import Objective
from dream.pixels import pixel_digest
from dream.profiles import Variant
from dream.recipes import ENGINE_VERSION, Recipe
from dream.regions import Pictures
from dream.runtime import environment

RgbArray = NDArray[np.uint8]
FloatImages = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """What all pictures of a call have in common.

    Attributes:
        objective: resolved, see `dream.objectives.resolve`.
        pictures: guides and masks by their pixel SHA-256.
        device: name of a TensorFlow device, or None for its own choice.
    """

    recipe: Recipe
    network: Network
    objective: Objective
    pictures: Pictures
    variant: Variant
    profile: str
    device: str | None = None
    checkpoints: Checkpoints | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether the recipe leaves every picture as it is."""
        return self.recipe.strength == 0


@dataclass(frozen=True)
class Picture:
    """A source under its key: uint8, shape (height, width, 3)."""

    key: str
    source: RgbArray


@dataclass(frozen=True)
class Dream:
    """What became of one picture: its pixels and facts, or why there are none."""

    image: RgbArray | None
    facts: dict[str, Any]
    error: Exception | None = None


@dataclass
class Climber:
    """A picture on its way through the octaves; nothing of it depends on its company.

    Attributes:
        index: its place in the batch.
        source: the picture as float32, mirrored out where it is smaller than the network can use.
        first: what the ascent begins from.
        image: as the last octave that is done left it.
        tile_side: pixels; less than the recipe's where memory was short.
        octaves: on record, of those that are done.
        seconds: of each of them; 0 where another run did it.
    """

    index: int
    picture: Picture
    identity: Mapping[str, Any]
    source: FloatImages
    first: FloatImages
    image: FloatImages
    tile_side: int
    octaves: list[OctaveRecord] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    error: Exception | None = None


def identity_of(setting: Setting, picture: Picture) -> dict[str, Any]:
    """All that the state between two octaves depends on."""
    return {
        "engine_version": ENGINE_VERSION,
        "recipe": setting.recipe.digest(),
        "source": pixel_digest(picture.source),
        "network": setting.network.card.name,
        "weights": setting.network.card.weights_sha256,
        # Not the variant: the profile `fast` may choose another one the next time, and is as good with both.
        "profile": setting.profile,
        "environment": environment(),
    }

"""Recipe: everything a person can decide about a dream, as plain data with a digest. No TensorFlow here.

Two recipes with the same digest ask for the same picture. The network is not part of a recipe: layer names tie a
recipe to one, and provenance records which weights were used beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from dream.checks import all_there, choice, integer, known_kind, mapping, number, only_known, sequence, shown
from dream.errors import RecipeError
from dream.regions import MaskPicture, Region, region_from_json, region_kind
from dream.terms import (
    ChannelPick,
    ClassTerm,
    GuideTerm,
    LayerTerm,
    NeuronTerm,
    Objective,
    Pick,
    Reduction,
    Term,
    plain,
    term_from_json,
    term_to_json,
)

__all__ = [
    "ENGINE_VERSION",
    "LARGEST_BLUR",
    "RECIPE_VERSION",
    "ChannelPick",
    "ClassTerm",
    "Clip",
    "Colors",
    "ExponentOctaves",
    "GuideTerm",
    "LayerTerm",
    "NeuronTerm",
    "Normalization",
    "Objective",
    "Octaves",
    "Optimizer",
    "Pick",
    "PlannedOctaves",
    "Recipe",
    "Reduction",
    "Resampling",
    "Start",
    "Term",
    "ValueRange",
]

RECIPE_VERSION = 2

ENGINE_VERSION = 2
"""Goes up when the same picture, recipe and weights would give other pixels."""

_MOST_STEPS = 10_000
_MOST_OCTAVES = 32
_LARGEST_SIDE = 65_536
_LARGEST_SEED = 2**63 - 1
_MOST_TERMS = 64
# The strides of the networks are 32, and tiles that begin on another phase see another grid.
_TILE_MULTIPLE = 32

LARGEST_BLUR = 16.0
"""Pixels; the kernels are as wide as this one needs."""


class Start(StrEnum):
    """What the ascent begins from."""

    IMAGE = "image"
    NOISE = "noise"
    BLANK = "blank"


class ValueRange(StrEnum):
    """The scale on which `step_size` counts: pixels from 0 to 1, or from -1 to 1 as InceptionV3 wants them."""

    UNIT = "unit"
    SYMMETRIC = "symmetric"


class Normalization(StrEnum):
    """What the gradient is divided by before a step, for each picture on its own."""

    STD = "std"
    MEAN_ABS = "mean_abs"
    LAPLACIAN = "laplacian"


class Optimizer(StrEnum):
    """How a direction becomes a step; what is remembered begins anew in each octave."""

    STEP = "step"
    MOMENTUM = "momentum"
    ADAM = "adam"


class Clip(StrEnum):
    """When pixels are clipped to their range: after each step, after each octave, or once at the end."""

    STEP = "step"
    OCTAVE = "octave"
    END = "end"


class Resampling(StrEnum):
    """The filter between octaves; always with antialiasing."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS3 = "lanczos3"


class Colors(StrEnum):
    """What becomes of the dream's colours at the end.

    `free` keeps them. `balanced` gives each channel the mean it had in the source, and a spread half way between the
    dream's and the source's. `source` keeps only the dream's lightness and takes the colours of the source.
    `lightness` is the other way round. `histogram` gives each channel the values that it had in the source.
    """

    FREE = "free"
    BALANCED = "balanced"
    SOURCE = "source"
    LIGHTNESS = "lightness"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True)
class ExponentOctaves:
    """Octaves as the published recipes have them: the picture's size times scale to each of some powers.

    Sizes are truncated to whole pixels; the result comes back to the picture's own size at the end.
    """

    scale: float = 1.3
    exponents: tuple[int, ...] = (-2, -1, 0, 1, 2)

    def __post_init__(self) -> None:
        number(self, "scale", where="octaves.", above=1.0, most=4.0)
        exponents = sequence("octaves.exponents", self.exponents)
        if not 1 <= len(exponents) <= _MOST_OCTAVES:
            raise RecipeError(f"octaves.exponents must be 1 to {_MOST_OCTAVES} whole numbers, got {len(exponents)}")
        for exponent in exponents:
            integer("octaves.exponents", exponent, least=-16, most=4)
        object.__setattr__(self, "exponents", exponents)


@dataclass(frozen=True, kw_only=True)
class PlannedOctaves:
    """Octaves planned from the picture's resolution, so that small and large pictures dream alike.

    Attributes:
        smallest_side: short side of the first octave, in pixels, or a little more.
        scale: size of an octave over that of the one before.
        working_side: a picture whose short side is below this is enlarged for dreaming, in pixels.
        max_upscale: never enlarged by more than this.
        most: at most so many octaves, the largest of them, so that a large picture keeps its subject; None for all.
    """

    smallest_side: int
    scale: float
    working_side: int = 1
    max_upscale: float = 1.0
    most: int | None = None

    def __post_init__(self) -> None:
        integer("octaves.smallest_side", self.smallest_side, least=16, most=_LARGEST_SIDE)
        integer("octaves.working_side", self.working_side, least=1, most=_LARGEST_SIDE)
        number(self, "scale", where="octaves.", above=1.0, most=4.0)
        number(self, "max_upscale", where="octaves.", least=1.0, most=8.0)
        if self.most is not None:
            integer("octaves.most", self.most, least=1, most=_MOST_OCTAVES)


Octaves = ExponentOctaves | PlannedOctaves
_OCTAVES: Mapping[str, type[ExponentOctaves | PlannedOctaves]] = {
    "exponents": ExponentOctaves,
    "planned": PlannedOctaves,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a dream, apart from the picture and the network. See docs/recipes.md.

    Attributes:
        objective: what ascends; the terms are added up.
        steps: ascent steps in the first, smallest octave.
        final_steps: in the last, largest octave; those between are interpolated. None for `steps` everywhere.
        step_size: how far a step goes, on the scale `value_range`, where the gradient has unit spread.
        jitter: pixels; before each step the picture is rolled by at most so much each way, and back after it.
        reinject_detail: 0 to 1, the part of the detail that the smaller octaves could not hold which each one is given
            back; true and false mean 1 and 0.
        optimizer: how the normalized gradient becomes a step.
        momentum: part of the last direction that stays in the next one; for the optimizer of that name.
        blur: pixels, the width of the Gaussians that smooth the gradient before it is normalized; 0 for none.
        total_variation: how strongly grain is smoothed away at each step, beside a gradient of unit spread; 0 for none.
        mask: the part of the picture that may change; None for all of it.
        strength: 0 is the source, 1 the whole dream, a blend between.
        tile_side: pixels; an octave of more than (2 * tile_side)^2 pixels is computed tile by tile.
        tile_overlap: pixels that a tile sees of its neighbours.
        max_side: pixels; a larger picture is dreamt on at this size, and the change is enlarged onto it.
    """

    objective: tuple[Term, ...]
    octaves: Octaves
    steps: int
    step_size: float
    final_steps: int | None = None
    value_range: ValueRange = ValueRange.UNIT
    normalization: Normalization = Normalization.STD
    jitter: int = 0
    reinject_detail: float = 0.0
    resampling: Resampling = Resampling.BILINEAR
    clip: Clip = Clip.STEP
    colors: Colors = Colors.FREE
    strength: float = 1.0
    seed: int = 0
    max_side: int | None = None
    start: Start = Start.IMAGE
    optimizer: Optimizer = Optimizer.STEP
    momentum: float = 0.9
    blur: float = 0.0
    total_variation: float = 0.0
    mask: Region | None = None
    tile_side: int = 1024
    tile_overlap: int = 64
    version: int = RECIPE_VERSION

    def __post_init__(self) -> None:
        _check_version(self.version)
        given: object = self.objective
        objective = given.terms if isinstance(given, Objective) else sequence("objective", given, of="terms")
        if not 1 <= len(objective) <= _MOST_TERMS or not all(isinstance(term, Term) for term in objective):
            raise RecipeError(f"objective must hold 1 to {_MOST_TERMS} terms")
        object.__setattr__(self, "objective", objective)
        if not isinstance(self.octaves, ExponentOctaves | PlannedOctaves):
            raise RecipeError(f"octaves must be of kind {' or '.join(_OCTAVES)}")
        integer("steps", self.steps, least=0, most=_MOST_STEPS)
        if self.final_steps is not None:
            integer("final_steps", self.final_steps, least=0, most=_MOST_STEPS)
        if self.max_side is not None:
            integer("max_side", self.max_side, least=16, most=_LARGEST_SIDE)
        integer("jitter", self.jitter, least=0, most=_LARGEST_SIDE)
        integer("seed", self.seed, least=0, most=_LARGEST_SEED)
        number(self, "step_size", above=0.0, most=255.0)
        number(self, "strength", least=0.0, most=1.0)
        number(self, "momentum", least=0.0, most=0.999)
        number(self, "blur", least=0.0, most=LARGEST_BLUR)
        number(self, "total_variation", least=0.0, most=10.0)
        integer("tile_side", self.tile_side, least=_TILE_MULTIPLE, most=_LARGEST_SIDE)
        if self.tile_side % _TILE_MULTIPLE:
            raise RecipeError(f"tile_side must be a multiple of {_TILE_MULTIPLE}, got {self.tile_side}")
        integer("tile_overlap", self.tile_overlap, least=0, most=self.tile_side)
        if self.mask is not None and not isinstance(self.mask, Region):
            raise RecipeError("mask must be a region: a box, an ellipse or a picture")
        if isinstance(self.reinject_detail, bool):
            object.__setattr__(self, "reinject_detail", float(self.reinject_detail))
        number(self, "reinject_detail", least=0.0, most=1.0)
        for name, enum in _CHOICES.items():
            choice(self, name, enum)

    def with_changes(self, **changes: Any) -> Recipe:
        """A copy with some fields replaced, checked like any recipe.

        Raises:
            RecipeError: a field does not exist (with the nearest names) or cannot have this value.
        """
        only_known("recipe field", changes, type(self))
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values, every field present; `Recipe.from_json` gives back an equal recipe."""
        kind = next(kind for kind, cls in _OCTAVES.items() if isinstance(self.octaves, cls))
        data: dict[str, Any] = asdict(self)
        data["objective"] = [term_to_json(term) for term in self.objective]
        data["octaves"] = {"kind": kind, **data["octaves"]}
        if self.mask is not None:
            data["mask"] = {"kind": region_kind(self.mask), **data["mask"]}
        return plain(data)

    def picture_digests(self) -> tuple[str, ...]:
        """The pixel SHA-256 of every other picture that this recipe needs: guides and masks."""
        regions = [self.mask, *(term.region for term in self.objective if isinstance(term, LayerTerm))]
        masks = [region.picture for region in regions if isinstance(region, MaskPicture)]
        guides = [term.picture for term in self.objective if isinstance(term, GuideTerm)]
        return tuple(dict.fromkeys([*guides, *masks]))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe that `data` describes; fields that are not there have their defaults.

        Raises:
            RecipeError: a field is missing, unknown (with the nearest names) or has a value it cannot have.
        """
        values = dict(mapping("a recipe", data))
        if "version" in values:
            # First of all: what else a newer version has is not known here, and no mistake.
            values["version"] = known_version(values["version"])
        only_known("recipe field", values, cls)
        all_there("a recipe", values, ("objective", "octaves", "steps", "step_size"))
        terms = values["objective"]
        if not isinstance(terms, Sequence) or isinstance(terms, str):
            raise RecipeError(f"objective must be a list of terms, got {shown(terms)}")
        values["objective"] = tuple(_term(number, term) for number, term in enumerate(terms, start=1))
        if values.get("mask") is not None:
            values["mask"] = region_from_json(values["mask"], what="mask")
        values["octaves"] = _octaves(values["octaves"])
        return cls(**values)

    def canonical_json(self) -> str:
        """One text for one recipe: keys sorted, no spaces, numbers as the shortest text that reads back the same."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def digest(self) -> str:
        """SHA-256 of `canonical_json()` in UTF-8, lower-case hex."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


_CHOICES: Mapping[str, type[StrEnum]] = {
    "start": Start,
    "value_range": ValueRange,
    "normalization": Normalization,
    "resampling": Resampling,
    "clip": Clip,
    "optimizer": Optimizer,
    "colors": Colors,
}


def known_version(version: object) -> int:
    """The version that a recipe of this one is read as.

    Raises:
        RecipeError: it is newer than this program, or no version.
    """
    # Version 1 had the same fields, and fewer of them.
    if type(version) is int and version == 1:
        return RECIPE_VERSION
    _check_version(version)
    return RECIPE_VERSION


def _check_version(version: object) -> None:
    integer("version", version, least=1)
    if version != RECIPE_VERSION:
        raise RecipeError(
            f"recipe version {shown(version)} is not known here, expected {RECIPE_VERSION}; upgrade dreamcrawl"
        )


def _term(number: int, data: object) -> Term:
    try:
        return term_from_json(data)
    except RecipeError as error:
        error.args = (f"term {number} of the objective: {error}",)
        raise


def _octaves(data: object) -> Octaves:
    values = dict(mapping("octaves", data))
    all_there("octaves", values, ("kind",))
    kind = known_kind("octaves", values.pop("kind"), _OCTAVES)
    cls = _OCTAVES[kind]
    only_known(f"field of {kind} octaves", values, cls)
    if cls is PlannedOctaves:
        all_there("planned octaves", values, ("smallest_side", "scale"))
    if "exponents" in values:
        values["exponents"] = sequence("octaves.exponents", values["exponents"])
    return cls(**values)

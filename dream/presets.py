"""Presets: named looks, each for both networks. Data only, no TensorFlow.

The looks whose names begin with `paper-` follow the published experiments, number by number where they state them;
on efficientnet_lite0 they keep the numbers and take the layers at the same relative depth (the share of all
multiplications done up to there). docs/recipes.md says what is exact and what is mapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dream.errors import RecipeError, UnknownName
from dream.networks.cards import network_card
from dream.recipes import (
    Clip,
    Colors,
    ExponentOctaves,
    LayerTerm,
    Normalization,
    PlannedOctaves,
    Recipe,
    Reduction,
    Resampling,
    ValueRange,
)

DEFAULT_PRESET = "menagerie"


@dataclass(frozen=True)
class _Preset:
    description: str
    by_network: Mapping[str, Recipe]


def preset_names() -> tuple[str, ...]:
    """Every look, the default first."""
    return tuple(_PRESETS)


def preset(name: str, network: str) -> Recipe:
    """The recipe of the look `name` on this network.

    Raises:
        UnknownName: no look or no network has this name; the nearest names are offered.
        RecipeError: the look is not defined for this network.
    """
    found = _find(name)
    card = network_card(network)
    if card.name not in found.by_network:
        raise RecipeError(f"preset {name!r} is made for {', '.join(found.by_network)}, not for {card.name}")
    return found.by_network[card.name]


def describe(name: str) -> str:
    """One or two sentences about a look, for people.

    Raises:
        UnknownName: no look has this name.
    """
    return _find(name).description


def _find(name: str) -> _Preset:
    try:
        return _PRESETS[name]
    except KeyError:
        raise UnknownName("preset", name, _PRESETS) from None


def _terms(
    layers: Mapping[str, float] | Sequence[str],
    *,
    reduction: Reduction = Reduction.MEAN_SQUARE,
    channels: tuple[int, ...] | None = None,
) -> tuple[LayerTerm, ...]:
    weights = layers if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
    return tuple(
        LayerTerm(layer=layer, channels=channels, reduction=reduction, weight=weight)
        for layer, weight in weights.items()
    )


def _own_look(objective: tuple[LayerTerm, ...], *, step_size: float, colors: Colors) -> Recipe:
    """What the looks of this project share.

    Laplacian normalization keeps grain down and shapes large; detail given back between octaves keeps the subject;
    a roll wider than the deepest stride leaves no grid. Small octaves cost little, so they get most of the steps.
    """
    return Recipe(
        objective=objective,
        octaves=PlannedOctaves(smallest_side=128, scale=1.4, working_side=384, max_upscale=2.0),
        steps=20,
        final_steps=10,
        step_size=step_size,
        normalization=Normalization.LAPLACIAN,
        jitter=64,
        reinject_detail=True,
        resampling=Resampling.BICUBIC,
        clip=Clip.OCTAVE,
        colors=colors,
    )


def _paper(objective: tuple[LayerTerm, ...], *, exponents: tuple[int, ...], steps: int) -> Recipe:
    """What the published recipes share: the gradient over its spread, steps of 0.01 on pixels from -1 to 1."""
    return Recipe(
        objective=objective,
        octaves=ExponentOctaves(scale=1.30, exponents=exponents),
        steps=steps,
        step_size=0.01,
        value_range=ValueRange.SYMMETRIC,
        normalization=Normalization.STD,
        clip=Clip.STEP,
    )


def _paper_single(layer: str) -> Recipe:
    objective = _terms([layer], reduction=Reduction.MEAN, channels=(13,))
    return _paper(objective, exponents=(0,), steps=200)


def _paper_multi(*layers: str) -> Recipe:
    return _paper(_terms(layers, reduction=Reduction.MEAN), exponents=(0,), steps=100)


def _paper_octave(*layers: str) -> Recipe:
    return _paper(_terms(layers, reduction=Reduction.MEAN), exponents=(-2, -1, 0, 1, 2), steps=50)


_LITE0 = "efficientnet_lite0"
_INCEPTION = "inception_v3"

_PRESETS: Mapping[str, _Preset] = {
    DEFAULT_PRESET: _Preset(
        "Animals, feathers and eyes grow out of the picture in its own light; the subject stays. The default.",
        {
            _LITE0: _own_look(
                _terms({"block7_expand": 0.5, "block9_expand": 1.0, "block12_expand": 1.0, "block14_expand": 1.0}),
                step_size=0.007,
                colors=Colors.BALANCED,
            ),
            # Weights: the Keras DeepDream example, which gives the deeper and quieter layers more.
            _INCEPTION: _own_look(
                _terms({"mixed4": 1.0, "mixed5": 1.5, "mixed6": 2.0, "mixed7": 2.5}),
                step_size=0.007,
                colors=Colors.BALANCED,
            ),
        },
    ),
    "jewel-box": _Preset(
        "Beads, scales and polished shells in strong colours cover every surface.",
        {
            _LITE0: _own_look(
                _terms(["block7_expand", "block10_expand", "block13_expand"]), step_size=0.007, colors=Colors.FREE
            ),
            _INCEPTION: _own_look(_terms(["mixed2", "mixed4", "mixed7"]), step_size=0.007, colors=Colors.FREE),
        },
    ),
    "carved": _Preset(
        "The forms of a dream in the colours of the source, like a carving of it.",
        {
            _LITE0: _own_look(
                _terms(["block7_expand", "block10_expand", "block13_expand"]), step_size=0.01, colors=Colors.SOURCE
            ),
            _INCEPTION: _own_look(_terms(["mixed2", "mixed4", "mixed7"]), step_size=0.01, colors=Colors.SOURCE),
        },
    ),
    "paper-single": _Preset(
        "The published single-layer, single-channel dream: channel 13 of conv2d_85 of inception_v3; "
        "on efficientnet_lite0 of the layer at the same relative depth.",
        {_LITE0: _paper_single("block15_project"), _INCEPTION: _paper_single("conv2d_85")},
    ),
    "paper-multi": _Preset(
        "The published multi-layer, all-channel dream: mixed3 and mixed5 of inception_v3; "
        "on efficientnet_lite0 the layers at the same relative depths.",
        {
            _LITE0: _paper_multi("block9_expand", "block11_expand"),
            _INCEPTION: _paper_multi("mixed3", "mixed5"),
        },
    ),
    "paper-octave": _Preset(
        "The published optimized dream: the layers of paper-multi over five octaves of 1.30; "
        "on efficientnet_lite0 the layers at the same relative depths.",
        {
            _LITE0: _paper_octave("block9_expand", "block11_expand"),
            _INCEPTION: _paper_octave("mixed3", "mixed5"),
        },
    ),
}

"""Presets: named looks, each for both networks. Data only, no TensorFlow.

The looks whose names begin with `paper-` follow the published experiments, number by number where they state them;
on efficientnet_lite0 they keep the numbers and take the layers at the same relative depth (the share of all
multiplications done up to there). docs/recipes.md says what is exact and what is mapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dream.errors import RecipeError, UnknownName
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
    Start,
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
        UnknownName: no look has this name; the nearest names are offered.
        RecipeError: the look is not made for this network; with what to do about that.
    """
    made = _find(name).by_network
    found = made.get(_SAME_LAYERS.get(network, network))
    if found is None:
        raise RecipeError(
            f"the preset {name!r} is made for {' and '.join(made)}, not for {network}; write a recipe file that names "
            f"layers of {network} (`dreamcrawl networks layers {network}` lists them) and give it with "
            "--preset FILE.toml; see docs/networks.md#dreaming-on-other-networks"
        )
    return found


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


def _menagerie(layers: Mapping[str, float]) -> Recipe:
    """The default: what `paper-octave` is after, for a fifteenth of its operations.

    The objective is that of paper-octave with a little of a deeper layer, for larger forms. Four octaves at most, as
    more of them would lose the subject of a large picture; few steps, most of them where they cost little. Laplacian
    normalization and a blurred gradient keep grain down; a part of the detail that the small octaves lose comes back,
    since all of it would bring the grain of the source along, and none would leave the picture soft.
    benchmarks/dream_quality.py holds it against paper-octave.
    """
    return Recipe(
        objective=_terms(layers, reduction=Reduction.MEAN),
        octaves=PlannedOctaves(smallest_side=96, scale=1.4, most=4),
        steps=18,
        final_steps=8,
        step_size=0.012,
        normalization=Normalization.LAPLACIAN,
        blur=1.2,
        jitter=4,
        reinject_detail=0.2,
        resampling=Resampling.BICUBIC,
        clip=Clip.OCTAVE,
    )


def _faithful(objective: tuple[LayerTerm, ...], *, step_size: float, colors: Colors) -> Recipe:
    """What the looks share that keep every detail of the picture.

    Small pictures are enlarged for dreaming, so that forms are fine against the picture; all detail comes back with
    each octave; a roll wider than the deepest stride leaves no grid.
    """
    return Recipe(
        objective=objective,
        octaves=PlannedOctaves(smallest_side=128, scale=1.4, working_side=384, max_upscale=2.0),
        steps=20,
        final_steps=10,
        step_size=step_size,
        normalization=Normalization.LAPLACIAN,
        jitter=64,
        reinject_detail=1.0,
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


def _keras(layers: Mapping[str, float]) -> Recipe:
    """The Keras example: three octaves upwards to the picture's own, detail given back, nothing clipped on the way.

    It gives the detail back after the steps of an octave, and ends them early where its objective passes 15; here the
    detail is back before them, as in the first published DeepDream, and all steps are taken.
    """
    return Recipe(
        objective=tuple(replace(term, border=2) for term in _terms(layers)),
        octaves=ExponentOctaves(scale=1.4, exponents=(-2, -1, 0)),
        steps=20,
        step_size=0.01,
        value_range=ValueRange.SYMMETRIC,
        normalization=Normalization.MEAN_ABS,
        reinject_detail=1.0,
        clip=Clip.END,
    )


def _caffe(layer: str) -> Recipe:
    """The first published DeepDream: four octaves, a roll of up to 32 pixels, steps of 1.5 levels of 255."""
    return Recipe(
        objective=_terms([layer]),
        octaves=ExponentOctaves(scale=1.4, exponents=(-3, -2, -1, 0)),
        steps=10,
        step_size=1.5 / 255,
        normalization=Normalization.MEAN_ABS,
        jitter=32,
        reinject_detail=1.0,
        clip=Clip.STEP,
    )


def _tf1_laplacian(layer: str) -> Recipe:
    """The Laplacian-pyramid dream of the TensorFlow 1 tutorial: one channel, octaves upwards, steps of one level."""
    return Recipe(
        objective=_terms([layer], reduction=Reduction.MEAN, channels=(139,)),
        octaves=ExponentOctaves(scale=1.4, exponents=(0, 1, 2)),
        steps=10,
        step_size=1 / 255,
        normalization=Normalization.LAPLACIAN,
        # A roll by 0 to 511 pixels, around the edges, is one by -256 to 255.
        jitter=256,
        clip=Clip.END,
    )


def _paper_noise(layer: str) -> Recipe:
    return _paper_single(layer).with_changes(start=Start.NOISE, steps=100)


def _paper_single(layer: str) -> Recipe:
    objective = _terms([layer], reduction=Reduction.MEAN, channels=(13,))
    return _paper(objective, exponents=(0,), steps=200)


def _paper_multi(*layers: str) -> Recipe:
    return _paper(_terms(layers, reduction=Reduction.MEAN), exponents=(0,), steps=100)


def _paper_octave(*layers: str) -> Recipe:
    return _paper(_terms(layers, reduction=Reduction.MEAN), exponents=(-2, -1, 0, 1, 2), steps=50)


_LITE0 = "efficientnet_lite0"
_INCEPTION = "inception_v3"

# Networks whose layers are those of another, so that its looks are theirs.
_SAME_LAYERS = {"inception_v3_top": _INCEPTION}

_PRESETS: Mapping[str, _Preset] = {
    DEFAULT_PRESET: _Preset(
        "Animals, feathers and eyes grow out of every part of the picture, large and small. The default.",
        {
            _LITE0: _menagerie({"block9_expand": 1.0, "block11_expand": 1.0, "block12_expand": 0.2}),
            _INCEPTION: _menagerie({"mixed3": 1.0, "mixed5": 1.0, "mixed6": 0.2}),
        },
    ),
    "reverie": _Preset(
        "A gentler dream in the picture's own light: a few creatures, and the subject stays as it is.",
        {
            _LITE0: _faithful(
                _terms({"block7_expand": 0.5, "block9_expand": 1.0, "block12_expand": 1.0, "block14_expand": 1.0}),
                step_size=0.007,
                colors=Colors.BALANCED,
            ),
            # Weights: the Keras DeepDream example, which gives the deeper and quieter layers more.
            _INCEPTION: _faithful(
                _terms({"mixed4": 1.0, "mixed5": 1.5, "mixed6": 2.0, "mixed7": 2.5}),
                step_size=0.007,
                colors=Colors.BALANCED,
            ),
        },
    ),
    "jewel-box": _Preset(
        "Beads, scales and polished shells in strong colours cover every surface.",
        {
            _LITE0: _faithful(
                _terms(["block7_expand", "block10_expand", "block13_expand"]), step_size=0.007, colors=Colors.FREE
            ),
            _INCEPTION: _faithful(_terms(["mixed2", "mixed4", "mixed7"]), step_size=0.007, colors=Colors.FREE),
        },
    ),
    "carved": _Preset(
        "The forms of a dream in the colours of the source, like a carving of it.",
        {
            _LITE0: _faithful(
                _terms(["block7_expand", "block10_expand", "block13_expand"]), step_size=0.01, colors=Colors.SOURCE
            ),
            _INCEPTION: _faithful(_terms(["mixed2", "mixed4", "mixed7"]), step_size=0.01, colors=Colors.SOURCE),
        },
    ),
    "tapestry": _Preset(
        "Woven ripples, stripes and scales of the early layers, in the very colours of the picture.",
        {
            _LITE0: _faithful(
                _terms(["block4_expand", "block5_expand", "block6_expand"]), step_size=0.008, colors=Colors.HISTOGRAM
            ),
            _INCEPTION: _faithful(_terms(["mixed0", "mixed1", "mixed2"]), step_size=0.008, colors=Colors.HISTOGRAM),
        },
    ),
    "paper-noise": _Preset(
        "What one channel sees in noise: the channel of paper-single, from the published random picture.",
        {_LITE0: _paper_noise("block15_project"), _INCEPTION: _paper_noise("conv2d_85")},
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
    "keras": _Preset(
        "The dream of the Keras example: four layers, the deeper the stronger, three octaves, detail given back.",
        {
            _LITE0: _keras(
                {"block10_expand": 1.0, "block11_expand": 1.5, "block12_expand": 2.0, "block14_expand": 2.5}
            ),
            _INCEPTION: _keras({"mixed4": 1.0, "mixed5": 1.5, "mixed6": 2.0, "mixed7": 2.5}),
        },
    ),
    "caffe": _Preset(
        "The first published DeepDream: one layer, four octaves, detail given back.",
        {_LITE0: _caffe("block12_expand"), _INCEPTION: _caffe("mixed6")},
    ),
    "tf1-laplacian": _Preset(
        "The Laplacian-pyramid dream of the TensorFlow 1 tutorial: one channel before its activation, octaves upwards.",
        {_LITE0: _tf1_laplacian("block12_project"), _INCEPTION: _tf1_laplacian("conv2d_60")},
    ),
}

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream import features
from dream.errors import RecipeError, UnknownName
from dream.networks.keras_body import keras_network
from dream.objectives import (
    check_objective,
    chosen_channels,
    input_specs,
    layers_needed,
    objective_values,
    picture_inputs,
    plane_inputs,
    resolve,
    smallest_side,
)
from dream.pixels import pixel_digest
from dream.regions import Box, Ellipse, MaskPicture
from dream.term_values import without_border
from dream.terms import (
    ChannelPick,
    ClassTerm,
    GuideTerm,
    LayerTerm,
    Match,
    Measure,
    NeuronTerm,
    Pick,
    Reduction,
    Term,
    channel,
    layer,
    neuron,
)
from dream.transforms import roll
from tests.support.tiny_network import TINY_CARD, noise_image, numpy_activations, tiny_network, tiny_weights

Array = np.ndarray
SIDE = 16
GUIDE = noise_image(20, 12, seed=9)
PICTURES = {pixel_digest(GUIDE): GUIDE}
CLASSES = np.random.Generator(np.random.PCG64(3)).normal(0, 2.0, (4, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


@pytest.fixture(scope="module")
def classifying() -> Any:
    """The tiny network with the mean of `second` over all places and five class scores from it."""
    import keras

    picture = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, name="first")(picture)
    x = keras.layers.ReLU(name="first_relu")(x)
    x = keras.layers.Conv2D(4, 3, name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(picture, keras.layers.Dense(5, name="scores")(x))
    model.set_weights([*tiny_weights(), CLASSES, np.zeros(5, np.float32)])
    return keras_network(replace(TINY_CARD, classifier="scores"), model)


def image(seed: int = 0, height: int = SIDE, width: int = SIDE) -> Array:
    return noise_image(height, width, seed)[None].astype(np.float32) / 255


@lru_cache(maxsize=64)
def compiled(network: Any, objective: tuple[Term, ...]) -> Any:
    activations = network.activations(layers_needed(objective, network))
    pictures = tf.TensorSpec([None, None, None, 3])
    signature = [pictures, input_specs(objective, network), tf.TensorSpec([2], tf.int32)]

    @tf.function(autograph=False, input_signature=signature)
    def run(images: Any, inputs: Any, shift: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            rolled = {name: roll(given, shift) if given.shape.rank == 4 else given for name, given in inputs.items()}
            values = objective_values(objective, activations(roll(images, shift)), rolled, network.card.classifier)
        return values, tape.gradient(values, images)

    return run


def evaluated(
    network: Any,
    objective: tuple[Term, ...],
    images: Array,
    *,
    source: Array | None = None,
    shift: tuple[int, int] = (0, 0),
) -> tuple[Array, Array]:
    """Values and gradient, as a step of the ascent has them."""
    inputs = picture_inputs(objective, network, images if source is None else source, PICTURES)
    planes = plane_inputs(objective, *images.shape[1:3], PICTURES)
    values, gradient = compiled(network, objective)(images, inputs | planes, np.array(shift, np.int32))
    return values.numpy(), gradient.numpy()


def value(network: Any, *objective: Term, images: Array | None = None) -> float:
    return float(evaluated(network, objective, image() if images is None else images)[0][0])


# Each kind of term beside the same thing written down for one picture in float64, from the activations that plain
# loops compute: name -> (terms, function of the activations).
Reference = Callable[[dict[str, Array]], float]


def _guide_features() -> Array:
    return numpy_activations(GUIDE / 255.0, tiny_weights())["second"]


def _best_matches(x: Array) -> float:
    y = _guide_features().reshape(-1, 4)
    y = y / np.sqrt(np.mean(np.sum(y**2, axis=1)))
    return float(np.mean([max(cell @ other for other in y) for cell in x["second"].reshape(-1, 4)]))


def _as_in_guide(x: Array) -> float:
    weights = _guide_features().mean(axis=(0, 1))
    return float(x["second"].mean(axis=(0, 1)) @ weights / np.abs(weights).sum())


def _softmax(x: Array) -> Array:
    scores = np.exp(x["second"].mean(axis=(0, 1)) @ CLASSES)
    return scores / scores.sum()


def _ranked() -> list[int]:
    start = numpy_activations(image()[0], tiny_weights())["first_relu"]
    return [int(c) for c in np.argsort((start**2).mean(axis=(0, 1)))]


KINDS: dict[str, tuple[tuple[Term, ...], Reference]] = {
    "mean": ((LayerTerm(layer="second", reduction="mean"),), lambda x: x["second"].mean()),
    "mean square": ((LayerTerm(layer="first_relu"),), lambda x: (x["first_relu"] ** 2).mean()),
    "channels": (
        (LayerTerm(layer="first", channels=(4, 1), reduction="mean"),),
        lambda x: x["first"][..., [1, 4]].mean(),
    ),
    "border": ((LayerTerm(layer="first", border=2),), lambda x: (x["first"][2:-2, 2:-2] ** 2).mean()),
    "strongest": (
        (LayerTerm(layer="first_relu", channels=ChannelPick(pick=Pick.STRONGEST, count=2)),),
        lambda x: (x["first_relu"][..., _ranked()[-2:]] ** 2).mean(),
    ),
    "weakest": (
        (LayerTerm(layer="first_relu", channels=ChannelPick(pick=Pick.WEAKEST, count=3)),),
        lambda x: (x["first_relu"][..., _ranked()[:3]] ** 2).mean(),
    ),
    "neuron": ((NeuronTerm(layer="second", channel=2, row=0.5, column=0.1),), lambda x: x["second"][2, 0, 2]),
    "guide, dot": ((GuideTerm(layer="second", picture=pixel_digest(GUIDE)),), _best_matches),
    "guide, channels": (
        (GuideTerm(layer="second", picture=pixel_digest(GUIDE), match=Match.CHANNELS),),
        _as_in_guide,
    ),
    "class score": ((ClassTerm(index=3),), lambda x: x["second"].mean(axis=(0, 1)) @ CLASSES[:, 3]),
    "class probability": ((ClassTerm(index=1, measure=Measure.PROBABILITY),), lambda x: _softmax(x)[1]),
    "sum": (
        (*(layer("first_relu", weight=0.3) + -2 * channel("second", 1) + neuron("first", 0)).terms,),
        lambda x: 0.3 * (x["first_relu"] ** 2).mean() - 2 * x["second"][..., 1].mean() + x["first"][3, 3, 0],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_the_value_its_formula_gives(classifying: Any, kind: str):
    objective, reference = KINDS[kind]

    values, _ = evaluated(classifying, objective, image())

    assert values[0] == pytest.approx(reference(numpy_activations(image()[0], tiny_weights())), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_each_kind_is_the_slope_of_its_formula(classifying: Any, kind: str):
    objective, reference = KINDS[kind]
    picture = image()
    generator = np.random.Generator(np.random.PCG64(1))

    _, gradient = evaluated(classifying, objective, picture)

    for _ in range(6):
        # In float64 a step this small stays on one side of nearly every kink of a ReLU or a maximum.
        way, small = generator.normal(size=picture.shape[1:]), 1e-7
        ahead, back = (
            reference(numpy_activations(picture[0] + sign * small * way, tiny_weights())) for sign in (1, -1)
        )
        expected = (ahead - back) / (2 * small)
        assert np.sum(gradient[0] * way) == pytest.approx(expected, rel=2e-3, abs=2e-5 * float(np.abs(gradient).sum()))
    assert gradient.any()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_rises_step_by_step(classifying: Any, kind: str):
    objective, _ = KINDS[kind]
    start = picture = image()
    values = []

    for _ in range(4):
        value, gradient = evaluated(classifying, objective, picture, source=start)
        values.append(float(value[0]))
        picture = picture + 0.0005 * gradient / gradient.std()

    assert all(after > before for before, after in itertools.pairwise(values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_and_gradient_depend_on_no_other_picture_of_the_batch(classifying: Any, kind: str):
    objective, _ = KINDS[kind]

    one = evaluated(classifying, objective, np.concatenate([image(0), image(1), image(2)]))
    other = evaluated(classifying, objective, np.concatenate([image(0), np.ones_like(image()), image(3) * 50]))

    for found, again in zip(one, other, strict=True):
        np.testing.assert_array_equal(found[0], again[0])


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_goes_through_a_scatter(classifying: Any, kind: str):
    objective, _ = KINDS[kind]
    activations = {
        "first": [None, None, None, 6],
        "first_relu": [None, None, None, 6],
        "second": [None, None, None, 4],
        "scores": [None, 5],
    }

    @tf.function(autograph=False)
    def run(inputs: Any, given: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(given)
            values = objective_values(objective, given, inputs, "scores")
        return tape.gradient(values, given)

    shapes = {name: tf.TensorSpec(activations[name]) for name in layers_needed(objective, classifying)}
    graph = run.get_concrete_function(input_specs(objective, classifying), shapes).graph

    assert not [op.type for op in graph.get_operations() if "Scatter" in op.type or "Segment" in op.type]


@pytest.mark.parametrize("pick", [Pick.STRONGEST, Pick.WEAKEST])
def test_channels_are_picked_for_each_picture_on_its_own_and_recorded(tiny: Any, pick: Pick):
    objective = (
        LayerTerm(layer="second"),
        LayerTerm(layer="first", channels=ChannelPick(pick=pick, count=2), reduction=Reduction.MEAN),
    )
    bright, dark = np.ones((1, 16, 20, 3), np.float32), np.zeros((1, 16, 20, 3), np.float32)

    inputs = picture_inputs(objective, tiny, np.concatenate([bright, dark]), {})

    expected = []
    for picture in (bright, dark):
        means = numpy_activations(picture[0], tiny_weights())["first"].mean(axis=(0, 1))
        order = np.argsort(means)
        expected.append(sorted(int(c) for c in (order[-2:] if pick is Pick.STRONGEST else order[:2])))
    assert expected[0] != expected[1]
    assert chosen_channels(objective, inputs) == {"1/channels": expected}
    np.testing.assert_array_equal(inputs["1/channels"].sum(axis=1), 1)


def test_channels_are_picked_by_what_the_region_shows(tiny: Any):
    picture = image(height=32, width=32)
    picture[:, :, 16:] = 0.0
    right = Box(left=0.6)
    pick = ChannelPick(pick=Pick.STRONGEST, count=1)
    objective = (LayerTerm(layer="first", channels=pick, reduction=Reduction.MEAN, region=right),)

    inputs = picture_inputs(objective, tiny, picture, {})

    black = numpy_activations(np.zeros((8, 8, 3)), tiny_weights())["first"][0, 0]
    assert chosen_channels(objective, inputs) == {"0/channels": [[int(black.argmax())]]}


def test_what_is_mirrored_out_does_not_move_a_region_or_a_place(tiny: Any):
    picture = image(height=32, width=32)
    picture[:, :, 16:] = 0.0
    mirrored = np.concatenate([picture, picture[:, :, ::-1]], axis=2)
    pick = ChannelPick(pick=Pick.STRONGEST, count=1)
    objective = (
        LayerTerm(layer="first", channels=pick, reduction=Reduction.MEAN, region=Box(left=0.6)),
        NeuronTerm(layer="second", channel=0, row=0.5, column=1.0),
    )

    inputs = picture_inputs(objective, tiny, mirrored, {}, shown=(1.0, 0.5))
    planes = plane_inputs(objective, 32, 64, {}, shown=(1.0, 0.5))

    black = numpy_activations(np.zeros((8, 8, 3)), tiny_weights())["first"][0, 0]
    assert chosen_channels(objective, inputs) == {"0/channels": [[int(black.argmax())]]}
    assert np.argwhere(planes["1/place"][0, ..., 0]).tolist() == [[16, 31]]
    weights = planes["0/region"][0, ..., 0]
    np.testing.assert_array_equal(weights, weights[:, ::-1])
    assert not weights[:, :19].any()
    assert weights.mean() == pytest.approx(1)


def test_what_a_look_shows_of_a_long_thin_picture_is_known(tiny: Any):
    # At 384 pixels of length, 96 rows are 4, which are mirrored out to the 8 that the network needs.
    assert features.shown_to_look(tiny, 96, 9216, (1.0, 1.0)) == (0.5, 1.0)
    assert features.shown_to_look(tiny, 96, 9216, (0.25, 0.5)) == (0.125, 0.5)
    assert features.shown_to_look(tiny, 300, 200, (1.0, 1.0)) == (1.0, 1.0)


def test_random_channels_are_those_of_the_smallest_words_in_a_stream_of_their_own(tiny: Any):
    picks = tuple(LayerTerm(layer="first", channels=ChannelPick(pick=Pick.RANDOM, count=3)) for _ in range(2))

    resolved = resolve(picks, tiny, seed=11)

    words = np.random.PCG64(11).jumped(2).random_raw(12)
    for term, block in zip(resolved, (words[:6], words[6:]), strict=True):
        assert isinstance(term, LayerTerm)
        assert term.channels == tuple(sorted(sorted(range(6), key=lambda c, block=block: block[c])[:3]))
    assert resolve(picks, tiny, seed=11) == resolved
    assert len({resolve(picks, tiny, seed=seed) for seed in range(20)}) > 10


def test_what_depends_on_the_picture_is_left_to_it(tiny: Any):
    objective = (
        LayerTerm(layer="first", channels=ChannelPick(pick=Pick.STRONGEST, count=2)),
        NeuronTerm(layer="second", channel=0),
    )

    assert resolve(objective, tiny, seed=1) == objective


def test_a_region_weighs_the_places_by_how_far_they_lie_in_it(tiny: Any):
    # 17 pixels over 8 cells are 2.125 to a cell. Of the ninth pixel half lies in the left half, and half of that is
    # seen by the fourth cell, half by the fifth.
    picture = image(height=17, width=17)
    term = LayerTerm(layer="first", reduction=Reduction.MEAN, region=Box(right=0.5))

    found = value(tiny, term, images=picture)

    first = numpy_activations(picture[0], tiny_weights())["first"]
    weights = np.array([2.125, 2.125, 2.125, 1.875, 0.25, 0, 0, 0])
    expected = np.average(first.mean(axis=(0, 2)), weights=weights)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_region_and_its_neighbourhood_roll_with_the_picture(tiny: Any):
    # On a black picture with one bright spot, only a region that moves with the spot goes on seeing it.
    picture = np.zeros((1, 40, 40, 3), np.float32)
    picture[:, 8:12, 8:12] = 1.0
    spot = Box(top=0.1, left=0.1, bottom=0.4, right=0.4)
    term = LayerTerm(layer="first_relu", region=spot)

    still, _ = evaluated(tiny, (term,), picture)
    moved, gradient = evaluated(tiny, (term,), picture, shift=(16, 10))

    np.testing.assert_allclose(moved, still, rtol=1e-3)
    outside = np.abs(gradient[0]).sum(axis=-1)
    outside[2:18, 2:18] = 0
    assert not outside.any()


def test_a_neuron_follows_the_place_that_it_was_given(tiny: Any):
    # The map has 19 cells over 40 pixels; the neuron's gradient is its 7 x 7 pixels, near the place in the picture.
    term = NeuronTerm(layer="second", channel=1, row=0.25, column=0.75)

    for shift in ((0, 0), (12, -6), (-4, 8)):
        _, gradient = evaluated(tiny, (term,), image(height=40, width=40), shift=shift)
        rows, columns = np.nonzero(np.abs(gradient[0]).sum(axis=-1))
        assert np.ptp(rows) <= 6
        assert np.ptp(columns) <= 6
        assert abs(rows.mean() - 10) <= 4
        assert abs(columns.mean() - 30) <= 4


@pytest.mark.parametrize(
    "term",
    [
        LayerTerm(layer="second", region=Box(left=0.3)),
        LayerTerm(layer="second", channels=(0, 3), region=Ellipse(height=0.4, width=0.3)),
        NeuronTerm(layer="second", channel=2, row=0.6, column=0.2),
    ],
)
def test_the_mean_over_equal_tiles_is_the_value_of_the_whole(term: Term):
    activation = np.random.Generator(np.random.PCG64(2)).normal(size=(2, 8, 12, 4)).astype(np.float32)
    ((name, plane),) = plane_inputs((term,), 32, 48, {}).items()

    def values(part: Array, plane: Array) -> Array:
        return objective_values((term,), {"second": tf.constant(part)}, {name: tf.constant(plane)}, None).numpy()

    whole = values(activation, plane)
    tiles = [
        values(activation[:, row : row + 4, column : column + 4], plane[:, 4 * row :, 4 * column :][:, :16, :16])
        for row in (0, 4)
        for column in (0, 4, 8)
    ]

    np.testing.assert_allclose(np.mean(tiles, axis=0), whole, rtol=1e-4)


def test_a_border_wider_than_the_map_leaves_its_middle(tiny: Any):
    found = value(tiny, LayerTerm(layer="second", border=50, reduction=Reduction.MEAN))

    second = numpy_activations(image()[0], tiny_weights())["second"]
    assert second.shape[:2] == (5, 5)
    assert found == pytest.approx(second[2, 2].mean(), rel=1e-4)
    assert smallest_side((LayerTerm(layer="second", border=3),), tiny) == TINY_CARD.smallest_side + 2 * 3 * 2


@pytest.mark.parametrize(("side", "border", "left"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 1), (5, 1, 3), (6, 0, 6)])
def test_a_border_never_takes_a_whole_map(side: int, border: int, left: int):
    values = tf.reshape(tf.range(side * 9.0), [1, side, 9, 1])

    inner = without_border(values, border).numpy()

    cut = (side - left) // 2
    np.testing.assert_array_equal(inner[..., 0], values.numpy()[:, cut : cut + left, border : 9 - border, 0])


def test_a_guide_counts_the_same_whatever_its_contrast(tiny: Any):
    look = features.look_at(tiny, "second", GUIDE[None].astype(np.float32) / 255)

    for scale in (1e-3, 1, 1e3):
        cells = features.guide_cells(look * np.float32(scale))
        assert np.mean(np.sum(cells[0] ** 2, axis=-1)) == pytest.approx(1, rel=1e-5)
        np.testing.assert_allclose(cells, features.guide_cells(look), rtol=1e-4, atol=1e-6)
        assert np.abs(features.channel_shares(look * np.float32(scale))).sum() == pytest.approx(1, rel=1e-5)


def test_a_guide_that_shows_the_layer_nothing_is_zero_and_not_nan():
    nothing = np.zeros((3, 4, 6), np.float32)

    assert not features.guide_cells(nothing).any()
    assert not features.channel_shares(nothing).any()


def test_of_a_guide_with_many_places_neighbours_are_averaged():
    look = np.random.Generator(np.random.PCG64(1)).normal(1, 1, (96, 64, 3)).astype(np.float32)

    cells = features.guide_cells(look)

    assert 900 < cells.shape[1] <= 1024
    # Means of neighbours scatter less than the places themselves do.
    assert cells[0].std(axis=0).max() < look.std() / np.sqrt(np.mean(np.sum(look**2, axis=-1)))


def test_large_pictures_are_looked_at_smaller_and_short_sides_mirrored(tiny: Any):
    look = features.look_at(tiny, "first", image(height=1000, width=9))

    assert look.shape == ((384 - 3) // 2 + 1, (TINY_CARD.smallest_side - 3) // 2 + 1, 6)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (LayerTerm(layer="first", channels=(0, 6)), "channels 0 to 5, the objective asks for 6"),
        (LayerTerm(layer="first", channels=ChannelPick(pick=Pick.RANDOM, count=7)), "has 6 channels, 7 cannot"),
        (NeuronTerm(layer="second", channel=4), "channels 0 to 3"),
        (ClassTerm(index=5), "has classes 0 to 4, the objective asks for 5"),
        (LayerTerm(layer="scores", border=1), "has no places"),
        (LayerTerm(layer="pool", region=Box(right=0.5)), "has no places"),
        (NeuronTerm(layer="scores", channel=0), "has no places"),
        (GuideTerm(layer="pool", picture="0" * 64), "has no places"),
    ],
)
def test_what_the_network_does_not_have_is_refused_before_any_work(classifying: Any, term: Term, message: str):
    with pytest.raises(RecipeError, match=message):
        check_objective((LayerTerm(layer="first"), term), classifying)


def test_an_unknown_layer_is_refused_with_the_nearest_name(tiny: Any):
    for term in (LayerTerm(layer="secund"), NeuronTerm(layer="secund", channel=0)):
        with pytest.raises(UnknownName, match="second"):
            check_objective((term,), tiny)


def test_a_class_needs_a_network_with_a_classifier(tiny: Any):
    with pytest.raises(RecipeError, match="no classifier"):
        check_objective((ClassTerm(index=0),), tiny)


def test_every_kind_of_this_file_is_accepted(classifying: Any):
    for objective, _ in KINDS.values():
        check_objective(objective, classifying)


def test_a_layer_without_places_can_grow_as_a_whole_or_by_channels(classifying: Any):
    scores = numpy_activations(image()[0], tiny_weights())["second"].mean(axis=(0, 1)) @ CLASSES

    assert value(classifying, LayerTerm(layer="scores")) == pytest.approx((scores**2).mean(), rel=1e-4)
    two = LayerTerm(layer="scores", channels=(1, 2), reduction=Reduction.MEAN)
    assert value(classifying, two) == pytest.approx(scores[1:3].mean(), rel=1e-4, abs=1e-6)


def test_pictures_that_were_not_given_and_empty_regions_are_refused(tiny: Any):
    elsewhere = "ab" * 32
    with pytest.raises(RecipeError, match="guide picture"):
        picture_inputs((GuideTerm(layer="first", picture=elsewhere),), tiny, image(), PICTURES)
    with pytest.raises(RecipeError, match="mask picture"):
        plane_inputs((LayerTerm(layer="first", region=MaskPicture(picture=elsewhere)),), 16, 16, PICTURES)

    black = np.zeros((4, 4, 3), np.uint8)
    region = MaskPicture(picture=pixel_digest(black))
    with pytest.raises(RecipeError, match="holds nothing"):
        plane_inputs((LayerTerm(layer="first", region=region),), 16, 16, {region.picture: black})

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream.ascent import compile_ascent
from dream.errors import RecipeError, UnknownName
from dream.profiles import Variant
from dream.recipes import ExponentOctaves, LayerTerm, Normalization, Recipe, Reduction
from dream.tiles import plan_tiles
from tests.support.tiny_network import noise_image, numpy_activations, tiny_network, tiny_weights

STILL = np.zeros((1, 2), np.int32)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


def image(height: int = 16, width: int = 20, seed: int = 0) -> np.ndarray:
    return noise_image(height, width, seed)[None].astype(np.float32) / 255


def recipe(*objective: LayerTerm, **fields: Any) -> Recipe:
    return Recipe(
        objective=objective, octaves=ExponentOctaves(), **({"steps": 1, "step_size": 0.01, "clip": "end"} | fields)
    )


def ascent(network: Any, *objective: LayerTerm, **fields: Any) -> Any:
    return compile_ascent(network, recipe(*objective, **fields), objective)


def direction(network: Any, picture: np.ndarray, *objective: LayerTerm, **fields: Any) -> np.ndarray:
    """The normalized gradient, as one step of size 1 shows it."""
    climb = ascent(network, *objective, step_size=1.0, **fields).climb(picture, STILL)
    return np.asarray(climb.images) - picture


OBJECTIVES: dict[str, tuple[LayerTerm, ...]] = {
    "mean of a layer": (LayerTerm(layer="second", reduction="mean"),),
    "mean of squares": (LayerTerm(layer="first_relu", reduction="mean_square"),),
    "one channel": (LayerTerm(layer="first", channels=(3,), reduction="mean"),),
    "weighted sum": (
        LayerTerm(layer="first", channels=(0, 2), reduction="mean_square", weight=0.3),
        LayerTerm(layer="second", channels=(1,), reduction="mean", weight=-2.0),
    ),
}


def objective_in_numpy(objective: tuple[LayerTerm, ...], picture: np.ndarray) -> float:
    activations = numpy_activations(picture, tiny_weights())
    total = 0.0
    for term in objective:
        values = activations[term.layer]
        if term.channels is not None:
            values = values[..., list(term.channels)]
        total += term.weight * float(np.mean(values**2 if term.reduction is Reduction.MEAN_SQUARE else values))
    return total


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_the_direction_is_that_of_finite_differences_on_plain_loops(tiny: Any, objective: tuple[LayerTerm, ...]):
    picture = image(10, 9)
    small = 1e-6
    gradient = np.zeros(picture.shape[1:])
    for index in np.ndindex(gradient.shape):
        bump = np.zeros(gradient.shape)
        bump[index] = small
        up = objective_in_numpy(objective, picture[0].astype(np.float64) + bump)
        down = objective_in_numpy(objective, picture[0].astype(np.float64) - bump)
        gradient[index] = (up - down) / (2 * small)

    np.testing.assert_allclose(direction(tiny, picture, *objective)[0], gradient / gradient.std(), atol=2e-3)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_the_objective_told_is_the_one_of_plain_loops(tiny: Any, objective: tuple[LayerTerm, ...]):
    picture = image()

    climb = ascent(tiny, *objective).climb(picture, STILL)

    assert climb.values[0, 0] == pytest.approx(objective_in_numpy(objective, picture[0]), rel=1e-4)


def test_the_compiled_loop_takes_the_steps_of_a_plain_eager_one(tiny: Any):
    objective = OBJECTIVES["weighted sum"]
    shifts = np.array([[3, -5], [0, 0], [-2, 7], [11, 1]], np.int32)
    picture = image()
    plain = tf.constant(picture)
    for shift in shifts:
        rolled = tf.Variable(tf.roll(plain, shift, [1, 2]))
        with tf.GradientTape() as tape:
            first = tiny.body.model.get_layer("first")(rolled * 2 - 1)
            second = tiny.body.model.get_layer("second")(tf.nn.relu(first))
            value = 0.3 * tf.reduce_mean(tf.gather(first, [0, 2], axis=-1) ** 2) - 2 * tf.reduce_mean(second[..., 1])
        gradient = tf.roll(tape.gradient(value, rolled), -shift, [1, 2])
        plain = tf.clip_by_value(plain + 0.02 * gradient / tf.math.reduce_std(gradient), 0, 1)

    climb = ascent(tiny, *objective, clip="step", step_size=0.02).climb(picture, shifts)

    np.testing.assert_allclose(np.asarray(climb.images), plain.numpy(), atol=1e-5)


@pytest.mark.parametrize("normalization", Normalization)
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_objective_rises_with_every_normalization(
    tiny: Any, objective: tuple[LayerTerm, ...], normalization: Normalization
):
    climber = ascent(tiny, *objective, normalization=normalization, step_size=0.005)

    climb = climber.climb(image(), np.zeros((6, 2), np.int32))

    assert (np.diff(climb.values[:, 0]) > 0).all()


def test_a_picture_climbs_the_same_way_beside_others(tiny: Any):
    climber = ascent(tiny, *OBJECTIVES["mean of squares"], normalization=Normalization.LAPLACIAN, step_size=0.02)
    shifts = np.array([[1, 2], [3, 4], [5, 6]], np.int32)
    pictures = np.concatenate([image(seed=seed) for seed in range(4)])

    together = climber.climb(pictures, shifts)

    for index in range(4):
        alone = climber.climb(pictures[index : index + 1], shifts)
        np.testing.assert_allclose(np.asarray(together.images)[index], np.asarray(alone.images)[0], atol=1e-5)
        np.testing.assert_allclose(together.values[:, index], alone.values[:, 0], rtol=1e-5)


def test_one_compiled_function_serves_every_size(tiny: Any):
    climber = ascent(tiny, LayerTerm(layer="second", channels=(0, 3)))
    for size in ((16, 20), (33, 9), (50, 64)):
        climber.climb(image(*size), np.zeros((3, 2), np.int32))

    assert climber.climb_steps.experimental_get_tracing_count() == 1
    other_numbers = ascent(tiny, LayerTerm(layer="second", channels=(0, 3)), step_size=0.5, seed=9)
    assert other_numbers.climb_steps is climber.climb_steps


def test_how_the_steps_are_cut_up_does_not_change_a_bit(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    climber = ascent(tiny, *OBJECTIVES["weighted sum"])
    shifts = np.arange(24, dtype=np.int32).reshape(12, 2)
    whole = climber.climb(image(), shifts)

    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    told: list[int] = []
    cut_up = climber.climb(image(), shifts, on_steps=told.append)

    assert told == list(range(1, 13))
    assert np.asarray(cut_up.images).tobytes() == np.asarray(whole.images).tobytes()
    assert cut_up.values.tobytes() == whole.values.tobytes()


def test_a_dead_picture_is_known_and_the_one_beside_it_climbs():
    weights = tiny_weights()
    # On black alone, every channel of the first layer is far below its ReLU.
    weights[0], weights[1] = np.abs(weights[0]) + 0.1, np.full(6, 0.5, np.float32)
    network = tiny_network(weights)
    pictures = np.concatenate([np.zeros((1, 16, 20, 3), np.float32), np.ones((1, 16, 20, 3), np.float32)])

    climb = ascent(network, LayerTerm(layer="first_relu")).climb(pictures, np.zeros((3, 2), np.int32))

    assert climb.dead.tolist() == [True, False]
    np.testing.assert_array_equal(np.asarray(climb.images)[0], pictures[0])
    assert (np.diff(climb.values[:, 1]) > 0).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_numbers_that_are_not_finite_stay_with_their_picture(tiny: Any, poison: float):
    pictures = np.concatenate([image(seed=1), image(seed=2)])
    alone = ascent(tiny, LayerTerm(layer="second")).climb(pictures, STILL)
    pictures[0, 3, 3, 0] = poison

    climb = ascent(tiny, LayerTerm(layer="second")).climb(pictures, STILL)

    assert climb.finite.tolist() == [False, True]
    np.testing.assert_array_equal(np.asarray(climb.images)[1], np.asarray(alone.images)[1])


def test_a_step_size_counts_on_the_scale_the_recipe_names(tiny: Any):
    term = LayerTerm(layer="second")

    unit = direction(tiny, image(), term, value_range="unit")
    symmetric = direction(tiny, image(), term, value_range="symmetric")

    np.testing.assert_allclose(unit, 2 * symmetric, rtol=1e-5, atol=1e-6)
    assert unit.std() == pytest.approx(1.0, rel=1e-3)


def test_momentum_is_an_average_of_directions(tiny: Any):
    term = LayerTerm(layer="second")
    plain = ascent(tiny, term, step_size=1e-6).climb(image(), np.zeros((4, 2), np.int32))
    with_momentum = ascent(tiny, term, step_size=1e-6, optimizer="momentum").climb(image(), np.zeros((4, 2), np.int32))

    # Steps so small that the direction stays the same: its average is itself.
    np.testing.assert_allclose(with_momentum.images, plain.images, atol=1e-6)


def test_what_an_optimizer_remembers_survives_the_cuts_between_reports(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    climber = ascent(tiny, LayerTerm(layer="second"), optimizer="adam")
    shifts = np.zeros((6, 2), np.int32)
    whole = climber.climb(image(), shifts)

    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    cut_up = climber.climb(image(), shifts)

    assert np.asarray(cut_up.images).tobytes() == np.asarray(whole.images).tobytes()


def test_a_blurred_direction_has_less_grain(tiny: Any):
    term = LayerTerm(layer="second")

    sharp, soft = (direction(tiny, image(40, 40), term, blur=blur)[0] for blur in (0.0, 2.0))

    def grain(values: np.ndarray) -> float:
        return float(np.abs(np.diff(values, axis=0)).mean() / values.std())

    assert grain(soft) < grain(sharp) / 2


def test_total_variation_smooths(tiny: Any):
    term = LayerTerm(layer="second")

    plain = np.asarray(ascent(tiny, term).climb(image(), np.zeros((9, 2), np.int32)).images)
    smoothed = np.asarray(ascent(tiny, term, total_variation=1.0).climb(image(), np.zeros((9, 2), np.int32)).images)

    assert np.abs(np.diff(smoothed, axis=1)).mean() < np.abs(np.diff(plain, axis=1)).mean()


def test_nothing_moves_outside_the_mask(tiny: Any):
    mask = np.zeros((1, 16, 20, 1), np.float32)
    mask[:, :, :10] = 1.0

    moved = np.asarray(ascent(tiny, LayerTerm(layer="second")).climb(image(), STILL, mask=mask).images) - image()

    assert np.abs(moved[:, :, :10]).max() > 0
    assert np.abs(moved[:, :, 10:]).max() == 0


def test_half_precision_climbs_the_same_objective(tiny: Any):
    objective = OBJECTIVES["mean of squares"]
    plain = recipe(*objective)
    exact = compile_ascent(tiny, plain, objective).climb(image(), STILL)

    for dtype in ("bfloat16", "float16"):
        half = compile_ascent(tiny, plain, objective, variant=Variant(dtype=dtype)).climb(image(), STILL)
        a, b = (np.ravel(np.asarray(climb.images) - image()) for climb in (exact, half))
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99
        assert half.values[0, 0] == pytest.approx(exact.values[0, 0], rel=0.02)
        assert half.slopes[0, 0] == pytest.approx(exact.slopes[0, 0], rel=0.05)


def test_tiles_that_see_enough_of_their_neighbours_give_the_gradient_of_the_whole(tiny: Any):
    # `second` sees 7 pixels; the overlap has 32. The picture is wrapped at its edges, so these differ.
    picture, term = image(160, 224), LayerTerm(layer="second", reduction="mean")
    tiles = plan_tiles(160, 224, tile_side=64, overlap=32)

    whole = direction(tiny, picture, term)[0, 32:-32, 32:-32]
    tiled = np.asarray(
        compile_ascent(tiny, recipe(term, step_size=1.0), (term,), tiles=tiles).climb(picture, STILL).images
    )

    tiled = (tiled - picture)[0, 32:-32, 32:-32]
    np.testing.assert_allclose(tiled / tiled.std(), whole / whole.std(), atol=1e-3)


def test_layers_and_channels_that_do_not_exist_are_refused_before_any_work(tiny: Any):
    with pytest.raises(UnknownName) as caught:
        ascent(tiny, LayerTerm(layer="first_rely"))
    with pytest.raises(RecipeError, match="channels 0 to 3"):
        ascent(tiny, LayerTerm(layer="second", channels=(4,)))

    assert caught.value.nearest[0] == "first_relu"


def test_weights_and_batch_statistics_stay_as_they_are(tiny: Any):
    before = [value.copy() for value in tiny.body.model.get_weights()]

    ascent(tiny, *OBJECTIVES["weighted sum"], step_size=0.1).climb(image(), np.zeros((5, 2), np.int32))

    for value, kept in zip(tiny.body.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dream.ascent import compile_ascent
from dream.errors import DeadObjective, DreamDiverged, RecipeError, UnknownName
from dream.recipes import LayerTerm, Normalization, Reduction
from tests.support.tiny_network import noise_image, numpy_activations, tiny_network, tiny_weights

STILL = np.zeros((1, 2), np.int32)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


def image(height: int = 16, width: int = 20, seed: int = 0) -> np.ndarray:
    return noise_image(height, width, seed)[None].astype(np.float32) / 255


def ascent(network: Any, *objective: Term, normalization: Normalization = Normalization.STD, clip: bool = False) -> Any:
    return compile_ascent(network, objective, normalization, clip_each_step=clip)


def nothing(_steps: int) -> None:
    return


def direction(network: Any, picture: np.ndarray, *objective: Term, shift: np.ndarray = STILL) -> np.ndarray:
    """The normalized gradient, as one step of size 1 shows it."""
    climb = ascent(network, *objective).climb(picture, shift, step_size=1.0, on_steps=nothing)
    return np.asarray(climb.images) - picture


OBJECTIVES: dict[str, tuple[Term, ...]] = {
    "mean of a layer": (LayerTerm(layer="second", reduction="mean"),),
    "mean of squares": (LayerTerm(layer="first_relu", reduction="mean_square"),),
    "one channel": (LayerTerm(layer="first", channels=(3,), reduction="mean"),),
    "weighted sum": (
        LayerTerm(layer="first", channels=(0, 2), reduction="mean_square", weight=0.3),
        LayerTerm(layer="second", channels=(1,), reduction="mean", weight=-2.0),
    ),
}


def objective_in_numpy(objective: tuple[Term, ...], picture: np.ndarray) -> float:
    activations = numpy_activations(picture, tiny_weights())
    total = 0.0
    for term in objective:
        values = activations[term.layer]
        if term.channels is not None:
            values = values[..., list(term.channels)]
        total += term.weight * float(np.mean(values**2 if term.reduction is Reduction.MEAN_SQUARE else values))
    return total


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_the_direction_is_that_of_finite_differences_on_plain_loops(tiny: Any, objective: tuple[Term, ...]):
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
def test_the_objective_told_is_the_one_of_plain_loops(tiny: Any, objective: tuple[Term, ...]):
    picture = image()

    climb = ascent(tiny, *objective).climb(picture, STILL, step_size=0.01, on_steps=nothing)

    assert climb.values[0, 0] == pytest.approx(objective_in_numpy(objective, picture[0]), rel=1e-4)


def test_the_compiled_loop_takes_the_steps_of_a_plain_eager_one(tiny: Any):
    objective = OBJECTIVES["weighted sum"]
    shifts = np.array([[3, -5], [0, 0], [-2, 7], [11, 1]], np.int32)
    picture = image()
    plain = tf.constant(picture)
    for shift in shifts:
        rolled = tf.Variable(tf.roll(plain, shift, [1, 2]))
        with tf.GradientTape() as tape:
            first = tiny.model.get_layer("first")(rolled * 2 - 1)
            second = tiny.model.get_layer("second")(tf.nn.relu(first))
            value = 0.3 * tf.reduce_mean(tf.gather(first, [0, 2], axis=-1) ** 2) - 2 * tf.reduce_mean(second[..., 1])
        gradient = tf.roll(tape.gradient(value, rolled), -shift, [1, 2])
        plain = tf.clip_by_value(plain + 0.02 * gradient / tf.math.reduce_std(gradient), 0, 1)

    climb = ascent(tiny, *objective, clip=True).climb(picture, shifts, step_size=0.02, on_steps=nothing)

    np.testing.assert_allclose(np.asarray(climb.images), plain.numpy(), atol=1e-5)


@pytest.mark.parametrize("normalization", Normalization)
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_objective_rises_with_every_normalization(
    tiny: Any, objective: tuple[Term, ...], normalization: Normalization
):
    climber = ascent(tiny, *objective, normalization=normalization)

    climb = climber.climb(image(), np.zeros((6, 2), np.int32), step_size=0.005, on_steps=nothing)

    assert (np.diff(climb.values[:, 0]) > 0).all()


def test_a_picture_climbs_the_same_way_beside_others(tiny: Any):
    climber = ascent(tiny, *OBJECTIVES["mean of squares"], normalization=Normalization.LAPLACIAN)
    shifts = np.array([[1, 2], [3, 4], [5, 6]], np.int32)
    pictures = np.concatenate([image(seed=seed) for seed in range(4)])

    together = climber.climb(pictures, shifts, step_size=0.02, on_steps=nothing)

    for index in range(4):
        alone = climber.climb(pictures[index : index + 1], shifts, step_size=0.02, on_steps=nothing)
        np.testing.assert_allclose(np.asarray(together.images)[index], np.asarray(alone.images)[0], atol=1e-5)
        np.testing.assert_allclose(together.values[:, index], alone.values[:, 0], rtol=1e-5)


def test_one_compiled_function_serves_every_size(tiny: Any):
    climber = ascent(tiny, LayerTerm(layer="second", channels=(0, 3)))
    for size in ((16, 20), (33, 9), (50, 64)):
        climber.climb(image(*size), np.zeros((3, 2), np.int32), step_size=0.01, on_steps=nothing)

    assert climber.climb_steps.experimental_get_tracing_count() == 1
    assert ascent(tiny, LayerTerm(layer="second", channels=(0, 3))) is climber


def test_how_the_steps_are_cut_up_does_not_change_a_bit(tiny: Any, monkeypatch: pytest.MonkeyPatch):
    climber = ascent(tiny, *OBJECTIVES["weighted sum"])
    shifts = np.arange(24, dtype=np.int32).reshape(12, 2)
    whole = climber.climb(image(), shifts, step_size=0.01, on_steps=nothing)

    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    told: list[int] = []
    cut_up = climber.climb(image(), shifts, step_size=0.01, on_steps=told.append)

    assert told == list(range(1, 13))
    assert np.asarray(cut_up.images).tobytes() == np.asarray(whole.images).tobytes()
    assert cut_up.values.tobytes() == whole.values.tobytes()


def test_an_objective_that_nothing_moves_is_reported_and_no_picture_comes_back():
    weights = tiny_weights()
    weights[1] = np.full(6, -1000, np.float32)
    dead = tiny_network(weights)

    with pytest.raises(DeadObjective, match="first_relu"):
        ascent(dead, LayerTerm(layer="first_relu")).climb(
            image(), np.zeros((5, 2), np.int32), step_size=0.01, on_steps=nothing
        )


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_reported(tiny: Any, poison: float):
    picture = image()
    picture[0, 3, 3, 0] = poison

    with pytest.raises(DreamDiverged, match="step 1"):
        ascent(tiny, LayerTerm(layer="second")).climb(picture, STILL, step_size=0.01, on_steps=nothing)


def test_layers_and_channels_that_do_not_exist_are_refused_before_any_work(tiny: Any):
    with pytest.raises(UnknownName) as caught:
        ascent(tiny, LayerTerm(layer="first_rely"))
    with pytest.raises(RecipeError, match="channels 0 to 3"):
        ascent(tiny, LayerTerm(layer="second", channels=(4,)))

    assert caught.value.nearest[0] == "first_relu"


def test_weights_and_batch_statistics_stay_as_they_are(tiny: Any):
    before = [value.copy() for value in tiny.model.get_weights()]

    ascent(tiny, *OBJECTIVES["weighted sum"]).climb(
        image(), np.zeros((5, 2), np.int32), step_size=0.1, on_steps=nothing
    )

    for value, kept in zip(tiny.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)

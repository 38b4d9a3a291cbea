from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from dream.errors import NetworkInvalid, UnknownName
from dream.networks import load_card
from dream.networks.architectures import build_untrained, load_keras_weights
from dream.networks.cards import INCEPTION_V3, INCEPTION_V3_TOP, NetworkCard
from dream.networks.inception_v3 import canonical_names
from dream.octaves import Size, plan_octaves
from dream.presets import DEFAULT_PRESET, preset
from dream.recipes import ExponentOctaves, Normalization, Recipe
from dream.render import render
from dream.terms import ClassTerm
from tests.support.tiny_network import noise_image

pytestmark = pytest.mark.slow

# By walking the published architecture by hand: receptive field, stride, channels and convolutions so far, and the
# share of all multiplications done up to there, in percent, on a picture of 299 by 299.
MIXED = {
    "mixed0": (63, 8, 256, 12, 29),
    "mixed1": (95, 8, 288, 19, 35),
    "mixed2": (127, 8, 288, 26, 41),
    "mixed3": (159, 16, 768, 30, 48),
    "mixed4": (351, 16, 768, 40, 55),
    "mixed5": (543, 16, 768, 50, 63),
    "mixed6": (735, 16, 768, 60, 72),
    "mixed7": (927, 16, 768, 70, 82),
    "mixed8": (1055, 32, 1280, 76, 88),
    "mixed9": (1183, 32, 2048, 85, 93),
    "mixed10": (1311, 32, 2048, 94, 100),
}


@pytest.fixture(scope="module")
def original() -> Any:
    keras.utils.set_random_seed(5)
    return keras.applications.InceptionV3(include_top=False, weights=None)


@pytest.fixture(scope="module")
def weights_folder(original: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the format and under the name of the published file."""
    folder = tmp_path_factory.mktemp("weights")
    with h5py.File(folder / INCEPTION_V3.weights_file, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, original)
    return folder


@pytest.fixture(scope="module")
def card(weights_folder: Path) -> NetworkCard:
    data = (weights_folder / INCEPTION_V3.weights_file).read_bytes()
    return replace(INCEPTION_V3, weights_sha256=hashlib.sha256(data).hexdigest(), weights_md5=None)


@pytest.fixture(scope="module")
def network(card: NetworkCard, weights_folder: Path, original: Any) -> Any:
    assert original.get_layer("mixed10") is not None  # a first InceptionV3 has taken the plain names
    return load_card(card, weights_folder=weights_folder, offline=True)


def test_its_layers_are_the_published_ones(network: Any):
    kinds = [layer.kind for layer in network.layers]

    assert kinds.count("Conv2D") == 94
    assert sum(layer.parameters for layer in network.layers) == 21_802_784
    assert [layer.name for layer in network.layers if layer.name in MIXED] == list(MIXED)
    whole = network.layer("mixed10").macs_per_pixel
    for name, (receptive_field, stride, channels, convolutions, percent) in MIXED.items():
        layer = network.layer(name)
        assert (layer.receptive_field, layer.total_stride, layer.channels) == (receptive_field, stride, channels)
        assert layer.shape == f"(None, None, None, {channels})"
        assert layer.convolutions == convolutions
        # Ours is the share on a large picture. On one of 299 pixels the convolutions without padding leave the deeper
        # maps up to an eighth smaller than their share of the picture, so that the early layers weigh more.
        assert percent - 3.5 < 100 * layer.macs_per_pixel / whole <= percent


def test_names_do_not_depend_on_what_the_process_built_before(network: Any):
    names = [layer.name for layer in network.layers if layer.kind == "Conv2D"]

    assert sorted(names, key=lambda name: int(name.partition("_")[2] or 0)) == [
        "conv2d" if index == 0 else f"conv2d_{index}" for index in range(94)
    ]
    assert network.body.model.get_layer("mixed10") is not None
    assert "conv2d_93" not in {layer.name for layer in network.body.model.layers}, (
        "this was the first model, so nothing is shown"
    )
    # By the published listing: the first convolution of the stem, and the first of the last block.
    first, last = network.layer("conv2d"), network.layer("conv2d_85")
    assert (first.channels, first.kernel, first.stride, first.padding) == (32, (3, 3), 2, "valid")
    assert (last.channels, last.kernel, last.parameters) == (320, (1, 1), 2048 * 320)
    assert network.layer("activation_93").kind == "Activation"
    with pytest.raises(UnknownName):
        network.layer("conv2d_94")


def test_it_computes_what_keras_computes(network: Any, original: Any):
    picture = noise_image(120, 139)[None]
    fed = picture.astype(np.float32).copy()
    expected = keras.Model(original.input, original.get_layer("mixed3").output)(
        keras.applications.inception_v3.preprocess_input(fed), training=False
    )

    ours = network.activations(["mixed3"])(picture.astype(np.float32) / 255)["mixed3"]

    np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-3, atol=1e-6)


def test_a_file_of_other_weights_is_refused(tmp_path: Path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with h5py.File(tmp_path / "other.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)

    with pytest.raises(NetworkInvalid, match=r"other\.h5 does not hold inception_v3"):
        load_keras_weights(build_untrained("inception_v3"), tmp_path / "other.h5", "inception_v3", "other.h5")


def test_a_fresh_program_needs_no_renaming():
    def layer(name: str) -> Any:
        return keras.layers.Conv2D(1, 1, name=name)

    picture = keras.Input((None, None, 3))
    model = keras.Model(picture, layer("conv2d_11")(layer("mixed9_0")(layer("conv2d_9")(layer("conv2d")(picture)))))

    assert canonical_names(model) == {"conv2d": "conv2d", "conv2d_9": "conv2d_1", "conv2d_11": "conv2d_2"}


@pytest.mark.parametrize("name", [DEFAULT_PRESET, "paper-single", "paper-octave"])
def test_looks_run_on_it_and_their_objectives_rise(network: Any, name: str):
    look = preset(name, "inception_v3").with_changes(
        octaves=ExponentOctaves(scale=1.3, exponents=(-1, 0)), steps=3, final_steps=3
    )

    (facts,) = render([noise_image(100, 104)], look, network).facts

    assert facts["octave_sizes"] == [[76, 80], [100, 104]]
    assert all(last > first for first, last in facts["objective_values"])


def test_no_octave_is_too_small_for_its_deepest_layer():
    plan = plan_octaves(Size(120, 90), preset("paper-octave", "inception_v3"), floor=INCEPTION_V3.smallest_side)

    assert [size.short_side for size in plan.sizes] == [90, 117, 152]


def test_the_gradient_of_the_pixels_is_that_of_the_unfolded_model(network: Any, original: Any):
    images = tf.constant(noise_image(83, 97)[None].astype(np.float32) / 255)
    part = keras.Model(original.input, original.get_layer("mixed4").output)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_mean(tf.square(part(images * 255 / 127.5 - 1, training=False)))
    expected = tape.gradient(total, images)
    activations = network.activations(["mixed4"])

    @tf.function(autograph=False)
    def gradient_of(pixels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            total = tf.reduce_mean(tf.square(activations(pixels)["mixed4"]))
        return tape.gradient(total, pixels)

    found = gradient_of(images)

    assert np.sum(found * expected) / np.linalg.norm(found) / np.linalg.norm(expected) >= 0.9999
    assert np.mean(np.abs(found - expected)) < 1e-3 * np.sqrt(np.mean(np.square(expected)))


# With its classifier.


@pytest.fixture(scope="module")
def original_top() -> Any:
    keras.utils.set_random_seed(6)
    return keras.applications.InceptionV3(include_top=True, weights=None)


@pytest.fixture(scope="module")
def network_top(original_top: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """From a file of Keras' network of 299 by 299 pixels, in the published form."""
    folder = tmp_path_factory.mktemp("top")
    path = folder / INCEPTION_V3_TOP.weights_file
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, original_top)
    card = replace(INCEPTION_V3_TOP, weights_md5=hashlib.md5(path.read_bytes()).hexdigest())
    return load_card(card, weights_folder=folder, offline=True)


def test_its_class_scores_are_those_of_keras_before_the_softmax(network_top: Any, original_top: Any):
    picture = noise_image(299, 299)[None]
    fed = keras.applications.inception_v3.preprocess_input(picture.astype(np.float32).copy())
    expected = original_top(fed, training=False)

    scores = network_top.activations(["logits"])(picture.astype(np.float32) / 255)["logits"]

    np.testing.assert_allclose(tf.nn.softmax(scores), expected, rtol=1e-3, atol=1e-7)


def test_it_scores_pictures_of_any_size_by_the_mean_of_all_places(network_top: Any, original_top: Any):
    kernel, bias = original_top.get_layer("predictions").get_weights()
    picture = noise_image(120, 140)[None].astype(np.float32) / 255

    found = network_top.activations(["mixed10", "logits"])(picture)

    by_hand = np.asarray(found["mixed10"], np.float64).mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(found["logits"], by_hand, rtol=1e-3, atol=1e-5)
    assert found["mixed10"].shape[1:3] == (2, 3)


def test_with_the_classifier_the_layers_have_the_same_names(network: Any, network_top: Any):
    names = [layer.name for layer in network_top.layers]

    assert names == [*(layer.name for layer in network.layers), "avg_pool", "logits"]
    assert network_top.card.classifier == "logits"
    assert network_top.layer("logits").channels == 1000
    assert sum(layer.parameters for layer in network_top.layers) == 21_802_784 + 2049 * 1000


def test_a_dream_of_a_class_climbs(network_top: Any):
    recipe = Recipe(
        objective=(ClassTerm(index=7),),
        octaves=ExponentOctaves(scale=1.3, exponents=(0,)),
        steps=3,
        step_size=0.02,
        normalization=Normalization.STD,
    )

    (facts,) = render([noise_image(80, 91)], recipe, network_top).facts

    assert all(last > first for first, last in facts["objective_values"])

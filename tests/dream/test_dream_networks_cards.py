"""Each card, its file and its builder together make the network that Keras publishes, and its gradient."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from dream.networks import load_card
from dream.networks.cards import MOBILENET_V2, NETWORKS, RESNET50V2, VGG16, NetworkCard
from dream.networks.network import scaled
from tests.support.tiny_network import noise_image

pytestmark = pytest.mark.slow

SIZE = (77, 90)


def minus_one_to_one(x: Any) -> Any:
    return x * 255 / 127.5 - 1


def blue_first_without_its_mean(x: Any) -> Any:
    return x[..., ::-1] * 255 - tf.constant([103.939, 116.779, 123.68])


@dataclass(frozen=True)
class Published:
    """What Keras publishes under the name of a card, and what an objective may name in it.

    `layers` are one half way, one near the end and the last. `facts`: convolutions, parameters, total stride.
    """

    card: NetworkCard
    build: Callable[..., Any]
    preprocess: Callable[[Any], Any]
    formula: Callable[[Any], Any]
    layers: tuple[str, ...]
    facts: tuple[int, int, int]


PUBLISHED = {
    each.card.name: each
    for each in (
        Published(
            VGG16,
            keras.applications.VGG16,
            keras.applications.vgg16.preprocess_input,
            blue_first_without_its_mean,
            ("block3_conv3", "block5_conv1", "block5_pool"),
            (13, 14_714_688, 32),
        ),
        Published(
            RESNET50V2,
            keras.applications.ResNet50V2,
            keras.applications.resnet_v2.preprocess_input,
            minus_one_to_one,
            ("conv3_block2_2_relu", "conv5_block1_out", "post_relu"),
            (53, 23_564_800, 32),
        ),
        Published(
            MOBILENET_V2,
            keras.applications.MobileNetV2,
            keras.applications.mobilenet_v2.preprocess_input,
            minus_one_to_one,
            ("block_6_depthwise", "block_13_project", "out_relu"),
            (52, 2_257_984, 32),
        ),
    )
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any]]:
    """Keras' network with random weights, and ours, from a file of these in the published form and under its name."""
    folder = tmp_path_factory.mktemp("weights")
    made: dict[str, tuple[Any, Any]] = {}

    def get(name: str) -> tuple[Any, Any]:
        if name not in made:
            published = PUBLISHED[name]
            keras.utils.set_random_seed(5)
            original = published.build(include_top=False, weights=None, input_shape=(None, None, 3))
            trained_by_chance(original)
            path = folder / published.card.weights_file
            with h5py.File(path, "w") as file:
                legacy_h5_format.save_weights_to_hdf5_group(file, original)
            md5 = hashlib.md5(path.read_bytes()).hexdigest()
            card = replace(published.card, weights_md5=md5, weights_sha256=None)
            made[name] = original, load_card(card, weights_folder=folder, offline=True)
        return made[name]

    return get


def trained_by_chance(model: Any) -> None:
    """Batch statistics as training leaves them: none of them 0 or 1."""
    generator = np.random.Generator(np.random.PCG64(3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (array.shape for array in layer.get_weights())
            layer.set_weights(
                [
                    generator.uniform(0.7, 1.3, gamma),
                    generator.normal(0, 0.2, beta),
                    generator.normal(0, 0.2, mean),
                    generator.uniform(0.6, 1.6, variance),
                ]
            )


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_computes_what_keras_computes_on_a_picture_of_odd_size(name: str, loaded: Any):
    original, network = loaded(name)
    published = PUBLISHED[name]
    picture = noise_image(*SIZE)[None]
    fed = published.preprocess(picture.astype(np.float32).copy())
    outputs = {layer: original.get_layer(layer).output for layer in published.layers}
    expected = keras.Model(original.inputs[0], outputs)(fed, training=False)

    found = network.activations(published.layers)(picture.astype(np.float32) / 255)

    for layer in published.layers:
        assert np.abs(found[layer] - expected[layer]).max() < 2e-4 * np.std(expected[layer]), layer
    assert 0 <= network.body.fold_difference < 1e-4


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_gradient_of_the_pixels_is_that_of_the_unfolded_model(name: str, loaded: Any):
    original, network = loaded(name)
    published = PUBLISHED[name]
    layer = published.layers[1]
    images = tf.constant(noise_image(*SIZE)[None].astype(np.float32) / 255)
    part = keras.Model(original.inputs[0], original.get_layer(layer).output)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_mean(tf.square(part(published.formula(images), training=False)))
    expected = tape.gradient(total, images)
    activations = network.activations([layer])

    @tf.function(autograph=False)
    def gradient_of(pixels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            total = tf.reduce_mean(tf.square(activations(pixels)[layer]))
        return tape.gradient(total, pixels)

    found = gradient_of(images)

    assert np.sum(found * expected) / np.linalg.norm(found) / np.linalg.norm(expected) >= 0.9999
    # One pixel may sit on the edge of a ReLU or of a window's maximum, so that it is the bulk that must agree.
    error = np.abs(found - expected) / np.sqrt(np.mean(np.square(expected)))
    assert np.mean(error) < 1e-3


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_listing_has_the_published_counts_and_names(name: str, loaded: Any):
    original, network = loaded(name)

    convolutions, parameters, stride = PUBLISHED[name].facts

    assert sum(layer.is_convolution for layer in network.layers) == convolutions
    assert sum(layer.parameters for layer in network.layers) == parameters == original.count_params()
    assert network.layers[-1].total_stride == stride
    assert network.layers[-1].convolutions == convolutions
    automatic = [layer.name for layer in network.layers if layer.name.startswith(("conv2d", "max_pooling2d"))]
    assert automatic == (["max_pooling2d", "max_pooling2d_1", "max_pooling2d_2"] if name == "resnet50v2" else [])


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_smallest_side_is_one_that_works(name: str, loaded: Any):
    _, network = loaded(name)
    side = network.card.smallest_side

    for height, width in ((side, side), (side, side + 7)):
        found = network.activations(PUBLISHED[name].layers)(tf.fill([1, height, width, 3], 0.25))
        assert all(np.isfinite(value).all() and value.shape[1] >= 1 for value in found.values())


def test_names_are_the_same_from_every_thread(loaded: Any):
    """Keras numbers unnamed layers for each thread on its own."""
    _, network = loaded("resnet50v2")
    names: list[list[str]] = []

    def build() -> None:
        from dream.networks.architectures import build_untrained
        from dream.networks.inception_v3 import canonical_names
        from dream.networks.inventory import inventory

        for _ in range(2):
            model = build_untrained("resnet50v2")
            names.append([layer.name for layer in inventory(model, canonical_names(model))])

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()

    assert names == [[layer.name for layer in network.layers]] * 2


def test_a_number_for_each_channel_counts_in_the_networks_own_order():
    picture = tf.constant([[[[0.0, 0.5, 1.0]]]])

    found = scaled(VGG16, picture)

    # Blue first: 255 - 103.939, then 127.5 - 116.779, then 0 - 123.68.
    np.testing.assert_allclose(found[0, 0, 0], [151.061, 10.721, -123.68], atol=1e-4)


def test_every_card_can_be_known_again_and_told_where_to_get():
    for card in NETWORKS.values():
        assert card.weights_sha256 is not None or card.weights_md5 is not None, card.name
        assert card.weights_package is not None or card.weights_url is not None, card.name
        assert card.weights_package is not None or card.weights_url.endswith(f"/{card.weights_file}"), card.name
        assert Path(card.weights_file).name == card.weights_file

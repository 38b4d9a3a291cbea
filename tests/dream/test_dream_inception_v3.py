from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from dream.errors import NetworkInvalid, UnknownName
from dream.networks import load_card
from dream.networks.cards import INCEPTION_V3, NetworkCard
from dream.networks.inception_v3 import build_inception_v3, canonical_names
from dream.octaves import Size, plan_octaves
from dream.presets import DEFAULT_PRESET, preset
from dream.recipes import ExponentOctaves
from dream.render import render
from tests.support.tiny_network import noise_image

pytestmark = pytest.mark.slow

# Receptive field, stride, channels and convolutions so far, by walking the published architecture by hand.
MIXED = {
    "mixed0": (63, 8, 256),
    "mixed1": (95, 8, 288),
    "mixed2": (127, 8, 288),
    "mixed3": (159, 16, 768),
    "mixed4": (351, 16, 768),
    "mixed5": (543, 16, 768),
    "mixed6": (735, 16, 768),
    "mixed7": (927, 16, 768),
    "mixed8": (1055, 32, 1280),
    "mixed9": (1183, 32, 2048),
    "mixed10": (1311, 32, 2048),
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
    for name, (receptive_field, stride, channels) in MIXED.items():
        layer = network.layer(name)
        assert (layer.receptive_field, layer.total_stride, layer.channels) == (receptive_field, stride, channels)
        assert layer.shape == f"(None, None, None, {channels})"


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

    with pytest.raises(NetworkInvalid, match=r"other\.h5 does not hold InceptionV3"):
        build_inception_v3(tmp_path / "other.h5")


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

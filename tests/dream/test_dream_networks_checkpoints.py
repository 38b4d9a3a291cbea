"""Weights alone, in a checkpoint or a Keras file, find the layers that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from dream.errors import NetworkInvalid, RecipeError, UnknownName
from dream.networks import find_card, load_network
from dream.networks.architectures import build_untrained, load_keras_weights
from dream.networks.cards import Form
from dream.networks.checkpoint_files import load_checkpoint, read_checkpoint
from dream.networks.import_files import recognize
from dream.networks.importing import ImportOptions, import_network
from tests.support.network_files import write_arrays
from tests.support.tiny_network import noise_image

FOR_MOBILENET = ImportOptions(architecture="mobilenet_v2", license="Apache-2.0")


def small_model() -> Any:
    """A convolution without a name of its own, one with batch normalization behind it, and one by depth."""
    picture = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3)(picture)
    x = keras.layers.Conv2D(5, 1, use_bias=False, name="second")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.Model(picture, keras.layers.DepthwiseConv2D(3, name="depth")(x))


def trained_model() -> Any:
    model = small_model()
    generator = np.random.Generator(np.random.PCG64(4))
    model.set_weights([generator.uniform(0.5, 1.5, array.shape) for array in model.get_weights()])
    return model


def names_of(model: Any) -> dict[str, str]:
    """The unnamed layer has another name in each model of a process; in a checkpoint by names it is `conv2d`."""
    return {model.layers[1].name: "conv2d"}


def by_name(model: Any) -> dict[str, np.ndarray]:
    names = names_of(model)
    return {
        f"{names.get(layer.name, layer.name)}/{variable.name}": variable.numpy()
        for layer in model.layers
        for variable in layer.variables
    }


def of_keras_3(model: Any, folder: Path) -> Path:
    return Path(tf.train.Checkpoint(model=model).write(str(folder / "net")))


def of_keras_3_as_root(model: Any, folder: Path) -> Path:
    return Path(tf.train.Checkpoint(model, step=tf.Variable(3)).save(str(folder / "net")))


def of_keras_2(model: Any, folder: Path) -> Path:
    """Keras 2 numbers the layers that have weights, and has the optimizer's numbers beside them."""
    weighted = [layer for layer in model.layers if layer.variables]
    arrays = {
        f"layer_with_weights-{index}/{variable.name}/.ATTRIBUTES/VARIABLE_VALUE": variable.numpy()
        for index, layer in enumerate(weighted)
        for variable in layer.variables
    }
    kernel = "layer_with_weights-0/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"
    return write_arrays(folder / "net", arrays | {kernel: np.zeros((3, 3, 3, 4), np.float32)})


def of_tensorflow_1(model: Any, folder: Path) -> Path:
    arrays = {f"some/scope/{name}": array for name, array in by_name(model).items()}
    return write_arrays(folder / "net.ckpt", arrays | {"global_step": np.int64(7)})


@pytest.mark.parametrize("write", [of_keras_3, of_keras_3_as_root, of_keras_2, of_tensorflow_1])
def test_a_checkpoint_gives_each_layer_its_weights(write: Any, tmp_path: Path):
    trained, fresh = trained_model(), small_model()

    load_checkpoint(fresh, names_of(fresh), write(trained, tmp_path), "small")

    for found, expected in zip(fresh.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_a_checkpoint_lacks_or_has_in_another_shape_is_named_and_nothing_is_taken(tmp_path: Path):
    model = small_model()
    arrays = by_name(trained_model())
    del arrays["norm/gamma"]
    arrays["conv2d/kernel"] = arrays["conv2d/kernel"][:1]
    before = [array.copy() for array in model.get_weights()]

    with pytest.raises(NetworkInvalid) as caught:
        load_checkpoint(model, names_of(model), write_arrays(tmp_path / "net", arrays), "small")

    words = str(caught.value)
    assert "not one of small" in words
    assert "without norm/gamma" in words
    assert "conv2d/kernel (1, 3, 3, 4), not (3, 3, 3, 4)" in words
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_refused(part: str, tmp_path: Path):
    prefix = of_tensorflow_1(trained_model(), tmp_path)
    path = prefix.with_name(f"{prefix.name}.{part}")
    data = bytearray(path.read_bytes())
    data[10:40] = bytes(30)
    path.write_bytes(data)

    with pytest.raises(NetworkInvalid, match="not whole"):
        read_checkpoint(prefix)


# The whole way in, for a network whose layers are known.


@pytest.fixture(scope="module")
def mobilenet() -> Any:
    keras.utils.set_random_seed(2)
    model = build_untrained("mobilenet_v2")
    generator = np.random.Generator(np.random.PCG64(6))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.6, 1.4, array.shape) for array in layer.get_weights()])
    return model


def as_checkpoint(model: Any, folder: Path) -> Path:
    return Path(tf.train.Checkpoint(model=model).write(str(folder / "net"))).with_suffix(".index")


def as_keras_weights(model: Any, folder: Path) -> Path:
    model.save_weights(folder / "net.weights.h5")
    return folder / "net.weights.h5"


def as_legacy_weights(model: Any, folder: Path) -> Path:
    with h5py.File(folder / "net.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return folder / "net.h5"


@pytest.mark.parametrize("write", [as_checkpoint, as_keras_weights, as_legacy_weights])
def test_weights_of_ones_own_for_known_layers_make_a_network(write: Any, mobilenet: Any, tmp_path: Path):
    path = write(mobilenet, tmp_path)

    card, _ = import_network("mine", path, FOR_MOBILENET, weights_folder=tmp_path / "w")

    network = load_network("mine", weights_folder=tmp_path / "w", offline=True)
    image = noise_image(49, 55)[None].astype(np.float32) / 255
    found = network.activations(["block_6_expand"])(image)["block_6_expand"]
    part = keras.Model(mobilenet.inputs, mobilenet.get_layer("block_6_expand").output)
    expected = part([image * 2 - 1], training=False).numpy()
    assert np.abs(found - expected).max() < 1e-4 * expected.std()
    assert (card.input_scale, card.input_offset, card.smallest_side) == (2.0, -1.0, 32)
    assert card.architecture == "mobilenet_v2"
    assert card == find_card("mine", tmp_path / "w")


def test_a_checkpoint_is_known_by_its_prefix_its_files_and_its_folder(tmp_path: Path):
    prefix = of_tensorflow_1(trained_model(), tmp_path)
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")

    for path in (prefix, prefix.with_name(f"{prefix.name}.index"), data, tmp_path):
        assert recognize(path) is Form.CHECKPOINT

    write_arrays(tmp_path / "second", {"a": np.zeros(2, np.float32)})
    with pytest.raises(NetworkInvalid, match="several checkpoints"):
        recognize(tmp_path)


def test_weights_without_layers_need_to_be_told_whose_they_are(mobilenet: Any, tmp_path: Path):
    path = as_keras_weights(mobilenet, tmp_path)

    with pytest.raises(RecipeError, match=r"holds Keras weights.*--architecture"):
        import_network("mine", path, weights_folder=tmp_path / "w")
    with pytest.raises(UnknownName, match="mobilenet_v2"):
        import_network("mine", path, ImportOptions(architecture="mobilenet"), weights_folder=tmp_path / "w")
    with pytest.raises(NetworkInvalid, match="does not hold vgg16"):
        import_network("mine", path, ImportOptions(architecture="vgg16"), weights_folder=tmp_path / "w")


def test_the_default_network_can_be_built_for_weights_in_keras_form():
    model = build_untrained("efficientnet_lite0")

    shipped = load_network("efficientnet_lite0", weights_folder=Path("none"), offline=True).body.model
    assert [variable.path for variable in model.variables] == [variable.path for variable in shipped.variables]
    assert [variable.shape for variable in model.variables] == [variable.shape for variable in shipped.variables]


def test_a_layer_that_keras_leaves_as_it_was_made_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Keras passes over what it does not find in some files, and says so in a warning only."""
    model = small_model()
    model.save_weights(tmp_path / "net.weights.h5")
    monkeypatch.setattr(model, "load_weights", lambda _path: None)

    with pytest.raises(NetworkInvalid, match="missing"):
        load_keras_weights(model, tmp_path / "net.weights.h5", "small", "net.weights.h5")

"""Whole Keras models from files, `.keras` or legacy `.h5`: what they name is checked before Keras builds any of it."""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from dream.errors import NetworkInvalid
from dream.networks.architectures import load_keras_weights
from dream.networks.keras_archives import check_hdf5, keras_config, unpack_keras_weights

_LARGEST_SIDE = 2048
_DEEPEST = 100

_LAYERS = frozenset({
    "Functional", "Model", "Sequential", "InputLayer",
    "Conv2D", "Dense", "DepthwiseConv2D", "SeparableConv2D",
    "BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization", "Rescaling", "UnitNormalization",
    "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU",
    "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D",
    "Cropping2D", "ZeroPadding2D",
    "Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract",
    "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D",
    "Flatten", "Identity", "Permute", "Reshape",
})  # fmt: skip
_PARTS_OF_LAYERS = frozenset({
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones",
    "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm",
    "DTypePolicy", "Policy", "__keras_tensor__", "__tuple__",
})  # fmt: skip
_MODULE = re.compile(
    r"keras|(?:tf_)?keras\.(?:layers|initializers|regularizers|constraints|activations|dtype_policies|models)"
    r"|keras\.src(?:\.engine|\.models)\.(?:functional|sequential|model)|builtins"
)


def load_keras_model(path: Path, what: str) -> keras.Model:
    """The model in a file, for inference; its layers are all Keras' own, and none of them runs code of the file.

    what: name of the file for people, in errors.

    Raises:
        NetworkInvalid: the file is damaged, holds layers that are not known here, or takes something else than
            pictures of three channels.
    """
    _check_config(keras_config(path, what), what)
    if not zipfile.is_zipfile(path):
        check_hdf5(path, what)
        return _built(path, what)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.weights.h5"
        unpack_keras_weights(path, weights, what)
        check_hdf5(weights, what)
        model = _built(path, what)
        load_keras_weights(model, weights, "the weights of all its layers", what)
    return model


def _built(path: Path, what: str) -> keras.Model:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except Exception as error:  # a damaged file raises nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise NetworkInvalid(f"{what} is no Keras model that can be built: {reason}") from error
    _check_input(model, what)
    return model


def _check_config(config: Mapping[str, Any], what: str) -> None:
    for named in _named(config, what, 0):
        name, module, registered = (named.get(key) for key in ("class_name", "module", "registered_name"))
        if name not in _LAYERS | _PARTS_OF_LAYERS:
            raise NetworkInvalid(
                f"{what} is refused: it holds {name!r}, which is no layer of a network to dream with; "
                "see docs/networks.md#what-a-keras-model-may-hold"
            )
        if (module is not None and not (isinstance(module, str) and _MODULE.fullmatch(module))) or (
            registered not in {None, name}
        ):
            raise NetworkInvalid(f"{what} is refused: its {name} comes from {module or registered!r}, not from Keras")


def _named(value: Any, what: str, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every object of the configuration that says what class it is of."""
    if depth > _DEEPEST:
        raise NetworkInvalid(f"{what} is refused: its configuration is nested too deep")
    if isinstance(value, Mapping):
        if "class_name" in value:
            yield value
        for each in value.values():
            yield from _named(each, what, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each, what, depth + 1)


def _check_input(model: Any, what: str) -> None:
    shapes = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or ()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        listed = ", ".join(map(str, shapes)) or "nothing yet, as it was never built"
        raise NetworkInvalid(
            f"{what} takes {listed}; a network to dream with takes pictures: (batch, height, width, 3)"
        )
    if any(side is not None and side > _LARGEST_SIDE for side in shapes[0][1:3]):
        raise NetworkInvalid(f"{what} takes pictures of {shapes[0][1:3]} only, more than {_LARGEST_SIDE} pixels a side")

"""TensorFlow checkpoints: their arrays by key, and which of them belongs to which weight of a network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import trackable_object_graph_pb2

from dream.errors import NetworkInvalid
from dream.networks.limits import MOST_BYTES

Array = NDArray[Any]

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_MOST_LISTED = 8

# Keras 3 numbers all layers of a model, Keras 2 those that have weights.
_BY_LAYER = re.compile(r"(?:.*/)?(?:_operations|_layers)/(\d+)/_?(\w+)")
_BY_WEIGHTED_LAYER = re.compile(r"(?:.*/)?layer_with_weights-(\d+)/_?(\w+)")


def read_checkpoint(prefix: Path) -> dict[str, Array]:
    """The arrays of numbers in a checkpoint by their keys, floats as float32.

    Raises:
        NetworkInvalid: it is damaged, or too large.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        numbers = [key for key in sorted(shapes) if types[key].is_floating or types[key].is_integer]
        _check_size(sum(math.prod(shapes[key]) * types[key].size for key in numbers))
        found = {key: np.asarray(reader.get_tensor(key)) for key in numbers}
    except NetworkInvalid:
        raise
    except Exception as error:  # a damaged checkpoint raises nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise NetworkInvalid(f"the checkpoint is not whole: {reason}") from error
    return {key: array.astype(np.float32) if types[key].is_floating else array for key, array in found.items()}


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise NetworkInvalid(f"the checkpoint is refused: its arrays take more than {MOST_BYTES >> 20} MB")


def load_checkpoint(model: keras.Model, names: Mapping[str, str], prefix: Path, what: str) -> None:
    """Gives the model the weights of a checkpoint, written of such a model by Keras or TensorFlow.

    names: from the model's layer names to the ones that a checkpoint by names would have.
    what: the name of the architecture, for the error.

    Arrays are found by the number of their layer, as `tf.train.Checkpoint` writes them, or by the names of layer and
    weight, such as `conv2d_3/kernel`, whatever stands before these.

    Raises:
        NetworkInvalid: some weight is missing or has another shape, and which.
    """
    arrays = read_checkpoint(prefix)
    found = _by_number(model, arrays)
    by_name = _by_name(arrays, _full_names(prefix))
    missing, wrong = [], []
    values = []
    for layer in model.layers:
        for variable in layer.variables:
            name = f"{names.get(layer.name, layer.name)}/{variable.name}"
            array = found.get((layer.name, variable.name), by_name.get(name))
            if array is None:
                missing.append(name)
            elif array.shape != tuple(variable.shape):
                wrong.append(f"{name} {array.shape}, not {tuple(variable.shape)}")
            else:
                values.append((variable, array))
    if missing or wrong:
        said = [f"without {_listed(missing)}"] if missing else []
        said += [f"with {_listed(wrong)}"] if wrong else []
        raise NetworkInvalid(
            f"the checkpoint is not one of {what}: it comes {' and '.join(said)}; "
            f"it has {_listed([key.removesuffix(_VALUE) for key in arrays])}"
        )
    for variable, array in values:
        variable.assign(array)


def _by_number(model: keras.Model, arrays: Mapping[str, Array]) -> dict[tuple[str, str], Array]:
    weighted = [layer for layer in model.layers if layer.variables]
    found: dict[tuple[str, str], Array] = {}
    for key, array in arrays.items():
        path = key.removesuffix(_VALUE)
        for pattern, layers in ((_BY_LAYER, model.layers), (_BY_WEIGHTED_LAYER, weighted)):
            match = pattern.fullmatch(path)
            if match and int(match[1]) < len(layers):
                found[layers[int(match[1])].name, match[2]] = array
    return found


def _by_name(arrays: Mapping[str, Array], full_names: Mapping[str, str]) -> dict[str, Array]:
    """By layer and weight, for what has such a name as key or beside it; a name that is there twice means neither."""
    found: dict[str, Array | None] = {}
    for key, array in arrays.items():
        parts = full_names.get(key, key.removesuffix(_VALUE)).split("/")
        name = "/".join(parts[-2:])
        found[name] = None if name in found else array
    return {name: array for name, array in found.items() if array is not None}


def _full_names(prefix: Path) -> dict[str, str]:
    """From keys to the names that the variables had when they were written, where the checkpoint says."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        if not reader.has_tensor(_OBJECT_GRAPH):
            return {}
        graph.ParseFromString(reader.get_tensor(_OBJECT_GRAPH))
    except Exception as error:  # a damaged checkpoint raises nearly anything
        raise NetworkInvalid("the checkpoint is not whole: it does not say what its arrays are") from error
    return {each.checkpoint_key: each.full_name for node in graph.nodes for each in node.attributes if each.full_name}


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = len(shown) - _MOST_LISTED
    return ", ".join(shown[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")

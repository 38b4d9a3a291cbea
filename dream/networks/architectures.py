"""The networks that this program can build by itself, as Keras models without their trained weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np

from dream.errors import NetworkInvalid, UnknownName
from dream.networks.efficientnet_lite0 import blank_efficientnet_lite0
from dream.networks.inception_v3 import inception_v3, inception_v3_top
from dream.networks.keras_archives import check_hdf5


def build_untrained(architecture: str) -> keras.Model:
    """The layers of the card `architecture`; input (batch, height, width, 3) float32, scaled as that card says.

    Raises:
        UnknownName: no network has this name.
    """
    try:
        build = _ARCHITECTURES[architecture]
    except KeyError:
        raise UnknownName("architecture", architecture, _ARCHITECTURES) from None
    return build()


def load_keras_weights(model: keras.Model, path: Path, network: str, what: str) -> None:
    """Gives the model the weights of a Keras file: `.weights.h5`, or the legacy form, whose name ends in `.h5` only.

    network, what: names of the network and of the file for people, in errors.

    Raises:
        NetworkInvalid: the file is damaged, reaches out of itself, or holds other layers.
    """
    check_hdf5(path, what)
    # Keras leaves a layer as it is where the file says nothing of it. It is to be seen then that it was left.
    for variable in model.variables:
        variable.assign(np.full(variable.shape, np.nan))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_weights(str(path))
    except Exception as error:  # a file of something else raises nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NetworkInvalid(f"{what} does not hold {network}: {reason}") from error
    check_finite(model)


def check_finite(model: keras.Model) -> None:
    """Sees that every weight is a finite number.

    Raises:
        NetworkInvalid: some layer has one that is not, or was given none.
    """
    for layer in model.layers:
        if not all(np.isfinite(array).all() for array in layer.get_weights()):
            raise NetworkInvalid(
                f"the weights of layer {layer.name!r} are missing, or not finite numbers: the file is damaged, or is "
                "one of another network"
            )


def _vgg16() -> keras.Model:
    return keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))


def _resnet50v2() -> keras.Model:
    return keras.applications.ResNet50V2(include_top=False, weights=None, input_shape=(None, None, 3))


def _mobilenet_v2() -> keras.Model:
    picture = keras.Input((None, None, 3))
    # Given a tensor, Keras does not warn that the size of the pictures is unknown, as it is meant to be.
    return keras.applications.MobileNetV2(include_top=False, weights=None, input_tensor=picture)


_ARCHITECTURES: Mapping[str, Callable[[], keras.Model]] = MappingProxyType(
    {
        "efficientnet_lite0": blank_efficientnet_lite0,
        "inception_v3": inception_v3,
        "inception_v3_top": inception_v3_top,
        "vgg16": _vgg16,
        "resnet50v2": _resnet50v2,
        "mobilenet_v2": _mobilenet_v2,
    }
)

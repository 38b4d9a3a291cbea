"""EfficientNet-Lite0 as a Keras model, from a PyTorch checkpoint.

Architecture: Tan and Le, "EfficientNet", 2019, in the Lite variant of TensorFlow's TPU repository: no squeeze and
excitation, ReLU6, `same` padding. Batch normalization is folded into the convolution before it, so every
convolution here has a bias and its output is what the original calls the normalized one.

Layer names, for the blocks 0 to 15: `block4_expand_pre` is the widening 1x1 convolution before its ReLU6 and
`block4_expand` after it; `block4_depthwise_pre` and `block4_depthwise` likewise; `block4_project` is the narrowing
1x1 convolution, which has no activation, and `block4_output` what the block hands on. `stem` and `head` come with
`stem_pre` and `head_pre`; `logits` are the 1000 class scores before the softmax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dream.errors import NetworkInvalid

Tensors = Mapping[str, NDArray[Any]]

_BATCH_NORM_EPSILON = 1e-3
_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_CLASSES = 1000
# kernel, stride of the first block, expansion, output channels, blocks
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


@dataclass(frozen=True)
class _Block:
    index: int
    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int

    @property
    def has_shortcut(self) -> bool:
        return self.stride == 1 and self.channels_in == self.channels_out


def build_efficientnet_lite0(tensors: Tensors) -> keras.Model:
    """The network with these weights; input (batch, height, width, 3) float32, already scaled as its card says.

    tensors: the checkpoint's arrays under their PyTorch names.

    Raises:
        NetworkInvalid: an array is missing or has another shape.
    """
    return _build(_Weights(tensors))


def _build(weights: _Weights) -> keras.Model:
    picture = keras.Input((None, None, 3), name="input")
    x = _convolve(picture, weights, "stem", conv="_conv_stem", norm="_bn0", channels=_STEM_CHANNELS, kernel=3, stride=2)
    for block in _blocks():
        x = _add_block(x, weights, block)
    x = _convolve(x, weights, "head", conv="_conv_head", norm="_bn1", channels=_HEAD_CHANNELS, kernel=1)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(_CLASSES, name="logits")
    x = logits(x)
    logits.set_weights(
        [weights.take("_fc.weight", (_CLASSES, _HEAD_CHANNELS)).T, weights.take("_fc.bias", (_CLASSES,))]
    )
    return keras.Model(picture, x, name="efficientnet_lite0")


def blank_efficientnet_lite0() -> keras.Model:
    """The same with every weight zero, for weights that come in Keras' own form."""
    return _build(_Weights(None))


def _blocks() -> Iterator[_Block]:
    index, channels = 0, _STEM_CHANNELS
    for kernel, stride, expansion, channels_out, repeats in _STAGES:
        for repeat in range(repeats):
            yield _Block(index, kernel, stride if repeat == 0 else 1, expansion, channels, channels_out)
            index, channels = index + 1, channels_out


def _add_block(x: Any, weights: _Weights, block: _Block) -> Any:
    name, stored = f"block{block.index}", f"_blocks.{block.index}."
    shortcut = x
    wide = block.channels_in * block.expansion
    if block.expansion > 1:
        x = _convolve(
            x, weights, f"{name}_expand", conv=f"{stored}_expand_conv", norm=f"{stored}_bn0", channels=wide, kernel=1
        )
    x = _convolve_depthwise(x, weights, name, block, channels=wide)
    kernel, bias = weights.folded(f"{stored}_project_conv", f"{stored}_bn2", shape=(block.channels_out, wide, 1, 1))
    project = keras.layers.Conv2D(block.channels_out, 1, padding="same", name=f"{name}_project")
    x = project(x)
    project.set_weights([kernel.transpose(2, 3, 1, 0), bias])
    if block.has_shortcut:
        return keras.layers.Add(name=f"{name}_output")([x, shortcut])
    return keras.layers.Identity(name=f"{name}_output")(x)


def _convolve(
    x: Any, weights: _Weights, name: str, *, conv: str, norm: str, channels: int, kernel: int, stride: int = 1
) -> Any:
    layer = keras.layers.Conv2D(channels, kernel, strides=stride, padding="same", name=f"{name}_pre")
    folded, bias = weights.folded(conv, norm, shape=(channels, x.shape[-1], kernel, kernel))
    x = layer(x)
    layer.set_weights([folded.transpose(2, 3, 1, 0), bias])
    return keras.layers.ReLU(max_value=6.0, name=name)(x)


def _convolve_depthwise(x: Any, weights: _Weights, name: str, block: _Block, *, channels: int) -> Any:
    layer = keras.layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", name=f"{name}_depthwise_pre"
    )
    stored = f"_blocks.{block.index}."
    folded, bias = weights.folded(
        f"{stored}_depthwise_conv", f"{stored}_bn1", shape=(channels, 1, block.kernel, block.kernel)
    )
    x = layer(x)
    layer.set_weights([folded.transpose(2, 3, 0, 1), bias])
    return keras.layers.ReLU(max_value=6.0, name=f"{name}_depthwise")(x)


class _Weights:
    """Arrays by their PyTorch names, with batch normalization folded in on the way out; without tensors, zeros."""

    def __init__(self, tensors: Tensors | None) -> None:
        self._tensors = tensors

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if self._tensors is None:
            return np.zeros(shape, np.float32)
        array = self._tensors.get(name)
        if array is None or array.shape != shape:
            got = "nothing" if array is None else f"shape {array.shape}"
            raise NetworkInvalid(
                f"the weights file holds {got} under {name!r}, expected shape {shape}; install the package again"
            )
        return array

    def folded(
        self, conv: str, norm: str, *, shape: tuple[int, int, int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel (out, in, height, width) and bias that do convolution and batch normalization in one.

        Source: with s = gamma / sqrt(variance + epsilon), the kernel becomes s * kernel and the bias
        beta - s * mean. Computed in float64, so that folding costs one rounding and no more.
        """
        kernel = self.take(f"{conv}.weight", shape).astype(np.float64)
        gamma, beta, mean, variance = (
            self.take(f"{norm}.{part}", shape[:1]).astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        return (
            (kernel * scale[:, None, None, None]).astype(np.float32),
            (beta - scale * mean).astype(np.float32),
        )

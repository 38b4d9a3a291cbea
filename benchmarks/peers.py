"""The loops that people copy for DeepDream, written here for the comparison: one recipe, four ways to run it.

Each climbs the sum of the means of some layers by steps of the gradient over its standard deviation, pixels clipped
to their range, on one picture at its own size. None of them is code of ours in other words: the point is to do what
the published examples do, the way they do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Picture = np.ndarray
"""float32, shape (height, width, 3), -1 to 1, as InceptionV3 takes it."""

Climb = Callable[[Picture, int, float], Picture]
"""(picture, steps, step size on -1 to 1) -> the picture after them."""

LAYERS = ("mixed3", "mixed5")


def inception(seed: int = 11) -> Any:
    """InceptionV3 without its classifier with random weights, and batch statistics as its activations have them.

    Times do not depend on what the weights are, and gradients are as comparable as with trained ones. The statistics
    are set so that every layer's output has unit spread, as in a trained network: otherwise all would fade to zero.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.applications.InceptionV3(include_top=False, weights=None)
    generator = np.random.Generator(np.random.PCG64(seed))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            beta, mean, variance = layer.get_weights()
            # Glorot's initial kernels halve the energy at a ReLU; a variance of a half gives it back.
            layer.set_weights([generator.normal(0, 0.2, beta.shape), mean, np.full_like(variance, 0.5)])
    return model


def operations(height: int, width: int) -> int:
    """Floating-point operations of one step on a picture of this size, counted on the real shapes of its layers.

    Two for each multiplication of a convolution, forward, and as many again for the gradient of the pixels.
    """
    import keras

    sized = truncated(keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(height, width, 3)))
    convolutions = [layer for layer in sized.layers if isinstance(layer, keras.layers.Conv2D)]
    return sum(4 * int(np.prod(layer.output.shape[1:3])) * int(np.prod(layer.kernel.shape)) for layer in convolutions)


def truncated(model: Any) -> Any:
    """The model up to the layers that are climbed."""
    import keras

    return keras.Model(model.input, [model.get_layer(name).output for name in LAYERS])


def _tape_step(model: Any, pixels: Any, step_size: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(pixels)
        activations = model(pixels[None], training=False)
        loss = tf.add_n([tf.reduce_mean(activation) for activation in activations])
    gradient = tape.gradient(loss, pixels)
    gradient /= tf.math.reduce_std(gradient) + 1e-8
    return tf.clip_by_value(pixels + gradient * step_size, -1.0, 1.0), loss


def objectives(model: Any, pictures: list[Any]) -> list[float]:
    """The objective on each picture, uint8."""
    import tensorflow as tf

    network = truncated(model)
    found = []
    for picture in pictures:
        pixels = tf.constant(picture.astype(np.float32) / 127.5 - 1)[None]
        found.append(float(tf.add_n([tf.reduce_mean(value) for value in network(pixels, training=False)])))
    return found


def tutorial(model: Any) -> Climb:
    """As the TensorFlow tutorial: the steps in one tf.function over pictures of any size."""
    import tensorflow as tf

    network = truncated(model)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 3], tf.float32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.float32),
        ]
    )
    def loop(pixels: Any, steps: Any, step_size: Any) -> Any:
        for _ in tf.range(steps):
            pixels, _ = _tape_step(network, pixels, step_size)
        return pixels

    def climb(picture: Picture, steps: int, step_size: float) -> Picture:
        pixels = loop(tf.constant(picture), tf.constant(steps), tf.constant(step_size, tf.float32))
        found: Picture = pixels.numpy()
        return found

    return climb


def keras_example(model: Any) -> Climb:
    """As the Keras example: one step in a tf.function, called from Python, the loss looked at after each."""
    import tensorflow as tf

    network = truncated(model)

    @tf.function
    def step(pixels: Any, step_size: Any) -> Any:
        return _tape_step(network, pixels, step_size)

    def climb(picture: Picture, steps: int, step_size: float) -> Picture:
        pixels = tf.constant(picture)
        for _ in range(steps):
            pixels, loss = step(pixels, tf.constant(step_size, tf.float32))
            float(loss)
        found: Picture = pixels.numpy()
        return found

    return climb


def eager(model: Any) -> Climb:
    """As the paper's experiments: a tape in plain Python, nothing compiled."""
    import tensorflow as tf

    network = truncated(model)

    def climb(picture: Picture, steps: int, step_size: float) -> Picture:
        pixels = tf.constant(picture)
        for _ in range(steps):
            pixels, _ = _tape_step(network, pixels, step_size)
        found: Picture = pixels.numpy()
        return found

    return climb


def gradient(model: Any, picture: Picture) -> Picture:
    """The gradient of the objective at the picture by a plain tape on the Keras model: what all are held against."""
    import tensorflow as tf

    network = truncated(model)
    pixels = tf.constant(picture)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        loss = tf.add_n([tf.reduce_mean(value) for value in network(pixels[None], training=False)])
    found: Picture = tape.gradient(loss, pixels).numpy()
    return found


def torch_loop(model: Any) -> Climb:
    """A plain PyTorch loop with channels-last over the same layers with the same weights.

    Raises:
        ImportError: torch is not installed.
    """
    import torch

    forward = _torch_layers(truncated(model))

    def climb(picture: Picture, steps: int, step_size: float) -> Picture:
        pixels = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()).to(memory_format=torch.channels_last)
        for _ in range(steps):
            pixels.requires_grad_(True)
            (gradient,) = torch.autograd.grad(forward(pixels), pixels)
            with torch.no_grad():
                pixels = (pixels + step_size * gradient / (gradient.std() + 1e-8)).clamp(-1, 1)
        found: Picture = pixels[0].permute(1, 2, 0).numpy()
        return found

    return climb


def _torch_layers(network: Any) -> Callable[[Any], Any]:
    """From pixels to the objective: the layers of the Keras network one by one, as torch.nn.functional has them."""
    import torch
    from torch.nn import functional

    def tensor(variable: Any) -> Any:
        return torch.from_numpy(np.array(variable))

    def same(layer: Any) -> tuple[int, ...]:
        window = getattr(layer, "kernel_size", None) or layer.pool_size
        return tuple(side // 2 for side in window) if layer.padding == "same" else (0, 0)

    def convolution(layer: Any) -> Callable[[Any], Any]:
        kernel = tensor(layer.kernel).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        return lambda x: functional.conv2d(x, kernel, stride=layer.strides, padding=same(layer))

    def batch_norm(layer: Any) -> Callable[[Any], Any]:
        mean, variance, beta = (tensor(value) for value in (layer.moving_mean, layer.moving_variance, layer.beta))
        return lambda x: functional.batch_norm(x, mean, variance, bias=beta, eps=layer.epsilon)

    def average(layer: Any) -> Callable[[Any], Any]:
        return lambda x: functional.avg_pool2d(x, layer.pool_size, layer.strides, same(layer), count_include_pad=False)

    make: dict[str, Callable[[Any], Callable[..., Any]]] = {
        "Conv2D": convolution,
        "BatchNormalization": batch_norm,
        "Activation": lambda _layer: functional.relu,
        "MaxPooling2D": lambda layer: lambda x: functional.max_pool2d(x, layer.pool_size, layer.strides),
        "AveragePooling2D": average,
        "Concatenate": lambda _layer: lambda *parts: torch.cat(parts, dim=1),
    }
    steps = []
    for layer in network.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        names = [tensor._keras_history.operation.name for tensor in inputs]
        steps.append((layer.name, names, make[type(layer).__name__](layer)))
    start = network.layers[0].name

    def forward(pixels: Any) -> Any:
        values = {start: pixels}
        for name, names, run in steps:
            values[name] = run(*(values[each] for each in names))
        return sum(values[name].mean() for name in LAYERS)

    return forward

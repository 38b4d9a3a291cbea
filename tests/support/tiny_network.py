"""A network of two convolutions with known weights: everything about a dream can be checked on it in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from dream.networks.cards import NetworkCard

TINY_CARD = NetworkCard(
    name="tiny",
    description="two convolutions for tests",
    source="made by a test",
    license="CC0-1.0",
    weights_file="none",
    weights_sha256="0" * 64,
    input_scale=2.0,
    input_offset=-1.0,
    smallest_side=8,
)


def tiny_weights() -> list[np.ndarray]:
    """Kernel and bias of `first` (3x3, stride 2, 3 to 6 channels) and `second` (3x3, 6 to 4 channels)."""
    generator = np.random.Generator(np.random.PCG64(7))
    return [
        generator.normal(0, 0.4, (3, 3, 3, 6)).astype(np.float32),
        generator.normal(0, 0.2, 6).astype(np.float32),
        generator.normal(0, 0.4, (3, 3, 6, 4)).astype(np.float32),
        generator.normal(0, 0.2, 4).astype(np.float32),
    ]


def tiny_network(weights: list[np.ndarray] | None = None) -> Any:
    """`first` (before its ReLU), `first_relu` and `second`; input 3 channels, any size from 8 pixels."""
    from dream.runtime import configure

    configure()
    import keras

    from dream.networks.keras_body import keras_network

    picture = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="valid", name="first")(picture)
    x = keras.layers.ReLU(name="first_relu")(x)
    x = keras.layers.Conv2D(4, 3, padding="valid", name="second")(x)
    model = keras.Model(picture, x)
    model.set_weights(weights or tiny_weights())
    return keras_network(TINY_CARD, model)


def numpy_activations(image: np.ndarray, weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The same three activations in float64 by plain loops, for a picture (height, width, 3) of values 0 to 1."""
    first = _convolve(image.astype(np.float64) * 2 - 1, weights[0], weights[1], stride=2)
    rectified = np.maximum(first, 0)
    return {"first": first, "first_relu": rectified, "second": _convolve(rectified, weights[2], weights[3], stride=1)}


def _convolve(image: np.ndarray, kernel: np.ndarray, bias: np.ndarray, *, stride: int) -> np.ndarray:
    height, width = ((side - 3) // stride + 1 for side in image.shape[:2])
    out = np.zeros((height, width, kernel.shape[3]))
    for row in range(height):
        for column in range(width):
            window = image[row * stride : row * stride + 3, column * stride : column * stride + 3]
            out[row, column] = np.tensordot(window, kernel.astype(np.float64), axes=3) + bias
    return out


def noise_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3): coloured blotches with some grain, so that every octave has something to see."""
    generator = np.random.Generator(np.random.PCG64(seed))
    coarse = generator.integers(40, 216, (height // 8 + 1, width // 8 + 1, 3))
    blotches = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)[:height, :width]
    return np.clip(blotches + generator.integers(-20, 21, (height, width, 3)), 0, 255).astype(np.uint8)

"""Feature vectors of pictures: what a deep layer of a network shows of each, averaged over its places."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dream.errors import ImageUnusable, NetworkInvalid
from dream.feature_algorithms import FeatureAlgorithm
from dream.networks.network import Network


def feature_vectors(pictures: NDArray[np.uint8], algorithm: FeatureAlgorithm, network: Network) -> NDArray[np.float32]:
    """The vectors of some pictures, shape (count, length), each 1 long, or 0 where the layer shows nothing at all.

    pictures: uint8, shape (count, side, side, 3), sRGB, squeezed to that square; all go through the network at once.

    No picture depends on the others, but for the rounding of sums of float32.

    Raises:
        ImageUnusable: the array is something else.
        NetworkInvalid: the network is not the one that the algorithm names, or has other weights.
        UnknownName: it has no such layer.
    """
    _check(pictures, algorithm, network)
    pooled = _pooler(network, algorithm.layer)(tf.constant(pictures)).numpy().astype(np.float64)
    if pooled.shape[1] != algorithm.length:
        raise NetworkInvalid(f"{algorithm.layer!r} has {pooled.shape[1]} channels, {algorithm.name} has it wrong")
    lengths = np.sqrt(np.sum(np.square(pooled), axis=1, keepdims=True))
    return np.asarray(pooled / np.where(lengths == 0.0, 1.0, lengths), np.float32)


def _check(pictures: NDArray[np.uint8], algorithm: FeatureAlgorithm, network: Network) -> None:
    expected = (algorithm.side, algorithm.side, 3)
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != expected:
        raise ImageUnusable(
            f"pictures for {algorithm.name} are uint8 of shape (count, {', '.join(map(str, expected))}), got "
            f"{pictures.dtype} of {pictures.shape}"
        )
    card = network.card
    if (card.name, card.weights_sha256) != (algorithm.network, algorithm.weights_sha256):
        raise NetworkInvalid(
            f"{algorithm.name} is made with {algorithm.network} and its weights {algorithm.weights_sha256}, not with "
            f"{card.name} and {card.weights_sha256}; other weights make other vectors, which need a name of their own"
        )


@lru_cache(maxsize=4)
def _pooler(network: Network, layer: str) -> Any:
    activations = network.activations([layer])

    def pooled(pictures: Any) -> Any:
        activation = activations(tf.cast(pictures, tf.float32) / 255.0)[layer]
        return tf.reduce_mean(activation, axis=[1, 2]) if activation.shape.rank == 4 else activation

    return tf.function(pooled, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], autograph=False)

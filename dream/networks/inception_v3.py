"""InceptionV3 without its classifier, from Keras Applications, with layer names that do not depend on the process.

Keras numbers unnamed layers per thread: a second InceptionV3 in the same program has `conv2d_94` where the first has
`conv2d`. Here `conv2d_k` is always the k-th convolution made, `conv2d` the first, as in a fresh program, and so for
the other unnamed layers. `conv2d_k` is the value before batch normalization and ReLU, `activation_k` after both;
`mixed0` to `mixed10` join the branches of a block.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import keras

from dream.errors import NetworkInvalid

_AUTOMATIC_NAME = re.compile(
    r"(conv2d|batch_normalization|activation|average_pooling2d|max_pooling2d|concatenate)(?:_(\d+))?"
)


def build_inception_v3(weights: Path) -> keras.Model:
    """The network with the weights of this file; input (batch, height, width, 3) float32, -1 to 1.

    Raises:
        NetworkInvalid: the file does not hold these layers.
    """
    model = keras.applications.InceptionV3(include_top=False, weights=None)
    try:
        model.load_weights(str(weights))
    except (ValueError, OSError, KeyError) as error:
        raise NetworkInvalid(f"{weights.name} does not hold InceptionV3 without its classifier: {error}") from error
    return model


def canonical_names(model: keras.Model) -> dict[str, str]:
    """From the names Keras gave the unnamed layers to the names they have in a fresh program."""
    groups: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for layer in model.layers:
        match = _AUTOMATIC_NAME.fullmatch(layer.name)
        if match:
            groups[match[1]].append((int(match[2] or 0), layer.name))
    return {
        name: base if rank == 0 else f"{base}_{rank}"
        for base, members in groups.items()
        for rank, (_, name) in enumerate(sorted(members))
    }

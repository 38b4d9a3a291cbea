"""InceptionV3, from Keras Applications, with layer names that do not depend on the process.

Keras numbers unnamed layers per thread: a second InceptionV3 in the same program has `conv2d_94` where the first has
`conv2d`. Here `conv2d_k` is always the k-th convolution made, `conv2d` the first, as in a fresh program, and so for
the other unnamed layers. `conv2d_k` is the value before batch normalization and ReLU, `activation_k` after both;
`mixed0` to `mixed10` join the branches of a block. With the classifier, `avg_pool` and `logits` follow.
"""

from __future__ import annotations

import re
from collections import defaultdict

import keras

_AUTOMATIC_NAME = re.compile(
    r"(conv2d|batch_normalization|activation|average_pooling2d|max_pooling2d|concatenate)(?:_(\d+))?"
)


CLASSES = 1000


def inception_v3() -> keras.Model:
    """The network without its classifier and without trained weights; input (batch, height, width, 3), -1 to 1."""
    return keras.applications.InceptionV3(include_top=False, weights=None)


def inception_v3_top() -> keras.Model:
    """The same with its classifier, up to the 1000 class scores before the softmax, for pictures of any size.

    Keras' own takes pictures of 299 by 299 only; it pools over all places as well, so the scores are the same.
    """
    base = inception_v3()
    pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(base.output)
    return keras.Model(base.input, keras.layers.Dense(CLASSES, name="logits")(pooled), name="inception_v3_top")


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

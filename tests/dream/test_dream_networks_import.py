"""What a person has in a file, in any common form, becomes a network to dream with."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from dream.errors import NetworkInvalid, RecipeError, UnknownName, WeightsCorrupt, WeightsUnavailable
from dream.networks import find_card, imported_names, load_network, remove_imported
from dream.networks.importing import ImportOptions, import_network
from dream.recipes import ExponentOctaves, LayerTerm, Normalization, Recipe
from dream.render import render
from tests.support.network_files import expected, write_graph
from tests.support.network_kinds import KINDS, PLAIN
from tests.support.tiny_network import noise_image, tiny_weights

PICTURE = noise_image(21, 26)


@pytest.fixture(scope="module")
def weights_folder(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder into which each kind was imported, under the name of its kind."""
    folder = tmp_path_factory.mktemp("weights")
    for name, kind in KINDS.items():
        import_network(name, sources[name], kind.options, weights_folder=folder)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_an_imported_network_computes_the_plain_convolutions(name: str, weights_folder: Path):
    kind = KINDS[name]
    network = load_network(name, weights_folder=weights_folder, offline=True)
    image = PICTURE.astype(np.float32) / 255

    found = network.activations([kind.first, kind.first_relu, kind.second])(image[None])

    by_hand = expected(image, kind.weights(), scale=kind.scale, offset=kind.offset)
    for layer, key in ((kind.first, "first"), (kind.first_relu, "first_relu"), (kind.second, "second")):
        np.testing.assert_allclose(found[layer][0], by_hand[key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_a_dream_of_one_channel_climbs_on_it(name: str, weights_folder: Path):
    network = load_network(name, weights_folder=weights_folder, offline=True)
    recipe = Recipe(
        objective=(LayerTerm(layer=KINDS[name].second, channels=(2,)),),
        octaves=ExponentOctaves(scale=1.3, exponents=(0,)),
        steps=4,
        step_size=0.02,
        normalization=Normalization.STD,
    )

    (facts,) = render([PICTURE], recipe, network).facts

    assert all(last > first for first, last in facts["objective_values"])


@pytest.mark.parametrize("name", KINDS)
def test_its_layers_are_listed_with_their_shapes_windows_and_costs(name: str, weights_folder: Path):
    network = load_network(name, weights_folder=weights_folder, offline=True)

    convolutions = [layer for layer in network.layers if layer.is_convolution]

    # By hand: 3x3x3x6 and 3x3x6x4 numbers; the first convolution looks at every second pixel.
    assert [(layer.channels, layer.shape) for layer in convolutions] == [
        (6, "(None, None, None, 6)"),
        (4, "(None, None, None, 4)"),
    ]
    assert [(layer.kernel, layer.stride, layer.padding) for layer in convolutions] == [
        ((3, 3), 2, "valid"),
        ((3, 3), 1, "valid"),
    ]
    assert [(layer.receptive_field, layer.total_stride) for layer in convolutions] == [(3, 2), (7, 2)]
    assert [layer.macs_per_pixel for layer in convolutions] == [162 / 4, 162 / 4 + 216 / 4]
    assert [layer.convolutions for layer in convolutions] == [1, 2]
    assert sum(layer.parameters for layer in network.layers) == 162 + 6 + 216 + 4


def test_the_card_says_what_is_known_and_is_found_by_name(weights_folder: Path):
    graph, model = find_card("graph", weights_folder), find_card("keras", weights_folder)

    assert (graph.input_scale, graph.input_offset, graph.input_tensor) == (255.0, -117.0, "input:0")
    assert (graph.license, graph.source, graph.imported) == ("NOASSERTION", "imported from net.pb", True)
    assert (model.license, model.source, model.channel_order) == ("CC0-1.0", "made by a test", "RGB")
    # Two convolutions without padding, 3x3 at stride 2 and 3x3: (7 - 3) / 2 + 1 = 3 pixels are left of 7.
    assert graph.smallest_side == model.smallest_side == 7
    assert set(KINDS) <= set(imported_names(weights_folder))
    with pytest.raises(UnknownName, match="'graph'"):
        find_card("grahp", weights_folder)


def test_the_same_file_again_is_no_work_and_another_is_refused(
    sources: dict[str, Path], weights_folder: Path, tmp_path: Path
):
    other = write_graph(tmp_path / "net.pb", lambda x: tf.nn.relu(x, name="third"))

    card, is_new = import_network("graph", sources["graph"], weights_folder=weights_folder)

    assert (card, is_new) == (find_card("graph", weights_folder), False)
    with pytest.raises(RecipeError, match=r"another file.*networks remove graph"):
        import_network("graph", other, weights_folder=weights_folder)
    with pytest.raises(RecipeError, match=r"other options.*networks remove graph"):
        import_network("graph", sources["graph"], ImportOptions(input_scale=1.0), weights_folder=weights_folder)


def test_a_removed_network_is_gone_and_its_name_free(sources: dict[str, Path], tmp_path: Path):
    import_network("mine", sources["graph"], weights_folder=tmp_path)

    remove_imported("mine", tmp_path)

    assert imported_names(tmp_path) == ()
    with pytest.raises(UnknownName):
        load_network("mine", weights_folder=tmp_path)
    assert import_network("mine", sources["keras"], PLAIN, weights_folder=tmp_path)[1]


@pytest.mark.parametrize("name", ["vgg16", "VGG16", "a b", "../up", "", "-first", "a" * 65, "päper"])
def test_a_name_that_is_taken_or_not_plain_is_refused(name: str, sources: dict[str, Path], tmp_path: Path):
    with pytest.raises(RecipeError, match=r"name of a network that comes|cannot be called"):
        import_network(name, sources["graph"], weights_folder=tmp_path)

    assert list(tmp_path.rglob("*.pb")) == []


def test_a_byte_that_changed_in_the_kept_file_is_noticed_and_the_way_out_is_named(
    sources: dict[str, Path], tmp_path: Path
):
    card, _ = import_network("mine", sources["graph"], weights_folder=tmp_path)
    kept = tmp_path / card.weights_file
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)

    with pytest.raises(WeightsCorrupt, match="networks remove mine"):
        load_network("mine", weights_folder=tmp_path)


@pytest.mark.parametrize("field", ["version", "weights_file", "weights_sha256", "form", "cut"])
def test_a_damaged_card_is_an_answer_not_a_crash(field: str, sources: dict[str, Path], tmp_path: Path):
    import_network("mine", sources["graph"], weights_folder=tmp_path)
    path = tmp_path / "imported" / "mine" / "card.json"
    document = json.loads(path.read_text())
    values = {"version": 99, "weights_file": "imported/mine/../../../secret", "weights_sha256": "no", "form": "pickle"}
    if field == "version":
        document["version"] = 99
    elif field != "cut":
        document["card"][field] = values[field]
    text = json.dumps(document)
    path.write_text(text[: len(text) // 2] if field == "cut" else text)

    with pytest.raises(NetworkInvalid, match="networks remove mine"):
        find_card("mine", tmp_path)


def test_a_weights_folder_that_cannot_be_written_is_reported(sources: dict[str, Path], tmp_path: Path):
    (tmp_path / "w").write_text("a file")

    with pytest.raises(WeightsUnavailable, match="cannot be written"):
        import_network("mine", sources["graph"], weights_folder=tmp_path / "w")


def test_what_a_killed_import_left_is_cleared_away_by_the_next(sources: dict[str, Path], tmp_path: Path):
    left = tmp_path / "imported" / ".mine.0123.tmp"
    left.mkdir(parents=True)
    (left / "graph.pb").write_bytes(b"half")

    import_network("mine", sources["graph"], weights_folder=tmp_path)

    assert not left.exists()
    assert imported_names(tmp_path) == ("mine",)


def test_a_saved_model_of_tensorflow_1_is_read_by_the_names_of_its_variables(tmp_path: Path):
    kernel, bias, *_ = tiny_weights()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        pictures = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="pictures")
        weights = [
            tf.compat.v1.get_variable(f"layer/{index}", initializer=each) for index, each in enumerate((kernel, bias))
        ]
        out = tf.nn.bias_add(tf.nn.conv2d(pictures, weights[0], 2, "VALID", name="conv"), weights[1], name="biased")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "old"), {"in": pictures}, {"out": out})

    import_network("mine", tmp_path / "old", PLAIN, weights_folder=tmp_path / "w")

    network = load_network("mine", weights_folder=tmp_path / "w", offline=True)
    image = PICTURE.astype(np.float32) / 255
    found = network.activations(["biased"])(image[None])["biased"][0]
    by_hand = expected(image, tiny_weights(), scale=2.0, offset=-1.0)["first"]
    np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-4)


def test_a_keras_model_with_a_head_of_one_size_is_dreamed_on_below_it(tmp_path: Path):
    picture = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2, name="dilated")(picture)
    gate = keras.layers.GlobalAveragePooling2D(name="squeeze")(x)
    gate = keras.layers.Reshape((1, 1, 4), name="spread")(gate)
    x = keras.layers.Multiply(name="gated")([x, keras.layers.Conv2D(4, 1, name="excite")(gate)])
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Dense(5, name="scores")(keras.layers.Flatten(name="flat")(x))
    keras.Model(picture, x).save(tmp_path / "net.keras")

    import_network("mine", tmp_path / "net.keras", PLAIN, weights_folder=tmp_path / "w")

    network = load_network("mine", weights_folder=tmp_path / "w", offline=True)
    gated, pool = network.layer("gated"), network.layer("pool")
    assert [layer.name for layer in network.layers] == ["dilated", "squeeze", "spread", "excite", "gated", "pool"]
    # A window of 3 with every second pixel spans 5.
    assert (gated.shape, gated.receptive_field, gated.total_stride) == ("(None, None, None, 4)", 5, 1)
    assert (pool.receptive_field, pool.total_stride) == (6, 2)
    assert network.activations(["pool"])(np.zeros((1, 51, 40, 3), np.float32))["pool"].shape == (1, 25, 20, 4)


def test_two_imports_at_once_make_one_network(sources: dict[str, Path], tmp_path: Path):
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(import_network, "mine", sources["graph"], weights_folder=tmp_path) for _ in range(2)]
        outcomes = [run.result() for run in runs]

    assert sorted(is_new for _, is_new in outcomes) == [False, True]
    assert outcomes[0][0] == outcomes[1][0] == find_card("mine", tmp_path)
    assert sorted(path.name for path in (tmp_path / "imported").iterdir()) == [".mine.lock", "mine"]

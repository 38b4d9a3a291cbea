"""What a person has in a file, in any common form, becomes a network to dream with, or is refused whole."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dream.errors import DreamError, NetworkInvalid, RecipeError, UnknownName, WeightsCorrupt, WeightsUnavailable
from dream.networks import find_card, imported_names, load_network, remove_imported
from dream.networks.importing import ImportOptions, import_network
from dream.networks.limits import MOST_BYTES
from dream.recipes import ExponentOctaves, LayerTerm, Normalization, Recipe
from dream.render import render
from tests.support.network_files import (
    GRAPH_MEAN,
    expected,
    graph_weights,
    tiny_graph,
    tiny_keras_model,
    write_graph,
    write_saved_model,
)
from tests.support.tiny_network import noise_image, tiny_weights

PICTURE = noise_image(21, 26)
PLAIN = ImportOptions(input_scale=2.0, input_offset=-1.0, license="CC0-1.0", source="made by a test")


@dataclass(frozen=True)
class Kind:
    """How a file of this kind is written, and what the layers of the tiny network are called in it."""

    write: Callable[[Path], Path]
    options: ImportOptions
    first: str
    first_relu: str
    second: str
    scale: float = 2.0
    offset: float = -1.0
    weights: Callable[[], list[np.ndarray]] = tiny_weights


def _keras(path: Path) -> Path:
    tiny_keras_model().save(path / "net.keras")
    return path / "net.keras"


def _h5(path: Path) -> Path:
    tiny_keras_model().save(path / "net.h5")
    return path / "net.h5"


def _keras_of_one_size(path: Path) -> Path:
    tiny_keras_model(side=40).save(path / "net.keras")
    return path / "net.keras"


def _exported(path: Path) -> Path:
    tiny_keras_model().export(path / "exported", verbose=False)
    return path / "exported"


KINDS = {
    "graph": Kind(
        lambda path: write_graph(path / "net.pb"),
        ImportOptions(),
        "first_pre_relu",
        "first",
        "second",
        255.0,
        -GRAPH_MEAN,
        graph_weights,
    ),
    "keras": Kind(_keras, PLAIN, "first", "first_relu", "second"),
    "keras_of_one_size": Kind(_keras_of_one_size, PLAIN, "first", "first_relu", "second"),
    "h5": Kind(_h5, PLAIN, "first", "first_relu", "second"),
    "saved_model": Kind(lambda path: write_saved_model(path / "saved"), PLAIN, "first_bias", "first_relu", "add"),
    "saved_model_of_one_size": Kind(
        lambda path: write_saved_model(path / "saved", side=40), PLAIN, "first_bias", "first_relu", "add"
    ),
    "exported": Kind(_exported, PLAIN, "first_1/BiasAdd", "first_relu_1/Relu", "second_1/BiasAdd"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    for name in KINDS:
        (folder / name).mkdir()
    return {name: kind.write(folder / name) for name, kind in KINDS.items()}


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


# Files that are refused.


def refused(path: Path, folder: Path, options: ImportOptions | None = None) -> str:
    """The words in which a file is refused; nothing of it may be left in the weights folder."""
    with pytest.raises(DreamError) as caught:
        import_network("mine", path, options, weights_folder=folder / "w")
    left = [each for each in (folder / "w").rglob("*") if not each.name.endswith(".lock") and each.is_file()]
    assert left == []
    assert imported_names(folder / "w") == ()
    return f"{type(caught.value).__name__}: {caught.value}"


def test_an_operation_that_reads_files_is_refused_in_a_graph(tmp_path: Path):
    path = write_graph(tmp_path / "net.pb", lambda _x: tf.raw_ops.ReadFile(filename="/etc/hostname"))

    words = refused(path, tmp_path)

    assert "ReadFile (1)" in words
    assert "docs/networks.md#what-a-graph-may-hold" in words


def test_an_operation_that_writes_files_is_refused_in_a_function_of_a_graph_even_if_nobody_calls_it(tmp_path: Path):
    graph = tiny_graph()
    function = graph.library.function.add()
    function.signature.name = "harmless"
    function.node_def.add(name="write", op="WriteFile")
    (tmp_path / "net.pb").write_bytes(graph.SerializeToString())

    assert "WriteFile (1)" in refused(tmp_path / "net.pb", tmp_path)


def test_an_operation_that_reads_files_is_refused_in_a_function_of_a_saved_model(tmp_path: Path):
    path = write_saved_model(tmp_path / "saved", reads="/etc/hostname")

    assert "ReadFile (1)" in refused(path, tmp_path, PLAIN)


def test_an_operation_that_writes_files_is_refused_in_a_function_of_a_saved_model_that_nobody_calls(tmp_path: Path):
    path = write_saved_model(tmp_path / "saved") / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    function = saved.meta_graphs[0].graph_def.library.function.add()
    function.signature.name = "harmless"
    function.node_def.add(name="write", op="WriteFile")
    path.write_bytes(saved.SerializeToString())

    assert "WriteFile (1)" in refused(path.parent, tmp_path, PLAIN)


def test_what_initializes_variables_is_refused_within_the_network_itself(tmp_path: Path):
    """A SavedModel may hold it beside the network, where it is never run."""

    class Dice(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
        def serve(self, pictures: Any) -> Any:
            x = tf.nn.conv2d(pictures, tf.ones([3, 3, 3, 2]), 1, "SAME")
            return {"out": x + tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32)}

    module = Dice()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.serve)

    assert "RandomUniform (1)" in refused(tmp_path / "saved", tmp_path, PLAIN)


def test_a_saved_model_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_saved_model(tmp_path / "saved")

    def explode(*_arguments: object, **_options: object) -> None:
        raise AssertionError("loading runs what the file says")

    monkeypatch.setattr(tf.saved_model, "load", explode)

    assert import_network("mine", path, PLAIN, weights_folder=tmp_path / "w")[1]


def test_a_lambda_layer_is_refused(tmp_path: Path):
    picture = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(picture)
    keras.Model(picture, keras.layers.Lambda(lambda value: value * 2)(x)).save(tmp_path / "net.keras")

    assert "'Lambda'" in refused(tmp_path / "net.keras", tmp_path, PLAIN)


@pytest.mark.parametrize("module", ["os", "builtins.exec", "keras.utils", "evil"])
def test_a_configuration_that_names_modules_beside_the_layers_is_refused(
    module: str, sources: dict[str, Path], tmp_path: Path
):
    changed = with_config(
        sources["keras"], tmp_path, lambda text: text.replace('"module": "keras.layers"', f'"module": "{module}"')
    )

    assert module in refused(changed, tmp_path, PLAIN)


def with_config(source: Path, folder: Path, change: Callable[[str], str]) -> Path:
    target = folder / "changed.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, change(data.decode()).encode() if member == "config.json" else data)
    return target


@pytest.mark.parametrize("name", ["graph", "keras", "h5", "saved_model"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_file_that_is_cut_short_is_refused(name: str, share: float, sources: dict[str, Path], tmp_path: Path):
    source = sources[name]
    cut = tmp_path / source.name
    if source.is_dir():
        shutil.copytree(source, cut)
        inner = cut / "saved_model.pb"
        inner.write_bytes(inner.read_bytes()[: int(inner.stat().st_size * share)])
    else:
        cut.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])

    assert refused(cut, tmp_path, KINDS[name].options).startswith("NetworkInvalid")


def test_a_saved_model_with_cut_weights_is_refused(sources: dict[str, Path], tmp_path: Path):
    shutil.copytree(sources["saved_model"], tmp_path / "saved")
    data = next((tmp_path / "saved" / "variables").glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:40])

    assert refused(tmp_path / "saved", tmp_path, PLAIN).startswith("NetworkInvalid")


@pytest.mark.parametrize("name", ["graph", "keras", "h5"])
def test_bytes_that_were_damaged_anywhere_end_in_an_answer(name: str, sources: dict[str, Path], tmp_path: Path):
    data = sources[name].read_bytes()
    generator = np.random.Generator(np.random.PCG64(1))

    for trial in range(12):
        damaged = bytearray(data)
        for place in generator.integers(0, len(data), 20):
            damaged[place] = generator.integers(0, 256)
        path = tmp_path / f"{trial}{sources[name].suffix}"
        path.write_bytes(damaged)
        try:
            import_network(f"n{trial}", path, KINDS[name].options, weights_folder=tmp_path / "w")
        except DreamError:
            continue  # that it can be loaded, or is refused in words, is all that is asked


@pytest.mark.parametrize("name", ["graph", "keras", "h5", "saved_model"])
def test_weights_that_are_not_numbers_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken = [array.copy() for array in KINDS[name].weights()]
    broken[2][0, 0, 0, 0] = np.nan
    monkeypatch.setattr("tests.support.network_files.tiny_weights", lambda: broken)
    monkeypatch.setattr("tests.support.network_files.graph_weights", lambda: broken)

    assert "not finite" in refused(KINDS[name].write(tmp_path), tmp_path, KINDS[name].options)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dream.networks.keras_archives.MOST_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"\0" * 1_000_001)

    assert "unpacks to more" in refused(tmp_path / "bomb.keras", tmp_path, PLAIN)


def test_arrays_far_larger_than_their_file_are_refused(tmp_path: Path):
    graph = tiny_graph()
    kernel = next(node for node in graph.node if node.op == "Const")
    tensor = kernel.attr["value"].tensor
    tensor.tensor_content = b""
    tensor.float_val.append(1.0)
    tensor.tensor_shape.dim[0].size = MOST_BYTES
    (tmp_path / "net.pb").write_bytes(graph.SerializeToString())

    assert "take more than" in refused(tmp_path / "net.pb", tmp_path)


def test_an_hdf5_file_that_leads_to_other_files_is_refused(sources: dict[str, Path], tmp_path: Path):
    path = tmp_path / "net.h5"
    shutil.copy(sources["h5"], path)
    with h5py.File(path, "r+") as file:
        file["model_weights"]["more"] = h5py.ExternalLink("/etc/hostname", "/")

    assert "leads out of it" in refused(path, tmp_path, PLAIN)


def test_an_hdf5_file_whose_arrays_are_kept_elsewhere_is_refused(sources: dict[str, Path], tmp_path: Path):
    path = tmp_path / "net.h5"
    shutil.copy(sources["h5"], path)
    with h5py.File(path, "r+") as file:
        file.create_dataset("outside", (4,), "u1", external=[("/etc/hostname", 0, 4)])

    assert "kept outside of it" in refused(path, tmp_path, PLAIN)


def test_what_is_not_there_or_nothing_known_is_refused_in_words(tmp_path: Path):
    (tmp_path / "empty.pb").write_bytes(b"")
    (tmp_path / "text.pb").write_text("node { }")
    (tmp_path / "folder").mkdir()

    assert "not there" in refused(tmp_path / "missing.pb", tmp_path)
    assert "no GraphDef" in refused(tmp_path / "empty.pb", tmp_path)
    assert "no whole GraphDef" in refused(tmp_path / "text.pb", tmp_path)
    assert "no SavedModel and no checkpoint" in refused(tmp_path / "folder", tmp_path)


def test_an_option_that_does_not_go_with_the_file_is_refused(sources: dict[str, Path], tmp_path: Path):
    plain = replace(PLAIN, license=None, source=None)

    assert "--input-scale and --input-offset" in refused(sources["keras"], tmp_path)
    assert "leave out --architecture" in refused(sources["graph"], tmp_path, ImportOptions(architecture="vgg16"))
    assert "leave out --input" in refused(sources["keras"], tmp_path, replace(plain, input_tensor="x"))
    assert "UnknownName" in refused(sources["graph"], tmp_path, ImportOptions(input_tensor="inptu"))
    assert "no layer is called 'thrid'" in refused(sources["keras"], tmp_path, replace(plain, classifier="thrid"))
    assert "not a list of class scores" in refused(sources["keras"], tmp_path, replace(plain, classifier="second"))
    assert "cannot be 6" in refused(sources["keras"], tmp_path, replace(plain, smallest_side=6))
    with pytest.raises(RecipeError, match="channel_order"):
        ImportOptions(channel_order="GBR")


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


def test_a_keras_file_without_the_weights_of_a_layer_is_refused_and_not_filled_with_chance(
    sources: dict[str, Path], tmp_path: Path
):
    with zipfile.ZipFile(sources["keras"]) as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "r+") as file:
        del file["layers"]["conv2d_1"]
    with zipfile.ZipFile(sources["keras"]) as old, zipfile.ZipFile(tmp_path / "net.keras", "w") as new:
        for member in ("config.json", "metadata.json"):
            new.writestr(member, old.read(member))
        new.write(tmp_path / "model.weights.h5", "model.weights.h5")

    assert refused(tmp_path / "net.keras", tmp_path, PLAIN).startswith("NetworkInvalid")


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

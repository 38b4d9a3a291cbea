"""Files that are refused as networks: whole, in words, and without a trace."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dream.errors import DreamError, RecipeError
from dream.networks import imported_names
from dream.networks.importing import ImportOptions, import_network
from dream.networks.limits import MOST_BYTES
from tests.support.network_files import tiny_graph, write_graph, write_saved_model
from tests.support.network_kinds import KINDS, PLAIN


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

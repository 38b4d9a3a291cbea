"""Every kind of file that can be imported, with the tiny network in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dream.networks.importing import ImportOptions
from tests.support.network_files import GRAPH_MEAN, graph_weights, tiny_keras_model, write_graph, write_saved_model
from tests.support.tiny_network import tiny_weights

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


def write_all(folder: Path) -> dict[str, Path]:
    """One file or folder of each kind."""
    for name in KINDS:
        (folder / name).mkdir()
    return {name: kind.write(folder / name) for name, kind in KINDS.items()}

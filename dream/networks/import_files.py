"""What a file that is to be imported is, told from its content, and bounds on it before anything reads it in earnest.

No TensorFlow here. Files come from anywhere: they may be damaged, huge, or made to do harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from dream.errors import NetworkInvalid, WeightsUnavailable
from dream.networks.cards import Form
from dream.networks.keras_archives import open_hdf5
from dream.networks.limits import MOST_BYTES

_BLOCK_BYTES = 1 << 20
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_INDEX_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_SAVED_MODEL = "saved_model.pb"


def recognize(path: Path) -> Form:
    """What the file, folder or checkpoint prefix at `path` is.

    Raises:
        WeightsUnavailable: there is nothing there, or it cannot be read.
        NetworkInvalid: it is nothing that can be imported.
    """
    try:
        if path.is_dir():
            return _recognize_folder(path)
        if not path.exists():
            if checkpoint_prefix(path) is not None:
                return Form.CHECKPOINT
            raise WeightsUnavailable(f"{path} is not there; give the path of a file, a folder or a checkpoint")
        if not path.is_file():
            raise WeightsUnavailable(f"{path} is neither a file nor a folder")
        with path.open("rb") as stream:
            head = stream.read(len(_HDF5))
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read: {error.strerror}") from error
    if head.startswith(_ZIP):
        return Form.KERAS
    if head == _HDF5:
        return _recognize_hdf5(path)
    if checkpoint_prefix(path) is not None:
        return Form.CHECKPOINT
    if path.name == _SAVED_MODEL and (path.parent / "variables").is_dir():
        raise NetworkInvalid(f"{path} is part of a SavedModel; give its folder, {path.parent}")
    # A GraphDef has no mark of its own: whether it is one shows when it is read.
    return Form.GRAPH


def checkpoint_prefix(path: Path) -> Path | None:
    """The prefix of the checkpoint that `path` names: itself, its `.index` or a `.data-` file; None if it is none."""
    name = path.name
    if name.endswith(".index"):
        prefix = path.with_name(name.removesuffix(".index"))
    elif ".data-" in name:
        prefix = path.with_name(name.rpartition(".data-")[0])
    else:
        prefix = path
    index = prefix.with_name(f"{prefix.name}.index")
    if not prefix.name or not index.is_file():
        return None
    with index.open("rb") as stream:
        stream.seek(max(0, index.stat().st_size - len(_INDEX_MAGIC)))
        return prefix if stream.read() == _INDEX_MAGIC else None


def stage(path: Path, form: Form, folder: Path) -> tuple[Path, str]:
    """Copies what is to be imported into a new folder, where nothing changes it any more.

    Returns the copy (for a checkpoint its prefix) and the SHA-256 of it: of the file, or of the names and digests of
    the files where there are several.

    Raises:
        WeightsUnavailable: it cannot be copied.
        NetworkInvalid: it is too large, or has no files.
    """
    folder.mkdir()
    copied = folder / _plain_name(form)
    left = MOST_BYTES
    digests: dict[str, str] = {}
    try:
        for source, relative in _files(path, form):
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            digests[relative], length = _copy(source, target, left)
            left -= length
    except OSError as error:
        raise WeightsUnavailable(f"{path} could not be copied to {folder}: {error.strerror or error}") from error
    if not digests:
        raise NetworkInvalid(f"{path} holds no files of a network")
    if len(digests) == 1:
        return copied, next(iter(digests.values()))
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return copied, hashlib.sha256(listed.encode()).hexdigest()


def _plain_name(form: Form) -> str:
    return {
        Form.KERAS: "model.keras",
        Form.H5: "model.h5",
        Form.KERAS_WEIGHTS: "model.weights.h5",
        Form.LEGACY_WEIGHTS: "model.h5",
        Form.CHECKPOINT: "checkpoint",
        Form.SAVED_MODEL: "saved_model",
        Form.GRAPH: "graph.pb",
        Form.WEIGHTS: "weights",
    }[form]


def _files(path: Path, form: Form) -> Iterator[tuple[Path, str]]:
    """The files of a network with their names in the copy; links are followed, as a person's own folders have them."""
    if form is Form.CHECKPOINT:
        prefix = checkpoint_prefix(path) or checkpoint_in(path)
        for file in sorted(prefix.parent.iterdir()):
            suffix = file.name.removeprefix(prefix.name)
            if file.name.startswith(prefix.name) and (suffix == ".index" or suffix.startswith(".data-")):
                yield file, f"checkpoint{suffix}"
    elif form is Form.SAVED_MODEL:
        yield path / _SAVED_MODEL, f"saved_model/{_SAVED_MODEL}"
        variables = path / "variables"
        for file in sorted(variables.iterdir()) if variables.is_dir() else ():
            if file.name.startswith("variables."):
                yield file, f"saved_model/variables/{file.name}"
    else:
        yield path, _plain_name(form)


def _copy(source: Path, target: Path, most: int) -> tuple[str, int]:
    digest, length = hashlib.sha256(), 0
    if not source.is_file():
        raise WeightsUnavailable(f"{source} is not a file")
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            length += len(block)
            if length > most:
                raise NetworkInvalid(f"{source} is too large: a network may have {MOST_BYTES >> 20} MB at most")
            digest.update(block)
            writer.write(block)
    return digest.hexdigest(), length


def _recognize_folder(path: Path) -> Form:
    if (path / _SAVED_MODEL).is_file():
        return Form.SAVED_MODEL
    checkpoint_in(path)
    return Form.CHECKPOINT


def checkpoint_in(folder: Path) -> Path:
    """The prefix of the only checkpoint in a folder.

    Raises:
        NetworkInvalid: there is none, or more than one.
    """
    found = [prefix for file in sorted(folder.glob("*.index")) if (prefix := checkpoint_prefix(file)) is not None]
    if len(found) != 1:
        what = "no SavedModel and no checkpoint" if not found else "several checkpoints; give the .index file of one"
        raise NetworkInvalid(f"{folder} holds {what}")
    return found[0]


def _recognize_hdf5(path: Path) -> Form:
    with open_hdf5(path, path.name) as file:
        if "model_config" in file.attrs:
            return Form.H5
        if "layer_names" in file.attrs:
            return Form.LEGACY_WEIGHTS
        if "layers" in file or "vars" in file or "_layer_checkpoint_dependencies" in file:
            return Form.KERAS_WEIGHTS
    raise NetworkInvalid(f"{path} is an HDF5 file, but holds neither a Keras model nor weights of one")

"""Networks of one's own: each in a folder of the weights folder, its card beside its file. No TensorFlow here.

    WEIGHTS/imported/NAME/card.json    everything that is known of it, with the digest of the file
    WEIGHTS/imported/NAME/graph.pb     or model.keras, model.h5, model.weights.h5

A network appears whole, by one rename, or not at all; so it goes. What is in `card.json` was written by this program,
but it is read as any file is: checked.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dream.errors import NetworkInvalid, RecipeError, UnknownName, WeightsUnavailable
from dream.networks.cards import CHANNEL_ORDERS, NETWORKS, Form, NetworkCard
from dream.networks.weights import folder_lock, pinned_card, sync_folder

CARD_FILE = "card.json"
CARD_VERSION = 1

_FOLDER = "imported"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_CARD_BYTES = 1 << 20


@dataclass(frozen=True)
class Imported:
    """An imported network as it is kept.

    Attributes:
        card: everything that is known of it.
        source_sha256: of what was imported, before it was brought into the form that is kept.
        options: what the person who imported it said about it.
    """

    card: NetworkCard
    source_sha256: str
    options: Mapping[str, Any]


def find_card(name: str, weights_folder: Path) -> NetworkCard:
    """The card of the network `name`: one that came with this program, or was imported into this weights folder.

    Where only an MD5 is published, the card has the SHA-256 that was pinned when the file arrived, if it has.

    Raises:
        UnknownName: no network has this name.
        NetworkInvalid: the card of the imported network is damaged.
    """
    if name in NETWORKS:
        return pinned_card(NETWORKS[name], weights_folder)
    names = imported_names(weights_folder)
    if name not in names:
        raise UnknownName("network", name, (*NETWORKS, *names))
    return read_imported(name, weights_folder).card


def imported_names(weights_folder: Path) -> tuple[str, ...]:
    """The names of the imported networks, sorted."""
    folder = weights_folder / _FOLDER
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()))


def read_imported(name: str, weights_folder: Path) -> Imported:
    """The imported network of this name.

    Raises:
        UnknownName: there is none.
        NetworkInvalid: its card is damaged.
    """
    _see_that_there_is(name, weights_folder)
    path = weights_folder / _FOLDER / name / CARD_FILE
    try:
        with path.open("rb") as stream:
            return _from_json(json.loads(stream.read(_MOST_CARD_BYTES)), name)
    except OSError as error:
        raise NetworkInvalid(f"{path} cannot be read: {error.strerror}; {_again(name)}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NetworkInvalid(f"{path} is no card of a network: {error}; {_again(name)}") from error


def remove_imported(name: str, weights_folder: Path) -> None:
    """Removes an imported network, card and file.

    Raises:
        UnknownName: there is none of this name.
        WeightsUnavailable: it cannot be removed.
    """
    if name in NETWORKS:
        raise RecipeError(f"{name} comes with this program and cannot be removed; its weights file can be deleted")
    _see_that_there_is(name, weights_folder)
    with importing(name, weights_folder) as folder:
        _see_that_there_is(name, weights_folder)
        gone = folder.with_name(f".{name}.{uuid.uuid4().hex}.tmp")
        try:
            # By a rename first: nobody may find a card without its file.
            folder.rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise WeightsUnavailable(f"{folder} cannot be removed: {error.strerror}") from error


@contextmanager
def importing(name: str, weights_folder: Path) -> Iterator[Path]:
    """The folder of an imported network, for one process at a time; what a killed one left is cleared away.

    Raises:
        RecipeError: the name is one that an imported network cannot have.
        WeightsUnavailable: the weights folder cannot be written.
    """
    check_name(name)
    folder = weights_folder / _FOLDER / name
    with folder_lock(folder):
        for left in folder.parent.glob(f".{name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        yield folder


def check_name(name: str) -> None:
    """Sees that an imported network can have this name: plain, and not that of one that came with the program.

    Raises:
        RecipeError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"a network cannot be called {name!r}; use up to 64 letters, digits, - and _, a letter or digit first"
        )
    if name.casefold() in NETWORKS:
        raise RecipeError(f"{name!r} is the name of a network that comes with this program; choose another")


def staging_folder(folder: Path) -> Path:
    """A new folder beside the one that it will become."""
    staging = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    staging.mkdir()
    return staging


def publish(staging: Path, folder: Path, network: Imported) -> None:
    """Writes the card beside the file and gives the folder its name; all of it is on disk then.

    Raises:
        WeightsUnavailable: it cannot be written.
    """
    document = {
        "version": CARD_VERSION,
        "card": asdict(network.card),
        "source_sha256": network.source_sha256,
        "options": dict(network.options),
    }
    try:
        (staging / CARD_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        for path in staging.iterdir():
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
        sync_folder(staging)
        staging.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise WeightsUnavailable(f"{folder} cannot be written: {error.strerror}") from error


def relative_file(name: str, file: str) -> str:
    """Where the file of an imported network is, seen from the weights folder."""
    return f"{_FOLDER}/{name}/{file}"


def _see_that_there_is(name: str, weights_folder: Path) -> None:
    names = imported_names(weights_folder)
    if name not in names:
        raise UnknownName("imported network", name, names)


def _from_json(values: Any, name: str) -> Imported:
    if values["version"] != CARD_VERSION:
        raise ValueError(f"it is of version {values['version']!r}, this program knows {CARD_VERSION}")
    source, options = values["source_sha256"], values["options"]
    if not _is_sha256(source) or not isinstance(options, dict):
        raise ValueError("it does not say where the network came from")
    return Imported(_card_from_json(values["card"], name), source, options)


def _card_from_json(values: Any, name: str) -> NetworkCard:
    known = {field.name for field in fields(NetworkCard)}
    if not isinstance(values, dict) or set(values) != known:
        raise ValueError("it lacks fields or has others")
    folder, _, file = str(values["weights_file"]).rpartition("/")
    if values["name"] != name or folder != f"{_FOLDER}/{name}" or not _FILE.fullmatch(file):
        raise ValueError("it is the card of another network")
    texts = ("description", "source", "license")
    if not all(isinstance(values[key], str) for key in texts) or not _is_sha256(values["weights_sha256"]):
        raise ValueError("a text or the digest is missing")
    if not all(values[key] is None or isinstance(values[key], str) for key in ("classifier", "input_tensor")):
        raise ValueError("a name is no text")
    if values["architecture"] is not None and values["architecture"] not in NETWORKS:
        raise ValueError(f"no network is called {values['architecture']!r}")
    side = values["smallest_side"]
    if values["channel_order"] not in CHANNEL_ORDERS or not isinstance(side, int) or side < 1:
        raise ValueError("the input is not described")
    if any(values[key] is not None for key in ("weights_md5", "weights_url", "weights_package")):
        raise ValueError("an imported network has no address")
    numbers = {key: _number(values[key]) for key in ("input_scale", "input_offset")}
    return NetworkCard(**{**values, **numbers, "form": Form(values["form"]), "imported": True})


def _number(value: Any) -> float | tuple[float, float, float]:
    parts = value if isinstance(value, list) else [value]
    if len(parts) not in {1, 3} or not all(isinstance(part, int | float) and math.isfinite(part) for part in parts):
        raise ValueError("the input's scale and offset must be numbers")
    return (float(parts[0]), float(parts[1]), float(parts[2])) if isinstance(value, list) else float(value)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _again(name: str) -> str:
    return f"run: dreamcrawl networks remove {name}, and import it again"

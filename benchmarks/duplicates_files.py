"""The files of the benchmark of duplicates: every edit of every picture, made and signed by several processes."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import imagehash
import numpy as np
from duplicates_edits import EDITS
from duplicates_pictures import pictures_of
from PIL import Image

from pipeline.duplicates.signatures import sign
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode

ROOT = Path(__file__).resolve().parents[1]
_SIGNING = ("borders", "hashes", "signatures", "texture")
_COMPARING = ("alignment", "index", "tiers", "verification")
Made = TypeVar("Made")


@dataclass(frozen=True)
class File:
    """An edit of a picture, and all that contenders in this environment want to know of it.

    Attributes:
        picture: Number of the picture.
        is_photo: Whether it is a photograph.
        digest: SHA-256 of its bytes.
        pixels: SHA-256 of its pixels.
        hashes: Of our signature, by algorithm.
        views: Of our signature, packed.
        phash64: imagehash.phash, 8 bytes.
        phash256: imagehash.phash(hash_size=16), 32 bytes.
        seconds: Contender -> CPU seconds to sign it, decoding left out.
    """

    picture: int
    name: str
    is_photo: bool
    kind: str
    edit: str
    digest: str
    pixels: str
    hashes: dict[str, bytes]
    views: bytes
    phash64: bytes
    phash256: bytes
    seconds: dict[str, float]


def make_files(half: str, folder: Path | None = None) -> list[File]:
    """Every edit of every picture of a half; the seed of an edit is its name.

    folder: Where the files are written, named by their position, for contenders that need them.
    """
    tasks = [
        (number, name, image, is_photo, folder)
        for number, (name, (image, is_photo)) in enumerate(pictures_of(half).items())
    ]
    made = in_processes(_edited, tasks)
    return [file for files in made for file in files]


def _edited(task: tuple[int, str, Image.Image, bool, Path | None]) -> list[File]:
    number, name, picture, is_photo, folder = task
    files = []
    for at, (kind, edit) in enumerate((kind, edit) for kind, edits in EDITS.items() for edit in edits):
        data = edited(name, picture, kind, edit)
        if folder is not None:
            (folder / f"{number:05}-{at:03}").write_bytes(data)
        rgb = decode(data).rgb
        signature, ours = _timed(lambda rgb=rgb: sign(rgb))
        image = Image.open(io.BytesIO(data)).convert("RGB")
        small, small_seconds = _timed(lambda image=image: imagehash.phash(image))
        large, large_seconds = _timed(lambda image=image: imagehash.phash(image, hash_size=16))
        files.append(
            File(
                picture=number,
                name=name,
                is_photo=is_photo,
                kind=kind,
                edit=edit,
                digest=hashlib.sha256(data).hexdigest(),
                pixels=pixel_sha256(rgb),
                hashes=signature.hashes,
                views=signature.views,
                phash64=np.packbits(small.hash).tobytes(),
                phash256=np.packbits(large.hash).tobytes(),
                seconds={"ours": ours, "phash64": small_seconds, "phash256": large_seconds},
            )
        )
    return files


def edited(name: str, picture: Image.Image, kind: str, edit: str) -> bytes:
    """A file of an edit of a picture."""
    random = np.random.default_rng(zlib.crc32(f"{name}/{kind}/{edit}".encode()))
    return EDITS[kind][edit](picture, random)


def _timed(make: Callable[[], Made]) -> tuple[Made, float]:
    started = time.process_time()
    made = make()
    return made, time.process_time() - started


def in_processes(
    work: Callable[[Any], Made],
    tasks: Iterable[Any],
    *,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> list[Made]:
    """`work` of every task, in their order, by as many processes as there are processors."""
    # Products of small matrices gain nothing from threads, and those of several processes wait for one another.
    os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    with ProcessPoolExecutor(
        os.cpu_count() or 1, mp_context=get_context("spawn"), initializer=start, initargs=arguments
    ) as pool:
        futures = [pool.submit(work, task) for task in tasks]
        for done, _ in enumerate(as_completed(futures), 1):
            if sys.stderr.isatty():
                print(f"\r{done} of {len(futures)} ", end="", file=sys.stderr, flush=True)
    return [future.result() for future in futures]


class Cache:
    """What earlier runs have made, each under a digest of all that it was made of; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        """folder: Made when something is first kept."""
        self._folder = folder

    def get(self, name: str, key: str, make: Callable[[], Made]) -> Made:
        """What was kept under a name and a key, or else what `make` makes."""
        path = None if self._folder is None else self._folder / f"{name}-{key[:24]}.pickle"
        if path is not None and path.exists():
            return pickle.loads(path.read_bytes())  # our own file
        made = make()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in path.parent.glob(f"{name}-*.pickle"):
                old.unlink()
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(pickle.dumps(made))
            part.replace(path)
        return made


def key_of_files(half: str) -> str:
    """A digest of all that files and what is known of them are made of: code, photographs, libraries."""
    paths = [*(ROOT / "benchmarks").glob("duplicates_[eflp]*.py")]
    paths += [ROOT / "pipeline" / "duplicates" / f"{name}.py" for name in _SIGNING]
    paths += [ROOT / "pipeline" / f"{name}.py" for name in ("images", "pixels", "fingerprints")]
    paths += (ROOT / "crawler" / "sample_site" / "photos").iterdir()
    return key_of([half, *_versions()], paths)


def key_of_tiers(half: str) -> str:
    """The same of our tiers of all pairs of files."""
    paths = [ROOT / "pipeline" / "duplicates" / f"{name}.py" for name in _COMPARING]
    paths.append(ROOT / "benchmarks" / "duplicates_tiers.py")
    return key_of([key_of_files(half)], paths)


def key_of(words: Iterable[str], paths: Iterable[Path]) -> str:
    """A digest of words and of the contents of files."""
    digest = hashlib.sha256()
    for part in (*(word.encode() for word in words), *_contents(paths)):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _contents(paths: Iterable[Path]) -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted(paths))


def _versions() -> list[str]:
    return [f"{name} {version(name)}" for name in ("Pillow", "numpy", "ImageHash")]

"""Processes that ingest, and that find, merge and decide meanwhile, for tests of groups with several writers."""

from __future__ import annotations

import functools
import multiprocessing
import random
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from PIL import Image

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates import stars
from pipeline.duplicates.finding import find_duplicates
from pipeline.duplicates.signatures import Signature, sign
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE, pixel_sha256
from pipeline.images import ImageLimits, decode
from pipeline.ingest.single import ingest_file
from pipeline.store import Store
from tests.support.ingesting_process import ExaminerHere
from tests.support.pictures import file_of, scene

Name = tuple[int, int]
"""Which scene, and which edit of it: all that are not mirrored are near duplicates of one another."""

MIRRORED = 0
Decisions = Mapping[tuple[Name, Name], str]
_WIDTHS = (160, 320, 250, 220, 200, 180)


@functools.cache
def data_of(name: Name) -> bytes:
    """The file of a picture."""
    number, edit = name
    image = Image.fromarray(scene(200 + number, width=320, height=240))
    if edit == MIRRORED:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return file_of(image.resize((_WIDTHS[edit], _WIDTHS[edit] * 3 // 4)), "JPEG", quality=85)


@functools.cache
def digest_of(name: Name) -> str:
    """By which the catalog knows a picture."""
    return pixel_sha256(decode(data_of(name)).rgb)


def start(
    task: str, root: Path, *, names: Sequence[Name], decisions: Decisions, seed: int
) -> tuple[BaseProcess, Connection]:
    """A process that waits for a value and then works; it sends a traceback, or an empty text when it is done.

    task: `ingest` takes the pictures in; `group` finds, merges and decides until it has seen all of them.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(task, root, names, decisions, seed, theirs))
    process.start()
    theirs.close()
    return process, ours


def _run(task: str, root: Path, names: Sequence[Name], decisions: Decisions, seed: int, parent: Connection) -> None:
    chance = random.Random(seed)
    try:
        with open_catalog(root / "catalog.sqlite3") as catalog:
            parent.recv()
            if task == "ingest":
                ingest(catalog, root, chance.sample(names, len(names)))
            else:
                _group(catalog, root, names, decisions, chance)
    except BaseException:
        parent.send(traceback.format_exc())
        raise
    parent.send("")


def ingest(catalog: Catalog, root: Path, names: Sequence[Name]) -> None:
    """Take pictures in, one after the other."""
    folder = Path(tempfile.mkdtemp(dir=root))
    for scene_number, edit in names:
        path = folder / f"{scene_number}-{edit}"
        path.write_bytes(data_of((scene_number, edit)))
        ingest_file(
            path,
            catalog=catalog,
            store=Store(root / "store"),
            run_id=None,
            limits=ImageLimits(),
            near_distance=DEFAULT_NEAR_DISTANCE,
            examiner=ExaminerHere(ImageLimits()),
        )


def find(catalog: Catalog, root: Path) -> None:
    """What `duplicates find` does."""
    find_duplicates(catalog, Store(root / "store"), near_distance=DEFAULT_NEAR_DISTANCE, sign=_signature)


def _group(catalog: Catalog, root: Path, names: Sequence[Name], decisions: Decisions, chance: random.Random) -> None:
    waiting = dict(decisions)
    while True:
        with catalog.read() as uow:
            met = {name for name in names if _id_of(uow, name) is not None}
        find(catalog, root)
        if chance.random() < 0.7:
            stars.merge_all(catalog)
        for (first, second), decision in list(waiting.items()):
            if {first, second} <= met and (chance.random() < 0.5 or len(met) == len(names)):
                with catalog.write() as uow:
                    ids = _id_of(uow, first), _id_of(uow, second)
                    assert ids[0] is not None
                    assert ids[1] is not None
                    stars.decide(uow, *ids, decision, by="ada")
                del waiting[first, second]
        if len(met) == len(names) and not waiting:
            return


def _id_of(uow: UnitOfWork, name: Name) -> int | None:
    item = uow.items.by_pixel_sha256(digest_of(name))
    return None if item is None else item.id


@functools.cache
def _signature(data: bytes) -> Signature:
    return sign(decode(data).rgb)

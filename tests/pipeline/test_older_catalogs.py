"""Catalogs of every revision, searched for duplicates late: the groups are those of the same pictures ingested anew."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from PIL import Image, ImageEnhance
from sqlalchemy import text

import pipeline.catalog.engine as engine_module
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.repositories.duplicates import Duplicates
from pipeline.catalog.schema import known_revisions
from pipeline.duplicates import stars
from pipeline.duplicates.finding import FindReport, find_duplicates
from pipeline.duplicates.signatures import ALGORITHM, Signature, sign
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import ImageLimits, decode
from pipeline.ingest.single import ingest_file
from pipeline.store import Store
from tests.support import plain_sql
from tests.support.ingesting_process import ExaminerHere
from tests.support.items import add_items
from tests.support.pictures import file_of, scene

# Neighbours of this row are near duplicates, its two ends are not: what is linked depends on what came first.
SHIFTS = tuple(range(0, 64, 8))
EDITS = (*(f"shifted {shift}" for shift in SHIFTS), "small", "compressed", "bright", "mirrored", "plain")

SEEDS = range(int(os.environ.get("DREAMCRAWL_OLDER_CATALOGS", "1")))  # for each revision


@cache
def picture(seed: int, edit: str) -> bytes:
    """The file of a scene, edited."""
    wide = Image.fromarray(scene(seed, width=384, height=240))
    image = wide.crop((0, 0, 320, 240))
    match edit.split():
        case ["shifted", shift]:
            return file_of(wide.crop((int(shift), 0, 320 + int(shift), 240)))
        case ["small"]:
            return file_of(image.resize((200, 150)))
        case ["bright"]:
            return file_of(ImageEnhance.Brightness(image).enhance(1.15))
        case ["mirrored"]:
            return file_of(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        case ["plain"]:
            return file_of(np.full((90, 120 + seed, 3), 90, np.uint8))
    return file_of(image, "JPEG", quality=80)


@cache
def signature(data: bytes) -> Signature:
    return sign(decode(data).rgb)


@dataclass(frozen=True)
class Workshop:
    """A folder with a store, and catalogs over it."""

    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def ingest(self, catalog: Catalog, files: Sequence[bytes]) -> None:
        """Take pictures in, one after the other."""
        for data in files:
            path = self.root / "picture"
            path.write_bytes(data)
            ingest_file(
                path,
                catalog=catalog,
                store=self.store,
                run_id=None,
                limits=ImageLimits(),
                near_distance=DEFAULT_NEAR_DISTANCE,
                examiner=ExaminerHere(ImageLimits()),
            )

    def find(self, catalog: Catalog) -> FindReport:
        return find_duplicates(catalog, self.store, near_distance=DEFAULT_NEAR_DISTANCE, sign=signature)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def take_back(path: Path, revision: str) -> None:
    """Make a catalog one of an older revision: what had no place there is gone."""
    config = Config()
    config.set_main_option("script_location", str(Path(engine_module.__file__).with_name("migrations")))
    with plain_sql.connection_to(path) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def groups(catalog: Catalog) -> dict[int, tuple[int | None, int | None]]:
    """Item -> what stands for it, and at which distance."""
    with catalog.read() as uow:
        items = uow.items.list(limit=None)
    return {item.id: (item.near_duplicate_of_id, item.near_duplicate_distance) for item in items}


def pairs(catalog: Catalog) -> dict[tuple[int, int], tuple[Any, ...]]:
    with catalog.read() as uow:
        found = uow.duplicates.pairs(limit=10_000)
    return {(one.first_id, one.second_id): (one.tier, one.relation, one.distance) for one in found}


def assert_stars(catalog: Catalog) -> None:
    of = groups(catalog)
    assert all(centre is None or of[centre][0] is None for centre, _distance in of.values())


@pytest.mark.parametrize("revision", sorted(known_revisions()))
@pytest.mark.parametrize("seed", SEEDS)
def test_the_groups_are_those_of_the_same_pictures_ingested_anew(shop: Workshop, revision: str, seed: int) -> None:
    chance = random.Random(f"{revision} {seed}")
    files = [picture(chance.randrange(2), chance.choice(EDITS)) for _ in range(18)]
    files = list(dict.fromkeys(files))
    middle = chance.randrange(1, len(files))
    with open_catalog(shop.root / "anew.sqlite3") as catalog:
        shop.ingest(catalog, files)
        expected = groups(catalog), pairs(catalog)
    path = shop.root / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        shop.ingest(catalog, files[:middle])
        count = len(groups(catalog))
        with catalog.write() as uow:
            # As the first version had it: no signatures, and links by another hash, some of them wrong.
            for item_id in range(1, count + 1):
                uow.duplicates.forget(item_id)
                alone = [each for each in range(1, item_id) if uow.items.get(each).near_duplicate_of_id is None]
                centre = chance.choice([None, None, *alone])
                uow.duplicates.link(item_id, centre, distance=None if centre is None else 3)
            uow.session.execute(text("DELETE FROM duplicate_pair"))
    take_back(path, revision)

    with open_catalog(path) as catalog:
        shop.ingest(catalog, files[middle:])  # these know nothing of those before them
        assert_stars(catalog)
        report = shop.find(catalog)

        assert report.signed == count
        assert (groups(catalog), pairs(catalog)) == expected
        again = shop.find(catalog)
    assert again == FindReport(0, 0, 0, 0, 0, 0)


def test_what_a_person_arranged_stays_and_what_came_before_it_joins(shop: Workshop) -> None:
    edits = ("shifted 0", "compressed", "small", "bright")
    with open_catalog(shop.root / "catalog.sqlite3") as catalog:
        shop.ingest(catalog, [picture(seed, edit) for seed in (0, 1, 2) for edit in edits])
        with catalog.write() as uow:
            for old in (1, 5, 9):  # of each scene the first one is not signed
                uow.duplicates.forget(old)
                for item_id in range(old, old + 4):
                    uow.duplicates.link(item_id, None if item_id < old + 2 else old + 1)
            uow.session.execute(text("DELETE FROM duplicate_pair WHERE first_id IN (1, 5, 9)"))
            stars.merge(uow, 2, 4)
            stars.decide(uow, 6, 8, "same", by="ada")
            stars.decide(uow, 9, 11, "different", by="ada")

        shop.find(catalog)

        assert {item: centre for item, (centre, _distance) in groups(catalog).items()} == {
            1: 4, 2: 4, 3: 4, 4: None,  # merged
            5: 6, 6: None, 7: 6, 8: 6,  # said to be the same
            9: None, 10: 9, 11: None, 12: 9,  # the eleventh stood behind the tenth, and may not stand behind the ninth
        }  # fmt: skip
        assert_stars(catalog)


def test_a_link_to_a_picture_whose_file_is_lost_stays(shop: Workshop) -> None:
    with open_catalog(shop.root / "catalog.sqlite3") as catalog:
        shop.ingest(catalog, [picture(seed, edit) for seed in (0, 1) for edit in ("shifted 0", "small")])
        with catalog.write() as uow:
            for item_id in range(1, 5):
                uow.duplicates.forget(item_id)
            uow.session.execute(text("DELETE FROM duplicate_pair"))
            lost = uow.items.get(1)
        shop.store.discard(lost.blob_sha256)

        report = shop.find(catalog)

        assert (report.unreadable, report.linked, report.parted) == (1, 0, 0)
        assert [centre for centre, _distance in groups(catalog).values()] == [None, 1, None, 3]

        shop.store.put(picture(0, "shifted 0"))
        report = shop.find(catalog)

        assert (report.signed, report.searched) == (1, 2)  # the second one, that is like it, once more
        assert list(pairs(catalog)) == [(3, 4), (1, 2)]


def test_every_copy_is_linked_however_many_there_are(shop: Workshop) -> None:
    image = Image.fromarray(scene(5, width=320, height=240))
    copies = [file_of(image.resize((320 - n, 240)), "JPEG", quality=60 + n) for n in range(32)]
    with open_catalog(shop.root / "catalog.sqlite3") as catalog:
        shop.ingest(catalog, copies)
        assert [centre for centre, _distance in groups(catalog).values()] == [None] + 31 * [1]
        with catalog.write() as uow:
            for item_id in range(1, 33):
                uow.duplicates.forget(item_id)
                uow.duplicates.link(item_id, None)

        shop.find(catalog)

        assert [centre for centre, _distance in groups(catalog).values()] == [None] + 31 * [1]


def test_what_was_signed_and_not_compared_yet_is_known_to_wait(shop: Workshop) -> None:
    def waits() -> bool:
        with catalog.read() as uow:
            return uow.duplicates.some_unsearched(ALGORITHM)

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with open_catalog(shop.root / "catalog.sqlite3") as catalog:
        shop.ingest(catalog, [picture(0, "shifted 0"), picture(1, "small")])
        assert not waits()
        with catalog.write() as uow:
            uow.duplicates.forget(1)

        with pytest.raises(KeyboardInterrupt):
            find_duplicates(catalog, shop.store, near_distance=DEFAULT_NEAR_DISTANCE, sign=signature, on_progress=stop)
        with catalog.read() as uow:
            assert uow.duplicates.unsigned(ALGORITHM) == []

        assert waits()
        shop.find(catalog)
        assert not waits()


def test_what_is_done_is_not_gone_through_again_for_every_batch(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = signature(picture(0, "plain"))
    with open_catalog(shop.root / "catalog.sqlite3") as catalog:
        with catalog.write() as uow:
            for item_id in add_items(uow, 120):
                uow.duplicates.sign(item_id, algorithm=ALGORITHM, hashes=flat.hashes, views=flat.views, searched=False)
        asked: list[int] = []
        unsearched = Duplicates.unsearched

        def spy(self: Duplicates, algorithm: str, *, after_id: int = 0, limit: int = 100) -> list[int]:
            asked.append(after_id)
            return unsearched(self, algorithm, after_id=after_id, limit=limit)

        monkeypatch.setattr(Duplicates, "unsearched", spy)

        assert shop.find(catalog).searched == 120

    # Each time once before the lock is taken; last from the start, for those that were to be searched again.
    assert asked == [0, 0, 50, 50, 100, 100, 120, 0]

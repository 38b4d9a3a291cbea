"""Dreams whose file was stored and whose row was not written: found again, whole or not at all, and never twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.errors import CatalogBusy, WorkspaceUnusable
from pipeline.store import LEFTOVER_SECONDS, Store
from pipeline.upkeep.findings import Kind
from pipeline.upkeep.fsck import Places, check_workspace
from tests.support.inverting import InvertingRenderer, Workshop, picture, workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as opened:
        yield opened


class Busy:
    """A catalog that can be read, while somebody else keeps it locked."""

    def __init__(self, catalog: Catalog) -> None:
        self.read = catalog.read

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        raise CatalogBusy("locked")
        yield


class Full(Store):
    """A store on a disk without room."""

    def put(self, data: bytes) -> str:
        raise WorkspaceUnusable(f"no room for {len(data)} bytes")


def leave_unrecorded(shop: Workshop, item_id: int, **options: str) -> str:
    """Dream on an item while its row cannot be written; the digest of the file."""
    before = set(shop.store.digests())
    with pytest.raises(CatalogBusy):
        Workshop(shop.root, Busy(shop.catalog), shop.store).stylize(item_id, **options)
    [made] = set(shop.store.digests()) - before
    return made


@pytest.mark.parametrize("output_format", ["PNG", "JPEG", "WEBP"])
def test_the_next_dream_of_the_same_recipe_is_that_very_file(shop: Workshop, output_format: str) -> None:
    item_id = shop.add(picture(1))
    made = leave_unrecorded(shop, item_id, output_format=output_format)
    renderer = InvertingRenderer()

    derivation = shop.dream(item_id, renderer=renderer)

    assert derivation.blob_sha256 == made
    assert derivation.manifest["output"]["format"] == output_format
    assert derivation.seconds == 0.25  # as the renderer said when it was made
    assert (renderer.calls, renderer.forgotten) == (0, [derivation.key])
    assert (shop.dreams / derivation.file_name).read_bytes() == shop.store.read(made)
    assert list(shop.store.notes_folder.iterdir()) == []


def test_a_file_that_is_not_what_it_was_announced_as_is_left_alone(shop: Workshop) -> None:
    first, second = shop.add(picture(1)), shop.add(picture(2))
    made = leave_unrecorded(shop, first)
    other = leave_unrecorded(shop, second)
    [note] = shop.store.notes_folder.glob(f"*-{made}")
    key = note.name.partition("-")[0]
    note.unlink()
    shop.store.announce(key, other)  # the dream of another picture
    damaged = shop.store.put(b"no picture")
    shop.store.announce(key, damaged)
    renderer = InvertingRenderer()

    derivation = shop.dream(first, renderer=renderer)

    assert renderer.calls == 1
    assert derivation.blob_sha256 not in (other, damaged)
    assert {other, damaged} < set(shop.store.digests())
    assert shop.dream(second).blob_sha256 == other


def test_what_another_catalog_was_to_record_is_left_alone(shop: Workshop) -> None:
    shop.add(picture(2))
    made = leave_unrecorded(shop, shop.add(picture(1)))
    with open_catalog(shop.root / "new.sqlite3") as new:
        other = Workshop(shop.root, new, shop.store)

        assert other.dream(other.add(picture(1))).blob_sha256 != made  # there it is i1, and no i2


def test_nothing_is_announced_any_more_when_the_file_could_not_be_stored(shop: Workshop) -> None:
    item_id = shop.add(picture(1))

    with pytest.raises(WorkspaceUnusable):
        Workshop(shop.root, shop.catalog, Full(shop.store.root)).stylize(item_id)

    assert shop.store.notes_folder.is_dir()
    assert list(shop.store.notes_folder.iterdir()) == []


def test_of_two_that_made_the_same_dream_only_the_first_file_stays(shop: Workshop) -> None:
    item_id = shop.add(picture(1))

    class Beaten(InvertingRenderer):
        """While it renders, somebody else makes the same dream."""

        def render(self, *arguments: object) -> object:
            shop.dream(item_id, renderer=InvertingRenderer(facts={**self.facts, "seconds": 9.0}))
            return super().render(*arguments)

    report = shop.stylize(item_id, renderer=Beaten())

    [dream] = report.derivation_ids
    assert (report.made, report.already) == (0, 1)
    assert set(shop.store.digests()) == {shop.item(item_id).blob_sha256, shop.derivation(dream).blob_sha256}
    assert list(shop.store.notes_folder.iterdir()) == []
    with shop.catalog.read() as uow:
        assert uow.counts().blobs == 2


def test_fsck_takes_away_the_file_and_its_note_when_nobody_has_come_for_an_hour(shop: Workshop) -> None:
    item_id = shop.add(picture(1))
    made = leave_unrecorded(shop, item_id)
    places = Places(dreams=shop.dreams, quarantine=shop.root / "quarantine", locks=shop.root / "locks")

    def findings() -> list[tuple[Kind, bool]]:
        report = check_workspace(catalog=shop.catalog, store=shop.store, places=places, mend=True)
        return [(finding.kind, finding.mended) for finding in report.findings]

    assert findings() == []  # it may be just about to be recorded
    for path in (shop.store.path(made), *shop.store.notes_folder.iterdir()):
        os.utime(path, (time.time() - 2 * LEFTOVER_SECONDS,) * 2)

    assert findings() == [(Kind.UNKNOWN_FILE, True), (Kind.LEFTOVER, True)]
    assert findings() == []
    assert [path.name for path in (shop.root / "quarantine").iterdir()] == [f"{made}.1"]
    assert shop.dream(item_id).blob_sha256 in shop.store.digests()

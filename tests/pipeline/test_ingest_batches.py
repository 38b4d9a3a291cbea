"""Pictures are written several at a time: at less cost, all or none, and with nothing locked while they are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from pipeline.catalog import engine as engine_module
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.repositories.others import IngestProgresses
from pipeline.images import ImageLimits
from pipeline.ingest import ingest as ingest_module
from pipeline.ingest.candidates import Candidate, Place
from pipeline.ingest.examining import Pending
from pipeline.ingest.ingest import ingest_inbox
from pipeline.ingest.intake import Intake
from pipeline.ingest.validation import Examined
from pipeline.records import IngestReport
from pipeline.store import Store
from tests.support.inboxes import failed, fetched, known, sealed_inbox
from tests.support.ingesting_process import ExaminerHere
from tests.support.items import representatives_of_run
from tests.support.pictures import file_of, scene, scene_file


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(tmp_path / "catalog.sqlite3") as opened:
        yield opened


def ingest(catalog: Catalog, root: Path, *candidates: Any, examiner: Any = None, **options: Any) -> IngestReport:
    return ingest_inbox(
        sealed_inbox(root / "inbox", candidates, crawl_id=root.name),
        catalog=catalog,
        store=Store(root / "store"),
        run_id=options.pop("run_id", None),
        limits=ImageLimits(),
        near_distance=31,
        examiner=examiner or ExaminerHere(),
        **options,
    )


def pictures(*numbers: int) -> list[tuple[Any, bytes]]:
    return [(fetched(f"{n}.png", keyword="mill", title=f"Mill {n}"), scene_file(n)) for n in numbers]


class Commits:
    """Counts statements and commits of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.statements = self.commits = 0
        event.listen(catalog._engine, "before_cursor_execute", self._statement)
        event.listen(catalog._engine, "commit", self._commit)

    def _statement(self, *_: object) -> None:
        self.statements += 1

    def _commit(self, _: object) -> None:
        self.commits += 1


def test_each_further_picture_costs_ten_statements_and_no_transaction(catalog: Catalog, tmp_path: Path) -> None:
    with catalog.write() as uow:
        run_id = uow.runs.start("run", keywords=[], source=None, parameters={}, process="h:1:1", version="1")
    ingest(catalog, tmp_path / "first", *pictures(0))
    counted = []
    for name, numbers in (("few", range(1, 5)), ("more", range(5, 17))):
        count = Commits(catalog)
        assert ingest(catalog, tmp_path / name, *pictures(*numbers), run_id=run_id).accepted == len(numbers)
        counted.append(count)
        event.remove(catalog._engine, "before_cursor_execute", count._statement)
        event.remove(catalog._engine, "commit", count._commit)
    few, more = counted

    assert (more.statements - few.statements) / 8 <= 10
    assert more.commits == few.commits


class _Looking(Pending):
    def __init__(self, pending: Pending, other: Catalog) -> None:
        super().__init__(Future())
        self._pending = pending
        self._other = other

    def result(self) -> Examined:
        with self._other.write():  # CatalogBusy, if the ingest held the lock meanwhile
            return self._pending.result()


def test_others_may_write_while_a_picture_is_decoded(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 1.0)
    with open_catalog(tmp_path / "catalog.sqlite3") as other:

        class Examiner(ExaminerHere):
            def begin(self, data: bytes) -> Pending:
                return _Looking(super().begin(data), other)

        report = ingest(catalog, tmp_path / "work", *pictures(1, 2, 3), examiner=Examiner())

    assert report.accepted == 3


def test_pictures_of_one_batch_are_compared_with_one_another(catalog: Catalog, tmp_path: Path) -> None:
    rgb = scene(1, width=320, height=240)
    copy, near = file_of(rgb), file_of(rgb, "JPEG", quality=70)
    files = [file_of(rgb), copy, file_of(rgb, compress_level=1), near, near, scene_file(2)]

    report = ingest(catalog, tmp_path / "work", *((fetched(f"{n}.png"), data) for n, data in enumerate(files)))

    assert (report.accepted, report.exact_duplicates, report.near_duplicates) == (2, 3, 1)
    with catalog.read() as uow:
        near_to = {item.id: item.near_duplicate_of_id for item in uow.items.list(limit=None)}
        assert near_to == {1: None, 2: 1, 3: None}
        assert [s.relation for s in uow.sightings.of_item(1)] == ["first", "same_bytes", "same_pixels"]
        assert [s.relation for s in uow.sightings.of_item(2)] == ["first", "same_bytes"]


@pytest.mark.parametrize("most", [1, 3, 16])
def test_a_run_lists_what_it_met_in_the_order_of_the_records_whatever_the_batches(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    ingest(catalog, tmp_path / "first", *pictures(8, 9))
    with catalog.write() as uow:
        run_id = uow.runs.start("run", keywords=[], source=None, parameters={}, process="h:1:1", version="1")
    monkeypatch.setattr(ingest_module, "MOST_PICTURES", most)
    told: list[int] = []

    ingest(
        catalog,
        tmp_path / "second",
        *pictures(3),
        (known("9.png"), None),
        *pictures(1, 8, 3),
        (failed("late.png"), None),
        (known("8.png"), None),
        *pictures(2),
        run_id=run_id,
        on_progress=lambda done, _of: told.append(done),
    )

    assert told == list(range(1, 9))
    with catalog.read() as uow:
        assert representatives_of_run(uow, run_id) == [3, 2, 4, 1, 5]
        assert uow.counts().sightings == 5


def test_a_batch_that_fails_is_not_written_at_all_and_leaves_no_hashes_behind(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, other = (
        Intake(catalog, Store(tmp_path / "store"), run_id=None, examiner=ExaminerHere(), near_distance=31)
        for _ in range(2)
    )
    rgb = scene(3, width=320, height=240)

    def ready(position: int, data: bytes) -> Candidate:
        record = fetched(f"{position}.png")
        return intake.ready(record, intake.begin(data), place=Place("crawl-1", position))

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(IngestProgresses, "add_all", fail)
        with pytest.raises(OSError, match="full"):
            intake.take([ready(0, scene_file(1)), ready(1, scene_file(2))])
    with catalog.read() as uow:
        assert uow.counts().items == uow.counts().blobs == 0
    # The ids that the lost hashes had are given to others now.
    taken = other.take([ready(2, file_of(rgb))])
    taken += intake.take([ready(3, file_of(rgb, "JPEG", quality=70)), ready(0, scene_file(1))])

    assert [one.outcome for one in taken] == ["accepted", "near_duplicate", "accepted"]
    assert intake.take([ready(2, file_of(rgb))]) == taken[:1]  # done is done
    with catalog.read() as uow:
        assert len(uow.sightings.of_item(taken[0].item_id)) == 1

"""Crawls of the user's own folder: no request, the same ledger, limit and records."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.pictures.finds import Find, RecordMaker
from crawler.session import Session
from crawler.sources.base import FileSource, LocalPicture
from crawler.spiders.local_files import find_files
from pipeline.catalog.engine import open_catalog
from pipeline.errors import Reason
from pipeline.images import ImageLimits
from pipeline.inbox import InboxWriter
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import Outcome
from pipeline.store import Store
from tests.support.crawls import Crawled, EmptyLedger, request_for, run_crawl

pytestmark = pytest.mark.slow

PHOTOS = Path(__file__).parents[2] / "crawler" / "sample_site" / "photos"


def make_folder(parent: Path) -> Path:
    folder = parent / "pictures"
    (folder / "tools").mkdir(parents=True)
    for name in ("windmill-1e3f06.webp", "windmill-258747.webp", "chelsea-07c5a8.jpg"):
        (folder / name).write_bytes((PHOTOS / name).read_bytes())
    (folder / "tools" / "hammer.webp").write_bytes((PHOTOS / "hammer-96b322.webp").read_bytes())
    (folder / "tools" / "big.jpg").write_bytes(b"x" * 500_000)
    return folder


def test_a_folder_is_taken_once_and_changed_files_again(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    catalog_path, store = tmp_path / "catalog.sqlite3", Store(tmp_path / "store")

    def crawl_and_ingest(crawl_id: str) -> Crawled:
        request = request_for("folder", str(folder), max_image_bytes=400_000)
        crawled = run_crawl(tmp_path / "inbox", request, crawl_id=crawl_id, catalog=catalog_path)
        with open_catalog(catalog_path) as catalog:
            ingest_inbox(
                crawled.inbox.path, catalog=catalog, store=store, run_id=None, limits=ImageLimits(), near_distance=48
            )
        return crawled

    first = crawl_and_ingest("first")
    second = crawl_and_ingest("second")
    (folder / "chelsea-07c5a8.jpg").write_bytes((PHOTOS / "coffee-15d43f.jpg").read_bytes())
    os.utime(folder / "tools" / "hammer.webp", (1, 1))
    third = crawl_and_ingest("third")

    assert (first.report.fetched, first.report.failed, first.report.reasons) == (4, 1, {"too_many_bytes": 1})
    assert first.report.finished == "done"
    assert (second.report.fetched, second.report.known, second.report.failed) == (0, 5, 0)
    changed = {Path(record.image_url).name for record in third.records if record.outcome is Outcome.FETCHED}
    assert changed == {"chelsea-07c5a8.jpg", "hammer.webp"}
    assert third.report.known == 3


def test_keywords_limit_and_unreadable_files_hold_for_folders_too(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    mill = folder / "a-windmill.jpg"
    mill.symlink_to(folder / "windmill-1e3f06.webp")
    sealed = folder / "windmill-sealed.jpg"
    sealed.write_bytes(b"")

    every = run_crawl(tmp_path / "inbox", request_for("folder", str(folder), "windmill", "hammer"))
    two = run_crawl(tmp_path / "other", request_for("folder", str(folder), "windmill", limit=2))

    names = {Path(record.image_url).name: record for record in every.records}
    assert names.keys() == {
        "a-windmill.jpg",
        "windmill-1e3f06.webp",
        "windmill-258747.webp",
        "windmill-sealed.jpg",
        "hammer.webp",
    }
    assert names["hammer.webp"].matches[0].keyword == "hammer"
    assert names["windmill-sealed.jpg"].size_bytes == 0
    assert names["hammer.webp"].http is not None
    state = (folder / "tools" / "hammer.webp").stat()
    assert names["hammer.webp"].http.etag == f"{state.st_size}-{state.st_mtime_ns}"
    assert every.report.pages == 0
    assert (two.report.fetched, two.report.finished) == (2, "limit")


def test_filters_and_exclusions_hold_for_folders_too(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    (folder / "tools" / "big.jpg").unlink()
    (folder / "windmill-258747.json").write_text('{"license": "CC-BY-ND-4.0"}')
    request = request_for("folder", str(folder), exclusions=("hammer",), filters=Filters(formats=("webp",)))

    crawled = run_crawl(tmp_path / "inbox", request)

    found = {Path(record.image_url).name: (record.outcome, record.reason) for record in crawled.records}
    assert found == {
        "windmill-1e3f06.webp": (Outcome.FETCHED, None),
        "windmill-258747.webp": (Outcome.FILTERED, Reason.LICENSE),
        "chelsea-07c5a8.jpg": (Outcome.FILTERED, Reason.FORMAT_NOT_ALLOWED),
        "hammer.webp": (Outcome.FILTERED, Reason.EXCLUDED),
    }
    [excluded] = [record for record in crawled.records if record.reason is Reason.EXCLUDED]
    assert excluded.detail == "'hammer' stands in its title"
    [fetched] = [record for record in crawled.records if record.outcome is Outcome.FETCHED]
    assert fetched.media_type == "image/webp"
    assert fetched.width
    assert fetched.height


def test_a_file_that_cannot_be_opened_is_a_failure_that_passes(tmp_path: Path) -> None:
    class Vanishing(FileSource):
        """Names a file that is gone by the time it is opened."""

        name = "vanishing"

        def pictures(self) -> Iterator[LocalPicture]:
            path = tmp_path / "gone.jpg"
            yield LocalPicture(ImageItem(path.as_uri(), tmp_path.as_uri(), title="gone"), path)

    async def finds(session: Session) -> list[Find]:
        source = Vanishing("x")
        return [find async for find in find_files(source, session, RecordMaker(source.name, "x"))]

    with InboxWriter.create(tmp_path, crawl_id="c1", about={}) as writer:
        session = Session(request_for("folder", "x"), writer, ledger=EmptyLedger(), on_progress=lambda _: None)
        found = asyncio.run(finds(session))

    assert [(find.record.outcome, find.record.reason) for find in found] == [(Outcome.FAILED, Reason.UNREADABLE)]
    assert Reason.UNREADABLE.is_transient


def test_a_folder_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        run_crawl(tmp_path / "inbox", request_for("folder", str(tmp_path / "nowhere")))
    assert not (tmp_path / "inbox").exists()

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InboxUnusable, Reason
from pipeline.inbox import InboxWriter, discard, pending_inboxes, read_inbox, recover
from pipeline.inbox.locks import has_writer, held, lock_of
from pipeline.records import (
    CrawlRecord,
    CrawlReport,
    DeclaredLicense,
    HttpFacts,
    KeywordMatch,
    Outcome,
)


def fetched(name: str = "a", **changes: object) -> CrawlRecord:
    values: dict[str, object] = {
        "outcome": Outcome.FETCHED,
        "source": "website",
        "source_argument": "https://example.org/",
        "image_url": f"https://example.org/{name}.jpg",
        "page_url": "https://example.org/",
        "found_at": "2026-01-02T03:04:05+00:00",
    }
    return CrawlRecord(**{**values, **changes})  # type: ignore[arg-type]  # a test's shorthand


def failed(name: str = "x") -> CrawlRecord:
    return fetched(name, outcome=Outcome.FAILED, reason=Reason.TIMEOUT, detail="no answer")


def create(parent: Path, crawl_id: str = "c1", **about: object) -> InboxWriter:
    return InboxWriter.create(parent, crawl_id=crawl_id, about=about)


def abandoned(parent: Path, *names: str) -> Path:
    with create(parent) as writer:
        for name in names:
            writer.add(fetched(name), name.encode())
    return parent / "c1"


def test_a_sealed_inbox_gives_back_what_was_written(tmp_path: Path) -> None:
    full = fetched(
        matches=(KeywordMatch("mill", ("title", "alt"), 0.5),),
        title="Windmühle \u2028 風車",
        tags=("wind", "mill"),
        license=DeclaredLicense("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/", "rel=license", "CC BY"),
        http=HttpFacts("https://example.org/a.jpg", 200, ("https://example.org/b",), "image/jpeg", '"tag"', None),
    )
    report = CrawlReport(str(tmp_path / "c1"), found=2, fetched=1, failed=1, reasons={"timeout": 1}, warnings=("w",))

    with create(tmp_path, run_id=7) as writer:
        written = [writer.add(full, b"bytes"), writer.add(failed())]
        writer.seal(report)

    inbox = read_inbox(tmp_path / "c1")
    assert list(inbox.records()) == written
    assert written[0].sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert written[0].size_bytes == 5
    assert inbox.open_blob(written[0].sha256) == b"bytes"
    assert inbox.report == report
    assert inbox.about["run_id"] == 7
    assert inbox.about["crawl_id"] == "c1"
    assert inbox.record_count == 2


@given(text=st.text(), data=st.binary(max_size=2000))
@settings(max_examples=40, deadline=None)
def test_any_text_and_any_bytes_survive(tmp_path_factory: pytest.TempPathFactory, text: str, data: bytes) -> None:
    parent = tmp_path_factory.mktemp("inbox")

    with create(parent) as writer:
        written = writer.add(fetched(title=text, caption=text), data)
        writer.seal(CrawlReport("x"))

    inbox = read_inbox(parent / "c1")
    assert [record.title for record in inbox.records()] == [text]
    assert inbox.open_blob(str(written.sha256)) == data


def test_a_sealed_inbox_cannot_be_written(tmp_path: Path) -> None:
    writer = create(tmp_path)
    writer.seal(CrawlReport("x"))

    with pytest.raises(InboxUnusable, match="sealed or closed"):
        writer.add(failed())
    with pytest.raises(InboxUnusable):
        writer.seal(CrawlReport("x"))


def test_a_crawl_id_is_used_once(tmp_path: Path) -> None:
    with create(tmp_path), pytest.raises(InboxUnusable, match="already"):
        create(tmp_path)


@pytest.mark.parametrize("crawl_id", ["", "..", "a/b", ".hidden", "a b", "x" * 129])
def test_a_crawl_id_must_be_a_plain_folder_name(tmp_path: Path, crawl_id: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        create(tmp_path, crawl_id)


def test_an_unsealed_inbox_cannot_be_read_nor_recovered_while_its_writer_lives(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        writer.add(fetched(), b"1")

        with pytest.raises(InboxUnusable, match="not a sealed inbox"):
            read_inbox(tmp_path / "c1")
        with pytest.raises(InboxUnusable, match="still writing"):
            recover(tmp_path / "c1")
        with pytest.raises(InboxUnusable, match="still writing"):
            discard(tmp_path / "c1")
        assert pending_inboxes(tmp_path) == []


def test_bytes_come_with_fetched_records_only(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        with pytest.raises(ValueError, match="none were given"):
            writer.add(fetched())
        with pytest.raises(ValueError, match="some were given"):
            writer.add(failed(), b"1")
        with pytest.raises(ValueError, match="its bytes have"):
            writer.add(fetched(sha256="0" * 64), b"1")
        assert writer.count == 0


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        writer.add(fetched("a"), b"same")
        writer.add(fetched("b"), b"same")
        writer.seal(CrawlReport("x"))

    assert (tmp_path / "c1" / "blobs.bin").read_bytes() == b"same"
    assert read_inbox(tmp_path / "c1").record_count == 2


def test_many_threads_may_write_at_once(tmp_path: Path) -> None:
    with create(tmp_path) as writer, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: writer.add(fetched(str(n)), f"{n}".encode() * 50), range(80)))
        writer.seal(CrawlReport("x"))

    inbox = read_inbox(tmp_path / "c1")
    records = list(inbox.records())
    assert {record.image_url for record in records} == {f"https://example.org/{n}.jpg" for n in range(80)}
    assert all(inbox.open_blob(str(record.sha256)) for record in records)


@pytest.mark.parametrize("torn", [b'{"outcome": "fetched", "so', b"{", b'{"a": 1}', b"\xff\xfe"])
def test_recovery_drops_a_torn_last_line_and_temporary_files(tmp_path: Path, torn: bytes) -> None:
    path = abandoned(tmp_path, "one", "two")
    with (path / "records.jsonl").open("ab") as file:
        file.write(torn)
    with (path / "blobs.bin").open("ab") as file:
        file.write(b"half a blob")
    (path / ".part-seal").write_bytes(b"half a seal")

    report = recover(path)

    inbox = read_inbox(path)
    assert [record.image_url for record in inbox.records()] == [
        "https://example.org/one.jpg",
        "https://example.org/two.jpg",
    ]
    assert (report.found, report.fetched, report.bytes_fetched, report.finished) == (2, 2, 6, "interrupted")
    assert report.warnings == ()
    assert inbox.report == report
    assert sorted(entry.name for entry in path.iterdir() if entry.name.startswith(".part")) == []
    assert [inbox.open_blob(str(record.sha256)) for record in inbox.records()] == [b"one", b"two"]


def test_recovery_drops_damaged_records_and_says_so(tmp_path: Path) -> None:
    path = abandoned(tmp_path, "one", "two", "three")
    lines = (path / "records.jsonl").read_bytes().splitlines()
    (path / "records.jsonl").write_bytes(lines[0] + b"\n" + b"garbage\n" + lines[2] + b"\n")
    blobs = path / "blobs.bin"
    blobs.write_bytes(blobs.read_bytes()[:-1])

    report = recover(path)

    assert [record.image_url for record in read_inbox(path).records()] == ["https://example.org/one.jpg"]
    assert len(report.warnings) == 1
    assert "2 damaged" in report.warnings[0]


def test_recovery_counts_outcomes_and_reasons(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        writer.add(fetched(), b"1234")
        writer.add(failed("x"))
        writer.add(failed("y"))
        writer.add(fetched("z", outcome=Outcome.REFUSED, reason=Reason.ROBOTS))
        writer.add(fetched("k", outcome=Outcome.KNOWN))

    report = recover(tmp_path / "c1", finished="deadline", pages=9, bytes_received=70, warnings=("late",))

    assert (report.found, report.fetched, report.known, report.refused, report.failed) == (5, 1, 1, 1, 2)
    assert report.reasons == {"timeout": 2, "robots": 1}
    assert (report.finished, report.pages, report.warnings) == ("deadline", 9, ("late",))
    assert (report.bytes_fetched, report.bytes_received) == (4, 70)


def test_recovering_twice_changes_nothing(tmp_path: Path) -> None:
    path = abandoned(tmp_path, "one")
    first = recover(path)

    assert recover(path, finished="deadline") == first


def test_pending_inboxes_are_the_sealed_and_the_abandoned_oldest_first(tmp_path: Path) -> None:
    for crawl_id, started in (("b", "2026-01-01"), ("a", "2026-01-03"), ("c", "2026-01-02")):
        with create(tmp_path, crawl_id, started_at=started) as writer:
            if crawl_id != "c":
                writer.seal(CrawlReport("x"))
    (tmp_path / "not-an-inbox").mkdir()
    (tmp_path / ".trash-old").mkdir()

    with create(tmp_path, "d"):
        assert [path.name for path in pending_inboxes(tmp_path)] == ["b", "c", "a"]
    assert pending_inboxes(tmp_path / "missing") == []


def test_a_changed_blob_is_found_out(tmp_path: Path) -> None:
    path = abandoned(tmp_path, "one")
    recover(path)
    inbox = read_inbox(path)
    digest = next(inbox.records()).sha256
    assert digest is not None
    (path / "blobs.bin").write_bytes(b"oth")

    with pytest.raises(InboxUnusable, match="have the digest"):
        inbox.open_blob(digest)
    with pytest.raises(InboxUnusable, match="there are no bytes"):
        inbox.open_blob("0" * 64)


def test_records_that_do_not_match_the_seal_are_found_out(tmp_path: Path) -> None:
    path = abandoned(tmp_path, "one", "two")
    recover(path)
    records = path / "records.jsonl"
    records.write_bytes(records.read_bytes().splitlines(keepends=True)[0])

    with pytest.raises(InboxUnusable, match="sealed with 2 records, but has 1"):
        list(read_inbox(path).records())


def test_discarding_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    path = abandoned(tmp_path, "one")
    recover(path)
    (tmp_path / ".trash-killed").mkdir()

    discard(path)
    discard(path)

    assert list(tmp_path.iterdir()) == []


def _write_until_killed(parent: Path) -> None:
    with InboxWriter.create(parent, crawl_id="c1", about={}) as writer:
        for number in range(100_000):
            writer.add(fetched(str(number)), os.urandom(20_000))


def test_a_writer_killed_at_any_moment_leaves_whole_records_only(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for attempt in range(3):
        parent = tmp_path / str(attempt)
        process = context.Process(target=_write_until_killed, args=(parent,))
        process.start()
        records = parent / "c1" / "records.jsonl"
        while not (records.exists() and records.stat().st_size > 2_000 * (attempt + 1)):
            time.sleep(0.002)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()

        assert pending_inboxes(parent) == [parent / "c1"]
        report = recover(parent / "c1")

        inbox = read_inbox(parent / "c1")
        found = list(inbox.records())
        assert len(found) == report.found >= 3
        assert [record.image_url for record in found] == [
            f"https://example.org/{number}.jpg" for number in range(len(found))
        ]
        assert all(len(inbox.open_blob(str(record.sha256))) == 20_000 for record in found)
        assert report.warnings == ()


def test_an_inbox_that_another_process_took_is_not_made_anew_by_looking(tmp_path: Path) -> None:
    gone = tmp_path / "crawl-1"

    assert not has_writer(gone)
    with pytest.raises(InboxUnusable, match="another process took it"), held(gone):
        pytest.fail("there is nothing to hold")

    assert list(tmp_path.iterdir()) == []


def test_an_inbox_can_be_discarded_while_another_process_only_looks(tmp_path: Path) -> None:
    with InboxWriter.create(tmp_path, crawl_id="crawl-1", about={}) as writer:
        writer.seal(CrawlReport(inbox=""))
    looking = lock_of(tmp_path / "crawl-1")
    looking.acquire()
    timer = threading.Timer(0.1, looking.release)
    timer.start()

    discard(tmp_path / "crawl-1")

    timer.join()
    assert list(tmp_path.iterdir()) == []

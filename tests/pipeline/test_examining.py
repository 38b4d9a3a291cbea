"""Pictures are examined in worker processes: with the same results, and within limits that hold for hostile ones."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.catalog.engine import open_catalog
from pipeline.errors import ImageRejected, Reason
from pipeline.images import ImageLimits
from pipeline.ingest.examining import DecodeLimits, Examiner
from pipeline.ingest.ingest import ingest_inbox
from pipeline.ingest.single import ingest_file
from pipeline.ingest.validation import Examined, examine
from pipeline.store import Store
from tests.support.inboxes import failed, fetched, sealed_inbox
from tests.support.pictures import file_of, scene, scene_file, xmp_packet

LIMITS = ImageLimits()
PHOTOS = Path(__file__).resolve().parents[2] / "crawler" / "sample_site" / "photos"
MARKED = "tests.support.decoding_tasks:hang_on_marked"


def png(width: int, height: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG of RGB pixels, whose rows are compressed already."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif_of_many_frames(frames: int) -> bytes:
    start = b"GIF89a" + struct.pack("<HHBBB", 70, 70, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0"
    return start + frame * frames + b";"


def rows(width: int, height: int) -> bytes:
    return zlib.compress((b"\0" + b"\x80" * 3 * width) * height)


HOSTILE: dict[str, tuple[bytes, Reason | None]] = {
    "a text that unpacks to much": (
        png(80, 80, rows(80, 80), chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**26)))), Reason.CORRUPT
    ),
    "a profile that unpacks to much": (
        png(80, 80, rows(80, 80), chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**26)))), Reason.CORRUPT
    ),
    "a canvas of ten gigapixels": (png(100_000, 100_000, zlib.compress(bytes(2**20))), Reason.TOO_MANY_PIXELS),
    "as many pixels as no header may claim": (png(2**31 - 1, 2**31 - 1, b""), Reason.TOO_MANY_PIXELS),
    "rows that never come": (png(4000, 4000, zlib.compress(b"\0" * 100)), Reason.CORRUPT),
    "a hundred thousand frames": (gif_of_many_frames(100_000), None),
    "half a picture": (scene_file(1, width=400, height=300)[:5000], Reason.TRUNCATED),
    "no bytes": (b"", Reason.EMPTY),
    "a page": (b"<!doctype html><title>404</title>", Reason.NOT_AN_IMAGE),
    "a drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", Reason.FORMAT_NOT_ALLOWED),
    "a JPEG of noise": (b"\xff\xd8\xff" + bytes(range(256)) * 20, Reason.TRUNCATED),
}  # fmt: skip


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    with Examiner(LIMITS) as examiner:
        yield examiner


def in_process(data: bytes) -> Examined | tuple[Reason, str]:
    try:
        return examine(data, LIMITS)
    except ImageRejected as error:
        return error.reason, error.detail


def in_worker(examiner: Examiner, data: bytes) -> Examined | tuple[Reason, str]:
    try:
        return examiner.begin(data).result()
    except ImageRejected as error:
        return error.reason, error.detail


def test_a_worker_finds_what_this_process_would(examiner: Examiner) -> None:
    files = sorted(path for path in PHOTOS.iterdir() if path.suffix in {".jpg", ".webp"})[::4]
    samples = [
        *(path.read_bytes() for path in files),
        *(file_of(scene(1), name) for name in ("PNG", "JPEG", "WEBP", "GIF")),
        file_of(scene(2), "JPEG", xmp=xmp_packet(title="Mühle \N{WIND CHIME}\N{LEFT-TO-RIGHT MARK}", rights="© Ada")),
        file_of(Image.new("RGBA", (90, 90), (1, 2, 3, 40))),
        file_of(Image.new("I;16", (90, 90), 40_000)),
    ]
    pending = [examiner.begin(data) for data in samples]

    assert len(samples) > 20
    assert [one.result() for one in pending] == [examine(data, LIMITS) for data in samples]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures_are_told_apart_as_in_this_process(examiner: Examiner, name: str) -> None:
    data, reason = HOSTILE[name]

    found = in_worker(examiner, data)

    assert found == in_process(data)
    assert (found[0] if isinstance(found, tuple) else None) is reason


def test_a_hundred_thousand_frames_are_one_picture(examiner: Examiner) -> None:
    found = examiner.begin(gif_of_many_frames(100_000)).result()

    assert (found.width, found.height) == (70, 70)
    assert found.frames > 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a system that limits the memory of a process")
def test_a_picture_that_takes_more_memory_than_allowed_is_rejected() -> None:
    large = png(9000, 5000, rows(9000, 5000))
    with Examiner(LIMITS, DecodeLimits(memory_mb=64)) as examiner:
        over, within = examiner.begin(large), examiner.begin(scene_file(1))

        with pytest.raises(ImageRejected, match="more than 64 MiB") as error:
            over.result()
        assert error.value.reason is Reason.DECODE_LIMIT
        assert within.result() == examine(scene_file(1), LIMITS)


def test_an_answer_that_no_examination_gives_is_not_believed() -> None:
    with (
        Examiner(LIMITS, task="tests.support.decoding_tasks:do_lie") as examiner,
        pytest.raises(ImageRejected, match="not asked") as error,
    ):
        examiner.begin(b"x").result()
    assert error.value.reason is Reason.DECODE_LIMIT


def test_pictures_that_hang_crash_or_lie_are_rejected_one_by_one_and_the_others_are_kept(tmp_path: Path) -> None:
    good = [scene_file(number) for number in range(6)]
    inbox = sealed_inbox(
        tmp_path / "inbox",
        [
            (fetched("0.png"), good[0]),
            (fetched("hangs.png"), good[1] + b"HANG"),
            (fetched("1.png"), good[1]),
            (failed("late.png"), None),
            (fetched("crashes.png"), good[2] + b"CRASH"),
            (fetched("2.png"), good[2]),
            (fetched("again.png"), good[0]),
            (fetched("lies.png"), good[3] + b"LIE"),
            *((fetched(f"{number}.png"), good[number]) for number in (3, 4, 5)),
        ],
    )
    with (
        open_catalog(tmp_path / "catalog.sqlite3") as catalog,
        Examiner(LIMITS, DecodeLimits(seconds=1.0), task=MARKED) as examiner,
    ):
        report = ingest_inbox(
            inbox, catalog=catalog, store=Store(tmp_path / "store"), run_id=None, limits=LIMITS, near_distance=0,
            examiner=examiner,
        )  # fmt: skip
        with catalog.read() as uow:
            known = uow.ledger.known([f"https://example.org/{name}.png" for name in ("hangs", "crashes", "lies", "5")])

    assert (report.fetched, report.accepted, report.exact_duplicates, report.rejected) == (10, 6, 1, 3)
    assert report.reasons == {"decode_limit": 3}
    assert report.item_ids == (1, 2, 3, 4, 5, 6)
    assert {url.rpartition("/")[2]: entry.state for url, entry in known.items()} == {
        "hangs.png": "rejected", "crashes.png": "rejected", "lies.png": "rejected", "5.png": "kept"
    }  # fmt: skip


def test_a_file_of_the_user_s_is_decoded_in_a_worker_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    path.write_bytes(scene_file(1) + b"CRASH")
    options: dict[str, Any] = {"store": Store(tmp_path / "store"), "run_id": None, "limits": LIMITS, "near_distance": 0}
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog, Examiner(LIMITS, task=MARKED) as examiner:
        with pytest.raises(ImageRejected, match="brought the decoder down") as error:
            ingest_file(path, catalog=catalog, examiner=examiner, **options)
        assert error.value.reason is Reason.DECODE_LIMIT
        path.write_bytes(scene_file(1))
        assert ingest_file(path, catalog=catalog, examiner=examiner, **options) == 1


def test_an_inbox_with_a_damaged_line_is_taken_up_to_it(tmp_path: Path) -> None:
    from pipeline.errors import InboxUnusable

    inbox = sealed_inbox(tmp_path / "inbox", [(fetched(f"{n}.png"), scene_file(n)) for n in range(3)])
    lines = (inbox / "records.jsonl").read_bytes().splitlines(keepends=True)
    (inbox / "records.jsonl").write_bytes(b"".join(lines[:2]) + b"{}\n")
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with pytest.raises(InboxUnusable, match="line 3"):
            ingest_inbox(
                inbox, catalog=catalog, store=Store(tmp_path / "store"), run_id=None, limits=LIMITS, near_distance=0
            )
        with catalog.read() as uow:
            assert uow.items.representatives([1, 2, 3]) == [1, 2]

from __future__ import annotations

import csv
import gzip
import json
import sys
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import SourceError
from crawler.items import ImageItem
from crawler.job import CrawlRequest
from crawler.pictures.finds import RecordMaker
from crawler.pictures.queue import FetchImage
from crawler.search.listed import ListedSearch
from crawler.sources import make_source
from crawler.sources.url_list import UrlList
from pipeline.records import Outcome
from tests.support.crawls import EmptyLedger, request_for, run_crawl
from tests.support.web_server import picture, web_server

FIXTURES = Path(__file__).parent / "fixtures" / "url_list"
ROWS = [{"url": f"https://example.org/{n}.jpg", "caption": f"mill {n}", "width": 10 + n} for n in range(5)]


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([{**row, "other": b"x" * 100} for row in rows]), path, row_group_size=2)


def pack(write: Callable[[Path, list[dict[str, Any]]], Any]) -> Callable[[Path, list[dict[str, Any]]], None]:
    def packed(path: Path, rows: list[dict[str, Any]]) -> None:
        write(path, rows)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return packed


def lines_of(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Any]] = {
    "list.csv": write_csv,
    "list.tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "semicolons.csv": lambda path, rows: write_csv(path, rows, ";"),
    "LIST.JSON": lambda path, rows: path.write_text("\ufeff " + json.dumps(rows, indent=1), encoding="utf-8"),
    "list.jsonl": lambda path, rows: path.write_text(lines_of(rows)),
    "wide.jsonl": lambda path, rows: path.write_text(lines_of(rows), encoding="utf-16"),
    "list.parquet": write_parquet,
    "list.csv.gz": pack(write_csv),
    "list.json.gz": pack(lambda path, rows: path.write_text(json.dumps(rows))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_pictures(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name, ROWS)

    source = make_source("urls", str(tmp_path / name))

    assert isinstance(source, UrlList)
    assert list(source.items()) == [
        ImageItem(row["url"], row["url"], caption=row["caption"], width=row["width"]) for row in ROWS
    ]
    assert source.remarks() == ()


def test_a_text_has_one_address_a_line(tmp_path: Path) -> None:
    lines = [
        "\ufeffhttps://example.org/1.jpg",
        "",
        "# https://example.org/no.jpg",
        "  HTTP://Example.org:80/\u00fc 2.jpg#x ",
    ]
    odd = ["../3.jpg", "data:image/png;base64,AA", "file:///etc/passwd", "https://", "https://example.org:99999/"]
    (tmp_path / "list.txt").write_bytes("\r\n".join([*lines, *odd, "https://example.org/" + "x" * 9000]).encode())
    source = UrlList(str(tmp_path / "list.txt"))

    assert [item.image_url for item in source.items()] == [
        "https://example.org/1.jpg",
        "http://example.org/%C3%BC%202.jpg",
    ]
    (remark,) = source.remarks()
    assert "6 rows, the first: '../3.jpg'" in remark


def test_the_columns_of_laion_are_known() -> None:
    one, two = UrlList(str(FIXTURES / "laion.tsv")).items()

    assert (one.caption, one.width, one.height) == ("A smock mill", 1024, 768)
    assert one.source_hash == "md5:0123456789abcdef0123456789abcdef"
    assert one.license is not None
    assert one.license.id == "unknown"
    assert two.caption == 'Post mill, "restored"'
    assert two.source_hash is None
    assert two.license is not None
    assert two.license.id == "CC-BY-3.0"


def test_bad_rows_and_bad_values_lose_themselves_only() -> None:
    source = UrlList(str(FIXTURES / "catalog.jsonl"))

    one, alone, three = source.items()

    assert (one.title, one.alt, one.creator, one.tags) == ("Mill", "a mill", "Ann <b>", ("Kent", "wind"))
    assert (one.page_url, one.created) == ("https://example.org/a", "2019-05-02")
    assert (one.width, one.height) == (800, 600)
    assert one.source_hash == "sha1:0123456789abcdef0123456789abcdef01234567"
    assert one.license is not None
    assert one.license.id == "CC-BY-SA-4.0"
    assert alone.image_url == "https://example.org/alone.png"
    assert (three.page_url, three.title, three.tags) == ("https://example.org/c.jpg", "first", ("a", "b"))
    assert (three.width, three.height, three.source_hash) == (None, None, None)
    assert three.license is not None
    assert three.license.id == "CC0-1.0"
    assert "4 rows, the first: 'b.jpg'" in source.remarks()[0]


def test_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "odd.dat").write_text("link;words;url\nhttps://example.org/1.jpg;mill;x\n")

    (item,) = UrlList(f"{tmp_path}/odd.dat?format=csv&url_col=link&caption_col=words").items()

    assert (item.image_url, item.caption) == ("https://example.org/1.jpg", "mill")


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("https://example.org/1.jpg\tmill", "mill"),
        ("mill\thttps://example.org/1.jpg", "mill"),
        ("a\tb\thttps://example.org/1.jpg", None),
    ],
)
def test_a_table_without_names_of_columns_is_read(text: str, caption: str | None, tmp_path: Path) -> None:
    (tmp_path / "list.tsv").write_text(text + "\n")

    (item,) = UrlList(str(tmp_path / "list.tsv")).items()

    assert (item.image_url, item.caption) == ("https://example.org/1.jpg", caption)


def test_a_folder_of_lists_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("https://example.org/b.jpg\n")
    (tmp_path / "a.csv").write_text("url\nhttps://example.org/a.jpg\n")
    (tmp_path / "notes.md").write_text("# no list\n")

    items = UrlList(str(tmp_path)).items()

    assert [item.image_url for item in items] == ["https://example.org/a.jpg", "https://example.org/b.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "option", "message"),
    [
        ("gone.csv", None, "", "no such file"),
        ("list.xls", b"x", "", "ending of list.xls is not known"),
        ("list.csv", b"a,b\n1,2\n", "", "no column of addresses .* its columns: 'a', 'b'"),
        ("list.csv", b"url\nhttps://e.org/a.jpg\n", "?url_col=URI", "no column 'URI'"),
        ("list.csv", b"url\n", "?uri_col=x", "no option 'uri_col'"),
        ("list.csv", b"url\n", "?format=xls", "no format 'xls'"),
        ("list.json", b'{"url": 1}', "", "not a JSON list"),
        ("list.json", b'[{"url": 1}, {]', "", "is not JSON from"),
        ("list.json", b'[{"url": 1}', "", "ends in the middle"),
        ("list.parquet", b"PAR1 but not really PAR1", "", "cannot be read on"),
        ("list.csv.gz", b"\x1f\x8b\x08 broken", "", "cannot be read on"),
    ],
)
def test_what_cannot_be_read_is_told_before_the_crawl(
    name: str, content: bytes | None, option: str, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=message):
        UrlList(f"{tmp_path / name}{option}")


def test_parquet_without_pyarrow_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(SourceError, match=r"pip install 'dreamcrawl\[parquet\]'"):
        UrlList(str(tmp_path / "list.parquet"))


@pytest.mark.parametrize("name", ["list.txt", "list.csv.gz", "list.json", "list.jsonl"])
def test_a_long_list_is_read_as_it_goes(name: str, tmp_path: Path) -> None:
    rows = [{"url": f"https://example.org/{n}.jpg", "caption": "x" * 60} for n in range(60_000)]
    write = WRITERS.get(name, lambda path, rows: path.write_text("\n".join(row["url"] for row in rows)))
    write(tmp_path / name, rows)
    if name == "list.json":
        (tmp_path / name).write_text(json.dumps(rows))
    tracemalloc.start()

    source = UrlList(str(tmp_path / name))
    count = len(list(islice(source.items(), 2000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 2000
    assert peak < 9 * 2**20  # a window of 1 MB of text and the 2000 pictures; the rows would take 20 MB


def test_a_line_without_end_is_one_bad_row(tmp_path: Path) -> None:
    text = "url,caption\n" + "x" * 3_000_000 + '\nhttps://example.org/1.jpg,mill\n"' + "y\n" * 200_000
    (tmp_path / "list.csv").write_text(text)
    source = UrlList(str(tmp_path / "list.csv"))

    assert next(source.items()).image_url == "https://example.org/1.jpg"
    assert "1 row:" in source.remarks()[0]


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def page_read(self, host: str) -> None:
        pass

    def warn(self, line: str) -> None:
        self.lines.append(line)

    page_failed = start_failed = warn


def searched(path: Path, *keywords: str, limit: int = 1000) -> tuple[list[str], list[str]]:
    """The addresses asked for by a search of a list, each of which comes at once, and the lines told."""
    told = Told()
    request = CrawlRequest(keywords=keywords, source="urls", argument=str(path), limit=limit)
    search = ListedSearch(
        UrlList(str(path)), request, records=RecordMaker("urls", str(path)), ledger=EmptyLedger(), notes=told
    )
    asked: list[str] = []
    waiting: list[Any] = search.begin()
    while waiting:
        step = waiting.pop(0)
        if isinstance(step, FetchImage):
            asked.append(step.candidate.item.image_url)
            waiting += search.image_settled(step.candidate, "0" * 64, counts=True)
    return asked, told.lines


def test_every_row_is_asked_for_once(tmp_path: Path) -> None:
    urls = [f"https://example.org/{n}.jpg" for n in range(300)]
    (tmp_path / "list.txt").write_text("\n".join([*urls, urls[7], "nonsense"]))

    asked, told = searched(tmp_path / "list.txt")

    assert asked == urls
    assert len(told) == 1
    assert "nonsense" in told[0]


def test_with_keywords_only_rows_that_speak_of_them_are_asked_for(tmp_path: Path) -> None:
    write_csv(tmp_path / "list.csv", [{**row, "caption": "a mill" if n % 2 else "a cat"} for n, row in enumerate(ROWS)])

    assert searched(tmp_path / "list.csv", "mills")[0] == [ROWS[1]["url"], ROWS[3]["url"]]


def test_a_list_that_breaks_off_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"https://example.org/{n}.jpg\n" for n in range(5000)).encode())
    (tmp_path / "list.txt.gz").write_bytes(whole[: len(whole) // 2])

    asked, told = searched(tmp_path / "list.txt.gz", limit=10_000)

    assert asked == [f"https://example.org/{n}.jpg" for n in range(len(asked))]
    assert len(asked) > 1000
    assert ["cannot be read on" in line for line in told] == [True]


def test_a_list_is_crawled(tmp_path: Path) -> None:
    with web_server({"/1.jpg": picture(b"one")}) as server:
        url = f"{server.url}/1.jpg"
        (tmp_path / "list.csv").write_text(f"url,caption,page_url\n{url},A mill,\n{server.url}/2.jpg,Two mills,\n")
        result = run_crawl(
            tmp_path,
            request_for(
                "urls", str(tmp_path / "list.csv"), "mill", contact="t@example.org", allow=(f"127.0.0.1:{server.port}",)
            ),
        )
        referers = {asked.headers.get("Referer") for asked in server.log if asked.path == "/1.jpg"}

    assert {path: record.outcome for path, record in result.by_path(server.url).items()} == {
        "/1.jpg": Outcome.FETCHED,
        "/2.jpg": Outcome.FAILED,
    }
    assert result.by_path(server.url)["/1.jpg"].caption == "A mill"
    assert referers == {url}  # and no path of this machine

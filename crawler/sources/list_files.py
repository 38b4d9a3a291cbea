"""Lists of addresses on disk, row by row: text, CSV, TSV, JSON, JSON Lines, Parquet, packed with gzip or not.

A list may have millions of rows, so none is ever held whole: lines are read one after the other, a JSON list object by
object, and Parquet in batches. A line or object larger than `MAX_ROW` is bad, whatever it holds.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, TextIO

from crawler.errors import SourceError

Row = Mapping[str, Any]
"""Column -> value, of whatever type; an address that stands alone is under `url`."""

URL = "url"
MAX_ROW = 1_000_000
"""Characters in one line or one object of a JSON list."""

FORMATS: Mapping[str, str] = {
    ".txt": "txt",
    ".lst": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""Ending -> format, each also with `.gz` behind it, but for Parquet, which packs itself."""

_CHUNK = 2**20
_BATCH = 1024
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SPACE = " \t\r\n"


def format_of(path: Path) -> str | None:
    """The format that a file's name tells, or None."""
    name = path.name.lower().removesuffix(".gz")
    return FORMATS.get(Path(name).suffix)


def read_rows(
    path: Path, kind: str, *, is_wanted: Callable[[str], bool], on_bad: Callable[[str], None]
) -> Iterator[Row]:
    """The rows of a list, in order.

    Args:
        path: The file.
        kind: One of the values of `FORMATS`.
        is_wanted: Whether a column is of use; of Parquet no other column is read.
        on_bad: Told the beginning of each row that cannot be read.

    Raises:
        SourceError: The file cannot be read, or not be read on.
    """
    if kind == "parquet":
        yield from _parquet_rows(path, is_wanted)
        return
    readers = {"txt": _text_rows, "csv": _table_rows, "tsv": _table_rows, "json": _json_rows, "jsonl": _json_line_rows}
    try:
        with closing(_open_text(path)) as stream:
            if kind == "tsv":
                yield from _table_rows(stream, on_bad, delimiter="\t")
            else:
                yield from readers[kind](stream, on_bad)
    except (EOFError, OSError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise SourceError(f"the list {path} cannot be read on: {why}") from error
    except _NotAList as error:
        raise SourceError(f"the list {path} cannot be read on: {error}") from error


class _NotAList(Exception):
    """A JSON text that is no list, or breaks off."""


def _open_text(path: Path) -> TextIO:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    opener: Callable[..., IO[Any]] = gzip.open if is_packed else open
    with opener(path, "rb") as file:
        head = file.read(2)
    stream: Any = opener(path, "rt", encoding="utf-16" if head in _UTF16 else "utf-8-sig", errors="replace")
    return stream  # type: ignore[no-any-return]  # opened as text


def _lines(stream: TextIO, on_bad: Callable[[str], None]) -> Iterator[str]:
    """Lines, with their ends; one that is too long is told as bad and left out."""
    while line := stream.readline(MAX_ROW):
        if len(line) < MAX_ROW or line.endswith("\n"):
            yield line
            continue
        on_bad(line[:100])
        while (rest := stream.readline(MAX_ROW)) and not rest.endswith("\n"):
            pass


def _text_rows(stream: TextIO, on_bad: Callable[[str], None]) -> Iterator[Row]:
    for line in _lines(stream, on_bad):
        address = line.strip()
        if address and not address.startswith("#"):
            yield {URL: address}


def _table_rows(stream: TextIO, on_bad: Callable[[str], None], delimiter: str = ",") -> Iterator[Row]:
    lines = _lines(stream, on_bad)
    first = next(lines, "")
    if delimiter == "," and "," not in first:
        # What spreadsheets call CSV has semicolons in half of the world.
        delimiter = next((other for other in ";\t" if other in first), ",")

    def again() -> Iterator[str]:
        yield first
        yield from lines

    reader = csv.reader(again(), delimiter=delimiter)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            on_bad(f"line {reader.line_num}: {error}")
            continue
        if not any(cells):
            continue
        if header is None:
            header = _headless(cells)
            if header is None:
                header = cells
                continue
        yield dict(zip(header, cells, strict=False))


def _headless(cells: list[str]) -> list[str] | None:
    """Names for the columns of a table whose first line is not their names but holds an address; else None."""
    place = next((n for n, cell in enumerate(cells) if cell.lower().startswith(("http://", "https://"))), None)
    if place is None:
        return None
    others = "caption" if len(cells) == 2 else ""
    return [URL if n == place else others or f"column {n + 1}" for n in range(len(cells))]


def _json_line_rows(stream: TextIO, on_bad: Callable[[str], None]) -> Iterator[Row]:
    for line in _lines(stream, on_bad):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                on_bad(line[:100])
            else:
                yield from _json_row(value, on_bad)


def _json_row(value: Any, on_bad: Callable[[str], None]) -> Iterator[Row]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, str):
        yield {URL: value}
    else:
        on_bad(str(value)[:100])


def _json_rows(stream: TextIO, on_bad: Callable[[str], None]) -> Iterator[Row]:
    """The entries of a JSON list, decoded one by one out of a window over the text."""
    window = _Window(stream)
    if window.skip() != "[":
        raise _NotAList("it is not a JSON list of objects; with one object a line its name should end in .jsonl")
    window.drop(1)
    while (mark := window.skip()) != "]":
        if mark == ",":
            window.drop(1)
        else:
            yield from _json_row(window.value(), on_bad)


class _Window:
    """The part of a JSON text that is looked at."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode

    def skip(self) -> str:
        """The next letter that is not space."""
        while True:
            while self._at < len(self._text):
                if (letter := self._text[self._at]) not in _SPACE:
                    return letter
                self._at += 1
            if not self._more():
                raise _NotAList("it ends in the middle of the list")

    def drop(self, count: int) -> None:
        """Go on."""
        self._at += count

    def value(self) -> Any:
        """The value that begins here."""
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # Either it goes on beyond the window, or it is broken; which one, only more of it tells.
                if len(self._text) - self._at > MAX_ROW or isinstance(error, RecursionError) or not self._more():
                    here = self._text[self._at : self._at + 60]
                    raise _NotAList(f"it is not JSON from {here!r} on") from None
                continue
            if end < len(self._text) or not self._more():
                self._at = end
                return value
            # A number at the end of the window may have more digits.

    def _more(self) -> bool:
        chunk = self._stream.read(_CHUNK)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)


def _parquet_rows(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[Row]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise SourceError(
            f"reading {path.name} needs pyarrow, which is not installed: pip install 'dreamcrawl[parquet]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if is_wanted(name)]
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException, ValueError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"the list {path} cannot be read on: {line}") from error

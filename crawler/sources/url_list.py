"""`urls=FILE`: addresses of pictures in a file of the user's, one a line or in columns; what img2dataset reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from crawler.errors import SourceError
from crawler.items import ImageItem
from crawler.sources.answers import address, declared_license, text, texts, whole
from crawler.sources.base import ListSource
from crawler.sources.list_files import FORMATS, URL, Row, format_of, read_rows
from crawler.sources.markup import clean
from pipeline.own_paths import expanded

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        URL: ("url", "image_url", "img_url", "imageurl", "content_url", "contenturl", "file_url", "original_url"),
        "caption": ("caption", "text", "description"),
        "alt": ("alt", "alt_text"),
        "title": ("title", "name"),
        "tags": ("tags", "keywords"),
        "license": ("license", "licence", "license_id", "license_name"),
        "license_url": ("license_url", "licence_url", "licenseurl"),
        "creator": ("creator", "author", "artist", "photographer"),
        "creator_url": ("creator_url", "author_url"),
        "attribution": ("attribution", "credit"),
        "page_url": ("page_url", "landing_url", "foreign_landing_url", "source_url", "page", "source"),
        "sha1": ("sha1",),
        "md5": ("md5",),
        "sha256": ("sha256",),
        "width": ("width", "original_width"),
        "height": ("height", "original_height"),
        "created": ("created", "date"),
    }
)
"""What is taken of a row -> the columns it may stand in, the first one that is there; case does not matter."""

MAX_URL = 8000
# Objects of JSON may leave out what they have no value for, so the columns are those of several rows.
_LOOKED_AT = 100
_HASHES = (("sha1", 40), ("md5", 32), ("sha256", 64))
_DECLARED_BY = "list"
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?")


class UrlList(ListSource):
    """The rows of a list, or of all lists in a folder."""

    name: ClassVar[str] = "urls"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        place, self._named = _split(argument)
        self._kind = self._named.pop("format", None)
        if self._kind is not None and self._kind not in FORMATS.values():
            raise SourceError(f"urls={argument}: there is no format {self._kind!r}; {_formats()}")
        self._bad = 0
        self._first_bad = ""
        self._files = self._find(expanded(place))
        for path in self._files:
            self._check(path)

    def items(self) -> Iterator[ImageItem]:
        """The picture of every row that has an address, row by row.

        Raises:
            SourceError: A list cannot be read on.
        """
        self._bad, self._first_bad = 0, ""
        for path in self._files:
            for row in self._rows(path):
                item = self._item(row)
                if item is not None:
                    yield item

    def remarks(self) -> tuple[str, ...]:
        """How many rows read so far were of no use, and what the first of them was."""
        if not self._bad:
            return ()
        rows, more = ("1 row", "") if self._bad == 1 else (f"{self._bad} rows", ", the first")
        return (f"urls={self.argument}: left out for want of a usable address: {rows}{more}: {self._first_bad}",)

    def _find(self, path: Path) -> list[Path]:
        try:
            if path.is_dir():
                found = sorted(each for each in path.iterdir() if each.is_file() and format_of(each))
            else:
                found = [path] if path.is_file() else []
                if not found:
                    raise SourceError(f"urls={self.argument}: there is no such file")
        except OSError as error:
            raise SourceError(f"urls={self.argument} cannot be read: {error.strerror or error}") from error
        if not found:
            raise SourceError(f"urls={self.argument}: the folder holds no list; {_formats()}")
        if self._kind is None and (odd := next((each for each in found if format_of(each) is None), None)):
            raise SourceError(f"urls={self.argument}: the ending of {odd.name} is not known; {_formats()}")
        return found

    def _check(self, path: Path) -> None:
        """See that a list can be opened and has a column of addresses.

        Raises:
            SourceError: It cannot, or has none.
        """
        first: dict[str, Any] = {}
        for row in islice(self._rows(path), _LOOKED_AT):
            first.update(row)
        self._bad, self._first_bad = 0, ""
        if not first:
            return
        present = _folded(first)
        for field, column in self._named.items():
            if column not in first:
                there = ", ".join(map(repr, list(first)[:20]))
                raise SourceError(f"{path.name} has no column {column!r} (for {field}_col); its columns: {there}")
        if URL not in self._named and not any(name in present for name in COLUMNS[URL]):
            there = ", ".join(map(repr, list(first)[:20]))
            raise SourceError(
                f"{path.name} has no column of addresses ({', '.join(COLUMNS[URL])}); its columns: {there}; "
                f"name the one that has them: urls={path.name}?url_col=NAME"
            )

    def _rows(self, path: Path) -> Iterator[Row]:
        kind = self._kind or format_of(path) or "txt"
        yield from read_rows(path, kind, is_wanted=self._is_wanted, on_bad=self._count_bad)

    def _is_wanted(self, column: str) -> bool:
        return column in self._named.values() or any(_fold(column) in names for names in COLUMNS.values())

    def _count_bad(self, what: str) -> None:
        self._bad += 1
        self._first_bad = self._first_bad or repr(clean(what[:100]) or "")

    def _item(self, row: Row) -> ImageItem | None:
        row_folded = _folded(row)

        def value(field: str) -> Any:
            if field in self._named:
                return row.get(self._named[field])
            return next((row_folded[name] for name in COLUMNS[field] if row_folded.get(name) not in (None, "")), None)

        given = value(URL)
        url = address(given) if isinstance(given, str) and len(given) <= MAX_URL else None
        if url is None:
            self._count_bad("" if given is None else str(given))
            return None
        terms, link = text(value("license")), text(value("license_url"))
        if terms and link is None and "://" in terms and " " not in terms:
            terms, link = None, terms
        return ImageItem(
            image_url=url,
            # A list says where pictures are, not always where they are shown; the Referer must not be a file of ours.
            page_url=address(value("page_url")) or url,
            title=text(value("title")),
            alt=text(value("alt")),
            caption=text(value("caption")),
            tags=_tags(value("tags")),
            creator=text(value("creator")),
            creator_url=address(value("creator_url")),
            license=declared_license(_DECLARED_BY, url=link, name=terms),
            source_hash=next((found for name, size in _HASHES if (found := _hash(name, size, value(name)))), None),
            width=_pixels(value("width")),
            height=_pixels(value("height")),
            created=_date(value("created")),
            attribution=text(value("attribution")),
        )


def _split(argument: str) -> tuple[str, dict[str, str]]:
    """The path, and field -> column as far as they are named, with `format` among them.

    Raises:
        SourceError: An option that there is not.
    """
    place, mark, query = argument.rpartition("?")
    if not mark or expanded(argument).exists():
        return argument, {}
    named: dict[str, str] = {}
    for option, value in parse_qsl(query, keep_blank_values=True):
        field = option.removesuffix("_col")
        if option != "format" and (field == option or field not in COLUMNS):
            options = ", ".join(f"{each}_col" for each in COLUMNS)
            raise SourceError(f"urls={argument}: there is no option {option!r}; there are: format, {options}")
        named[field] = value
    return place, named


def _formats() -> str:
    endings = ", ".join(ending for ending in FORMATS)
    return f"known are {endings}, all but Parquet also with .gz; or name the format: urls=FILE?format=csv"


def _fold(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def _folded(row: Row) -> dict[str, Any]:
    """Normal form of each column's name -> value; of two that differ in case the first."""
    found: dict[str, Any] = {}
    for column, value in row.items():
        found.setdefault(_fold(str(column)), value)
    return found


def _tags(value: Any) -> tuple[str, ...]:
    return texts(value.split(",") if isinstance(value, str) else value)


def _hash(name: str, size: int, value: Any) -> str | None:
    digest = value.strip().lower() if isinstance(value, str) else ""
    return f"{name}:{digest}" if re.fullmatch(rf"[0-9a-f]{{{size}}}", digest) else None


def _pixels(value: Any) -> int | None:
    # Tables with gaps hold their whole numbers as floating-point ones.
    if isinstance(value, str):
        value = value.strip().removesuffix(".0")
    return whole(int(value) if isinstance(value, float) and value.is_integer() else value)


def _date(value: Any) -> str | None:
    found = _DATE.match(text(value) or "")
    return found[0] if found else None

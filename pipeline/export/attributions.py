"""The attributions of an export: a page for people and a table for programs, written as the samples go by."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.export.samples import Credit, Sample
from pipeline.provenance.markdown import markdown_text
from pipeline.whole_files import whole_file

TEXT, TABLE = "ATTRIBUTION.md", "ATTRIBUTION.csv"

_COLUMNS = (
    "key",
    "title",
    "creator",
    "creator_url",
    "source",
    "license",
    "license_url",
    "share_alike",
    "credit",
    "may_be_shared",
)
_HEAD = """# Attribution

Each picture with its title, author, source and licence. Pictures marked *share-alike* may be passed on, altered or not,
under that licence only; those marked *private* may not be passed on at all. Pictures are named by their key.

"""


class Attributions:
    """The two files of one export."""

    def __init__(self, text: BinaryIO, table: BinaryIO) -> None:
        self._text = text
        self._table = table
        self.share_alike = 0
        self.private = 0
        text.write(_HEAD.encode())
        table.write(_csv_line(_COLUMNS))

    def add(self, sample: Sample) -> None:
        """One line in each."""
        credit = sample.credit
        self.share_alike += credit.share_alike
        self.private += not credit.may_be_shared
        marks = "".join(f" *{mark}.*" for mark in _marks(credit))
        self._text.write(f"- {sample.key}: {markdown_text(credit.line)}{marks}\n".encode("utf-8", "replace"))
        self._table.write(_csv_line(_cells(sample.key, credit)))


@contextmanager
def attributions_in(folder: Path) -> Iterator[Attributions]:
    """The files of attributions, which appear when the block ends.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    with whole_file(folder / TEXT) as text, whole_file(folder / TABLE) as table:
        yield Attributions(text, table)


def _marks(credit: Credit) -> Iterator[str]:
    if not credit.may_be_shared:
        yield "Private"
        return
    if credit.share_alike:
        yield "Share-alike"
    if credit.license.permits_commercial_use is False:
        yield "Not for commercial use"
    if credit.license.permits_adaptation is False:
        yield "Not to be altered"


def _cells(key: str, credit: Credit) -> tuple[str, ...]:
    license_ = credit.license
    share_alike = "yes" if credit.share_alike else "no"
    return (
        key,
        credit.title,
        credit.creator,
        credit.creator_url,
        credit.source,
        license_.id,
        credit.license_url,
        share_alike,
        credit.line,
        "yes" if credit.may_be_shared else "no",
    )


def _csv_line(cells: tuple[str, ...]) -> bytes:
    line = io.StringIO()
    # Spreadsheets run cells that begin like a formula, and these texts come from the web.
    safe = [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in cells]
    csv.writer(line, lineterminator="\n").writerow(safe)
    return line.getvalue().encode("utf-8", "replace")

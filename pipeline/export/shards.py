"""Shards on disk, in the three layouts of img2dataset: files, webdataset, Parquet.

A shard is written as a whole and then told by its `_stats.json`, as img2dataset does; here that also holds the digests
by which a later export knows whether the shard is as it would be, and need not be written again.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from pipeline.errors import StoreCorrupt, UsageError
from pipeline.export.samples import Sample, digest_of, shard_name
from pipeline.export.selection import DAMAGED
from pipeline.store import Store
from pipeline.whole_files import TEMPORARY_PREFIX, whole_file, write_whole

LAYOUT_VERSION = 1
_STATS = "_stats.json"
# Pictures are large, and the writer holds one row group in memory.
_ROW_GROUP_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Written:
    """One shard that is on the disk.

    Attributes:
        kept: Whether it was there already, as it would be.
        damaged: Keys of those of its samples whose picture could not be read from the store.
        digests: Path within the export -> SHA-256, of each of its files, in order.
    """

    samples: int
    size_bytes: int
    kept: bool
    damaged: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)


class ShardWriter(ABC):
    """Writes the shards of one layout."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    """Of what a shard is, beside its `_stats.json`: a file, or a folder without a suffix."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store

    @abstractmethod
    def write(self, number: int, samples: Sequence[Sample]) -> Written:
        """Write a shard, or keep the one that is there when it is the same.

        Raises:
            OSError: The folder cannot be written, or the disk is full.
        """

    def remove_others(self, shards: int, *, before: int) -> None:
        """Delete shards that an earlier export wrote, and that there are no more; what others put there stays.

        before: How many shards that export had.

        Raises:
            UsageError: In place of a shard's folder there is a link, which may lead anywhere.
        """
        for number in range(max(shards, before)):
            if (self._folder / shard_name(number)).is_symlink():
                raise UsageError(f"{self._folder / shard_name(number)} is a link; choose another folder, or remove it")
            sweep(self._folder / shard_name(number))
        for number in range(shards, before):
            for suffix in (self.suffix, _STATS):
                _remove(self._folder / f"{shard_name(number)}{suffix}", of_shard=number)

    def _readable(self, samples: Sequence[Sample], damaged: list[Sample]) -> Iterator[tuple[Sample, bytes]]:
        for sample in samples:
            try:
                data = self._store.read(sample.sha256)
            except StoreCorrupt:
                damaged.append(sample)
            else:
                yield sample, data

    def _write_stats(self, number: int, samples: Sequence[Sample], damaged: int, **digests: str | None) -> str:
        """Write the shard's `_stats.json`; its digest. The same catalog gives the same, so no times are in it."""
        status = {"success": len(samples) - damaged} | ({DAMAGED: damaged} if damaged else {})
        stats = {
            "count": len(samples),
            "successes": len(samples) - damaged,
            "failed_to_download": 0,
            "failed_to_resize": 0,
            "status_dict": status,
            **digests,
        }
        data = (json.dumps(stats, indent=4) + "\n").encode()
        path = self._folder / f"{shard_name(number)}{_STATS}"
        if not _holds(path, data):
            write_whole(path, data)
        return hashlib.sha256(data).hexdigest()


class FilesWriter(ShardWriter):
    """A folder for each shard: `00000/000000000.jpg`, `.txt`, `.json`."""

    name: ClassVar[str] = "files"
    suffix: ClassVar[str] = ""

    def write(self, number: int, samples: Sequence[Sample]) -> Written:
        """Write what is missing or other than it would be; files of no sample are deleted."""
        folder = self._folder / shard_name(number)
        folder.mkdir(parents=True, exist_ok=True)
        digests: dict[str, str] = {}
        damaged: list[Sample] = []
        kept = True
        for sample in samples:
            name = f"{sample.key}.{sample.suffix}"
            if _sha256_of(folder / name) != sample.sha256:
                data = next((data for _, data in self._readable([sample], damaged)), None)
                if data is None:
                    continue
                write_whole(folder / name, data)
                kept = False
            digests[name] = sample.sha256
            for suffix, content in (("txt", sample.text()), ("json", sample.json())):
                if not _holds(folder / f"{sample.key}.{suffix}", content):
                    write_whole(folder / f"{sample.key}.{suffix}", content)
                    kept = False
                digests[f"{sample.key}.{suffix}"] = hashlib.sha256(content).hexdigest()
        for path in sorted(folder.iterdir()):
            if path.name not in digests and _is_of(path, number):
                path.unlink()
                kept = False
        stats = self._write_stats(number, samples, len(damaged))
        found = {f"{folder.name}/{name}": digest for name, digest in digests.items()}
        size = sum(sample.size_bytes for sample in samples) - sum(sample.size_bytes for sample in damaged)
        found[f"{folder.name}{_STATS}"] = stats
        return Written(len(samples) - len(damaged), size, kept, _keys(damaged), found)


class OneFileWriter(ShardWriter):
    """Shards that are one file each."""

    def write(self, number: int, samples: Sequence[Sample]) -> Written:
        """Write the file, unless the one that is there has the digests of what it would be."""
        name = f"{shard_name(number)}{self.suffix}"
        path = self._folder / name
        content = digest_of(samples, layout=f"{self.name}/{LAYOUT_VERSION}")
        size = sum(sample.size_bytes for sample in samples)
        before = _read_json(self._folder / f"{shard_name(number)}{_STATS}")
        damaged: list[Sample] = []
        digest = before.get("file_sha256") if before.get("content_sha256") == content else None
        kept = isinstance(digest, str) and _sha256_of(path) == digest
        if not kept:
            with whole_file(path) as file:
                sink = _Hashing(file)
                self._fill(sink, self._readable(samples, damaged))
            digest = sink.digest.hexdigest()
        # Without the digest of the content a shard is made again: the damaged pictures may be back by then.
        stats = self._write_stats(
            number, samples, len(damaged), content_sha256=None if damaged else content, file_sha256=str(digest)
        )
        found = {name: str(digest), f"{shard_name(number)}{_STATS}": stats}
        size -= sum(sample.size_bytes for sample in damaged)
        return Written(len(samples) - len(damaged), size, kept, _keys(damaged), found)

    @abstractmethod
    def _fill(self, file: _Hashing, samples: Iterator[tuple[Sample, bytes]]) -> None:
        """Write the whole file."""


class WebdatasetWriter(OneFileWriter):
    """A tar for each shard, whose members stand together by key: `00000.tar`.

    The members' order, times and owners are fixed, so the same samples give the same bytes.
    """

    name: ClassVar[str] = "webdataset"
    suffix: ClassVar[str] = ".tar"

    def _fill(self, file: _Hashing, samples: Iterator[tuple[Sample, bytes]]) -> None:
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
            for sample, data in samples:
                for suffix, content in ((sample.suffix, data), ("json", sample.json()), ("txt", sample.text())):
                    member = tarfile.TarInfo(f"{sample.key}.{suffix}")
                    member.size = len(content)
                    member.mode = 0o644
                    tar.addfile(member, io.BytesIO(content))


class ParquetWriter(OneFileWriter):
    """A table for each shard, with the pictures' files in the column `jpg` whatever they are, as img2dataset has it."""

    name: ClassVar[str] = "parquet"
    suffix: ClassVar[str] = ".parquet"

    def __init__(self, folder: Path, store: Store) -> None:
        try:
            import pyarrow  # noqa: F401, ICN001  # only asked whether it is there
        except ImportError as error:
            raise UsageError(
                "--format parquet needs pyarrow, which is not installed: pip install 'dreamcrawl[parquet]'"
            ) from error
        super().__init__(folder, store)

    def _fill(self, file: _Hashing, samples: Iterator[tuple[Sample, bytes]]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        fields = [(name, pa.int64() if name in _WHOLE else pa.string()) for name in _COLUMNS]
        schema = pa.schema([*fields, ("txt", pa.string()), ("jpg", pa.binary())])
        with parquet.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd") as writer:
            rows: list[dict[str, Any]] = []
            size = 0
            for sample, data in samples:
                rows.append({**_row(sample), "txt": sample.caption, "jpg": data})
                size += len(data)
                if size >= _ROW_GROUP_BYTES:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    rows, size = [], 0
            writer.write_table(pa.Table.from_pylist(rows, schema))


WRITERS: Mapping[str, type[ShardWriter]] = {each.name: each for each in (FilesWriter, WebdatasetWriter, ParquetWriter)}
"""By the name of the format."""

_HALF_WRITTEN = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}[a-z0-9_]+")
_SAMPLE_FILE = re.compile(r"\d+\.(?:jpg|png|webp|gif|bin|txt|json)")
_WHOLE = frozenset({"width", "height", "original_width", "original_height"})
_COLUMNS = (
    "caption", "url", "key", "status", "error_message", "width", "height", "original_width", "original_height",
    "sha256", "pixel_sha256", "media_type", "item", "page_url", "title", "alt", "creator", "creator_url", "license",
    "license_name", "license_url", "attribution", "source", "source_id", "created", "rendition", "tags", "keywords",
    "consent", "near_duplicate_of", "derivation",
)  # fmt: skip
"""Of a Parquet shard, but for `txt` and `jpg`; what is no plain value there is JSON text."""


class _Hashing(io.RawIOBase):
    """Passes on what is written, and takes its digest."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.digest = hashlib.sha256()
        self._written = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Write, as to any file."""
        count = self._file.write(data)
        self.digest.update(data)
        self._written += count
        return count

    def tell(self) -> int:
        """How much was written."""
        return self._written


def sweep(folder: Path) -> None:
    """Delete what killed exports left half written in a folder; the caller holds the lock."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if is_half_written(path):
            path.unlink(missing_ok=True)


def is_half_written(path: Path) -> bool:
    """Whether it is a file that a killed export left; its name is one that `whole_file` gives."""
    return bool(_HALF_WRITTEN.fullmatch(path.name)) and not path.is_dir()


def _keys(samples: Sequence[Sample]) -> frozenset[str]:
    return frozenset(sample.key for sample in samples)


def _row(sample: Sample) -> dict[str, Any]:
    found = {}
    for name in _COLUMNS:
        value = sample.about.get(name)
        is_plain = value is None or isinstance(value, (str, int))
        found[name] = value if is_plain else json.dumps(value, ensure_ascii=False)
    return found


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _sha256_of(path: Path) -> str | None:
    """The digest of a file, or None when there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_of(path: Path, number: int) -> bool:
    """Whether a file is one of the samples of this shard, whose keys begin with its name."""
    return path.name.startswith(shard_name(number)) and bool(_SAMPLE_FILE.fullmatch(path.name)) and not path.is_dir()


def _remove(path: Path, *, of_shard: int) -> None:
    """Delete a shard's file, or its folder with the samples in it; a folder with anything else stays."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for inside in path.iterdir():
        if _is_of(inside, of_shard):
            inside.unlink()
    if not any(path.iterdir()):
        path.rmdir()

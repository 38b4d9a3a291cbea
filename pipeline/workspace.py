"""The one folder that holds everything: where each thing lies in it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import WorkspaceUnusable
from pipeline.whole_files import is_full

_README = """This folder is a dreamcrawl workspace.

dreams/           your dreams, with readable names; beside each a .json that says how it was made
catalog.sqlite3   what is known about every picture
store/            every file once, by the SHA-256 of its bytes; originals are never changed
inbox/            what crawls handed over and ingest has not taken yet
weights/          network weights that were fetched or imported
keys/             what dreams are signed with, if you made keys: keep them to yourself
quarantine/       files that `dreamcrawl fsck --mend` took out of the store
cache/            may be deleted at any time
prefect/          Prefect's own files
"""


@dataclass(frozen=True)
class Workspace:
    """Paths inside one workspace folder; nothing is created until `prepare`."""

    root: Path

    @property
    def catalog_path(self) -> Path:
        """The SQLite catalog."""
        return self.root / "catalog.sqlite3"

    @property
    def store(self) -> Path:
        """The content-addressed store."""
        return self.root / "store"

    @property
    def inbox(self) -> Path:
        """Hand-off folders, one per crawl."""
        return self.root / "inbox"

    @property
    def dreams(self) -> Path:
        """Copies of the dreams for people, with sidecars."""
        return self.root / "dreams"

    @property
    def keys(self) -> Path:
        """Signing keys."""
        return self.root / "keys"

    @property
    def weights(self) -> Path:
        """Network weights."""
        return self.root / "weights"

    @property
    def octaves(self) -> Path:
        """What is done of dreams that are not finished, which can be deleted at any time."""
        return self.root / "cache" / "octaves"

    @property
    def thumbnails(self) -> Path:
        """Thumbnails, which can be deleted at any time."""
        return self.root / "cache" / "thumbnails"

    @property
    def pages(self) -> Path:
        """Pages that crawls have read, which can be deleted at any time."""
        return self.root / "cache" / "pages"

    @property
    def prefect_home(self) -> Path:
        """Prefect's database, logs and profiles."""
        return self.root / "prefect"

    @property
    def quarantine(self) -> Path:
        """Files that fsck took out of the store."""
        return self.root / "quarantine"

    @property
    def locks(self) -> Path:
        """Lock files."""
        return self.root / "locks"

    def prepare(self) -> None:
        """Create the folders and make sure that they can be written.

        Raises:
            WorkspaceUnusable: A file is in the way, or the folder is read-only or on a full disk.
        """
        try:
            for folder in (self.root, self.store, self.inbox, self.dreams, self.keys, self.weights, self.locks):
                folder.mkdir(parents=True, exist_ok=True)
            self.keys.chmod(0o700)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"dreamcrawl")
                probe.flush()
            readme = self.root / "README.txt"
            if not readme.exists():
                readme.write_text(_README, encoding="utf-8")
        except OSError as error:
            raise WorkspaceUnusable(
                f"the workspace {self.root} cannot be written: {error.strerror or error}; "
                f"{'make room on the disk, or ' if is_full(error) else ''}choose another with --workspace or "
                "DREAMCRAWL_WORKSPACE"
            ) from error

    def check_catalog(self) -> None:
        """See that the catalog was not emptied, which would otherwise be made anew beside a store that is not empty.

        Raises:
            WorkspaceUnusable: It is a file without a byte, and the store has files.
        """
        try:
            is_empty = self.catalog_path.stat().st_size == 0
            if is_empty and any(path.is_file() for path in self.store.glob("??/??/*")):
                raise WorkspaceUnusable(
                    f"{self.catalog_path} is empty, but {self.store} is not: the catalog was lost. Restore a backup "
                    "into a new folder, or move both away to begin anew"
                )
        except OSError:
            return  # none there, or one that cannot be read: whoever opens it says so

    def is_read_only(self) -> bool:
        """Whether the folder is there and cannot be written; nothing is tried."""
        return self.root.is_dir() and not os.access(self.root, os.W_OK)

    def exists(self) -> bool:
        """Whether there is a catalog here already."""
        return self.catalog_path.exists()

"""`folder=PATH`: the user's own pictures, with the sub-folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from crawler.errors import SourceError
from crawler.items import ImageItem
from crawler.sources.base import FileSource, LocalPicture
from crawler.sources.markup import clean
from crawler.sources.sidecars import read_sidecar
from crawler.urls import IMAGE_ENDINGS
from pipeline.own_paths import expanded


class Folder(FileSource):
    """Every picture file below a folder, by its ending; hidden files and folders are left out."""

    name: ClassVar[str] = "folder"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        path = expanded(argument)
        if not path.exists():
            raise SourceError(f"folder={argument}: there is no such folder")
        if not path.is_dir():
            raise SourceError(f"folder={argument} is not a folder; name the folder that the file lies in")
        self._root = path.resolve()
        try:
            next(self._root.iterdir(), None)
        except OSError as error:
            raise SourceError(f"folder={argument} cannot be read: {error.strerror or error}") from error
        if next(self._files(), None) is None:
            kinds = ", ".join(IMAGE_ENDINGS)
            raise SourceError(f"folder={argument} holds no picture files ({kinds}), its sub-folders included")

    def pictures(self) -> Iterator[LocalPicture]:
        """Every picture file, folder by folder in the order of their names."""
        for path in self._files():
            folders = path.parent.relative_to(self._root).parts
            facts = read_sidecar(path)
            yield LocalPicture(
                path=path,
                item=ImageItem(
                    image_url=path.as_uri(),
                    page_url=path.parent.as_uri(),
                    title=facts.title or clean(path.stem),
                    alt=facts.alt,
                    caption=facts.caption,
                    tags=facts.tags,
                    page_title=tuple(text for part in (self._root.name, *folders) if (text := clean(part))),
                    creator=facts.creator,
                    creator_url=facts.creator_url,
                    license=facts.license,
                ),
            )

    def _files(self) -> Iterator[Path]:
        for parent, folders, names in os.walk(self._root, followlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(parent) / name
                if not name.startswith(".") and name.lower().endswith(IMAGE_ENDINGS) and self._is_inside(path):
                    yield path

    def _is_inside(self, path: Path) -> bool:
        """Whether a path is a regular file that lies in the folder; a link may not lead out of it."""
        try:
            return path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(self._root))
        except OSError:
            return False

"""What a source is: a name, an argument, and a pure reading of what comes from there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crawler.items import ImageItem, ParsedPage


class WebSource(ABC):
    """A source of pages. It requests nothing itself: the spider does, and hands every page to `parse`."""

    name: ClassVar[str]

    def __init__(self, argument: str) -> None:
        """Keep the argument.

        Raises:
            SourceError: It means nothing to this source.
        """
        self.argument = argument

    @property
    @abstractmethod
    def start_url(self) -> str:
        """Where to begin; the operator named it, so it may be any host and port."""

    @abstractmethod
    def follows(self, url: str) -> bool:
        """Whether a link from one of the source's pages leads to another of its pages."""

    @abstractmethod
    def parse(self, url: str, html: str) -> ParsedPage:
        """Pictures and links of a page, both with canonical addresses; `url` is its address after redirects."""

    def moved(self, url: str) -> None:  # noqa: B027  # a source whose start page never moves has nothing to do
        """Told once, when the start page answered from another address than `start_url`."""


@dataclass(frozen=True)
class LocalPicture:
    """A file of the user's, described but not read.

    Attributes:
        item: What is said about it; `image_url` is its file URI.
        path: Where it is.
    """

    item: ImageItem
    path: Path


class FileSource(ABC):
    """A source of the user's own files. Nothing is requested over a network."""

    name: ClassVar[str]

    def __init__(self, argument: str) -> None:
        """Keep the argument.

        Raises:
            SourceError: It means nothing to this source, or there is nothing to take.
        """
        self.argument = argument

    @abstractmethod
    def pictures(self) -> Iterator[LocalPicture]:
        """Every picture, in a fixed order."""


Source = WebSource | FileSource

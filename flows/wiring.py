"""Builds what the stages need from the settings: the only reader of settings, and where stages meet."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from crawler.run import CrawlRequest
    from pipeline.catalog.engine import Catalog
    from pipeline.images import ImageLimits
    from pipeline.settings import Settings, SettingsModel
    from pipeline.store import Store


@dataclass(frozen=True)
class Environment:
    """The settings of one command, and the workspace they point at."""

    settings: Settings
    workspace: Workspace

    @property
    def values(self) -> SettingsModel:
        """The validated settings."""
        return self.settings.values

    def command_line(self) -> dict[str, Any]:
        """The settings that the command line gave, to hand on to a flow."""
        listing = {row.name: row.value for row in self.settings.listing()}
        return {
            name: listing[name]
            for name, origin in self.settings.origins.items()
            if origin == "command line" and name != "workspace"
        }

    @property
    def catalog_address(self) -> str:
        """Path or database URL of the catalog."""
        return self.values.catalog_url or str(self.workspace.catalog_path)


def load_environment(overrides: Mapping[str, Any] | None = None) -> Environment:
    """Settings from defaults, file, environment and `overrides` (dotted names), and their workspace.

    Raises:
        SettingsInvalid: A setting has a value that it cannot have.
    """
    # Pydantic takes a third of a second to import, which help need not wait for.
    from pipeline.settings import load_settings

    settings = load_settings(environment=os.environ, folder=Path.cwd(), overrides=overrides)
    return Environment(settings, Workspace(settings.values.workspace))


def software_version() -> str:
    """The version of dreamcrawl that runs."""
    try:
        return version("dreamcrawl")
    except PackageNotFoundError:
        return "0+unknown"


@contextlib.contextmanager
def open_catalog(environment: Environment) -> Iterator[Catalog]:
    """The catalog, migrated; runs whose process is gone are marked interrupted.

    Raises:
        WorkspaceUnusable: The folder or the file cannot be written.
        CatalogTooNew: A newer dreamcrawl made it.
    """
    from pipeline.catalog.engine import open_catalog as open_engine
    from pipeline.catalog.processes import is_alive

    environment.workspace.prepare()
    catalog = open_engine(environment.catalog_address)
    try:
        with catalog.write() as uow:
            uow.runs.mark_dead(is_alive)
        yield catalog
    finally:
        catalog.close()


def open_store(environment: Environment) -> Store:
    """The content-addressed store of the workspace."""
    from pipeline.store import Store

    return Store(environment.workspace.store)


def image_limits(environment: Environment) -> ImageLimits:
    """What a picture may be at most, and must be at least."""
    from pipeline.images import ImageLimits

    values = environment.values
    return ImageLimits(
        max_bytes=values.crawl.max_image_bytes, max_pixels=values.ingest.max_pixels, min_side=values.ingest.min_side
    )


def split_source(source: str) -> tuple[str, str]:
    """Name and argument of `NAME=ARGUMENT`.

    Raises:
        UsageError: There is no `=`, or nothing on one of its sides.
    """
    name, separator, argument = source.partition("=")
    if not separator or not name or not argument:
        raise UsageError(
            f"--source is NAME=ARGUMENT, such as website=https://example.org/ or folder=./photos; got {source!r}"
        )
    return name, argument


def crawl_request(
    environment: Environment, *, keywords: tuple[str, ...], source: str, limit: int, only_new: bool
) -> CrawlRequest:
    """What to crawl, with the settings' manners.

    Raises:
        UsageError: An unknown source, or an argument that it cannot take.
    """
    from crawler.run import CrawlRequest

    name, argument = split_source(source)
    crawl = environment.values.crawl
    return CrawlRequest(
        keywords=keywords,
        source=name,
        argument=argument,
        limit=limit,
        only_new=only_new,
        contact=environment.values.contact or None,
        deadline_seconds=crawl.deadline_seconds,
        delay_seconds=crawl.delay_seconds,
        concurrency_per_host=crawl.concurrency_per_host,
        max_image_bytes=crawl.max_image_bytes,
        max_pages=crawl.max_pages,
        max_depth=crawl.max_depth,
        product_version=software_version(),
    )


def python_version() -> str:
    """Such as `3.12.4`."""
    return platform.python_version()

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

from pipeline.errors import CatalogBusy, UsageError, WorkspaceUnusable
from pipeline.own_paths import expanded
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from crawler.run import CrawlRequest
    from flows.asked import Asked
    from pipeline.catalog.engine import Catalog
    from pipeline.images import ImageLimits
    from pipeline.ingest.examining import Examiner
    from pipeline.provenance.c2pa import C2paSigner
    from pipeline.provenance.credential_checks import Trust
    from pipeline.provenance.keys import SigningKeys
    from pipeline.settings import Settings, SettingsModel
    from pipeline.store import Store

_RENEWING_SECONDS = 0.5


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
            if origin == "command line" and name != "workspace" and not name.startswith("credentials.")
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
def open_catalog(environment: Environment, *, only_reads: bool = False) -> Iterator[Catalog]:
    """The catalog, migrated; runs whose process is gone are marked interrupted.

    After an upgrade, some of the search of a large catalog is made anew each time, when all else is done.

    only_reads: A workspace will do that cannot be written; then it is left as it is.

    Raises:
        WorkspaceUnusable: The folder or the file cannot be written.
        CatalogTooNew: A newer dreamcrawl made it.
    """
    from pipeline.catalog.engine import open_catalog as open_engine

    if not (only_reads and environment.workspace.is_read_only()):
        environment.workspace.prepare()
    if not environment.values.catalog_url:
        environment.workspace.check_catalog()
    catalog = open_engine(environment.catalog_address, only_reads=only_reads)
    # Whoever only wants to read need not wait for others, nor have the right to write.
    not_now = (CatalogBusy, WorkspaceUnusable) if only_reads else (CatalogBusy,)
    try:
        if not catalog.is_read_only:
            _mark_dead_runs(catalog, not_now)
        yield catalog
        if not catalog.is_read_only:
            with contextlib.suppress(CatalogBusy, WorkspaceUnusable):
                catalog.renew_search(seconds=_RENEWING_SECONDS)
    finally:
        catalog.close()


def _mark_dead_runs(catalog: Catalog, not_now: tuple[type[Exception], ...]) -> None:
    """Somebody else will do it, if it cannot be done now."""
    from pipeline.catalog.processes import is_alive

    with catalog.read() as uow:
        are_dead = bool(uow.runs.dead(is_alive))
    if are_dead:
        with contextlib.suppress(*not_now), catalog.write() as uow:
            uow.runs.mark_dead(is_alive)


def open_store(environment: Environment) -> Store:
    """The content-addressed store of the workspace."""
    from pipeline.store import Store

    return Store(environment.workspace.store)


def signing_keys(environment: Environment) -> SigningKeys | None:
    """The keys that the settings name, else those of `dreamcrawl keys init`; None when there are none.

    Raises:
        KeysUnusable: They cannot be read, do not fit together or are out of date; or some of them are missing.
        SettingsInvalid: A key without certificates, or the other way round.
    """
    from pipeline.errors import SettingsInvalid

    given, folder = environment.values.signing, environment.workspace.keys
    if bool(given.key) != bool(given.certificates):
        raise SettingsInvalid("signing.key and signing.certificates go together: set both, or neither")
    # Those who have no keys need not wait for the library that reads them.
    if not given.key and not _has_keys(folder, needs_anchor=not given.trust_anchors):
        return None
    from pipeline.provenance import keys

    anchors = _path(given.trust_anchors)
    if given.key:
        return keys.read_keys(expanded(given.key), expanded(given.certificates), anchors)
    own = anchors or folder / keys.TRUST_ANCHOR
    return keys.read_keys(folder / keys.SIGNING_KEY, folder / keys.SIGNING_CHAIN, own)


def signing_key_path(environment: Environment) -> Path:
    """Where the private key lies that `signing_keys` reads."""
    return _path(environment.values.signing.key) or environment.workspace.keys / "signing-key.pem"


def _has_keys(folder: Path, *, needs_anchor: bool) -> bool:
    """Whether `dreamcrawl keys init` has written to this folder.

    Raises:
        KeysUnusable: It has, and what it wrote is not all there any more. Without an error, dreams would be unsigned.
    """
    from pipeline.errors import KeysUnusable

    needed = ("signing-key.pem", "signing-chain.pem", *(("trust-anchor.pem",) if needs_anchor else ()))
    try:
        names = {each.name for each in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise KeysUnusable(f"the keys in {folder} cannot be read: {error.strerror or error}") from error
    left = sorted(names & {*needed, "trust-anchor.pem", "root-key.pem"})
    missing = [name for name in needed if name not in names]
    if left and missing:
        raise KeysUnusable(
            f"{folder} holds {left[0]} and no {missing[0]}: put it back from where you keep a copy; or move the folder "
            "away, and `dreamcrawl keys init` makes other keys"
        )
    return not missing


def open_signer(environment: Environment) -> C2paSigner | None:
    """What signs dreams; None without keys, or without the library, in which case dreams are written unsigned.

    Raises:
        KeysUnusable: As `signing_keys`; or what is signed with them does not hold.
        SettingsInvalid: As `signing_keys`.
    """
    if (found := signing_keys(environment)) is None:
        return None
    from pipeline.provenance.c2pa import C2paSigner, is_installed

    if not is_installed():
        return None
    signer = C2paSigner(found)
    signer.check()
    return signer


def trust_of(environment: Environment, given: Path | None = None) -> Trust:
    """Whose signatures are believed: those under the certificates given, else under those of the settings or our own.

    Where the latter cannot be read, nobody's are, and the value says so: files can be verified all the same.

    Raises:
        UsageError: The certificates given cannot be read, or there is no library to check any signature with.
    """
    from pipeline.errors import KeysUnusable
    from pipeline.provenance.c2pa import is_installed
    from pipeline.provenance.credential_checks import HOW_TO_INSTALL, NOBODY, Trust

    if given is not None and not is_installed():
        raise UsageError(f"signatures cannot be checked without an extra: {HOW_TO_INSTALL}")

    settings, own = environment.values.signing, environment.workspace.keys / "trust-anchor.pem"
    chain = "" if settings.trust_anchors else settings.certificates
    chosen = given or _path(settings.trust_anchors) or _path(chain) or (own if _is_there(own) else None)
    if chosen is None:
        return NOBODY
    from pipeline.provenance.keys import certificates_pem

    try:
        anchors = certificates_pem(chosen, last_only=given is None and bool(chain))
    except KeysUnusable as error:
        if given is not None:
            raise UsageError(str(error)) from error
        return Trust(problem=f"{error}; until it is back, no signature is known to be your own")
    return Trust(anchors, required=given is not None)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # reading it will say why
        return True


def _path(text: str) -> Path | None:
    return expanded(text) if text else None


def image_limits(environment: Environment) -> ImageLimits:
    """What a picture may be at most, and must be at least."""
    from pipeline.images import ImageLimits

    values = environment.values
    return ImageLimits(
        max_bytes=values.crawl.max_image_bytes, max_pixels=values.ingest.max_pixels, min_side=values.ingest.min_side
    )


def open_examiner(environment: Environment) -> Examiner:
    """Decodes pictures in processes of its own, within the settings' limits; to be used as a context."""
    from pipeline.ingest.examining import DecodeLimits, Examiner

    ingest = environment.values.ingest
    return Examiner(
        image_limits(environment), DecodeLimits(seconds=ingest.decode_seconds, memory_mb=ingest.decode_memory_mb)
    )


def split_source(source: str) -> tuple[str, str]:
    """Name and argument of `NAME=ARGUMENT`; a source that searches by itself needs no argument.

    Raises:
        UsageError: There is no name, or no argument where one is needed.
        UnknownSource: There is no such source.
    """
    from crawler.source_listing import source_card

    name, separator, argument = source.partition("=")
    if not name or (separator and not argument):
        raise UsageError(
            f"--source is NAME=ARGUMENT, such as website=https://example.org/ or folder=./photos, or the NAME of a "
            f"source that searches by itself, such as openverse; got {source!r}"
        )
    card = source_card(name)
    if not separator and card.kind != "search":
        raise UsageError(
            f"--source {name} is NAME=ARGUMENT: say what to take, as in {card.example or f'{name}=ARGUMENT'}"
        )
    return name, argument


def crawl_request(environment: Environment, asked: Asked) -> CrawlRequest:
    """What to crawl, with the settings' manners and keys.

    Raises:
        UsageError: A source that is not `NAME=ARGUMENT`.
        UnknownSource: There is no such source.
    """
    from crawler.run import CrawlRequest

    name, argument = ("", "") if asked.retry_failed else split_source(asked.source)
    crawl = environment.values.crawl
    return CrawlRequest(
        keywords=asked.keywords,
        source=name,
        argument=argument,
        limit=asked.limit,
        only_new=asked.only_new,
        contact=environment.values.contact or None,
        deadline_seconds=crawl.deadline_seconds,
        timeout_seconds=crawl.timeout_seconds,
        delay_seconds=crawl.delay_seconds,
        concurrency_per_host=crawl.concurrency_per_host,
        max_image_bytes=crawl.max_image_bytes,
        max_pixels=environment.values.ingest.max_pixels,
        min_side=environment.values.ingest.min_side,
        max_pages=crawl.max_pages,
        max_depth=crawl.max_depth,
        product_version=software_version(),
        exclusions=asked.exclusions,
        filters=asked.filters,
        retry_failed=asked.retry_failed,
        revalidate=asked.revalidate,
        credentials=environment.values.credentials.by_name(),
    )


def python_version() -> str:
    """Such as `3.12.4`."""
    return platform.python_version()

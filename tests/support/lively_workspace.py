"""A small workspace as use leaves it: pictures ingested from an inbox, dreams, one picture withdrawn."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.errors import Reason
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import Consent, HttpFacts
from pipeline.store import Store
from pipeline.upkeep.fsck import Places, check_workspace
from pipeline.workspace import Workspace
from tests.support.inboxes import FREE, fetched, refused, sealed_inbox
from tests.support.inverting import InvertingRenderer, Workshop
from tests.support.pictures import scene_file

NO = Consent(False, "ai.txt", "Disallow: *.png", "https://example.org/ai.txt", "2026-11-22T10:00:00+00:00")
NAMES = ("a", "b", "c")


class Lively(Workshop):
    """Items 1 to 3 of the pictures a, b and c; dreams of 1 and 3; nothing withdrawn until `withdraw`."""

    def __init__(self, root: Path, *, address: str | None = None) -> None:
        self.workspace = Workspace(root)
        self.workspace.prepare()
        catalog: Catalog = open_catalog(address or self.workspace.catalog_path)
        super().__init__(root, catalog, Store(self.workspace.store))
        self._crawls = 0
        self.ingest(*((fetched(f"{name}.png", **self._facts(name)), self.bytes_of(name)) for name in NAMES))
        self.stylize(1, 3, renderer=InvertingRenderer())

    @classmethod
    def copy_of(cls, template: Path, root: Path) -> Lively:
        """A copy of a closed one, as each test may change its own."""
        shutil.copytree(template, root)
        copy = cls.__new__(cls)
        copy.workspace = Workspace(root)
        Workshop.__init__(copy, root, open_catalog(copy.workspace.catalog_path), Store(copy.workspace.store))
        copy._crawls = 10
        return copy

    @staticmethod
    def bytes_of(name: str) -> bytes:
        return scene_file(NAMES.index(name) + 1)

    @staticmethod
    def _facts(name: str) -> dict[str, Any]:
        url = f"https://example.org/{name}.png"
        return {
            "keyword": "mill",
            "license": FREE,
            "title": f"Mill {name}",
            "http": HttpFacts(url, 200, etag='"e"'),
            "source_id": name,
        }

    def ingest(self, *candidates: tuple[Any, bytes | None]) -> Any:
        self._crawls += 1
        inbox = sealed_inbox(self.workspace.inbox, candidates, crawl_id=f"crawl-{self._crawls}")
        return ingest_inbox(
            inbox, catalog=self.catalog, store=self.store, run_id=None, limits=ImageLimits(), near_distance=1
        )

    def withdraw(self, name: str) -> None:
        self.ingest((refused(f"{name}.png", Reason.OPT_OUT, consent=NO), None))

    @property
    def places(self) -> Places:
        there = self.workspace
        caches = (there.thumbnails, there.weights)
        return Places(there.dreams, there.quarantine, there.locks, caches, there.keys)

    def fsck(self, *, mend: bool = False) -> Any:
        return check_workspace(catalog=self.catalog, store=self.store, places=self.places, mend=mend)

    def stored(self, item_id: int) -> Path:
        return self.store.path(self.item(item_id).blob_sha256)

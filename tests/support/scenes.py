"""A workspace with one original and its dream, and what verification says of it: for tests that change something."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import update

from pipeline.catalog.values import Derivation
from pipeline.provenance.verify import verify_all, verify_file
from pipeline.records import Check, VerifyReport
from tests.support.inverting import Workshop


@dataclasses.dataclass
class Scene:
    """A workspace with one original and its dream."""

    shop: Workshop
    derivation: Derivation

    @property
    def original(self) -> Path:
        return self.shop.store.path(self.shop.item(self.derivation.item_id).blob_sha256)

    @property
    def stored(self) -> Path:
        return self.shop.store.path(self.derivation.blob_sha256)

    @property
    def copy(self) -> Path:
        return self.shop.dreams / self.derivation.file_name

    @property
    def sidecar(self) -> Path:
        return self.shop.dreams / f"{self.derivation.file_name}.json"

    def everything(self) -> VerifyReport:
        return verify_all(catalog=self.shop.catalog, store=self.shop.store, dreams_folder=self.shop.dreams)

    def file(self, path: Path) -> VerifyReport:
        return verify_file(path, catalog=self.shop.catalog, store=self.shop.store)


def failed(report: VerifyReport) -> list[Check]:
    return [check for check in report.checks if not check.ok]


def names(report: VerifyReport) -> set[str]:
    return {check.name for check in failed(report)}


def resaved(path: Path, **options: Any) -> bytes:
    out = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(out, **({"format": "PNG"} | options))
    return out.getvalue()


def set_column(scene: Scene, row: Any, **values: Any) -> None:
    """Change the catalog behind its back."""
    with scene.shop.catalog.write() as uow:
        uow.session.execute(update(row).values(**values))

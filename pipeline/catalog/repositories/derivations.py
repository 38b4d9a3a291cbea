"""Derivations: the dreams, each unique by the digest of all that decides its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, update

from pipeline.catalog.derivation_inputs import record_inputs, withdrawn_inputs
from pipeline.catalog.repositories.base import Repository, now
from pipeline.catalog.tables import DerivationRow
from pipeline.catalog.upserts import insert_new, table_of
from pipeline.catalog.values import Derivation

_DERIVATION = table_of(DerivationRow)


class Derivations(Repository):
    """The dreams of the catalog."""

    def get(self, derivation_id: int) -> Derivation | None:
        """One derivation, or None."""
        return self._first(_DERIVATION.c.id == derivation_id)

    def by_key(self, key: str) -> Derivation | None:
        """The derivation with this key, or None."""
        return self._first(_DERIVATION.c.key == key)

    def by_blob_sha256(self, blob_sha256: str) -> Derivation | None:
        """The first derivation whose file has this digest, or None."""
        return self._first(_DERIVATION.c.blob_sha256 == blob_sha256)

    def by_pixel_sha256(self, pixel_sha256: str) -> Derivation | None:
        """The first derivation with these pixels, or None."""
        return self._first(_DERIVATION.c.pixel_sha256 == pixel_sha256)

    def by_file_name(self, file_name: str) -> Derivation | None:
        """The first derivation whose copy in the dreams folder has this name, or None."""
        return self._first(_DERIVATION.c.file_name == file_name)

    def of_item(self, item_id: int) -> Sequence[Derivation]:
        """An item's derivations, oldest first."""
        return self._all(
            Derivation, select(_DERIVATION).where(_DERIVATION.c.item_id == item_id).order_by(_DERIVATION.c.id)
        )

    def of_run(self, run_id: int) -> Sequence[Derivation]:
        """The derivations that a run made, oldest first."""
        return self._all(
            Derivation, select(_DERIVATION).where(_DERIVATION.c.run_id == run_id).order_by(_DERIVATION.c.id)
        )

    def list(self, limit: int | None = 100, *, after_id: int = 0) -> list[Derivation]:
        """Derivations by id, from the first above `after_id` on; all of them when `limit` is None."""
        query = select(_DERIVATION).where(_DERIVATION.c.id > after_id).order_by(_DERIVATION.c.id)
        return self._all(Derivation, query if limit is None else query.limit(limit))

    def all_ids(self) -> Sequence[int]:
        """Every derivation's id, lowest first."""
        ids = self._session.execute(select(_DERIVATION.c.id).order_by(_DERIVATION.c.id)).scalars()
        return [int(derivation_id) for derivation_id in ids]

    def add(
        self,
        *,
        key: str,
        item_id: int,
        run_id: int | None,
        preset: str | None,
        network: str,
        recipe: Mapping[str, Any],
        recipe_sha256: str,
        weights_sha256: str,
        blob_sha256: str,
        pixel_sha256: str,
        width: int,
        height: int,
        file_name: str,
        manifest: Mapping[str, Any],
        manifest_sha256: str,
        seconds: float,
    ) -> int:
        """Insert a derivation whose blob is on record; its id, or that of the one which has the key already."""
        values = {
            "key": key,
            "item_id": item_id,
            "run_id": run_id,
            "preset": preset,
            "network": network,
            "recipe": dict(recipe),
            "recipe_sha256": recipe_sha256,
            "weights_sha256": weights_sha256,
            "blob_sha256": blob_sha256,
            "pixel_sha256": pixel_sha256,
            "width": width,
            "height": height,
            "file_name": file_name,
            "manifest": dict(manifest),
            "manifest_sha256": manifest_sha256,
            "seconds": seconds,
            "created_at": now(),
        }
        is_new = insert_new(self._session, DerivationRow, values, unique=("key",))
        added = int(self._session.execute(select(_DERIVATION.c.id).where(_DERIVATION.c.key == key)).scalar_one())
        if is_new:
            record_inputs(self._session, added, manifest)
        return added

    def withdrawn_inputs(self, derivation_id: int) -> Sequence[int]:
        """Ids of the withdrawn guides and masks of a dream, lowest first: while there are any, it is not shown."""
        return withdrawn_inputs(self._session, derivation_id)

    def replace_file(
        self,
        derivation_id: int,
        *,
        former_sha256: str,
        blob_sha256: str,
        manifest: Mapping[str, Any],
        manifest_sha256: str,
    ) -> bool:
        """Point a derivation at another file with the same pixels, whose blob is on record, and at its manifest.

        former_sha256: The file that it has by now; nothing is changed, and False given, when it has another.
        """
        statement = (
            update(_DERIVATION)
            .where(_DERIVATION.c.id == derivation_id, _DERIVATION.c.blob_sha256 == former_sha256)
            .values(blob_sha256=blob_sha256, manifest=dict(manifest), manifest_sha256=manifest_sha256)
            .returning(_DERIVATION.c.id)
        )
        return self._session.execute(statement).scalar_one_or_none() is not None

    def _first(self, condition: ColumnElement[bool]) -> Derivation | None:
        return self._one(Derivation, select(_DERIVATION).where(condition).order_by(_DERIVATION.c.id).limit(1))

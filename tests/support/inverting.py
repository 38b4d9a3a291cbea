"""A workspace with real catalog, store and files, and a renderer that inverts colours instead of dreaming."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.values import Derivation, Item, NewItem, NewSighting, Sighting
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode, encode
from pipeline.provenance.canonical import json_sha256
from pipeline.store import Store
from pipeline.stylize import RendererIdentity, RenderOutcome, RenderProgress, RenderRequest, stylize_items

Rgb = NDArray[np.uint8]

FACTS: Mapping[str, Any] = {
    "octave_sizes": [[30, 40], [60, 80]],
    "seed": 7,
    "jitter_sha256": "ab" * 32,
    "objective": {"layer": "mixed3", "channel": 12, "weight": 0.5},
    "objective_values": [[1.5, 2.25], [2.0, 8.125]],
    "device": "CPU",
    "versions": {"python": "3.11.7", "numpy": "2.4.6", "tensorflow": "2.21.0"},
    "threads": {"intra_op": 1, "inter_op": 1},
    "seconds": 0.25,
}


def identity_of(recipe: Mapping[str, Any], *, max_side: int = 512, weights_sha256: str = "cd" * 32) -> RendererIdentity:
    return RendererIdentity(
        recipe=dict(recipe),
        recipe_sha256=json_sha256(dict(recipe)),
        preset="inverted",
        network="tiny",
        weights_sha256=weights_sha256,
        network_license="CC0-1.0",
        engine_version=1,
        max_side=max_side,
    )


class PictureByPicture:
    """What every stand-in shares: pictures one by one, each of which may fail."""

    def render_all(
        self, requests: Sequence[RenderRequest], on_progress: Callable[[RenderProgress], None]
    ) -> Iterator[RenderOutcome]:
        for index, request in enumerate(requests):

            def tell(fraction: float, *, index: int = index, key: str = request.key) -> None:
                on_progress(RenderProgress((index + fraction) / len(requests), None, key, fraction))

            try:
                image = request.load()
                assert image.shape[:2] == request.size
                pixels, facts = self.render(image, tell)
            except Exception as error:  # noqa: BLE001 - as a renderer must
                yield RenderOutcome(request.key, None, None, error)
            else:
                yield RenderOutcome(request.key, pixels, facts)

    def forget(self, key: str) -> None:
        """Nothing is kept of a dream on the way."""

    def render(self, image: Rgb, on_progress: Callable[[float], None]) -> tuple[Rgb, Mapping[str, Any]]:
        """One dream and the facts about it."""
        raise NotImplementedError


@dataclass
class InvertingRenderer(PictureByPicture):
    """Inverts colours; adds `noise` to some channel values; raises for pictures whose pixel digest is in `refuses`."""

    identity: RendererIdentity = field(default_factory=lambda: identity_of({"kind": "invert", "strength": 1.0}))
    facts: Mapping[str, Any] = field(default_factory=lambda: dict(FACTS))
    refuses: frozenset[str] = frozenset()
    noise: int = 0
    calls: int = 0
    forgotten: list[str] = field(default_factory=list)

    def forget(self, key: str) -> None:
        self.forgotten.append(key)

    def render(self, image: Rgb, on_progress: Callable[[float], None]) -> tuple[Rgb, Mapping[str, Any]]:
        self.calls += 1
        on_progress(0.5)
        if pixel_sha256(image) in self.refuses:
            raise RuntimeError("this picture\nhas no dream")
        inverted = 255 - image
        if self.noise:
            inverted = inverted.copy()
            inverted[::2, ::2] ^= np.uint8(self.noise)
        return inverted, self.facts


@dataclass
class Workshop:
    """One workspace for a test."""

    root: Path
    catalog: Catalog
    store: Store

    @property
    def dreams(self) -> Path:
        return self.root / "dreams"

    def add(self, data: bytes, **about: Any) -> int:
        """Keep a picture as ingest would: blob first, then item and sighting."""
        picture = decode(data)
        sha256 = self.store.put(data)
        with self.catalog.write() as uow:
            uow.blobs.add(sha256, size_bytes=len(data), media_type=picture.media_type)
            item_id = uow.items.add(
                NewItem(
                    blob_sha256=sha256,
                    pixel_sha256=pixel_sha256(picture.rgb),
                    width=picture.width,
                    height=picture.height,
                    format=picture.format,
                    frames=picture.frames,
                    title=about.get("title", "A stone bridge"),
                    creator=about.get("creator", "Jane Doe"),
                    license_id=about.get("license_id", "CC-BY-4.0"),
                    license_url=about.get("license_url"),
                )
            )
            assert item_id is not None
            uow.sightings.add(sighting_of(item_id, sha256, **about))
        return item_id

    def item(self, item_id: int) -> Item:
        with self.catalog.read() as uow:
            item = uow.items.get(item_id)
        assert item is not None
        return item

    def sightings(self, item_id: int) -> tuple[Sighting, ...]:
        with self.catalog.read() as uow:
            return tuple(uow.sightings.of_item(item_id))

    def derivation(self, derivation_id: int) -> Derivation:
        with self.catalog.read() as uow:
            derivation = uow.derivations.get(derivation_id)
        assert derivation is not None
        return derivation

    def stylize(self, *item_ids: int, renderer: InvertingRenderer | None = None, **options: Any) -> Any:
        return stylize_items(
            item_ids,
            renderer=renderer or InvertingRenderer(),
            catalog=self.catalog,
            store=self.store,
            dreams_folder=self.dreams,
            **({"run_id": None} | options),
        )

    def dream(self, item_id: int, **options: Any) -> Derivation:
        """The one dream of an item, made now or found."""
        report = self.stylize(item_id, **options)
        assert not report.failed, report.failed
        return self.derivation(report.derivation_ids[0])


def sighting_of(item_id: int, sha256: str, **about: Any) -> NewSighting:
    seen_at = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    given = {field.name for field in dataclasses.fields(NewSighting)} & set(about)
    values: dict[str, Any] = {
        "item_id": item_id,
        "run_id": None,
        "blob_sha256": sha256,
        "relation": "first",
        "source": "website",
        "source_argument": "https://pictures.example/",
        "image_url": f"https://pictures.example/{sha256[:8]}.png",
        "page_url": "https://pictures.example/bridges?page=1&lang=en",
        "title": "A stone bridge",
        "alt": None,
        "caption": None,
        "tags": ("bridge",),
        "creator": "Jane Doe",
        "creator_url": None,
        "license_id": "CC-BY-4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "license_declared_by": "rel=license",
        "license_text": None,
        "http": {},
        "fetched_at": seen_at,
        "last_seen_at": seen_at,
    }
    return NewSighting(**(values | {name: about[name] for name in given}))


@contextmanager
def workshop(root: Path) -> Iterator[Workshop]:
    """A workspace in this folder, its catalog open."""
    with open_catalog(root / "catalog.sqlite3") as catalog:
        yield Workshop(root, catalog, Store(root / "store"))


def picture(seed: int, *, width: int = 80, height: int = 64, image_format: Any = "PNG") -> bytes:
    """A file with a gradient and some noise, another one for each seed."""
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.stack([rows * 3, columns * 2, rows + columns + 5 * seed], axis=-1) % 256
    noise = np.random.default_rng(seed).integers(0, 24, size=base.shape)
    return encode(np.clip(base + noise, 0, 255).astype(np.uint8), format=image_format)

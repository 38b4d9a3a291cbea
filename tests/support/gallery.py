"""A filled catalog to browse: real photographs, dreams by a stand-in, near duplicates, runs and hostile texts.

    python -m tests.support.gallery FOLDER [--port PORT]

fills a folder and serves its gallery until Ctrl-C.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pipeline.browse.app import create_app
from pipeline.browse.server import run_server
from pipeline.catalog.values import NewItem
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode, encode
from pipeline.stylize import RendererIdentity, stylize_items
from tests.support.html_pages import Page, read_page
from tests.support.inverting import FACTS, PictureByPicture, Workshop, identity_of, sighting_of, workshop

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

Rgb = NDArray[np.uint8]
BASE = "http://127.0.0.1:8700"
PHOTOS = Path(__file__).resolve().parents[2] / "crawler" / "sample_site" / "photos"

# A title that would run, break out of an attribute, or turn the text around, were it not escaped.
HOSTILE_TITLE = "<script>alert(1)</script>\"' onmouseover='alert(2)' \u202eevil"
HOSTILE_URLS = (
    "javascript:alert(3)//https://pictures.example/",
    "data:text/html,<script>alert(4)</script>",
    'https://pictures.example/"onmouseover="alert(5)',
)


@dataclass
class Look(PictureByPicture):
    """A stand-in for a dream: quick, and unlike its source."""

    name: str
    change: Callable[[Rgb], Rgb]
    calls: list[int] = field(default_factory=list)

    @property
    def identity(self) -> RendererIdentity:
        recipe = {
            "version": 1,
            "objective": [{"layer": "mixed3", "channels": [12, 40], "reduction": "mean_square", "weight": 1.0}],
            "octaves": {"kind": "exponents", "scale": 1.3, "exponents": [-2, -1, 0]},
            "steps": 30,
            "step_size": 0.01,
            "seed": 7,
            "look": self.name,
        }
        return dataclasses.replace(identity_of(recipe), preset=self.name, network="inception_v3")

    def render(self, image: Rgb, on_progress: Callable[[float], None]) -> tuple[Rgb, Mapping[str, Any]]:
        on_progress(1.0)
        return self.change(image), FACTS


def rippled(image: Rgb) -> Rgb:
    """Rows and columns shifted in waves, colours turned: it looks as if something had been dreamed."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    source_rows = (rows + 7 * np.sin(columns / 9) + 3 * np.sin(rows / 4)).astype(int) % height
    source_columns = (columns + 7 * np.sin(rows / 11) + 3 * np.cos(columns / 5)).astype(int) % width
    bent = image[source_rows, source_columns].astype(float)
    rings = 28 * np.sin(bent.mean(axis=2, keepdims=True) / 9 + np.array([0.0, 2.1, 4.2]))
    return np.clip(bent + rings, 0, 255).astype(np.uint8)


def posterized(image: Rgb) -> Rgb:
    """Six levels a channel, the channels exchanged."""
    return ((image // 48) * 48 + 12)[:, :, [1, 2, 0]].astype(np.uint8)


LOOKS = (Look("paper-single", rippled), Look("paper-multi", posterized))


def fill(shop: Workshop, entries: Sequence[Mapping[str, Any]], *, photos: Path = PHOTOS) -> int:
    """Keep photographs, every second one dreamed, every fifth with a near duplicate; the id of the run."""
    with shop.catalog.write() as uow:
        run_id = uow.runs.start(
            "run",
            keywords=("animal", "monument"),
            source="website=https://pictures.example/",
            parameters={"limit": 50, "preset": "paper-single", "network": "inception_v3", "dreams": None},
            process="machine:1:0",
            version="0.1.0",
        )
    kept: list[int] = []
    near = 0
    for number, entry in enumerate(entries):
        data = (photos / entry["file"]).read_bytes()
        item_id = add(shop, data, entry, run_id=run_id)
        kept.append(item_id)
        if number % 5 == 0:
            near += 1
            add(shop, near_copy(data), entry, run_id=run_id, near=(item_id, 6 + number % 9))
    for look, chosen in ((LOOKS[0], kept[::2]), (LOOKS[1], kept[::6])):
        report = stylize_items(
            chosen,
            renderer=look,
            catalog=shop.catalog,
            store=shop.store,
            dreams_folder=shop.dreams,
            run_id=run_id,
            responsibility="a test, for my own use",
        )
        assert not report.failed, report.failed
    dreams = len(kept[::2]) + len(kept[::6])
    _finish(shop, run_id, accepted=len(kept), near=near, dreams=dreams)
    return run_id


def _finish(shop: Workshop, run_id: int, *, accepted: int, near: int, dreams: int) -> None:
    reasons = {"robots": 6, "address_forbidden": 1, "http_4xx": 3, "timeout": 1, "too_small": 4, "corrupt": 2}
    fetched = accepted + near + 9 + 6
    with shop.catalog.write() as uow:
        for reason, count in reasons.items():
            for number in range(count):
                uow.rejections.add(
                    run_id,
                    f"https://pictures.example/{reason}/{number}.jpg",
                    page_url="https://pictures.example/index.html",
                    stage="ingest" if reason in {"too_small", "corrupt"} else "crawl",
                    reason=reason,
                    detail=f"what was found of {reason.replace('_', ' ')}",
                )
        counters = {
            "found": fetched + 12 + 7 + 4,
            "known": 12,
            "refused": 7,
            "failed": 4,
            "fetched": fetched,
            "recovered": 0,
            "accepted": accepted,
            "exact_duplicates": 9,
            "near_duplicates": near,
            "rejected": 6,
            "dreamed": dreams,
            "already_dreamed": 0,
            "dream_failures": 0,
            "skipped": 0,
            "verified": dreams,
            "verify_failures": 0,
            "reasons": reasons,
            "warnings": ["the crawl ended early (deadline); run the same command again to go on"],
            "complete": True,
        }
        uow.runs.finish(run_id, "done", counters)


def add(
    shop: Workshop, data: bytes, entry: Mapping[str, Any], *, run_id: int | None, near: tuple[int, int] | None = None
) -> int:
    """Keep a picture with what `photos.json` says of it, as ingest would."""
    shown = decode(data)
    sha256 = shop.store.put(data)
    with shop.catalog.write() as uow:
        uow.blobs.add(sha256, size_bytes=len(data), media_type=shown.media_type)
        item_id = uow.items.add(
            NewItem(
                blob_sha256=sha256,
                pixel_sha256=pixel_sha256(shown.rgb),
                width=shown.width,
                height=shown.height,
                format=shown.format,
                frames=shown.frames,
                title=entry.get("title"),
                creator=entry.get("author"),
                license_id=entry.get("license"),
                license_url=entry.get("license_url"),
                near_duplicate_of_id=near[0] if near else None,
                near_duplicate_distance=near[1] if near else None,
                first_run_id=run_id,
            )
        )
        assert item_id is not None
        declared = {"license_id": entry.get("license"), "license_url": entry.get("license_url")}
        about = {
            "title": entry.get("title"),
            "creator": entry.get("author"),
            "tags": tuple(entry.get("keywords", ())),
            "page_url": entry.get("source", "https://pictures.example/index.html"),
            "http": {"status": 200, "content_type": shown.media_type, "final_url": "", "redirects": []},
            "run_id": run_id,
            **declared,
            **entry.get("sighting", {}),
        }
        uow.sightings.add(sighting_of(item_id, sha256, **about))
        for keyword in entry.get("keywords", ()):
            uow.items.add_keyword(item_id, keyword, fields=("tags",), score=0.8)
        if run_id is not None:
            uow.runs.add_items(run_id, [(item_id, "near_duplicate" if near else "accepted")])
    return item_id


def near_copy(data: bytes) -> bytes:
    """The same picture a little brighter and in another format."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return encode(np.asarray(ImageEnhance.Brightness(image).enhance(1.06)), format="JPEG")


def photographs() -> list[dict[str, Any]]:
    """What the bundled photographs' list says of each."""
    entries: list[dict[str, Any]] = json.loads((PHOTOS / "photos.json").read_text(encoding="utf-8"))
    return [entry for entry in entries if (PHOTOS / entry["file"]).is_file()]


def gallery_of(shop: Workshop, *, host: str = "127.0.0.1") -> FastAPI:
    """The gallery of a workshop."""
    return create_app(
        catalog=shop.catalog, store=shop.store, thumbnails=shop.root / "thumbnails", title="My pictures", host=host
    )


def client_of(shop: Workshop, *, host: str = "127.0.0.1") -> TestClient:
    """A client of the gallery of a workshop; it follows no redirect, and gets error pages for mistakes of our own."""
    from fastapi.testclient import TestClient

    app = gallery_of(shop, host=host)
    return TestClient(app, base_url=BASE, follow_redirects=False, raise_server_exceptions=False)


def page_of(client: TestClient, url: str) -> Page:
    """A page that must be there."""
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.text[:500])
    return read_page(answer.text)


def hostile_entry(number: int = 0) -> dict[str, Any]:
    """What a page that means harm would say of its picture."""
    return {
        "title": HOSTILE_TITLE,
        "author": HOSTILE_TITLE,
        "license": "unknown",
        "license_url": HOSTILE_URLS[0],
        "keywords": ["<b>bold</b>"],
        "sighting": {
            "page_url": HOSTILE_URLS[number % len(HOSTILE_URLS)],
            "image_url": HOSTILE_URLS[(number + 1) % len(HOSTILE_URLS)],
            "creator_url": HOSTILE_URLS[0],
            "alt": HOSTILE_TITLE,
            "caption": HOSTILE_TITLE,
            "license_text": HOSTILE_TITLE,
            "license_declared_by": "rel=license",
        },
    }


def _arguments() -> tuple[Path, int]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    return given.folder, given.port


def main() -> None:
    folder, port = _arguments()
    with workshop(folder) as shop:
        with shop.catalog.read() as uow:
            empty = uow.counts().items == 0
        if empty:
            fill(shop, photographs())
        run_server(gallery_of(shop), host="127.0.0.1", port=port, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()

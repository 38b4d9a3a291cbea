"""Writes the sample site into a folder: the same files every time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from crawler.sample_site import pages, pictures
from crawler.sample_site.photos import load_photos
from crawler.sample_site.plan import KeywordCounts, Kind, SitePicture, count_by_keyword, plan_pictures

# All files carry this time, so that Last-Modified and entity tags do not change from build to build: 2024-05-01.
_MODIFIED_SECONDS = 1_714_521_600

_ROBOTS = """User-agent: *
Disallow: /private/
Disallow: /scans/
"""

_TOPICS = (
    ("animals", "Animals", "Fur, feathers and scales.", "animal"),
    ("windmills", "Windmills", "Old mills and new turbines.", "windmill"),
    ("monuments", "Monuments", "Towers, walls and temples.", "monument"),
    ("energy", "Energy", "Sun, water and the heat of the earth.", "energy"),
    ("things", "Things", "Tools, cups and balls.", None),
)
_SECTIONS = (
    ("/mirror/index.html", "Mirror", "files kept twice", (Kind.BYTE_COPY,)),
    ("/press/index.html", "Press room", "smaller files for newspapers", (Kind.NEAR_COPY,)),
    ("/lossless/index.html", "Lossless shelf", "saved again, pixel for pixel", (Kind.PIXEL_COPY,)),
    ("/attic/index.html", "Attic", "damaged, lost and closed", (Kind.TRUNCATED, Kind.NOT_AN_IMAGE, Kind.MISSING)),
    ("/private/index.html", "Private collection", "closed to robots", (Kind.HIDDEN,)),
)
# A thumbnail would show what robots.txt closes.
_WITHOUT_THUMBNAILS = ("/attic/index.html", "/private/index.html")


@dataclass(frozen=True)
class SiteSummary:
    """What was built, and what a crawl of it must count.

    Attributes:
        folder: Where the site lies; serve this folder.
        pictures: Every picture that has a page.
        page_count: How many HTML pages there are.
        keywords: Keyword -> expected numbers, for keywords whose numbers are exact.
    """

    folder: Path
    pictures: tuple[SitePicture, ...]
    page_count: int
    keywords: Mapping[str, KeywordCounts]


def build_site(folder: Path) -> SiteSummary:
    """Write the sample site into `folder`, which is made when missing; files of an earlier build are replaced.

    Raises:
        OSError: The folder cannot be written.
    """
    plan = plan_pictures()
    documents = _documents(plan)
    for path, text in documents.items():
        _write(folder, path, text.encode())
    for picture in plan:
        if (data := pictures.picture_bytes(picture)) is not None:
            _write(folder, picture.image, data)
        if picture.kind is Kind.ORIGINAL:
            _write(folder, pages.thumbnail_path(picture.photo), pictures.thumbnail(picture.photo))
            _write(folder, pages.medium_path(picture.photo), pictures.medium(picture.photo))
    _write(folder, "/style.css", files("crawler.sample_site").joinpath("style.css").read_bytes())
    _write(folder, "/robots.txt", _ROBOTS.encode())
    return SiteSummary(folder, tuple(plan), len(documents), count_by_keyword(plan))


def _documents(plan: list[SitePicture]) -> dict[str, str]:
    """Path -> HTML of every page."""
    originals = [picture for picture in plan if picture.kind is Kind.ORIGINAL]
    documents = {
        picture.page: pages.photo_page(picture, _related(number, originals)) for number, picture in enumerate(plan)
    }
    topics = []
    for name, title, intro, keyword in _TOPICS:
        shown = [picture for picture in originals if _topic_of(picture) == keyword]
        documents[f"/topics/{name}.html"] = pages.list_page(title, intro, shown)
        topics.append((f"/topics/{name}.html", title, intro, shown[0]))
    for path, title, intro, kinds in _SECTIONS:
        shown = [picture for picture in plan if picture.kind in kinds]
        if path == "/attic/index.html":
            shown += [picture for picture in plan if picture.kind is Kind.CLOSED]
        documents[path] = pages.list_page(title, intro, shown, thumbnails=path not in _WITHOUT_THUMBNAILS)
    documents["/index.html"] = pages.front_page(topics, [section[:3] for section in _SECTIONS])
    documents["/tags.html"] = pages.tags_page(originals)
    documents["/credits.html"] = pages.credits_page(load_photos())
    return documents


def _topic_of(picture: SitePicture) -> str | None:
    return next((keyword for *_, keyword in _TOPICS if keyword in picture.photo.keywords), None)


def _related(number: int, originals: list[SitePicture]) -> list[SitePicture]:
    """Four other pictures, mostly of other topics: their thumbnails must not count as this page's picture."""
    return [originals[(number + step) % len(originals)] for step in (7, 19, 31, 43)]


def _write(folder: Path, path: str, data: bytes) -> None:
    target = folder / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    os.utime(target, (_MODIFIED_SECONDS, _MODIFIED_SECONDS))

"""The bundled photographs: what each shows, who took it, and under which licence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class Photo:
    """One bundled photograph, as photos.json describes it.

    Attributes:
        file: Name of the file in the package's photos folder.
        keywords: What it shows, in lower case; the site prints them as tags.
        license: SPDX id; `PDM-1.0` is the public domain mark.
        source: The page it came from.
        width: Pixels.
        height: Pixels.
        sha256: Digest of the file.
    """

    file: str
    title: str
    author: str
    license: str
    license_url: str
    source: str
    keywords: tuple[str, ...]
    width: int
    height: int
    sha256: str

    @property
    def slug(self) -> str:
        """The file name without its ending: unique, fit for an address."""
        return self.file.rpartition(".")[0]

    @property
    def license_name(self) -> str:
        """What a person calls the licence: `CC BY-SA 3.0`, `CC0 1.0`, `Public domain`."""
        if self.license == "PDM-1.0":
            return "Public domain"
        if self.license == "CC0-1.0":
            return "CC0 1.0"
        family, *elements, version = self.license.split("-")
        return f"{family} {'-'.join(elements)} {version}"

    @property
    def needs_attribution(self) -> bool:
        """Whether the licence asks for the author's name and the licence beside the picture."""
        return self.license not in ("PDM-1.0", "CC0-1.0")

    def read(self) -> bytes:
        """The file's bytes."""
        return files("crawler.sample_site").joinpath("photos", self.file).read_bytes()


def load_photos() -> list[Photo]:
    """All bundled photographs, in the order of their file names."""
    text = files("crawler.sample_site").joinpath("photos", "photos.json").read_text(encoding="utf-8")
    return [Photo(**{**entry, "keywords": tuple(entry["keywords"])}) for entry in json.loads(text)]


def photo_path(file: str) -> Path:
    """Where a bundled photograph lies on disk."""
    return Path(str(files("crawler.sample_site").joinpath("photos", file)))

"""What docs/benchmarks.md claims, on a few of its pictures: recall of every class of edits, and no false pair."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.duplicates.hashes import TURNS
from pipeline.duplicates.index import HashIndex
from pipeline.duplicates.signatures import INNER_ALGORITHM, View, sign, views_of
from pipeline.duplicates.tiers import REVIEW_DISTANCE, TURNED_DISTANCE, Tier, compare
from pipeline.fingerprints import pixel_sha256
from pipeline.images import decode

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from duplicates_edits import EDITS  # the path comes first
from duplicates_files import edited
from duplicates_pictures import drawn_pictures, more_plain_pictures, photographs, plain_pictures

FEW = slice(11, None, 16)
"""Of the photographs: of the half that is reported, and none so plain that a single one misses what all reach."""

CLASSES = {
    "copies and metadata": (("copy", "metadata"), 1.0, 1.0),
    "format, quality, size, tone": (("format", "quality", "size", "tone"), 0.98, 0.995),
    "watermark, border, small crop": (("watermark", "border", "small crop"), 0.77, 0.88),
    "large crop, turn, mirror": (("large crop", "turn", "mirror"), 0.0, 0.6),
}
"""Kinds of edits, and the least recall of near duplicates and of review."""
PLAIN_EDITS = (("copy", "the same pixels"), ("watermark", "across"))


@dataclass(frozen=True)
class Signed:
    picture: str
    kind: str
    pixels: str
    views: tuple[View, ...]
    hashes: dict[str, bytes]

    def view(self, algorithm: str) -> View:
        return self.views[-1] if algorithm == INNER_ALGORITHM else self.views[0]


def signed(name: str, picture: object, kind: str, edit: str) -> Signed:
    rgb = decode(edited(name, picture, kind, edit)).rgb
    signature = sign(rgb)
    return Signed(name, kind, pixel_sha256(rgb), views_of(signature.views), signature.hashes)


class Looking:
    """All files in an index, each of which may be asked about."""

    def __init__(self, files: Sequence[Signed]) -> None:
        self.files = files
        self.entries = [(file, name) for file in files for name in file.hashes]
        self.index = HashIndex()
        self.index.extend(range(len(self.entries)), b"".join(file.hashes[name] for file, name in self.entries))

    def found(self, new: Signed) -> Iterator[tuple[Signed, Tier]]:
        for file in self.files:
            if file.pixels == new.pixels:
                yield file, Tier.NEAR  # surer still
        for name, bits in new.hashes.items():
            for hit in self.index.within(bits, REVIEW_DISTANCE, turned_radius=TURNED_DISTANCE):
                other, algorithm = self.entries[hit.entry_id]
                match = compare(new.view(name), other.view(algorithm), TURNS[hit.turn], hit.distance)
                if match is not None:
                    yield other, match[0]


@pytest.fixture(scope="module")
def originals() -> Looking:
    return Looking([signed(name, picture, "copy", "the same pixels") for name, picture in photographs().items()])


def test_edits_are_found_as_often_as_is_claimed_and_never_another_photograph(originals: Looking) -> None:
    chosen = list(photographs().items())[FEW]
    near: dict[str, list[bool]] = {kind: [] for kind in EDITS}
    review: dict[str, list[bool]] = {kind: [] for kind in EDITS}
    for name, picture in chosen:
        for kind, edits in EDITS.items():
            for edit in edits:
                found = [(file.picture, tier) for file, tier in originals.found(signed(name, picture, kind, edit))]

                assert {other for other, _ in found} <= {name}
                review[kind].append(bool(found))
                near[kind].append(any(tier is not Tier.REVIEW for _, tier in found))

    for kinds, least_near, least_review in CLASSES.values():
        assert np.mean([one for kind in kinds for one in near[kind]]) >= least_near
        assert np.mean([one for kind in kinds for one in review[kind]]) >= least_review
    assert not any(near["turn"] + near["mirror"])  # a person is asked


def test_no_plain_picture_is_taken_for_another_one() -> None:
    plain = plain_pictures(7) | more_plain_pictures(11) | drawn_pictures(23)
    files = [signed(name, picture, *edit) for name, picture in plain.items() for edit in PLAIN_EDITS]
    looking = Looking(files)

    found = [(one, other, tier) for one in files for other, tier in looking.found(one) if one is not other]

    wrong = {
        (one.picture, other.picture)
        for one, other, tier in found
        if one.picture != other.picture and tier is not Tier.REVIEW
    }
    assert not wrong
    assert sum(one.picture == other.picture for one, other, _ in found) > len(plain) // 2  # they are found at all

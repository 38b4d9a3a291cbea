"""Our tiers of all pairs of files: signatures, the index, the comparing and the rules, as a catalog uses them."""

from __future__ import annotations

from collections.abc import Sequence

from duplicates_files import File, in_processes

from pipeline.duplicates.hashes import TURNS
from pipeline.duplicates.index import HashIndex, Hit
from pipeline.duplicates.signatures import INNER_ALGORITHM, views_of
from pipeline.duplicates.tiers import REVIEW_DISTANCE, TURNED_DISTANCE, Tier, compare

Pair = tuple[int, int]
_AT_ONCE = 64
_UNKNOWN = object()


class _Judge:
    """Everything in memory, in each process once."""

    def __init__(self, files: Sequence[File]) -> None:
        self._files = files
        # Files with the same thumbnails are compared once for all of them.
        numbers = {packed: number for number, packed in enumerate({file.views for file in files})}
        self._numbers = [numbers[file.views] for file in files]
        self._views = [views_of(packed) for packed in numbers]
        self._entries = [
            (at, name == INNER_ALGORITHM, bits) for at, file in enumerate(files) for name, bits in file.hashes.items()
        ]
        self._index = HashIndex()
        self._index.extend(range(len(self._entries)), b"".join(bits for _, _, bits in self._entries))
        self._originals = {file.picture: at for at, file in enumerate(files) if file.kind == "copy"}
        self._known: dict[tuple[int, bool, int, bool, int, int], Tier | None] = {}

    def tiers(self, start: int) -> dict[Pair, Tier]:
        """What some files are, from `start` on, each as it comes to a catalog that has all files before it."""
        tiers: dict[Pair, Tier] = {}
        for at, is_inner, bits in self._entries:
            if not start <= at < start + _AT_ONCE:
                continue
            picture = self._files[at].picture
            for hit in self._index.within(bits, REVIEW_DISTANCE, turned_radius=TURNED_DISTANCE):
                other, is_other_inner, _ = self._entries[hit.entry_id]
                # Of one picture only edits against their original are asked for; of different ones, all.
                is_asked = self._files[other].picture != picture or other == self._originals[picture]
                if other >= at or not is_asked or tiers.get((at, other)) is Tier.NEAR:
                    continue
                tier = self._tier((at, is_inner), (other, is_other_inner), hit)
                if tier is not None:
                    tiers[at, other] = tier
        return tiers

    def _tier(self, first: tuple[int, bool], second: tuple[int, bool], hit: Hit) -> Tier | None:
        one, other = self._numbers[first[0]], self._numbers[second[0]]
        key = (one, first[1], other, second[1], hit.turn, hit.distance)
        found = self._known.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            match = compare(
                self._views[one][-1 if first[1] else 0],
                self._views[other][-1 if second[1] else 0],
                TURNS[hit.turn],
                hit.distance,
            )
            found = self._known[key] = None if match is None else match[0]
        return found


_judge: _Judge | None = None


def _start(files: Sequence[File]) -> None:
    global _judge  # noqa: PLW0603  # of this process
    _judge = _Judge(files)


def _work(start: int) -> dict[Pair, Tier]:
    assert _judge is not None
    return _judge.tiers(start)


def tiers_of(files: Sequence[File]) -> dict[Pair, Tier]:
    """(position of a file, of one before it) -> tier, of near duplicates and what is left for review."""
    parts = in_processes(_work, range(0, len(files), _AT_ONCE), start=_start, arguments=(files,))
    return {pair: tier for part in parts for pair, tier in part.items()}

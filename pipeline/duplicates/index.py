"""Hashes in memory, all compared with each query: exact at any radius, the eight turns included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.hashes import HASH_BYTES, TURNS, Turn, transposed_hash, words_of

_WORDS = HASH_BYTES // 8
_BLOCK = 65_536  # hashes at a time: the words of a block and what is counted over them stay in the processor's cache
_GROWTH = 1.25  # little room to spare: at a million pictures doubling would cost as much memory as they do
_HALF = np.uint8(64)


@dataclass(frozen=True, order=True)
class Hit:
    """A hash within the radius.

    Attributes:
        distance: Differing bits of 256.
        turn: Position in `TURNS`: how the query must be turned to lie like the picture that was found.
    """

    distance: int
    entry_id: int
    turn: int


class HashIndex:
    """Hashes under ids, several under one if need be; 36 bytes each.

    Column-major, a word of 64 bits in each column, so that numpy scans it at the speed of memory.
    """

    def __init__(self) -> None:
        self._count = 0
        self._ids = np.zeros(0, dtype=np.uint32)
        self._columns = np.zeros((_WORDS, 0), dtype=np.uint64)

    def __len__(self) -> int:
        return self._count

    @property
    def memory_bytes(self) -> int:
        """What the arrays take, room to grow included."""
        return self._ids.nbytes + self._columns.nbytes

    def reserve(self, more: int) -> None:
        """Make room for so many more at once, so that none is spent on growing."""
        if self._count + more > len(self._ids):
            self._resize(self._count + more)

    def _resize(self, room: int) -> None:
        columns = np.zeros((_WORDS, room), dtype=np.uint64)
        columns[:, : self._count] = self._columns[:, : self._count]
        ids = np.zeros(room, dtype=np.uint32)
        ids[: self._count] = self._ids[: self._count]
        self._columns, self._ids = columns, ids

    def add(self, entry_id: int, bits: bytes) -> None:
        """Add one hash of 32 bytes under an id from 0 to 2**32 - 1."""
        self.extend([entry_id], bits)

    def extend(self, entry_ids: Iterable[int], bits: bytes) -> None:
        """Add many: ids, and their hashes of 32 bytes one after the other.

        Raises:
            ValueError: There are not as many hashes as ids.
        """
        ids = np.fromiter(entry_ids, dtype=np.uint32)
        if len(bits) != HASH_BYTES * len(ids):
            raise ValueError(f"{len(ids)} hashes of {HASH_BYTES} bytes were to be added, got {len(bits)} bytes")
        end = self._count + len(ids)
        if end > len(self._ids):
            self._resize(max(end, int(len(self._ids) * _GROWTH) + 64))
        self._ids[self._count : end] = ids
        self._columns[:, self._count : end] = words_of(bits).reshape(-1, _WORDS).T
        self._count = end

    def remove(self, entry_id: int) -> None:
        """Remove every hash of an id."""
        kept = np.flatnonzero(self._ids[: self._count] != entry_id)
        self._ids = self._ids[kept]
        self._columns = np.ascontiguousarray(self._columns[:, kept])
        self._count = len(kept)

    def within(self, bits: bytes, radius: int, *, turned_radius: int | None = None) -> list[Hit]:
        """Every hash at most `radius` bits away from the query; nearest first, then by id, then by turn.

        turned_radius: The radius for the query in the seven other turns; None: it is not turned. A hash within the
            radius in several turns is given for each.
        """
        found: list[Hit] = []
        query = words_of(bits)
        across = None if turned_radius is None else words_of(transposed_hash(bits))
        radii = [radius, *[-1 if turned_radius is None else turned_radius] * 3]
        for start in range(0, self._count, _BLOCK):
            end = min(start + _BLOCK, self._count)
            counts = [self._differing(at, query, start, end) for at in range(_WORDS)]
            found += self._hits(_least(counts, turned=turned_radius is not None), counts, start, radii, TURNS[:4])
            if across is not None and turned_radius is not None:
                found += self._across(across, start, end, turned_radius)
        return sorted(found)

    def _across(self, query: NDArray[np.uint64], start: int, end: int, radius: int) -> list[Hit]:
        """Hits of the transposed query: nearly all other hashes are out after two of the four words."""
        even, odd = self._differing(0, query, start, end), self._differing(1, query, start, end)
        near = np.flatnonzero(even + np.minimum(odd, _HALF - odd) <= radius)
        if not len(near):
            return []
        counts = [even[near], odd[near]]
        counts += [np.bitwise_count(self._columns[at, start:end][near] ^ query[at]) for at in (2, 3)]
        return self._hits(_least(counts, turned=True), counts, start, [radius] * 4, TURNS[4:], at=near)

    def _differing(self, word: int, query: NDArray[np.uint64], start: int, end: int) -> NDArray[np.uint8]:
        """Bits in which one word differs, 0 to 64."""
        return np.asarray(np.bitwise_count(np.bitwise_xor(self._columns[word, start:end], query[word])), np.uint8)

    def _hits(
        self,
        least: NDArray[np.uint8],
        counts: list[NDArray[np.uint8]],
        start: int,
        radii: list[int],
        turns: tuple[Turn, ...],
        at: NDArray[np.intp] | None = None,
    ) -> list[Hit]:
        """Hits of one block; `at`: which of its hashes the counts are of."""
        # `least` is taken modulo 256: a distance of 256 looks like 0, so distances are counted anew for the hits.
        hits = np.flatnonzero(least <= max(radii))
        if not len(hits):
            return []
        parts = [part[hits].astype(np.int64) for part in counts]
        ids = self._ids[start + (hits if at is None else at[hits])]
        found: list[Hit] = []
        for radius, turn in zip(radii, turns, strict=True):
            distances = _distances(parts, turn)
            near = np.flatnonzero(distances <= radius)
            number = TURNS.index(turn)
            found += [Hit(int(distances[one]), int(ids[one]), number) for one in near]
        return found


def _least(counts: list[NDArray[np.uint8]], *, turned: bool) -> NDArray[np.uint8]:
    """The least distance of the four mirrored queries, modulo 256.

    A mirrored query has some words inverted: of a word of which n bits differed, 64 - n differ then.
    """
    a, b, c, d = counts
    ad, bc = a + d, b + c
    least = ad + bc
    if turned:
        straight, crossed = a + (_HALF - d), (b + _HALF) - c
        np.minimum(least, ad + (np.uint8(128) - bc), out=least)
        np.minimum(least, straight + crossed, out=least)
        np.minimum(least, straight + (np.uint8(128) - crossed), out=least)
    return least


def _distances(parts: list[NDArray[np.int64]], turn: Turn) -> NDArray[np.int64]:
    a, b, c, d = parts
    if turn.mirrored_x:
        b, d = 64 - b, 64 - d
    if turn.mirrored_y:
        c, d = 64 - c, 64 - d
    return a + b + c + d

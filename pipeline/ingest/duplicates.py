"""Finds the item that a picture resembles, among all that the catalog has at the moment of asking."""

from __future__ import annotations

from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.fingerprints import PERCEPTUAL_ALGORITHM, HammingIndex


class NearDuplicates:
    """The perceptual hashes of all representatives, loaded once and then kept in step.

    Only representatives are in it, so that what resembles a near duplicate but not its representative starts a star of
    its own: links never chain from one picture to something quite different.
    """

    def __init__(self, radius: int) -> None:
        self._radius = radius
        self._index = HammingIndex()
        self._last_id = 0

    def find(self, uow: UnitOfWork, bits: bytes | None) -> tuple[int, int] | None:
        """(item id, distance) of the nearest representative within the radius, or None.

        bits: None for a picture too plain to be compared.
        Asked within the transaction that writes, it knows what other processes have added until then. Items are never
        deleted and their ids only grow, so the new ones are those above the last id seen.
        """
        if bits is None:
            return None
        new = uow.items.representative_fingerprints(PERCEPTUAL_ALGORITHM, after_id=self._last_id)
        if new:
            self._index.extend(new)
            self._last_id = new[-1][0]
        return self._index.nearest(bits, self._radius)

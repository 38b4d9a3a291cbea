"""Perceptual hashes compared and turned one at a time: the plain way, which tests hold the index against."""

from __future__ import annotations

from pipeline.duplicates.hashes import Turn, transposed_hash


def hamming_distance(first: bytes, second: bytes) -> int:
    """How many bits differ between two hashes of the same length."""
    assert len(first) == len(second)
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()


def turned_hash(bits: bytes, turn: Turn) -> bytes:
    """The hash of the turned picture.

    The mean's bit, always 1, and coefficients that are exactly 0 are the only ones that a turn may leave wrong.
    """
    start = transposed_hash(bits) if turn.transposed else bits
    flips = (False, turn.mirrored_x, turn.mirrored_y, turn.mirrored_x != turn.mirrored_y)
    return b"".join(
        bytes(byte ^ 0xFF for byte in start[8 * at : 8 * at + 8]) if flip else start[8 * at : 8 * at + 8]
        for at, flip in enumerate(flips)
    )

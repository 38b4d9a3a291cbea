"""Compares two pictures that may be the same, and says what speaks for it.

A hash says that two pictures are alike on the whole. That is also true of two plain pictures with the same watermark,
or of two charts with the same axes. So the thumbnails are laid over one another and compared block by block: in copies
nearly every block with any texture in it agrees, whatever was written over the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.alignment import align, warped
from pipeline.duplicates.hashes import SIDE, Thumb, Turn, turned
from pipeline.duplicates.signatures import View

_BLOCK = 8
_LEAST_COVERED = 0.75  # of a block, for it to be compared
_LEAST_BLOCKS = 16
_LEAST_SATURATION = 0.4


@dataclass(frozen=True)
class Evidence:
    """What two pictures, laid over one another, have in common.

    Attributes:
        agreement: Share of the blocks with clear texture that agree, 0 to 1.
        faint_agreement: The same, counting faint texture, too.
        agreeing: How many blocks with clear texture agree, of 64 at most.
        overlap: Share of the first picture that the second covers.
        gain: By which contrast of the second must be multiplied to give that of the first.
        difference: Root mean square of what remains different, in grey levels.
        worst_difference: The same of the worst block.
        chroma_difference: Of colours, after scaling saturation, root mean square in levels.
        detail: Share of the plainer picture that has fine texture, 0 to 1.
        repetition: How much the more repetitive one is like itself when it is shifted; from 0.55 on it is a pattern.
        within_borders: Whether borders were left out of either picture.
        rotation: Degrees.
        warp: How they were laid over one another.
    """

    agreement: float
    faint_agreement: float
    agreeing: int
    overlap: float
    gain: float
    difference: float
    worst_difference: float
    chroma_difference: float
    detail: float
    repetition: float
    within_borders: bool
    rotation: float
    warp: tuple[float, ...]


def verify(first: View, second: View, turn: Turn) -> Evidence | None:
    """Evidence that two pictures are the same; None when they cannot be laid over one another.

    turn: How the first must be turned to lie like the second.
    """
    luma, chroma = turned(first.luma, turn), first.chroma
    warp = align(luma, second.luma)
    if warp is None:
        return None
    seen, inside = warped(second.luma, warp)
    blocks = _blocks(luma, seen, inside)
    if blocks is None:
        return None
    agreement, faint, agreeing = blocks
    gain, difference, worst = _differences(luma, seen, inside)
    chroma = np.stack([turned(chroma[..., channel], turn) for channel in range(2)], axis=-1)
    detail, repetition = texture_of(first, second)
    return Evidence(
        agreement=agreement,
        faint_agreement=faint,
        agreeing=agreeing,
        overlap=float(inside.mean()),
        gain=gain,
        difference=difference,
        worst_difference=worst,
        chroma_difference=_chroma_difference(chroma, second.chroma),
        detail=detail,
        repetition=repetition,
        within_borders=first.is_inner or second.is_inner,
        rotation=float(np.degrees(np.arctan2(warp[4] - warp[2], warp[1] + warp[5]))),
        warp=tuple(float(value) for value in warp),
    )


def texture_of(first: View, second: View) -> tuple[float, float]:
    """(share with fine texture of the plainer picture, repetition of the more repetitive one)."""
    return min(first.detail, second.detail), max(first.repetition, second.repetition)


def _blocks(a: Thumb, b: Thumb, inside: NDArray[np.bool_]) -> tuple[float, float, int] | None:
    """(share of clear blocks that agree, of faint ones, number of clear ones that do)."""
    covered = _in_blocks(inside.astype(np.float32))
    used = covered.mean(axis=1) >= _LEAST_COVERED
    if np.count_nonzero(used) < _LEAST_BLOCKS:
        return None
    mask = covered[used]
    pixels = mask.sum(axis=1)
    first, second = _in_blocks(a)[used], _in_blocks(b)[used]
    first = (first - ((first * mask).sum(axis=1) / pixels)[:, None]) * mask
    second = (second - ((second * mask).sum(axis=1) / pixels)[:, None]) * mask
    first_power = (first * first).sum(axis=1) / pixels
    second_power = (second * second).sum(axis=1) / pixels
    both = (first * second).sum(axis=1) / pixels
    power = np.maximum(first_power, second_power)
    # The constants keep noise of one or two grey levels from counting as texture that differs.
    clear, faint = power >= 9, power >= 1
    clear_agrees = both / np.sqrt((first_power + 2) * (second_power + 2)) >= 0.8
    faint_agrees = both / np.sqrt((first_power + 0.05) * (second_power + 0.05)) >= 0.5
    agreeing = int(np.count_nonzero(clear & clear_agrees))
    return (
        agreeing / max(1, int(np.count_nonzero(clear))),
        np.count_nonzero(faint & faint_agrees) / max(1, int(np.count_nonzero(faint))),
        agreeing,
    )


def _differences(a: Thumb, b: Thumb, inside: NDArray[np.bool_]) -> tuple[float, float, float]:
    """(contrast of the first to the second, what remains different on the whole, and in the worst block)."""
    first, second = a[inside], b[inside]
    mean_a, mean_b = float(first.mean()), float(second.mean())
    power = float(((second - mean_b) ** 2).sum())
    gain = float(((first - mean_a) * (second - mean_b)).sum()) / max(power, 1e-3)
    remaining = np.where(inside, (a - mean_a) - gain * (b - mean_b), 0) ** 2
    worst = float(_in_blocks(remaining).mean(axis=1).max())
    return gain, float(np.sqrt(remaining.sum() / max(1, len(first)))), float(np.sqrt(worst))


def _chroma_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Of colours, once the more colourful of the two is brought to the other's saturation, to 0.4 of its own at least.

    A plain picture without its colours has too little left to be told from others.
    """
    stronger, weaker = (a, b) if float((a * a).sum()) >= float((b * b).sum()) else (b, a)
    power = float((stronger * stronger).sum())
    scale = min(1.0, max(_LEAST_SATURATION, float((stronger * weaker).sum()) / power)) if power > 0 else 1.0
    return float(np.sqrt(np.mean((weaker - scale * stronger) ** 2)))


def _in_blocks(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    count = SIDE // _BLOCK
    blocks = picture.reshape(count, _BLOCK, count, _BLOCK).transpose(0, 2, 1, 3)
    return blocks.reshape(count * count, _BLOCK * _BLOCK)

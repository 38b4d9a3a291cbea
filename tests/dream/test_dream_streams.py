from __future__ import annotations

import hashlib

import numpy as np
import pytest

from dream.streams import CHANNEL_STREAM, NOISE_STREAM, SHIFT_STREAM, TILE_STREAM, random_words
from dream.transforms import draw_shifts, shifts_digest

# PCG64 as published: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
# Number Generation" (2014), XSL-RR 128/64, and the jump of NumPy's documentation, (phi - 1) * 2^128 words.
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
JUMP = 0x9E3779B97F4A7C15F39CC0605CEDC835
MASK = 2**128 - 1


def step(state: int, increment: int) -> int:
    return (state * MULTIPLIER + increment) & MASK


def advanced(state: int, increment: int, count: int) -> int:
    """`count` steps at once, by squaring: Brown, "Random Number Generation with Arbitrary Strides" (1994)."""
    multiplier, plus = MULTIPLIER, increment
    total_multiplier, total_plus = 1, 0
    while count:
        if count & 1:
            total_multiplier, total_plus = total_multiplier * multiplier & MASK, (total_plus * multiplier + plus) & MASK
        multiplier, plus = multiplier * multiplier & MASK, (multiplier + 1) * plus & MASK
        count >>= 1
    return (state * total_multiplier + total_plus) & MASK


def word(state: int) -> int:
    folded, turn = (state >> 64 ^ state) & (2**64 - 1), state >> 122
    return (folded >> turn | folded << (64 - turn)) & (2**64 - 1) if turn else folded


def words_by_hand(seed: int, stream: int, count: int) -> list[int]:
    begin = np.random.PCG64(seed).state["state"]
    state, increment = begin["state"], begin["inc"]
    for _ in range(stream):
        state = advanced(state, increment, JUMP)
    words = []
    for _ in range(count):
        state = step(state, increment)
        words.append(word(state))
    return words


@pytest.mark.parametrize("seed", [0, 1, 20260504, 2**63 - 1])
@pytest.mark.parametrize("stream", [SHIFT_STREAM, NOISE_STREAM, CHANNEL_STREAM, TILE_STREAM])
def test_the_words_are_those_of_the_published_generator(seed: int, stream: int):
    assert random_words(seed, stream, 40).tolist() == words_by_hand(seed, stream, 40)


def test_more_words_begin_like_fewer():
    assert random_words(5, TILE_STREAM, 10).tolist() == random_words(5, TILE_STREAM, 30)[:10].tolist()


@pytest.mark.parametrize("jitter", [0, 5, 64])
def test_the_shifts_are_those_words_octave_by_octave(jitter: int):
    steps = [4, 0, 2, 7]

    tables = draw_shifts(9, steps, jitter)

    numbers = [number % (2 * jitter + 1) - jitter for number in words_by_hand(9, 0, 2 * sum(steps))]
    assert [len(table) for table in tables] == steps
    assert [int(number) for table in tables for number in table.ravel()] == numbers


def test_the_digest_of_a_table_never_changes():
    # Written out once, with NumPy alone: ten raw words of PCG64(20260504) modulo 65, less 32, and the SHA-256 of these
    # as little-endian int32.
    shifts = [[-5, 27], [17, 9], [10, 23], [-7, 9], [30, -8]]
    digest = "2d826c028ad68b937727051a5e774e87255feb4ce269ec812ecfbdc619e3602a"

    tables = draw_shifts(20260504, [3, 2], 32)

    assert [table.tolist() for table in tables] == [shifts[:3], shifts[3:]]
    assert shifts_digest(tables) == digest
    assert hashlib.sha256(np.array(shifts, "<i4").tobytes()).hexdigest() == digest

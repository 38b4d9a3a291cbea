from __future__ import annotations

import math
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dream.progress import Progress, Tracker
from dream.recipes import ExponentOctaves
from dream.schedule import batches, plan_cost, plan_work
from tests.support.dreaming import dream_all, pictures_of, small_recipe
from tests.support.tiny_network import tiny_network

TWO_OCTAVES = ExponentOctaves(scale=2.0, exponents=(-1, 0))


# What a dream costs.


def test_the_cost_of_a_small_plan_is_that_by_hand():
    work = plan_work(0, (40, 60), small_recipe(octaves=TWO_OCTAVES, steps=10, final_steps=4), floor=8)

    assert (work.plan.sizes, work.plan.steps) == (((20, 30), (40, 60)), (10, 4))
    assert work.costs == (20 * 30 * 10, 40 * 60 * 4)
    assert work.cost == 6000 + 9600


def test_the_overlaps_of_tiles_count():
    recipe = small_recipe(octaves=TWO_OCTAVES, steps=10, final_steps=4, tile_side=32, tile_overlap=20)

    work = plan_work(0, (80, 60), recipe, floor=8)

    # 40 x 30 is computed at once; 80 x 60 is more than 64 x 64, so 3 x 2 tiles of 32 pixels, with 32 around each, as
    # 20 is no whole number of cells.
    assert work.costs == (40 * 30 * 10, 3 * 2 * (32 + 2 * 32) ** 2 * 4)


def test_the_operations_are_those_by_hand():
    recipe = small_recipe(octaves=TWO_OCTAVES, steps=10, final_steps=4)

    cost = plan_cost([(40, 60), (40, 60), (20, 20)], recipe, floor=8, macs_per_pixel=1500.0)

    assert cost.pictures == 3
    assert cost.pixel_steps == 2 * 15_600 + 10 * 10 * 10 + 20 * 20 * 4
    # A multiplication and an addition for each MAC, forwards and back to the pixels.
    assert cost.operations == (2 * 15_600 + 2600) * 1500 * 4
    assert cost.seconds(1e6) == pytest.approx(202.8)


def test_no_pictures_cost_nothing():
    assert plan_cost([], small_recipe(), floor=8, macs_per_pixel=1500.0).operations == 0


@pytest.mark.parametrize(
    ("size", "max_side", "padded", "base"),
    [
        ((40, 60), None, (40, 60), (40, 60)),
        ((5, 60), None, (32, 60), (32, 60)),
        ((5, 6), None, (32, 32), (32, 32)),
        # Cut down to 1024, a side of 100 would have 17 pixels; 32 * 6000 / 1024 = 187.5.
        ((100, 6000), 1024, (188, 6000), (32, 1024)),
        ((6000, 100), 1024, (6000, 188), (1024, 32)),
        ((1000, 6000), 1024, (1000, 6000), (171, 1024)),
        # No network sees anything of 16 pixels.
        ((500, 500), 16, (500, 500), (32, 32)),
    ],
)
def test_a_picture_is_mirrored_out_until_the_network_sees_something(
    size: tuple[int, int], max_side: int | None, padded: tuple[int, int], base: tuple[int, int]
):
    work = plan_work(3, size, small_recipe(max_side=max_side), floor=32)

    assert (work.index, work.size) == (3, size)
    assert (work.padded, work.plan.base) == (padded, base)
    assert all(octave.short_side >= 32 for octave in work.plan.sizes)


@given(
    height=st.integers(1, 4000),
    width=st.integers(1, 4000),
    max_side=st.none() | st.integers(16, 3000),
    floor=st.integers(8, 80),
)
def test_no_octave_of_any_picture_is_too_small_to_be_seen(height: int, width: int, max_side: int | None, floor: int):
    work = plan_work(0, (height, width), small_recipe(max_side=max_side), floor=floor)

    assert all(octave.short_side >= floor for octave in work.plan.sizes)
    assert work.padded.height >= height
    assert work.padded.width >= width
    if max_side is not None:
        assert max(work.plan.base) <= max(max_side, floor)


# Batches.

SIZES = st.sampled_from([(24, 24), (24, 32), (32, 24), (64, 48)])


@given(sizes=st.lists(SIZES, max_size=40), most=st.integers(1, 6))
def test_batches_hold_every_picture_once_of_one_size_and_in_order(sizes: list[tuple[int, int]], most: int):
    work = [plan_work(index, size, small_recipe(), floor=8) for index, size in enumerate(sizes)]

    found = list(batches(work, most=most))

    assert sorted(one.index for batch in found for one in batch) == list(range(len(sizes)))
    for batch in found:
        assert 1 <= len(batch) <= most
        assert len({one.size for one in batch}) == 1
        assert [one.index for one in batch] == sorted(one.index for one in batch)
    firsts = [batch[0].index for batch in found]
    assert firsts == sorted(firsts)
    # As few batches as pictures of one size need.
    assert len(found) == sum(math.ceil(sizes.count(size) / most) for size in set(sizes))


@pytest.mark.parametrize(("side", "together"), [(500, 4), (600, 4), (800, 3), (900, 2), (1200, 1), (3000, 1)])
def test_together_they_have_two_million_pixels_at_most_or_are_alone(side: int, together: int):
    recipe = small_recipe(octaves=ExponentOctaves(scale=1.5, exponents=(-1, 0)))
    work = [plan_work(index, (side, side), recipe, floor=8) for index in range(8)]

    assert max(len(batch) for batch in batches(work, most=4)) == together


# Progress.


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tracker(costs: dict[str, int]) -> tuple[Tracker, list[Progress], Clock]:
    told: list[Progress] = []
    clock = Clock()
    return Tracker(costs, told.append, clock=clock), told, clock


def test_progress_is_weighted_by_cost():
    track, told, _clock = tracker({"small": 100, "large": 900})

    track.reach("small", 0)
    track.reach("small", 50)
    track.finish("small")
    track.reach("large", 0)
    track.reach("large", 450)
    track.finish("large")

    assert [one.done for one in told] == [0.0, 0.05, 0.1, 0.1, 0.55, 1.0]
    assert [one.fraction for one in told] == [0.0, 0.5, 1.0, 0.0, 0.5, 1.0]
    assert [one.key for one in told] == ["small"] * 3 + ["large"] * 3


def test_the_time_left_is_what_is_left_at_the_rate_so_far():
    track, told, clock = tracker({"a": 1000, "b": 3000})
    track.reach("a", 0)
    clock.now += 10
    track.reach("a", 500)

    # 500 in 10 seconds; 3500 are left.
    assert told[-1].seconds_left == pytest.approx(70)
    assert told[0].seconds_left is None


def test_what_an_earlier_run_did_is_no_part_of_the_rate():
    track, told, clock = tracker({"a": 1000, "b": 1000})
    track.reach("a", 900)
    clock.now += 10
    track.reach("a", 1000)

    assert told[0].done == 0.45
    assert told[0].seconds_left is None
    # 100 in 10 seconds, not 1000.
    assert told[-1].seconds_left == pytest.approx(100)


def test_a_picture_that_fails_is_no_part_of_the_rate():
    track, told, clock = tracker({"a": 1000, "broken": 100_000, "half": 1000, "c": 1000})
    track.reach("a", 0)
    clock.now += 10
    track.finish("a")
    track.finish("broken", failed=True)
    assert told[-1].seconds_left == pytest.approx(20)

    track.reach("half", 0)
    clock.now += 5
    track.reach("half", 500)
    track.finish("half", failed=True)

    # 1500 in 15 seconds; 1000 are left.
    assert told[-1].seconds_left == pytest.approx(10)


def test_a_picture_that_is_begun_anew_does_not_turn_progress_back():
    track, told, _clock = tracker({"a": 1000})

    for work in (0, 400, 800, 0, 400, 900, 1000):
        track.reach("a", work)
    track.finish("a")
    track.finish("a")

    assert [one.done for one in told] == [0.0, 0.4, 0.8, 0.8, 0.8, 0.9, 1.0, 1.0, 1.0]


def test_pictures_that_cost_nothing_count_as_well():
    track, told, _clock = tracker({"a": 0, "b": 0})

    track.finish("a")
    track.finish("b")

    assert [one.done for one in told] == [0.5, 1.0]


def test_news_from_many_threads_come_in_order():
    track, told, _clock = tracker({str(n): 100 for n in range(8)})

    def work(key: str) -> None:
        for done in range(0, 101, 5):
            track.reach(key, done)
        track.finish(key)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    dones = [one.done for one in told]
    assert dones == sorted(dones)
    assert dones[-1] == 1.0


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_a_run_over_several_sizes_goes_from_zero_to_one_with_a_time_left(strength: float, monkeypatch: Any):
    monkeypatch.setattr("dream.ascent._SECONDS_BETWEEN_REPORTS", 0.0)
    chance = random.Random(2)
    sizes = [(chance.randint(16, 64), chance.randint(16, 64)) for _ in range(6)]
    told: list[Progress] = []

    dream_all(pictures_of(*sizes), small_recipe(strength=strength), tiny_network(), on_progress=told.append)

    dones = [one.done for one in told]
    assert dones == sorted(dones)
    assert dones[-1] == 1.0
    assert all(one.seconds_left is None or 0 <= one.seconds_left < 3600 for one in told)
    assert told[-1].seconds_left == 0.0
    assert {one.key for one in told} == {f"p{index}" for index in range(6)}
    if strength:
        # Twelve steps of six pictures, each worth its pixels.
        assert len({one.done for one in told}) == 6 * 12 + 1
        # Four steps in each of three octaves: the size over 1.5, the size, and the size times 1.5, in whole pixels.
        octaves = [[int(height * f) * int(width * f) for f in (1 / 1.5, 1.0, 1.5)] for height, width in sizes]
        cost = sum(4 * pixels for each in octaves for pixels in each)
        assert next(done for done in dones if done) == pytest.approx(octaves[0][0] / cost)

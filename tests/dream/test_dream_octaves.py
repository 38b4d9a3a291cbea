from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dream.octaves import Size, plan_octaves
from dream.recipes import ExponentOctaves, LayerTerm, Octaves, PlannedOctaves, Recipe

OBJECTIVE = (LayerTerm(layer="any"),)


def recipe(octaves: Octaves, *, steps: int = 10, final_steps: int | None = None, max_side: int | None = None) -> Recipe:
    return Recipe(
        objective=OBJECTIVE, octaves=octaves, steps=steps, step_size=1, final_steps=final_steps, max_side=max_side
    )


PAPER = ExponentOctaves(scale=1.30, exponents=(-2, -1, 0, 1, 2))


def test_the_published_octaves_of_a_500_by_333_picture_are_truncated_to_whole_pixels():
    plan = plan_octaves(Size(500, 333), recipe(PAPER, steps=50))

    assert plan.sizes == ((295, 197), (384, 256), (500, 333), (650, 432), (845, 562))
    assert plan.base == (500, 333)
    assert plan.steps == (50, 50, 50, 50, 50)
    assert plan.pixel_steps == 50 * (295 * 197 + 384 * 256 + 500 * 333 + 650 * 432 + 845 * 562)


def test_octaves_shorter_than_the_network_can_see_are_left_out():
    plan = plan_octaves(Size(100, 100), recipe(PAPER), floor=75)

    assert plan.sizes == ((76, 76), (100, 100), (130, 130), (169, 169))


def test_a_picture_too_small_for_every_octave_is_dreamt_on_as_it_is():
    plan = plan_octaves(Size(80, 80), recipe(ExponentOctaves(scale=2.0, exponents=(-2, -1))), floor=75)

    assert plan.sizes == ((80, 80),)


def test_planned_octaves_go_down_from_the_picture_to_the_smallest_side():
    plan = plan_octaves(Size(400, 800), recipe(PlannedOctaves(smallest_side=100, scale=2.0)))

    assert plan.sizes == ((100, 200), (200, 400), (400, 800))


def test_at_most_so_many_octaves_are_planned_and_the_largest_stay():
    octaves = PlannedOctaves(smallest_side=100, scale=2.0, most=2)

    assert plan_octaves(Size(400, 800), recipe(octaves)).sizes == ((200, 400), (400, 800))
    assert plan_octaves(Size(100, 200), recipe(octaves)).sizes == ((100, 200),)


def test_a_small_picture_is_enlarged_for_dreaming_but_never_more_than_allowed():
    octaves = PlannedOctaves(smallest_side=100, scale=2.0, working_side=400, max_upscale=2.0)

    assert plan_octaves(Size(250, 300), recipe(octaves)).sizes[-1] == (400, 480)
    assert plan_octaves(Size(100, 100), recipe(octaves)).sizes[-1] == (200, 200)
    assert plan_octaves(Size(100, 100), recipe(octaves)).base == (100, 100)
    assert plan_octaves(Size(500, 900), recipe(octaves)).sizes[-1] == (500, 900)


def test_steps_go_from_the_first_number_to_the_final_one_in_even_parts():
    octaves = PlannedOctaves(smallest_side=100, scale=2.0)

    assert plan_octaves(Size(800, 800), recipe(octaves, steps=40, final_steps=10)).steps == (40, 30, 20, 10)
    assert plan_octaves(Size(100, 100), recipe(octaves, steps=40, final_steps=10)).steps == (10,)


def test_a_picture_beyond_the_largest_side_is_planned_at_that_side():
    plan = plan_octaves(Size(1000, 4000), recipe(ExponentOctaves(exponents=(0,)), max_side=400))

    assert plan.base == (100, 400)
    assert plan.sizes == ((100, 400),)


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    smallest=st.integers(16, 400),
    scale=st.floats(1.1, 3.0),
    working=st.integers(1, 600),
    upscale=st.floats(1.0, 4.0),
)
def test_planned_octaves_grow_by_the_scale_and_keep_the_shape(
    height: int, width: int, smallest: int, scale: float, working: int, upscale: float
):
    octaves = PlannedOctaves(smallest_side=smallest, scale=scale, working_side=working, max_upscale=upscale)

    plan = plan_octaves(Size(height, width), recipe(octaves))

    last = plan.sizes[-1]
    assert last.height >= height
    assert last.width >= width
    assert last.height <= height * upscale + 1
    for smaller, larger in zip(plan.sizes, plan.sizes[1:], strict=False):
        assert abs(larger.height - smaller.height * scale) <= 1 + scale
        assert abs(larger.width - smaller.width * scale) <= 1 + scale
        assert smaller.short_side >= smallest - 1
    assert last.short_side < smallest or plan.sizes[0].short_side / scale <= smallest + 1

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from dream.ascent import compile_ascent
from dream.recipes import ExponentOctaves, LayerTerm, Recipe
from dream.regions import Box
from dream.tile_graph import tile_gradients
from dream.tiles import TilePlan, needs_tiles, octave_tiles, plan_tiles, smaller_tile_side
from tests.support.dreaming import dream_all, small_recipe
from tests.support.tiny_network import noise_image, tiny_network

STILL = np.zeros((1, 2), np.int32)

# Cells of `second` see 7 pixels, and their neighbours are 2 pixels apart.
FIELD = 7


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


# The plan.


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    cells=st.integers(1, 40),
    overlap=st.integers(0, 200),
)
def test_cores_cover_every_pixel_once_and_begin_on_the_phase(height: int, width: int, cells: int, overlap: int):
    plan = plan_tiles(height, width, tile_side=32 * cells, overlap=overlap)

    for length, core, count in ((height, plan.core_height, plan.rows), (width, plan.core_width, plan.columns)):
        covered = np.zeros(length, int)
        for index in range(count):
            covered[index * core : (index + 1) * core] += 1
        assert (covered == 1).all()
        assert core % 32 == 0
        assert 32 <= core <= 32 * cells
        # As few as the side allows.
        assert count == math.ceil(length / (32 * cells)) or core < 32 * cells
    assert plan.overlap % 32 == 0
    assert overlap <= plan.overlap < overlap + 32
    assert plan.count == plan.rows * plan.columns


def test_tiles_are_as_even_as_the_phase_allows():
    plan = plan_tiles(1000, 1500, tile_side=512, overlap=50)

    # 1000 / 2 and 1500 / 3 are 500, and the next multiple of 32 is 512.
    assert plan == TilePlan(1000, 1500, 512, 512, 64)
    assert (plan.rows, plan.columns) == (2, 3)
    assert plan.computed_pixels == 6 * (512 + 2 * 64) ** 2
    # 1100 / 3 is 366.7: three tiles of 384, not two of 512 and a narrow one.
    assert plan_tiles(1100, 100, tile_side=512, overlap=0) == TilePlan(1100, 100, 384, 128, 0)


def test_what_has_more_pixels_than_four_tiles_needs_them():
    assert not needs_tiles(128, 128, 64)
    assert needs_tiles(128, 129, 64)
    assert not needs_tiles(16, 1024, 64)
    assert octave_tiles((128, 128), tile_side=64, overlap=32) is None
    assert octave_tiles((128, 160), tile_side=64, overlap=32) == TilePlan(128, 160, 64, 64, 32)


@pytest.mark.parametrize(
    ("size", "side", "smaller"),
    [
        # 2000 x 2000 fits into four tiles of 1024, and is cut by 512.
        ((2000, 2000), 1024, 512),
        ((2000, 2000), 512, 256),
        # 600 x 600 is cut by 256 at first.
        ((600, 600), 1024, 256),
        # 256 x 256 is never more than four of the smallest tiles.
        ((256, 256), 1024, None),
        ((2000, 2000), 128, None),
        ((2000, 2000), 320, 160),
        ((2000, 2000), 160, None),
    ],
)
def test_the_next_smaller_side_is_the_first_half_that_cuts_smaller(
    size: tuple[int, int], side: int, smaller: int | None
):
    assert smaller_tile_side(size, tile_side=side, overlap=64) == smaller


# The graph.


@pytest.mark.parametrize("size", [(160, 224), (161, 97), (64, 300), (33, 40)])
@pytest.mark.parametrize("overlap", [0, 32, 64])
def test_every_pixel_comes_from_its_own_place_once(size: tuple[int, int], overlap: int):
    plan = plan_tiles(*size, tile_side=64, overlap=overlap)
    pictures = np.random.default_rng(1).random((2, *size, 3)).astype(np.float32)
    seen: list[tuple[int, ...]] = []

    def gradient_of(images: Any, _inputs: Any) -> tuple[Any, Any]:
        seen.append(tuple(images.shape))
        # A gradient that is the picture itself shows where each pixel comes from.
        return tf.reduce_mean(images, axis=[1, 2, 3]), tf.identity(images)

    values, gradient = tile_gradients(gradient_of, tf.constant(pictures), plan, {})

    np.testing.assert_array_equal(gradient, pictures)
    assert seen == [(2, plan.core_height + 2 * plan.overlap, plan.core_width + 2 * plan.overlap, 3)] * plan.count
    assert values.shape == (2,)


def test_the_objective_is_the_mean_over_the_tiles():
    plan = plan_tiles(128, 192, tile_side=64, overlap=0)
    picture = np.random.default_rng(1).random((1, 128, 192, 3)).astype(np.float32)

    values, _ = tile_gradients(
        lambda images, _: (tf.reduce_mean(images**2, axis=[1, 2, 3]), images), tf.constant(picture), plan, {}
    )

    # Tiles without overlap, of one size, that end at the edge: their mean is that of the picture.
    assert float(values[0]) == pytest.approx(float(np.mean(picture**2)), rel=1e-5)


def test_planes_are_cut_as_the_pictures_are_and_other_inputs_are_left_whole():
    plan = plan_tiles(100, 150, tile_side=64, overlap=32)
    picture = np.random.default_rng(2).random((1, 100, 150, 3)).astype(np.float32)
    inputs = {"plane": tf.constant(picture[..., :1]), "channels": tf.constant([[1.0, 2.0]])}

    def gradient_of(images: Any, inputs: Any) -> tuple[Any, Any]:
        np.testing.assert_array_equal(inputs["plane"], images[..., :1])
        assert inputs["channels"].shape == (1, 2)
        return tf.zeros([1]), images

    tile_gradients(gradient_of, tf.constant(picture), plan, inputs)


# The gradient of the tiny network.


def recipe_of(*objective: LayerTerm, **fields: Any) -> Recipe:
    return small_recipe(objective=objective, **({"steps": 1, "step_size": 1.0, "clip": "end"} | fields))


def direction(network: Any, picture: np.ndarray, recipe: Recipe, tiles: TilePlan | None, **inputs: Any) -> np.ndarray:
    """The normalized gradient, as one step of size 1 shows it: float64, (height, width, 3)."""
    ascent = compile_ascent(network, recipe, recipe.objective, tiles=tiles)
    climb = ascent.climb(picture, STILL, **inputs)
    return (np.asarray(climb.images, np.float64) - picture)[0]


def picture_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    return noise_image(height, width, seed)[None].astype(np.float32) / 255


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b))


def wrapped(picture: np.ndarray, margin: int) -> np.ndarray:
    return np.pad(picture, [(0, 0), (margin, margin), (margin, margin), (0, 0)], mode="wrap")


@pytest.mark.parametrize("reduction", ["mean", "mean_square"])
@pytest.mark.parametrize("size", [(160, 224), (150, 97)])
def test_tiles_that_see_their_neighbours_give_the_gradient_of_a_picture_without_edges(
    tiny: Any, reduction: str, size: tuple[int, int]
):
    # The overlap of 32 is more than the field, so no pixel can tell that there are tiles. A picture around which its
    # other sides are laid has no edge where they are wrapped, either.
    picture = picture_of(*size)
    recipe = recipe_of(LayerTerm(layer="second", reduction=reduction))

    tiled = direction(tiny, picture, recipe, plan_tiles(*size, tile_side=64, overlap=32))
    whole = direction(tiny, wrapped(picture, 64), recipe, None)[64:-64, 64:-64]

    np.testing.assert_allclose(tiled / tiled.std(), whole / whole.std(), atol=1e-3)


def test_without_overlap_only_what_is_near_a_seam_differs(tiny: Any):
    picture, recipe = picture_of(160, 224), recipe_of(LayerTerm(layer="second"))
    plan = plan_tiles(160, 224, tile_side=64, overlap=0)

    tiled, whole = direction(tiny, picture, recipe, plan), direction(tiny, picture, recipe, None)

    away = np.zeros((160, 224), bool)
    rows, columns = np.arange(160) % plan.core_height, np.arange(224) % plan.core_width
    inside_rows = (rows >= FIELD) & (rows < plan.core_height - FIELD)
    inside_columns = (columns >= FIELD) & (columns < plan.core_width - FIELD)
    away[np.ix_(inside_rows, inside_columns)] = True
    # The last tile of each row and column reaches over the edge.
    away[-FIELD:] = away[:, -FIELD:] = False
    assert cosine(tiled[away], whole[away]) >= 0.99
    assert cosine(tiled[~away], whole[~away]) < cosine(tiled[away], whole[away])


def shifts_that_move_seams(plan: TilePlan, count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, [plan.core_height, plan.core_width], (count, 2)).astype(np.int32)


@pytest.mark.parametrize("overlap", [0, 32])
def test_no_seam_is_seen_in_the_mean_over_the_shifts(tiny: Any, overlap: int):
    # The overlap alone hides seams where it is as wide as the field. Without it, the roll has to.
    recipe = recipe_of(LayerTerm(layer="second"), normalization="std")
    plan = plan_tiles(160, 224, tile_side=64, overlap=overlap)
    ascent = compile_ascent(tiny, recipe, recipe.objective, tiles=plan)
    energy = np.zeros((160, 224))
    for index, shift in enumerate(shifts_that_move_seams(plan, 60)):
        picture = picture_of(160, 224, seed=index)
        step = np.asarray(ascent.climb(picture, shift[None]).images, np.float64) - picture
        energy += np.sum(step[0] ** 2, axis=-1)

    on_seams = np.zeros((160, 224), bool)
    for line in range(plan.core_height, 160, plan.core_height):
        on_seams[line - 2 : line + 2] = True
    for line in range(plan.core_width, 224, plan.core_width):
        on_seams[:, line - 2 : line + 2] = True
    interior = ~on_seams
    # The edge of the picture is one of its own.
    for edge in (np.s_[:4], np.s_[-4:]):
        interior[edge] = on_seams[edge] = False
        interior[:, edge] = on_seams[:, edge] = False
    assert energy[on_seams].mean() <= 1.05 * energy[interior].mean()
    assert energy[on_seams].mean() >= 0.95 * energy[interior].mean()


def test_a_flat_half_keeps_its_small_gradients_beside_a_busy_one(tiny: Any):
    picture = picture_of(160, 256)
    picture[:, :, :128] = 0.5 + 0.01 * (picture[:, :, :128] - 0.5)
    recipe = recipe_of(LayerTerm(layer="first", reduction="mean_square"))

    # Tiles of 64 pixels lie in one half or in the other; each normalized alone, both would have the same spread.
    tiled = direction(tiny, picture, recipe, plan_tiles(160, 256, tile_side=64, overlap=32))
    whole = direction(tiny, picture, recipe, None)

    def flat_over_busy(gradient: np.ndarray) -> float:
        inner = gradient[32:-32]
        return float(inner[:, 32:96].std() / inner[:, 160:224].std())

    assert flat_over_busy(whole) < 0.5
    assert flat_over_busy(tiled) == pytest.approx(flat_over_busy(whole), rel=0.02)


def test_a_region_is_the_same_in_tiles(tiny: Any):
    from dream.objectives import plane_inputs

    box = Box(top=0.3, bottom=0.8, left=0.25, right=0.75)
    recipe = recipe_of(LayerTerm(layer="second", region=box))
    picture = picture_of(160, 224)
    inputs = plane_inputs(recipe.objective, 160, 224, {})

    tiled = direction(tiny, picture, recipe, plan_tiles(160, 224, tile_side=64, overlap=32), inputs=inputs)
    whole = direction(tiny, picture, recipe, None, inputs=inputs)

    # The region is drawn on the layer's map, whose cells lie a little elsewhere in a tile than in the whole picture.
    # That may move its edge by a cell or two, and nothing else.
    inner = np.s_[round(0.3 * 160) + 8 : round(0.8 * 160) - 8, round(0.25 * 224) + 8 : round(0.75 * 224) - 8]
    assert cosine(tiled[inner], whole[inner]) >= 0.999
    assert cosine(tiled, whole) >= 0.97
    assert np.abs(tiled[:32]).max() < 1e-6 * np.abs(tiled).max()


def test_pictures_in_tiles_climb_together_as_they_do_alone(tiny: Any):
    recipe = recipe_of(LayerTerm(layer="second"), normalization="laplacian", step_size=0.02)
    ascent = compile_ascent(tiny, recipe, recipe.objective, tiles=plan_tiles(100, 150, tile_side=64, overlap=32))
    pictures = np.concatenate([picture_of(100, 150, seed=seed) for seed in range(3)])
    shifts = np.array([[1, 2], [30, 4], [5, 60]], np.int32)

    together = np.asarray(ascent.climb(pictures, shifts).images)

    for index in range(3):
        alone = np.asarray(ascent.climb(pictures[index : index + 1], shifts).images)
        np.testing.assert_allclose(together[index], alone[0], atol=1e-5)


# Tiled dreams.


def shifts_of_a_dream(
    network: Any, recipe: Recipe, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[TilePlan | None, np.ndarray]]:
    """The tiles and shifts of each octave, as the engine hands them to the ascent."""
    from dream import octave_run

    real, found = octave_run.compile_ascent, []

    def compiled(*arguments: Any, **options: Any) -> Any:
        ascent = real(*arguments, **options)

        class Watched(type(ascent)):
            def climb(self, images: Any, shifts: np.ndarray, **rest: Any) -> Any:
                found.append((options["tiles"], shifts))
                return super().climb(images, shifts, **rest)

        return Watched(**{field.name: getattr(ascent, field.name) for field in dataclasses.fields(ascent)})

    with monkeypatch.context() as patch:
        patch.setattr(octave_run, "compile_ascent", compiled)
        dream_all({"p": noise_image(*size)}, recipe, network)
    return found


@pytest.mark.parametrize("jitter", [0, 5])
def test_every_seam_moves_by_whole_cells_drawn_from_a_stream_of_its_own(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, jitter: int
):
    octaves = ExponentOctaves(scale=2.0, exponents=(-1, 0))
    recipe = small_recipe(octaves=octaves, steps=6, jitter=jitter, seed=11, tile_side=64, tile_overlap=32)

    (no_tiles, small), (tiles, large) = shifts_of_a_dream(tiny, recipe, (160, 240), monkeypatch)

    # The same, from NumPy alone: 6 + 6 steps, a word down and a word right for each.
    words = np.random.PCG64(11).random_raw(24).reshape(12, 2)
    jittered = (words % np.uint64(2 * jitter + 1)).astype(np.int64) - jitter
    moved = np.random.PCG64(11).jumped(3).random_raw(24).reshape(12, 2)
    assert no_tiles is None
    assert tiles == TilePlan(160, 240, 64, 64, 32)
    np.testing.assert_array_equal(small, jittered[:6])
    np.testing.assert_array_equal(large, jittered[6:] + (moved[6:] % np.uint64(2)).astype(np.int64) * 32)
    assert len({tuple(shift) for shift in large}) > 2


def test_a_tiled_dream_looks_like_the_whole_one_and_says_how_it_was_cut(tiny: Any):
    picture = {"p": noise_image(160, 224)}
    recipe = small_recipe(steps=3, jitter=0, octaves=ExponentOctaves(scale=2.0, exponents=(-1, 0)))

    whole = dream_all(picture, recipe, tiny)["p"]
    tiled = dream_all(picture, recipe.with_changes(tile_side=64, tile_overlap=32), tiny)["p"]

    assert whole.facts["tiles"] == [None, None]
    assert tiled.facts["tiles"] == [None, {"count": 12, "core_height": 64, "core_width": 64, "overlap": 32}]
    change = [np.ravel(one.image.astype(float) - picture["p"]) for one in (tiled, whole)]
    assert cosine(*change) > 0.9

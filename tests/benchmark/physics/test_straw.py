"""The straw's detector on drawn straws, whose angles are known, and on rendered ones, whose rays are."""

from dataclasses import replace

import numpy as np
import pytest

from openuni.benchmark.physics.refraction import STRAW, chosen_frames
from openuni.benchmark.physics.straw import break_of_mask, find_straw, find_straw_mask, redness
from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.refracted import refracted
from openuni.benchmark.synth.render import make_tier
from openuni.benchmark.synth.truth import frame_truth
from tests.benchmark.synth.tumbler import look_into

SIZE = 256
RED, WHITE = (200, 40, 45), (235, 232, 228)


def drawn(above_deg, below_deg, *, offset=0.0, waterline=140, stripes=True, width=9.0, size=SIZE, seed=0):
    """A straw from row 30 to 220 over a wooden-looking wall, its lines parted at the waterline."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    picture = np.full((size, size, 3), (178, 140, 96), float) + 12 * np.sin(y / 7 + x / 40)[..., None]
    slope = np.where(y < waterline, np.tan(np.radians(above_deg)), np.tan(np.radians(below_deg)))
    middle = 128 + slope * (y - waterline) + np.where(y < waterline, 0, offset)
    across = (x - middle) * np.cos(np.arctan(slope))
    straw = (np.abs(across) <= width / 2) & (y >= 30) & (y <= 220)
    along = (y - waterline) / np.cos(np.arctan(slope))
    red = ((along + across) // 12 % 2 == 0) | (not stripes)
    picture[straw & red], picture[straw & ~red] = RED, WHITE
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("stripes", [True, False])
@pytest.mark.parametrize(("above", "below", "offset"), [(20, 28, 4), (-18, -25, -3), (25, 12, 0), (-30, -38, 2)])
def test_angles_of_a_drawn_straw_are_found_within_half_a_degree(above, below, offset, stripes):
    # Leans are measured going down: positive to the right.
    found = find_straw(drawn(above, below, offset=offset, stripes=stripes))
    assert found.above_deg == pytest.approx(above, abs=0.5) and found.below_deg == pytest.approx(below, abs=0.5)
    # The row itself is only as sure as two lines that part slowly are far apart.
    assert found.waterline_px == pytest.approx(140, abs=30)


@pytest.mark.parametrize("lean", [-35, -20, -4, 0, 12, 30])
def test_a_straight_straw_has_no_break_and_no_waterline(lean):
    found = find_straw(drawn(lean, lean))
    assert abs(found.break_deg) < 0.7 and found.waterline_px is None


def test_no_straw_is_found_where_there_is_none():
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    wood = drawn(10, 10, width=0)
    ball = wood.copy()
    y, x = np.mgrid[:SIZE, :SIZE]
    ball[(y - 128) ** 2 + (x - 128) ** 2 < 40**2] = (230, 140, 30)  # orange
    flag = wood.copy()
    flag[60:200, 60:200] = RED
    dot = wood.copy()
    dot[100:104, 100:104] = RED
    gray = np.full((SIZE, SIZE, 3), 128, np.uint8)
    assert [find_straw(one) for one in (noise, wood, ball, flag, dot, gray)] == [None] * 6


def test_redness_is_that_of_red_alone():
    colours = np.array([[RED, WHITE, (220, 140, 30), (128, 0, 128), (60, 160, 60), (190, 140, 95)]], np.uint8)
    red, white, orange, purple, green, wood = redness(colours)[0]
    assert red > 100 and white < 20 and all(one < 20 for one in (orange, purple, green, wood))


def test_exact_masks_give_the_break_and_a_mask_of_one_straw_its_two_lines():
    y, x = np.mgrid[:SIZE, :SIZE]
    upper = (np.abs(x - 128 - 0.3 * (y - 140)) < 4) & (y > 30) & (y < 138)
    lower = (np.abs(x - 131 - 0.5 * (y - 140)) < 4) & (y > 142) & (y < 220)
    expected = np.degrees(np.arctan(0.5) - np.arctan(0.3))
    assert break_of_mask(upper, lower) == pytest.approx(expected, abs=0.1)
    assert find_straw_mask(upper | lower).break_deg == pytest.approx(expected, abs=0.5)
    assert break_of_mask(upper, np.zeros_like(upper)) is None and find_straw_mask(np.zeros_like(upper)) is None


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_on_rendered_straws_the_break_is_within_a_degree_of_the_rays(number):
    scene = make_scene("refraction", seed=11, number=number, num_frames=9)
    geometry, tier = Geometry(scene), make_tier("fast")
    tier.setup()
    posed, camera = geometry.at(4), scene.camera(4, 320, 320)
    rgb = tier.draw(posed, camera, frame_truth(posed, camera, None, None).first)
    seen = refracted(posed, camera)
    straw = seen.component == [thing.name for thing in scene.things].index(STRAW)
    found = find_straw(rgb)
    if not scene.facts["water"]:
        assert abs(found.break_deg) < 1 and not (straw & seen.wet).any()
        return
    expected = break_of_mask(straw & ~seen.wet & ~seen.top, straw & seen.wet & ~seen.top)
    assert abs(expected) > 3 and found.break_deg == pytest.approx(expected, abs=1)


def test_refracted_rays_agree_with_rays_through_an_ideal_tumbler():
    # tests/benchmark/synth/tumbler.py follows rays through exact cylinders, by formulas of its own, and leans the same.
    scene = make_scene("refraction", seed=5, number=0, num_frames=2)
    tier = make_tier("fast")
    tier.setup()
    ideal = look_into(scene, tier).expected_break_deg
    scene = replace(scene, focal=scene.focal * 1.6)
    seen = refracted(Geometry(scene).at(0), scene.camera(0, 192, 192))
    straw = seen.component == [thing.name for thing in scene.things].index(STRAW)
    ours = break_of_mask(straw & ~seen.wet & ~seen.top, straw & seen.wet & ~seen.top)
    assert abs(ours) == pytest.approx(abs(ideal), abs=1)


def test_eight_frames_are_looked_at_from_the_first_to_the_last():
    assert chosen_frames(48) == [0, 7, 13, 20, 27, 34, 40, 47]
    assert chosen_frames(3) == [0, 1, 2] and chosen_frames(1) == [0]

"""Plain video metrics against values worked out by hand."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from openuni.benchmark.metrics import plain
from openuni.benchmark.metrics.appearance import DIRECTIONS, appearance, likeness, luminance

RNG = np.random.default_rng(0)


def gray(*levels, size=(8, 10)):
    return np.stack([np.full((*size, 3), level, np.uint8) for level in levels])


def test_flicker_is_the_mean_step_of_luminance_in_percent():
    # Steps of 51 and 0 of 255: 20 % and 0 %.
    assert plain.flicker(gray(0, 51, 51)) == pytest.approx(10)
    assert plain.frame_flicker(gray(0, 51, 51)) == pytest.approx(10)
    # A pure green step of 255 counts 0.587.
    frames = gray(0, 0)
    frames[1, ..., 1] = 255
    assert plain.flicker(frames) == pytest.approx(58.7)


def test_pixels_that_swap_flicker_by_pixel_and_not_by_frame():
    frames = gray(0, 0)
    frames[0, :, ::2] = frames[1, :, 1::2] = 255
    assert plain.flicker(frames) == pytest.approx(100) and plain.frame_flicker(frames) == pytest.approx(0)


def test_smoothness_is_one_over_one_plus_the_mean_jacobian():
    y, x = np.mgrid[:6, :7].astype(np.float32)
    shift = np.full((2, 6, 7, 2), [3, -2], np.float32)
    assert plain.smoothness(shift) == 1
    # u = 0.3 x, v = 0.4 y: |J| = 0.5 everywhere.
    linear = np.stack([0.3 * x, 0.4 * y], axis=-1)[None]
    assert plain.smoothness(linear) == pytest.approx(1 / 1.5)
    # The mean is over pairs: of 0 and 0.5.
    assert plain.smoothness(np.concatenate([shift[:1], linear])) == pytest.approx(1 / 1.25)


def test_a_thing_that_passes_a_still_background_has_the_smoothness_that_the_docstring_says():
    flow = np.zeros((1, 256, 256, 2), np.float32)
    flow[0, 100:130, 100:130, 0] = 2
    # Central differences: 1 px per px on the two pixels at each of 4 x 30 border places; in the four corners both
    # derivatives are there, sqrt(2) in one pixel instead of 1 in two.
    norms = 4 * 30 * 2 - 4 * 2 + 4 * 2**0.5
    assert plain.smoothness(flow) == pytest.approx(1 / (1 + norms / 256**2), abs=1e-6)
    assert round(plain.smoothness(flow), 3) == 0.996


def test_motion_is_the_mean_length_in_percent_of_the_short_side():
    flow = np.zeros((1, 50, 80, 2), np.float32)
    flow[:, :25] = [3, 4]
    assert plain.motion(flow) == pytest.approx(100 * 2.5 / 50)


def test_parts_without_a_colour_in_common_have_likeness_0_and_equal_parts_1():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, 8:] = 255
    left, right = np.zeros((2, 16, 16), bool)
    left[:, :4], right[:, 12:] = True, True
    black, white = appearance(picture, left), appearance(picture, right)
    assert black.colours @ white.colours == 0 and likeness(black, black) == 1
    assert likeness(black, white) == 0.5  # both are flat all over, which is all that they share


def test_half_the_colours_in_common_give_the_cosine_of_bhattacharyya():
    half, whole = np.zeros((2, 8, 8, 3), np.uint8)
    half[:, 4:] = 255
    everywhere = np.ones((8, 8), bool)
    one, other = appearance(half, everywhere), appearance(whole, everywhere)
    # Shares (1/2, 1/2) and (1, 0): sqrt(1/2).
    assert one.colours @ other.colours == pytest.approx(0.5**0.5)


def test_edges_of_two_directions_share_nothing_and_light_to_dark_is_dark_to_light():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[(np.arange(32) // 4) % 2 == 0] = 200
    everywhere = np.ones((32, 32), bool)
    lying = appearance(stripes, everywhere)
    standing = appearance(stripes.transpose(1, 0, 2), everywhere)
    negative = appearance(200 - stripes, everywhere)
    flat, other = (one.edges.reshape(-1, DIRECTIONS + 1)[:, -1] for one in (lying, standing))
    assert lying.edges @ standing.edges == pytest.approx(flat @ other) and flat @ other < 0.1
    assert lying.edges @ negative.edges == pytest.approx(1)
    assert lying.edges @ lying.edges == pytest.approx(1)


def test_a_part_looks_alike_wherever_it_is():
    patch = RNG.integers(0, 256, (12, 12, 3), np.uint8)
    frames, masks = np.zeros((3, 40, 40, 3), np.uint8), np.zeros((3, 40, 40), bool)
    for t, (y, x) in enumerate([(2, 3), (10, 20), (25, 7)]):
        frames[t, y : y + 12, x : x + 12], masks[t, y : y + 12, x : x + 12] = patch, True
    assert plain.subject(frames, masks) == pytest.approx(1)
    wide = binary_dilation(masks, np.ones((1, 3, 3)))  # an edge reaches one pixel beyond the patch
    assert plain.background(frames, wide) == pytest.approx(1)


def test_the_subject_that_turns_into_something_else_loses_and_the_background_keeps_its_mark():
    frames = np.tile(RNG.integers(0, 128, (40, 40, 3), np.uint8), (3, 1, 1, 1))
    masks = np.zeros((3, 40, 40), bool)
    masks[:, 10:20, 10:20] = True
    frames[0][masks[0]], frames[1:][masks[1:]] = (255, 0, 0), (0, 0, 255)
    wide = np.zeros_like(masks)
    wide[:, 8:22, 8:22] = True
    assert plain.subject(frames, masks) == pytest.approx(0.5, abs=0.1)  # outline alike, colours not
    assert plain.background(frames, wide) == pytest.approx(1)


def test_frames_without_the_subject_are_left_out_and_a_subject_seen_briefly_is_undefined():
    frames, masks = gray(10, 200, 10, size=(40, 40)), np.zeros((3, 40, 40), bool)
    masks[[0, 2], 5:15, 5:15] = True
    assert plain.subject(frames, masks) == pytest.approx(1)
    masks[2] = False
    assert np.isnan(plain.subject(frames, masks)) and np.isnan(plain.subject(frames, np.zeros_like(masks)))
    assert np.isnan(plain.background(frames, np.ones_like(masks)))


def test_one_frame_has_no_flicker_motion_or_smoothness():
    none = np.zeros((0, 8, 8, 2), np.float32)
    assert all(np.isnan(one(gray(3))) for one in (plain.flicker, plain.frame_flicker))
    assert np.isnan(plain.smoothness(none)) and np.isnan(plain.motion(none))


def test_luminance_of_white_is_255_and_an_empty_mask_is_refused():
    assert luminance(np.full((1, 3), 255, np.uint8)) == pytest.approx(255)
    with pytest.raises(ValueError, match="with a pixel"):
        appearance(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), bool))

"""Depth metrics against sums by hand; averaging frame by frame and over all pixels."""

import math

import numpy as np
import pytest

from openuni.benchmark.metrics.depth import DELTA1, DELTA2, abs_rel, delta, flicker, rmse, rmse_log

TRUE = np.array([[[1.0, 2.0]], [[4.0, 4.0]]])  # two frames of 1 x 2 pixels
PREDICTED = np.array([[[1.5, 2.0]], [[3.0, 5.0]]])
ALL = np.ones(TRUE.shape, bool)
ONE_LESS = np.array([[[True, False]], [[True, True]]])


def test_abs_rel_by_hand():
    assert abs_rel(PREDICTED, TRUE, ALL) == pytest.approx((0.25 + 0.25) / 2)


def test_frames_count_alike_unless_pixels_are_pooled():
    assert abs_rel(PREDICTED, TRUE, ONE_LESS) == pytest.approx((0.5 + 0.25) / 2)
    assert abs_rel(PREDICTED, TRUE, ONE_LESS, pooled=True) == pytest.approx((0.5 + 0.25 + 0.25) / 3)


def test_a_frame_without_a_valid_pixel_does_not_count():
    second = np.array([[[False, False]], [[True, True]]])
    assert abs_rel(PREDICTED, TRUE, second) == pytest.approx(0.25)


def test_rmse_is_the_mean_of_the_frames_roots():
    assert rmse(PREDICTED, TRUE, ALL) == pytest.approx((math.sqrt(0.125) + 1) / 2)
    assert rmse(PREDICTED, TRUE, ALL, pooled=True) == pytest.approx(math.sqrt(2.25 / 4))


def test_rmse_log_by_hand():
    expected = (math.sqrt(math.log(1.5) ** 2 / 2) + math.sqrt((math.log(0.75) ** 2 + math.log(1.25) ** 2) / 2)) / 2
    assert rmse_log(PREDICTED, TRUE, ALL) == pytest.approx(expected)


def test_delta_counts_ratios_strictly_below_its_threshold():
    true = np.ones((1, 1, 4))
    predicted = np.array([[[1.0, 1.25, 1 / 1.2, 2.0]]])
    valid = np.ones(true.shape, bool)
    assert delta(predicted, true, valid) == 0.5  # 1.25 itself is out
    assert delta(predicted, true, valid, power=2) == 0.75  # 1.5625
    assert (DELTA1(predicted, true, valid), DELTA2(predicted, true, valid)) == (0.5, 0.75)
    assert delta(predicted, true, valid, power=4) == 1.0  # 2.44


def test_perfect_depth_is_perfect_and_nothing_valid_is_undefined():
    assert abs_rel(TRUE, TRUE, ALL) == rmse(TRUE, TRUE, ALL) == rmse_log(TRUE, TRUE, ALL) == 0
    assert delta(TRUE, TRUE, ALL) == 1
    for metric in (abs_rel, rmse, rmse_log, delta):
        assert math.isnan(metric(TRUE, TRUE, ~ALL)) and math.isnan(metric(TRUE, TRUE, ~ALL, pooled=True))


def test_what_is_not_valid_is_not_looked_at():
    wrong = np.where(ONE_LESS, PREDICTED, np.nan)
    assert abs_rel(wrong, TRUE, ONE_LESS) == abs_rel(PREDICTED, TRUE, ONE_LESS)


def test_depth_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="predicted must start with shape"):
        abs_rel(PREDICTED[:1], TRUE, ALL)


def moving_scene():
    """A near square that slides right by 1 px over a far wall; the camera also comes nearer: all depths fall."""
    depth = np.stack([np.full((6, 8), 10.0 - t) for t in range(3)])
    flow = np.zeros((3, 6, 8, 2))
    for t in range(3):
        depth[t, 2:4, 1 + t : 3 + t] = 4.0
        flow[t, 2:4, 1 + t : 3 + t, 0] = 1
    visible = np.ones(depth.shape, bool)
    visible[-1] = False
    for t in range(2):  # the wall that the square covers next
        visible[t, 2:4, 3 + t] = False
    return depth, flow, visible


def test_perfect_depth_of_moving_things_does_not_flicker_at_any_scale():
    depth, flow, visible = moving_scene()
    valid = np.ones(depth.shape, bool)
    assert flicker(depth, depth, valid, flow, visible) == 0
    assert flicker(3 * depth, depth, valid, flow, visible) == pytest.approx(0, abs=1e-12)  # float64 logarithms


def test_flicker_is_the_step_of_the_log_scale():
    depth, flow, visible = moving_scene()
    shaken = depth * np.array([1.0, 1.1, 1.0])[:, None, None]
    assert flicker(shaken, depth, np.ones(depth.shape, bool), flow, visible) == pytest.approx(math.log(1.1))
    assert math.isnan(flicker(depth, depth, np.zeros(depth.shape, bool), flow, visible))


def test_flicker_looks_along_the_flow_only_at_pixels_that_are_valid_in_both_frames():
    depth, flow, visible = moving_scene()
    valid = np.ones(depth.shape, bool)
    wrong = depth.copy()
    wrong[1, 0, 0], valid[1, 0, 0] = 99.0, False
    assert flicker(wrong, depth, valid, flow, visible) == 0

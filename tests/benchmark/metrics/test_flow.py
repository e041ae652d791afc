"""Flow metrics by hand and against a loop over pixels."""

import math

import numpy as np
import pytest

from openuni.benchmark.metrics.flow import (
    FL,
    OUT1,
    OUT3,
    OUT5,
    end_point_errors,
    epe,
    epe_scale_aligned,
    fl,
    outliers,
    speed_masks,
)

SHAPE = (2, 3, 4)
ALL = np.ones(SHAPE, bool)
STILL = np.zeros((*SHAPE, 2), np.float32)


def test_epe_is_the_length_of_a_constant_error():
    assert epe(STILL + np.array([3, 4]), STILL, ALL) == 5


def test_perfect_flow_is_perfect_and_nothing_valid_is_undefined():
    assert epe(STILL, STILL, ALL) == fl(STILL, STILL, ALL) == outliers(STILL, STILL, ALL, px=1) == 0
    for metric in (epe, fl, OUT1):
        assert math.isnan(metric(STILL, STILL, ~ALL))


def test_fl_needs_three_pixels_and_five_per_cent():
    true = np.zeros((1, 1, 4, 2))
    true[..., 0] = [0, 50, 100, 100]
    predicted = true + np.array([[[[3.0, 0], [3.5, 0], [4.0, 0], [6.0, 0]]]])
    # 3.0 is not above 3; 3.5 of 50 is 7 %; 4 of 100 is 4 %; 6 of 100 is 6 %.
    assert fl(predicted, true, np.ones((1, 1, 4), bool)) == 50


def test_outliers_count_errors_above_their_threshold():
    predicted = np.zeros((1, 1, 5, 2))
    predicted[..., 1] = [0.5, 1.0, 2.0, 4.0, 8.0]
    true, valid = np.zeros_like(predicted), np.ones((1, 1, 5), bool)
    assert [metric(predicted, true, valid) for metric in (OUT1, OUT3, OUT5)] == [60, 40, 20]
    assert FL(predicted, true, valid) == 40


def test_against_a_loop_over_pixels():
    rng = np.random.default_rng(3)
    predicted, true = rng.normal(0, 8, (2, *SHAPE, 2))
    valid = rng.random(SHAPE) < 0.7
    errors, bad = [], 0
    for at in np.ndindex(SHAPE):
        if valid[at]:
            (u, v), (a, b) = predicted[at], true[at]
            errors.append(math.sqrt((u - a) ** 2 + (v - b) ** 2))
            bad += errors[-1] > 3 and errors[-1] / math.sqrt(a * a + b * b) > 0.05
    assert epe(predicted, true, valid) == pytest.approx(sum(errors) / len(errors))
    assert fl(predicted, true, valid) == pytest.approx(100 * bad / len(errors))
    assert end_point_errors(predicted, true, valid) == pytest.approx(errors)


def test_a_pixel_that_is_not_valid_may_hold_anything():
    predicted, valid = STILL.copy(), ALL.copy()
    predicted[0, 0, 0], valid[0, 0, 0] = np.nan, False
    assert epe(predicted, STILL, valid) == 0


def test_speeds_take_every_valid_pixel_once():
    true = np.zeros((1, 1, 4, 2))
    true[..., 0] = [9.9, 10, 39, 40]
    masks = speed_masks(true, np.ones((1, 1, 4), bool))
    assert {name: mask.sum() for name, mask in masks.items()} == {"s0-10": 1, "s10-40": 2, "s40+": 1}


def test_flow_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="predicted must start with shape"):
        epe(STILL[:1], STILL, ALL)


def test_epe_scale_aligned_does_not_care_for_the_scale_and_is_never_more_than_epe():
    rng = np.random.default_rng(4)
    true = rng.normal(0, 8, (*SHAPE, 2))
    predicted = true + rng.normal(0, 1, true.shape)
    found = epe_scale_aligned(predicted, true, ALL)
    assert 0.3 < found <= epe(predicted, true, ALL)
    for factor in (1e-3, 0.5, 40):
        assert epe_scale_aligned(factor * predicted, true, ALL) == pytest.approx(found, rel=1e-6)
    assert epe_scale_aligned(3 * true, true, ALL) == pytest.approx(0, abs=1e-6)


def test_epe_scale_aligned_is_the_least_of_a_grid_of_scales():
    rng = np.random.default_rng(6)
    true = rng.standard_t(2, (*SHAPE, 2))  # some long vectors, which a least squares scale would follow
    predicted = 0.3 * true + rng.normal(0, 0.3, true.shape)
    by_grid = min(
        np.mean(
            [math.hypot(*(scale * p - g)) for p, g in zip(predicted.reshape(-1, 2), true.reshape(-1, 2), strict=True)]
        )
        for scale in np.linspace(0, 8, 8001)
    )
    assert epe_scale_aligned(predicted, true, ALL) == pytest.approx(by_grid, rel=1e-4)  # the grid's steps


def test_flow_that_is_turned_round_or_still_has_the_mean_length_as_its_error_at_the_best_scale():
    true = np.random.default_rng(1).normal(0, 8, (*SHAPE, 2))
    length = epe(STILL, true, ALL)
    assert epe_scale_aligned(-true, true, ALL) == epe_scale_aligned(STILL, true, ALL) == pytest.approx(length)
    assert math.isnan(epe_scale_aligned(true, true, ~ALL))

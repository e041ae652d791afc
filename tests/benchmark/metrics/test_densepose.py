"""DensePose metrics by hand and against loops."""

import math

import numpy as np
import pytest

from openuni.benchmark.metrics.densepose import part_accuracy, part_iou, person_iou, uv_error, uv_near

TRUE = np.array([[[0, 1, 1, 1], [0, 2, 2, 0]]], np.uint8)
PREDICTED = np.array([[[1, 1, 1, 0], [0, 3, 2, 0]]], np.uint8)
UV = np.zeros((*TRUE.shape, 2), np.float32)


def test_parts_by_hand():
    # Part 1: 2 right, 3 true, 3 estimated. Part 2: 1 right, 2 true, 1 estimated. Part 3 is not in the truth.
    assert part_iou(PREDICTED, TRUE) == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert part_accuracy(PREDICTED, TRUE) == pytest.approx(3 / 5)
    assert person_iou(PREDICTED, TRUE) == pytest.approx(4 / 6)


def test_perfect_parts_are_perfect_and_nobody_is_undefined():
    assert part_iou(TRUE, TRUE) == part_accuracy(TRUE, TRUE) == person_iou(TRUE, TRUE) == 1
    assert uv_error(TRUE, TRUE, UV, UV) == 0 and uv_near(TRUE, TRUE, UV, UV) == 1
    nobody = np.zeros_like(TRUE)
    for metric in (part_iou, part_accuracy, person_iou):
        assert math.isnan(metric(nobody, nobody))
    assert person_iou(TRUE, nobody) == 0 and part_accuracy(nobody, TRUE) == 0
    assert math.isnan(uv_error(nobody, TRUE, UV, UV)) and uv_near(nobody, TRUE, UV, UV) == 0


def test_uv_is_measured_where_the_part_is_right():
    shifted = UV.copy()
    shifted[0, 0, 1] = 0.03, 0.04  # right part, 0.05 off
    shifted[0, 0, 2] = 0.01, 0.0
    shifted[0, 1, 1] = 1.0, 1.0  # wrong part
    assert uv_error(PREDICTED, TRUE, shifted, UV) == pytest.approx((0.05 + 0.01 + 0) / 3)
    shifted[0, 0, 1] = 0.3, 0.4
    assert uv_near(PREDICTED, TRUE, shifted, UV) == pytest.approx(2 / 5)


def test_pixels_that_do_not_count_change_nothing():
    valid = PREDICTED == TRUE
    assert (
        part_iou(PREDICTED, TRUE, valid)
        == part_accuracy(PREDICTED, TRUE, valid)
        == person_iou(PREDICTED, TRUE, valid)
        == 1
    )


def test_part_iou_against_loops():
    rng = np.random.default_rng(0)
    predicted, true = rng.integers(0, 25, (2, 2, 9, 11)).astype(np.uint8)
    values = []
    for part in range(1, 25):
        if (true == part).any():
            p, g = predicted == part, true == part
            values.append((p & g).sum() / (p | g).sum())
    assert part_iou(predicted, true) == pytest.approx(np.mean(values))


def test_a_wrong_part_or_shape_is_refused():
    with pytest.raises(ValueError, match="parts are 0 to 24, got 25"):
        part_iou(TRUE + np.uint8(23), TRUE)
    with pytest.raises(ValueError, match="predicted must start with shape"):
        part_iou(PREDICTED[:, :1], TRUE)

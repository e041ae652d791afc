"""VBench's formulas by hand: consistency, steadiness, dynamic degree with Python's rounding, the static filter."""

import numpy as np
import pytest

from openuni.benchmark.vbench.formulas import (
    consistency,
    dynamic_stride,
    is_dynamic,
    is_static,
    likeness,
    steadiness,
    top_mean,
)


def test_consistency_halves_likeness_to_the_frame_before_and_to_the_first():
    right, up, left = [2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]
    assert consistency(np.array([right, right, up])) == (((1 + 1) / 2 + (0 + 0) / 2) / 2, 2)
    assert consistency(np.array([right, left, left])).mean == ((0 + 0) / 2 + (1 + 0) / 2) / 2  # -1 counts as 0


def test_one_frame_has_no_consistency():
    assert consistency(np.ones((1, 4))) == (None, 0)


def test_steadiness_is_one_for_still_frames_and_zero_for_black_after_white():
    assert steadiness(np.zeros(3)) == 1
    assert steadiness(np.array([255.0])) == 0
    assert steadiness(np.array([0.0, 51.0])) == pytest.approx(0.9)
    assert steadiness(np.array([])) is None


@pytest.mark.parametrize(("fps", "stride"), [(8, 1), (4, 1), (12, 2), (20, 2), (24, 3), (28, 4), (30, 4), (60, 8)])
def test_stride_is_pythons_rounding_of_fps_over_eight(fps, stride):
    assert dynamic_stride(fps) == stride  # 12/8 = 1.5 -> 2, 20/8 = 2.5 -> 2, 28/8 = 3.5 -> 4


@pytest.mark.parametrize(("kept", "enough"), [(4, 1), (6, 2), (10, 2), (14, 4), (16, 4), (18, 4), (22, 6)])
def test_enough_pairs_is_a_quarter_of_the_frames_halves_to_the_even_number(kept, enough):
    moving = [7.0] * enough + [0.0] * (kept - 1 - enough)
    assert is_dynamic(moving, shorter_side=256, kept=kept)
    assert not is_dynamic([*moving[1:], 0.0], shorter_side=256, kept=kept)


def test_two_kept_frames_are_dynamic_whatever_they_show_and_one_never_is():
    assert is_dynamic([0.0], shorter_side=256, kept=2)  # round(0.5) = 0 pairs are enough, asked after the first
    assert not is_dynamic([], shorter_side=256, kept=1)


def test_the_threshold_goes_with_the_shorter_side():
    moving = [5.0] * 4
    assert not is_dynamic(moving, shorter_side=256, kept=5)
    assert is_dynamic(moving, shorter_side=200, kept=5)
    assert not is_dynamic([6.0] * 4, shorter_side=256, kept=5)  # more than, not as much


def test_static_clips_may_have_a_few_moving_pairs_and_a_bounded_drift():
    still = [0.0] * 15
    assert is_static([*still, 0.0, 0.0], shorter_side=256, frames=16)
    assert is_static([4.0, 4.0, *still[2:], 0.0, 0.0], shorter_side=256, frames=16)
    assert not is_static([4.0, 4.0, 4.0, *still[3:], 0.0, 0.0], shorter_side=256, frames=16)
    assert is_static([*still, 12.0, 12.0], shorter_side=256, frames=16)  # 3 x 2 x 2
    assert not is_static([*still, 0.0, 12.5], shorter_side=256, frames=16)


def test_motion_is_the_mean_of_the_longest_vectors():
    flow = np.zeros((10, 20, 2), np.float32)
    flow[0, :10] = (3.0, 4.0)
    assert top_mean(flow, 0.05) == pytest.approx(5)
    assert top_mean(flow, 0.1) == pytest.approx(2.5)


def test_likeness_is_a_cosine_and_may_be_negative():
    assert likeness(np.array([1.0, 0.0]), np.array([-2.0, 0.0])) == -1

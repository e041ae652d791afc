"""Truth at other frames and sizes: exact where nothing changes, nearest pixels, scaled flow, joints on their pixels."""

import numpy as np
import pytest

from openuni.benchmark.synth.resample import frame_numbers, frames_left_out, resample
from tests.benchmark.rendered import small_truth

TRUTH = small_truth(frames=6, height=8, width=12)


def same(first, second):
    return all(np.array_equal(array, second.arrays()[name]) for name, array in first.arrays().items())


def test_all_frames_at_the_same_size_are_the_truth_itself():
    assert same(resample(TRUTH, np.arange(6), height=8, width=12), TRUTH)


def test_a_window_keeps_its_frames_and_ends_without_flow():
    window = resample(TRUTH, np.array([2, 3, 4]), height=8, width=12)
    assert np.array_equal(window.depth, TRUTH.depth[2:5]) and np.array_equal(window.flow[:2], TRUTH.flow[2:4])
    assert not window.flow_valid[-1].any() and window.occluded[-1].all() and not window.flow[-1].any()
    assert not frames_left_out(window)


def test_flow_over_a_frame_that_was_left_out_is_not_valid():
    thinned = resample(TRUTH, np.array([0, 2, 3, 5]), height=8, width=12)
    assert thinned.flow_valid.any(axis=(1, 2)).tolist() == [False, True, False, False]
    assert frames_left_out(thinned)


def test_a_smaller_picture_takes_the_pixel_its_centre_lies_in():
    half = resample(TRUTH, np.arange(6), height=4, width=6)
    assert np.array_equal(half.depth, TRUTH.depth[:, 1::2, 1::2])  # centres at 0.5, 2.5, ... lie in pixels 1, 3, ...
    assert np.array_equal(half.segmentation, TRUTH.segmentation[:, 1::2, 1::2])
    assert half.flow_valid[0].all() and (half.flow[0] == [0.25, 0]).all()


def test_flow_scales_with_each_side():
    flow = TRUTH.flow.copy()
    flow[:-1] = [3.0, 2.0]
    from dataclasses import replace

    scaled = resample(replace(TRUTH, flow=flow), np.arange(6), height=4, width=8)
    assert scaled.flow[0].reshape(-1, 2)[0] == pytest.approx([3 * 8 / 12, 2 * 4 / 8])


def test_joints_stay_on_the_same_place_of_the_picture():
    half = resample(TRUTH, np.arange(6), height=4, width=6)
    # The centre of pixel 0 of a picture of half the size lies between pixels 0 and 1 of the whole.
    assert half.keypoints[..., :2] == pytest.approx((TRUTH.keypoints[..., :2] + 0.5) / 2 - 0.5)
    assert np.array_equal(half.keypoints[..., 2], TRUTH.keypoints[..., 2])


def test_intrinsics_project_to_the_scaled_pixels():
    half = resample(TRUTH, np.arange(6), height=4, width=6)
    point = np.array([0.3, -0.2, 2.0])
    before, after = (camera @ point for camera in (TRUTH.intrinsics[0], half.intrinsics[0]))
    assert after[:2] / after[2] == pytest.approx((before[:2] / before[2] + 0.5) / 2 - 0.5)


def test_times_are_turned_into_frame_numbers_or_refused():
    assert frame_numbers(np.array([0.125, 0.1875004, 0.25]), 16.0, 10).tolist() == [2, 3, 4]
    assert frame_numbers(np.array([0.0, 0.04]), 16.0, 10) is None  # between frames
    assert frame_numbers(np.array([0.0, 0.625]), 16.0, 10) is None  # after the last one
    assert frame_numbers(np.array([0.0, 0.0625, 0.0626]), 16.0, 10) is None  # twice the same

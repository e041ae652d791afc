"""Resizing predictions: pixel centres stay, lengths scale, what cannot be blended is not."""

import numpy as np
import pytest

from openuni.modality import Map
from openuni.resize import nearest_pixels, resized_frames, resized_map, scaled_skeleton


def test_a_map_at_its_size_is_the_same_map():
    map = Map(data=np.zeros((2, 4, 6), np.uint8))
    assert resized_map("segmentation", map, height=4, width=6) is map
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    assert resized_frames(frames, height=4, width=6) is frames


def test_ids_are_taken_from_the_nearest_pixel():
    map = Map(data=np.array([[[1, 2], [3, 9]]], np.uint8))
    wide = resized_map("segmentation", map, height=4, width=2).data[0]
    assert wide.tolist() == [[1, 2], [1, 2], [3, 9], [3, 9]]


def test_disparity_is_blended_and_metric_depth_is_not():
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32) + 1, (1, 4, 4)).copy()
    valid = np.ones(ramp.shape, bool)
    soft = resized_map("depth", Map(data=ramp, valid=valid, facts={"kind": "relative_disparity"}), height=4, width=8)
    # Centres at (x + 1/2) / 2 - 1/2.
    np.testing.assert_allclose(soft.data[0, 0, 1:-1], np.arange(1, 7) / 2 + 0.75, atol=1e-6)
    hard = resized_map("depth", Map(data=ramp, valid=valid, facts={"kind": "metric_depth"}), height=4, width=8)
    assert hard.data[0, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


def test_invalid_pixels_take_no_part():
    data = np.array([[[1, np.nan, 3, 3]]], np.float32)
    map = Map(data=data, valid=np.isfinite(data), facts={"kind": "relative_disparity"})
    wide = resized_map("depth", map, height=1, width=8)
    assert wide.valid[0, 0].tolist() == [True, True, False, False, True, True, True, True]
    assert wide.data[0, 0][wide.valid[0, 0]].tolist() == [1, 1, 3, 3, 3, 3]


def test_flow_is_scaled_along_each_axis():
    data = np.ones((2, 4, 4, 2), np.float32)
    valid = np.stack([np.ones((4, 4), bool), np.zeros((4, 4), bool)])
    scaled = resized_map("flow", Map(data=data, valid=valid), height=2, width=12)
    assert (scaled.data[0] == (3, 0.5)).all() and scaled.data.shape == (2, 2, 12, 2) and not scaled.valid[1].any()


def test_joints_and_boxes_keep_their_place_in_the_picture():
    joints = np.zeros((1, 1, 17, 3), np.float32)
    joints[..., :3] = -0.5, 3.5, 1  # the left edge and the bottom of a picture 4 px high
    boxes = np.array([[[-0.5, -0.5, 7.5, 3.5]]], np.float32)
    map = Map(data=joints, arrays={"boxes": boxes}, facts={"height": 4, "width": 8})
    large = resized_map("skeleton", map, height=8, width=24)
    assert large.data[0, 0, 0].tolist() == [-0.5, 7.5, 1] and large.arrays["boxes"][0, 0].tolist() == [
        -0.5,
        -0.5,
        23.5,
        7.5,
    ]
    assert (large.facts["height"], large.facts["width"]) == (8, 24)


@pytest.mark.parametrize("size", [(8, 8), (2, 3), (4, 12)])
def test_flat_frames_stay_flat(size):
    frames = np.full((2, 4, 6, 3), 77, np.uint8)
    out = resized_frames(frames, height=size[0], width=size[1])
    assert out.shape == (2, *size, 3) and (out == 77).all()


def test_the_nearest_pixel_is_exact_where_a_centre_falls_between_two():
    from fractions import Fraction

    for source, scaled in ((8, 98), (8, 503), (40, 32), (32, 40), (480, 270), (7, 21)):
        exact = [int((Fraction(x) + Fraction(1, 2)) * source / scaled) for x in range(scaled)]
        np.testing.assert_array_equal(nearest_pixels(source, scaled), exact)
        np.testing.assert_array_equal(nearest_pixels(source, scaled, start=3, count=2), exact[3:5])


def test_a_cropped_skeleton_is_the_scaled_one_moved():
    joints = np.array([[[[10.0, 20.0, 1.0]]]], np.float32)
    boxes = np.array([[[0.0, 0.0, 39.0, 29.0]]], np.float32)
    map = Map(data=joints, arrays={"boxes": boxes}, facts={"height": 30, "width": 40})
    cropped = scaled_skeleton(map, (60, 80), (50, 60), (5, 10))
    # 2 (10 + 1/2) - 1/2 - 10 and 2 (20 + 1/2) - 1/2 - 5
    np.testing.assert_array_equal(cropped.data[0, 0, 0], [10.5, 35.5, 1])
    np.testing.assert_array_equal(cropped.arrays["boxes"][0, 0], [-9.5, -4.5, 68.5, 53.5])
    assert (cropped.facts["height"], cropped.facts["width"]) == (50, 60)

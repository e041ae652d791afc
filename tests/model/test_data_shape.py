"""Strides, sizes and flips of frames and maps, by hand."""

import numpy as np
import pytest

from openuni.modality import Map, modality
from openuni.model.data.shape import fit, fit_frames, fit_map, flip_frames, flip_map, pick_map, settle_, speaks_of_sides
from openuni.model.data.strides import compose, is_strided, pick, sampled, usable_frames
from tests.openuni import codec_cases


def flow(*frames, valid=None):
    """(T, H, W, 2) from one (H, W) of dx each, dy = 0, and a mask."""
    dx = np.array(frames, dtype=np.float32)
    data = np.stack([dx, np.zeros_like(dx)], axis=-1)
    return data, np.ones(dx.shape, dtype=bool) if valid is None else np.array(valid)


def test_two_flows_are_summed_along_the_path():
    data, valid = flow([[1, 1, 0, 0]], [[5, 0, 1, 0]], [[0, 0, 0, 0]])
    out, good = compose(data, valid, np.array([0, 2]))
    # Pixel 0 goes to 1, where f' = 0; pixel 1 to 2, where it is 1; 2 and 3 stay, and then 2 goes on by 1.
    assert out[0, 0, :, 0].tolist() == [1, 2, 1, 0] and good[0].all()
    assert not good[1].any() and not out[1].any()


def test_flow_between_pixels_is_bilinear_down_and_across():
    data = np.zeros((2, 2, 2, 2), dtype=np.float32)
    data[0, 0, 0] = (0.25, 0.5)
    data[1, :, :, 1] = [[0, -0.4], [0.4, 0.2]]
    out, good = compose(data, np.ones((2, 2, 2), dtype=bool), np.array([0, 2]))[0:2]
    # At (0.25, 0.5): .5 (.75 x 0 + .25 x -.4) + .5 (.75 x .4 + .25 x .2) = .125
    assert out[0, 0, 0].tolist() == pytest.approx([0.25, 0.625]) and good[0, 0, 0]


def test_three_steps_are_summed_and_a_stride_of_one_is_the_flow_itself():
    data, valid = flow(*[[[1.0] * 9]] * 4, [[0.0] * 9])
    assert compose(data, valid, np.array([0, 3]))[0][0, 0, 0, 0] == 3
    valid[-1] = False
    out, good = compose(data, valid, np.array([1, 2, 3]))
    assert np.array_equal(out[:2], data[1:3]) and good[:2].all()


def test_composed_flow_is_invalid_where_it_leaves_the_picture_or_meets_invalid_flow():
    data, valid = flow([[1, 1, 1, 0.5]], [[0, 0, np.nan, 0]], valid=[[[True] * 4], [[True, True, False, True]]])
    out, good = compose(data, valid, np.array([0, 2]))
    # 0 -> 1: fine. 1 -> 2: invalid there. 2 -> 3: fine. 3 -> 3.5: outside.
    assert good[0, 0].tolist() == [True, False, True, False]
    assert np.isfinite(out).all()


def test_half_way_to_an_invalid_pixel_is_invalid_and_exactly_on_a_valid_one_is_not():
    field = np.zeros((1, 3, 2), dtype=np.float32)
    valid = np.array([[True, True, False]])
    _, good = sampled(field, valid, np.array([[1.0, 1.5, 2.0]]), np.zeros((1, 3)))
    assert good.tolist() == [[True, False, False]]


def test_invalid_flow_at_the_start_stays_invalid():
    data, valid = flow([[1, 1, 1]], [[1, 1, 1]], valid=[[[False, True, True]], [[True, True, True]]])
    assert compose(data, valid, np.array([0, 2]))[1][0, 0].tolist() == [False, True, False]  # 2 leaves
    assert compose(data, valid, np.array([0, 1]))[1][0, 0].tolist() == [False, True, True]


def test_a_moving_square_is_where_composed_flow_says():
    """A square moves by (2, 1) a frame: over a stride of 3 its pixels move by (6, 3)."""
    data = np.zeros((4, 24, 32, 2), dtype=np.float32)
    for t in range(4):
        data[t, 4 + t : 12 + t, 4 + 2 * t : 12 + 2 * t] = (2, 1)
    out, good = compose(data, np.ones(data.shape[:3], dtype=bool), np.array([0, 3]))
    assert (out[0, 4:12, 4:12] == (6, 3)).all() and good[0, 4:12, 4:12].all()


@pytest.mark.parametrize(
    ("stored", "clip_fps", "fps", "frames"),
    [
        (81, 16.0, 16.0, 81),
        (81, 15.0, 16.0, 81),  # within SAME_RATE
        (81, 8.0, 16.0, 0),  # too slow, and frames are not repeated
        (33, 16.0, 8.0, 17),
        (32, 16.0, 8.0, 16),
        (1, 1.0, 16.0, 1),
        (25, 24.0, 16.0, 17),
        (25, 24.0, None, 25),
    ],
)
def test_frames_that_a_clip_has_at_a_rate(stored, clip_fps, fps, frames):
    counted = int(usable_frames(np.array([stored]), np.array([clip_fps]), fps)[0])
    assert counted == frames
    if frames:
        times = 7 + np.arange(stored) / clip_fps
        for place in (0.0, 0.5, 0.999):
            picks = pick(times, num_frames=frames, clip_fps=clip_fps, fps=fps, place=place)
            assert len(picks) == frames and (np.diff(picks) > 0).all() and picks[0] >= 0 and picks[-1] < stored


def test_frames_are_picked_by_their_times():
    times = np.arange(48) / 24
    picks = pick(times, num_frames=5, clip_fps=24.0, fps=8.0, place=0.0)
    assert picks.tolist() == [0, 3, 6, 9, 12]
    assert is_strided(np.array(24.0), 8.0) and not is_strided(np.array(24.0), 24.0)
    uneven = np.array([0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8])
    assert pick(uneven, num_frames=3, clip_fps=7.5, fps=4.0, place=0.0).tolist() == [0, 2, 3]


def test_windows_reach_from_the_first_frame_to_the_last():
    times = np.arange(20) / 10
    assert pick(times, num_frames=5, clip_fps=10.0, fps=None, place=0.0)[0] == 0
    assert pick(times, num_frames=5, clip_fps=10.0, fps=None, place=0.9999)[-1] == 19
    assert pick(times, num_frames=5, clip_fps=10.0, fps=5.0, place=0.9999)[-1] == 19


def test_a_gap_that_would_repeat_a_frame_is_refused():
    times = np.array([0, 0.1, 0.2, 0.3, 1.3, 1.4, 1.5])
    with pytest.raises(ValueError, match="too unevenly spaced to be read at 2.5 fps"):
        pick(times, num_frames=5, clip_fps=4.0, fps=2.5, place=0.0)


def test_a_clip_covers_the_batch_s_size_and_is_cropped_from_the_middle():
    how = fit((100, 200), (50, 50))
    assert how.scaled == (50, 100) and how.corner == (0, 25) and how.scale == (0.5, 0.5)
    assert fit((96, 128), (96, 128)).scaled == (96, 128)
    assert fit((30, 40), (64, 48)).scaled == (64, 85)


def test_frames_and_labels_stay_aligned_when_scaled_and_cropped():
    frames = np.zeros((2, 40, 80, 3), dtype=np.uint8)
    frames[:, 10:30, 30:60] = 200
    labels = (frames[..., 0] > 0).astype(np.uint8)
    how = fit((40, 80), (20, 20))
    small, ids = fit_frames(frames, how), fit_map("segmentation", Map(data=labels), how).data
    assert small.shape == (2, 20, 20, 3) and ids.shape == (2, 20, 20)
    assert np.array_equal(small[..., 0] > 100, ids > 0)
    # Columns 30 to 59 of 80 are 15 to 29 of 40, and 5 to 19 of the middle 20.
    assert np.flatnonzero(ids[0, 10]).tolist() == list(range(5, 20))


def test_flow_joints_and_boxes_are_scaled_with_the_picture():
    how = fit((40, 80), (20, 20))
    data = np.tile(np.array([4, -2], dtype=np.float32), (2, 40, 80, 1))
    fitted = fit_map("flow", Map(data=data, valid=np.ones((2, 40, 80), dtype=bool)), how)
    assert (fitted.data == (2, -1)).all() and fitted.valid.shape == (2, 20, 20)
    joints = np.zeros((1, 1, 17, 3), dtype=np.float32)
    joints[..., :] = (40.5, 20.5, 0.9)
    joints[0, 0, 0] = (2, 20, 0.9)
    boxes = np.array([[[30, 10, 79, 30]]], dtype=np.float32)
    map = Map(data=joints, arrays={"boxes": boxes}, facts={"height": 40, "width": 80})
    fitted = fit_map("skeleton", map, how)
    # (40.5 + .5) / 2 - .5 - 10 = 10
    assert fitted.data[0, 0, 1].tolist() == pytest.approx([10, 10, 0.9])
    assert fitted.data[0, 0, 0, 2] == 0  # left of the crop
    assert fitted.arrays["boxes"].tolist() == [[[pytest.approx(4.75), pytest.approx(4.75), 19, pytest.approx(14.75)]]]
    assert fitted.facts == {"height": 20, "width": 20}
    modality("skeleton").check(fitted)


def test_an_upper_joint_of_the_rendered_dot_stays_on_its_pixel():
    """A bright dot at a joint's place is at the joint's new place after scaling by two thirds."""
    frames = np.zeros((1, 60, 90, 3), dtype=np.uint8)
    frames[0, 30:33, 42:45] = 255  # centre (43, 31)
    how = fit((60, 90), (40, 60))
    joints = np.full((1, 1, 17, 3), (43, 31, 1), dtype=np.float32)
    x, y, _ = fit_map("skeleton", Map(data=joints, facts={"height": 60, "width": 90}), how).data[0, 0, 0]
    rows, columns = np.nonzero(fit_frames(frames, how)[0, :, :, 0] > 200)
    assert (columns.mean(), rows.mean()) == pytest.approx((x, y), abs=0.2)


def all_maps():
    maps = {name: getattr(codec_cases, f"{name}_map")() for name in ("depth", "flow", "densepose", "skeleton")}
    maps["densepose"] = Map(data=maps["densepose"].data)
    maps["segmentation"] = Map(data=codec_cases.label_frames())
    maps["whole body"] = codec_cases.skeleton_map(keypoints=133)
    maps["whole body"].data[...] = np.random.default_rng(0).uniform(1, 200, maps["whole body"].data.shape)
    return maps


@pytest.mark.parametrize("name", ["depth", "flow", "densepose", "skeleton", "segmentation", "whole body"])
def test_a_map_flipped_twice_is_the_map_and_flipped_once_is_not(name):
    map = all_maps()[name]
    kind = "skeleton" if name == "whole body" else name
    width = 320 if kind == "skeleton" else map.data.shape[2]
    once = flip_map(kind, map, width)
    twice = flip_map(kind, once, width)
    modality(kind).check(once)
    assert not np.array_equal(once.data, map.data)
    np.testing.assert_allclose(twice.data, map.data, atol=1e-4)  # width - (width - x) in float32
    if map.valid is not None:
        assert np.array_equal(twice.valid, map.valid)
    for key, array in map.arrays.items():
        np.testing.assert_allclose(twice.arrays[key], array, atol=1e-4)


def test_a_mirrored_flow_points_the_other_way():
    data, valid = flow([[1, 2, 3]])
    assert flip_map("flow", Map(data=data, valid=valid), 3).data[0, 0, :, 0].tolist() == [-3, -2, -1]


def test_the_flow_of_a_mirrored_clip_is_the_mirrored_flow():
    """Following the mirrored flow from a mirrored pixel leads to the mirror of where the flow led."""
    map = codec_cases.flow_map()
    width = map.data.shape[2]
    mirrored = flip_map("flow", map, width)
    x, y = 20, 30
    to = x + map.data[0, y, x, 0]
    assert width - 1 - x + mirrored.data[0, y, width - 1 - x, 0] == width - 1 - to


def test_left_becomes_right_in_joints_and_parts():
    joints = np.zeros((1, 1, 17, 3), dtype=np.float32)
    joints[0, 0, 9] = (10, 5, 1)  # left wrist
    boxes = np.array([[[2, 0, 12, 9]]], dtype=np.float32)
    flipped = flip_map("skeleton", Map(data=joints, arrays={"boxes": boxes}, facts={"height": 9, "width": 40}), 40)
    assert flipped.data[0, 0, 10].tolist() == [29, 5, 1] and flipped.data[0, 0, 9, 2] == 0
    assert flipped.arrays["boxes"].tolist() == [[[27, 0, 37, 9]]]
    parts = np.array([[[1, 2, 3, 5, 7, 23, 0]]], dtype=np.uint8)
    # Trunk stays; right hand, left foot, right thigh (back), right half of the head become the other side's.
    assert flip_map("densepose", Map(data=parts), 7).data.tolist() == [[[0, 24, 8, 6, 4, 2, 1]]]


def test_face_feet_and_hands_of_the_whole_body_change_sides():
    joints = np.zeros((1, 1, 133, 3), dtype=np.float32)
    joints[0, 0, :, 2] = np.arange(133)
    found = flip_map("skeleton", Map(data=joints, facts={"height": 9, "width": 9}), 9).data[0, 0, :, 2].astype(int)
    pairs = {17: 20, 19: 22, 23: 39, 31: 31, 40: 49, 50: 50, 54: 58, 59: 68, 64: 69, 71: 77, 74: 74, 83: 87, 90: 88}
    assert {one: found[one] for one in pairs} == pairs
    assert found[91:112].tolist() == list(range(112, 133))
    assert sorted(found) == list(range(133)) and (found[found] == np.arange(133)).all()


def test_u_and_v_are_not_mirrored():
    with pytest.raises(ValueError, match="U and V of DensePose cannot be mirrored"):
        flip_map("densepose", codec_cases.densepose_map(), 192)


@pytest.mark.parametrize("caption", ["A man on the left.", "Turns RIGHT", "leftmost car", "his right-hand side"])
def test_a_caption_of_sides_is_recognised(caption):
    assert speaks_of_sides(caption)


def test_other_captions_are_not():
    assert not speaks_of_sides("A bright copyright sign.")


def test_picked_flow_has_an_invalid_last_frame_and_passes_its_check():
    map = codec_cases.flow_map(frames=9)
    for picks in ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8]):
        picked = pick_map("flow", map, np.array(picks))
        modality("flow").check(picked)
        assert len(picked.data) == 5 and picked.valid[:-1].any() and not picked.valid[-1].any()
    assert map.valid[4].any()  # the map itself is not changed


def test_picked_joints_have_the_frames_boxes():
    map = codec_cases.skeleton_map()
    picked = pick_map("skeleton", map, np.array([1, 3]))
    assert np.array_equal(picked.data, map.data[[1, 3]])
    assert np.array_equal(picked.arrays["boxes"], map.arrays["boxes"][[1, 3]])
    assert np.array_equal(flip_frames(flip_frames(map.data)), map.data)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,)])
@pytest.mark.parametrize(
    "cut",
    [np.s_[:], np.s_[2:, 1:, 3:], np.s_[::2, :-1], np.s_[1::3, 2:5, 1:6], np.s_[:, ::-1], np.s_[[0, 0, 0, 0, 0, 0, 0]]],
)
def test_settling_a_view_gives_what_copying_it_gives(flip, dtype, channels, cut):
    values = np.random.default_rng(0).integers(0, 200, (6, 7, 9, *channels))
    whole = (values > 100) if dtype is bool else values.astype(dtype)
    expected = np.ascontiguousarray(whole[cut][:, :, ::-1] if flip else whole[cut])
    settled = settle_(whole[cut], flip=flip)
    assert settled.flags.c_contiguous and settled.dtype == dtype and np.array_equal(settled, expected)


def test_settling_a_crop_takes_no_new_memory_and_mirroring_frames_leaves_them_alone():
    whole = np.random.default_rng(0).integers(0, 200, (6, 7, 9, 3), dtype=np.uint8)
    before = whole.copy()
    flip_frames(whole)
    assert np.array_equal(whole, before)
    assert np.shares_memory(settle_(whole[:, 1:, 2:], flip=True), whole)

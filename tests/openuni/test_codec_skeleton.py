"""Skeleton codec: exact joints, OpenPose drawing, and joints read back from the drawing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openuni.codec.skeleton import SKELETON
from openuni.codec.skeleton_drawing import JOINT_COLOURS, LIMBS, OPENPOSE_FROM_COCO, stick_width, to_openpose
from openuni.modality import Map, modality
from openuni.video import decode_rgb, encode_rgb_lossless, encode_rgb_mp4
from tests.openuni.codec_cases import skeleton_map


def assert_same(first, second):
    np.testing.assert_array_equal(first.data, second.data)
    assert first.arrays.keys() == second.arrays.keys()
    for name in first.arrays:
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])
        assert first.arrays[name].dtype == second.arrays[name].dtype
    assert dict(first.facts) == dict(second.facts)


@given(st.integers(1, 3), st.integers(0, 3), st.sampled_from([17, 133]), st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_any_skeletons_come_back_exactly(frames, people, keypoints, extras, data):
    values = st.floats(-1e4, 1e4, width=32)
    joints = data.draw(hnp.arrays(np.float32, (frames, people, keypoints, 3), elements=values, fill=values))
    joints[..., 2] = np.abs(joints[..., 2])
    joints[..., :2][joints[..., 2] == 0] = np.nan  # unseen joints may have any coordinates
    arrays = {"boxes": np.zeros((frames, people, 4), np.float32), "track_ids": np.arange(people, dtype=np.int64)}
    map = Map(data=joints, arrays=arrays if extras else {}, facts={"height": 31, "width": 45, "expert": "x"})
    assert_same(SKELETON.decode(*SKELETON.encode(map)), map)
    assert_same(SKELETON.stored(map), map)


def test_nobody_is_a_black_video_and_an_empty_map():
    map = Map(data=np.zeros((1, 0, 17, 3), np.float32), facts={"height": 31, "width": 45})
    frames, scale = SKELETON.render(map)
    assert frames.shape == (1, 31, 45, 3)
    assert (frames == 0).all()
    assert SKELETON.parse(frames, scale).data.shape == (1, 0, 17, 3)
    assert_same(SKELETON.decode(*SKELETON.encode(map)), map)


def test_openpose_has_cocos_joints_and_a_neck_between_the_shoulders():
    people = np.zeros((1, 17, 3), np.float32)
    people[0, :, 0] = np.arange(17)
    people[0, :, 2] = 0.9
    people[0, 5, 2] = 0.2
    joints = to_openpose(people)[0]
    # mmpose's published order: OpenPose 1.. <- COCO with the neck put in as 17.
    from_coco = [6, 8, 10, 7, 9, 12, 14, 16, 13, 15, 2, 1, 4, 3]
    for openpose, coco in zip([2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17], from_coco, strict=True):
        assert joints[openpose, 0] == coco
    assert joints[1].tolist() == pytest.approx([5.5, 0, 0.2])
    assert sorted(OPENPOSE_FROM_COCO) == list(range(-1, 17))


def test_joints_have_full_colours_and_limbs_dimmed_ones():
    map = skeleton_map(frames=1, height=480, width=640, people=1, body_px=360)
    frame = SKELETON.render(map).frames[0]
    joints = to_openpose(map.data[0])[0]
    for joint in (2, 3, 4, 8, 9, 10):
        column, row = np.rint(joints[joint, :2]).astype(int)
        assert frame[row, column].tolist() == list(JOINT_COLOURS[joint])
    for limb in (2, 3, 7, 8):
        first, last = LIMBS[limb]
        column, row = np.rint((joints[first, :2] + joints[last, :2]) / 2).astype(int)
        assert frame[row, column].tolist() == [channel * 6 // 10 for channel in JOINT_COLOURS[limb]]


def test_low_confidence_hides_a_joint_and_its_limbs():
    map = skeleton_map(frames=1, people=1)
    map.data[..., 2] = 0.3  # DWPose draws above 0.3 only
    assert (SKELETON.render(map).frames == 0).all()


def test_stick_width_follows_the_short_side():
    assert [stick_width(size, 9999) for size in (48, 256, 480, 512, 1024)] == [1, 2, 4, 4, 8]
    frames, scale = SKELETON.render(skeleton_map(), scale={"stick_px": 6})
    assert scale == {"stick_px": 6}
    assert (frames.any(axis=-1).sum()) > SKELETON.render(skeleton_map()).frames.any(axis=-1).sum()


def test_hands_are_openunis_and_the_face_is_vaces():
    map = skeleton_map(keypoints=133)
    body = SKELETON.render(skeleton_map()).frames
    map.data[:, :, 23:91] = (20, 200, 1)  # a face far from the bodies
    map.data[:, :, 91:133] = (160, 225, 1)  # hands, too
    ours, vace = (SKELETON.render(map, profile=profile).frames for profile in SKELETON.profiles)
    assert ours[0, 225, 160].tolist() == [0, 0, 255]
    assert ours[0, 200, 20].tolist() == [0, 0, 0]
    assert vace[0, 200, 20].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(vace[:, 225, 160], body[:, 225, 160])


def test_joints_outside_the_frame_are_cut_off():
    map = skeleton_map(frames=1)
    map.data[..., :2] *= 1e7
    assert SKELETON.render(map).frames.shape == (1, 240, 320, 3)


def read_back(map, frames, scale):
    """Distances of all found joints, and the part of joints found."""
    parsed = SKELETON.parse(frames, scale)
    SKELETON.check(parsed)
    assert parsed.data.shape[1] == map.data.shape[1]
    distance = np.hypot(*np.moveaxis(parsed.data[:, :, None, :, :2] - map.data[:, None, :, :17, :2], -1, 0))
    found = parsed.data[..., 2] > 0
    errors = []
    for frame in range(len(map.data)):
        for person in range(map.data.shape[1]):
            mine = distance[frame, :, person]
            best = np.argmin([mine[one][found[frame, one]].mean() for one in range(len(mine))])
            errors += mine[best][found[frame, best]].tolist()
    return np.array(errors), found.mean()


def test_joints_come_back_within_a_pixel_and_people_apart():
    map = skeleton_map(height=480, width=640, body_px=300)
    frames, scale = SKELETON.render(map)
    errors, found = read_back(map, decode_rgb(encode_rgb_lossless(frames)).frames, scale)
    assert found == 1.0
    assert errors.max() < 0.5  # measured 0.14: discs are drawn in 1/16 px


def test_joints_survive_h264_within_two_pixels():
    map = skeleton_map(frames=3, height=480, width=640, body_px=300)
    frames, scale = SKELETON.render(map)
    errors, found = read_back(map, decode_rgb(encode_rgb_mp4(frames, fps=16)).frames, scale)
    assert found > 0.95
    assert errors.mean() < 1.0  # measured 0.4: half-resolution chroma moves the edge of a disc
    assert errors.max() < 2.5


def test_tracks_keep_their_place_when_a_person_leaves():
    map = skeleton_map(frames=4, height=480, width=640, body_px=300)
    map.data[2:, 0, :, 2] = 0
    frames, scale = SKELETON.render(map)
    parsed = SKELETON.parse(frames, scale)
    assert parsed.data.shape[1] == 2
    seen = parsed.data[..., 2].any(axis=-1)
    assert sorted(seen.sum(axis=0).tolist()) == [2, 4]


def test_noise_gives_no_crash():
    frames = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    SKELETON.check(SKELETON.parse(frames, {"stick_px": 1}))


def test_bytes_depend_on_the_arrays_only(monkeypatch):
    import time

    first = SKELETON.encode(skeleton_map())
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2_000_000_000))
    assert SKELETON.encode(skeleton_map()) == first
    assert tuple(first.members) == SKELETON.members
    assert modality("skeleton") is SKELETON


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((1, 1, 18, 3), np.float32)}, r"17 \(COCO\) or 133 .*got 18"),
        ({"data": np.full((1, 1, 17, 3), np.nan, np.float32)}, "confidence must be >= 0 and not NaN"),
        ({"data": np.full((1, 1, 17, 3), np.inf, np.float32)}, "must be finite"),
        ({"facts": {"height": 4}}, r"facts\['width'\] must be the frame's width in px, got None"),
        ({"facts": {"height": 4, "width": 4, "joints": [0, 17]}}, "different joints from 0 to 16, got .0, 17."),
        ({"facts": {"height": 4, "width": 4, "joints": []}}, "must list different joints"),
        ({"facts": {"height": 4, "width": 4, "joints": [5, 5]}}, "must list different joints"),
        ({"arrays": {"boxes": np.zeros((1, 2, 4), np.float32)}}, "arrays.'boxes'. of skeleton"),
        ({"arrays": {"track_ids": np.zeros(1, np.int32)}}, "int64, got .* int32"),
        ({"arrays": {"scores": np.zeros(1)}}, "cannot store the arrays scores; it knows: boxes, track_ids"),
    ],
)
def test_wrong_maps_are_refused(change, message):
    good = {"data": np.ones((1, 1, 17, 3), np.float32), "facts": {"height": 4, "width": 4}}
    with pytest.raises(ValueError, match=message):
        SKELETON.encode(Map(**(good | change)))

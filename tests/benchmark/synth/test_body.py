"""The body: one closed surface, parts where they belong, limbs that stay attached; people who move like people."""

import numpy as np
import pytest

from openuni.benchmark.synth.body import BONE_NAMES, COCO_JOINTS, REST_HEIGHT, body_of
from openuni.benchmark.synth.motion import ACTIONS, BONE, make_motion
from openuni.benchmark.synth.rotation import about, cross, dot, matrix_of, quaternion_of, snap_metres, snap_quaternion

FPS, FRAMES = 16.0, 48


@pytest.fixture(scope="module")
def body():
    return body_of(1.75, 1.0)


def centres(body):
    face = np.arange(len(body.faces))
    return face, np.full((len(face), 3), 1 / 3)


def motion(action, seed, height=1.75):
    rng = np.random.default_rng(seed)
    return make_motion(rng, action, num_frames=FRAMES, fps=FPS, height=height, start=np.array([0.3, -0.2]), heading=0.7)


def test_the_surface_is_closed_and_one_piece(body):
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    _, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert (counts == 2).all()
    label = np.arange(len(body.vertices))
    for _ in range(400):  # each vertex takes the smallest label among its neighbours until nothing changes
        before = label.copy()
        np.minimum.at(label, edges[:, 0], label[edges[:, 1]])
        np.minimum.at(label, edges[:, 1], label[edges[:, 0]])
        if np.array_equal(before, label):
            break
    assert (label == 0).all()


def test_faces_look_outwards_and_the_volume_is_a_persons(body):
    a, b, c = (body.vertices[body.faces[:, corner]] for corner in range(3))
    volume = dot(a, cross(b, c)).sum() / 6
    assert 0.05 < volume < 0.11  # m3; people of 1.75 m have 0.06 to 0.09


def test_it_stands_on_the_ground_and_has_its_height():
    for height in (1.58, 1.9):
        vertices = body_of(height, 1.1).vertices
        assert vertices[:, 2].min() == 0
        assert vertices[:, 2].max() == pytest.approx(height, abs=0.02)


def test_every_part_is_there_and_left_mirrors_right(body):
    face, weights = centres(body)
    part, uv = body.chart(face, weights)
    assert set(part.tolist()) == set(range(1, 25))
    assert uv.min() >= 0 and uv.max() <= 1
    y = body.rest_points(face, weights)[:, 1]
    for right, left in (
        (3, 4),
        (6, 5),
        (7, 8),
        (9, 10),
        (11, 12),
        (13, 14),
        (16, 15),
        (18, 17),
        (20, 19),
        (22, 21),
        (23, 24),
    ):
        assert (y[part == right] < 0.003).all() and (y[part == left] > -0.003).all()
        assert (part == right).sum() == pytest.approx((part == left).sum(), rel=0.05)


def test_front_parts_are_in_front(body):
    face, weights = centres(body)
    part, _ = body.chart(face, weights)
    x = body.rest_points(face, weights)[:, 0]
    for back, front in ((1, 2), (7, 9), (8, 10), (11, 13), (12, 14)):
        assert x[part == front].mean() > x[part == back].mean() + 0.03


def test_u_and_v_are_even_within_a_part(body):
    """Neighbouring points of one part have neighbouring coordinates; only hands and feet have a seam inside."""
    face, weights = centres(body)
    whole, uv = body.chart(face, weights)
    shifted = np.tile([0.5, 0.3, 0.2], (len(face), 1))
    part, near = body.chart(face, shifted)
    same = (part == whole) & ~np.isin(whole, [3, 4, 5, 6])
    assert np.abs(near - uv)[same].max() < 0.35  # at the crown and the crotch U turns fast
    assert np.percentile(np.abs(near - uv)[same], 99) < 0.06


def test_weights_sum_to_one_and_the_rest_pose_is_itself(body):
    np.testing.assert_allclose(body.weights.sum(axis=1), 1, rtol=1e-12)
    still = np.tile([1.0, 0, 0, 0], (len(BONE_NAMES), 1))
    rotations, joints = body.pose(body.rest_joints[0], still)
    np.testing.assert_allclose(joints, body.rest_joints, atol=1e-12)
    np.testing.assert_allclose(body.skin(rotations, joints), body.vertices, atol=1e-12)


def test_turning_the_pelvis_turns_everything_rigidly(body):
    turned = np.tile([1.0, 0, 0, 0], (len(BONE_NAMES), 1))
    turned[0] = quaternion_of(about("z", 0.9))
    vertices = body.skin(*body.pose(np.array([1.0, 2.0, 3.0]), turned))
    expected = (body.vertices - body.rest_joints[0]) @ about("z", 0.9).T + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(vertices, expected, atol=1e-12)


def test_keypoints_are_coco_s_seventeen_in_order(body):
    names = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"]
    names += ["right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"]
    assert list(COCO_JOINTS) == [*names, "left_ankle", "right_ankle"]


def test_rotations_go_to_quaternions_and_back():
    rng = np.random.default_rng(0)
    matrices = matrix_of(rng.normal(size=(500, 4)))
    np.testing.assert_allclose(matrix_of(quaternion_of(matrices)), matrices, atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-12)
    half_turns = np.stack([about(axis, np.pi) for axis in "xyz"])
    np.testing.assert_allclose(matrix_of(quaternion_of(half_turns)), half_turns, atol=1e-14)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_feet_that_stand_do_not_slide_and_soles_stay_on_the_ground(body, action, seed):
    made = motion(action, seed)
    sole = [
        (body.nearness.argmin(axis=1) == BONE[f"{side}_foot"]) & (body.vertices[:, 2] < 0.01)
        for side in ("left", "right")
    ]
    before = None
    for frame in range(0, FRAMES):
        pose = body.pose(snap_metres(made.positions[frame]), snap_quaternion(made.rotations[frame]))
        vertices = body.skin(*pose)
        # Between its round ends a foot bulges by some mm, which shows while it rolls; in a step both can be lifted.
        assert -0.004 < vertices[:, 2].min() < 0.012
        now = [vertices[mask] for mask in sole]
        for number in range(2):
            if before is not None and made.planted[frame, number] and made.planted[frame - 1, number]:
                assert (
                    np.abs(now[number] - before[number]).max() < 0.003
                )  # metres a frame; grids are 0.06 mm and 6e-5 rad
        before = now
    assert made.planted.any(axis=0).all()


@pytest.mark.parametrize("action", ACTIONS)
def test_limbs_keep_their_length_and_move_smoothly(body, action):
    made = motion(action, 3)
    poses = [body.pose(made.positions[frame], made.rotations[frame]) for frame in range(FRAMES)]
    keypoints = np.stack([body.joints(*pose) for pose in poses])
    names = list(COCO_JOINTS)
    for a, b in (("left_shoulder", "left_elbow"), ("left_hip", "left_knee"), ("right_knee", "right_ankle")):
        reach = np.linalg.norm(keypoints[:, names.index(a)] - keypoints[:, names.index(b)], axis=1)
        np.testing.assert_allclose(reach, reach[0], rtol=1e-9)
    speed = np.linalg.norm(np.diff(keypoints, axis=0), axis=-1) * FPS
    assert speed.max() < 5.0  # m/s: a waving hand reaches 2 to 4
    jerk = np.linalg.norm(np.diff(keypoints, n=2, axis=0), axis=-1) * FPS**2
    assert jerk.max() < 60  # m/s2: swinging feet reach 20 to 40


@pytest.mark.parametrize("action", ACTIONS)
def test_knees_and_elbows_bend_the_right_way(body, action):
    made = motion(action, 5)
    forward = np.array([np.cos(0.7), np.sin(0.7), 0.0])
    for frame in range(0, FRAMES, 6):
        keypoints = body.joints(*body.pose(made.positions[frame], made.rotations[frame]))
        at = dict(zip(COCO_JOINTS, keypoints, strict=True))
        for side in ("left", "right"):
            knee = at[f"{side}_knee"] - (at[f"{side}_hip"] + at[f"{side}_ankle"]) / 2
            assert knee @ forward > -0.02  # metres; knees point ahead


def test_who_walks_gets_ahead_at_the_stated_speed():
    made = motion("walk", 0)
    way = np.linalg.norm(made.positions[-1, :2] - made.positions[0, :2])
    seconds = (FRAMES - 1) / FPS
    assert way / seconds == pytest.approx(made.facts["speed_m_s"], rel=0.05)
    assert 0.7 < made.facts["speed_m_s"] < 1.3
    assert REST_HEIGHT == 1.75

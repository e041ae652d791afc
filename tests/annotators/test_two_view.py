"""Geometry of two views on exact flow: closed forms against the truth that the scene was made from."""

import numpy as np
import pytest

from openuni.annotators.two_view import (
    Pose,
    calibrate,
    homography_residual,
    refine,
    relative_pose,
    sample_points,
    triangulate,
)
from openuni.benchmark.synth.boxes import Scene, scene

SHAPE = (120, 160)


@pytest.fixture(scope="module")
def walk() -> Scene:
    return scene(3, num_frames=2, height=120, width=160, camera="walk", num_movers=0)


def true_pose(clip: Scene) -> tuple[Pose, float]:
    """Pose of frame 0 -> 1 and its baseline in metres."""
    rotation = clip.rotation[1] @ clip.rotation[0].T
    translation = clip.rotation[1] @ (clip.position[0] - clip.position[1])
    baseline = float(np.linalg.norm(translation))
    return Pose(rotation, translation / baseline, 1.0), baseline


def points_of(flow: np.ndarray, count: int = 1000) -> np.ndarray:
    points = sample_points(flow, np.ones(flow.shape[:2], bool), count, np.random.default_rng(0))
    assert points is not None
    return points


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def test_inverse_depth_from_exact_flow_is_baseline_over_depth(walk: Scene) -> None:
    pose, baseline = true_pose(walk)
    seen = triangulate(walk.flow[0], pose, float(walk.focal_px[0]))
    clear = seen.leverage_px * (baseline / 6.0) > 0.2
    assert clear.mean() > 0.8
    relative = np.abs(seen.inverse_depth * walk.depth[0] / baseline - 1)
    assert np.median(relative[clear]) < 1e-3  # float32 rays: 1e-6 of 0.5 px of motion
    assert seen.epipolar_px.max() < 1e-3


def test_one_more_pixel_of_motion_changes_inverse_depth_by_one_over_leverage(walk: Scene) -> None:
    pose, _ = true_pose(walk)
    focal = float(walk.focal_px[0])
    before = triangulate(walk.flow[0], pose, focal)
    moved = triangulate(walk.flow[0] + np.float32([0.01, 0]), pose, focal)
    bound = 0.01 / before.leverage_px
    row, column = 60, 80
    change = abs(moved.inverse_depth[row, column] - before.inverse_depth[row, column])
    assert change <= 1.1 * bound[row, column]


def test_both_frames_of_a_pair_share_the_unit() -> None:
    # By hand: the camera steps 0.1 m to the right; a point 2 m ahead is at inverse depth 0.05 baselines in both.
    pose = Pose(np.eye(3), np.array([-1.0, 0, 0]), 1.0)
    focal, depth, step = 100.0, 2.0, 0.1
    there = np.full((*SHAPE, 2), [-focal * step / depth, 0], np.float32)
    for flow, motion in ((there, pose), (-there, pose.inverse())):
        seen = triangulate(flow, motion, focal)
        np.testing.assert_allclose(seen.inverse_depth, step / depth, rtol=1e-4)
        np.testing.assert_allclose(seen.leverage_px, focal, rtol=1e-6)


def test_the_pose_is_found_from_points(walk: Scene) -> None:
    true, _ = true_pose(walk)
    found = relative_pose(points_of(walk.flow[0]), float(walk.focal_px[0]), SHAPE, threshold_px=0.7, seed=0)
    assert found is not None
    assert angle(found[0].translation, true.translation) < 2
    assert found[0].inliers == 1.0 and found[1].all()


def test_refinement_improves_a_pose_that_is_off(walk: Scene) -> None:
    true, _ = true_pose(walk)
    tilted = true.translation + np.array([0.1, -0.1, 0.1])
    start = Pose(true.rotation, tilted / np.linalg.norm(tilted), 1.0)
    points, focal = points_of(walk.flow[0]), float(walk.focal_px[0])
    refined, cost = refine(start, points, focal, SHAPE, scale_px=0.7)
    assert angle(refined.translation, true.translation) < 0.2 < angle(start.translation, true.translation)
    assert cost < 1e-6


def test_the_calibration_curve_has_its_least_point_at_the_true_focal_length() -> None:
    clip = scene(3, num_frames=2, height=120, width=160, camera="walk", num_movers=0)
    true = float(clip.focal_px[0])
    # A wide pair, from exact depth and a pose that turns about two axes.
    turn = np.array([[0.98, 0.05, 0.19], [-0.04, 0.998, -0.05], [-0.19, 0.04, 0.98]])
    rotation = np.linalg.svd(turn)[0] @ np.linalg.svd(turn)[2]
    y, x = np.mgrid[:120:6, :160:6].reshape(2, -1).astype(np.float64)
    rays = np.stack([(x - 79.5) / true, (y - 59.5) / true, np.ones_like(x)], 1)
    after = (rays * clip.depth[0][y.astype(int), x.astype(int)][:, None]) @ rotation.T + [-0.8, 0.3, 0.2]
    points = np.stack([x, y, true * after[:, 0] / after[:, 2] + 79.5, true * after[:, 1] / after[:, 2] + 59.5], 1)
    focals = true * np.array([0.7, 0.85, 1.0, 1.15, 1.3])
    cost = calibrate([points], SHAPE, focals_px=focals, threshold_px=1.0, seed=0)
    assert cost.shape == (1, 5) and cost[0].argmin() == 2


def test_a_turning_camera_leaves_no_homography_residual_and_a_travelling_one_does(walk: Scene) -> None:
    pan = scene(3, num_frames=2, height=120, width=160, camera="pan", num_movers=0)
    assert np.median(homography_residual(points_of(pan.flow[0]), threshold_px=0.7, seed=0)) < 0.01
    wide = points_of(10 * walk.flow[0])
    assert np.median(homography_residual(wide, threshold_px=0.7, seed=0)) > 0.1


def test_too_few_usable_pixels_give_no_points() -> None:
    usable = np.zeros(SHAPE, bool)
    usable[0, :99] = True
    assert sample_points(np.zeros((*SHAPE, 2), np.float32), usable, 500, np.random.default_rng(0)) is None

"""Generated scenes: truth by hand, by an independent reprojection, and by warping the pictures themselves."""

import numpy as np
import pytest

from openuni.benchmark.synth.boxes import BACK_Z, CAMERAS, Scene, scene

SIZE = {"height": 96, "width": 129}


def grid(height: int, width: int) -> np.ndarray:
    """(H, W, 2) pixel coordinates."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)


def reproject(clip: Scene, frame: int) -> np.ndarray:
    """Flow of a scene at rest from depth and poses alone, pixel by pixel: an independent way to the same truth."""
    height, width = clip.depth.shape[1:]
    middle = np.array([width - 1, height - 1]) / 2
    rays = np.concatenate([(grid(height, width) - middle) / clip.focal_px[frame], np.ones((height, width, 1))], -1)
    local = rays * clip.depth[frame][..., None].astype(np.float64)
    world = np.einsum("ji,hwj->hwi", clip.rotation[frame], local) + clip.position[frame]
    after = np.einsum("ij,hwj->hwi", clip.rotation[frame + 1], world - clip.position[frame + 1])
    return clip.focal_px[frame + 1] * after[..., :2] / after[..., 2:] + middle - grid(height, width)


@pytest.fixture(scope="module")
def walk() -> Scene:
    return scene(5, num_frames=3, height=128, width=160, camera="walk")


def test_shapes_and_dtypes_are_the_documented_ones(walk: Scene) -> None:
    assert walk.rgb.shape == (3, 128, 160, 3) and walk.rgb.dtype == np.uint8
    assert walk.depth.shape == (3, 128, 160) and walk.depth.dtype == np.float32
    assert walk.flow.shape == (3, 128, 160, 2) and walk.flow.dtype == np.float32
    assert walk.ids.dtype == np.uint16 and walk.occluded.dtype == bool and walk.flow_valid.dtype == bool
    assert walk.flow_valid[:-1].all() and not walk.flow_valid[-1].any() and not walk.flow[-1].any()
    assert walk.occluded[-1].all()


def test_a_wall_ahead_moves_by_focal_times_step_over_depth() -> None:
    clip = scene(0, num_frames=2, height=65, width=65, camera="dolly", num_movers=0, num_boxes=0)
    step = clip.position[1] - clip.position[0]
    assert clip.depth[0, 32, 32] == np.float32(BACK_Z)
    expected = -clip.focal_px[0] * step[:2] / (BACK_Z - step[2])
    np.testing.assert_allclose(clip.flow[0, 32, 32], expected, atol=1e-5)  # float32 of about 0.3 px


@pytest.mark.parametrize("camera", CAMERAS)
def test_flow_of_a_scene_at_rest_follows_from_depth_and_poses(camera: str) -> None:
    clip = scene(2, num_frames=2, **SIZE, camera=camera, num_movers=0)
    np.testing.assert_allclose(clip.flow[0], reproject(clip, 0), atol=2e-4)  # depth is float32: 6e-8 of 100 px


def test_a_zoom_scales_the_picture_about_its_middle() -> None:
    clip = scene(1, num_frames=2, **SIZE, camera="zoom", num_movers=0)
    from_middle = grid(96, 129) - [64, 47.5]
    np.testing.assert_allclose(clip.flow[0], from_middle * (clip.focal_px[1] / clip.focal_px[0] - 1), atol=1e-4)


def test_with_a_camera_at_rest_only_movers_move() -> None:
    clip = scene(1, num_frames=2, **SIZE, camera="static", num_movers=2)
    moves = np.linalg.norm(clip.flow[0], axis=-1) > 1e-6
    assert clip.mover_ids == (7, 8)
    assert not moves[clip.static[0]].any()
    assert moves[~clip.static[0]].mean() > 0.95  # a turning body has a few points that stay in place


def test_the_next_frame_looked_up_along_the_flow_is_this_frame(walk: Scene) -> None:
    import cv2

    x, y = np.moveaxis((grid(128, 160) + walk.flow[0]).astype(np.float32), -1, 0)
    warped = cv2.remap(walk.rgb[1], x, y, cv2.INTER_LINEAR).astype(float)
    seen = ~walk.occluded[0]
    error = np.abs(warped - walk.rgb[0]).mean(-1)[seen].mean()
    unmoved = np.abs(walk.rgb[1].astype(float) - walk.rgb[0]).mean(-1)[seen].mean()
    assert error < 6 and error < unmoved / 2  # what is left is bilinear blur of a fine texture


def test_visible_points_land_on_their_own_surface_and_hidden_ones_behind_another(walk: Scene) -> None:
    landed = np.rint(grid(128, 160) + walk.flow[0]).astype(int)
    inside = (landed >= 0).all(-1) & (landed < [160, 128]).all(-1)
    column, row = landed[inside].T
    same = walk.ids[1][row, column] == walk.ids[0][inside]
    hidden = walk.occluded[0][inside]
    assert same[~hidden].mean() > 0.98  # rounding to a pixel puts some silhouette points beside their object
    assert (walk.depth[1][row, column] <= walk.depth[0][inside] + 0.1)[hidden].mean() > 0.9
    assert walk.occluded[0][~inside].all()
    assert 0 < hidden.mean() < 0.2


def test_the_seed_decides_everything() -> None:
    first, again, other = (scene(seed, num_frames=2, height=48, width=64) for seed in (3, 3, 4))
    for name in ("rgb", "depth", "flow", "ids", "occluded"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.rgb != other.rgb).any() and (first.depth != other.depth).any()


def test_unknown_cameras_and_empty_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="camera must be one of dolly, orbit, walk, pan, static, zoom, got 'crane'"):
        scene(0, num_frames=2, height=32, width=32, camera="crane")
    with pytest.raises(ValueError, match="num_frames, height and width must be >= 1, got 0, 32, 32"):
        scene(0, num_frames=0, height=32, width=32)

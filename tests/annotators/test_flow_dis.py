"""DIS flow: known shifts, exact scene truth, and what happens at the edges."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from openuni.annotators.dis import compose, invert, lands_inside, resize_flow, round_trip_error, shrink, work_size
from openuni.annotators.flow_dis import DisFlow
from openuni.benchmark.synth.boxes import Scene, scene
from openuni.engine.stage import Absent, Result


def run(rgb: np.ndarray, **parameters: Any) -> Result:
    stage = DisFlow(**parameters)
    stage.setup()
    return stage(SimpleNamespace(frames=SimpleNamespace(rgb=rgb, fps=16.0), maps={}))


@pytest.fixture(scope="module")
def orbit() -> Scene:
    return scene(2, num_frames=3, height=160, width=192, camera="orbit")


@pytest.fixture(scope="module")
def shifted() -> np.ndarray:
    """Two frames; the second shows the same texture 3 px to the right and 2 px up."""
    texture = scene(1, num_frames=1, height=140, width=180, num_boxes=0, num_movers=0).rgb[0]
    return np.stack([texture[10:110, 20:150], texture[12:112, 17:147]])


def test_flow_of_a_shifted_picture_is_the_shift(shifted: np.ndarray) -> None:
    made = run(shifted).map
    assert made is not None and made.valid is not None
    error = np.linalg.norm(made.data[0] - [3, -2], axis=-1)
    assert error[made.valid[0]].mean() < 0.1  # DIS is sub-pixel on a texture without occlusion
    assert made.valid[0].mean() > 0.9


def test_what_a_moving_square_covers_is_not_valid() -> None:
    size = {"num_frames": 1, "height": 120, "width": 160, "num_boxes": 0, "num_movers": 0}
    ground, patch = (scene(seed, **size).rgb[0] for seed in (1, 2))
    frames = np.stack([ground, ground])
    frames[0, 40:80, 50:90] = frames[1, 40:80, 58:98] = patch[40:80, 50:90]  # 8 px to the right
    made = run(frames).map
    assert made is not None and made.valid is not None
    valid = made.valid[0]
    assert valid[44:76, 91:97].mean() < 0.5  # the ground that the square moves onto
    assert valid[44:76, 54:86].mean() > 0.9 and valid[:30].mean() > 0.99
    np.testing.assert_allclose(made.data[0, 50:70, 60:80].mean((0, 1)), [8, 0], atol=0.2)


def test_pixels_that_leave_the_picture_are_not_valid(shifted: np.ndarray) -> None:
    made = run(shifted).map
    assert made is not None and made.valid is not None
    assert not made.valid[0, :, -2:].any()  # they move 3 px to the right
    assert not made.valid[0, :1].any()  # and 2 px up


def test_flow_of_a_rendered_scene_is_right_and_what_gets_hidden_less_often_valid(orbit: Scene) -> None:
    made = run(orbit.rgb).map
    assert made is not None and made.valid is not None
    error = np.linalg.norm(made.data - orbit.flow, axis=-1)[:-1]
    valid = made.valid[:-1]
    assert error.mean() < 0.35  # measured 0.10
    assert valid[~orbit.occluded[:-1]].mean() > 0.98
    assert valid[orbit.occluded[:-1]].mean() < 0.8  # half of them leave the picture by less than half a pixel


def test_the_last_frame_is_zeros_and_invalid_and_the_codec_takes_the_map(orbit: Scene) -> None:
    from openuni.modality import modality

    made = run(orbit.rgb).map
    assert made is not None and made.valid is not None
    assert made.data.shape == orbit.flow.shape and made.data.dtype == np.float32 and made.valid.dtype == bool
    assert not made.data[-1].any() and not made.valid[-1].any()
    modality("flow").check(made)


def test_scores_are_the_declared_columns_with_values_by_hand(shifted: np.ndarray) -> None:
    scores = run(shifted).scores
    assert set(scores) == {column.name for column in DisFlow.columns}
    assert scores["magnitude_mean_px"] == pytest.approx(np.hypot(3, 2), abs=0.1)
    assert 0 <= scores["fb_error_px"] < 0.1


def test_the_same_frames_give_the_same_bytes_with_any_thread_count(orbit: Scene) -> None:
    import cv2

    first = run(orbit.rgb).map
    cv2.setNumThreads(4)
    second = run(orbit.rgb).map
    assert first is not None and second is not None
    assert first.data.tobytes() == second.data.tobytes()


def test_one_frame_is_too_short() -> None:
    with pytest.raises(Absent, match="too_short"):
        run(np.zeros((1, 32, 32, 3), np.uint8))


def test_wrong_frames_and_presets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frames must be \(T, H, W, 3\) uint8, got \(2, 32, 32\) float64"):
        run(np.zeros((2, 32, 32)))
    with pytest.raises(ValueError, match="preset must be one of ultrafast, fast, medium, got 'slow'"):
        run(np.zeros((2, 32, 32, 3), np.uint8), preset="slow")


def smooth_flow() -> np.ndarray:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    return np.stack([3 + 0.05 * y, -2 + 0.04 * x], -1)


def test_a_flow_and_its_inverse_lead_back() -> None:
    flow = smooth_flow()
    inner = (slice(10, -10), slice(10, -10))
    assert round_trip_error(flow, invert(flow))[inner].max() < 0.01  # gradient 0.05: 0.05^4 of 4 px, and bilinear
    assert round_trip_error(invert(flow), flow)[inner].max() < 0.01


def test_flows_add_up_along_a_chain_of_shifts() -> None:
    first, second = np.full((20, 30, 2), [2, 1], np.float32), np.full((20, 30, 2), [-5, 3], np.float32)
    np.testing.assert_array_equal(compose(first, second), np.full((20, 30, 2), [-3, 4], np.float32))


def test_the_picture_reaches_half_a_pixel_beyond_its_outer_centres() -> None:
    flow = np.zeros((4, 5, 2), np.float32)
    assert lands_inside(flow).all()
    flow[..., 0] = 0.4
    assert lands_inside(flow).all()
    flow[..., 0] = 0.6
    np.testing.assert_array_equal(lands_inside(flow)[0], [True, True, True, True, False])


def test_a_flow_on_a_smaller_picture_is_shorter() -> None:
    flow = np.full((40, 60, 2), [6, 4], np.float32)
    np.testing.assert_allclose(resize_flow(flow, 20, 20), np.full((20, 20, 2), [2, 2]), rtol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (480, 832, (295, 512)),
        (832, 480, (512, 295)),
        (100, 200, (100, 200)),
        (8, 200, (16, 200)),
        (10, 1024, (16, 512)),
    ],
)
def test_the_working_size_shrinks_but_not_below_what_dis_needs(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    rgb = np.zeros((2, height, width, 3), np.uint8)
    assert work_size(rgb, 512) == expected
    assert [small.shape for small in shrink(rgb, *expected)] == [(*expected, 3)] * 2
    assert [small.shape for small in shrink(rgb[..., 0], *expected)] == [expected] * 2


def test_shrinking_to_half_takes_the_mean_of_four_pixels() -> None:
    picture = np.array([[0, 10, 40, 40], [20, 30, 40, 80]], np.uint8)
    assert shrink([picture], 1, 2)[0].tolist() == [[15, 50]]

"""Depth check: transported maps, flicker that was put in, edges, and what cannot be measured."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.modality import Map
from openuni.pipelines.checks.depth import DepthCheck
from tests.pipelines.checks_cases import grey_to_rgb, run, sliding, texture, uniform_flow

FRAMES, HEIGHT, WIDTH, DX, DY = 6, 48, 80, 3, -2
FLOW = uniform_flow(FRAMES, HEIGHT, WIDTH, DX, DY)
STILL = uniform_flow(FRAMES, HEIGHT, WIDTH, 0)
SIZE = {"frames": FRAMES, "height": HEIGHT, "width": WIDTH}
RGB = grey_to_rgb(sliding(texture(HEIGHT + 20, WIDTH + 30), **SIZE, dx=DX, dy=DY))
ALONG = ("change", "scale_flicker", "level_flicker")


def relative(data: np.ndarray, valid: np.ndarray | None = None) -> Map:
    valid = np.ones(data.shape, bool) if valid is None else valid
    return Map(data=data.astype(np.float32), valid=valid, facts={"kind": "relative_disparity"})


def moving_disparity(seed: int = 3) -> np.ndarray:
    """Disparity between 1 and 3 that moves as FLOW says."""
    big = texture(HEIGHT + 20, WIDTH + 30, seed=seed, blur=5).astype(np.float32)
    return sliding(1 + 2 * (big - 60) / 140, **SIZE, dx=DX, dy=DY)


def ramp() -> np.ndarray:
    """Disparity 1 to 2 across, the same in all frames."""
    return np.broadcast_to(np.linspace(1, 2, WIDTH, dtype=np.float32), (FRAMES, HEIGHT, WIDTH))


def flicker(values: np.ndarray) -> float:
    changes = np.diff(values)
    return float(np.abs(changes - np.median(changes)).mean())


def test_disparity_that_moves_with_the_flow_does_not_change():
    scores = run(DepthCheck(), RGB, flow=FLOW, depth=relative(moving_disparity()))
    for name in ALONG:
        assert scores[name] == pytest.approx(0, abs=1e-6), name
    assert scores["valid_fraction"] == 1.0


def test_disparity_that_stays_while_all_moves_changes():
    held = np.repeat(moving_disparity()[:1], FRAMES, axis=0)
    assert run(DepthCheck(), RGB, flow=FLOW, depth=relative(held))["change"] > 0.2


def test_change_is_in_spreads():
    # Half the points lie at 1, half at 3: median 2 of four values, spread 1. One tenth changes sides.
    here = np.repeat([1.0, 3.0], WIDTH // 2) * np.ones((HEIGHT, 1))
    there = here.copy()
    there[:, : WIDTH // 20], there[:, -WIDTH // 20 :] = 3.0, 1.0
    depth = relative(np.stack([here, there]))
    scores = run(DepthCheck(), RGB[:2], flow=uniform_flow(2, HEIGHT, WIDTH, 0), depth=depth)
    assert scores["change"] == pytest.approx(0.1 * 2)  # a tenth of the points by two spreads


@pytest.mark.parametrize("percent", [0.5, 3, 10])
def test_random_scales_come_back_as_scale_flicker(percent):
    scales = np.exp(np.random.default_rng(1).normal(0, percent / 100, FRAMES))
    scores = run(DepthCheck(), RGB, flow=FLOW, depth=relative(moving_disparity() * scales[:, None, None]))
    assert scores["scale_flicker"] == pytest.approx(flicker(np.log(scales)), rel=1e-4)  # float32
    assert scores["change"] == pytest.approx(0, abs=1e-5)  # a scale for each frame is not a change of shape


def test_random_shifts_come_back_as_level_flicker_in_spreads():
    shifts = np.random.default_rng(2).normal(0, 0.05, FRAMES)
    scores = run(DepthCheck(), RGB, flow=STILL, depth=relative(ramp() + shifts[:, None, None]))
    spread = 0.25  # mean distance of a ramp of length 1 from its middle
    assert scores["level_flicker"] == pytest.approx(flicker(shifts / spread), rel=0.03)  # 80 steps, not a line
    assert scores["scale_flicker"] == pytest.approx(0, abs=1e-5)


def test_a_steady_approach_is_no_flicker():
    growth = 1.02 ** np.arange(FRAMES)
    scores = run(DepthCheck(), RGB, flow=FLOW, depth=relative(moving_disparity() * growth[:, None, None]))
    assert scores["scale_flicker"] == pytest.approx(0, abs=1e-5)
    assert scores["level_flicker"] < 0.01  # 2 % of a median that differs a little from frame to frame


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), amount=st.floats(0.02, 1.0))
def test_noise_never_makes_a_right_map_look_better(seed, amount):
    noise = np.random.default_rng(seed).normal(0, amount, (FRAMES, HEIGHT, WIDTH))
    maps = (relative(moving_disparity() + factor * noise) for factor in (0, 1, 2))
    right, some, more = (run(DepthCheck(), RGB, flow=FLOW, depth=depth)["change"] for depth in maps)
    assert right < some < more


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_scale_and_shift_of_the_whole_clip_do_not_matter(scale, shift):
    # In steps of 1/64 with room to spare, so that float32 keeps the differences.
    noisy = np.round(64 * (moving_disparity() + np.random.default_rng(0).normal(0, 0.1, (FRAMES, HEIGHT, WIDTH)))) / 64
    before = run(DepthCheck(), RGB, flow=FLOW, depth=relative(noisy))
    after = run(DepthCheck(), RGB, flow=FLOW, depth=relative(scale * (noisy + shift)))
    for name in (*ALONG, "range_used"):
        assert after[name] == pytest.approx(before[name], rel=1e-3, abs=1e-5), name
    assert after["edge_agreement"] == pytest.approx(before["edge_agreement"], abs=0.01)  # steps of just the threshold


def test_metric_depth_is_judged_by_its_disparity():
    disparity = moving_disparity()
    metres = replace(relative(1 / disparity), facts={"kind": "metric_depth"})
    one, other = (run(DepthCheck(), RGB, flow=FLOW, depth=depth) for depth in (relative(disparity), metres))
    assert other == pytest.approx(one, abs=1e-5)  # 1 / (1 / x) in float32


def test_sky_is_far_and_its_change_does_not_count_for_more():
    disparity = moving_disparity()
    disparity[:, : HEIGHT // 2] = 0
    with np.errstate(divide="ignore"):
        sky = replace(relative(1 / disparity), facts={"kind": "metric_depth"})
    scores = run(DepthCheck(), RGB, flow=uniform_flow(FRAMES, HEIGHT, WIDTH, DX), depth=sky)
    assert scores["far_to_near"] == 0.0 and scores["valid_fraction"] == 1.0
    assert scores["change"] < 1


def test_range_scores_of_a_ramp():
    scores = run(DepthCheck(), RGB, flow=STILL, depth=relative(ramp()))
    assert scores["range_used"] == pytest.approx(0.9)
    assert scores["far_to_near"] == pytest.approx(1.05 / 1.95)
    spoilt = ramp().copy()
    spoilt[0, 0, 0] = 11
    assert run(DepthCheck(), RGB, flow=STILL, depth=relative(spoilt))["range_used"] == pytest.approx(0.09, rel=0.02)


def test_disparity_around_zero_has_no_ratio_of_far_and_near():
    assert run(DepthCheck(), RGB, flow=STILL, depth=relative(ramp() - 3))["far_to_near"] is None


def two_halves(column: int, values: tuple[float, float]) -> np.ndarray:
    """(FRAMES, HEIGHT, WIDTH) with a step before `column`."""
    across = np.where(np.arange(WIDTH) < column, *values)
    return np.broadcast_to(across, (FRAMES, HEIGHT, WIDTH))


def test_edges_of_depth_on_edges_of_the_picture_agree_and_elsewhere_do_not():
    rgb = grey_to_rgb(two_halves(40, (60, 180)).astype(np.uint8))
    on, beside, off = (
        run(DepthCheck(), rgb, flow=STILL, depth=relative(two_halves(column, (1, 3)))) for column in (40, 41, 60)
    )
    assert on["edge_agreement"] == beside["edge_agreement"] == 1.0  # up to one point beside it
    # The picture's step, blurred, is some 8 of 80 points wide: chance is a tenth, and none was hit.
    assert -0.2 < off["edge_agreement"] < -0.05


def test_edges_of_the_flow_on_steps_of_depth_agree_and_elsewhere_do_not():
    data = np.zeros((FRAMES, HEIGHT, WIDTH, 2), np.float32)
    data[..., 0] = two_halves(40, (0, 3))
    flow = Map(data=data, valid=FLOW.valid)
    on, off = (run(DepthCheck(), RGB, flow=flow, depth=relative(two_halves(column, (1, 3)))) for column in (40, 60))
    assert on["motion_agreement"] == pytest.approx(1)
    assert off["motion_agreement"] < 0
    assert run(DepthCheck(), RGB, flow=FLOW, depth=relative(ramp()))["motion_agreement"] is None  # flow has no edge


def test_a_flat_map_has_no_change_no_flicker_and_no_edges():
    scores = run(DepthCheck(), RGB, flow=FLOW, depth=relative(np.full((FRAMES, HEIGHT, WIDTH), 2.0)))
    assert scores["far_to_near"] == 1.0
    for name in (*ALONG, "range_used", "edge_agreement"):
        assert scores[name] is None, name


def test_only_points_valid_in_both_frames_count():
    data, valid = moving_disparity().copy(), np.ones((FRAMES, HEIGHT, WIDTH), bool)
    data[2, 5:20, 5:40], valid[2, 5:20, 5:40] = 50, False
    data[3, 0, 0], valid[3, 0, 0] = np.nan, False
    scores = run(DepthCheck(), RGB, flow=FLOW, depth=relative(data, valid))
    for name in ALONG:
        assert scores[name] == pytest.approx(0, abs=1e-6), name
    assert scores["valid_fraction"] == pytest.approx(1 - (15 * 35 + 1) / data.size)


def test_nothing_valid_leaves_coverage_zero_and_all_else_missing():
    nothing = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    scores = run(DepthCheck(), RGB, flow=FLOW, depth=relative(moving_disparity(), nothing))
    assert scores.pop("valid_fraction") == 0.0
    assert set(scores.values()) == {None}


def test_without_valid_flow_only_what_stands_in_each_frame_is_scored():
    lost = replace(FLOW, valid=np.zeros_like(FLOW.valid))
    scores = run(DepthCheck(), RGB, flow=lost, depth=relative(moving_disparity()))
    assert all(scores[name] is None for name in (*ALONG, "motion_agreement"))
    assert all(scores[name] is not None for name in ("valid_fraction", "range_used", "far_to_near", "edge_agreement"))


def test_two_frames_have_a_change_but_no_flicker():
    scores = run(DepthCheck(), RGB[:2], flow=uniform_flow(2, HEIGHT, WIDTH, 0), depth=relative(ramp()[:2]))
    assert scores["change"] == pytest.approx(0, abs=1e-6)
    assert scores["scale_flicker"] is None and scores["level_flicker"] is None


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (8, 1000), (33, 47), (517, 261)])
def test_maps_of_odd_shapes_are_scored(shape):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    scores = run(DepthCheck(), rgb, flow=uniform_flow(3, *shape, 0), depth=relative(rng.random((3, *shape))))
    assert scores["valid_fraction"] == 1.0
    assert (scores["change"] is None) == (shape[0] * shape[1] < 64)


def test_depth_of_other_frames_is_refused():
    with pytest.raises(ValueError, match=r"depth must have the frames' shape \(6, 48, 80\), got \(5, 48, 80\)"):
        run(DepthCheck(), RGB, flow=FLOW, depth=relative(moving_disparity()[:-1]))

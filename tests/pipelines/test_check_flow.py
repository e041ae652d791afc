"""Flow check: known shifts and errors, exposure, cuts, and what cannot be measured."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.modality import Map
from openuni.pipelines.checks.flow import FlowCheck
from tests.pipelines.checks_cases import grey_to_rgb, run, sliding, texture, uniform_flow

FRAMES, HEIGHT, WIDTH, DX, DY = 4, 64, 96, 3, -2
RATIOS = ("photometric_ratio", "gradient_ratio", "round_trip_ratio")


@cache
def shifted(seed: int = 0) -> np.ndarray:
    big = texture(HEIGHT + 30, WIDTH + 30, seed=seed)
    return grey_to_rgb(sliding(big, frames=FRAMES, height=HEIGHT, width=WIDTH, dx=DX, dy=DY))


def flow_of(dx: float, dy: float) -> Map:
    return uniform_flow(FRAMES, HEIGHT, WIDTH, dx, dy)


TRUE = flow_of(DX, DY)


def test_true_flow_of_a_shifted_texture_explains_everything():
    scores = run(FlowCheck(), shifted(), flow=TRUE)
    assert scores["photometric"] < 0.3  # of 25: 5 % of the points lie at the border, where the blur sees other pixels
    assert scores["photometric_ratio"] < 0.02
    assert scores["gradient_ratio"] < 0.06  # the same, and each frame's mean gradient: other texture enters
    assert scores["round_trip_ratio"] < 0.05  # DIS is good to hundredths of a pixel here
    assert scores["moving_fraction"] == 1.0
    assert scores["acceleration_ratio"] == 0.0
    assert scores["cut"] < 0.05


def test_zero_flow_explains_nothing_of_a_shifted_texture():
    scores = run(FlowCheck(), shifted(), flow=flow_of(0, 0))
    assert scores["photometric_ratio"] == pytest.approx(1, abs=1e-6)
    assert scores["gradient_ratio"] == pytest.approx(1, abs=1e-6)
    assert scores["round_trip_ratio"] == pytest.approx(2, abs=1e-6)  # all of what DIS sees, over half of it
    assert scores["moving_fraction"] > 0.99  # by the check's own flow
    assert scores["acceleration_ratio"] is None  # of no length


def test_a_flow_that_goes_backwards_is_worse_than_none():
    scores = run(FlowCheck(), shifted(), flow=flow_of(-DX, -DY))
    assert scores["photometric_ratio"] > 1 and scores["gradient_ratio"] > 1
    assert scores["round_trip_ratio"] > 1.9


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_farther_the_flow_is_off_the_worse_the_ratio(ratio):
    scaled = [run(FlowCheck(), shifted(), flow=flow_of(DX * f, DY * f))[ratio] for f in (1.0, 1.25, 1.5, 2.0)]
    assert scaled == sorted(scaled) and scaled[2] > 10 * scaled[0]
    shorter = [run(FlowCheck(), shifted(), flow=flow_of(DX * f, DY * f))[ratio] for f in (1.0, 0.75, 0.5, 0.0)]
    assert shorter == sorted(shorter)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), px=st.floats(0.2, 3.0))
def test_noise_never_makes_a_right_flow_look_better(seed, px):
    noise = np.random.default_rng(seed).normal(0, 1, TRUE.data.shape).astype(np.float32)
    right, some, more = (
        run(FlowCheck(), shifted(), flow=replace(TRUE, data=TRUE.data + np.float32(amount) * noise))
        for amount in (0, px, 2 * px)
    )
    for name in (*RATIOS, "photometric", "acceleration_ratio", "cut"):
        assert right[name] <= some[name] <= more[name] * 1.02, name  # 2 %: far off, one wrong place is like another


def test_differences_are_in_grey_levels():
    rgb = np.full((3, 40, 60, 3), 100, np.uint8) + np.array([0, 7, 17], np.uint8)[:, None, None, None]
    scores = run(FlowCheck(), rgb, flow=uniform_flow(3, 40, 60, 0))
    assert scores["photometric"] == pytest.approx(8.5)  # (7 + 10) / 2
    assert scores["photometric_ratio"] is None and scores["gradient_ratio"] is None  # nothing moves
    assert scores["moving_fraction"] == 0.0 and scores["cut"] < 1e-6  # rounding in the blur


@pytest.mark.parametrize("change", [lambda grey: grey + 40, lambda grey: grey * 0.6], ids=["lighter", "dimmed"])
def test_gradients_do_not_mind_a_change_of_exposure(change):
    steady = shifted()
    varied = steady.copy()
    varied[1::2] = np.rint(change(steady[1::2].astype(np.float64)))
    right, wrong = (run(FlowCheck(), varied, flow=flow) for flow in (TRUE, flow_of(1.5 * DX, 1.5 * DY)))
    assert right["photometric"] > 20  # grey values do mind
    assert right["gradient_ratio"] < 0.05 < 0.3 < wrong["gradient_ratio"]  # 0.05: rounding to 8 bits when dimmed
    assert right["cut"] < 0.3


def test_a_moving_part_counts_although_most_of_the_picture_rests():
    ground, patch = texture(HEIGHT, WIDTH, seed=1), texture(20, 20, seed=2)
    frames = np.stack([ground] * FRAMES)
    data = np.zeros((FRAMES, HEIGHT, WIDTH, 2), np.float32)
    for t in range(FRAMES):
        frames[t, 20:40, 20 + 4 * t : 40 + 4 * t] = patch
        data[t, 20:40, 20 + 4 * t : 40 + 4 * t] = 4, 0
    valid = TRUE.valid.copy()
    valid[:-1, 18:42, 18:60] = data[:-1, 18:42, 18:60, 0] != 0  # what gets covered has no flow
    right = run(FlowCheck(), grey_to_rgb(frames), flow=Map(data=data, valid=valid))
    scaled = run(FlowCheck(), grey_to_rgb(frames), flow=Map(data=data * np.float32(1.5), valid=valid))
    assert right["moving_fraction"] < 0.15
    assert right["photometric_ratio"] < 0.15 < 0.5 < scaled["photometric_ratio"]  # 0.15: the patch's blurred rim


def test_a_cut_is_seen_whatever_the_flow_says():
    other = grey_to_rgb(sliding(texture(HEIGHT, WIDTH + 30, seed=9), frames=2, height=HEIGHT, width=WIDTH, dx=DX))
    spliced = np.concatenate([shifted()[:2], other])
    for flow in (TRUE, flow_of(0, 0)):
        assert run(FlowCheck(), spliced, flow=flow)["cut"] > 0.4
    assert run(FlowCheck(), shifted(), flow=flow_of(-DX, -DY))["cut"] < 0.1  # wrong flow alone is no cut


def test_a_jump_to_black_is_a_cut_but_noise_in_the_dark_is_none():
    black = np.zeros_like(shifted())
    assert run(FlowCheck(), np.concatenate([shifted()[:2], black[:2]]), flow=flow_of(0, 0))["cut"] > 0.5
    noise = np.random.default_rng(0).normal(20, 2, shifted().shape).astype(np.uint8)  # what 3 x 3 px leave of 6 levels
    assert run(FlowCheck(), noise, flow=flow_of(0, 0))["cut"] < 0.4


def test_coverage_is_the_share_of_valid_points_of_all_frames_but_the_last():
    valid = TRUE.valid.copy()
    valid[0, : HEIGHT // 2] = False
    valid[1, :, : WIDTH // 4] = False
    scores = run(FlowCheck(), shifted(), flow=replace(TRUE, valid=valid))
    assert scores["valid_fraction"] == pytest.approx((0.5 + 0.75 + 1) / 3)
    assert scores["valid_worst"] == 0.5


def test_acceleration_is_the_change_of_flow_over_its_length():
    data = TRUE.data.copy()
    data[0], data[1], data[2] = (2, 0), (4, 0), (4, 3)
    scores = run(FlowCheck(), shifted(), flow=replace(TRUE, data=data))
    # First change 2 of length 2, then 3 of length 4, each over the points that stay on the picture for two steps.
    first, second = (WIDTH - 2 - 4) * HEIGHT, (WIDTH - 4 - 4) * (HEIGHT - 3)
    expected = (2 * first + 3 * second) / (2 * first + 4 * second)
    assert scores["acceleration_ratio"] == pytest.approx(expected, rel=0.03)  # points on the border count or not


def test_a_mean_flow_over_a_tenth_of_the_longer_side_is_implausible():
    data = TRUE.data.copy()
    data[1] = 0.11 * WIDTH, 0
    scores = run(FlowCheck(), shifted(), flow=replace(TRUE, data=data))
    assert scores["implausible_fraction"] == pytest.approx(1 / 3)
    assert run(FlowCheck(implausible_share=0.2), shifted(), flow=replace(TRUE, data=data))["implausible_fraction"] == 0


def test_what_is_invalid_hidden_or_in_the_last_frame_does_not_count():
    before = run(FlowCheck(), shifted(), flow=TRUE)
    data, valid, hidden = TRUE.data.copy(), TRUE.valid.copy(), np.zeros(TRUE.valid.shape, bool)
    data[-1], valid[-1] = 500.0, True
    data[:-1, 10:20, 10:20], hidden[:-1, 10:20, 10:20] = -20.0, True
    after = run(FlowCheck(), shifted(), flow=Map(data=data, valid=valid, arrays={"occluded": hidden}))
    assert after["photometric_ratio"] == pytest.approx(before["photometric_ratio"], abs=2e-3)
    data[:-1, 10:20, 10:20], valid[:-1, 10:20, 10:20] = 1e3, False
    scores = run(FlowCheck(), shifted(), flow=Map(data=data, valid=valid))
    assert scores["photometric_ratio"] == pytest.approx(before["photometric_ratio"], abs=2e-3)
    assert scores["valid_fraction"] == pytest.approx(1 - 100 / (HEIGHT * WIDTH))


def test_flow_without_a_valid_pixel_has_coverage_zero_and_no_ratio():
    scores = run(FlowCheck(), shifted(), flow=replace(TRUE, valid=np.zeros_like(TRUE.valid)))
    assert scores["valid_fraction"] == scores["valid_worst"] == 0.0
    assert scores["cut"] < 0.1  # of the frames, not of the flow
    rest = set(scores) - {"valid_fraction", "valid_worst", "cut"}
    assert all(scores[name] is None for name in rest)


def test_two_frames_have_no_acceleration_and_one_frame_has_no_score():
    two = run(FlowCheck(), shifted()[:2], flow=Map(data=TRUE.data[-2:], valid=TRUE.valid[-2:]))
    assert [name for name, value in two.items() if value is None] == ["acceleration_ratio"]
    one = run(FlowCheck(), shifted()[:1], flow=Map(data=TRUE.data[-1:], valid=TRUE.valid[-1:]))
    assert set(one.values()) == {None}


def test_a_picture_three_times_as_large_scores_the_same():
    size = {"frames": 3, "height": 128, "width": 256}
    rgb = grey_to_rgb(sliding(texture(160, 280), **size, dx=2, dy=1))
    flow = uniform_flow(*size.values(), 2, 1)
    large = uniform_flow(3, 384, 768, 6, 3)
    small, big = run(FlowCheck(), rgb, flow=flow), run(FlowCheck(), rgb.repeat(3, 1).repeat(3, 2), flow=large)
    # Blocks of 3 x 3 equal pixels have the small picture's values as their means; points on the border differ.
    assert big == pytest.approx(small, rel=0.02, abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (8, 1000), (33, 47), (601, 20), (517, 261)])
def test_frames_of_odd_shapes_are_scored(shape):
    rgb = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    scores = run(FlowCheck(), rgb, flow=uniform_flow(3, *shape, 0.5))
    assert scores["photometric"] is not None and scores["valid_fraction"] == 1.0
    assert (scores["round_trip_ratio"] is None) == (min(shape) < 16)  # too small for the check's own flow


def test_flow_of_other_frames_is_refused():
    with pytest.raises(ValueError, match=r"flow must have the frames' shape \(4, 64, 96\), got \(4, 64, 90\)"):
        run(FlowCheck(), shifted(), flow=uniform_flow(4, 64, 90, 1))


def test_the_same_clip_has_the_same_scores_with_any_thread_count():
    import cv2

    first = run(FlowCheck(), shifted(), flow=TRUE)
    cv2.setNumThreads(4)
    assert run(FlowCheck(), shifted(), flow=TRUE) == first

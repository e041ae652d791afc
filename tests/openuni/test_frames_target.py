"""Which frames are picked, and their size: checked by hand and against a brute-force search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.frames.target import FrameTarget, frames_in_span, output_size, pick

TEN_S_AT_30 = np.arange(300) / 30


def test_half_the_rate_takes_every_second_frame() -> None:
    taken = pick(TEN_S_AT_30, FrameTarget(fps=15, num_frames=None))
    assert taken.tolist() == list(range(0, 300, 2))


def test_no_fps_keeps_every_frame() -> None:
    assert pick(TEN_S_AT_30, FrameTarget(fps=None, num_frames=None)).tolist() == list(range(300))


def test_a_slower_source_keeps_its_own_frames() -> None:
    assert pick(np.arange(20) / 8, FrameTarget(fps=16)).tolist() == list(range(20))


def test_the_head_window_begins_with_the_first_frame() -> None:
    taken = pick(TEN_S_AT_30, FrameTarget(fps=30, num_frames=5, window="head"))
    assert taken.tolist() == [0, 1, 2, 3, 4]


def test_the_centre_window_leaves_as_much_before_as_after() -> None:
    taken = pick(np.arange(11) / 10, FrameTarget(fps=10, num_frames=5))
    assert taken.tolist() == [3, 4, 5, 6, 7]
    assert pick(np.arange(11) / 10, FrameTarget(fps=None, num_frames=5)).tolist() == [3, 4, 5, 6, 7]


def test_spread_reaches_from_the_first_to_the_last_frame() -> None:
    taken = pick(np.arange(101) / 10, FrameTarget(fps=2, num_frames=5, spread=True))
    assert taken.tolist() == [0, 25, 50, 75, 100]
    assert pick(np.arange(9) / 10, FrameTarget(fps=None, num_frames=3, spread=True)).tolist() == [0, 4, 8]


def test_spread_changes_nothing_for_a_clip_that_fits() -> None:
    clip = np.arange(30) / 10
    assert np.array_equal(
        pick(clip, FrameTarget(fps=2, num_frames=20, spread=True)), pick(clip, FrameTarget(fps=2, num_frames=20))
    )


def test_of_two_equally_near_frames_the_earlier_is_taken() -> None:
    assert pick(np.array([0.0, 0.4, 0.6, 1.0]), FrameTarget(fps=2)).tolist() == [0, 1, 3]


def test_variable_rate_takes_the_nearest_in_time() -> None:
    times = np.array([0.0, 0.01, 0.02, 0.9, 1.1, 2.05])
    assert pick(times, FrameTarget(fps=1)).tolist() == [0, 3, 5]


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.floats(0.004, 0.5), min_size=0, max_size=60),
    fps=st.floats(0.5, 40),
    num_frames=st.integers(1, 50) | st.none(),
    window=st.sampled_from(["head", "centre"]),
)
def test_picks_ascend_without_repeats_and_each_is_the_nearest_to_a_target_time(gaps, fps, num_frames, window) -> None:
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    taken = pick(times, FrameTarget(fps=fps, num_frames=num_frames, window=window))
    assert len(taken) >= 1 and np.all(np.diff(taken) > 0)
    assert num_frames is None or len(taken) <= num_frames
    count = int((times[-1] + 1e-6) * fps) + 1
    start = 0.0
    if num_frames is not None and count > num_frames:
        count = num_frames
        start = (times[-1] - (count - 1) / fps) / 2 if window == "centre" else 0.0
    distance = np.abs(times[None] - (start + np.arange(count) / fps)[:, None])  # (K, N)
    nearest = distance.min(axis=1)
    # 2e-6: ties within NEARER_S go to the earlier frame.
    assert all((distance[:, k] <= nearest + 2e-6).any() for k in taken)
    assert (distance[:, taken].min(axis=1) <= nearest + 2e-6).all()


def test_a_span_holds_the_frames_that_begin_in_it() -> None:
    assert frames_in_span(np.arange(10) / 10, 0.3, 0.6).tolist() == [3, 4, 5]
    assert frames_in_span(np.arange(10) / 10, 0.3, None).tolist() == list(range(3, 10))
    assert frames_in_span(np.arange(10) / 10, 0.31, 0.39).tolist() == []


def test_a_span_in_milliseconds_finds_the_frame_it_was_rounded_from() -> None:
    times = np.arange(400) * 1001 / 30000
    start, end = round(times[150], 3), round(times[300], 3)
    assert frames_in_span(times, start, end).tolist() == list(range(150, 300))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((1280, 720), FrameTarget(), (852, 480)),  # 853.3 rounded down to even
        ((720, 1280), FrameTarget(), (480, 852)),
        ((1920, 1080), FrameTarget(short_side_px=480, multiple=16), (848, 480)),
        ((320, 240), FrameTarget(), (320, 240)),  # never upsampled
        ((63, 47), FrameTarget(), (62, 46)),
        ((63, 47), FrameTarget(short_side_px=None, multiple=1), (63, 47)),
    ],
)
def test_the_output_size_never_exceeds_source_or_target(source, target, expected) -> None:
    assert output_size(*source, target) == expected


def test_a_picture_below_the_multiple_has_no_size() -> None:
    assert output_size(40, 12, FrameTarget(multiple=16)) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": "tail"}, "window must be one of head, centre, got 'tail'"),
        ({"fps": 0.0}, "fps must be positive or None, got 0.0"),
        ({"num_frames": 0}, "num_frames must be at least 1 or None, got 0"),
        ({"multiple": 0}, "multiple must be at least 1, got 0"),
        ({"spread": True, "num_frames": None}, "spread needs num_frames"),
    ],
)
def test_a_target_that_means_nothing_is_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        FrameTarget(**settings)

"""Container: orientation and colour as the container says them; gaps and rates by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.clip import Clip
from openuni.frames import FrameTarget
from openuni.pipelines.filters.container import ContainerFilter, timing
from openuni.video import encode_rgb_mp4
from openuni.view import OpenClip
from tests.openuni.make_clips import write_clip
from tests.pipelines.basic_filter_views import Info, View, keeps, scores_of, sliding, view_of_file

RULE = "container.max_gap_s <= 0.5"
TIMING = ("times_fps", "fps_ratio", "max_gap_s", "max_gap_ratio", "jitter")
QUARTER_TURN = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # 90 degrees clockwise, ISO 14496-12, 6.2.2


def test_facts_of_the_container_are_passed_on():
    info = Info(rotation_deg=90, mirrored=True, interlaced=True, hdr=True, sample_aspect_ratio=1.5)
    scores = scores_of(ContainerFilter(), View(info=info, source_times_s=np.arange(10) / 25))
    assert scores["rotation_deg"] == 90 and scores["sample_aspect_ratio"] == 1.5
    assert scores["mirrored"] is scores["interlaced"] is scores["hdr"] is True


def test_an_even_rate_has_no_jitter_and_gaps_of_one():
    assert timing(np.arange(100) / 25, declared_fps=25.0) == pytest.approx(
        {"times_fps": 25.0, "fps_ratio": 1.0, "max_gap_s": 0.04, "max_gap_ratio": 1.0, "jitter": 0.0}
    )


def test_lost_frames_are_a_gap_and_a_lower_rate():
    times_s = np.delete(np.arange(101) / 25, [50, 51, 52])  # 97 gaps in 4 s, one of them four times as long
    assert timing(times_s, declared_fps=25.0) == pytest.approx(
        {"times_fps": 97 / 4, "fps_ratio": 97 / 100, "max_gap_s": 0.16, "max_gap_ratio": 4.0, "jitter": 3 / 97}
    )


def test_jitter_is_the_mean_deviation_from_the_median_gap():
    assert timing(np.cumsum([0, 0.04, 0.03, 0.05, 0.04]), declared_fps=None)["jitter"] == pytest.approx(0.02 / 4 / 0.04)


def test_times_rounded_to_milliseconds_have_next_to_no_jitter():
    scores = timing((np.arange(300) / 29.97).round(3), declared_fps=29.97)
    assert scores["jitter"] < 0.02 and scores["max_gap_ratio"] < 1.04
    assert scores["fps_ratio"] == pytest.approx(1, abs=1e-4)


def test_a_rate_that_the_container_gets_wrong_shows():
    assert timing(np.arange(30) / 15, declared_fps=1000.0)["fps_ratio"] == pytest.approx(0.015)


@pytest.mark.parametrize("declared", [None, float("nan"), 0.0, float("inf")])
def test_a_rate_that_the_container_does_not_say_is_missing(declared):
    scores = timing(np.arange(30) / 15, declared_fps=declared)
    assert scores["fps_ratio"] is None and scores["times_fps"] == pytest.approx(15)


@pytest.mark.parametrize("times_s", [[], [0.0], [1.0, 1.0]])
def test_without_two_times_there_is_no_rate(times_s):
    scores = scores_of(ContainerFilter(), View(source_times_s=np.array(times_s)))
    assert [scores[name] for name in TIMING] == [None] * 5
    assert scores["rotation_deg"] == 0 and scores["hdr"] is False


def test_one_gap_cannot_be_uneven():
    scores = timing(np.array([0.0, 0.5]), declared_fps=2.0)
    assert scores == {"times_fps": 2.0, "fps_ratio": 1.0, "max_gap_s": 0.5, "max_gap_ratio": None, "jitter": None}


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    gaps_s=st.lists(st.floats(0.001, 2.0), min_size=2, max_size=50),
    start_s=st.floats(0, 100),
    slower=st.floats(0.25, 4.0),
)
def test_gaps_do_not_depend_on_the_start_and_ratios_not_on_the_speed(gaps_s, start_s, slower):
    times_s = np.cumsum([0.0, *gaps_s])
    scores = timing(times_s, declared_fps=25.0)
    assert timing(times_s + start_s, declared_fps=25.0) == pytest.approx(scores, rel=1e-6)  # float64 near 200 s
    slowed = timing(times_s * slower, declared_fps=25.0)
    assert slowed["max_gap_ratio"] == pytest.approx(scores["max_gap_ratio"])
    assert slowed["jitter"] == pytest.approx(scores["jitter"], abs=1e-9)
    assert slowed["times_fps"] == pytest.approx(scores["times_fps"] / slower)
    assert scores["max_gap_ratio"] >= 1 and scores["max_gap_s"] >= 1 / scores["times_fps"] * (1 - 1e-9)


def test_the_rule_keeps_a_slow_clip_and_drops_one_with_a_hole(tmp_path):
    even, holed = np.arange(24) / 8, np.r_[np.arange(12) / 8, 12 / 8 + 0.6 + np.arange(12) / 8]
    for name, times_s, kept in (("even", even, True), ("holed", holed, False)):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(encode_rgb_mp4(sliding(24, 48, 64), times_s=times_s))
        opened = view_of_file(path)
        assert keeps(RULE, ContainerFilter(), opened) is kept
        scores = scores_of(ContainerFilter(), opened)
        assert scores["max_gap_s"] == pytest.approx(np.diff(times_s).max(), abs=1e-5)
        assert scores["times_fps"] == pytest.approx(23 / times_s[-1])


def test_a_phone_clip_is_scored_through_the_builds_own_view(tmp_path):
    write_clip(tmp_path / "k.mp4", num_frames=10, fps=10, display_matrix=QUARTER_TURN)
    clip = Clip(clip_id="0", source="folder", source_key="k", source_video="k", path="k.mp4")
    opened = OpenClip(str(tmp_path), FrameTarget())(clip)
    scores = scores_of(ContainerFilter(), View(info=opened.info, source_times_s=opened.frames.times_s))
    assert scores["rotation_deg"] == 90 and scores["mirrored"] is False
    assert scores["times_fps"] == pytest.approx(10) and scores["fps_ratio"] == pytest.approx(1)


def test_nothing_is_decoded():
    class Undecoded(View):
        def __getattribute__(self, name):
            assert name not in ("frames", "pairs", "stills")
            return super().__getattribute__(name)

    assert scores_of(ContainerFilter(), Undecoded(source_times_s=np.arange(10) / 25))["jitter"] == pytest.approx(0)

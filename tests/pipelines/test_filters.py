"""Filters: scores of clips whose length, size and motion are known by construction."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from openuni.clip import Clip
from openuni.engine.stage import fingerprint
from openuni.errors import BadInput
from openuni.frames import FrameTarget
from openuni.pipelines.filters.duration import DurationFilter
from openuni.pipelines.filters.motion import MotionFilter, absolute_differences, small_grey
from openuni.pipelines.filters.published import PublishedScores
from openuni.pipelines.filters.resolution import ResolutionFilter
from openuni.view import OpenClip


@dataclass
class Info:
    """The part of openuni.frames.VideoInfo that filters read."""

    width: int = 1280
    height: int = 720
    fps: float = 30.0
    duration_s: float = 10.0
    num_frames: int | None = 300
    codec: str = "h264"
    bit_depth: int = 8
    rotation_deg: int = 0


@dataclass
class Frames:
    """A few sampled frames."""

    rgb: np.ndarray
    times_s: np.ndarray


@dataclass
class View:
    """What the build gives a filter."""

    info: Info = field(default_factory=Info)
    frames: Any = None
    clip: Clip | None = None


def clip(start_s=0.0, end_s=None, **published):
    return Clip(
        clip_id="0",
        source="folder",
        source_key="k",
        source_video="k",
        path="k.mp4",
        start_s=start_s,
        end_s=end_s,
        published=published,
    )


def duration(info, **span):
    return dict(DurationFilter()(View(info=info, clip=clip(**span))).scores)


def motion(rgb, times_s, **options):
    stage = MotionFilter(**options)
    stage.setup()
    return dict(stage(View(frames=Frames(rgb, np.asarray(times_s)))).scores)


def write_mp4(path, frames, fps):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18", "threads": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def texture(height, width, seed=0):
    """Smooth random grey texture: every place can be found again in a shifted copy."""
    import cv2

    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    scaled = 128 + 50 * smooth / smooth.std()
    return np.repeat(np.clip(scaled, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_whole_file_has_the_containers_length_and_frames():
    assert duration(Info()) == {"seconds": 10.0, "num_frames": 300, "fps": 30.0}


def test_span_is_measured_inside_the_file():
    assert duration(Info(), start_s=2.0, end_s=5.0) == {"seconds": 3.0, "num_frames": 90, "fps": 30.0}
    assert duration(Info(), start_s=8.0, end_s=99.0) == {"seconds": 2.0, "num_frames": 60, "fps": 30.0}
    assert duration(Info(), start_s=11.0)["seconds"] == 0.0


def test_what_the_container_does_not_tell_is_missing_and_not_zero():
    nan = float("nan")  # what VideoInfo says where the container says nothing
    nothing = Info(fps=nan, duration_s=nan, num_frames=None)
    assert duration(nothing) == {"seconds": None, "num_frames": None, "fps": None}
    assert duration(Info(duration_s=nan))["seconds"] == 10.0  # 300 frames at 30 per second
    assert duration(Info(duration_s=nan, num_frames=None), start_s=1.0, end_s=3.0)["seconds"] == 2.0


def test_resolution_scores_are_those_of_the_shown_frame():
    scores = ResolutionFilter()(View(info=Info(width=720, height=1280, bit_depth=10))).scores
    assert scores == {"width_px": 720, "height_px": 1280, "short_side_px": 720, "aspect": 0.5625, "bit_depth": 10}


def test_still_picture_has_no_motion_and_is_static():
    frame = texture(256, 455)
    scores = motion(np.stack([frame] * 4), [0, 0.5, 1, 1.5])
    assert scores["absdiff"] == 0.0 and scores["static_fraction"] == 1.0
    assert scores["flow_pct_per_s"] == pytest.approx(0, abs=1e-3)  # DIS on equal frames


def test_absdiff_is_the_step_of_a_brightening_picture():
    rgb = np.full((3, 60, 100, 3), 100, np.uint8) + np.array([0, 7, 17], np.uint8)[:, None, None, None]
    scores = motion(rgb, [0, 0.5, 1])
    assert scores["absdiff"] == 8.5  # (7 + 10) / 2
    assert scores["static_fraction"] == 0.0


@pytest.mark.parametrize(("height", "width"), [(256, 455), (455, 256), (72, 128)])
def test_flow_is_the_speed_of_a_shifted_picture_in_percent_of_the_longer_side(height, width):
    shift = max(height, width) // 32  # 3.1 % of the longer side in half a second
    big = texture(height, width + 3 * shift)
    rgb = np.stack([big[:, i * shift : i * shift + width] for i in range(4)])
    expected = 100 * shift / max(height, width) / 0.5
    # 10 %: DIS ultrafast at 128 px loses the strip that enters at the border.
    assert motion(rgb, np.arange(4) * 0.5)["flow_pct_per_s"] == pytest.approx(expected, rel=0.1)
    assert motion(rgb, np.arange(4) * 1.0)["flow_pct_per_s"] == pytest.approx(expected / 2, rel=0.1)


def test_slide_show_is_static_but_for_its_changes():
    a, b = texture(120, 160, seed=1), texture(120, 160, seed=2)
    scores = motion(np.stack([a, a, a, b, b]), np.arange(5) * 0.5)
    assert scores["static_fraction"] == 0.75
    assert scores["absdiff"] > 5


@pytest.mark.parametrize("num_frames", [0, 1])
def test_one_frame_shows_neither_motion_nor_stillness(num_frames):
    scores = motion(np.zeros((num_frames, 64, 64, 3), np.uint8), np.zeros(num_frames))
    assert scores == {"absdiff": None, "flow_pct_per_s": None, "static_fraction": None}


def test_frames_of_one_time_have_no_speed():
    frame = texture(64, 64)
    assert motion(np.stack([frame, frame]), [1.0, 1.0])["flow_pct_per_s"] is None


@pytest.mark.parametrize("shape", [(1, 1), (8, 1000), (1000, 8), (33, 47)])
def test_frames_of_odd_shapes_are_scored(shape):
    rgb = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    assert all(np.isfinite(value) for value in motion(rgb, [0, 0.5, 1]).values())


def test_small_grey_keeps_the_aspect_and_the_mean():
    rgb = np.full((2, 480, 832, 3), 90, np.uint8)
    grey = small_grey(rgb, work_px=128)
    assert grey.shape == (2, 74, 128) and grey.dtype == np.uint8
    assert np.all(grey == 90)
    assert absolute_differences(grey).tolist() == [0.0]


def test_scores_are_the_same_in_a_second_run():
    rgb = np.random.default_rng(3).integers(0, 256, (5, 90, 160, 3), dtype=np.uint8)
    assert motion(rgb, np.arange(5) * 0.5) == motion(rgb, np.arange(5) * 0.5)


def test_published_scores_pass_and_others_are_missing():
    view = View(clip=clip(aesthetic_score=4.9, vtss=float("nan"), url="https://example.org/v"))
    assert PublishedScores()(view).scores == {
        "aesthetic_score": 4.9,
        "clarity_score": None,
        "motion_score": None,
        "vtss": None,
    }


def test_published_names_of_the_users_own_become_columns():
    stage = PublishedScores(names=("sharpness", "vtss"))
    assert [column.name for column in stage.columns] == ["sharpness", "vtss"]
    assert stage(View(clip=clip(sharpness=2))).scores == {"sharpness": 2, "vtss": None}
    assert fingerprint(stage, read={}) != fingerprint(PublishedScores(), read={})
    with pytest.raises(BadInput, match="'my score' is no name for a column"):
        PublishedScores(names=("my score",))


@pytest.mark.parametrize("stage", [DurationFilter(), ResolutionFilter(), MotionFilter(), PublishedScores()])
def test_every_filter_gives_exactly_the_columns_it_declares(stage):
    stage.setup()
    frames = Frames(np.zeros((2, 64, 64, 3), np.uint8), np.array([0, 0.5]))
    scores = stage(View(frames=frames, clip=clip())).scores
    assert list(scores) == [column.name for column in stage.columns]
    assert all(column.unit and column.meaning for column in stage.columns)


def test_a_real_file_is_scored_through_the_builds_own_view(tmp_path):
    shift = 2  # px per frame: 2 * 25 / 320 = 15.6 % of the width per second
    big = texture(240, 320 + 50 * shift)
    write_mp4(tmp_path / "k.mp4", [np.ascontiguousarray(big[:, i * shift : i * shift + 320]) for i in range(50)], 25)
    open_view = OpenClip(str(tmp_path), FrameTarget(fps=5.0, short_side_px=256, num_frames=32, spread=True))
    view = open_view(clip())
    assert DurationFilter()(view).scores == {"seconds": 2.0, "num_frames": 50, "fps": 25.0}
    assert ResolutionFilter()(view).scores["short_side_px"] == 240
    stage = MotionFilter()
    stage.setup()
    scores = stage(view).scores
    # 15 %: the border strip, as above, and the coded picture.
    assert scores["flow_pct_per_s"] == pytest.approx(100 * shift * 25 / 320, rel=0.15)
    assert scores["static_fraction"] == 0.0
    assert DurationFilter()(open_view(clip(start_s=0.5, end_s=1.5))).scores["num_frames"] == 25

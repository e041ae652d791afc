"""One decode gives a filter its samples, their neighbours and stills: each as a read of its own would."""

import numpy as np
import pytest

from openuni.clip import Clip
from openuni.engine.stage import Drop
from openuni.frames import FrameTarget, read_frames, read_many
from openuni.pipelines.score_view import SAMPLES, STILLS, OpenForScoring
from openuni.view import OpenClip
from tests.openuni.make_clips import LONG_GOP, read_codes, write_clip

FPS = 25
SMALL = FrameTarget(fps=2.0, short_side_px=None, num_frames=32, spread=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Four seconds whose frames carry their number as blocks."""
    return write_clip(tmp_path_factory.mktemp("view") / "k.mp4", options=LONG_GOP, num_frames=100, fps=FPS)


def view(path, **span):
    clip = Clip(clip_id="0" * 20, source="folder", source_key="k", source_video="k", path=path.name, **span)
    return OpenForScoring(str(path.parent), samples=SMALL)(clip)


def test_several_targets_of_one_decode_give_what_each_gives_alone(path):
    targets = (SAMPLES, STILLS, FrameTarget(), FrameTarget(fps=None, short_side_px=None, num_frames=7))
    for together, target in zip(read_many(path, start_s=0.5, end_s=3.0, targets=targets), targets, strict=True):
        alone = read_frames(path, start_s=0.5, end_s=3.0, target=target)
        assert np.array_equal(together.rgb, alone.rgb)
        assert np.array_equal(together.times_s, alone.times_s)
        assert together.fps == alone.fps and together.lost_s == alone.lost_s


def test_numbers_count_the_frames_of_the_span_and_source_times_are_all_of_theirs(path):
    frames = read_frames(path, start_s=1.0, end_s=2.0, target=FrameTarget(fps=5.0, short_side_px=None))
    assert frames.numbers.tolist() == [0, 5, 10, 15, 20]
    assert np.allclose(frames.source_times_s, 1.0 + np.arange(25) / FPS, atol=1e-3)
    assert np.allclose(frames.times_s, frames.source_times_s[frames.numbers])


def test_followers_are_the_next_frames_and_none_beyond_the_end(path):
    target = FrameTarget(fps=1.0, short_side_px=None, num_frames=None, followers=2)
    frames = read_frames(path, target=target)
    assert frames.numbers.tolist() == [0, 1, 2, 25, 26, 27, 50, 51, 52, 75, 76, 77]
    assert read_codes(frames.rgb) == frames.numbers.tolist()
    last = read_frames(path, start_s=98 / FPS, target=target)
    assert last.numbers.tolist() == [0, 1]


def test_samples_pairs_and_stills_are_the_frames_that_their_numbers_say(path):
    opened = view(path)
    assert read_codes(opened.frames.rgb) == opened.frames.numbers.tolist() == [0, 12, 25, 37, 50, 62, 75, 87]
    assert read_codes(opened.pairs.rgb[:, 0]) == opened.frames.numbers.tolist()
    assert read_codes(opened.pairs.rgb[:, 1]) == (opened.frames.numbers + 1).tolist()
    assert np.allclose(np.diff(opened.pairs.times_s, axis=1), 1 / FPS, atol=1e-3)
    assert read_codes(opened.stills.rgb) == [0, 49, 99]
    assert len(opened.source_times_s) == 100


def test_the_last_frame_of_a_clip_has_no_pair(path):
    opened = view(path, start_s=99 / FPS)
    assert len(opened.frames.rgb) == 1 and opened.pairs.rgb.shape[:2] == (0, 2)


def test_a_source_slower_than_the_samples_has_every_neighbour_as_a_pair(tmp_path):
    slow = write_clip(tmp_path / "slow.mp4", num_frames=5, fps=1)
    opened = view(slow)
    assert opened.frames.numbers.tolist() == [0, 1, 2, 3, 4]
    assert opened.pairs.rgb.shape[0] == 4


def test_a_file_that_is_no_video_is_a_drop_with_the_readers_reason(tmp_path):
    (tmp_path / "k.mp4").write_text("words")
    for name in ("frames", "pairs", "stills", "source_times_s"):
        with pytest.raises(Drop, match="not_a_video"):
            getattr(view(tmp_path / "k.mp4"), name)


def test_the_fingerprint_is_of_the_targets_and_not_of_the_root():
    assert OpenForScoring("a").fingerprint() == OpenForScoring("b").fingerprint()
    assert OpenForScoring("a").fingerprint() != OpenForScoring("a", samples=SMALL).fingerprint()


def test_finished_builds_go_on_because_the_fingerprints_stay():
    # Written down from builds as they are. A change of a default target is a reason to change them; nothing else is.
    target = FrameTarget(fps=16.0, short_side_px=480, num_frames=81)
    assert OpenClip("a", target).fingerprint() == "d96928d50932"
    samples = FrameTarget(fps=1.94, short_side_px=256, num_frames=32, spread=True)
    stills = FrameTarget(fps=2.0, short_side_px=480, num_frames=3, spread=True)
    assert OpenForScoring("a", samples=samples, stills=stills).fingerprint() == "0bf3064c63cc"
    assert OpenForScoring("a").fingerprint() == "0bf3064c63cc"

"""Frozen: standstills and repeated frames whose number is known by construction."""

import numpy as np
import pytest

from openuni.pipelines.filters.frozen import FrozenFilter, sees_all_phases
from openuni.video import encode_rgb_mp4
from tests.pipelines.basic_filter_views import (
    Sampled,
    View,
    keeps,
    odd_views,
    scores_of,
    sliding,
    texture,
    view_of,
    view_of_file,
)

LONGEST_RULE = "frozen.longest_s <= 2.5"
DUPLICATES_RULE = "missing(frozen.duplicate_fraction) or frozen.duplicate_fraction <= 0.85"
HEIGHT, WIDTH = 90, 160


def moving(numbers):
    """Pictures by number: the same number, the same picture."""
    pictures = sliding(max(numbers) + 1, HEIGHT, WIDTH)
    return pictures[np.asarray(numbers)]


def view(rgb, fps=24.0, **options):
    return view_of(rgb, np.arange(len(rgb)) / fps, **options)


def held(frames_each, seconds=10, fps=24):
    """Animation that is drawn on twos, threes, ...: every picture stands for some frames."""
    return moving(np.arange(round(seconds * fps)) // frames_each)


def test_motion_has_no_standstill_and_no_repeats():
    assert scores_of(FrozenFilter(), view(moving(range(96)))) == {
        "longest_s": 0.0,
        "duplicate_fraction": 0.0,
        "effective_fps": pytest.approx(24.0),
    }


def test_a_still_stands_from_the_first_to_the_last_sample():
    scores = scores_of(FrozenFilter(), view(moving([0] * 121)))
    assert scores["longest_s"] == pytest.approx(5.0, abs=0.52)  # samples are 0.52 s apart
    assert scores["duplicate_fraction"] == 1.0 and scores["effective_fps"] == 0.0


def test_the_longest_of_several_standstills_counts():
    numbers = [*range(20), *[20] * 30, *range(20, 40), *[40] * 72, *range(40, 60)]
    assert scores_of(FrozenFilter(), view(moving(numbers)))["longest_s"] == pytest.approx(3.0, abs=0.52)


def test_the_rule_keeps_a_pause_and_drops_a_clip_that_stops():
    pause = [*range(30), *[30] * 48, *range(30, 72)]
    stop = [*range(30), *[30] * 90]
    assert keeps(LONGEST_RULE, FrozenFilter(), view(moving(pause)))
    assert not keeps(LONGEST_RULE, FrozenFilter(), view(moving(stop)))


# 0.15: 10 s have 20 pairs, which see a pattern on all its phases, though not on each equally often.
@pytest.mark.parametrize("frames_each", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fps", [24, 25, 30])
def test_pictures_that_are_held_leave_their_own_rate(frames_each, fps):
    scores = scores_of(FrozenFilter(), view(held(frames_each, fps=fps), fps=fps))
    assert scores["duplicate_fraction"] == pytest.approx(1 - 1 / frames_each, abs=0.15)
    assert scores["effective_fps"] == pytest.approx(fps * (1 - scores["duplicate_fraction"]))


def test_film_in_video_repeats_one_frame_in_five():
    numbers = np.arange(300) * 4 // 5  # 24 pictures in 30 frames
    scores = scores_of(FrozenFilter(), view(moving(numbers), fps=30))
    assert scores["duplicate_fraction"] == pytest.approx(0.2, abs=0.15)
    assert scores["effective_fps"] == pytest.approx(24, abs=4.5)


def test_rate_is_that_of_the_times_and_not_of_the_container():
    rgb = held(2)
    opened = view_of(rgb, np.arange(len(rgb)) / 12.0)
    scores = scores_of(FrozenFilter(), opened)
    assert scores["effective_fps"] == pytest.approx(12 * (1 - scores["duplicate_fraction"]))


def test_the_rule_keeps_animation_on_twos_and_threes_and_drops_two_pictures_a_second():
    assert keeps(DUPLICATES_RULE, FrozenFilter(), view(held(2)))
    assert keeps(DUPLICATES_RULE, FrozenFilter(), view(held(3)))
    assert not keeps(DUPLICATES_RULE, FrozenFilter(), view(held(12)))
    assert keeps(DUPLICATES_RULE, FrozenFilter(), view(moving(range(24))))  # too short to tell


def test_samples_on_one_phase_of_a_pattern_cannot_tell_and_say_so():
    rgb = held(2)
    every_12th = scores_of(FrozenFilter(), view(rgb, samples_fps=2.0))
    assert every_12th["duplicate_fraction"] is None and every_12th["effective_fps"] is None
    assert every_12th["longest_s"] == 0.0
    assert scores_of(FrozenFilter(), view(rgb, samples_fps=1.94))["duplicate_fraction"] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("numbers", "seen"),
    [
        ([0, 12, 24, 36], False),  # 24 frames a second, a sample every half: even numbers
        ([0, 15, 30, 45], False),  # 30: multiples of 3 and 5
        ([0, 12, 25, 37], True),  # 25
        ([1, 5, 9, 13], False),  # all 1 more than a multiple of 4
        ([0, 12, 25, 37, 49, 62], True),  # 24 at 1.94 samples a second
    ],
)
def test_phases_are_seen_unless_a_pattern_meets_all_samples_alike(numbers, seen):
    assert sees_all_phases(np.array(numbers)) is seen


def test_a_scene_that_drifts_slowly_repeats_nothing_and_does_not_stand():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    # 0.02 px, at most 0.1 levels and 0.04 on average from frame to frame: less than coding noise.
    levels = [128 + 30 * np.sin((columns - 0.02 * k) / 6 + rows / 7) for k in range(144)]
    rgb = np.repeat(np.round(levels).astype(np.uint8)[..., None], 3, axis=3)
    scores = scores_of(FrozenFilter(), view(rgb))
    assert scores["duplicate_fraction"] == 0.0
    assert scores["longest_s"] < 1.6


def test_a_small_thing_that_moves_is_no_standstill():
    rgb = np.repeat(texture(256, 454)[None], 96, axis=0)
    for number, frame in enumerate(rgb):
        frame[100:106, 50 + 3 * number : 56 + 3 * number] = 255  # 0.03 % of the picture: a mouse pointer
    scores = scores_of(FrozenFilter(), view(rgb))
    assert scores["longest_s"] == 0.0 and scores["duplicate_fraction"] == 0.0


@pytest.mark.parametrize("crf", [18, 23])
def test_repeats_and_standstills_of_a_coded_clip_are_found(tmp_path, crf):
    numbers = [*(np.arange(48) // 2), *[24] * 72]
    path = tmp_path / "k.mp4"
    pictures = sliding(25, 180, 320)
    grain = np.random.default_rng(0).normal(0, 4, pictures.shape)
    rgb = np.clip(pictures + grain, 0, 255).astype(np.uint8)[numbers]
    path.write_bytes(encode_rgb_mp4(rgb, fps=24, crf=crf))
    opened, as_made = view_of_file(path), view(rgb)
    made, scores = scores_of(FrozenFilter(), as_made), scores_of(FrozenFilter(), opened)
    repeats = (as_made.pairs.rgb[:, 0] == as_made.pairs.rgb[:, 1]).all(axis=(1, 2, 3))
    assert (opened.pairs.rgb[repeats, 0] != opened.pairs.rgb[repeats, 1]).any()  # coded repeats are not equal
    assert scores == pytest.approx(made)
    assert scores["longest_s"] == pytest.approx(3.0, abs=0.52)
    assert scores["duplicate_fraction"] == pytest.approx((24 + 71) / 119, abs=0.15)


def test_a_coded_moving_clip_repeats_nothing(tmp_path):
    path = tmp_path / "k.mp4"
    path.write_bytes(encode_rgb_mp4(moving(range(96)), fps=24, crf=28))
    scores = scores_of(FrozenFilter(), view_of_file(path))
    assert scores["longest_s"] == 0.0 and scores["duplicate_fraction"] == 0.0


def test_one_frame_shows_neither_motion_nor_stillness():
    scores = scores_of(FrozenFilter(), view(moving([0])))
    assert set(scores.values()) == {None}


def test_three_pairs_say_no_share():
    rgb = moving(range(8))
    times_s = np.arange(8) / 2
    few = Sampled(np.stack([rgb[:3], rgb[1:4]], axis=1), np.stack([times_s[:3], times_s[1:4]], axis=1))
    scores = scores_of(FrozenFilter(), View(Sampled(rgb, times_s), few, times_s))
    assert scores == {"longest_s": 0.0, "duplicate_fraction": None, "effective_fps": None}


@pytest.mark.parametrize(("name", "odd"), odd_views().items(), ids=odd_views())
def test_odd_clips_are_scored_and_again_the_same(name, odd):
    scores = scores_of(FrozenFilter(), odd)
    assert scores == scores_of(FrozenFilter(), odd)
    assert (scores["longest_s"] is None) == (len(odd.frames.rgb) == 1)

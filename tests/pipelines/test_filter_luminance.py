"""Luminance: levels that are known by construction, inside of bars and over time."""

import numpy as np
import pytest

from openuni.pipelines.filters.luminance import LuminanceFilter, histograms, mean_luma, percentile
from openuni.video import encode_rgb_mp4
from tests.pipelines.basic_filter_views import keeps, odd_views, scores_of, sliding, view_of, view_of_file

CONTRAST_RULE = "luminance.contrast >= 20"
FLICKER_RULE = "luminance.flicker <= 10"
FPS = 25


def view(rgb, **options):
    return view_of(rgb, np.arange(len(rgb)) / FPS, **options)


def flat(levels, height=36, width=64):
    """One grey level for each frame."""
    return np.repeat(np.array(levels, np.uint8), height * width * 3).reshape(-1, height, width, 3)


def test_levels_of_a_picture_of_two_halves_are_counted_by_hand():
    rgb = flat([0] * 50)
    rgb[:, :, 32:] = 200
    rgb[:, :3, 32:] = 255  # 1/12 of the bright half
    scores = scores_of(LuminanceFilter(), view(rgb))
    assert scores["mean"] == pytest.approx((33 * 200 + 3 * 255) / 36 / 2)
    assert scores["contrast"] == 200  # 4.2 % of the pixels are white
    assert scores["dark_fraction"] == 0.5
    assert scores["bright_fraction"] == pytest.approx(3 / 36 / 2)
    assert scores["range"] == 0 and scores["flicker"] == 0


@pytest.mark.parametrize(("colour", "luma"), [((255, 0, 0), 76.2), ((0, 255, 0), 149.7), ((0, 0, 255), 29.1)])
def test_luma_is_that_of_bt601(colour, luma):
    rgb = np.tile(np.uint8(colour), (2, 8, 8, 1))
    assert mean_luma(rgb) == pytest.approx(luma, abs=0.06)
    assert histograms(rgb).argmax(axis=1).tolist() == [round(luma)] * 2


def test_percentiles_are_numpys_inverted_cdf():
    rgb = np.random.default_rng(0).integers(0, 256, (4, 33, 47, 1), dtype=np.uint8).repeat(3, axis=3)
    for share in (0.05, 0.5, 0.95):
        expected = [np.quantile(frame[..., 0], share, method="inverted_cdf") for frame in rgb]
        assert percentile(histograms(rgb), share).tolist() == expected


def test_clipping_counts_pixels_within_the_levels():
    rgb = flat([100] * 4, height=10, width=10)
    rgb[:, 0, :4] = np.array([0, 5, 6, 7])[:, None]
    rgb[:, 1, :3] = np.array([249, 250, 255])[:, None]
    scores = scores_of(LuminanceFilter(border_tolerance=0), view(rgb))
    assert scores["dark_fraction"] == 0.02 and scores["bright_fraction"] == 0.02
    assert scores_of(LuminanceFilter(dark_level=6, bright_level=249), view(rgb))["dark_fraction"] == 0.03


def test_bars_lower_the_mean_alone():
    rgb = sliding(50, 90, 160)
    barred = rgb.copy()
    barred[:, :18] = barred[:, -9:] = 0
    open_scores, scores = scores_of(LuminanceFilter(), view(rgb[:, 18:-9])), scores_of(LuminanceFilter(), view(barred))
    assert scores["mean"] == pytest.approx(open_scores["mean"] * 63 / 90)
    assert scores["picture_mean"] == pytest.approx(open_scores["picture_mean"])
    assert {**scores, "mean": 0} == pytest.approx({**open_scores, "mean": 0})


def test_a_fade_is_the_range_of_the_samples_and_little_flicker():
    levels = 40 + 2 * np.arange(51)
    opened = view(flat(levels))
    scores = scores_of(LuminanceFilter(), opened)
    assert scores["range"] == pytest.approx(2 * FPS * opened.frames.times_s[-1]) and scores["range"] > 70
    assert scores["flicker"] == pytest.approx(2)


def test_a_strobe_is_flicker():
    levels = [60, 160] * 30
    scores = scores_of(LuminanceFilter(), view(flat(levels)))
    assert scores["flicker"] == pytest.approx(100)
    slow = [60] * 4 + [160] * 4  # a change in every fourth frame
    assert scores_of(LuminanceFilter(), view(flat(slow * 40)))["flicker"] == pytest.approx(25, abs=10)


def test_the_rules_keep_a_picture_and_drop_fog_black_and_a_strobe():
    picture, fog = sliding(50, 90, 160, contrast=20), sliding(50, 90, 160, mean=180, contrast=4)
    assert keeps(CONTRAST_RULE, LuminanceFilter(), view(picture))
    assert not keeps(CONTRAST_RULE, LuminanceFilter(), view(fog))
    assert not keeps(CONTRAST_RULE, LuminanceFilter(), view(flat([0] * 50)))
    lit = np.where(np.arange(50) % 2, 40, 0).astype(np.uint8)[:, None, None, None]
    assert keeps(FLICKER_RULE, LuminanceFilter(), view(picture))
    assert not keeps(FLICKER_RULE, LuminanceFilter(), view(picture // 2 + lit))


def test_a_night_scene_with_lights_has_contrast():
    night = sliding(50, 90, 160, mean=10, contrast=6)
    night[:, 30:45, 20:60] = 120  # 7.4 % of the picture, a lit window
    assert keeps(CONTRAST_RULE, LuminanceFilter(), view(night))


def test_a_coded_clip_has_the_levels_that_were_put_in(tmp_path):
    rgb = sliding(30, 90, 160, px_per_frame=1)
    rgb[:, :30, :40], rgb[:, :30, -40:] = 0, 255
    path = tmp_path / "k.mp4"
    path.write_bytes(encode_rgb_mp4(rgb, fps=FPS))
    made, scores = scores_of(LuminanceFilter(), view(rgb)), scores_of(LuminanceFilter(), view_of_file(path))
    # 2 levels and 1 % of the pixels: x264 crf 18, and areas that end inside of blocks.
    for name in ("mean", "picture_mean", "contrast"):
        assert scores[name] == pytest.approx(made[name], abs=2)
    for name in ("dark_fraction", "bright_fraction"):
        assert scores[name] == pytest.approx(made[name], abs=0.01) and made[name] > 0.08
    assert scores["flicker"] == pytest.approx(made["flicker"], abs=0.2)


def test_without_a_pair_flicker_is_missing_and_nothing_else():
    scores = scores_of(LuminanceFilter(), view(flat([90])))
    assert scores.pop("flicker") is None
    assert None not in scores.values() and scores["mean"] == pytest.approx(90)


def test_without_frames_all_is_missing():
    empty = view(flat([90]))
    empty.frames.rgb = empty.frames.rgb[:0]
    assert set(scores_of(LuminanceFilter(), empty).values()) == {None}


@pytest.mark.parametrize(("name", "odd"), odd_views().items(), ids=odd_views())
def test_odd_clips_are_scored_and_again_the_same(name, odd):
    scores = scores_of(LuminanceFilter(), odd)
    assert scores == scores_of(LuminanceFilter(), odd)
    assert all(value is not None for key, value in scores.items() if key != "flicker")

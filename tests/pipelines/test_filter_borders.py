"""Borders: bars of known thickness are found; darkness, skies and lights in the dark are not taken for bars."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.clip import Clip
from openuni.frames import FrameTarget
from openuni.pipelines.filters.borders import Borders, BordersFilter, find_borders, inside
from openuni.video import encode_rgb_mp4
from openuni.view import OpenClip
from tests.pipelines.basic_filter_views import Sampled, View, keeps, odd_views, scores_of, sliding

RULE = "borders.area_fraction <= 0.05"
HEIGHT, WIDTH, COUNT = 90, 160, 6
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def view(rgb):
    return View(frames=Sampled(rgb, np.arange(len(rgb)) / 2))


def barred(top=0, bottom=0, left=0, right=0, *, colour=0, rgb=None):
    rgb = sliding(COUNT, HEIGHT, WIDTH, px_per_frame=3) if rgb is None else rgb.copy()
    kept = np.zeros((HEIGHT, WIDTH), bool)
    kept[top : HEIGHT - bottom, left : WIDTH - right] = True
    rgb[:, ~kept] = colour
    return rgb


def grey(pictures, noise=1.0):
    """(T, H, W) levels to (T, H, W, 3) uint8 with a little sensor noise."""
    noisy = np.asarray(pictures) + np.random.default_rng(1).normal(0, noise, np.shape(pictures))
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def test_a_clip_without_bars_has_none():
    assert scores_of(BordersFilter(), view(barred())) == dict(top=0, bottom=0, left=0, right=0, area_fraction=0)


def test_scores_are_shares_of_the_sides_and_of_the_area():
    scores = scores_of(BordersFilter(), view(barred(9, 18, 16, 32)))
    expected = {"top": 0.1, "bottom": 0.2, "left": 0.1, "right": 0.2, "area_fraction": 1 - 0.7 * 0.7}
    assert scores == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.tuples(st.integers(1, 30), st.integers(1, 30)) | st.just((0, 0)),
    columns=st.tuples(st.integers(1, 55), st.integers(1, 55)) | st.just((0, 0)),
    colour=st.sampled_from([(0, 0, 0), (16, 16, 16), (255, 255, 255), (20, 40, 160)]),
)
def test_bars_of_any_thickness_and_colour_are_found_to_the_pixel(rows, columns, colour):
    # A stretched texture: at least 40 levels away from the white and the black bars, so that no pixel hides in them.
    rgb = np.clip(sliding(COUNT, HEIGHT, WIDTH, px_per_frame=3, contrast=25), 60, 200) + np.uint8([0, 9, 0])
    found = find_borders(barred(*rows, *columns, colour=colour, rgb=rgb))
    assert found == Borders(*rows, *columns)


@pytest.mark.parametrize("crf", [18, 23, 33])
def test_bars_of_a_coded_clip_are_found_to_a_pixel_through_the_builds_own_view(tmp_path, crf):
    rgb = sliding(COUNT, 180, 320, px_per_frame=5, contrast=70)
    rgb[:, :27] = rgb[:, -27:] = 0  # not where blocks of the codec end
    (tmp_path / "k.mp4").write_bytes(encode_rgb_mp4(rgb, fps=2, crf=crf))
    clip = Clip(clip_id="0", source="folder", source_key="k", source_video="k", path="k.mp4")
    opened = OpenClip(str(tmp_path), FrameTarget(fps=2.0, short_side_px=256, num_frames=32, spread=True))(clip)
    assert opened.frames.rgb[:, :26].max() > 0  # coded black is not exactly 0
    scores = scores_of(BordersFilter(), opened)
    assert scores["top"] * 180 == pytest.approx(27, abs=1) and scores["bottom"] * 180 == pytest.approx(27, abs=1)
    assert scores["left"] == scores["right"] == 0


def test_the_rule_keeps_185_film_in_a_16_to_9_frame_and_drops_239_film():
    narrow = round(HEIGHT * (1 - (16 / 9) / 1.85) / 2)
    wide = round(HEIGHT * (1 - (16 / 9) / 2.39) / 2)
    assert keeps(RULE, BordersFilter(), view(barred(narrow, narrow)))
    assert not keeps(RULE, BordersFilter(), view(barred(wide, wide)))
    assert not keeps(RULE, BordersFilter(), view(barred(0, 0, 20, 20)))  # 4:3


def test_a_single_bar_is_found_if_it_is_black_and_thin():
    assert find_borders(barred(bottom=9)) == Borders(0, 9, 0, 0)
    assert find_borders(barred(left=7)) == Borders(0, 0, 7, 0)
    assert find_borders(barred(bottom=9, colour=255)) == Borders(0, 0, 0, 0)
    assert find_borders(barred(bottom=30)) == Borders(0, 0, 0, 0)


def test_subtitles_on_a_bar_do_not_hide_it():
    rgb = barred(15, 15)
    rgb[1:3, -10:-4, 40:100] = 230
    rgb[4:6, -10:-4, 60:110] = 230
    assert find_borders(rgb) == Borders(15, 15, 0, 0)


def test_a_bar_that_is_missing_in_one_frame_or_moves_is_no_border():
    rgb = barred(15, 15)
    rgb[3] = barred()[3]
    assert find_borders(rgb) == Borders(0, 0, 0, 0)
    rgb = barred(15, 15)
    rgb[3:] = barred(8, 8)[3:]
    assert find_borders(rgb) == Borders(8, 8, 0, 0)  # what is bar in every frame
    flash = barred(15, 15)
    flash[2] = 255
    assert find_borders(flash) == Borders(0, 0, 0, 0)


def test_bars_are_found_in_a_clip_that_fades_in_from_black():
    rgb = (barred(15, 15) * np.linspace(0, 1, COUNT)[:, None, None, None]).astype(np.uint8)
    assert find_borders(rgb) == Borders(15, 15, 0, 0)
    rgb = (barred() * np.linspace(0, 1, COUNT)[:, None, None, None]).astype(np.uint8)
    assert find_borders(rgb) == Borders(0, 0, 0, 0)


def night_skyline():
    roofs = np.repeat(np.random.default_rng(2).integers(20, 80, WIDTH // 10), 10)
    return grey(np.tile(np.where(roofs <= ROWS, 90 + 30 * np.sin(COLUMNS / 3), 2), (COUNT, 1, 1)))


def flat_roof():
    return grey(np.tile(np.where(ROWS >= 45, 90 + 30 * np.sin(COLUMNS / 3), 2), (COUNT, 1, 1)))


def moving_torch(soft):
    distance = [np.hypot(COLUMNS - 20 - 22 * k, ROWS - 45) for k in range(COUNT)]
    return grey([200 * np.exp(-((d / 14) ** 2)) if soft else np.where(d < 18, 200, 1) for d in distance])


def moon(radius):
    return grey(np.tile(np.where(np.hypot(COLUMNS - 80, ROWS - 45) < radius, 220, 1), (COUNT, 1, 1)))


def stars():
    at = np.random.default_rng(3).permutation(HEIGHT * WIDTH)[:200]
    sky = np.zeros((HEIGHT, WIDTH))
    sky.flat[at] = 200
    return grey([np.roll(sky, k, axis=1) for k in range(COUNT)])


def white_sky_over_the_sea():
    return grey(np.tile(np.where(ROWS < 30, 255, 90 + 20 * np.sin(COLUMNS / 9 + ROWS)), (COUNT, 1, 1)))


def blue_sky():
    sky = np.where(ROWS < 50, 180 + ROWS / 5, 60 + 20 * np.sin(COLUMNS / 5))
    return grey(np.tile(sky, (COUNT, 1, 1))) // np.uint8([2, 2, 1])


WITHOUT_BARS = {
    "skyline": night_skyline,
    "roof": flat_roof,
    "torch": lambda: moving_torch(soft=True),
    "spot light": lambda: moving_torch(soft=False),
    "small moon": lambda: moon(8),
    "moon": lambda: moon(16),
    "moon as high as the frame": lambda: moon(42),
    "stars": stars,
    "sea": white_sky_over_the_sea,
    "blue sky": blue_sky,
    "dim": lambda: sliding(COUNT, HEIGHT, WIDTH, mean=6, contrast=3),
    "crushed": lambda: sliding(COUNT, HEIGHT, WIDTH, mean=0, contrast=60),
    "blown": lambda: sliding(COUNT, HEIGHT, WIDTH, mean=255, contrast=60),
}


@pytest.mark.parametrize("name", WITHOUT_BARS)
def test_darkness_skies_and_lights_in_the_dark_are_no_borders(name):
    rgb = WITHOUT_BARS[name]()
    assert find_borders(rgb) == Borders(0, 0, 0, 0)
    assert keeps(RULE, BordersFilter(), view(rgb))


@pytest.mark.parametrize("brightness", [0.3, 1.0])
def test_bars_of_a_dark_film_are_found(brightness):
    rgb = (barred(15, 15) * brightness).astype(np.uint8)
    assert find_borders(rgb) == Borders(15, 15, 0, 0)


def test_one_flat_colour_has_no_picture_so_bars_are_unknown():
    for level in (0, 90, 255):
        scores = scores_of(BordersFilter(), view(np.full((3, 36, 64, 3), level, np.uint8)))
        assert set(scores.values()) == {None}
    assert find_borders(np.zeros((0, 36, 64, 3), np.uint8)) is None


def test_inside_is_the_picture():
    rgb = barred(9, 18, 16, 32)
    picture = inside(rgb, find_borders(rgb))
    assert np.array_equal(picture, rgb[:, 9:-18, 16:-32])
    assert inside(rgb, None) is rgb
    assert np.array_equal(inside(rgb, Borders(0, 0, 0, 0)), rgb)


def test_tolerance_is_how_far_a_bar_may_be_from_one_colour():
    rgb = barred(15, 15)
    rgb[:, :15, np.arange(WIDTH) % 5 < 3] = 12
    assert find_borders(rgb) == Borders(0, 15, 0, 0)
    assert find_borders(rgb, tolerance=12) == Borders(15, 15, 0, 0)


@pytest.mark.parametrize(("name", "odd"), odd_views().items(), ids=odd_views())
def test_odd_clips_are_scored_and_again_the_same(name, odd):
    scores = scores_of(BordersFilter(), odd)
    assert scores == scores_of(BordersFilter(), odd)
    assert all(value is None or 0 <= value < 1 for value in scores.values())


def test_frames_are_not_written_to():
    rgb = barred(15, 15)
    before = rgb.copy()
    find_borders(rgb)
    assert np.array_equal(rgb, before)

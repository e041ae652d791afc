"""Watermark filter: scenery that moves, rests or is hidden, with and without a mark whose place is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from openuni.clip import Clip
from openuni.pipelines.filters import watermark
from openuni.pipelines.filters.watermark import (
    Gradients,
    Mark,
    WatermarkFilter,
    covered,
    find_marks,
    in_corner,
    isotropy,
    presence,
)
from openuni.pipelines.score_view import OpenForScoring
from openuni.rule import Rule
from openuni.video import encode_rgb_mp4
from tests.pipelines.text_pictures import scenery

HEIGHT, WIDTH = 144, 256
CRISP = {"height": HEIGHT, "width": WIDTH, "spots": ((32, 30.0), (8, 40.0))}
SUGGESTED = Rule("missing(watermark.corner_area_fraction) or watermark.corner_area_fraction <= 0.002")


def score(rgb, **options):
    return dict(WatermarkFilter(**options)(SimpleNamespace(frames=SimpleNamespace(rgb=rgb))).scores)


def kept(scores):
    table = {f"watermark.{name}": np.array([value], dtype=np.float64) for name, value in scores.items()}
    return bool(SUGGESTED.evaluate(table).true[0])


def pan(seed=0, count=10, step=12):
    """Scenery that moves by `step` px from sample to sample, with sensor noise."""
    rng = np.random.default_rng(seed)
    clean = [scenery(seed, shift=step * number, **CRISP) for number in range(count)]
    return np.clip(np.stack(clean) + rng.normal(0, 2, (count, HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


def put(rgb, mark, *, opacity=1.0, colour=(255, 255, 255)):
    """Return a copy with a mark of 24 x 16 px: a frame with a bar in it."""
    shape = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    left, top = mark
    shape[top : top + 16, left : left + 24] = 1
    shape[top + 3 : top + 13, left + 3 : left + 21] = 0
    shape[top + 6 : top + 10, left + 6 : left + 18] = 1
    return np.clip(rgb * (1 - opacity * shape) + opacity * shape * np.float32(colour), 0, 255).astype(np.uint8)


RIGHT_TOP, MIDDLE = (220, 10), (116, 64)


def test_a_logo_over_moving_scenery_is_found_in_its_size_and_falls_to_the_suggested_rule():
    scores = score(put(pan(), RIGHT_TOP))
    # The box lies around the outer edges, which are a pixel wide on either side.
    assert scores["corner_area_fraction"] == pytest.approx(26 * 18 / (HEIGHT * WIDTH), rel=0.15)
    assert scores["area_fraction"] == scores["corner_area_fraction"]
    assert scores["evidence"] > 0.8
    assert not kept(scores)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_scenery_without_a_logo_has_no_mark(seed):
    scores = score(pan(seed))
    assert scores["area_fraction"] == scores["corner_area_fraction"] == 0
    assert kept(scores)


@pytest.mark.parametrize(
    ("opacity", "colour", "found"),
    [(0.5, (255, 255, 255), True), (0.5, (10, 10, 10), True), (0.3, (255, 255, 255), True), (0.03, (255,) * 3, False)],
)
def test_half_transparent_marks_are_found_and_the_faintest_are_not(opacity, colour, found):
    scores = score(put(pan(1), RIGHT_TOP, opacity=opacity, colour=colour))
    assert (scores["corner_area_fraction"] > 0) is found
    assert kept(scores) is not found


def test_a_mark_in_the_middle_counts_but_not_as_in_a_corner():
    scores = score(put(pan(2), MIDDLE))
    assert scores["area_fraction"] > 0.01
    assert scores["corner_area_fraction"] == 0


def test_a_camera_at_rest_shows_nothing_about_marks():
    rng = np.random.default_rng(0)
    still = np.clip(scenery(3, **CRISP) + rng.normal(0, 2, (10, HEIGHT, WIDTH, 3)), 0, 255)
    scores = score(put(still.astype(np.uint8), RIGHT_TOP))
    assert scores["area_fraction"] is None and scores["corner_area_fraction"] is None
    assert scores["evidence"] < 0.2
    assert kept(scores)


def test_a_thing_of_the_scene_is_no_mark_because_what_passes_hides_it(monkeypatch):
    """A sign on a plain wall, camera at rest; something large moves about, and hides the sign in 4 samples of 10."""
    view = put(np.full((10, HEIGHT, WIDTH, 3), 110, np.uint8), RIGHT_TOP)
    for number, left in enumerate((0, 40, 8, 46, 2, 6, 44, 10, 42, 4)):
        moving = scenery(9, shift=45 * number, **{**CRISP, "width": 210})
        view[number, :, left : left + 210] = moving
    scores = score(view)
    assert scores["evidence"] > 0.6
    assert scores["corner_area_fraction"] == 0
    assert score(put(view, RIGHT_TOP))["corner_area_fraction"] > 0  # a logo there is never hidden
    monkeypatch.setattr(watermark, "MIN_PRESENCE", -1.0)
    assert score(view)["corner_area_fraction"] > 0  # what the other conditions would let pass


def test_edges_along_the_camera_motion_are_no_mark():
    rgb = pan(5)
    rgb[:, 40:46] = 250  # a rail along the pan
    scores = score(rgb)
    assert scores["evidence"] > 0.6
    assert scores["area_fraction"] == 0


def test_black_bars_are_no_mark():
    letterbox, window = pan(6), pan(7)
    letterbox[:, :18] = letterbox[:, -18:] = 0
    window[:, :18] = window[:, -18:] = window[:, :, :30] = window[:, :, -30:] = 0
    for rgb in (letterbox, window):
        scores = score(rgb)
        assert scores["evidence"] > 0.6
        assert scores["area_fraction"] == 0


def test_a_banner_that_covers_much_of_the_picture_is_no_mark():
    rgb = pan(8)
    rgb[:, :26] = scenery(1, **{**CRISP, "height": 26})
    assert score(rgb)["area_fraction"] == 0


def test_few_samples_show_nothing_and_many_are_thinned_out():
    with_logo = put(pan(0, count=20), RIGHT_TOP)
    assert set(score(with_logo[:7]).values()) == {None}
    assert score(with_logo[:8])["corner_area_fraction"] > 0.01
    chosen = np.linspace(0, 19, 16).round().astype(int)
    assert score(with_logo) == score(with_logo[chosen])


@pytest.mark.parametrize("shape", [(1, 1), (8, 1000), (1000, 8), (33, 47)])
def test_odd_shapes_noise_and_flat_pictures_have_no_mark(shape):
    noise = np.random.default_rng(0).integers(0, 256, (9, *shape, 3), dtype=np.uint8)
    for rgb in (noise, np.full((9, *shape, 3), 90, np.uint8)):
        scores = score(rgb)
        assert not scores["area_fraction"] and not scores["corner_area_fraction"]
    assert score(np.full((9, *shape, 3), 90, np.uint8))["evidence"] is None  # nothing to see moving


def test_scores_are_the_declared_columns_and_the_same_in_a_second_run():
    rgb = put(pan(), RIGHT_TOP)
    assert score(rgb) == score(rgb)
    assert list(score(rgb)) == [column.name for column in WatermarkFilter.columns]
    assert all(column.unit and column.meaning for column in WatermarkFilter.columns)


def test_a_coded_clip_is_scored_through_the_builds_own_view(tmp_path):
    (tmp_path / "k.mp4").write_bytes(encode_rgb_mp4(put(pan(), RIGHT_TOP, opacity=0.7), fps=2, crf=28))
    clip = Clip(clip_id="0", source="folder", source_key="k", source_video="k", path="k.mp4")
    scores = WatermarkFilter()(OpenForScoring(str(tmp_path))(clip)).scores
    assert scores["corner_area_fraction"] == pytest.approx(26 * 18 / (HEIGHT * WIDTH), rel=0.2)


def test_isotropy_is_the_ratio_of_the_axes():
    assert isotropy(np.array([[3, 0], [0, 4]], np.float32)) == pytest.approx(9 / 16)
    assert isotropy(np.array([[3, -6], [1, -2]], np.float32)) == pytest.approx(0, abs=1e-6)  # float32


def test_presence_is_the_least_response_but_one_of_more_than_ten():
    pattern = np.array([[2, 0], [0, 4]], np.float32)
    shares = np.array([1, 0.5, 0.25, *np.ones(8)], np.float32)
    each = shares[:, None, None] * pattern
    assert presence(each[:10], pattern) == 0.25
    assert presence(each, pattern) == 0.5
    assert presence(each[:10] * [[1], [0]], pattern) == pytest.approx(0.25 * 4 / 20)


def test_marks_need_surroundings_that_change_on_most_sides():
    median = np.zeros((2, 60, 100), np.float32)
    stays = np.zeros((60, 100), bool)
    stays[20:30, 40:50] = True
    median[0, 20:30, 40:45] = median[1, 20:30, 45:50] = 20
    gradients = Gradients(np.stack([median] * 8), median)
    changes = np.zeros((60, 100), bool)
    changes[:, :45] = True  # half of the ring of 3 px
    assert find_marks(gradients, stays, changes) == [Mark(40, 20, 10, 10)]
    changes[:, 44] = False
    assert find_marks(gradients, stays, changes) == []


@pytest.mark.parametrize(
    ("mark", "corner"),
    [((0, 0, 10, 10), True), ((90, 50, 10, 10), True), ((45, 0, 10, 10), False), ((0, 25, 9, 9), False)],
)
def test_corners_are_near_two_borders(mark, corner):
    assert in_corner(Mark(*mark), (60, 100)) is corner


def test_overlapping_boxes_count_once():
    assert covered([Mark(0, 0, 10, 10), Mark(5, 5, 10, 10)], (50, 100)) == 175 / 5000
    assert covered([], (50, 100)) == 0

"""People: what the HOG detector takes for upright people, in drawn figures, textures, and photos if there are any."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from openuni.errors import BadInput
from openuni.pipelines.filters.people import HogPeopleFilter, spread
from tests.pipelines.filter_cases import ODD, of_frames

HEIGHT, WIDTH = 256, 320
SPEC = importlib.util.find_spec("ultralytics")  # found, not imported: AGPL


def score(rgb, **options):
    stage = HogPeopleFilter(**options)
    stage.setup()
    return dict(stage(of_frames(rgb)).scores)


def draw_figure(picture, x, height_px, foot=235, grey=45):
    """Draw an upright figure eight heads high: head, body, arms, legs apart."""
    import cv2

    colour, unit, top = (grey,) * 3, height_px / 8, foot - height_px
    cv2.circle(picture, (x, int(top + 0.55 * unit)), int(0.5 * unit), colour, -1, cv2.LINE_AA)
    body = (int(0.95 * unit), int(1.75 * unit))
    cv2.ellipse(picture, (x, int(top + 2.6 * unit)), body, 0, 0, 360, colour, -1, cv2.LINE_AA)
    for side in (-1, 1):
        for start, end, width in (((0.45, 3.6), (0.7, 7.9), 0.75), ((0.8, 1.6), (1.25, 4.2), 0.45)):
            ends = [(int(x + side * dx * unit), int(top + dy * unit)) for dx, dy in (start, end)]
            cv2.line(picture, *ends, colour, int(width * unit), cv2.LINE_AA)
    return picture


def scene(*figures):
    """A light wall with figures: (x, height_px)."""
    import cv2

    picture = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    for x, height_px in figures:
        draw_figure(picture, x, height_px)
    return cv2.GaussianBlur(picture, (0, 0), 1)


def texture(seed, sigma):
    import cv2

    noise = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma) if sigma else noise
    return np.repeat(np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_drawn_figures_are_counted_and_measured():
    assert score([scene((160, 150))])["hog_count"] == 1
    two = score([scene((90, 150), (230, 150))])
    assert two["hog_count"] == 2
    assert two["hog_max_score"] > 1
    # 15 %: the pyramid's steps are 10 %, and the box's margin is a mean.
    assert two["hog_height_fraction"] == pytest.approx(150 / HEIGHT, rel=0.15)


def test_figures_below_96_px_are_not_found():
    assert score([scene((160, 60))])["hog_count"] == 0


def test_count_is_the_median_of_the_frames_and_the_other_scores_are_the_best():
    empty, one = scene(), scene((160, 150))
    alone = score([one])
    assert score([empty, one, one], num_frames=3) == alone
    mostly_empty = score([empty, one, empty], num_frames=3)
    assert mostly_empty == alone | {"hog_count": 0}


@pytest.mark.parametrize("sigma", [0, 1, 2, 4, 8])
def test_textures_hold_no_people(sigma):
    assert score([texture(seed, sigma) for seed in range(3)]) == {
        "hog_count": 0,
        "hog_max_score": 0.0,
        "hog_height_fraction": 0.0,
    }


def test_constant_picture_holds_nobody():
    assert score(np.full((2, HEIGHT, WIDTH, 3), 90, np.uint8))["hog_count"] == 0


@pytest.mark.parametrize("shape", [(1, 1), (8, 1000), (1000, 8), (33, 47), (111, 48), (112, 47)])
def test_frames_smaller_than_the_window_are_missing(shape):
    assert set(score(np.zeros((2, *shape, 3), np.uint8)).values()) == {None}


@pytest.mark.parametrize("shape", [(112, 48), (128, 64), (113, 1000), (1000, 49)])
def test_frames_as_large_as_the_window_are_scored(shape):
    scores = score(np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8))
    assert scores["hog_count"] >= 0 and scores["hog_max_score"] >= 0 and 0 <= scores["hog_height_fraction"] <= 1


@pytest.mark.parametrize("name", ODD)
def test_odd_clips_are_scored(name):
    assert set(score(ODD[name]).values()) == {None}  # all are smaller than the window


def test_no_frames_are_missing_and_not_zero():
    assert set(score(np.zeros((0, HEIGHT, WIDTH, 3), np.uint8)).values()) == {None}


def test_frames_are_the_middles_of_equal_parts():
    assert spread(9, 3) == [1, 4, 7]
    assert spread(10, 3) == [1, 5, 8]
    assert spread(2, 3) == [0, 1]
    assert spread(1, 3) == [0]
    assert all(len(set(spread(total, 5))) == min(total, 5) for total in range(1, 40))


def test_scores_are_the_same_in_a_second_run():
    rgb = [scene((90, 150), (230, 120)), texture(0, 1)]
    assert score(rgb) == score(rgb)


def test_opencv_without_the_detector_is_a_clear_message(monkeypatch):
    import cv2

    monkeypatch.delattr(cv2, "HOGDescriptor")
    with pytest.raises(BadInput, match=r"needs OpenCV 4's HOGDescriptor; .* leave the filter out"):
        HogPeopleFilter().setup()


def test_no_frames_to_look_at_is_a_clear_message():
    with pytest.raises(BadInput, match="people.num_frames must be at least 1, got 0"):
        HogPeopleFilter(num_frames=0)


def test_the_filter_gives_exactly_the_columns_it_declares_and_says_hog_in_each():
    stage = HogPeopleFilter()
    stage.setup()
    scores = stage(of_frames(np.full((1, HEIGHT, WIDTH, 3), 90, np.uint8))).scores
    assert list(scores) == [column.name for column in stage.columns]
    assert all(column.name.startswith("hog_") and "weak" in column.meaning for column in stage.columns)


@pytest.mark.skipif(SPEC is None, reason="ultralytics, which ships the photos, is not installed")
def test_photo_of_four_people_at_a_bus_shows_at_least_one_and_a_close_up_of_two_shows_none():
    import cv2

    found = {}
    for name in ("bus", "zidane"):
        photo = cv2.imread(str(Path(SPEC.origin).parent / "assets" / f"{name}.jpg"))
        scale = 256 / min(photo.shape[:2])
        size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
        found[name] = score([cv2.resize(photo, size, interpolation=cv2.INTER_AREA)[..., ::-1].copy()])["hog_count"]
    assert 1 <= found["bus"] <= 4
    assert found["zidane"] == 0

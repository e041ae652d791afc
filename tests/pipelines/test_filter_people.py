"""HOG's people are few, bounded and marked as a weak prior."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from openuni.pipelines.filters.people import PeopleFilter, best_of_each
from tests.pipelines.filter_cases import ODD, of_frames, texture


def score(rgb, **options):
    stage = PeopleFilter(**options)
    stage.setup()
    return dict(stage(of_frames(rgb)).scores)


def test_textures_hold_nobody():
    for seed in range(3):
        scores = score(np.stack([texture(256, 455, seed)] * 3))
        assert scores == {"hog_count": 0.0, "hog_max_score": 0.0, "hog_height_fraction": 0.0}


def test_a_photo_of_people_holds_somebody():
    found = importlib.util.find_spec("ultralytics")
    if found is None or not found.origin:
        pytest.skip("the photo comes with ultralytics, an extra")
    import cv2

    photo = cv2.imread(str(Path(found.origin).parent / "assets" / "bus.jpg"))[..., ::-1]
    small = cv2.resize(photo, (round(photo.shape[1] * 540 / photo.shape[0]), 540), interpolation=cv2.INTER_AREA)
    scores = score(np.stack([small] * 3))
    # One of the four who stand there, of 128 px in 540: that is how weak a prior it is.
    assert scores["hog_count"] == 1 and scores["hog_max_score"] > 0.5
    assert scores["hog_height_fraction"] == pytest.approx(128 / 540, abs=0.05)


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_give_the_declared_columns_and_small_ones_none(name):
    scores = score(ODD[name])
    assert list(scores) == [column.name for column in PeopleFilter.columns]
    assert all(value is None for value in scores.values())  # all of them are smaller than the detector's window


def test_the_surest_of_boxes_that_overlap_is_one_person():
    boxes = [(0, 0, 64, 128), (8, 4, 64, 128), (200, 0, 64, 128)]
    assert best_of_each(boxes, [0.6, 0.9, 0.7]) == [((8, 4, 64, 128), 0.9), ((200, 0, 64, 128), 0.7)]


def test_every_column_says_that_it_is_hogs():
    assert all(column.name.startswith("hog_") for column in PeopleFilter.columns)

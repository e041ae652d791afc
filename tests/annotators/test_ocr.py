"""OCR: boxes of made probability maps, CTC by hand, and words that are known because they were drawn."""

import numpy as np
import pytest

from openuni.annotators.ocr import Ocr, boxes_of, decode


def sides(corners):
    """Length of the upper and of the left side."""
    return np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])


def test_a_kernel_becomes_a_box_grown_by_area_times_ratio_over_perimeter():
    probability = np.zeros((64, 128), np.float32)
    probability[20:30, 30:90] = 0.9
    corners, scores = boxes_of(probability)
    # Widened by one pixel; corners lie on pixel centres: 60 x 10. Each axis grows by 60 * 10 * 1.6 / 70 = 13.71.
    assert sides(corners[0]) == pytest.approx((60 + 13.714, 10 + 13.714), abs=0.01)
    centre = (29.5 + 90) / 2, (19.5 + 30) / 2
    assert corners[0].mean(axis=0) == pytest.approx(centre, abs=0.5)
    assert corners[0][0] == pytest.approx(corners[0].min(axis=0))
    assert scores[0] == pytest.approx(0.9 * 60 * 10 / (61 * 11), rel=0.01)


def test_a_slanted_kernel_becomes_a_slanted_box():
    import cv2

    drawn = np.zeros((200, 200), np.uint8)
    rectangle = cv2.boxPoints(((100, 100), (80, 20), -30)).astype(np.int32)
    cv2.fillPoly(drawn, [rectangle], 1)
    ((box,), _) = boxes_of(drawn.astype(np.float32))
    across = box[1] - box[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(-30, abs=1.5)
    long, thick = sides(box)
    assert long - thick == pytest.approx(60, abs=1.5)  # both grow by the same


@pytest.mark.parametrize(("value", "thickness", "count"), [(0.9, 5, 1), (0.9, 2, 0), (0.31, 5, 0), (0.29, 5, 0)])
def test_thin_faint_and_empty_maps_have_no_boxes(value, thickness, count):
    # 0.31 is above the threshold of a pixel, but the widened box has a lower mean.
    probability = np.zeros((64, 64), np.float32)
    probability[10 : 10 + thickness, 10:40] = value
    corners, scores = boxes_of(probability)
    assert corners.shape == (count, 4, 2) and scores.shape == (count,)


def test_ctc_joins_repeats_and_keeps_those_that_a_blank_divides():
    steps = [1, 1, 0, 1, 2, 2, 0, 0]
    probabilities = np.full((len(steps), 3), 0.1)
    probabilities[np.arange(len(steps)), steps] = 0.8
    probabilities[3, 1] = 0.5
    reading = decode(probabilities, ["", "a", "b"])
    assert reading.text == "aab"
    assert reading.confidence == pytest.approx((0.8 + 0.5 + 0.8) / 3)  # the first step of each letter
    assert decode(np.array([[0.9, 0.1]]), ["", "a"]) == ("", 0.0)


@pytest.fixture(scope="module")
def networks():
    return Ocr()


def test_drawn_words_are_found_where_they_are_and_read(networks):
    import cv2

    picture = np.full((240, 400, 3), (200, 220, 190), np.uint8)
    (width, height), _ = cv2.getTextSize("Meadow 42", cv2.FONT_HERSHEY_SIMPLEX, 1, 2)
    cv2.putText(picture, "Meadow 42", (80, 120), cv2.FONT_HERSHEY_SIMPLEX, 1, (30, 20, 90), 2, cv2.LINE_AA)
    corners, scores = networks.detect(picture, short_side_px=240)
    assert len(corners) == 1 and scores[0] > 0.7
    # Grown by up to half of the letters' height on each side.
    assert corners[0].min(axis=0) == pytest.approx((80, 120 - height), abs=height / 2 + 2)
    assert corners[0].max(axis=0) == pytest.approx((80 + width, 120), abs=height / 2 + 2)
    reading = networks.read(picture, corners[0])
    assert reading.text == "Meadow 42" and reading.confidence > 0.9
    upright = np.ascontiguousarray(np.rot90(picture, -1))  # turned clockwise: read from top to bottom
    ((turned,), _) = networks.detect(upright, short_side_px=240)
    assert sides(turned)[1] > 3 * sides(turned)[0]


def test_boxes_are_in_pixels_of_the_given_picture_whatever_the_work_size(networks):
    import cv2

    picture = np.full((480, 800, 3), 230, np.uint8)
    cv2.putText(picture, "Meadow", (300, 240), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 5, cv2.LINE_AA)
    large, small = (networks.detect(picture, short_side_px=side).corners[0] for side in (384, 192))
    assert large == pytest.approx(small, abs=12)  # the kernels' borders, some 3 px in the smaller one

"""Boxes: overlaps against counted pixels, suppression by hand."""

import numpy as np

from openuni.annotators.boxes import areas, clipped, intersections, ious, suppress


def whole_boxes(seed, count):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 20, (count, 2))
    return np.concatenate([corner, corner + rng.integers(1, 15, (count, 2))], axis=1).astype(np.float32)


def pixels(box):
    x0, y0, x1, y1 = map(int, box)
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def test_overlaps_are_those_of_counted_pixels():
    first, second = whole_boxes(0, 7), whole_boxes(1, 5)
    for i, one in enumerate(first):
        assert areas(first)[i] == len(pixels(one))
        for j, other in enumerate(second):
            common, union = len(pixels(one) & pixels(other)), len(pixels(one) | pixels(other))
            assert intersections(first, second)[i, j] == common
            assert np.isclose(ious(first, second)[i, j], common / union)


def test_empty_boxes_overlap_nothing():
    empty = np.array([[3, 3, 3, 9], [5, 5, 2, 2]], np.float32)
    assert not areas(empty).any() and not ious(empty, empty).any()
    assert ious(np.zeros((0, 4)), empty).shape == (0, 2)


def test_suppression_keeps_the_best_of_what_overlaps():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 5]], np.float32)
    scores = np.array([0.5, 0.9, 0.1, 0.8], np.float32)  # IoU with box 1: 9/11, 0, 45/105
    assert suppress(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert suppress(boxes, scores, 0.4).tolist() == [1, 2]
    assert suppress(boxes, scores, 0.9).tolist() == [1, 3, 0, 2]
    assert suppress(boxes[:0], scores[:0], 0.5).tolist() == []


def test_boxes_are_cut_at_the_picture():
    assert clipped(np.array([[-3.0, 2, 50, 70]]), 60, 40).tolist() == [[0, 2, 40, 60]]

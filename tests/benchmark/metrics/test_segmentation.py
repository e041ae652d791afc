"""Mask metrics: small tubes by hand, matching against all permutations, boundaries against distances."""

import contextlib
import io
import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.benchmark.metrics.boundary import boundary_f, outline
from openuni.benchmark.metrics.segmentation import (
    average_precision,
    boundary_f_mean,
    class_miou,
    foreground_iou,
    match,
    miou,
    miou_by_frame,
    overlaps,
    region_j,
)

METRICS = (miou, miou_by_frame, foreground_iou, average_precision, region_j, boundary_f_mean)


def two_tubes():
    """Id 1 of 4 px, id 2 of 2 px, in both of two frames."""
    true = np.zeros((2, 4, 6), np.uint8)
    true[:, :2, :2], true[:, 3, 4:] = 1, 2
    return true


def test_iou_of_tubes_by_hand():
    true = two_tubes()
    predicted = np.zeros_like(true)
    predicted[0, :2, :2] = 7  # half of tube 1, and one pixel too much
    predicted[0, 2, 0] = 7
    found = overlaps(predicted, true)
    assert found.true_ids.tolist() == [1, 2] and found.predicted_ids.tolist() == [7]
    assert found.iou.tolist() == [[4 / 9], [0]]
    assert miou(predicted, true) == pytest.approx((4 / 9 + 0) / 2)


def test_perfect_masks_are_perfect_whatever_their_ids():
    true = two_tubes()
    renamed = np.array([0, 200, 3], np.uint8)[true]
    assert [metric(renamed, true) for metric in METRICS] == [1] * 6


def test_ids_that_change_cost_by_clip_and_not_by_frame():
    true = two_tubes()
    true[:, 3, 2:] = 2  # as large as tube 1
    swapped = true.copy()
    swapped[1] = np.array([0, 2, 1], np.uint8)[true[1]]
    assert miou_by_frame(swapped, true) == 1 and foreground_iou(swapped, true) == 1
    assert miou(swapped, true) == pytest.approx(1 / 3)  # 4 px in one frame of 4 + 4 + 4
    assert average_precision(swapped, true) == 0


def test_an_extra_instance_lowers_ap_and_not_miou():
    true = two_tubes()
    extra = true.copy()
    extra[:, 0, 5] = 9
    assert miou(extra, true) == 1
    assert average_precision(extra, true) == pytest.approx(2 / 3)  # precision 2/3, recall 1


def test_ap_is_precision_times_recall_at_each_threshold():
    true = np.zeros((1, 1, 20), np.uint8)
    true[0, 0, :10] = 1
    predicted = np.zeros_like(true)
    predicted[0, 0, :7] = 1  # IoU 0.7: found at .5 to .7, five of ten thresholds
    assert average_precision(predicted, true) == pytest.approx(0.5)
    predicted[0, 0, 7] = 2  # one more estimate that is none
    assert average_precision(predicted, true) == pytest.approx(0.25)


def test_class_miou_is_tp_over_tp_fp_fn_by_class():
    true = np.zeros((1, 2, 6), np.uint8)
    true[0, 0, :4], true[0, 1, :2], true[0, 1, 4:] = 1, 2, 3
    predicted = np.zeros_like(true)
    predicted[0, 0, :3], predicted[0, 1, :3] = 7, 8
    classes, said = {1: "dog", 2: "cat", 3: "cat"}, {7: "dog", 8: "cat"}
    # Dog: 3 right, none too many, 1 missing. Cat: 2 right, 1 too many, 2 missing.
    found = class_miou(predicted, true, classes=classes, predicted_classes=said)
    assert found == pytest.approx((3 / 4 + 2 / 5) / 2)
    # Without classes of its own an instance has that of the one it is matched with: the same here.
    assert class_miou(predicted, true, classes=classes) == found
    assert class_miou(predicted, true, classes=classes, predicted_classes={7: "cat", 8: "dog"}) == 0
    valid = true != 3
    assert class_miou(predicted, true, valid, classes=classes) == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_class_miou_against_a_loop_over_pixels():
    rng = np.random.default_rng(8)
    true, predicted = rng.integers(0, 5, (2, 3, 6, 7)).astype(np.uint8)
    classes = {1: "a", 2: "b", 3: "a"}  # 4 has no class
    said = {1: "a", 2: "a", 3: "b", 4: "c"}
    counts = {"a": [0, 0], "b": [0, 0]}
    for p, g in zip(predicted.ravel().tolist(), true.ravel().tolist(), strict=True):
        for name, pair in counts.items():
            mine, theirs = said.get(p) == name, classes.get(g) == name
            pair[0] += mine and theirs
            pair[1] += mine or theirs
    expected = np.mean([right / either for right, either in counts.values()])
    assert class_miou(predicted, true, classes=classes, predicted_classes=said) == pytest.approx(expected)


def test_class_miou_without_a_true_class_is_undefined():
    assert math.isnan(class_miou(two_tubes(), two_tubes(), classes={}))
    assert class_miou(two_tubes() * 0, two_tubes(), classes={1: "a", 2: "b"}) == 0


def scored_clip(seed):
    """Tubes of several lengths, estimates that are shifted, missing, cut in two or invented, all scores different."""
    rng = np.random.default_rng(seed)
    true, predicted = np.zeros((2, 4, 24, 40), np.uint16)
    for one in range(1, 7):
        y, x = 4 * ((one - 1) // 2) * 2, 20 * ((one - 1) % 2)
        true[: rng.integers(2, 5), y : y + 6, x + 2 : x + 14] = one
        shift = rng.integers(0, 5)
        if rng.random() < 0.85:
            predicted[:, y : y + 6, x + 2 + shift : x + 14] = 20 + one
        if rng.random() < 0.4:
            predicted[2:, y : y + 6, x + 10 : x + 14] = 40 + one
        if rng.random() < 0.4:
            predicted[0, y : y + 3, x + 16 : x + 19] = 60 + one
    ids = [int(one) for one in np.unique(predicted) if one]
    return predicted, true, dict(zip(ids, rng.permutation(len(ids)) / len(ids), strict=True))


def coco_mask_ap(predicted, true, scores):
    """pycocotools on one tall image, in which a tube is one mask."""
    from pycocotools import mask as runs
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rle(maps, one):
        return runs.encode(np.asfortranarray((maps == one).reshape(-1, maps.shape[2]), np.uint8))

    tall = {"id": 1, "height": true.shape[0] * true.shape[1], "width": true.shape[2]}
    truth = {"images": [tall], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for one in np.unique(true[true > 0]).tolist():
        code = rle(true, one)
        about = {"id": one, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": float(runs.area(code))}
        truth["annotations"].append({**about, "bbox": runs.toBbox(code).tolist(), "segmentation": code})
    found = [
        {"image_id": 1, "category_id": 1, "score": score, "segmentation": rle(predicted, one)}
        for one, score in scores.items()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "segm")
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.params.maxDets = [100]
        run.evaluate()
        run.accumulate()
    return float(run.eval["precision"].mean())


@pytest.mark.parametrize("seed", range(6))
def test_ap_with_scores_is_pycocotools(seed):
    pytest.importorskip("pycocotools")
    predicted, true, scores = scored_clip(seed)
    expected = coco_mask_ap(predicted, true, scores)
    assert 0.02 < expected < 0.98  # the clip tells good from bad
    assert average_precision(predicted, true, scores=scores) == pytest.approx(expected, rel=1e-9)


def test_ap_with_equal_scores_does_not_depend_on_the_order_of_ids():
    predicted, true, scores = scored_clip(1)
    same = dict.fromkeys(scores, 0.5)
    turned = np.where(predicted > 0, 100 - predicted, 0).astype(np.uint16)
    found = average_precision(predicted, true, scores=same)
    assert average_precision(turned, true, scores={100 - one: 0.5 for one in same}) == pytest.approx(found)
    # One point of the curve: its area is precision times recall, to COCO's grid of 101 recalls.
    assert found == pytest.approx(average_precision(predicted, true), abs=0.01)


def test_a_wrong_instance_costs_nothing_below_all_right_ones_and_much_above():
    true = two_tubes()
    predicted = true.copy()
    predicted[:, 0, 5] = 3
    assert average_precision(predicted, true, scores={1: 0.9, 2: 0.8, 3: 0.1}) == 1
    assert average_precision(predicted, true, scores={1: 0.9, 2: 0.8, 3: 1.0}) == pytest.approx(2 / 3)
    assert average_precision(0 * true, true, scores={}) == 0
    with pytest.raises(ValueError, match=r"scores lack the ids \[2, 3\]"):
        average_precision(predicted, true, scores={1: 0.9})


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined():
    true = two_tubes()
    nothing = np.zeros_like(true)
    assert [metric(nothing, true) for metric in METRICS] == [0] * 6
    for metric in METRICS:
        assert math.isnan(metric(nothing, nothing))
    assert math.isnan(miou(true, nothing)) and foreground_iou(true, nothing) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_matching_is_the_best_of_all_permutations(rows, columns, seed):
    iou = np.random.default_rng(seed).random((rows, columns))
    total = iou[match(iou)].sum()
    long = iou if rows <= columns else iou.T
    best = max(
        sum(long[row, column] for row, column in enumerate(p)) for p in permutations(range(long.shape[1]), len(long))
    )
    assert total == pytest.approx(best)


def test_pixels_that_do_not_count_change_nothing():
    true = two_tubes()
    wrong, valid = true.copy(), np.ones(true.shape, bool)
    wrong[:, 2], valid[:, 2] = 5, False
    assert miou(wrong, true, valid) == average_precision(wrong, true, valid) == region_j(wrong, true, valid) == 1
    gone = true != 2
    assert overlaps(true, true, gone).true_ids.tolist() == [1]


def test_j_is_the_mean_over_frames_and_one_where_both_are_empty():
    true = np.zeros((4, 2, 4), np.uint8)
    true[:2, 0, :2] = 1
    predicted = true.copy()
    predicted[0, 0, 0] = 0  # half of it
    predicted[3, 1, 3] = 1  # where there is nothing
    assert region_j(predicted, true) == pytest.approx((0.5 + 1 + 1 + 0) / 4)


def test_outline_is_where_a_pixel_differs_from_right_below_or_across():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    expected = ["####"[:3] + ".", "#.#.", "###.", "...."]
    assert ["".join(".#"[int(one)] for one in row) for row in outline(mask)] == expected
    assert not outline(np.ones((3, 3), bool)).any()


def test_boundary_f_forgives_what_lies_within_the_tolerance():
    true = np.zeros((120, 160), bool)  # diagonal 200: tolerance ceil(1.6) = 2 px
    true[40:80, 40:80] = True
    assert boundary_f(np.roll(true, 2, axis=1), true) == 1
    assert 0.4 < boundary_f(np.roll(true, 3, axis=1), true) < 0.6  # two of four sides are out of reach
    assert boundary_f(np.roll(true, 30, axis=(0, 1)), true) < 0.1
    empty = np.zeros_like(true)
    assert (boundary_f(empty, empty), boundary_f(true, empty), boundary_f(empty, true)) == (1, 0, 0)


def test_boundary_f_against_distances_between_outlines():
    rng = np.random.default_rng(2)
    true = np.zeros((60, 80), bool)
    true[10:40, 20:50] = True
    predicted = true.copy()
    predicted[rng.integers(0, 60, 40), rng.integers(0, 80, 40)] ^= True
    points = [np.argwhere(outline(mask)) for mask in (predicted, true)]
    distance = np.hypot(*np.moveaxis(points[0][:, None] - points[1][None], -1, 0))
    reach = math.ceil(0.008 * 100)
    precision, recall = (distance.min(1) <= reach).mean(), (distance.min(0) <= reach).mean()
    assert boundary_f(predicted, true) == pytest.approx(2 * precision * recall / (precision + recall))


def test_masks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="predicted must start with shape"):
        miou(two_tubes()[:1], two_tubes())

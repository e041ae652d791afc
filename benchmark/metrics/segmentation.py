"""Mask metrics: instances are tubes over the whole clip, matched once, so an id that changes costs.

Maps are (T, H, W) instance ids, 0 is background. A tube is all pixels of one id in all frames; the IoU of two tubes is
sum over t |P and G| / sum over t |P or G| (YouTube-VIS, arXiv 1905.04804). Estimated tubes are given to true ones by
Hungarian matching on it. Masks alone have no scores, and then average precision is precision times recall at each
threshold; with scores it is COCO's, a clip standing for an image. Classes count only in `class_miou`.
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from openuni.benchmark.metrics.boundary import boundary_f
from openuni.benchmark.metrics.coco_ap import MAX_INSTANCES, THRESHOLDS, coco_ap
from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio


class Overlaps(NamedTuple):
    """How the instances of two maps overlap, in pixels."""

    predicted_ids: np.ndarray
    """(P,) the estimate's ids."""
    true_ids: np.ndarray
    """(G,)"""
    iou: np.ndarray
    """(G, P)"""


def overlaps(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> Overlaps:
    """Measure how the instances of two maps overlap.

    Args:
        predicted: (..., H, W) unsigned ids, 0 is background.
        true: same shape.
        valid: same shape, bool; other pixels belong to no instance. None: all.

    Raises:
        ValueError: shapes differ.
    """
    check_shapes(true.shape, predicted=predicted, **({} if valid is None else {"valid": valid}))
    p, g = (predicted.ravel(), true.ravel()) if valid is None else (predicted[valid], true[valid])
    columns = int(p.max(initial=0)) + 1
    pairs = np.bincount(g.astype(np.int64) * columns + p, minlength=columns * (int(g.max(initial=0)) + 1)).reshape(
        -1, columns
    )
    true_ids, predicted_ids = np.flatnonzero(pairs.sum(1)), np.flatnonzero(pairs.sum(0))
    true_ids, predicted_ids = true_ids[true_ids > 0], predicted_ids[predicted_ids > 0]
    both = pairs[np.ix_(true_ids, predicted_ids)]
    either = pairs.sum(1)[true_ids][:, None] + pairs.sum(0)[predicted_ids][None] - both
    return Overlaps(predicted_ids, true_ids, both / np.maximum(either, 1))


def match(iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give estimates to truths so that the sum of IoU is largest; pairs that do not overlap are no pairs.

    Returns:
        Rows and columns of `iou` that belong together.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(iou, maximize=True)
    kept = iou[rows, columns] > 0
    return rows[kept], columns[kept]


def miou(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Mean IoU of the true instances' tubes and those matched to them, 0 for one without; 1 is perfect.

    Estimated instances that match nothing do not lower it: average_precision sees those. NaN without a true instance.
    See `overlaps`.
    """
    iou = overlaps(predicted, true, valid).iou
    return ratio(iou[match(iou)].sum(), len(iou))


def apart(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Share of pairs of true instances whose commonest estimated ids differ, neither being background; 1 is perfect.

    An instance's commonest id is that of most of its pixels over the clip. NaN with fewer than two true instances.
    Shapes as in `overlaps`.
    """
    check_shapes(true.shape, predicted=predicted, **({} if valid is None else {"valid": valid}))
    p, g = (predicted.ravel(), true.ravel()) if valid is None else (predicted[valid], true[valid])
    commonest = [int(np.bincount(p[g == one]).argmax()) for one in np.unique(g[g > 0])]
    pairs = list(combinations(commonest, 2))
    return ratio(sum(a != b and min(a, b) > 0 for a, b in pairs), len(pairs))


def miou_by_frame(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Mean IoU with ids free to change: matched anew in every frame, averaged over (instance, frame) with it in sight.

    Its distance to `miou` is what unstable ids cost.
    """
    total, count = 0.0, 0
    for t in range(len(true)):
        iou = overlaps(predicted[t], true[t], None if valid is None else valid[t]).iou
        total, count = total + float(iou[match(iou)].sum()), count + len(iou)
    return ratio(total, count)


def foreground_iou(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """IoU of all instances taken together, whatever their ids. NaN if neither map has any."""
    p, g = predicted > 0, true > 0
    if valid is not None:
        p, g = p & valid, g & valid
    return ratio((p & g).sum(), (p | g).sum())


def class_miou(
    predicted: np.ndarray,
    true: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    classes: Mapping[int, str],
    predicted_classes: Mapping[int, str] | None = None,
) -> float:
    """Mean over the truth's classes of TP / (TP + FP + FN), counted in pixels of the whole clip.

    Args:
        predicted: (T, H, W) unsigned ids, 0 is background.
        true: same shape.
        valid: (T, H, W) bool; other pixels do not count. None: all.
        classes: class of each true id; ids without one are of no class.
        predicted_classes: class of each estimated id. None: the estimate has none, and each instance gets the class
            of the true one it is matched with (see `match`), none if there is no such one.

    Returns:
        1 is perfect. Background is no class. NaN if no pixel has a true class.

    Source: the Jaccard index by class (PASCAL VOC segmentation), of a clip instead of a data set.
    """
    found = overlaps(predicted, true, valid)
    if predicted_classes is None:
        pairs = zip(*match(found.iou), strict=True)
        named = {int(found.predicted_ids[column]): int(found.true_ids[row]) for row, column in pairs}
        predicted_classes = {column: classes[row] for column, row in named.items() if row in classes}
    names = sorted({classes[int(one)] for one in found.true_ids if int(one) in classes})
    values = []
    for name in names:
        p, g = (_of_class(ids, of, name) for ids, of in ((predicted, predicted_classes), (true, classes)))
        if valid is not None:
            p, g = p & valid, g & valid
        values.append(ratio((p & g).sum(), (p | g).sum()))
    return float(np.mean(values)) if values else float("nan")


def _of_class(ids: np.ndarray, classes: Mapping[int, str], name: str) -> np.ndarray:
    return np.isin(ids, [one for one, own in classes.items() if own == name])


def average_precision(
    predicted: np.ndarray,
    true: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    scores: Mapping[int, float] | None = None,
) -> float:
    """AP@[.5:.95] of tubes, class-agnostic.

    Without scores: mean over thresholds of precision times recall, since a curve of estimates that are all equal is
    one point, whatever their order. With scores: COCO's interpolated area, all sizes, at most 100 instances, a clip
    as one image; equal scores count as one point of the curve. NaN without a true instance.

    Args:
        predicted: see `overlaps`.
        true: see `overlaps`.
        valid: see `overlaps`.
        scores: confidence of each estimated id.

    Raises:
        ValueError: an id has no score.
    """
    found = overlaps(predicted, true, valid)
    if not len(found.iou):
        return float("nan")
    if scores is not None:
        if missing := sorted({int(one) for one in found.predicted_ids} - set(scores)):
            raise ValueError(f"scores lack the ids {missing}: give one for each instance")
        given = np.array([scores[int(one)] for one in found.predicted_ids], np.float64)
        nobody = np.zeros(len(found.iou), bool)
        return coco_ap([(found.iou.T, given, nobody)], max_estimates=MAX_INSTANCES, tie_aware=True)
    iou = found.iou
    right = np.array([len(match(np.where(iou >= threshold, iou, 0))[0]) for threshold in THRESHOLDS])
    return float(np.mean(right / max(iou.shape[1], 1) * right / iou.shape[0]))


def region_j(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """J of DAVIS: IoU of a frame's masks, mean over frames, then over true instances.

    Instances are matched once for the clip by tube IoU (DAVIS unsupervised matches by J and F; one without a match
    has an empty estimate). A frame where both are empty counts 1, as in DAVIS.

    Args:
        predicted: (T, H, W) unsigned ids, 0 is background.
        true: same shape.
        valid: (T, H, W) bool; other pixels do not count. None: all.

    Returns:
        1 is perfect. NaN without a true instance.

    Source: Perazzi et al., CVPR 2016; Pont-Tuset et al. (arXiv 1704.00675).
    """
    return _mean_over_instances(_frame_iou, predicted, true, valid)


def boundary_f_mean(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """F of DAVIS: F of a frame's outlines (see `boundary_f`), mean over frames, then over true instances.

    Matching, empty frames, arguments and source as for `region_j`.
    """
    return _mean_over_instances(boundary_f, predicted, true, valid)


def _mean_over_instances(
    score: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    predicted: np.ndarray,
    true: np.ndarray,
    valid: np.ndarray | None,
) -> float:
    """Mean of a frame's score of (H, W) estimate, truth and valid pixels."""
    found = overlaps(predicted, true, valid)
    pairs = dict(zip(*match(found.iou), strict=True))
    seen = np.ones(true.shape, bool) if valid is None else valid
    means = []
    for row, one in enumerate(found.true_ids):
        mine = true == one
        theirs = predicted == found.predicted_ids[pairs[row]] if row in pairs else np.zeros_like(mine)
        means.append(np.mean([score(*frame) for frame in zip(theirs, mine, seen, strict=True)]))
    return float(np.mean(means)) if means else float("nan")


def _frame_iou(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    either = ((predicted | true) & valid).sum()
    return float((predicted & true & valid).sum() / either) if either else 1.0


TUBES = "Hungarian on tube IoU, once per clip; mean over true instances"
MIOU = Metric(
    name="segmentation.miou",
    unit="1",
    higher_is_better=True,
    protocol=TUBES,
    source="tube IoU of YouTube-VIS (arXiv 1905.04804); mean over true instances: ours, the paper gives no definition",
    function=miou,
)
MIOU_BY_FRAME = Metric(
    name="segmentation.miou_by_frame",
    unit="1",
    higher_is_better=True,
    protocol="Hungarian in every frame; mean over (true instance, frame)",
    source="ours, to tell wrong masks from unstable ids",
    function=miou_by_frame,
)
APART = Metric(
    name="segmentation.apart",
    unit="1",
    higher_is_better=True,
    protocol="commonest id over the clip; pairs of true instances",
    source="ours, to tell whether a model gives things numbers of their own",
    function=apart,
)
FOREGROUND_IOU = Metric(
    name="segmentation.foreground_iou",
    unit="1",
    higher_is_better=True,
    protocol="all instances together, over the clip",
    source="Jaccard index",
    function=foreground_iou,
)
CLASS_MIOU = Metric(
    name="segmentation.class_miou",
    unit="1",
    higher_is_better=True,
    protocol="TP / (TP + FP + FN) over the clip's pixels, mean over the truth's classes; without classes by matching",
    source="PASCAL VOC segmentation",
    function=class_miou,
)
AP = Metric(
    name="segmentation.ap",
    unit="1",
    higher_is_better=True,
    protocol="tubes, class-agnostic, IoU .5:.05:.95; clip: no scores, precision times recall; scored: COCO's area",
    source="COCO, tubes of YouTube-VIS (arXiv 1905.04804)",
    function=average_precision,
)
J = Metric(
    name="segmentation.j",
    unit="1",
    higher_is_better=True,
    protocol=f"region IoU, mean over frames; {TUBES}",
    source="DAVIS (Perazzi et al., CVPR 2016; arXiv 1704.00675)",
    function=region_j,
)
F = Metric(
    name="segmentation.f",
    unit="1",
    higher_is_better=True,
    protocol=f"boundary F, mean over frames; {TUBES}",
    source="DAVIS (Perazzi et al., CVPR 2016; arXiv 1704.00675)",
    function=boundary_f_mean,
)

"""DensePose metrics: parts as a segmentation, U and V where the part is right.

Parts are DensePose's 24, 0 is no person. U and V of a network that was trained on SMPL's charts are not comparable with
those of our rendered bodies; the same holds for GPS (geodesic point similarity), in densepose_gps.py.
"""

import numpy as np

from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio

PARTS = 24
UV_NEAR = 0.05  # ours: half a hand's breadth on a limb; 8-bit storage rounds by 0.002


def part_iou(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Mean over the parts that the truth has of their IoU over the clip.

    Args:
        predicted: (T, H, W) uint8 part 0-24.
        true: (T, H, W) uint8 part 0-24.
        valid: (T, H, W) bool, pixels that count; None: all.

    Returns:
        1 is perfect. NaN if the truth has no part.

    Raises:
        ValueError: shapes differ.
    """
    counts = _counts(predicted, true, valid)
    both = np.diag(counts)[1:]
    either = counts.sum(1)[1:] + counts.sum(0)[1:] - both
    there = counts.sum(1)[1:] > 0
    return ratio((both[there] / either[there]).sum(), there.sum())


def part_accuracy(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Share of the true persons' pixels with the right part. NaN without one. See `part_iou`."""
    counts = _counts(predicted, true, valid)
    return ratio(np.diag(counts)[1:].sum(), counts[1:].sum())


def person_iou(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """IoU of the pixels that show a person. NaN if neither map has one. See `part_iou`."""
    counts = _counts(predicted, true, valid)
    return ratio(counts[1:, 1:].sum(), counts.sum() - counts[0, 0])


def uv_error(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_uv: np.ndarray,
    true_uv: np.ndarray,
    valid: np.ndarray | None = None,
) -> float:
    """Mean distance in U, V (0..1) over pixels whose part is right. NaN without one.

    Args:
        predicted: (T, H, W) uint8 part.
        true: (T, H, W) uint8 part.
        predicted_uv: (T, H, W, 2) float 0..1.
        true_uv: (T, H, W, 2) float 0..1.
        valid: (T, H, W) bool; None: all.
    """
    distance = _uv_distances(predicted, true, predicted_uv, true_uv, valid)
    return ratio(distance.sum(), len(distance))


def uv_near(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_uv: np.ndarray,
    true_uv: np.ndarray,
    valid: np.ndarray | None = None,
) -> float:
    """Share of the true persons' pixels with the right part and U, V within UV_NEAR. NaN without one."""
    near = (_uv_distances(predicted, true, predicted_uv, true_uv, valid) < UV_NEAR).sum()
    return ratio(near, _counts(predicted, true, valid)[1:].sum())


def _uv_distances(
    predicted: np.ndarray, true: np.ndarray, predicted_uv: np.ndarray, true_uv: np.ndarray, valid: np.ndarray | None
) -> np.ndarray:
    check_shapes(true.shape, predicted=predicted, predicted_uv=predicted_uv, true_uv=true_uv)
    right = (predicted == true) & (true > 0)
    if valid is not None:
        right &= valid
    return np.hypot(*(predicted_uv[right].astype(np.float64) - true_uv[right]).T)


def _counts(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """(25, 25) pixels by true and estimated part."""
    check_shapes(true.shape, predicted=predicted, **({} if valid is None else {"valid": valid}))
    p, g = (predicted.ravel(), true.ravel()) if valid is None else (predicted[valid], true[valid])
    if max(p.max(initial=0), g.max(initial=0)) > PARTS:
        raise ValueError(f"parts are 0 to {PARTS}, got {max(p.max(), g.max())}")
    side = PARTS + 1
    return np.bincount(g.astype(np.int64) * side + p, minlength=side * side).reshape(side, side)


SOURCE = "ours; parts and charts of DensePose (arXiv 1802.00434)"
PART_IOU = Metric(
    name="densepose.part_iou",
    unit="1",
    higher_is_better=True,
    protocol="IoU over the clip, mean over the parts that the truth has",
    source=SOURCE,
    function=part_iou,
)
PART_ACCURACY = Metric(
    name="densepose.part_accuracy",
    unit="1",
    higher_is_better=True,
    protocol="over all pixels of true persons in the clip",
    source=SOURCE,
    function=part_accuracy,
)
PERSON_IOU = Metric(
    name="densepose.person_iou",
    unit="1",
    higher_is_better=True,
    protocol="all people together, over the clip",
    source=SOURCE,
    function=person_iou,
)
UV_ERROR = Metric(
    name="densepose.uv_error",
    unit="1",
    higher_is_better=False,
    protocol="over all pixels whose part is right",
    source=SOURCE,
    function=uv_error,
)
UV_WITHIN = Metric(
    name="densepose.uv_near",
    unit="1",
    higher_is_better=True,
    protocol=f"right part and U, V within {UV_NEAR}, over all pixels of true persons",
    source=SOURCE,
    function=uv_near,
)

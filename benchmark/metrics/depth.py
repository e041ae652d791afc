"""Depth metrics on aligned depth (see depth_alignment.py): AbsRel, delta, RMSE, log RMSE, flicker.

Two ways of averaging are in use and give other numbers where frames have unlike numbers of valid pixels: the mean over
frames of each frame's value (DepthCrafter and Video Depth Anything, benchmark/eval; frames without a valid pixel do not
count), and one value over all valid pixels of the clip (MonST3R, CUT3R, Aether: `depth_evaluation`).
"""

from collections.abc import Callable

import numpy as np

from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio

DELTA = 1.25  # Eigen, Puhrsch and Fergus, NeurIPS 2014: thresholds 1.25, 1.25^2, 1.25^3
EIGEN = "Eigen, Puhrsch and Fergus, NeurIPS 2014 (arXiv 1406.2283), section 4.1"
AVERAGED = "mean over a frame's valid pixels, then over frames; pooled=True: over all valid pixels of the clip"

Error = Callable[[np.ndarray, np.ndarray], np.ndarray]


def abs_rel(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, *, pooled: bool = False) -> float:
    """Mean of |predicted - true| / true.

    Args:
        predicted: (T, H, W) float depth in metres, aligned, finite and > 0 where valid.
        true: (T, H, W) float depth in metres, finite and > 0 where valid.
        valid: (T, H, W) bool.
        pooled: average over all pixels at once instead of frame by frame.

    Returns:
        0 is perfect. NaN if no pixel is valid.

    Raises:
        ValueError: shapes differ.
    """
    return _mean(lambda p, g: np.abs(p - g) / g, predicted, true, valid, pooled)


def delta(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, *, power: int = 1, pooled: bool = False) -> float:
    """Share of pixels with max(predicted / true, true / predicted) < 1.25^power. 1 is perfect. See `abs_rel`."""
    bound = DELTA**power
    return _mean(lambda p, g: np.maximum(p / g, g / p) < bound, predicted, true, valid, pooled)


def rmse(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, *, pooled: bool = False) -> float:
    """Root of the mean squared error, metres: each frame's root, then the mean. See `abs_rel`."""
    return _root(lambda p, g: (p - g) ** 2, predicted, true, valid, pooled)


def rmse_log(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, *, pooled: bool = False) -> float:
    """Root of the mean squared difference of natural logarithms. See `abs_rel`."""
    return _root(lambda p, g: np.log(p / g) ** 2, predicted, true, valid, pooled)


def flicker(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, flow: np.ndarray, visible: np.ndarray) -> float:
    """How much depth changes from frame to frame where the truth does not: mean |d log predicted - d log true|.

    Both changes are taken along the true flow, between the same two pixels (the landing point rounded), so moving
    things and cameras cost nothing, a constant factor costs nothing, and a perfect prediction has 0.

    Args:
        predicted: (T, H, W) float depth, > 0 where valid.
        true: (T, H, W) float depth, > 0 where valid.
        valid: (T, H, W) bool.
        flow: (T, H, W, 2) float, px (dx, dy), t -> t + 1.
        visible: (T, H, W) bool: the flow is valid and the point is seen again in t + 1.

    Returns:
        0.01 is one per cent per frame. NaN if there is no such pixel.
    """
    check_shapes(true.shape, predicted=predicted, valid=valid, flow=flow, visible=visible)
    height, width = true.shape[1:]
    total, count = 0.0, 0
    for t in range(len(true) - 1):
        rows, columns = np.nonzero(valid[t] & visible[t])
        dx, dy = np.rint(flow[t, rows, columns]).astype(np.int64).T
        to_row, to_column = rows + dy, columns + dx
        kept = (to_row >= 0) & (to_row < height) & (to_column >= 0) & (to_column < width)
        rows, columns, to_row, to_column = rows[kept], columns[kept], to_row[kept], to_column[kept]
        again = valid[t + 1, to_row, to_column]
        here, there = (t, rows[again], columns[again]), (t + 1, to_row[again], to_column[again])
        change = [np.log(depth[there].astype(np.float64) / depth[here]) for depth in (predicted, true)]
        total += float(np.abs(change[0] - change[1]).sum())
        count += len(change[0])
    return ratio(total, count)


def _mean(error: Error, predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, pooled: bool) -> float:
    sums, counts = _sums(error, predicted, true, valid)
    if pooled or not counts.any():
        return ratio(sums.sum(), counts.sum())
    return float(np.mean(sums[counts > 0] / counts[counts > 0]))


def _root(error: Error, predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, pooled: bool) -> float:
    sums, counts = _sums(error, predicted, true, valid)
    if pooled or not counts.any():
        return float(np.sqrt(ratio(sums.sum(), counts.sum())))
    return float(np.mean(np.sqrt(sums[counts > 0] / counts[counts > 0])))


def _sums(error: Error, predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,) sums of the error and numbers of pixels; frame by frame, because float64 of a clip is large."""
    if true.ndim != 3:
        raise ValueError(f"depth must be (T, H, W), got {true.shape}")
    check_shapes(true.shape, predicted=predicted, valid=valid)
    sums, counts = np.zeros(len(true)), np.zeros(len(true), np.int64)
    for t, mask in enumerate(valid):
        p, g = predicted[t][mask].astype(np.float64), true[t][mask].astype(np.float64)
        sums[t], counts[t] = error(p, g).sum(), len(g)
    return sums, counts


def _delta(power: int) -> Metric:
    def function(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, *, pooled: bool = False) -> float:
        return delta(predicted, true, valid, power=power, pooled=pooled)

    name = f"depth.delta{power}"
    return Metric(name=name, unit="1", higher_is_better=True, protocol=AVERAGED, source=EIGEN, function=function)


ABS_REL = Metric(
    name="depth.abs_rel", unit="1", higher_is_better=False, protocol=AVERAGED, source=EIGEN, function=abs_rel
)
RMSE = Metric(name="depth.rmse", unit="m", higher_is_better=False, protocol=AVERAGED, source=EIGEN, function=rmse)
RMSE_LOG = Metric(
    name="depth.rmse_log", unit="1", higher_is_better=False, protocol=AVERAGED, source=EIGEN, function=rmse_log
)
DELTA1 = _delta(1)
DELTA2 = _delta(2)
DELTA3 = _delta(3)
FLICKER = Metric(
    name="depth.flicker",
    unit="1/frame",
    higher_is_better=False,
    protocol="mean over all valid pixels that are seen again in the next frame",
    source="ours; the idea is Video Depth Anything's temporal gradient matching (arXiv 2501.12375), along true flow",
    function=flicker,
)

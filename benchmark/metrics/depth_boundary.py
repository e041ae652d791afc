"""Depth boundaries: precision, recall and F1 of occlusion edges, where depth changes by a factor within one pixel.

Depth Pro's scale-invariant boundary metric (arXiv 2410.02073, section 3.3, equations 2 and 3): a pixel pair of
neighbours is an edge at threshold t where the farther one is more than t times as far as the nearer one; an estimated
edge is right where the truth has an edge between the same two pixels, with the same one in front. Thresholds are 1.05
to 1.25 in ten steps, weighted by their size, as in its code (eval/boundary_metrics.py).

Different on purpose: pairs of all four directions are counted together, as the paper has it (the code averages four
ratios, and takes one without an edge for 0, so that even the truth does not reach 1), and pairs count only where both
pixels are valid. The value of a clip is the mean over frames that have a true edge.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from openuni.benchmark.metrics.metric import Metric, check_shapes

THRESHOLDS = np.linspace(1.05, 1.25, 10)  # Depth Pro, eval/boundary_metrics.py
WEIGHTS = THRESHOLDS / THRESHOLDS.sum()
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(thresholds,) precision and recall -> the score at each."""


class Edges(NamedTuple):
    """Numbers of edges of one frame at each threshold."""

    right: np.ndarray
    """(thresholds,) found where the truth has them too."""
    predicted: np.ndarray
    true: np.ndarray


def edges(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> Edges:
    """Count the edges of one frame.

    Args:
        predicted: (H, W) float depth, > 0 where valid.
        true: (H, W) float depth, > 0 where valid.
        valid: (H, W) bool.
    """
    counts = np.zeros((3, len(THRESHOLDS)), np.int64)
    for here, there in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        both = valid[here] & valid[there]
        factors = [depth[there][both].astype(np.float64) / depth[here][both] for depth in (predicted, true)]
        for p, g in (factors, [1 / factor for factor in factors]):  # the farther one there, then here
            for row, values in zip(counts, (np.minimum(p, g), p, g), strict=True):
                row += _above(values)
    return Edges(*counts)


def _above(values: np.ndarray) -> np.ndarray:
    """(thresholds,) how many values exceed each threshold."""
    edge = np.sort(values[values > THRESHOLDS[0]])  # few of the pairs
    return len(edge) - np.searchsorted(edge, THRESHOLDS, side="right")


def boundary_precision(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """Share of the estimate's edges that are true ones. See `boundary_f1`."""
    return _mean_over_frames(predicted, true, valid, lambda precision, recall: precision)


def boundary_recall(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """Share of the true edges that the estimate has. See `boundary_f1`."""
    return _mean_over_frames(predicted, true, valid, lambda precision, recall: recall)


def boundary_f1(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """2 P R / (P + R) of edges at each threshold, weighted by the thresholds that have a true edge; mean over frames.

    Args:
        predicted: (T, H, W) float depth, > 0 where valid; a factor changes nothing.
        true: (T, H, W) float depth, > 0 where valid.
        valid: (T, H, W) bool.

    Returns:
        1 is perfect. An estimate without an edge has 0. NaN if no frame has a true edge.

    Raises:
        ValueError: shapes differ.
    """
    return _mean_over_frames(predicted, true, valid, _f1)


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    total = precision + recall
    return np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1), 0.0)


def _mean_over_frames(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, score: Score) -> float:
    if true.ndim != 3:
        raise ValueError(f"depth must be (T, H, W), got {true.shape}")
    check_shapes(true.shape, predicted=predicted, valid=valid)
    values = []
    for frame in zip(predicted, true, valid, strict=True):
        found = edges(*frame)
        there = found.true > 0
        if there.any():
            rates = [found.right[there] / np.maximum(whole[there], 1) for whole in (found.predicted, found.true)]
            values.append(float((score(*rates) * WEIGHTS[there]).sum() / WEIGHTS[there].sum()))
    return float(np.mean(values)) if values else float("nan")


PROTOCOL = "edges at ten factors from 1.05 to 1.25, weighted; mean over frames with a true edge"
SOURCE = "Depth Pro (arXiv 2410.02073), section 3.3; pairs of all directions together"
BOUNDARY_PRECISION = Metric(
    name="depth.boundary_precision",
    unit="1",
    higher_is_better=True,
    protocol=PROTOCOL,
    source=SOURCE,
    function=boundary_precision,
)
BOUNDARY_RECALL = Metric(
    name="depth.boundary_recall",
    unit="1",
    higher_is_better=True,
    protocol=PROTOCOL,
    source=SOURCE,
    function=boundary_recall,
)
BOUNDARY_F1 = Metric(
    name="depth.boundary_f1",
    unit="1",
    higher_is_better=True,
    protocol=PROTOCOL,
    source=SOURCE,
    function=boundary_f1,
)

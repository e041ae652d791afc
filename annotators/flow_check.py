"""What every flow annotator says of its flow: the forward-backward check and the scores."""

import numpy as np

from openuni.annotators.dis import lands_inside, length, round_trip_error, sample
from openuni.engine.stage import Column

COLUMNS = (
    Column("magnitude_mean_px", "px/frame", "mean length of the flow over valid pixels"),
    Column("magnitude_p95_px", "px/frame", "95th percentile of the flow's length over valid pixels"),
    Column("valid_fraction", "0..1", "share of pixels that pass the forward-backward check, last frame left out"),
    Column("fb_error_px", "px", "mean forward-backward round-trip error over valid pixels"),
)


def check_both_ways(
    forward: np.ndarray, backward: np.ndarray, *, relative: float, absolute_px2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Say where flow can be trusted: it lands on the next picture and comes back to its start.

    |f + b|^2 < relative (|f|^2 + |b|^2) + absolute_px2, b the backward flow at f's end. Source: Sundaram, Brox and
    Keutzer, "Dense point trajectories by GPU-accelerated large displacement optical flow", ECCV 2010, eq. 5.

    Args:
        forward, backward: (H, W, 2) float32 px.
        relative, absolute_px2: share of the squared lengths, and px^2, allowed as squared error.

    Returns:
        (H, W) bool, valid; (H, W) float32, round-trip error in px.
    """
    error = round_trip_error(forward, backward)
    squared = (forward**2).sum(-1) + (sample(backward, forward) ** 2).sum(-1)
    return (error**2 < relative * squared + absolute_px2) & lands_inside(forward), error


def flow_scores(flow: np.ndarray, valid: np.ndarray, error: np.ndarray) -> dict[str, float | None]:
    """Return the values of COLUMNS.

    Args:
        flow: (T, H, W, 2) float32.
        valid: (T, H, W) bool.
        error: (T, H, W) float32, round-trip error in px.
    """
    lengths = length(flow)[valid]
    some = lengths.size > 0
    return {
        "magnitude_mean_px": float(lengths.mean(dtype=np.float64)) if some else None,
        "magnitude_p95_px": float(np.percentile(lengths, 95)) if some else None,
        "valid_fraction": float(valid[:-1].mean()),
        "fb_error_px": float(error[valid].mean(dtype=np.float64)) if some else None,
    }

"""Flow metrics: end-point error, KITTI's outliers (Fl), shares beyond 1, 3 and 5 px. All pixels of a clip at once."""

import numpy as np

from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio

FL_PX, FL_PART = 3.0, 0.05  # Menze and Geiger, CVPR 2015 (KITTI 2015): wrong by >= 3 px and >= 5 %; RAFT counts > both
SPEEDS_PX = {"s0-10": (0.0, 10.0), "s10-40": (10.0, 40.0), "s40+": (40.0, float("inf"))}
"""Bins of the true motion's length, px per frame: Sintel's (Butler et al., ECCV 2012)."""
POOLED = "over all valid pixels of the clip"


def end_point_errors(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Distances |predicted - true| of the valid pixels.

    Args:
        predicted: (T, H, W, 2) float, px per frame.
        true: (T, H, W, 2) float, px per frame.
        valid: (T, H, W) bool.

    Returns:
        (N,) float64 px, in the pixels' order.

    Raises:
        ValueError: shapes differ.
    """
    check_shapes(true.shape, predicted=predicted)
    check_shapes(true.shape[:3], valid=valid)
    return _lengths(predicted[valid] - true[valid])


def epe(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """Mean end-point error, px. NaN if no pixel is valid. See `end_point_errors`."""
    errors = end_point_errors(predicted, true, valid)
    return ratio(errors.sum(), len(errors))


def outliers(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray, *, px: float) -> float:
    """Percentage of pixels with an end-point error above `px`. NaN if no pixel is valid."""
    errors = end_point_errors(predicted, true, valid)
    return 100 * ratio((errors > px).sum(), len(errors))


def fl(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """Percentage of pixels that are wrong by more than 3 px and more than 5 % of the true length."""
    errors = end_point_errors(predicted, true, valid)
    wrong = errors > FL_PX
    wrong[wrong] = errors[wrong] > FL_PART * _lengths(true[valid][wrong])
    return 100 * ratio(wrong.sum(), len(errors))


def speed_masks(true: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
    """Return the valid pixels of each bin of SPEEDS_PX, (T, H, W) bool."""
    lengths = _lengths(true[valid])
    masks = {}
    for name, (low, high) in SPEEDS_PX.items():
        masks[name] = np.zeros_like(valid)
        masks[name][valid] = (lengths >= low) & (lengths < high)
    return masks


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """(N,) float64 lengths of (N, 2). Several times as fast as numpy.hypot, whose care for overflow is not needed."""
    dx, dy = vectors[:, 0].astype(np.float64), vectors[:, 1].astype(np.float64)
    return np.sqrt(dx * dx + dy * dy)


def _outliers(px: int) -> Metric:
    def function(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
        return outliers(predicted, true, valid, px=px)

    source = "SEA-RAFT (arXiv 2405.14793) and Spring (CVPR 2023), as outliers"
    return Metric(
        name=f"flow.out{px}", unit="%", higher_is_better=False, protocol=POOLED, source=source, function=function
    )


EPE = Metric(
    name="flow.epe",
    unit="px",
    higher_is_better=False,
    protocol=POOLED,
    source="Baker et al., IJCV 2011; averaged as RAFT (arXiv 2003.12039) evaluates Sintel",
    function=epe,
)
FL = Metric(
    name="flow.fl",
    unit="%",
    higher_is_better=False,
    protocol=POOLED,
    source="Menze and Geiger, CVPR 2015 (KITTI 2015, Fl-all); as RAFT's evaluation counts it",
    function=fl,
)
OUT1 = _outliers(1)
OUT3 = _outliers(3)
OUT5 = _outliers(5)

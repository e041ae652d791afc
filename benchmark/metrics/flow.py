"""Flow metrics: end-point error, also at the best scale, KITTI's outliers (Fl), shares beyond 1, 3 and 5 px.

All pixels of a clip at once.
"""

import numpy as np

from openuni.benchmark.metrics.convex import minimum
from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio

FL_PX, FL_PART = 3.0, 0.05  # Menze and Geiger, CVPR 2015 (KITTI 2015): wrong by >= 3 px and >= 5 %; RAFT counts > both
SPEEDS_PX = {"s0-10": (0.0, 10.0), "s10-40": (10.0, 40.0), "s40+": (40.0, float("inf"))}
"""Bins of the true motion's length, px per frame: Sintel's (Butler et al., ECCV 2012)."""
FIT_PIXELS = 200_000  # ours: of a clip's millions, evenly spread, for the scale alone
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


def epe_scale_aligned(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    """Mean end-point error after the one factor for the whole clip, 0 or more, that makes it smallest, px.

    For flow whose scale is not known, as from colours of each clip's own longest vector. Never more than `epe`; flow
    that is turned round gets the factor 0, so the mean length of the true flow. NaN if no pixel is valid.
    """
    check_shapes(true.shape, predicted=predicted)
    check_shapes(true.shape[:3], valid=valid)
    p, g = predicted[valid].astype(np.float64), true[valid].astype(np.float64)
    if not len(p):
        return float("nan")
    return float(_lengths(best_scale(p, g) * p - g).mean())


def best_scale(predicted: np.ndarray, true: np.ndarray) -> float:
    """Factor s >= 0 that makes sum |s predicted - true| smallest, of (N, 2) vectors; 0 where nothing moves."""
    step = -(-len(predicted) // FIT_PIXELS)
    p, g = predicted[::step], true[::step]
    longest = float(_lengths(p).max(initial=0))
    if longest == 0:
        return 0.0

    def cost(scale: float) -> float:
        return float(_lengths(scale * p - g).sum())

    # Beyond twice the sum of all lengths over the longest one the longest alone costs more than no flow does.
    high = 2 * float(_lengths(g).sum()) / longest
    scale = minimum(cost, 0.0, high)
    return scale if cost(scale) < cost(0.0) else 0.0


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
EPE_SCALE_ALIGNED = Metric(
    name="flow.epe_scale_aligned",
    unit="px",
    higher_is_better=False,
    protocol=f"{POOLED}, after the factor that makes it smallest",
    source="ours, for flow of unknown scale",
    function=epe_scale_aligned,
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

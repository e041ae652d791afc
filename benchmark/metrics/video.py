"""Metrics of generated clips: agreement of two disparities, colours that stay on their way, things where masks are."""

import numpy as np

from openuni.benchmark.metrics.metric import Metric, check_shapes, ratio


def correlation(a: np.ndarray, b: np.ndarray, valid: np.ndarray) -> float:
    """Pearson's correlation of two disparities over the valid pixels of all frames: no scale or shift matters.

    Args:
        a: (T, H, W) float disparity, larger is nearer.
        b: same shape.
        valid: same shape, bool.

    Returns:
        -1..1. NaN with fewer than two valid pixels, or if one of them is constant.
    """
    check_shapes(a.shape, b=b, valid=valid)
    x, y = a[valid].astype(np.float64), b[valid].astype(np.float64)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def warp_error(rgb: np.ndarray, flow: np.ndarray, valid: np.ndarray, where: np.ndarray) -> float:
    """Mean absolute difference of a frame and the next one brought back along the flow, grey levels 0 to 255.

    Args:
        rgb: (T, H, W, 3) uint8.
        flow: (T, H, W, 2) px, t to t + 1.
        valid: (T, H, W) bool: seen again; the last frame counts for nothing.
        where: (T, H, W) bool: pixels of frame t that count.

    Returns:
        0: every pixel keeps its colour on its way. NaN without a pixel.

    Source: Lai et al., ECCV 2018, there squared.
    """
    import cv2

    check_shapes(rgb.shape[:3], flow=flow, valid=valid, where=where)
    rows, columns = np.indices(rgb.shape[1:3], dtype=np.float32)
    total, count = 0.0, 0
    for t in range(len(rgb) - 1):
        x, y = columns + flow[t, ..., 0].astype(np.float32), rows + flow[t, ..., 1].astype(np.float32)
        back = cv2.remap(rgb[t + 1].astype(np.float32), x, y, cv2.INTER_LINEAR)
        seen = valid[t] & where[t] & (x >= 0) & (y >= 0) & (x <= rgb.shape[2] - 1) & (y <= rgb.shape[1] - 1)
        total += float(np.abs(back[seen] - rgb[t][seen]).sum()) / 3
        count += int(seen.sum())
    return ratio(total, count)


def foreground_iou(predicted: np.ndarray, true: np.ndarray) -> float:
    """|P and G| / |P or G| of two (T, H, W) bool masks, all pixels of the clip at once. NaN if both are empty."""
    check_shapes(true.shape, predicted=predicted)
    return ratio(int((predicted & true).sum()), int((predicted | true).sum()))


CORRELATION = Metric(
    name="depth.correlation",
    unit="r",
    higher_is_better=True,
    protocol="Pearson's, of disparity, over all valid pixels of the clip",
    source="ours; scale and shift of disparity are free, as in affine-invariant depth (MiDaS, arXiv 1907.01341)",
    function=correlation,
)
WARP_ERROR = Metric(
    name="video.warp_error",
    unit="grey levels",
    higher_is_better=False,
    protocol="mean over pixels that the flow's check calls seen again",
    source="Lai et al., ECCV 2018, there squared",
    function=warp_error,
)
FOREGROUND_IOU = Metric(
    name="video.foreground_iou",
    unit="1",
    higher_is_better=True,
    protocol="all pixels of the clip at once",
    source="ours: foreground by colours, benchmark/gen/foreground.py",
    function=foreground_iou,
)

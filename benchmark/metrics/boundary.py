"""Boundary F of DAVIS: precision and recall of a mask's outline within a tolerance."""

import math

import numpy as np

TOLERANCE = 0.008  # of the picture's diagonal, rounded up to px: DAVIS 2017's evaluation code


def boundary_f(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray | None = None) -> float:
    """F of one frame's outline.

    Args:
        predicted: (H, W) bool.
        true: (H, W) bool.
        valid: (H, W) bool; outlines elsewhere do not count. None: all.

    Returns:
        2 P R / (P + R), where P is the share of the estimate's outline within the tolerance of the true one and R the
        other way round. 1 if both are empty, 0 if one is.
    """
    lines = [outline(predicted), outline(true)]
    if valid is not None:
        lines = [line & valid for line in lines]
    totals = [int(line.sum()) for line in lines]
    if not all(totals):
        return float(totals[0] == totals[1])
    reach = math.ceil(TOLERANCE * math.hypot(*true.shape))
    precision = (lines[0] & _widened(lines[1], reach)).sum() / totals[0]
    recall = (lines[1] & _widened(lines[0], reach)).sum() / totals[1]
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def outline(mask: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: pixels that differ from their right, lower or lower right neighbour (DAVIS's seg2bmap)."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge = (mask != right) | (mask != below) | (mask != across)
    edge[-1], edge[:, -1] = mask[-1] != right[-1], mask[:, -1] != below[:, -1]
    edge[-1, -1] = False
    return edge


def _widened(line: np.ndarray, reach: int) -> np.ndarray:
    import cv2

    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (rows**2 + columns**2 <= reach**2).astype(np.uint8)
    return cv2.dilate(line.astype(np.uint8), disc) > 0

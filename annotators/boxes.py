"""Boxes: (N, 4) float32 x0, y0, x1, y1 px, x1 and y1 excluded; how they overlap, and which of them say the same."""

import numpy as np


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return (N,) areas, px^2; 0 where a box is turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersections(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (N, M) areas that each of N boxes shares with each of M, px^2."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def ious(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (N, M) intersection over union; 0 where both are empty."""
    common = intersections(first, second)
    union = areas(first)[:, None] + areas(second)[None] - common
    return np.divide(common, union, out=np.zeros(common.shape, np.float64), where=union > 0)


def suppress(boxes: np.ndarray, scores: np.ndarray, max_iou: float) -> np.ndarray:
    """Return which boxes to keep, best first: none overlaps a better one that is kept by more than `max_iou`.

    Greedy non-maximum suppression, ties in the order given. Returns (M,) int64 indices.
    """
    order = np.argsort(-scores, kind="stable")
    overlap = ious(boxes[order], boxes[order])
    kept: list[int] = []
    for place in range(len(order)):
        if not kept or overlap[place, kept].max() <= max_iou:
            kept.append(place)
    return np.asarray(order[kept], np.int64)


def clipped(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the boxes cut at the picture's borders, float32."""
    return np.clip(boxes, 0, np.array([width, height, width, height])).astype(np.float32)

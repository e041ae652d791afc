"""Appearance without weights: what a part of a picture looks like, as numbers whose cosine says how alike two are.

Two histograms, each as square roots of shares, so that its length is 1 and the cosine of two is Bhattacharyya's
coefficient: of colours, and of the directions of edges in cells of the part's box, after HOG (Dalal and Triggs, CVPR
2005). No network: it sees that a shirt changed its colour or a chair its shape, not that a cat became a dog of the same
colours and outline.
"""

from typing import NamedTuple

import numpy as np

COLOUR_BINS = 8  # ours: steps of 32 of 255 for each of R, G, B; values are shared between neighbouring bins
DIRECTIONS = 8  # ours; HOG has 9 of 20 degrees
CELLS = 4  # ours: rows and columns of the part's box
MIN_EDGE = 4.0  # ours: 8-bit steps per pixel; weaker gradients are noise of a video codec and count as flat


class Appearance(NamedTuple):
    """What a part looks like."""

    colours: np.ndarray
    """(COLOUR_BINS ** 3,) float64, length 1."""
    edges: np.ndarray
    """(CELLS * CELLS * (DIRECTIONS + 1),) float64, length 1: in each cell the directions, then what is flat."""


def appearance(rgb: np.ndarray, mask: np.ndarray) -> Appearance:
    """Describe the pixels of a mask.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool; at least one pixel.

    Raises:
        ValueError: the mask is empty or of another size.
    """
    if mask.shape != rgb.shape[:2] or not mask.any():
        raise ValueError(f"the mask must be {rgb.shape[:2]} with a pixel, got {mask.shape} with {mask.sum()}")
    return Appearance(_unit(_colours(rgb[mask])), _unit(_edges(rgb, mask)))


def likeness(first: Appearance, second: Appearance) -> float:
    """Mean cosine of colours and of edges, 0..1."""
    return float(first.colours @ second.colours + first.edges @ second.edges) / 2


def _unit(histogram: np.ndarray) -> np.ndarray:
    """Square roots of shares."""
    return np.asarray(np.sqrt(histogram / histogram.sum()))


def _colours(pixels: np.ndarray) -> np.ndarray:
    """Histogram of (N, 3) uint8; each pixel is shared between the two nearest bins of each channel."""
    place = pixels.astype(np.float64) * ((COLOUR_BINS - 1) / 255)
    low = np.minimum(place.astype(np.int64), COLOUR_BINS - 2)
    part = place - low
    histogram = np.zeros(COLOUR_BINS**3)
    for corner in range(8):
        up = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = np.where(up, part, 1 - part).prod(axis=1)
        number = (low + up) @ np.array([COLOUR_BINS**2, COLOUR_BINS, 1])
        histogram += np.bincount(number, weight, COLOUR_BINS**3)
    return histogram


def _edges(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Strength of gradients by cell of the mask's box and direction, light to dark and dark to light the same.

    Pixels without an edge count as flat with the strength of the weakest edge.
    """
    luma = luminance(rgb)
    down, right = np.gradient(luma) if min(luma.shape) > 1 else (np.zeros_like(luma), np.zeros_like(luma))
    strength = np.hypot(right, down)
    rows, columns = np.nonzero(mask)
    cell = _cell(rows) * CELLS + _cell(columns)
    strength, right, down = strength[mask], right[mask], down[mask]
    flat = strength < MIN_EDGE
    place = np.arctan2(down, right) % np.pi * (DIRECTIONS / np.pi)
    low = place.astype(np.int64)
    part = place - low
    bins = DIRECTIONS + 1
    histogram = np.bincount(cell * bins + DIRECTIONS, MIN_EDGE * flat, CELLS * CELLS * bins)
    for up, weight in ((0, 1 - part), (1, part)):
        number = cell * bins + (low + up) % DIRECTIONS
        histogram += np.bincount(number, np.where(flat, 0, weight * strength), len(histogram))
    return histogram


def _cell(places: np.ndarray) -> np.ndarray:
    """Which of CELLS equal parts of their range each place is in."""
    low, length = places.min(), int(np.ptp(places)) + 1
    return (places - low) * CELLS // length


def luminance(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 to float64 luma 0..255, ITU-R BT.601 weights, not rounded."""
    return np.asarray(rgb @ np.array([0.299, 0.587, 0.114]))

"""Foreground by colours: which pixels of a generated clip look like the sample's things and not like its background.

Two colour histograms of the sample's own frames, one inside its masks and one outside, decide for each pixel which is
likelier; the threshold is the one that does best on the sample's own frames. No weights. It says where a generated clip
puts the things' colours, not whether they are well drawn. On true RGB of the frozen scenes (96 px, 17 scenes) the IoU
is 0.80 with one person, 0.83 with two, 0.72 with things, 0.87 with a moving camera, 0.84 in refraction, and 0.77 in 20
scenes of family `varied` at 48 px; masks of another scene get 0.07 to 0.13, in refraction 0.45, where things fill half
the picture. Saturation alone reaches 0.08 to 0.69, distance from the colours of the border 0.15 to 0.60.
"""

from typing import NamedTuple

import numpy as np

BINS = 32  # ours: of L, a and b each; 16 and 24 were worse on true RGB (0.70 and 0.74 against 0.76 with one person)
BLUR = 1.0  # ours: bins, so that a histogram of few pixels has no holes
ODDS = (1.0, 2.0, 4.0, 8.0)  # ours: how many times likelier the foreground must be
MEDIAN_PX = 3


class Colours(NamedTuple):
    """What a sample's things and its background look like."""

    inside: np.ndarray
    """(BINS^3,) float, sums to 1."""
    outside: np.ndarray
    odds: float


def learn_colours(rgb: np.ndarray, mask: np.ndarray) -> Colours | None:
    """Learn the colours of a sample.

    Args:
        rgb: (T, H, W, 3) uint8.
        mask: (T, H, W) bool, the things.

    Returns:
        None if there is nothing inside or nothing outside.
    """
    if mask.all() or not mask.any():
        return None
    bins = _bins(rgb)
    inside, outside = _histogram(bins[mask]), _histogram(bins[~mask])
    tried = [Colours(inside, outside, odds) for odds in ODDS]
    return max(tried, key=lambda one: _iou(_foreground(bins, one), mask))


def foreground(rgb: np.ndarray, colours: Colours) -> np.ndarray:
    """Return (T, H, W) bool: where (T, H, W, 3) uint8 frames look like the things."""
    return _foreground(_bins(rgb), colours)


def _foreground(bins: np.ndarray, colours: Colours) -> np.ndarray:
    import cv2

    likelier = colours.inside[bins] > colours.odds * colours.outside[bins]
    return np.stack([cv2.medianBlur(frame.astype(np.uint8), MEDIAN_PX) > 0 for frame in likelier])


def _bins(rgb: np.ndarray) -> np.ndarray:
    """(T, H, W) the bin of each pixel's colour in CIELAB."""
    import cv2

    lab = np.stack([cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for frame in rgb])
    places = np.stack([lab[..., 0] / 100, (lab[..., 1] + 80) / 160, (lab[..., 2] + 80) / 160])
    lightness, a, b = np.clip((places * BINS).astype(np.int64), 0, BINS - 1)
    found: np.ndarray = (lightness * BINS + a) * BINS + b
    return found


def _histogram(bins: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    counts = np.bincount(bins, minlength=BINS**3).astype(float).reshape(BINS, BINS, BINS)
    smooth: np.ndarray = gaussian_filter(counts, BLUR, mode="nearest").ravel()
    return smooth / smooth.sum()


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))

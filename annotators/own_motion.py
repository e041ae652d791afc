"""Own motion: where things move against the camera's dominant motion, frame by frame, from flow between nearby frames.

A homography fitted robustly to a pair's flow is what a turning or zooming camera does to everything. What it leaves of
the scene behind is noise and, under a travelling camera, parallax, which spreads along one direction. So the residual
is measured in units of its own spread along and across that direction: parallax stays small, and what moves by itself
stands out, most of all across. A mask is then sharpened by asking of each pixel near its border whether the thing's
motion or the background's finds it again in the other frame, and by the picture's edges.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from openuni.annotators.dis import lands_inside, length, pixel_grid, sample
from openuni.annotators.fill import guided_colour, pull_push
from openuni.annotators.two_view import fit_homography, sample_points

POINTS = 2000  # as depth-motion draws for its fits
MAGSAC_PX = 0.7  # as depth-motion's
FLOOR_PX = 0.15  # ours: flow noise where nothing is seen to move; the step of the stored flow is 1/16 px
DEVIATIONS = 6.0  # ours: the prototype's; a score of 1 is six robust standard deviations
SHARE_OF_PEAK = 0.4  # ours: of the score that a tenth of a part exceeds
MOST = 3.0  # scores are cut here: how far beyond is no one's business
SMOOTH_PER_WIDTH = 1 / 200  # ours, as the rest of the sizes: the prototype's
CLOSE_PER_WIDTH = 1 / 120
BORDER_PX = 8  # of the working size: how far a mask's border may be wrong
PICTURE_NOISE = 2.0  # grey levels: differences below tell nothing
MOST_DIFFERENT = 30.0  # grey levels: more is as good as this
GUIDE_RADIUS, GUIDE_EPSILON = 6, 1e-4  # ours: of radii 3 to 6 and epsilons 1e-4 to 1e-2 the best on generated scenes


class Neighbour(NamedTuple):
    """Another frame and the flow to it. All of the working size (h, w)."""

    gray: np.ndarray
    """(h, w) uint8."""
    flow: np.ndarray
    """(h, w, 2) float32 px, from the frame in question to this one."""
    usable: np.ndarray
    """(h, w) bool: the flow comes back to its start."""


def residual_score(flow: np.ndarray, usable: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Say how far each pixel's flow lies from the dominant motion.

    Args:
        flow: (h, w, 2) float32 px.
        usable: (h, w) bool.
        rng: draws the points of the fit.

    Returns:
        (h, w) float32, 0 to MOST: the residual's length after division by DEVIATIONS robust standard deviations
        (1.4826 median absolute deviation + FLOOR_PX) along each of its two principal directions. None if there are too
        few usable pixels or no homography fits.
    """
    points = sample_points(flow, usable, POINTS, rng)
    homography = None if points is None else fit_homography(points, threshold_px=MAGSAC_PX, seed=0)
    if points is None or homography is None:
        return None
    residual = flow - _motion_of(homography, *flow.shape[:2])
    places = points[:, :2].astype(int)
    drawn = residual[places[:, 1], places[:, 0]]
    middle = np.median(drawn, axis=0)
    away = drawn - middle
    # Directions by a scatter in which far points count no more than near ones (as in Tyler's estimator).
    weights = np.minimum(1, 1 / np.maximum(length(away), 0.1) ** 2)
    _, axes = np.linalg.eigh((away.T * weights) @ away)
    spread = DEVIATIONS * (1.4826 * np.median(np.abs(away @ axes), axis=0) + FLOOR_PX)
    scaled = (residual - middle.astype(np.float32)) @ (axes / spread).astype(np.float32)
    return np.minimum(length(scaled), MOST)


def combine(scores: Sequence[np.ndarray], nearer: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Join a frame's scores over its neighbours: the median of those that know a pixel, gaps filled from around.

    Args:
        scores: (h, w) float32 each, NaN where the flow is not usable.
        nearer: the same for the frames next to it: what they say counts where no other knows.
        shape: (h, w).

    Returns:
        (h, w) float32.
    """
    joined = np.full(shape, np.nan, np.float32)
    for group in (nearer, scores):
        if group:
            found = _nan_median(np.stack(group))
            joined = np.where(np.isnan(found), joined, found)
    known = ~np.isnan(joined)
    if not known.any():
        return np.zeros(shape, np.float32)
    return pull_push(np.nan_to_num(joined).astype(np.float32), known.astype(np.float32))


def moving_mask(score: np.ndarray, *, threshold: float, min_area: float) -> np.ndarray:
    """Cut a score into a mask without specks and holes.

    Args:
        score: (h, w) float32.
        threshold: of the smoothed score, and at least; see SHARE_OF_PEAK.
        min_area: smallest area of a connected part, as a share of the picture.

    Returns:
        (h, w) bool.
    """
    import cv2

    width = score.shape[1]
    smooth = cv2.GaussianBlur(score, (0, 0), max(1.0, width * SMOOTH_PER_WIDTH))
    # What surrounds a fast thing is drawn along by the flow's smoothness: there the line is a share of its own score.
    _, parts = cv2.connectedComponents((smooth > threshold).astype(np.uint8))
    peaks = np.zeros(int(parts.max()) + 1, np.float32)
    for part in range(1, len(peaks)):
        peaks[part] = np.percentile(smooth[parts == part], 90)
    mask = ((parts > 0) & (smooth > SHARE_OF_PEAK * peaks[parts])).astype(np.uint8)
    kernel = ellipse(max(1, round(width * CLOSE_PER_WIDTH)))
    clean = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    return without_specks(clean > 0, min_area)


def sharpen(
    mask: np.ndarray, rgb: np.ndarray, gray: np.ndarray, neighbours: Mapping[int, Neighbour], *, min_area: float
) -> np.ndarray:
    """Move a mask's border to where the motion changes and the picture has an edge.

    Args:
        mask: (h, w) bool.
        rgb: (h, w, 3) float32, 0 to 1.
        gray: (h, w) uint8, the frame.
        neighbours: frames near in time.
        min_area: smallest area of a connected part, as a share of the picture.

    Returns:
        (h, w) bool.
    """
    import cv2

    if not mask.any():
        return mask
    plain = mask.astype(np.uint8)
    inner = cv2.erode(plain, ellipse(BORDER_PX // 2)) > 0
    outer = cv2.dilate(plain, ellipse(BORDER_PX)) > 0
    vote = _votes(mask, inner, outer, gray, neighbours)
    # Where neither motion explains the picture better, the mask as it was decides.
    vote += np.where(mask, 0.15, -0.15).astype(np.float32)
    vote[~outer] = -1.0
    vote[inner] = np.maximum(vote[inner], 0.5)
    found = guided_colour(vote, rgb, radius=GUIDE_RADIUS, epsilon=GUIDE_EPSILON) > 0
    kernel = ellipse(max(1, round(mask.shape[1] * SMOOTH_PER_WIDTH)))
    clean = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return without_specks(cv2.morphologyEx(clean, cv2.MORPH_OPEN, kernel) > 0, min_area / 2)


def without_specks(mask: np.ndarray, min_area: float) -> np.ndarray:
    """Leave out connected parts of less than a share `min_area` of the picture."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] > min_area * mask.size
    large[0] = False
    return np.asarray(large[labels])


def ellipse(radius: int) -> np.ndarray:
    """A round structuring element, (2 radius + 1, 2 radius + 1) uint8."""
    import cv2

    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def _motion_of(homography: np.ndarray, height: int, width: int) -> np.ndarray:
    import cv2

    start = np.stack(pixel_grid(height, width), axis=-1)
    return np.asarray(cv2.perspectiveTransform(start, homography) - start, np.float32)


def _nan_median(values: np.ndarray) -> np.ndarray:
    """Median over axis 0 of what is not NaN; NaN where nothing is. numpy's own is ten times slower."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = (~np.isnan(values)).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], 0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(values) - 1)[None], 0)[0]
    return np.where(count > 0, (low + high) / 2, np.nan).astype(np.float32)


def _votes(
    mask: np.ndarray, inner: np.ndarray, outer: np.ndarray, gray: np.ndarray, neighbours: Mapping[int, Neighbour]
) -> np.ndarray:
    """(h, w) float32 in -1..1: 1 where the thing's motion finds a pixel again and the background's does not."""
    import cv2

    inside, outside = (inner if inner.any() else mask), ~outer
    here = gray.astype(np.float32)
    own: list[np.ndarray] = []
    other: list[np.ndarray] = []
    for neighbour in neighbours.values():
        if not (outside & neighbour.usable).any() or not (inside & neighbour.usable).any():
            continue
        there = neighbour.gray.astype(np.float32)
        for costs, among in ((own, inside), (other, outside)):
            flow = _spread_flow(neighbour.flow, among & neighbour.usable)
            difference = np.minimum(np.abs(sample(there, flow) - here), MOST_DIFFERENT)
            difference[~lands_inside(flow)] = MOST_DIFFERENT / 2
            costs.append(cv2.blur(difference, (5, 5)))
    if not own:
        return np.zeros(mask.shape, np.float32)
    # The better of the neighbours: what is hidden in one is often seen in the other.
    own_cost, other_cost = np.min(own, axis=0), np.min(other, axis=0)
    return np.asarray((other_cost - own_cost) / (own_cost + other_cost + PICTURE_NOISE), np.float32)


def _spread_flow(flow: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Extend the flow of some pixels smoothly over all others; at half size, since only its course counts."""
    import cv2

    height, width = among.shape
    size = (max(4, width // 2), max(4, height // 2))
    weight = cv2.resize(among.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    full = (weight > 0.2).astype(np.float32)
    if not full.any():
        full = (weight > 0).astype(np.float32)
    parts = []
    for axis in (0, 1):
        total = cv2.resize(flow[..., axis] * among, size, interpolation=cv2.INTER_AREA)
        small = pull_push(total / np.maximum(weight, 1e-6) * full, full)
        parts.append(np.where(among, flow[..., axis], cv2.resize(small, (width, height))))
    return np.stack(parts, axis=-1).astype(np.float32)

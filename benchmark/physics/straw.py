"""Straw: find a red or red-striped straw in a glass in one picture, and fit its line above and below the waterline.

How: pixels that are clearly red, on the longest line through them (RANSAC) and a second one that continues it; the
upper part's line, which air leaves straight, is followed down until the straw leaves it: that is the waterline; what
lies below is fitted by itself. Stripes are closed along each line, so that a row has the straw's middle. Nothing is
known of camera, glass or water. What it is worth: docs/vbench.md, perf/physics_probes.py.
"""

from typing import NamedTuple

import numpy as np

RED = 40  # ours, of 255: R - G - |G - B|; wood and skin are orange, with G far from B, and stay below 0
TOLERANCE = 0.012  # ours, of the short side: a straw's pixels lie so near to its middle line
MAX_LEAN_DEG = 65.0  # a straw in a glass stands rather than lies
TRIES = 300  # pairs of pixels; a line of a tenth of the red pixels is found 95 times of 100
MIN_ROWS = 0.06  # ours, of the height: shorter lines have no angle within a degree
UPPER = 0.4  # ours, of the straw's rows: so much is above water, or there is no line to follow
LOWER = 0.3  # ours, of the straw's rows: so much is below it, if there is water
MIN_UPPER = 0.2  # ours, of the straw's rows: the waterline is not higher
ROUNDS = 4  # the lower part grows upwards as far as it fits
CURVED_ROWS = 30  # px: shorter parts are fitted by a line
LEAVES = 0.005  # ours, of the short side: farther from a line a row is as good as any other
STRAIGHT, DRY_SHARE = 0.003, 0.85  # ours: where this share of the lower rows stays so near (of the short side) to the
# upper line, the straw is straight; without water all do but those before the glass's floor
DRY_SPLIT = 0.6  # ours, of the straw's rows: parts a straight straw
CLEAR = 0.012  # ours, of the height: rows above the waterline whose stripes may be of either part
SURFACE = 0.02  # ours, of the height: below it the water's surface is seen, with a piece of the straw through it
GAP, WIDE_GAP = 4.0, 7.0  # ours, of TOLERANCE: stripes are closed over so much, narrower while the parts are not known
FULL = 0.9  # ours, of the median: a narrower row shows half a stripe, or the straw's end
FILLED = 0.5  # ours: either side is seen in this share of its rows, stripes closed
MAX_RMS = 0.008  # ours, of the short side: rows of a straw lie so near to a line, also where a round glass bends it
MAX_FLANKS = 0.4  # ours: red pixels beside it, of those on it: noise and red walls have as many beside
SEED = 0


class Straw(NamedTuple):
    """A straw as it is seen. Angles are leans from upright, degrees, positive to the right going down."""

    above_deg: float
    below_deg: float
    waterline_px: float | None
    """Row at which it leaves the upper line; None where it never does."""
    offset_px: float
    """How far the lower line is to the right of the upper one, there or at the row that parts them."""
    rows: int
    """That both lines are fitted to."""

    @property
    def break_deg(self) -> float:
        """Lean below less lean above."""
        return self.below_deg - self.above_deg


class _Line(NamedTuple):
    slope: float
    """Columns per row."""
    start: float
    rows: int
    """Different rows whose red pixels lie on it."""


def find_straw(rgb: np.ndarray) -> Straw | None:
    """Find a straw.

    Args:
        rgb: (H, W, 3) uint8, of at least 64 px a side.

    Returns:
        None where there is none, or not enough of it on both sides of any row.
    """
    height, width = rgb.shape[:2]
    short = min(height, width)
    red = redness(rgb) >= RED
    rows, columns = np.nonzero(red)
    if len(rows) < MIN_ROWS * height:
        return None
    tolerance = TOLERANCE * short
    points = np.stack([rows, columns], axis=-1).astype(np.float64)
    rng = np.random.default_rng(SEED)
    first = _longest_line(points, tolerance, rng)
    if first is None or first.rows < MIN_ROWS * height:
        return None
    tube = _near(points, first, tolerance)
    rest = points[~tube]
    inner = points[tube][:, 0]
    outside = rest[(rest[:, 0] < np.quantile(inner, 0.1)) | (rest[:, 0] > np.quantile(inner, 0.9))]
    second = _longest_line(outside, tolerance, rng) if len(outside) else None
    lines = [first]
    if second is not None and second.rows >= MIN_ROWS * height / 2 and _joins(first, second, inner, 0.1 * short):
        lines.append(second)
    own, flanks = np.zeros(red.shape, bool), np.zeros(red.shape, bool)
    for line in lines:
        own |= _tube(red, line, 2.5 * tolerance)
        flanks |= _tube(red, line, 5 * tolerance)
    if (flanks & ~own).sum() > MAX_FLANKS * own.sum():
        return None
    return _fit(own, short, tolerance, rng)


def find_straw_mask(mask: np.ndarray) -> Straw | None:
    """Find the two lines of a straw whose pixels are given, (H, W) bool, as a segmentation has them."""
    short = min(mask.shape)
    if mask.sum() < MIN_ROWS * mask.shape[0]:
        return None
    return _fit(mask, short, TOLERANCE * short, np.random.default_rng(SEED))


def break_of_mask(above: np.ndarray, below: np.ndarray) -> float | None:
    """Break between exact masks of a straw in air and in water, (H, W) bool each, degrees.

    None where either has too few rows. Rows next to the other part are left out, as in a picture.
    """
    height = len(above)
    sides = [_rows_of(mask) for mask in (above, below)]
    if any(len(rows) == 0 for rows, _ in sides):
        return None
    (rows, middles), (low_rows, low) = sides
    kept, under = rows < low_rows[0] - CLEAR * height, low_rows > rows[-1] + CLEAR * height
    fits = [_robust_line(*side, MIN_ROWS * height / 2)
            for side in ((rows[kept], middles[kept]), (low_rows[under], low[under]))]  # fmt: skip
    if fits[0] is None or fits[1] is None:
        return None
    return float(np.degrees(np.arctan(fits[1][0]) - np.arctan(fits[0][0])))


def _rows_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with three pixels of a mask or more, and the columns of their middles."""
    counts = mask.sum(axis=1)
    rows = np.flatnonzero(counts >= 3)
    return rows, (mask @ np.arange(mask.shape[1]))[rows] / counts[rows]


def redness(rgb: np.ndarray) -> np.ndarray:
    """How red pixels are, (H, W) int16: R - G - |G - B|; gray has 0, orange and purple less than red."""
    r, g, b = (rgb[..., channel].astype(np.int16) for channel in range(3))
    return np.asarray(r - g - np.abs(g - b))


def _fit(own: np.ndarray, short: int, tolerance: float, rng: np.random.Generator) -> Straw | None:
    """Fit both lines to the straw's red pixels, (H, W) bool."""
    height, width = own.shape
    points = np.argwhere(own).astype(np.float64)
    top, bottom = np.quantile(points[:, 0], [0.01, 0.99])
    span = bottom - top
    upper = _longest_line(points[points[:, 0] < top + UPPER * span], tolerance, rng)
    if upper is None or span < 2 * MIN_ROWS * height:
        return None
    rows, middles = _middles(_tube(own, upper, 3.5 * tolerance), upper, tolerance)
    sure = rows < top + UPPER * span
    line = _robust_line(rows[sure], middles[sure], MIN_ROWS * height / 2)
    if line is None:
        return None
    away = np.abs(middles - line[0] * rows - line[1])
    under = top + UPPER * span
    straight = (away[rows > under] <= STRAIGHT * short).sum() >= DRY_SHARE * (bottom - under)
    if straight:
        parts, low, curve = top + DRY_SPLIT * span, upper, np.polynomial.Polynomial([line[1], line[0]])
    else:
        found = _lower_part(own, points, (top, bottom), rows, away, tolerance, short, rng)
        if found is None:
            return None
        parts, low, curve = found
    reach = (2 if straight else 1.6) * tolerance * np.hypot(1, low.slope)
    y = np.arange(height)[:, None]
    near = np.abs(np.arange(width) - curve(y)) <= reach
    # Stripes are closed before the rows next to the waterline are cut off: half a stripe has no middle.
    high_rows, high = _middles(_tube(own & (y < parts), upper, 2 * tolerance), upper, tolerance, WIDE_GAP, FULL)
    low_rows, deep = _middles(own & (y > parts) & near, low, tolerance, WIDE_GAP, FULL)
    kept, under = high_rows < parts - CLEAR * height, low_rows > parts + SURFACE * height
    sides = [(high_rows[kept], high[kept]), (low_rows[under], deep[under])]
    fits = [_robust_line(*side, MIN_ROWS * height / 2) for side in sides]
    if any(fit is None or fit[2] > MAX_RMS * short for fit in fits) or any(
        len(side[0]) < FILLED * (side[0][-1] - side[0][0] + 1) for side in sides
    ):
        return None
    (above, above_at, _), (beneath, beneath_at, _) = (fit for fit in fits if fit is not None)
    return Straw(
        float(np.degrees(np.arctan(above))), float(np.degrees(np.arctan(beneath))), None if straight else parts,
        float((beneath - above) * parts + beneath_at - above_at), sum(len(side[0]) for side in sides),
    )  # fmt: skip


def _lower_part(
    own: np.ndarray, points: np.ndarray, ends: tuple[float, float], rows: np.ndarray, away: np.ndarray,
    tolerance: float, short: int, rng: np.random.Generator,
) -> tuple[float, _Line, np.polynomial.Polynomial] | None:  # fmt: skip
    """The row that parts it from the upper part, its line and its curve: columns by row.

    It starts as a line through the lowest red pixels and grows upwards as far as it fits better than the upper line.

    Args:
        own: (H, W) bool, the straw's red pixels.
        points: (N, 2) the same as row, column.
        ends: first and last row of the straw.
        rows: rows that show the straw near the upper line.
        away: their middles' distances from it, px.
        tolerance: px.
        short: short side, px.
        rng: for RANSAC.
    """
    top, bottom = ends
    parts = bottom - LOWER * (bottom - top)
    lower = _longest_line(points[points[:, 0] > parts], tolerance, rng)
    if lower is None:
        return None
    low_rows, low_middles = _middles(_tube(own, lower, 3 * tolerance), lower, tolerance)
    y, x = np.mgrid[: own.shape[0], : own.shape[1]]
    curve = None
    for _ in range(ROUNDS):
        curve = _curve(low_rows, low_middles, parts)
        if curve is None:
            return None
        low_rows, low_middles = _middles(own & (np.abs(x - curve(y)) <= 1.6 * tolerance * np.hypot(1, lower.slope)),
                                         lower, tolerance)  # fmt: skip
        known = low_rows >= top + MIN_UPPER * (bottom - top)
        if not known.any():
            return None
        off = np.abs(low_middles - curve(low_rows))[known]
        parts = _parting_row(rows, away, low_rows[known], off, LEAVES * short)
    return None if curve is None else (parts, lower, curve)


def _curve(rows: np.ndarray, middles: np.ndarray, start: float) -> np.polynomial.Polynomial | None:
    """The lower part's parabola, from a row on, twice without the worst tenth; a line where it is short."""
    rows, middles = rows[rows >= start], middles[rows >= start]
    if len(rows) < 8:
        return None
    degree = 2 if np.ptp(rows) > CURVED_ROWS else 1
    for _ in range(3):
        curve = np.polynomial.Polynomial.fit(rows, middles, degree)
        error = np.abs(middles - curve(rows))
        kept = error <= np.quantile(error, 0.9)
        rows, middles = rows[kept], middles[kept]
    return curve


def _parting_row(rows: np.ndarray, away: np.ndarray, low_rows: np.ndarray, low_away: np.ndarray, limit: float) -> float:
    """The row that parts what lies on the upper line from what lies on the lower one, by the sum of distances."""
    first, last = int(low_rows[0]), int(low_rows[-1])
    upper, lower = np.full(last + 1 - first, limit * 3), np.full(last + 1 - first, limit * 3)
    inside = (rows >= first) & (rows <= last)
    upper[rows[inside] - first] = np.minimum(away[inside], limit * 3)
    lower[low_rows - first] = np.minimum(low_away, limit * 3)
    cost = np.concatenate([[0.0], np.cumsum(upper)]) + np.concatenate([[0.0], np.cumsum(lower[::-1])])[::-1]
    return float(first + cost.argmin())


def _longest_line(points: np.ndarray, tolerance: float, rng: np.random.Generator) -> _Line | None:
    """The line that pixels of most rows lie on, by RANSAC; (N, 2) row, column."""
    if len(points) < 2:
        return None
    pairs = points[rng.integers(0, len(points), (TRIES, 2))]
    fall = pairs[:, 1, 0] - pairs[:, 0, 0]
    usable = np.abs(fall) > 4 * tolerance
    slopes = (pairs[usable, 1, 1] - pairs[usable, 0, 1]) / fall[usable]
    starts = pairs[usable, 0, 1] - slopes * pairs[usable, 0, 0]
    steep = np.abs(slopes) < np.tan(np.radians(MAX_LEAN_DEG))
    best: _Line | None = None
    whole = points[:, 0].astype(int)
    size = int(whole.max()) + 1
    for slope, start in zip(slopes[steep], starts[steep], strict=True):
        near = np.abs(points[:, 1] - slope * points[:, 0] - start) <= tolerance * np.hypot(1, slope)
        count = int((np.bincount(whole[near], minlength=size) > 0).sum())
        if best is None or count > best.rows:
            best = _Line(float(slope), float(start), count)
    if best is None:
        return None
    # Many lines within a thick straw touch all of its rows: to its middle.
    for _ in range(3):
        near = points[_near(points, best, 2 * tolerance)]
        if np.ptp(near[:, 0]) > 4 * tolerance:
            slope, start = np.polyfit(near[:, 0], near[:, 1], 1)
            best = _Line(float(slope), float(start), best.rows)
    return best


def _near(points: np.ndarray, line: _Line, tolerance: float) -> np.ndarray:
    """Which (N, 2) pixels lie within a tolerance of a line."""
    away = np.abs(points[:, 1] - line.slope * points[:, 0] - line.start)
    return np.asarray(away <= tolerance * np.hypot(1, line.slope))


def _joins(first: _Line, second: _Line, rows: np.ndarray, reach: float) -> bool:
    """Whether the second line continues the first: they come near each other at one of the first one's ends."""
    ends = np.quantile(rows, [0.02, 0.98])
    gaps = np.abs((first.slope - second.slope) * ends + first.start - second.start)
    return bool(gaps.min() <= reach)


def _tube(red: np.ndarray, line: _Line, reach: float) -> np.ndarray:
    """(H, W) bool: red pixels within a distance of a line."""
    y, x = np.mgrid[: red.shape[0], : red.shape[1]]
    return np.asarray(red & (np.abs(x - line.slope * y - line.start) <= reach * np.hypot(1, line.slope)))


def _middles(
    tube: np.ndarray, line: _Line, tolerance: float, gap: float = GAP, full: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that show a straw and the columns of its middle there, stripes closed over a gap along its line."""
    import cv2

    reach = max(3, round(gap * tolerance))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    down = round(reach / np.hypot(1, line.slope))
    across = round(line.slope * down)
    cv2.line(kernel, (reach - across, reach - down), (reach + across, reach + down), 1)
    closed = cv2.morphologyEx(np.pad(tube.astype(np.uint8), reach), cv2.MORPH_CLOSE, kernel)
    solid = closed[reach:-reach, reach:-reach] > 0
    counts = solid.sum(axis=1)
    whole = np.median(counts[counts > 0]) if counts.any() else 0
    rows = np.flatnonzero(counts >= max(2, tolerance, full * whole))
    return rows, (solid @ np.arange(tube.shape[1]))[rows] / counts[rows]


def _robust_line(rows: np.ndarray, columns: np.ndarray, least: float) -> tuple[float, float, float] | None:
    """Slope, start and RMS distance of a line through points, twice without the worst tenth; None of too few."""
    if len(rows) < max(8, least):
        return None
    for _ in range(3):
        slope, start = np.polyfit(rows, columns, 1)
        error = np.abs(columns - slope * rows - start)
        rms = float(np.sqrt((error**2).mean()))
        kept = error <= np.quantile(error, 0.9)
        rows, columns = rows[kept], columns[kept]
    return float(slope), float(start), rms

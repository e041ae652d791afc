"""Depth of single frames brought into one scale for the clip: what changes from frame to frame without the scene.

A network that sees one frame at a time gives disparity up to a scale and a shift of the frame's own, so that a clip
flickers. Points are followed by flow (DIS at a small size) over one and more frames, and one robust least-squares
problem finds the scale and the shift of every frame with which followed points keep their disparity.

A camera that comes nearer changes disparity truly, and slowly; flicker is fast. So only what stands out from the slow
course of the found scales and shifts is taken out (`trend_frames`).
"""

from typing import NamedTuple

import numpy as np

from openuni.annotators.dis import lands_inside, make_dis, round_trip_error, sample, shrink, to_gray, work_size

SIDE_PX = 256  # ours: 5 ms a pair and direction (docs/annotators.md), and a fit needs few points
OFFSETS = (1, 4)  # ours: neighbours, and a longer step against the sum of many small errors
FB_PX = 1.0  # ours: as depth_motion's fb_px
POINTS = 1500  # ours: a fit of two numbers; more changes nothing
MIN_POINTS = 50  # ours: fewer do not tell a scale
ITERATIONS = 12  # ours: reweighted least squares settles in half of them
SOFT = 0.02  # ours: residuals beyond this share of the disparities' spread count less and less; edges and movers
PRIOR = 1e-4  # ours: pulls a frame that nothing reaches to scale 1 and shift 0; a ten-thousandth of its points
SURPLUS = 4.0  # ours: the slow course must have this many times the variance that chance gives it, to count at all
MIN_SCALE = 0.05  # ours: below, frames do not belong together (a cut, noise)


class Alignment(NamedTuple):
    """aligned[t] = scale[t] * raw[t] + shift[t]."""

    scale: np.ndarray
    """(T,) float64, mean 1."""
    shift: np.ndarray
    """(T,) float64, in the unit of the raw disparity."""
    residual: float
    """Median difference of followed points after alignment, as a share of the spread of disparities; NaN if none."""
    ok: bool
    """False where frames do not belong together: some scale came out at MIN_SCALE or below."""

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Return (T, H, W) float32 in one scale."""
        scaled = raw * self.scale[:, None, None] + self.shift[:, None, None]
        return np.asarray(scaled, dtype=np.float32)


class _Pair(NamedTuple):
    a: int
    b: int
    in_a: np.ndarray
    """(N,) disparities of points in a."""
    in_b: np.ndarray
    """The same points in b."""


def align_frames(
    rgb: np.ndarray, disparity: np.ndarray, usable: np.ndarray, *, with_shift: bool = True, trend_frames: float = 8.0
) -> Alignment:
    """Find the scale and shift of every frame.

    Args:
        rgb: (T, H, W, 3) uint8 RGB.
        disparity: (T, H, W) float32, larger is nearer.
        usable: (T, H, W) bool, pixels that may be followed: not sky, which has no scale.
        with_shift: False for disparity without a shift of its own (metric depth's).
        trend_frames: standard deviation, in frames, of the Gaussian that tells slow from fast; 0 takes out slow changes
            too, and a camera that comes nearer then seems to stand.
    """
    pairs = _follow(rgb, disparity, usable)
    count = len(disparity)
    if not pairs:
        return Alignment(np.ones(count), np.zeros(count), float("nan"), True)
    values = np.concatenate([pair.in_a for pair in pairs])
    centre = float(np.median(values)) if with_shift else 0.0
    spread = max(float(np.median(np.abs(values - np.median(values)))) * 1.4826, 1e-12)
    scale, shift, residual = _solve(pairs, count, centre, spread, with_shift=with_shift)
    if scale.min() <= MIN_SCALE:
        return Alignment(np.ones(count), np.zeros(count), residual, False)
    if trend_frames > 0:
        scale = np.exp(np.log(scale) - _slow(np.log(scale), trend_frames))
        shift = shift - _slow(shift, trend_frames)
    scale = scale / scale.mean()
    # Fitted as scale * (raw - centre) + spread * shift + centre.
    return Alignment(scale, spread * shift + centre * (1 - scale), residual, True)


def robust_affine(values: np.ndarray, wanted: np.ndarray, *, with_shift: bool = True) -> tuple[float, float]:
    """Return scale and shift with which `values` fit `wanted` best, gross errors disregarded.

    Args:
        values, wanted: (N,) float, N >= 2. Least absolute deviation, by reweighted least squares.
        with_shift: False fits the scale alone.

    For windows of a video model that overlap: the same pixels, seen twice.
    """
    spread = max(float(np.median(np.abs(wanted - np.median(wanted)))), 1e-12)
    columns = np.stack([values, np.full_like(values, float(with_shift))], axis=1).astype(np.float64)
    weight, solution = np.ones(len(values)), np.array([1.0, 0.0])
    for _ in range(ITERATIONS):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(columns * root, wanted * root[:, 0], rcond=None)[0]
        weight = 1 / np.maximum(np.abs(columns @ solution - wanted) / (SOFT * spread), 1.0)
    return float(solution[0]), float(solution[1])


def _follow(rgb: np.ndarray, disparity: np.ndarray, usable: np.ndarray) -> list[_Pair]:
    """Disparities of points that can be followed between frames OFFSETS apart."""
    import cv2

    height, width = work_size(rgb, SIDE_PX)
    gray = shrink(map(to_gray, rgb), height, width)
    small = [cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in disparity]
    # Whole pixels of the small picture only: a mixture of sky and ground has no disparity.
    clean = [cv2.resize(one.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) for one in usable]
    dis = make_dis("medium")
    step = max(1, int(np.sqrt(height * width / POINTS)))
    pairs = []
    for offset in OFFSETS:
        for a in range(len(rgb) - offset):
            b = a + offset
            forward, backward = dis.calc(gray[a], gray[b], None), dis.calc(gray[b], gray[a], None)
            good = (round_trip_error(forward, backward) < FB_PX) & lands_inside(forward) & (clean[a] > 0.999)
            good &= sample(clean[b], forward) > 0.999
            good, there = good[::step, ::step], sample(small[b], forward)[::step, ::step]
            if good.sum() >= MIN_POINTS:
                pairs.append(_Pair(a, b, small[a][::step, ::step][good], there[good]))
    return pairs


def _solve(
    pairs: list[_Pair], count: int, centre: float, spread: float, *, with_shift: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Scales (mean 1) and shifts (mean 0, in units of spread), and the median residual.

    Unknowns x = (scale_0, shift_0, scale_1, ...). Minimises the sum over points of |scale_a u + shift_a - scale_b v -
    shift_b|, u and v centred and over spread, under the constraints on the means, which rule out x = 0.
    """
    points = [((pair.in_a - centre) / spread, (pair.in_b - centre) / spread) for pair in pairs]
    weights = [np.ones(len(u)) for u, _ in points]
    size = 2 * count
    constraints = np.zeros((2, size))
    constraints[0, 0::2], constraints[1, 1::2] = 1 / count, 1 / count
    start = np.zeros(size)
    start[0::2] = 1.0
    solution, residuals = start, [np.zeros(0)]
    for _ in range(ITERATIONS):
        matrix = np.eye(size) * PRIOR * POINTS
        if not with_shift:
            matrix[1::2, 1::2] += np.eye(count) * 1e9
        target = PRIOR * POINTS * start
        for pair, (u, v), weight in zip(pairs, points, weights, strict=True):
            rows = np.stack([u, np.ones_like(u), -v, -np.ones_like(v)], axis=1)
            place = np.array([2 * pair.a, 2 * pair.a + 1, 2 * pair.b, 2 * pair.b + 1])
            matrix[np.ix_(place, place)] += (rows * weight[:, None]).T @ rows
        bordered = np.block([[matrix, constraints.T], [constraints, np.zeros((2, 2))]])
        solution = np.linalg.solve(bordered, np.concatenate([target, [1.0, 0.0]]))[:size]
        scale, shift = solution[0::2], solution[1::2]
        residuals = [
            np.abs(scale[pair.a] * u + shift[pair.a] - scale[pair.b] * v - shift[pair.b])
            for pair, (u, v) in zip(pairs, points, strict=True)
        ]
        weights = [1 / np.maximum(residual / SOFT, 1.0) for residual in residuals]
    return solution[0::2], solution[1::2], float(np.median(np.concatenate(residuals)))


def _slow(values: np.ndarray, sigma: float) -> np.ndarray:
    """Slow course of (T,) values, as far as it is more than what fast changes alone would leave.

    At each place the line fitted to its neighbours, Gaussian weights; a line and not a mean, so that a steady change is
    slow up to the clip's ends. Independent changes from frame to frame have a slow part too: their variance times the
    smoother's degrees of freedom over T. By that share the course is shrunk (James and Stein's positive-part rule),
    so that pure flicker goes altogether, and a camera's approach without flicker stays as it is.
    """
    count = len(values)
    places = np.arange(count, dtype=np.float64)
    smoother = np.empty((count, count))
    for t in range(count):
        weight = np.exp(-((places - t) ** 2) / (2 * sigma**2))
        columns = np.stack([np.ones(count), places - t], axis=1)
        weighted = (columns * weight[:, None]).T
        smoother[t] = np.linalg.lstsq(weighted @ columns, weighted, rcond=None)[0][0]
    course = smoother @ values
    freedom = float(np.trace(smoother))
    fast = float(((values - course) ** 2).sum()) / max(count - freedom, 1.0)
    chance, seen = fast * max(freedom - 1, 0.0), float(((course - course.mean()) ** 2).sum())
    share = max(0.0, 1 - SURPLUS * chance / seen) if seen > 0 else 0.0
    return np.asarray(course.mean() + share * (course - course.mean()))

"""Global motion: how the picture as a whole moved between two frames, told apart from what moves by itself.

One corner per cell of a grid (minimal eigenvalue: Shi and Tomasi, CVPR 1994) is tracked by pyramidal Lucas-Kanade
(Bouguet 2000), which keeps the fractions of a pixel that a slow camera moves in a frame. The dominant motion is found
by sampled similarities with a truncated quadratic cost (MSAC: Torr and Zisserman 2000), then refined to the motion of a
plane, or of a camera that only turns, by reweighted least squares. What departs from that plane along lines through
one point is parallax: the camera changes its place (plane plus parallax: Irani and Anandan, PAMI 1998).

Points and displacements are complex numbers x + iy in longer sides of the picture, from its middle, x right, y down.
"""

from typing import NamedTuple

import numpy as np

CELL_PX = 20  # ours: 16 x 9 cells at 320 px; each holds one corner, so that shares of points are shares of area
WINDOW_PX = 15  # Lucas-Kanade; ours: 9 px were as exact on clean clips and worse on noisy ones, 21 cost more
LEVELS = 3  # of the pyramid above the picture: 8 times 7 px, a sixth of 320 px, is the farthest that can be found
LIGHT_PX = 31  # ours: twice the window; light changes over longer distances
MIN_GRADIENT = 0.7  # grey levels per px, RMS in the weaker direction; ours: twice what noise of 2 levels leaves
MIN_TEXTURED = 0.4  # of the cells, for a moving camera: a speaker before a bare wall has less, real clips 0.57 to 0.99
MIN_ANCHORED = 0.25  # of the corners; below it, a resting picture's own corners are too few to measure a slow drift
MIN_POINTS = 12  # ours: three for each pair of the plane's eight numbers
NATIVE_PX, SAMPLE_PX = 0.15, 0.4
"""Noise of a track, px at 320: of consecutive frames and of frames half a second apart. Ours: three pictures moved by
0 to 10 % of the width per second, x264 crf 15 to 32, noise of 0 to 4 levels: the tracks' spread was 0.1 and 0.3."""
RELATIVE = 0.03  # of a point's displacement: what the picture's own change (blur, turning surfaces) adds to the noise

_BLOCK_PX, _SOBEL_GAIN = 5, 8  # of the minimal eigenvalue; Sobel's 3 x 3 answers 8 to a slope of 1
_SEED, _SAMPLES = 0, 96  # a pair of points is good with 0.6 ** 2 where 40 % move by themselves: all 96 fail never
_COARSE = 0.15  # of a displacement; ours: a turning wide lens moves its edge 1.7 times as much as its middle
_MAX_TURN = 0.5  # a similarity that scales or turns by more in one step comes from a wrong track
_NEAR = 0.08  # longer sides; pairs of closer points tell no rotation
_STILL_BONUS = 0.1  # of all points: a still picture is preferred to a mover of nearly the same size
_TELLING = 1.5  # px; a smooth wall's shading does not tell less
_SHADE_PX = 11  # over which noise is averaged out, so that a wall's faint shading tells
_SAME_GREY = 0.2  # grey levels, mean over a cell: what noise and coding leave of a still wall is below
_STEPS = 8  # of reweighting: five settle a clean fit
_RIDGE = np.array([1e-12] * 4 + [1e-4] * 4)  # on the part that is no similarity: points in one spot do not bend it
_PARALLAX_ANGLE = 0.1  # of a departure's length, off its line; ours: of 0 to 0.2 it parts 24 generated clips best


class Motion(NamedTuple):
    """Dominant motion of the picture between two frames."""

    shift: complex
    """Mean displacement, x + iy in longer sides, right and down."""
    turn: complex
    """scale * exp(i * angle) - 1 about the picture's middle; positive angles turn clockwise on the screen."""
    following: float
    """Share of the picture that moves with it, 0 to 1: of its corners, and where the whole picture rests, of its area
    if that is more."""
    anchored: float
    """Share of the corners that move with it. Corners lost inside the picture count as not doing so."""
    parallax: float
    """Share of the tracked points that depart from it as depth does in a travelling camera's picture, beyond chance."""


def global_motion(
    before: np.ndarray, after: np.ndarray, *, size: tuple[int, int], noise_px: float, resting: bool = False
) -> Motion | None:
    """Find the dominant motion from one frame to another.

    Args:
        before: (h, w) uint8, grey, longer side about 320 px.
        after: (h, w) uint8, grey.
        size: height and width of the frames before they were made small; only their ratio counts.
        noise_px: noise of a track, px of (h, w): NATIVE_PX or SAMPLE_PX.
        resting: the camera is known to rest around this time, so that nothing but its tremor is looked for: within one
            frame a speaker moves too little to be told from the wall behind.

    Returns:
        None if fewer than MIN_POINTS corners can be tracked: a dark, empty or very small picture.
    """
    flat_before, flat_after = _flat(before), _flat(after)
    corners = _corners(flat_before)
    if len(corners) < MIN_POINTS:
        return None
    moved, tracked = _track(flat_before, flat_after, corners)
    if tracked.sum() < MIN_POINTS:
        return None
    unit = _unit(before.shape, size)
    points, ends = (_complex(xy, before.shape, unit) for xy in (corners, moved))
    start, step, lost = points[tracked], (ends - points)[tracked], points[~tracked]
    noise = noise_px * unit.max()
    similarity, rest = (0j, 0j), 0.0
    stays = np.abs(step) < 2 * noise
    if not resting:
        similarity = _sampled_similarity(start, step, noise + _COARSE * np.abs(step))
        bare_stay, bare_go = _bare_votes(before, after, corners, similarity, unit)
        rest = float((stays.sum() + bare_stay) / (len(start) + bare_stay + bare_go))
    if rest > 0.5 and stays.mean() < MIN_ANCHORED:
        motion, left = np.zeros(8), step
    elif rest > 0.5 or resting:
        motion, left = _fit(start, step, (0j, 0j), noise, coarse=False)
    else:
        motion, left = _fit(start, step, similarity, noise, coarse=True)
    tolerance = 2 * (noise + RELATIVE * np.abs(step))
    follows = np.abs(left) < tolerance
    # A camera that travels leaves no plane in its place: where one stays, the rest moves by itself.
    still = not follows.any() or float(np.median(np.abs(step[follows]))) < 2 * noise
    if not still and len(corners) < MIN_TEXTURED * np.prod(_grid(before.shape)):
        return None
    away = ~follows & ~stays  # what stays on the screen while the camera moves is a caption
    parallax = 0.0 if still else _parallax(start[away], left[away], tolerance[away] / 2) * float(away.mean())
    landed = lost + _plane(lost) @ motion
    half = np.array([before.shape[1], before.shape[0]]) * unit / 2
    lost_inside = ((np.abs(landed.real) < half[0]) & (np.abs(landed.imag) < half[1])).sum()
    anchored = float(follows.sum() / (len(start) + lost_inside))
    factors = _solve(_plane(start)[:, :4], step - left, follows + 1e-6)  # 1e-6: never singular
    return Motion(
        shift=complex(factors[0], factors[1]),
        turn=complex(factors[2], factors[3]),
        following=max(anchored, rest) if still else anchored,
        anchored=anchored,
        parallax=parallax,
    )


def _flat(grey: np.ndarray) -> np.ndarray:
    """Return a picture less its local mean, (H, W) uint8 around 128.

    Lucas-Kanade takes grey levels as they are; lamps flash, exposures adapt and torches wander.
    """
    import cv2

    return np.asarray(cv2.addWeighted(grey, 1.0, cv2.blur(grey, (LIGHT_PX, LIGHT_PX)), -1.0, 128.0))


def _corners(grey: np.ndarray) -> np.ndarray:
    """Return the strongest corner of each cell that has texture: (N, 2) float32 x, y in px.

    Args:
        grey: (H, W) uint8.
    """
    import cv2

    # OpenCV sums squares of Sobel / (4 * block * 255) over the block.
    unit = _SOBEL_GAIN / (4 * _BLOCK_PX * 255)
    least = _BLOCK_PX**2 * (MIN_GRADIENT * unit) ** 2
    strength = cv2.cornerMinEigenVal(grey, _BLOCK_PX)
    rows, columns = _grid(grey.shape)
    cells = np.pad(strength, [(0, -side % CELL_PX) for side in grey.shape])
    cells = cells.reshape(rows, CELL_PX, columns, CELL_PX).swapaxes(1, 2).reshape(-1, CELL_PX**2)
    best = cells.argmax(axis=1)
    row, column = np.divmod(np.arange(len(cells)), columns)
    y, x = np.divmod(best, CELL_PX)
    corners = np.stack([column * CELL_PX + x, row * CELL_PX + y], axis=1).astype(np.float32)
    return corners[cells.max(axis=1) >= least]


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of cells; the last ones may reach over the edge."""
    return -(-shape[0] // CELL_PX), -(-shape[1] // CELL_PX)


def _unit(shape: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """Longer sides per px of the small frame, (2,) x and y: they differ where a thin frame was stretched."""
    return np.array([size[1] / shape[1], size[0] / shape[0]]) / max(size)


def _complex(xy: np.ndarray, shape: tuple[int, ...], unit: np.ndarray) -> np.ndarray:
    middle = (np.array([shape[1], shape[0]]) - 1) / 2
    scaled = (xy.astype(np.float64) - middle) * unit
    return scaled[:, 0] + 1j * scaled[:, 1]


def _track(before: np.ndarray, after: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """End points, (N, 2) float32, and whether they were found, (N,) bool."""
    import cv2

    moved, found, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]  # None: no first guess
        before,
        after,
        corners[:, None],
        None,  # type: ignore[arg-type]  # no first guess
        winSize=(WINDOW_PX, WINDOW_PX),
        maxLevel=LEVELS,
    )
    return moved[:, 0], (found[:, 0] > 0) & np.isfinite(moved[:, 0]).all(axis=1)


def _plane(points: np.ndarray) -> np.ndarray:
    """Columns of a plane's displacement to second order, (N, 8) complex; 2 factors each of shift, turn, shear, tilt.

    The first four are a similarity.
    """
    one = np.ones(len(points), complex)
    return np.stack(
        [
            *(one, 1j * one, points, 1j * points),
            *(points.conj(), 1j * points.conj(), points * points.real, points * points.imag),
        ],
        axis=1,
    )


def _solve(columns: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Real factors of complex columns by weighted least squares, with _RIDGE."""
    weighted = columns.conj().T * weights
    normal = (weighted @ columns).real
    ridge = _RIDGE[: len(normal)] * weights.sum()
    return np.asarray(np.linalg.solve(normal + np.diag(ridge), (weighted @ values).real))


def _fit(
    points: np.ndarray, steps: np.ndarray, similarity: tuple[complex, complex], noise: float, *, coarse: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of _plane for the dominant motion, (8,), and what it leaves of each step, (N,) complex."""
    left = steps - similarity[0] - similarity[1] * points
    columns = _plane(points)
    motion = np.zeros(8)
    for number in range(_STEPS):
        # From four times the noise down to it, so that the fit grows from the similarity to the bent plane.
        # Not so from rest, which what moves a little must not pull along.
        wide = (2.0 ** max(0, 2 - number), max(RELATIVE, _COARSE * 0.5**number)) if coarse else (1.0, RELATIVE)
        width = noise * wide[0] + wide[1] * np.abs(steps)
        motion = _solve(columns, steps, _weights(left, width))
        left = steps - columns @ motion  # type: ignore[assignment]
    return motion, left


def _weights(left: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Weights of what is left, (N,): Geman and McClure 1987."""
    return np.asarray(1 / (1 + (np.abs(left) / width) ** 2) ** 2)


def _sampled_similarity(points: np.ndarray, steps: np.ndarray, tolerance: np.ndarray) -> tuple[complex, complex]:
    """Shift and turn of the similarity that most points agree on."""
    first, second = _pairs(len(points))
    apart = points[first] - points[second]
    turn = (steps[first] - steps[second]) / np.where(apart == 0, 1, apart)
    good = (np.abs(turn) < _MAX_TURN) & (np.abs(apart) > _NEAR)
    turn = np.append(0, turn[good])  # the first stands still
    shift = np.append(0, steps[first][good]) - turn * np.append(0, points[first][good])
    left = steps - shift[:, None] - turn[:, None] * points
    cost = np.minimum((np.abs(left) / tolerance) ** 2, 1).mean(axis=1)
    cost[0] -= _STILL_BONUS
    best = cost.argmin()
    return complex(shift[best]), complex(turn[best])


def _bare_votes(
    before: np.ndarray, after: np.ndarray, corners: np.ndarray, similarity: tuple[complex, complex], unit: np.ndarray
) -> tuple[int, int]:
    """How many cells without a corner stayed in place, and how many moved by a similarity instead.

    Corners lie where texture is, which may be on a speaker before a smooth wall; the wall's shading stays in its place.
    """
    import cv2

    shift, turn = similarity
    if abs(shift) + abs(turn) * _NEAR < _TELLING * unit.max():
        return 0, 0
    shape = before.shape
    middle = (np.array([shape[1], shape[0]]) - 1) / 2
    linear = np.array([[1 + turn.real, -turn.imag], [turn.imag, 1 + turn.real]]) * unit / unit[:, None]
    offset = np.array([shift.real, shift.imag]) / unit + middle - linear @ middle
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = np.column_stack([linear, offset])
    carried = cv2.warpAffine(after, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = _grid(shape)
    differences = []
    for other in (after, carried):
        smooth = cv2.blur(cv2.subtract(before, other, dtype=cv2.CV_32F), (_SHADE_PX, _SHADE_PX))
        differences.append(cv2.resize(np.abs(smooth), (columns, rows), interpolation=cv2.INTER_AREA))
    bare = np.ones((rows, columns), dtype=bool)
    bare[tuple((corners.astype(int) // CELL_PX).T[::-1])] = False
    gain = (differences[1] - differences[0])[bare]
    return int((gain > _SAME_GREY).sum()), int((gain < -_SAME_GREY).sum())


def _parallax(points: np.ndarray, left: np.ndarray, noise: np.ndarray) -> float:
    """Share of departures from the plane, beyond chance, that lie on lines through one point, the epipole.

    A thing that moves by itself departs in any direction; things at rest, in a travelling camera's picture, only
    towards or from where the camera goes.

    Args:
        points: (N,) complex.
        left: (N,) complex, the departures.
        noise: (N,), of each.
    """
    num = len(points)
    if num < MIN_POINTS:
        return 0.0
    # A line through a point p along its departure r, in homogeneous coordinates; two of them meet in an epipole e.
    lines = np.stack([left.imag, -left.real, left.real * points.imag - left.imag * points.real], axis=1)
    first, second = _pairs(num)
    epipoles = np.cross(lines[first], lines[second])
    towards = epipoles[:, 2:] * points - (epipoles[:, :1] + 1j * epipoles[:, 1:2])  # (_SAMPLES, N)
    towards /= np.maximum(np.abs(towards), 1e-30)
    across = np.abs((left * towards.conj()).imag)
    allowed = noise + _PARALLAX_ANGLE * np.abs(left)
    on_line = (across < allowed).sum(axis=1).max() - 2  # the two that made the epipole lie on their lines anyway
    by_chance = float(np.mean(2 / np.pi * np.arcsin(np.minimum(1, allowed / np.abs(left)))))
    return float(np.clip((on_line / (num - 2) - by_chance) / max(1 - by_chance, 1e-9), 0, 1))


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """_SAMPLES pairs of different indices below `count`; the same for the same count."""
    rng = np.random.default_rng(_SEED)
    first = rng.integers(0, count, _SAMPLES)
    return first, (first + rng.integers(1, count, _SAMPLES)) % count

"""Planar: robust fits of one motion to displacements of points, and what departs from it as depth does.

Points and displacements are complex numbers x + iy, which makes a similarity one product: z moves by shift + turn * z.
The dominant motion is found by sampled similarities with a truncated quadratic cost (MSAC: Torr and Zisserman 2000)
and refined by reweighted least squares to that of a plane, or of a camera that only turns. Departures from the plane
along lines through one point are parallax: the camera changes its place (Irani and Anandan, PAMI 1998).
"""

from typing import NamedTuple

import numpy as np

MIN_POINTS = 12  # ours: three for each pair of the plane's eight numbers
RELATIVE = 0.03  # of a point's displacement; ours: what blur and turning surfaces add to the noise of a track

_SEED, _SAMPLES = 0, 64  # where 40 % move by themselves a pair is good with 0.6 ** 2: all 64 fail once in 1e12 times
_COARSE = 0.15  # of a displacement; ours: a turning wide lens moves the picture's edge 1.7 times as much as its middle
_MAX_TURN = 0.5  # a similarity that scales or turns by more in one step comes from a wrong track
_NEAR = 0.08  # longer sides of the picture; closer pairs tell no rotation
_STILL_BONUS = 0.1  # of all points; ours: rest is likelier than a mover of nearly the background's size
_STEPS = 6  # of reweighting; ours: five settle a clean fit
_RIDGE = np.array([1e-12] * 4 + [1e-4] * 4)  # on the part that is no similarity: points in one spot do not bend it
_PARALLAX_ANGLE = 0.1  # of a departure's length, off its line; ours: of 0, 0.05, 0.1 and 0.2 it parted 24 clips best


class Similarity(NamedTuple):
    """A point z moves by shift + turn * z."""

    shift: complex
    """Displacement of the origin."""
    turn: complex
    """scale * exp(i * angle) - 1; positive angles are clockwise where y points down."""


REST = Similarity(0j, 0j)


def sampled_similarity(points: np.ndarray, steps: np.ndarray, noise: float) -> Similarity:
    """Return the similarity that most points agree on, REST if it is nearly as good.

    Args:
        points: (N,) complex, in longer sides of the picture.
        steps: (N,) complex, their displacements.
        noise: of the displacements.
    """
    first, second = _pairs(len(points))
    apart = points[first] - points[second]
    turn = (steps[first] - steps[second]) / np.where(apart == 0, 1, apart)
    good = (np.abs(turn) < _MAX_TURN) & (np.abs(apart) > _NEAR)
    turn = np.append(0, turn[good])  # the first is REST
    shift = np.append(0, steps[first][good]) - turn * np.append(0, points[first][good])
    left = steps - shift[:, None] - turn[:, None] * points
    cost = np.minimum((np.abs(left) / (noise + _COARSE * np.abs(steps))) ** 2, 1).mean(axis=1)
    cost[0] -= _STILL_BONUS
    best = cost.argmin()
    return Similarity(complex(shift[best]), complex(turn[best]))


def fit_plane(points: np.ndarray, steps: np.ndarray, start: Similarity, noise: float, *, coarse: bool) -> np.ndarray:
    """Return the displacements, (N,) complex, that the plane's motion nearest to `start` gives the points.

    Args:
        points: (N,) complex.
        steps: (N,) complex, their displacements.
        start: where the fit begins.
        noise: of the displacements.
        coarse: begin with four times the noise, so that the fit grows from a similarity to the bent plane. Not from
            rest, which what moves a little must not pull along.
    """
    columns = _columns(points)
    made = start.shift + start.turn * points
    for number in range(_STEPS):
        scale, relative = (2.0 ** max(0, 2 - number), _COARSE * 0.5**number) if coarse else (1.0, 0.0)
        width = noise * scale + max(RELATIVE, relative) * np.abs(steps)
        made = columns @ _solve(columns, steps, robust_weights(steps - made, width))
    return made


def fit_similarity(points: np.ndarray, steps: np.ndarray, weights: np.ndarray) -> Similarity:
    """Return the weighted least-squares similarity."""
    factors = _solve(_columns(points)[:, :4], steps, weights)
    return Similarity(complex(factors[0], factors[1]), complex(factors[2], factors[3]))


def robust_weights(left: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Return the weights, (N,), of what a fit leaves (Geman and McClure 1987)."""
    return np.asarray(1 / (1 + (np.abs(left) / width) ** 2) ** 2)


def parallax_share(points: np.ndarray, left: np.ndarray, noise: np.ndarray) -> float:
    """Return the share of departures from a plane, beyond chance, on lines through one point, the epipole.

    Things at rest depart, in a travelling camera's picture, only towards or from where it goes; what moves by itself
    departs in any direction.

    Args:
        points: (N,) complex.
        left: (N,) complex, the departures; none is zero.
        noise: (N,), of each.

    Returns:
        0 to 1; 0 for fewer than MIN_POINTS.
    """
    num = len(points)
    if num < MIN_POINTS:
        return 0.0
    # Homogeneous coordinates: the line through each point along its departure; two lines meet in a candidate.
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


def _columns(points: np.ndarray) -> np.ndarray:
    """(N, 8) complex; real factors of them make a plane's displacement to second order, of the first four a similarity.

    They are shift (2), turn (2), stretch and shear (2), and the perspective of a tilted plane (2).
    """
    one, conjugate = np.ones(len(points), complex), points.conj()
    similarity = (one, 1j * one, points, 1j * points)
    return np.stack([*similarity, conjugate, 1j * conjugate, points * points.real, points * points.imag], axis=1)


def _solve(columns: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Real factors of complex columns by weighted least squares, with _RIDGE."""
    weighted = columns.conj().T * weights
    normal = (weighted @ columns).real
    ridge = _RIDGE[: len(normal)] * weights.sum()
    return np.asarray(np.linalg.solve(normal + np.diag(ridge), (weighted @ values).real))


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """_SAMPLES pairs of different indices below `count`; the same ones for the same count."""
    rng = np.random.default_rng(_SEED)
    first = rng.integers(0, count, _SAMPLES)
    return first, (first + rng.integers(1, count, _SAMPLES)) % count

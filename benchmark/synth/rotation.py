"""Rotations and small vector algebra with results that are the same on every processor.

Only +, -, *, / and square roots of IEEE arithmetic are used, element by element: no BLAS, whose sums depend on its
threads and on the processor. Quaternions are (w, x, y, z) and rotate from a body's axes to its parent's or the world's.
"""

import numpy as np

QUATERNION_STEPS = 2**14  # ours: 6e-5 rad a step; 0.03 px at the edge of a 512 px picture, and int16 holds it
METRE_STEPS = 2**14  # ours: 0.06 mm a step
TRIG_STEPS = (
    2**22
)  # ours: what goes through sin, cos or exp is rounded to this, since their last bits differ by processor


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 3) and (..., 3) -> (...)."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 3) x (..., 3) -> (..., 3)."""
    return np.stack(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
        axis=-1,
    )


def length(a: np.ndarray) -> np.ndarray:
    """(..., 3) -> (...), Euclidean."""
    return np.sqrt(dot(a, a))


def unit(a: np.ndarray) -> np.ndarray:
    """(..., 3) -> the same directions of length 1; zero stays zero."""
    size = length(a)[..., None]
    return a / np.where(size > 0, size, 1)


def turn(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply matrices (..., 3, 3) to points (..., 3); leading axes broadcast."""
    return np.stack([dot(matrix[..., row, :], points) for row in range(3)], axis=-1)


def turn_back(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply the transposes of matrices (..., 3, 3) to points (..., 3)."""
    return np.stack([dot(matrix[..., :, column], points) for column in range(3)], axis=-1)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply matrices (..., 3, 3)."""
    return np.stack([turn(a, b[..., :, column]) for column in range(3)], axis=-1)


def matrix_of(quaternion: np.ndarray) -> np.ndarray:
    """(..., 4) quaternions, of any length but zero -> (..., 3, 3)."""
    size = quaternion[..., 0] ** 2 + dot(quaternion[..., 1:], quaternion[..., 1:])
    w, x, y, z = (quaternion[..., number] for number in range(4))
    rows = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2) / size[..., None, None]


def quaternion_of(matrix: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations -> (..., 4) unit quaternions with w >= 0."""
    m = matrix
    diagonal = [m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]]
    # Four ways to say it; the one with the largest divisor loses no digits (Shepperd 1978).
    squares = np.stack(
        [
            1 + diagonal[0] + diagonal[1] + diagonal[2],
            1 + diagonal[0] - diagonal[1] - diagonal[2],
            1 - diagonal[0] + diagonal[1] - diagonal[2],
            1 - diagonal[0] - diagonal[1] + diagonal[2],
        ],
        axis=-1,
    )
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    ways = np.stack(
        [
            np.stack([squares[..., 0], a, b, c], axis=-1),
            np.stack([a, squares[..., 1], d, e], axis=-1),
            np.stack([b, d, squares[..., 2], f], axis=-1),
            np.stack([c, e, f, squares[..., 3]], axis=-1),
        ],
        axis=-2,
    )
    best = np.take_along_axis(ways, squares.argmax(axis=-1)[..., None, None], axis=-2)[..., 0, :]
    best = best / np.sqrt((best**2).sum(axis=-1, keepdims=True))
    return np.where(best[..., :1] < 0, -best, best)


def about(axis: str, angle: np.ndarray | float) -> np.ndarray:
    """Rotations by `angle` radians (...) about the axis "x", "y" or "z": (..., 3, 3)."""
    angle = np.asarray(angle, dtype=np.float64)
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    rows = {
        "x": [[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]],
        "y": [[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]],
        "z": [[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]],
    }[axis]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def frame_of(forward: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Right-handed axes as columns: the first along `forward`, the second in the plane of `side`. (..., 3, 3)."""
    first = unit(forward)
    third = unit(cross(first, side))
    return np.stack([first, cross(third, first), third], axis=-1)


def snap_metres(values: np.ndarray) -> np.ndarray:
    """Round to the grid that scenes are stored on."""
    return np.round(np.asarray(values, np.float64) * METRE_STEPS) / METRE_STEPS


def snap_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Round to the grid that scenes are stored on. The result is used as it is: `matrix_of` takes any length."""
    return np.round(np.asarray(quaternion, np.float64) * QUATERNION_STEPS) / QUATERNION_STEPS


def snap_trig(values: np.ndarray) -> np.ndarray:
    """Round what trigonometry or exponentials gave, so that it has the same bits on every processor."""
    return np.round(np.asarray(values, np.float64) * TRIG_STEPS) / TRIG_STEPS
